"""Text to piece numbers and back, by sentencepiece, as the bundle's own tokenizer does."""

import re
from collections.abc import Sequence
from typing import Any

import sentencepiece

from seqapps.text.normalise import normalise
from seqapps.text.scripts import WORD_START, begins_unit

# Nothing in it is normalised but its spaces, so the tables need not be made.
_PLAIN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u017f\u2013\u2014\u2018-\u201e\u2026\u20ac]*")

PAD, UNKNOWN, BOS, EOS = 0, 1, 2, 3


class Pieces:
    """A tokenizer.

    Args:
        proto: The SentencePiece model.
    """

    def __init__(self, proto: bytes) -> None:
        self._model = sentencepiece.SentencePieceProcessor(model_proto=proto)

    def encode(self, texts: Sequence[bytes]) -> list[Any]:
        """The most probable pieces of each text, without BOS and EOS."""
        return self._model.encode([clean(text.decode("utf-8", "replace")) for text in texts])

    def units(self, text: bytes, ids: Sequence[int], *, apart: str) -> tuple[list[str], list[int]]:
        """The words of a text; where a script has no spaces between them, its pieces if asked.

        Args:
            text: What `encode` was given.
            ids: What it gave.
            apart: `words` or `pieces`.

        Returns:
            The units, and the place of the unit that each piece belongs to.
        """
        spelled = "".join(f" {word}" for word in clean(text.decode("utf-8", "replace")).split(" "))
        pieces = [self._model.id_to_piece(i) for i in ids]
        surfaces = [piece.replace(WORD_START, " ") for piece in pieces]
        units: list[str] = []
        places, end = [], 0
        for i, piece in enumerate(pieces):
            start = end
            if ids[i] != UNKNOWN:
                end += len(surfaces[i])
            else:
                # Characters that no piece has, up to the next one that has a piece.
                end = spelled.index(surfaces[i + 1], end) if i + 1 < len(ids) else len(spelled)
            before = pieces[i - 1] if i and apart == "pieces" else WORD_START
            if begins_unit(piece, before):
                units.append("")
            units[-1] += spelled[start:end]
            places.append(len(units) - 1)
        return [unit.strip(" ") for unit in units], places

    def decode(self, ids: Any) -> str:
        """The text of some pieces."""
        return str(self._model.decode(ids.tolist()))


def clean(text: str) -> str:
    """What `normalise` gives, without its tables where they are not needed."""
    if _PLAIN.fullmatch(text):
        return " ".join(word for word in text.split(" ") if word)
    return normalise(text)
