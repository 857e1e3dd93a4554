"""What `tune` tries: a range or a choice for each setting that is worth it.

A recipe declares its space beside its settings, by the settings' paths:

    SPACE = {
        "training.learning_rate": Float(5e-4, 1e-2, log=True),
        "model.units": Whole(64, 512, step=64),
        "model.cell": OneOf(("gru", "lstm")),
    }
"""

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args, get_origin

from seqapps.config import Setting, nearest, settings_of, show

__all__ = ["Float", "OneOf", "Space", "Whole"]


@dataclass(frozen=True)
class Float:
    """Any number from `low` to `high`.

    Raises:
        ValueError: If the range is empty, not finite, or logarithmic and not positive.
    """

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    _: KW_ONLY
    log: bool = False
    """Whether 0.01 to 0.1 is as wide as 0.1 to 1."""
    examples: bool = False
    """Whether the recipe's examples depend on this setting, so that each trial loads them anew.
    Those of the sections `data` and `text` and `training.batch_tokens` are known to."""

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def contains(self, value: Any) -> bool:
        """Whether a value is in the range."""
        return _is_number(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (logarithmic)' if self.log else ''}"


@dataclass(frozen=True)
class Whole:
    """An integer from `low` to `high`.

    Raises:
        ValueError: If the range is empty, logarithmic and not positive, or no multiple of the
            step, or if both a step and a logarithm are asked for.
    """

    low: int
    """Smallest value."""
    high: int
    """Largest value."""
    _: KW_ONLY
    log: bool = False
    """Whether 10 to 100 is as wide as 100 to 1000."""
    step: int = 1
    """Distance of neighbours."""
    examples: bool = False
    """Whether the recipe's examples depend on this setting; see `Float.examples`."""

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)
        if self.step < 1 or (self.high - self.low) % self.step:
            raise ValueError(
                f"step must be at least 1 and divide {self.high - self.low} (high - low), got "
                f"{self.step}."
            )
        if self.log and self.step != 1:
            raise ValueError(f"a logarithmic range has no step, got {self.step}; leave one out.")

    def contains(self, value: Any) -> bool:
        """Whether a value is in the range, at a step."""
        inside = _is_number(value) and self.low <= value <= self.high
        return bool(inside and (value - self.low) % self.step == 0)

    def __str__(self) -> str:
        step = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.low} to {self.high}{step}{' (logarithmic)' if self.log else ''}"


@dataclass(frozen=True)
class OneOf:
    """One of a few values, in no order.

    Raises:
        ValueError: If there are fewer than two, one twice, or one that is no simple value.
    """

    values: tuple[str | int | float | bool | None, ...]
    """What to choose from."""
    _: KW_ONLY
    examples: bool = False
    """Whether the recipe's examples depend on this setting; see `Float.examples`."""

    def __post_init__(self) -> None:
        for value in self.values:
            if value is not None and not isinstance(value, str | int | float):
                raise ValueError(f"a choice must be text, a number, a bool or None, got {value!r}.")
        if len(set(self.values)) < max(2, len(self.values)):
            raise ValueError(f"a choice needs two values or more, each once, got {self.values!r}.")

    def contains(self, value: Any) -> bool:
        """Whether a value is among them."""
        return value in self.values

    def __str__(self) -> str:
        return " | ".join(map(show, self.values))


Choice = Float | Whole | OneOf
"""What a setting may be."""
Space = Mapping[str, Choice]
"""Path of a setting → what it may be."""


def check_space(space: Space, config_class: type) -> None:
    """Checks that a space fits the settings.

    Raises:
        ValueError: If a path is not a setting, its choice is not of the setting's type, or trials
            could not be compared.
    """
    known = settings_of(config_class)
    for path, choice in space.items():
        if path not in known:
            near = nearest(path, known)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}."
            raise ValueError(f"the space of tune has {path}, which is not a setting; {hint}")
        if path == "training.monitor":
            raise ValueError(
                "the space of tune has training.monitor, which decides what the value of a trial "
                "is; values would not compare, so leave it out."
            )
        if not _fits(known[path], choice):
            raise ValueError(
                f"the space of tune has {path} as {choice}, and that setting takes "
                f"{known[path].metavar}; use a choice of its type."
            )


def describe_space(space: Space, config_class: type) -> str:
    """Returns one line for each setting in a space: its path, what it may be, its default.

    Raises:
        ValueError: If the space does not fit the settings.
    """
    check_space(space, config_class)
    known = settings_of(config_class)
    width = max(map(len, space), default=0)
    lines = [
        f"  {path:{width}}  {choice}  (default: {show(known[path].default)})"
        for path, choice in space.items()
    ]
    return "\n".join(lines)


def needs_examples(space: Space) -> bool:
    """Whether examples have to be loaded for each trial anew."""
    return needs_assets(space) or "training.batch_tokens" in space


def needs_assets(space: Space) -> bool:
    """Whether tokenizers and the like have to be fitted for each trial anew."""
    return any(
        choice.examples or path.partition(".")[0] in ("data", "text")
        for path, choice in space.items()
    )


def _fits(setting: Setting, choice: Choice) -> bool:
    """Whether every value of a choice is of the setting's type."""
    if isinstance(choice, OneOf):
        return all(_allows(setting.type, value) for value in choice.values)
    wanted = float if isinstance(choice, Float) else int
    return wanted in (setting.type, *get_args(setting.type))


def _allows(hint: Any, value: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_args(hint):
        return any(_allows(part, value) for part in get_args(hint))
    if value is None:
        return hint is type(None)
    return hint is type(value) or (hint is float and type(value) is int)


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"a range must go from a number to a higher one, got {low} to {high}.")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must begin above 0, got {low}; use log=False.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
