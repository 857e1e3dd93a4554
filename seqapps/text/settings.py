"""Settings of how texts become numbers, the same in every recipe."""

import re
from dataclasses import dataclass
from typing import Literal

from seqapps.automatic import auto
from seqapps.text.cut import Cut

PYTHON_HELP = "python-help"
"""Names the English sentences of Python's own help, where a text file is named else."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """How texts become numbers.

    Raises:
        ValueError: If a value is outside its range.
    """

    vocabulary: int = 1200
    """SentencePiece pieces of each language (of both together if `model.share_embeddings`)."""
    sampling: float = 0.0
    """Subword regularisation: in training, cut words at random, likelier cuts more often (to this
    power); 0 always takes the likeliest cut."""

    def __post_init__(self) -> None:
        if self.vocabulary < 8:
            raise ValueError(f"vocabulary must be at least 8, got {self.vocabulary}.")
        if self.sampling < 0:
            raise ValueError(f"sampling must be at least 0, got {self.sampling}.")


@dataclass(frozen=True, kw_only=True)
class LongText(Text):
    """How texts of any length become numbers.

    Raises:
        ValueError: If a value is outside its range.
    """

    vocabulary: int = 8000
    """SentencePiece pieces; texts with few different words give fewer."""
    max_tokens: int = 400
    """Pieces of a text that are read at most."""
    keep: Literal["head", "tail", "both"] = "both"
    """What is kept of a longer text: its first pieces, its last, or a quarter from the front and
    the rest from the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_tokens < 4:
            raise ValueError(f"max_tokens must be at least 4, got {self.max_tokens}.")

    @property
    def cut(self) -> Cut:
        """The rule by which long texts are cut."""
        return Cut(self.max_tokens, self.keep)


@dataclass(frozen=True, kw_only=True)
class RunningText:
    """How running text becomes streams of numbers.

    Raises:
        ValueError: If a value is outside its range.
    """

    kind: Literal["characters", "bytes", "pieces"] = "characters"
    """What a token is: a character that occurs in the training text, a byte (of any file), or a
    SentencePiece piece, with bytes for what the pieces do not cover."""
    vocabulary: int = 2000
    """Pieces of the vocabulary, where tokens are pieces."""
    window: int = 64
    """Tokens of each row in a batch: how far gradients reach back. States reach further: they are
    carried from batch to batch. A batch has as many rows as `training.batch_tokens` allows."""
    varied: bool = True
    """Draw the length of each window around `window`, so that no token always stands at an edge."""

    def __post_init__(self) -> None:
        for name, least in (("vocabulary", 8), ("window", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class Transcripts:
    """What a recogniser writes.

    Raises:
        ValueError: If a value is outside its range.
    """

    pieces: int = 0
    """SentencePiece pieces that it writes; 0: single characters."""
    alphabet: str = ""
    """Characters that it writes; training recordings with others in their transcripts are left
    out. Empty: those of the training transcripts."""
    lower: bool = True
    """Put transcripts in lower case."""
    punctuation: str = auto("keep")
    """`keep` writes punctuation marks as the transcripts have them, `drop` leaves out those that
    nobody says; an apostrophe within a word stays."""
    strip: tuple[str, ...] = ()
    r"""What is left out of transcripts, or written otherwise: `["\"", "é=e", "&= and "]` leaves out
    quotation marks, and writes e for é and and for &. Compared after `lower`, before
    `punctuation`."""
    language: str = auto("")
    """Language of the transcripts, such as tr or en-us: lower case is that of Turkish (ı for I, i
    for İ) in tr and az. In others İ stays as it is."""
    language_order: int = 6
    """Symbols of the n-grams of the language model that the search uses; 0 for none."""
    language_text: str = auto("")
    """Text file, one sentence a line, from which it learns besides the training transcripts;
    `python-help`: the English sentences of Python's own help."""

    def __post_init__(self) -> None:
        if self.pieces and self.pieces < 16:
            raise ValueError(f"pieces must be 0 or at least 16, got {self.pieces}.")
        if self.pieces and self.alphabet:
            raise ValueError(
                f"alphabet is for single characters, and pieces is {self.pieces}; leave one of "
                "them out."
            )
        if self.punctuation not in ("keep", "drop"):
            raise ValueError(f"punctuation must be keep or drop, got {self.punctuation!r}.")
        if not all(self.strip):
            raise ValueError("strip must hold characters, or 'é=e' to write them so; got ''.")
        if self.language and not re.fullmatch("[A-Za-z]{2,3}([-_].+)?", self.language):
            raise ValueError(f"language must be a code such as tr or en-us, got {self.language!r}.")
        if not 0 <= self.language_order <= 20:
            raise ValueError(f"language_order must be from 0 to 20, got {self.language_order}.")
