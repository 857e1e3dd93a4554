"""Settings of decoding, the same in every recipe that writes tokens."""

from dataclasses import dataclass, field

_WIDEST = 1000
"""Hypotheses that a beam search keeps, at most: memory grows with them."""
SCORES, MARKS = 5, 9
"""Numbers of a hypothesis of a recogniser's search: floats, and whole numbers."""
_LONGEST_STOP = 256
"""Bytes of a stop string, at most: `decoding.writing` remembers so many."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How an answer is found.

    Raises:
        ValueError: If a value is outside its range.
    """

    beam_width: int = 4
    """Hypotheses that a beam search keeps, at most 1000; 1 is greedy."""
    length_penalty: float = 1.0
    """0 compares log-probabilities, which favours short answers; 1 nearly means per token."""
    n_best: int = 1
    """Answers for each input, at most the beam width."""
    temperature: float = 0.0
    """Above 0: draw the answer at random instead, more freely the higher."""
    top_k: int = 0
    """When drawing: only among this many likeliest tokens; 0 for all."""
    top_p: float = 1.0
    """When drawing: only among the likeliest tokens that hold this much probability."""
    seed: int = 0
    """When drawing: equal seeds give equal answers."""

    def __post_init__(self) -> None:
        if self.beam_width < 1:
            raise ValueError(
                f"beam_width must be at least 1, got {self.beam_width}; use 1 for greedy search."
            )
        if self.beam_width > _WIDEST:
            raise ValueError(
                f"beam_width must be at most {_WIDEST}, got {self.beam_width}; wider beams rarely "
                "find better answers."
            )
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(
                f"n_best must be from 1 to beam_width ({self.beam_width}), got {self.n_best}."
            )
        if not self.temperature >= 0:
            raise ValueError(
                f"temperature must be at least 0, got {self.temperature}; use 0 to search."
            )
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, got {self.top_k}; use 0 for all tokens.")
        if self.top_k >= 2**31:
            raise ValueError(f"top_k must be below 2**31, got {self.top_k}; use 0 for all tokens.")
        if not 0 < self.top_p <= 1:
            raise ValueError(
                f"top_p must be above 0 and at most 1, got {self.top_p}; use 1 for all tokens."
            )
        if not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed must be from -2**63 to 2**63 - 1, got {self.seed}.")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a text is written.

    Raises:
        ValueError: If a value is outside its range.
    """

    max_length: int = 200
    """Tokens of a text at most, from 0 to 100,000."""
    min_length: int = 0
    """Neither the end nor a stop string counts before this many tokens."""
    temperature: float = 0.8
    """0 takes the likeliest token each time; the higher, the freelier the text is drawn."""
    top_k: int = 0
    """Draw only among this many likeliest tokens; 0 for all."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that hold this much probability."""
    min_p: float = 0.0
    """Draw only tokens at least this share as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """Above 1: make tokens that occurred less likely, in prompt or text."""
    samples: int = 1
    """Texts for each prompt, at most 256; text i is what `seed` + i alone would give."""
    beam_width: int = 1
    """Above 1: search for the likeliest text with this many hypotheses, at most 1000, instead of
    drawing. Of the settings here it knows `max_length` and `samples` alone."""
    seed: int = 0
    """Equal seeds give equal texts."""
    stop: tuple[str, ...] = field(default=(), metadata={"most_bytes": _LONGEST_STOP})
    """The text ends before the first of these, of at most 256 bytes each."""
    banned: tuple[str, ...] = ()
    """Tokens that are never written: characters, or whatever the vocabulary's tokens are. `predict`
    refuses what is no single token; the SavedModel passes over it."""
    begin: str = ""
    """The text begins with this; its probability counts. `predict` refuses characters that are not
    in the vocabulary; the SavedModel writes U+FFFD for them."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("max_length", 0, 100_000),
            ("min_length", 0, 100_000),
            ("top_k", 0, 2**31 - 1),
            ("samples", 1, 256),
            ("beam_width", 1, _WIDEST),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(
                    f"{name} must be from {least} to {most}, got {getattr(self, name)}."
                )
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be at least 0, got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}.")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be from 0 to 1, got {self.min_p}.")
        if not 0 < self.repetition_penalty < float("inf"):
            raise ValueError(
                f"repetition_penalty must be above 0, got {self.repetition_penalty}; 1 is none."
            )
        if not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed must be from -2**63 to 2**63 - 1, got {self.seed}.")
        for text in self.stop:
            if len(text.encode("utf-8", "surrogatepass")) > _LONGEST_STOP:
                raise ValueError(
                    f"stop strings must have at most {_LONGEST_STOP} bytes, got {text[:40]!r}..."
                )


@dataclass(frozen=True, kw_only=True)
class Transcription:
    """How a recogniser's answer is found.

    Raises:
        ValueError: If a value is outside its range.
    """

    beam_width: int = 8
    """Hypotheses that the search keeps, at most 1000."""
    n_best: int = 1
    """Answers for each recording, at most the beam width."""
    language: float = 1.0
    """How much the language model of the transcripts counts, relative to what was best on the
    validation split; 0 leaves it out."""
    hot_words: tuple[str, ...] = ()
    """Words that are expected; the search prefers them where they fit."""
    hot_word_weight: float = 1.5
    """What each character of such a word adds to the score, in nats."""
    pause_s: float = 1.0
    """Of a stream: what was said before a silence this long, in seconds, is final; 0 waits until
    all hypotheses agree, as a whole recording does."""

    def __post_init__(self) -> None:
        if not 1 <= self.beam_width <= _WIDEST:
            raise ValueError(f"beam_width must be from 1 to {_WIDEST}, got {self.beam_width}.")
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(
                f"n_best must be from 1 to beam_width ({self.beam_width}), got {self.n_best}."
            )
        for name in ("language", "hot_word_weight", "pause_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}.")
