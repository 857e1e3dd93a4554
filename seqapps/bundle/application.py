"""A trained model as a Python function."""

import importlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seqapps.bundle.folder import read_config, read_metrics
from seqapps.bundle.session import Session
from seqapps.bundle.values import answers_of, batch_of, option_batch, row_of, size
from seqapps.errors import UserError
from seqapps.fields import MAIN, OPTIONS
from seqapps.lazy import lazy_imports, start_tensorflow

with lazy_imports():
    import keras
    import tensorflow as tf

_ROWS = 64
"""Inputs that one call of the servable takes at once, at most."""
_BUDGET = 1 << 16
"""Rows × size of the longest in one call, at most: short rows are not padded to a very long one."""
_SOUND_BUDGET = 1 << 23
"""The same where rows are recordings, whose bytes or samples count: some four minutes of sound."""
_DAMAGE = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    RuntimeError,
    zipfile.BadZipFile,
)
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
        self._main = OPTIONS if self.interface.has_options else MAIN
        try:
            # Signatures die with the object they come from, so it is kept.
            self._loaded = tf.saved_model.load(str(path / "servable" / "1"))
            self._calls = {
                name: self._loaded.signatures[name] for name in self.interface.signatures
            }
        except (*_DAMAGE, tf.errors.OpError) as error:
            raise _damaged(path / "servable" / "1", error) from error

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
        return self._ask(self._main, inputs, options, advance)

    def ask(
        self,
        signature: str,
        inputs: Sequence[Any],
        *,
        advance: Callable[[int], None] = lambda _: None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Answers each input through a further signature, by field name.

        Args:
            signature: Its name, such as `explain`.
            inputs: As in a call, of the fields that the signature takes.
            advance: As in a call.
            **options: Strategy values that the signature takes, as in a call.

        Raises:
            UserError: If the bundle has no such signature, an option is unknown, or an input does
                not fit its field.
        """
        further = [each.name for each in self.interface.further]
        if signature not in further:
            raise UserError(
                f"{self.recipe} has no signature {signature!r}; "
                f"it has {', '.join(further) or 'none besides ' + MAIN}."
            )
        return self._ask(signature, inputs, options, advance)

    def call(self, signature: str, **tensors: Any) -> dict[str, Any]:
        """Calls a signature with whole batches: what a stream does for every step.

        Args:
            signature: Any of the servable's.
            **tensors: Its inputs and all strategy values that it takes, by name, arrays or tensors
                of a batch.

        Returns:
            Its tensors by name; those that are lists have their `<name>_lengths` beside them.
        """
        outputs: dict[str, Any] = self._calls[signature](
            **{name: tf.convert_to_tensor(value) for name, value in tensors.items()}
        )
        return outputs

    def session(self, **options: Any) -> Session:
        """Begins a text that grows by turns, such as a chat; see `bundle.session.Session`.

        Args:
            **options: Strategy values by name, for every answer.

        Raises:
            UserError: If this recipe's bundles write no texts, an option is unknown or a value does
                not fit it.
        """
        return Session(self, options)

    def _ask(
        self,
        signature: str,
        inputs: Sequence[Any],
        options: Mapping[str, Any],
        advance: Callable[[int], None],
    ) -> list[dict[str, Any]]:
        if isinstance(inputs, str | bytes):
            raise UserError(f"inputs must be a list, got one string; write [{inputs!r}].")
        taken, given = self.interface.inputs_of(signature), self.interface.outputs_of(signature)
        values = self.option_values(signature, options, len(inputs))
        rows = [row_of(taken, value) for value in inputs]
        # Rows of similar size go together; each answer goes back to its place.
        answers: list[dict[str, Any]] = [{}] * len(rows)
        sound = any(field.media in ("wav", "sound") for field in taken)
        budget = _SOUND_BUDGET if sound else _BUDGET
        for chosen in _groups([size(row) for row in rows], budget):
            batch = batch_of(taken, [rows[i] for i in chosen])
            batch |= {name: value[chosen] for name, value in values.items()}
            outputs = self.call(signature, **batch)
            arrays = {name: value.numpy() for name, value in outputs.items()}
            for i, answer in zip(chosen, answers_of(given, arrays), strict=True):
                answers[i] = answer
            advance(len(chosen))
        return answers

    def option_values(self, signature: str, given: Mapping[str, Any], count: int) -> dict[str, Any]:
        """Checks strategy values, and gives one of each for each input.

        Args:
            signature: The one that takes them.
            given: One value for all inputs or one for each, by name; defaults fill the rest.
            count: How many inputs there are.

        Returns:
            An array (count,) for each option that the signature takes, of a list (count, K).

        Raises:
            UserError: If an option is unknown, or a value does not fit it.
        """
        known = {option.name: option for option in self.interface.options_of(signature)}
        for name in given:
            if name not in known:
                raise UserError(
                    f"{self.recipe} has no option {name!r}; it has {', '.join(known) or 'none'}."
                )
        return {
            name: option_batch(option, given.get(name, option.default), count)
            for name, option in known.items()
        }


def _groups(sizes: Sequence[int], budget: int = _BUDGET) -> Iterator[list[int]]:
    """Numbers of rows that are asked together, the longest first."""
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    start = 0
    while start < len(order):
        count = min(_ROWS, max(1, budget // max(1, sizes[order[start]])))
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
