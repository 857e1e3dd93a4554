"""Vocabularies of a language model: what `seqapps.text.vocabulary` does, without training."""

from typing import Any

import numpy as np
import sentencepiece

MARK, UNKNOWN_TOKEN = 0, 1
"""Between two documents; a character that was not in the training text."""


class Tokens:
    """Text to token numbers and back.

    Args:
        table: What vocabulary.json says.
        proto: The SentencePiece model, empty for other kinds.

    Attributes:
        surfaces: What each token writes, in bytes; of the mark nothing.
        never: Tokens that are never written.
    """

    def __init__(self, table: dict[str, Any], proto: bytes = b"") -> None:
        self.kind = table["kind"]
        self._model: Any = None
        unknown = "\ufffd".encode()
        if self.kind == "bytes":
            self.surfaces = [b"", *(bytes([value]) for value in range(256))]
        elif self.kind == "characters":
            self.surfaces = [b"", unknown, *(c.encode() for c in table["tokens"])]
            self._places = {c: i for i, c in enumerate(table["tokens"], 2)}
        else:
            self._model = sentencepiece.SentencePieceProcessor(model_proto=proto)
            self.surfaces = [b"", unknown]
            for number in range(2, self._model.get_piece_size()):
                piece = self._model.id_to_piece(number)
                if self._model.is_byte(number):
                    self.surfaces.append(bytes([int(piece[3:5], 16)]))
                else:
                    self.surfaces.append(piece.replace("\u2581", " ").encode())
        self.never = () if self.kind == "bytes" else (UNKNOWN_TOKEN,)
        self.longest = max(map(len, self.surfaces))

    def encode(self, text: bytes) -> list[int]:
        """The tokens of a text, without marks."""
        if self.kind == "bytes":
            return [value + 1 for value in text]
        decoded = text.decode("utf-8", "replace")
        if self._model:
            return list(self._model.encode(decoded))
        return [self._places.get(c, UNKNOWN_TOKEN) for c in decoded]

    def mask(self, texts: Any) -> Any:
        """Which tokens are among some texts: bool, (V,)."""
        wanted = {text for text in texts if text}
        return np.array([surface in wanted for surface in self.surfaces])
