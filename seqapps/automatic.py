"""Defaults that follow the data and the time there is: `auto`.

A setting's default may be `auto(64)`: a number like any other, 64, which remembers that nobody
chose it. A recipe's `settle` replaces it by what its rule gives for the data at hand; a value that
somebody typed carries no mark and stays.
"""

import dataclasses
from typing import Any, TypeVar

__all__ = ["AUTO", "auto", "is_auto", "plain", "settled"]

AUTO = "auto"
"""How such a value is shown, stored and typed."""

T = TypeVar("T", int, float, str)
C = TypeVar("C")


class _Auto:
    """Marks a value as a default that nobody chose."""


class _AutoInt(int, _Auto):
    pass


class _AutoFloat(float, _Auto):
    pass


class _AutoStr(str, _Auto):
    pass


def auto(fallback: T) -> T:
    """A default that the data decide.

    Args:
        fallback: Its value where nothing decides: in Python, and in recipes without a rule for it.
    """
    kinds: dict[type, Any] = {int: _AutoInt, float: _AutoFloat, str: _AutoStr}
    marked: T = kinds[type(fallback)](fallback)
    return marked


def is_auto(value: Any) -> bool:
    """Whether nobody chose a value."""
    return isinstance(value, _Auto)


def settled(config: C, **values: Any) -> C:
    """Fills in what nobody chose.

    Args:
        config: A dataclass of settings, with or without sections.
        **values: What a rule gives, by the setting's name, its section's in front where it has
            one: `training__epochs=12`. Those that somebody chose stay as they are.

    Raises:
        TypeError: If there is no such setting.
    """
    for path, value in values.items():
        config = _filled(config, path.split("__"), value)
    return config


def _filled(config: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    if name not in {field.name for field in dataclasses.fields(config)}:
        raise TypeError(f"{type(config).__name__} has no setting {name}.")
    old = getattr(config, name)
    new = _filled(old, rest, value) if rest else value if is_auto(old) else old
    return dataclasses.replace(config, **{name: new})


def plain(config: C) -> C:
    """Gives every setting that is `auto` still its fallback, as a plain value."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]  # C is a dataclass.
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = plain(value)
        elif is_auto(value):
            changes[field.name] = type(value).__mro__[1](value)
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]
