"""Settings that have a range: it stands where the setting is declared, and nowhere else.

The settings themselves, the servable's options, `seqapps.load`, the server, its API page and the
predictors without TensorFlow all read it from there.
"""

import math
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Literal

__all__ = ["check_ranges", "ranged"]

Cost = Literal["", "hypotheses", "tokens"]
"""What the work of a request grows with: `hypotheses` that are kept, `tokens` that are written."""
LIMITS = ("least", "most", "above", "costs", "most_bytes")
"""What the metadata of a setting may say of its values."""


def ranged(
    default: Any,
    *,
    least: float | None = None,
    most: float | None = None,
    above: bool = False,
    remedy: str = "",
    costs: Cost = "",
) -> Any:
    """Declares a number of a settings dataclass with its range; `check_ranges` checks it.

    Args:
        default: Its value if nobody says otherwise.
        least: Smallest value.
        most: Largest value.
        above: Whether `least` itself is left out.
        remedy: What the error says besides.
        costs: What the work of a request grows with.
    """
    given = {"least": least, "most": most, "above": above, "remedy": remedy, "costs": costs}
    return field(default=default, metadata={n: v for n, v in given.items() if v not in (None, "")})


def check_ranges(settings: Any) -> None:
    """Checks every number of a settings dataclass that was declared with `ranged`; all are finite.

    Raises:
        ValueError: If one is out of its range.
    """
    for each in fields(settings):
        if "least" not in each.metadata and not isinstance(getattr(settings, each.name), float):
            continue
        if not fits(getattr(settings, each.name), each.metadata):
            remedy = each.metadata.get("remedy")
            raise ValueError(
                f"{each.name} must be {in_words(each.metadata)}, got "
                f"{getattr(settings, each.name)}{f'; {remedy}' if remedy else ''}."
            )


def fits(value: Any, limits: Mapping[str, Any]) -> bool:
    """Whether a number is finite and in a range: `least`, `most` and `above`, if they are given."""
    least, most = limits.get("least"), limits.get("most")
    if not math.isfinite(value):
        return False
    if least is not None and not (value > least if limits.get("above") else value >= least):
        return False
    return most is None or bool(value <= most)


def in_words(limits: Mapping[str, Any]) -> str:
    """A range as a sentence says it: `from 1 to 1000`."""
    least, most = limits.get("least"), limits.get("most")
    if limits.get("above"):
        return f"above {_shown(least)}" + ("" if most is None else f" and at most {_shown(most)}")
    if least is None:
        return "a finite number" if most is None else f"at most {_shown(most)}"
    return (
        f"at least {_shown(least)}" if most is None else f"from {_shown(least)} to {_shown(most)}"
    )


def _shown(number: Any) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
