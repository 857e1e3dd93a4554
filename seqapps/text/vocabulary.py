"""Vocabularies of a language model, outside the graph: characters, bytes, SentencePiece pieces.

The number 0 is the mark between two documents, with which every text begins and may end.
"""

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sentencepiece as spm

from seqapps.errors import UserError
from seqapps.fields import Assets, asset, damaged_asset

__all__ = ["Vocabulary"]

Ids = npt.NDArray[np.int32]
Kind = Literal["characters", "bytes", "pieces"]

MARK, UNKNOWN = 0, 1
"""Between two documents; a character that was not in the training text."""
SPACE = "\u2581"
"""How SentencePiece writes a space."""

_NAME, _MODEL = "vocabulary.json", "text.model"
# The library sums counts per thread, so another number of threads learns slightly other scores.
_TRAINING_THREADS = 16
_LONGEST_LINE = 1 << 30
_UNKNOWN_SURFACE = "\ufffd".encode()


class Vocabulary:
    """Text to token numbers and back.

    Attributes:
        kind: What a token is.
        surfaces: What each token writes, in bytes; of the mark nothing.
        proto: The SentencePiece model, empty for other kinds.
    """

    def __init__(self, kind: Kind, surfaces: Sequence[bytes], proto: bytes = b"") -> None:
        self.kind, self.surfaces, self.proto = kind, list(surfaces), proto
        self._model = spm.SentencePieceProcessor(model_proto=proto) if proto else None
        self._codes = (
            np.array([ord(surface.decode()) for surface in self.surfaces[2:]], np.uint32)
            if kind == "characters"
            else np.zeros(0, np.uint32)
        )

    @classmethod
    def fit(cls, kind: Kind, documents: Sequence[bytes], *, size: int) -> "Vocabulary":
        """Finds the tokens of some texts.

        Args:
            kind: `characters`: each that occurs; `bytes`: all 256; `pieces`: as many as `size`
                says, with bytes for what they do not cover.
            documents: UTF-8.
            size: Of pieces alone.

        Raises:
            UserError: If a vocabulary of pieces of that size cannot be made of the texts.
        """
        if kind == "bytes":
            return cls(kind, [b"", *(bytes([value]) for value in range(256))])
        if kind == "characters":
            characters = sorted(set().union(*(set(_text(document)) for document in documents)))
            return cls(kind, [b"", _UNKNOWN_SURFACE, *(c.encode() for c in characters)])
        return cls._of_pieces(_train_pieces(documents, size))

    @classmethod
    def from_assets(cls, assets: Assets) -> "Vocabulary":
        """Reads what `assets` gave.

        Raises:
            UserError: If it is missing or damaged.
        """
        try:
            table = json.loads(asset(assets, _NAME))
            kind = table["kind"]
            if kind == "bytes":
                return cls.fit("bytes", [], size=0)
            if kind == "characters":
                return cls(kind, [b"", _UNKNOWN_SURFACE, *(c.encode() for c in table["tokens"])])
            if kind == "pieces":
                return cls._of_pieces(asset(assets, _MODEL))
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise damaged_asset(_NAME, error) from None
        raise damaged_asset(_NAME, f"there is no vocabulary of {kind!r}")

    @classmethod
    def _of_pieces(cls, proto: bytes) -> "Vocabulary":
        model = spm.SentencePieceProcessor(model_proto=proto)
        surfaces = [b"", _UNKNOWN_SURFACE]
        for number in range(2, model.get_piece_size()):
            piece = model.id_to_piece(number)
            if model.is_byte(number):
                surfaces.append(bytes([int(piece[3:5], 16)]))
            else:
                surfaces.append(piece.replace(SPACE, " ").encode())
        return cls("pieces", surfaces, proto)

    @property
    def pieces(self) -> tuple[dict[int, str], npt.NDArray[np.float32]]:
        """What each SentencePiece piece writes by its number, and the score of every token.

        The bytes that stand for what no piece covers are not among them.
        """
        model = self._model
        if model is None:
            raise ValueError(f"a vocabulary of {self.kind} has no pieces.")
        numbers = [i for i in range(UNKNOWN + 1, self.size) if not model.is_byte(i)]
        scores = np.array([model.get_score(i) for i in range(self.size)], np.float32)
        return {i: self.surfaces[i].decode() for i in numbers}, scores

    @property
    def size(self) -> int:
        """Tokens, the mark included."""
        return len(self.surfaces)

    @property
    def assets(self) -> dict[str, bytes]:
        """Files from which `from_assets` makes the vocabulary again."""
        table: dict[str, Any] = {"kind": self.kind}
        if self.kind == "characters":
            table["tokens"] = [surface.decode() for surface in self.surfaces[2:]]
        files = {_NAME: json.dumps(table, ensure_ascii=False).encode()}
        return {**files, _MODEL: self.proto} if self.proto else files

    def encode(self, document: bytes) -> Ids:
        """The tokens of a text: int32, (tokens,), without marks.

        Bytes that are not UTF-8 are read as U+FFFD, but by a vocabulary of bytes.
        """
        if self.kind == "bytes":
            return np.frombuffer(document, np.uint8).astype(np.int32) + 1
        text = _text(document)
        if self._model:
            return np.array(self._model.encode(text), np.int32)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if not len(self._codes):
            return np.full(len(codes), UNKNOWN, np.int32)
        places = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        ids = np.where(self._codes[places] == codes, places + 2, UNKNOWN)
        return np.asarray(ids, np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        """What tokens write, in bytes."""
        return b"".join(self.surfaces[token] for token in ids)

    def stream(self, documents: Sequence[bytes]) -> Ids:
        """All documents behind one another, a mark before each and one at the end."""
        parts: list[Ids] = []
        for document in documents:
            parts += [np.array([MARK], np.int32), self.encode(document)]
        return np.concatenate([*parts, np.array([MARK], np.int32)])


def check_strategy(assets: Assets, *, banned: Sequence[str], begin: str) -> None:
    """Checks what only the vocabulary can tell of a strategy.

    Args:
        assets: Of the model that writes.
        banned: Texts that must be single tokens.
        begin: Text that must be of known characters.

    Raises:
        UserError: If one is not.
    """
    if not banned and not begin:
        return
    vocabulary = Vocabulary.from_assets(assets)
    known = set(vocabulary.surfaces[MARK + 1 :])
    for text in banned:
        if text and text.encode("utf-8", "surrogatepass") not in known:
            raise UserError(
                f"banned must name single tokens of the vocabulary of {vocabulary.kind}, got "
                f"{text!r}; take it out, or name its parts."
            )
    if vocabulary.kind != "bytes":
        ids = vocabulary.encode(begin.encode("utf-8", "surrogatepass"))
        if UNKNOWN in ids:
            place = int(np.flatnonzero(ids == UNKNOWN)[0])
            # Pieces have bytes for every character, so here a token is a character.
            raise UserError(
                f"begin must be of characters that the model knows, got {begin!r}, of which it "
                f"does not know {begin[place : place + 1]!r}."
            )


def _text(document: bytes) -> str:
    return document.decode("utf-8", "replace")


def _train_pieces(documents: Sequence[bytes], size: int) -> bytes:
    """Trains SentencePiece so that decoding what was encoded gives the text back."""
    spm.set_random_generator_seed(0)
    model = io.BytesIO()
    # A line a sentence, its end with it, so that the ends are tokens too.
    lines = (line for document in documents for line in _text(document).splitlines(keepends=True))
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=0.9998,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            max_sentence_length=_LONGEST_LINE,
            num_threads=_TRAINING_THREADS,
            user_defined_symbols=["\n"],
            pad_id=MARK,
            unk_id=UNKNOWN,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(
            f"a vocabulary of {size} pieces cannot be made of this text; choose another "
            f"--text.vocabulary, or --text.kind bytes. SentencePiece says: {error}"
        ) from error
    return model.getvalue()
