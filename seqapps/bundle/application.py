"""A trained model as a Python function."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seqapps.bundle.folder import read_config, read_metrics
from seqapps.bundle.values import answers_of, batch_of, row_of, size
from seqapps.errors import UserError
from seqapps.lazy import lazy_imports, start_tensorflow

with lazy_imports():
    import keras
    import numpy as np
    import tensorflow as tf

    from seqapps.bundle import servable

_ROWS = 64
"""Inputs that one call of the servable takes at once."""


class Application:
    """A trained model as a function: a list of inputs in, a list of outputs out.

    Attributes:
        path: The bundle's folder.
        recipe: Name of the recipe that made it.
        interface: What goes in and out.
        config: Every setting of the training, as a dict.
    """

    def __init__(self, path: Path) -> None:
        stored = read_config(path)
        self.path = path
        self.recipe = stored.recipe
        self.interface = stored.interface
        self.config = stored.settings
        start_tensorflow()
        try:
            # Signatures die with the object they come from, so it is kept.
            self._loaded = tf.saved_model.load(str(path / "servable" / "1"))
        except (OSError, tf.errors.OpError) as error:
            raise _damaged(path / "servable" / "1", error) from error
        name = "options" if servable.has_options(self.interface) else "serving_default"
        self._call = self._loaded.signatures[name]

    @cached_property
    def model(self) -> Any:
        """The Keras model."""
        return load_network(self.path)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What was measured on the test split."""
        return read_metrics(self.path)

    def __call__(
        self,
        inputs: Sequence[Any],
        *,
        advance: Callable[[int], None] = lambda _: None,
        **options: Any,
    ) -> list[Any]:
        """Answers each input in short: the first output alone.

        Args:
            inputs: One value for each question: a string, a series of numbers ...; a dict by
                field name where the recipe takes several fields.
            advance: Called with the number of further inputs that are answered.
            **options: Strategy values by name, one for all or one for each input.

        Raises:
            UserError: If an option is unknown, or an input does not fit its field.
        """
        first = self.interface.outputs[0].name
        return [answer[first] for answer in self.answers(inputs, advance=advance, **options)]

    def answers(
        self,
        inputs: Sequence[Any],
        *,
        advance: Callable[[int], None] = lambda _: None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Answers each input with everything the model gives, by field name.

        Args and errors are those of a call.
        """
        if isinstance(inputs, str | bytes):
            raise UserError(f"inputs must be a list, got one string; write [{inputs!r}].")
        rows = [row_of(self.interface, value) for value in inputs]
        values = self._option_values(options, len(rows))
        # Rows of similar size go together, the longest first; each answer goes back to its place.
        order = sorted(range(len(rows)), key=lambda i: -size(rows[i]))
        fields = (*self.interface.outputs, *self.interface.details)
        answers: list[dict[str, Any]] = [{}] * len(rows)
        for start in range(0, len(order), _ROWS):
            chosen = order[start : start + _ROWS]
            batch = batch_of(self.interface, [rows[i] for i in chosen])
            batch |= {name: value[chosen] for name, value in values.items()}
            outputs = self._call(**{name: tf.constant(value) for name, value in batch.items()})
            arrays = {name: value.numpy() for name, value in outputs.items()}
            for i, answer in zip(chosen, answers_of(fields, arrays), strict=True):
                answers[i] = answer
            advance(len(chosen))
        return answers

    def _option_values(self, given: Mapping[str, Any], count: int) -> dict[str, Any]:
        """One value of each option for each input."""
        known = {option.name: option for option in self.interface.options}
        for name in given:
            if name not in known:
                raise UserError(
                    f"{self.recipe} has no option {name!r}; it has {', '.join(known) or 'none'}."
                )
        values = {}
        for name, option in known.items():
            value = np.asarray(given.get(name, option.default))
            if value.dtype.kind not in ("iuf" if option.dtype == "float32" else "iu"):
                noun = "numbers" if option.dtype == "float32" else "whole numbers"
                raise UserError(f"option {name} takes {noun}, got {given[name]!r}.")
            if value.shape not in ((), (1,), (count,)):
                raise UserError(
                    f"option {name} needs one value, or one for each of {count} inputs, "
                    f"got {value.size}."
                )
            values[name] = np.broadcast_to(value.astype(option.dtype), (count,))
        return values


def load(path: str | Path) -> Application:
    """Loads a bundle.

    Raises:
        UserError: If `path` is not a bundle, is damaged, or a newer major version wrote it.
    """
    return Application(Path(path))


def load_network(folder: Path) -> Any:
    """Loads `model.keras` of a bundle, in Keras's safe mode, on any device.

    Raises:
        UserError: If it is missing or damaged.
    """
    # Here and not at the top, where the import would wait: its package registers our layers.
    from seqapps.layers.cudnn import reset_cudnn

    path = folder / "model.keras"
    try:
        network = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    reset_cudnn(network, "auto")
    return network


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0][:200]
    return UserError(f"{path} cannot be loaded ({reason}); train or copy the bundle again.")
