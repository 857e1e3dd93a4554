"""Strategy values with which forms of a model are compared, from what the options declare."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from seqapps.fields import Option
from seqapps.ranges import fits

Strategy = Mapping[str, Any]
"""Strategy values by name; others have their defaults."""

SHORT = 48
"""Tokens of a text at most: of a long one that is drawn, one near tie would change the rest."""
_HYPOTHESES = (3, 5)
_TOKENS = (20, SHORT)
_SEEDS = (7, 2**40 + 5)
_TEXTS = ("a", "Th")
_LISTS = (("e",), (" a", "e ", "seven"))
_SHARE = 0.6
"""Of the options that a combination sets."""


def defaults(options: Sequence[Option]) -> dict[str, Any]:
    """What every strategy begins with: nothing, but that texts are short."""
    return {option.name: _usual(option) for option in options if _usual(option) != option.default}


def _usual(option: Option) -> Any:
    """An option's value where nothing else is asked for."""
    default = option.default
    if option.costs == "tokens" and not isinstance(default, str | tuple):
        return min(default, SHORT)
    return default


def singles(options: Sequence[Option]) -> list[Strategy]:
    """Each option by itself at some values other than its default."""
    return [
        _together(options, {option.name: value}) for option in options for value in values(option)
    ]


def combinations(options: Sequence[Option], count: int = 6) -> list[Strategy]:
    """Several options at once, drawn at random; always the same ones.

    Args:
        options: What may be set.
        count: How many.

    Returns:
        Fewer than `count` where there is little to combine.
    """
    drawn = random.Random(0)
    made: list[Strategy] = []
    if len(options) < 2:
        return made
    for _ in range(count):
        chosen = {
            # The last values: the first ones are the least, with which there may be no answer.
            option.name: drawn.choice(values(option)[-2:])
            for option in options
            if values(option) and drawn.random() < _SHARE
        }
        if chosen and (strategy := _together(options, chosen)) not in made:
            made.append(strategy)
    return made


def values(option: Option) -> list[Any]:
    """A few values of an option other than its default, the least first and none that is costly."""
    if option.dtype == "string":
        some: Sequence[Any] = [list(each) for each in _LISTS] if option.rank else _TEXTS
        default: Any = list(option.default) if isinstance(option.default, tuple) else option.default
        return [value for value in some if value != default]
    limits = vars(option)
    chosen = [value for value in _numbers(option) if fits(value, limits)]
    return [value for value in dict.fromkeys(chosen) if value != _usual(option)]


def _numbers(option: Option) -> Sequence[float]:
    """Values in the range of a number: the least or just above it, some between, a modest one."""
    default = option.default
    if isinstance(default, str | tuple):
        return ()
    least = [] if option.least is None or option.above else [option.least]
    if option.costs:
        return [*least, *(_HYPOTHESES if option.costs == "hypotheses" else _TOKENS)]
    if option.dtype == "int64":
        return _SEEDS
    whole = option.dtype == "int32"
    low = option.least if option.least is not None else default - (10 if whole else 1.5)
    high = max(low + 20, default) if whole else max(low + 1, 2 * abs(default))
    high = high if option.most is None else min(high, option.most)
    if whole:
        return [int(low) + option.above, int(low + 0.4 * (high - low)), int(high)]
    first = low + 0.1 * (high - low) if option.above else low
    return [round(value, 3) for value in (first, low + 0.4 * (high - low), high)]


def _together(options: Sequence[Option], chosen: Strategy) -> Strategy:
    """The strategy that is valid: no more answers are asked for than hypotheses are kept."""
    wide = {**{option.name: option.default for option in options}, **chosen}
    if {"n_best", "beam_width"} <= wide.keys() and wide["n_best"] > wide["beam_width"]:
        return {**chosen, "beam_width": wide["n_best"]}
    return chosen
