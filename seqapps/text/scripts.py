"""Scripts that are written without spaces between words, and what stands for words there."""

import re

WORD_START = "\u2581"
"""The character by which SentencePiece marks the start of a word inside a piece."""

_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3000, 0x30FF),  # Chinese and Japanese punctuation, hiragana, katakana
    (0x3100, 0x312F),  # Bopomofo
    (0x31F0, 0x31FF),  # Katakana of Ainu
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),  # Yi
    (0xF900, 0xFAFF),  # Chinese characters
    (0xFF00, 0xFF9F),  # Full-width and half-width forms
    (0x20000, 0x3FFFF),  # Chinese characters
)
"""First and last code points of blocks. Korean is written with spaces."""
UNSPACED = re.compile(f"[{''.join(f'{chr(a)}-{chr(b)}' for a, b in _WITHOUT_SPACES)}]")
"""Finds a character of theirs."""


def without_spaces(character: str) -> bool:
    """Whether words of a character's script follow each other without spaces."""
    return UNSPACED.match(character) is not None


def begins_unit(piece: str, before: str) -> bool:
    """Whether a piece begins a word; where words are not written apart, each piece is one.

    Args:
        piece: What SentencePiece writes for it.
        before: The same of the piece before it, empty for none.
    """
    if piece.startswith(WORD_START):
        return True
    # A mark alone has begun the word already.
    return without_spaces(piece[0]) and before != WORD_START
