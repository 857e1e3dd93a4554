"""Text to piece numbers and back, by sentencepiece, as the bundle's own tokenizer does."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import sentencepiece

from seqapps.text.normalise import normalise

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

    def begins_word(self) -> Any:
        """Whether each piece begins a word: bool, (V,)."""
        count = self._model.get_piece_size()
        return np.array([self._model.id_to_piece(i).startswith("\u2581") for i in range(count)])

    def decode(self, ids: Any) -> str:
        """The text of some pieces."""
        return str(self._model.decode(ids.tolist()))


def clean(text: str) -> str:
    """What `normalise` gives, without its tables where they are not needed."""
    if _PLAIN.fullmatch(text):
        return " ".join(word for word in text.split(" ") if word)
    return normalise(text)
