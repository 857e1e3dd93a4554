"""An ONNX export as the same Python function that its bundle is, without TensorFlow."""

import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqapps.bundle.earlier import completed
from seqapps.bundle.folder import read_config
from seqapps.errors import UserError
from seqapps.fields import WHOLE, Interface
from seqapps.lazy import lazy_imports

with lazy_imports():
    from seqapps.portable.runtime import base

_PORTION = 256
"""Inputs after which progress is told."""
_PREDICTORS = re.compile(rf"seqapps\.recipes\.[A-Za-z_]\w*\.predictor|{re.escape(WHOLE)}", re.ASCII)
"""Names of the modules that hold a predictor."""


class OnnxApplication:
    """What `Application` is, on ONNX Runtime: its main function, and what the predictor adds.

    Args:
        path: What `export --format onnx` wrote.

    Attributes:
        path: As given.
        recipe: Name of the recipe.
        interface: What goes in and out.
        config: Every setting of the training.
    """

    def __init__(self, path: Path) -> None:
        stored = read_config(path)
        self.path = path
        self.recipe, self.config = stored.recipe, stored.settings
        table, told = described(path)
        # As config.json says it: with the ranges, which exports of earlier versions do not have.
        answered = {signature.name for signature in told.further}
        kept = tuple(s for s in stored.interface.further if s.name in answered)
        self.interface = replace(stored.interface, further=kept)
        if _without_ranges(self.interface) != _without_ranges(told):
            raise UserError(
                f"config.json and predictor.json of {path} must say the same of what goes in and "
                "out, and they do not; export it again."
            )
        try:
            self._predictor = predictor_class(table.get("predictor"))(
                path, interface=self.interface.to_json()
            )
        except ImportError as error:
            raise UserError(
                f"an ONNX export needs {error.name}; pip install 'seqapps[onnx]'."
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be loaded: {error}") from error

    def __call__(
        self,
        inputs: Sequence[Any],
        *,
        advance: Callable[[int], None] = lambda _: None,
        **options: Any,
    ) -> list[Any]:
        """Answers each input in short: the first output alone."""
        first = self.interface.outputs[0].name
        return [answer[first] for answer in self.answers(inputs, advance=advance, **options)]

    def answers(
        self,
        inputs: Sequence[Any],
        *,
        advance: Callable[[int], None] = lambda _: None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Answers each input with everything, by field name.

        Raises:
            UserError: If an option is unknown or does not fit.
        """
        answers: list[dict[str, Any]] = []
        for start in range(0, len(inputs), _PORTION):
            some = inputs[start : start + _PORTION]
            try:
                answers += self._predictor.answers(some, **options)
            except ValueError as error:
                raise UserError(str(error)) from None
            advance(len(some))
        return answers

    def pieces(self, question: str | bytes, *, portion: int = 8, **options: Any) -> Iterator[str]:
        """A text in pieces as they are written.

        Args:
            question: What it goes on from.
            portion: Tokens that are written between two pieces, at least 1.
            **options: Strategy values by name.

        Raises:
            UserError: If answers come whole, or an option is unknown or does not fit.
        """
        try:
            pieces: Iterator[str] | None = self._predictor.pieces(
                question, portion=portion, **options
            )
        except ValueError as error:
            raise UserError(str(error)) from None
        if pieces is None:
            raise UserError(
                f"answers of {self.recipe} come whole with these options; ask for the answer."
            )
        return pieces

    def ask(self, signature: str, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """Answers each input through a further signature, where the predictor has it.

        Raises:
            UserError: If it has not, or an option is unknown or does not fit.
        """
        if signature not in self._predictor.further:
            raise UserError(
                f"an ONNX export has no signature {signature!r}; ask the bundle it was made from."
            )
        try:
            answers: list[dict[str, Any]] = self._predictor.ask(signature, inputs, **options)
        except ValueError as error:
            raise UserError(str(error)) from None
        return answers


def described(folder: Path) -> tuple[dict[str, Any], Interface]:
    """What predictor.json says, whose other values may be anything, and what goes in and out.

    Raises:
        UserError: If it is missing or damaged.
    """
    path = folder / "predictor.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return table, Interface.from_json(completed(table["interface"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"{path} is damaged ({reason}); export it again.") from None


def _without_ranges(interface: Interface) -> Interface:
    """An interface as if its options had no ranges."""
    none: dict[str, Any] = {
        "least": None,
        "most": None,
        "above": False,
        "costs": "",
        "most_bytes": 0,
    }
    return replace(interface, options=tuple(replace(o, **none) for o in interface.options))


def predictor_class(name: object) -> "type[base.Predictor]":
    """The class that runs an application's networks.

    Args:
        name: Of its module; exports of earlier versions have the recipe's name alone. It may come
            from a file that nobody vouches for, so nothing else is ever imported.

    Raises:
        UserError: If no predictor of this package has that name.
        ImportError: If a package is missing that it needs.
    """
    full = f"seqapps.recipes.{name}.predictor" if str(name).isidentifier() else str(name)
    if not isinstance(name, str) or not _PREDICTORS.fullmatch(full):
        raise UserError(
            f"a predictor is a module seqapps.recipes.NAME.predictor or {WHOLE}, got {name!r}; "
            "this is no export of seqapps, or it was changed."
        )
    try:
        module = importlib.import_module(full)
    except ModuleNotFoundError as error:
        if not full.startswith(str(error.name)):
            raise
        raise UserError(
            f"the predictor {name!r} was made by a recipe that is not here; update seqapps, or run "
            "the export's own predictor.py."
        ) from None
    (predictor,) = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == full and issubclass(value, base.Predictor)
    ]
    return predictor
