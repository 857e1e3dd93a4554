"""What is said: commands to a house and numbers, drawn from a grammar."""

from dataclasses import dataclass

import numpy as np

_ROOMS = ("kitchen", "bedroom", "garden", "office", "hall", "garage", "bathroom", "cellar")
_DEVICES = ("light", "fan", "heater", "lamp", "radio", "screen", "camera", "oven")
_SWITCHES = ("turn on", "turn off", "switch on", "switch off")
_PLAYERS = ("play", "stop", "pause", "skip", "repeat")
_ORDERS = ("first", "next", "last", "second", "third")
_WORKS = ("song", "film", "message", "story", "record")
_MOVES = ("open", "close", "lock", "check")
_SIDES = ("front", "back", "left", "right", "upper")
_HOLES = ("door", "window", "gate", "blind", "curtain")
_UNITS = ("seconds", "minutes", "hours", "days")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


@dataclass(frozen=True)
class Phrase:
    """Something to say."""

    text: str
    """In lower case, numbers as words."""
    combination: str
    """What it combines, such as the room and the device: a combination is of one split alone."""


def number_words(number: int) -> str:
    """A number from 0 to 9,999 as it is said: "two thousand three hundred and five".

    Raises:
        ValueError: Another number.
    """
    if not 0 <= number <= 9999:
        raise ValueError(f"number must be from 0 to 9999, got {number}.")
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_SMALL[rest]}" if rest else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    count, rest = divmod(number, size)
    words = f"{number_words(count)} {name}"
    if not rest:
        return words
    return f"{words} {'and ' if rest < 100 else ''}{number_words(rest)}"


def draw(rng: np.random.Generator) -> Phrase:
    """Draws a phrase."""

    def one(words: tuple[str, ...]) -> str:
        return words[rng.integers(len(words))]

    kind = rng.integers(8)
    if kind == 0:
        switch, room, device = one(_SWITCHES), one(_ROOMS), one(_DEVICES)
        return Phrase(f"{switch} the {room} {device}", f"{room} {device}")
    if kind == 1:
        player, order, work = one(_PLAYERS), one(_ORDERS), one(_WORKS)
        return Phrase(f"{player} the {order} {work}", f"{player} {order} {work}")
    if kind == 2:
        move, side, hole = one(_MOVES), one(_SIDES), one(_HOLES)
        return Phrase(f"{move} the {side} {hole}", f"{move} {side} {hole}")
    if kind == 3:
        number, unit = int(rng.integers(2, 100)), one(_UNITS)
        return Phrase(f"set a timer for {number_words(number)} {unit}", f"timer {number} {unit}")
    if kind == 4:
        room, device, number = one(_ROOMS), one(_DEVICES), int(rng.integers(1, 100))
        text = f"set the {room} {device} to {number_words(number)} percent"
        return Phrase(text, f"{room} {device}")
    if kind == 5:
        hour, minute, day = int(rng.integers(1, 13)), int(rng.integers(10, 60)), one(_DAYS)
        text = f"wake me at {number_words(hour)} {number_words(minute)} on {day}"
        return Phrase(text, f"wake {hour} {day}")
    if kind == 6:
        digits = rng.integers(10, size=rng.integers(3, 6))
        text = " ".join(_SMALL[digit] for digit in digits)
        return Phrase(f"call {text}", f"call {text}")
    number = int(rng.integers(10 ** rng.integers(2, 5)))
    return Phrase(number_words(number), f"number {number}")
