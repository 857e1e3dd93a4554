"""A trained model as a Python function."""

import importlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seqapps.bundle.folder import read_config, read_metrics
from seqapps.bundle.values import answers_of, batch_of, row_of, size
from seqapps.errors import UserError
from seqapps.fields import MAIN, Field
from seqapps.lazy import lazy_imports, start_tensorflow

with lazy_imports():
    import keras
    import numpy as np
    import tensorflow as tf

    from seqapps.bundle import servable

_ROWS = 64
"""Inputs that one call of the servable takes at once, at most."""
_BUDGET = 1 << 16
"""Rows × size of the longest in one call, at most: short rows are not padded to a very long one."""
_DAMAGE = (
    OSError, ValueError, IndexError, KeyError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip
"""What TensorFlow and Keras raise, besides TensorFlow's own errors, when files are cut off."""


class Application:
    """A trained model as a function: a list of inputs in, a list of outputs out.

    Attributes:
        path: The bundle's folder, as an absolute path.
        recipe: Name of the recipe that made it.
        interface: What goes in and out.
        config: Every setting of the training, as a dict.
    """

    def __init__(self, path: Path) -> None:
        stored = read_config(path)
        self.path = path.absolute()
        self.recipe = stored.recipe
        self.interface = stored.interface
        self.config = stored.settings
        start_tensorflow()
        further = {signature.name for signature in self.interface.further}
        main = "options" if servable.has_options(self.interface) else MAIN
        try:
            # Signatures die with the object they come from, so it is kept.
            self._loaded = tf.saved_model.load(str(path / "servable" / "1"))
            self._calls = {name: self._loaded.signatures[name] for name in {main, *further}}
        except (*_DAMAGE, tf.errors.OpError) as error:
            raise _damaged(path / "servable" / "1", error) from error
        self._call = self._calls[main]

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
        values = self._option_values(options, len(inputs))
        fields = (*self.interface.outputs, *self.interface.details)
        return self._ask(self._call, fields, inputs, values, advance)

    def ask(
        self,
        signature: str,
        inputs: Sequence[Any],
        *,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[dict[str, Any]]:
        """Answers each input through a further signature, by field name.

        Args:
            signature: Its name, such as `explain`.
            inputs: As in a call.
            advance: As in a call.

        Raises:
            UserError: If the bundle has no such signature, or an input does not fit its field.
        """
        fields = {further.name: further.outputs for further in self.interface.further}
        if signature not in fields:
            raise UserError(
                f"{self.recipe} has no signature {signature!r}; "
                f"it has {', '.join(fields) or 'none besides ' + MAIN}."
            )
        return self._ask(self._calls[signature], fields[signature], inputs, {}, advance)

    def _ask(
        self,
        call: Any,
        fields: Sequence[Field],
        inputs: Sequence[Any],
        values: Mapping[str, Any],
        advance: Callable[[int], None],
    ) -> list[dict[str, Any]]:
        if isinstance(inputs, str | bytes):
            raise UserError(f"inputs must be a list, got one string; write [{inputs!r}].")
        rows = [row_of(self.interface, value) for value in inputs]
        # Rows of similar size go together; each answer goes back to its place.
        answers: list[dict[str, Any]] = [{}] * len(rows)
        for chosen in _groups([size(row) for row in rows]):
            batch = batch_of(self.interface, [rows[i] for i in chosen])
            batch |= {name: value[chosen] for name, value in values.items()}
            outputs = call(**{name: tf.constant(value) for name, value in batch.items()})
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
            whole = option.dtype != "float32"
            # NumPy has no type for a number like 2**70.
            huge = whole and value.dtype == object and all(isinstance(v, int) for v in value.flat)
            if not huge and value.dtype.kind not in ("iu" if whole else "iuf"):
                noun = "whole numbers" if whole else "numbers"
                raise UserError(f"option {name} takes {noun}, got {given[name]!r}.")
            if whole and value.size:
                # A number that does not fit would become another one.
                least, most = np.iinfo(option.dtype).min, np.iinfo(option.dtype).max
                if value.min() < least or value.max() > most:
                    raise UserError(
                        f"option {name} takes whole numbers from {least} to {most}, "
                        f"got {given[name]!r}."
                    )
            if value.shape not in ((), (1,), (count,)):
                raise UserError(
                    f"option {name} needs one value, or one for each of {count} inputs, "
                    f"got {value.size}."
                )
            values[name] = np.broadcast_to(value.astype(option.dtype), (count,))
        return values


def _groups(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of rows that are asked together, the longest first."""
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    start = 0
    while start < len(order):
        count = min(_ROWS, max(1, _BUDGET // max(1, sizes[order[start]])))
        yield order[start : start + count]
        start += count


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
    # Here and not at the top, where the import would wait.
    from seqapps import layers
    from seqapps.layers.cudnn import reset_cudnn

    for name in layers.__all__:
        # Whoever imported the package lazily has not loaded the modules that register our layers.
        vars(importlib.import_module(f"seqapps.layers.{name}"))
    path = folder / "model.keras"
    try:
        network = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except (*_DAMAGE, tf.errors.OpError) as error:
        raise _damaged(path, error) from error
    reset_cudnn(network, "auto")
    return network


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UserError(f"{path} cannot be loaded ({reason}); train or copy the bundle again.")
