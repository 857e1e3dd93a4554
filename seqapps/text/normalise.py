"""One normalisation of text, by explicit tables that Python and the graph share.

The rule, in this order:

1. What is not a character (invalid UTF-8 in the graph, a lone surrogate in Python) becomes U+FFFD.
2. Each character is mapped by `character_map`: Unicode white space becomes a space; control
   characters and invisible formatting marks vanish; U+2581, which SentencePiece keeps for itself,
   becomes `_`; a character that Unicode calls the same as one other becomes that one (the ångström
   sign becomes the letter Å).
3. Adjacent characters that `compositions` knows as a pair become their composed character, from
   left to right: `u` and U+0308 become `ü`.
4. Runs of spaces become one space; spaces at the ends vanish.

Steps 2 and 3 give NFC for text whose combining marks stand in canonical order and that keeps to
the Basic Multilingual Plane: precomposed or decomposed Latin, Greek, Cyrillic, Arabic, kana,
Hangul and so on. Unlike NFC they neither reorder marks, nor compose across a mark that stands
between, nor take apart the characters that NFC excludes (Devanagari qa, Hebrew presentation
forms), nor compose outside that plane. The tables come from `unicodedata`, over characters that
Unicode has promised never to change.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

REPLACEMENT = 0xFFFD
SPACE = 0x20
PLANE = 0x10000
"""The tables cover the Basic Multilingual Plane: code points below this."""

# Unicode's White_Space property. Python's str.isspace and RE2's \s are other sets.
_WHITE_SPACE = (
    *range(0x09, 0x0E),
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
)
# The controls that are not white space, then soft hyphen, zero-width space, directional marks,
# word joiner and invisible operators, byte order mark. The two zero-width (non-)joiners stay:
# they change the spelling of Persian, Indic scripts and emoji.
_REMOVED = (
    *range(0x00, 0x09),
    *range(0x0E, 0x20),
    *range(0x7F, 0x85),
    *range(0x86, 0xA0),
    0xAD,
    0x200B,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
_SURROGATES = range(0xD800, 0xE000)


def _plane_characters() -> Iterator[str]:
    """All characters of the Basic Multilingual Plane but the surrogates."""
    return (chr(code) for code in range(PLANE) if code not in _SURROGATES)


@cache
def character_map() -> dict[int, int | None]:
    """What step 2 changes: code point to code point, or to None where the character vanishes."""
    table: dict[int, int | None] = {}
    for char in _plane_characters():
        composed = unicodedata.normalize("NFC", char)
        if composed != char and len(composed) == 1 and ord(composed) < PLANE:
            table[ord(char)] = ord(composed)
    table.update(dict.fromkeys(_SURROGATES, REPLACEMENT))
    table.update(dict.fromkeys(_REMOVED))
    table.update(dict.fromkeys(_WHITE_SPACE, SPACE))
    del table[SPACE]
    table[0x2581] = ord("_")
    return table


@cache
def compositions() -> dict[tuple[int, int], int]:
    """The pairs of code points that step 3 composes, each with its composed character.

    No second character of a pair is the first of another, so pairs never compete for a character.
    """
    table = {}
    for char in _plane_characters():
        decomposed = unicodedata.normalize("NFD", char)
        if len(decomposed) > 1 and unicodedata.normalize("NFC", decomposed) == char:
            first = unicodedata.normalize("NFC", decomposed[:-1])
            table[ord(first), ord(decomposed[-1])] = ord(char)
    return table


@cache
def _unusual() -> re.Pattern[str]:
    """Matches any character that steps 1 to 3 can change."""
    seconds = {second for _, second in compositions()}
    return re.compile(f"[{''.join(map(re.escape, map(chr, seconds | set(character_map()))))}]")


@cache
def _composed_strings() -> dict[str, str]:
    return {chr(a) + chr(b): chr(composed) for (a, b), composed in compositions().items()}


def normalise(text: str) -> str:
    """Normalises one text as the module's docstring says.

    Args:
        text: Any string; lone surrogates are allowed.

    Returns:
        Text without control characters, without spaces at the ends or in a row. May be empty.
    """
    if _unusual().search(text):
        composed = _composed_strings()
        done: list[str] = []
        for char in text.translate(character_map()):
            pair = composed.get(done[-1] + char) if done else None
            if pair is None:
                done.append(char)
            else:
                done[-1] = pair
        text = "".join(done)
    # str.split() alone would also split at characters that are no white space to Unicode.
    return " ".join(word for word in text.split(" ") if word)
