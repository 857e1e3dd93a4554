"""Settings of decoding, the same in every recipe that writes tokens."""

from dataclasses import dataclass, field

from seqapps.ranges import check_ranges, ranged

__all__ = ["Decoding", "Sampling", "Transcription"]

_WIDEST = 1000
"""Hypotheses that a beam search keeps, at most: memory grows with them."""
SCORES, MARKS = 5, 9
"""Numbers of a hypothesis of a recogniser's search: floats, and whole numbers."""
LONGEST = 100_000
"""Tokens of a text, at most."""
LONGEST_STOP = 256
"""Bytes of a stop string, at most: `decoding.stop_strings` remembers so many."""
MOST_SAMPLES = 256
"""Texts for each prompt, at most."""
_FIRST_SEED, _LAST_SEED = -(2**63), 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How an answer is found.

    Raises:
        ValueError: If a value is outside its range.
    """

    beam_width: int = ranged(
        4, least=1, most=_WIDEST, costs="hypotheses", remedy="use 1 for greedy search"
    )
    """Hypotheses that a beam search keeps, at most 1000; 1 is greedy."""
    length_penalty: float = 1.0
    """0 compares log-probabilities, which favours short answers; 1 nearly means per token."""
    n_best: int = ranged(1, least=1, most=_WIDEST, costs="hypotheses")
    """Answers for each input, at most the beam width."""
    temperature: float = ranged(0.0, least=0, remedy="use 0 to search")
    """Above 0: draw the answer at random instead, more freely the higher."""
    top_k: int = ranged(0, least=0, most=2**31 - 1, remedy="use 0 for all tokens")
    """When drawing: only among this many likeliest tokens; 0 for all."""
    top_p: float = ranged(1.0, least=0, above=True, most=1, remedy="use 1 for all tokens")
    """When drawing: only among the likeliest tokens that hold this much probability."""
    seed: int = ranged(0, least=_FIRST_SEED, most=_LAST_SEED)
    """When drawing: equal seeds give equal answers."""

    def __post_init__(self) -> None:
        check_ranges(self)
        _check_n_best(self)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a text is written.

    Raises:
        ValueError: If a value is outside its range.
    """

    max_length: int = ranged(200, least=0, most=LONGEST, costs="tokens")
    """Tokens of a text at most, from 0 to 100,000."""
    min_length: int = ranged(0, least=0, most=LONGEST, costs="tokens")
    """Neither the end nor a stop string counts before this many tokens."""
    temperature: float = ranged(0.8, least=0)
    """0 takes the likeliest token each time; the higher, the freelier the text is drawn."""
    top_k: int = ranged(0, least=0, most=2**31 - 1)
    """Draw only among this many likeliest tokens; 0 for all."""
    top_p: float = ranged(1.0, least=0, above=True, most=1)
    """Draw only among the likeliest tokens that hold this much probability."""
    min_p: float = ranged(0.0, least=0, most=1)
    """Draw only tokens at least this share as likely as the likeliest."""
    repetition_penalty: float = ranged(1.0, least=0, above=True, remedy="1 is none")
    """Above 1: make tokens that occurred less likely, in prompt or text."""
    samples: int = ranged(1, least=1, most=MOST_SAMPLES, costs="hypotheses")
    """Texts for each prompt, at most 256; text i is what `seed` + i alone would give."""
    beam_width: int = ranged(1, least=1, most=_WIDEST, costs="hypotheses")
    """Above 1: search for the likeliest text with this many hypotheses, at most 1000, instead of
    drawing. Of the settings here it knows `max_length` and `samples` alone."""
    seed: int = ranged(0, least=_FIRST_SEED, most=_LAST_SEED)
    """Equal seeds give equal texts."""
    stop: tuple[str, ...] = field(default=(), metadata={"most_bytes": LONGEST_STOP})
    """The text ends before the first of these, of at most 256 bytes each."""
    banned: tuple[str, ...] = ()
    """Tokens that are never written: characters, or whatever the vocabulary's tokens are. `predict`
    refuses what is no single token; the SavedModel passes over it."""
    begin: str = ""
    """The text begins with this; its probability counts. `predict` refuses characters that are not
    in the vocabulary; the SavedModel writes U+FFFD for them."""

    def __post_init__(self) -> None:
        check_ranges(self)
        for text in self.stop:
            if len(text.encode("utf-8", "surrogatepass")) > LONGEST_STOP:
                raise ValueError(
                    f"stop strings must have at most {LONGEST_STOP} bytes, got {text[:40]!r}..."
                )


@dataclass(frozen=True, kw_only=True)
class Transcription:
    """How a recogniser's answer is found.

    Raises:
        ValueError: If a value is outside its range.
    """

    beam_width: int = ranged(8, least=1, most=_WIDEST, costs="hypotheses")
    """Hypotheses that the search keeps, at most 1000."""
    n_best: int = ranged(1, least=1, most=_WIDEST, costs="hypotheses")
    """Answers for each recording, at most the beam width."""
    language: float = ranged(1.0, least=0)
    """How much the language model of the transcripts counts, relative to what was best on the
    validation split; 0 leaves it out."""
    hot_words: tuple[str, ...] = ()
    """Words that are expected; the search prefers them where they fit."""
    hot_word_weight: float = ranged(1.5, least=0)
    """What each character of such a word adds to the score, in nats."""
    pause_s: float = ranged(1.0, least=0)
    """Of a stream: what was said before a silence this long, in seconds, is final; 0 waits until
    all hypotheses agree, as a whole recording does."""

    def __post_init__(self) -> None:
        check_ranges(self)
        _check_n_best(self)


def _check_n_best(settings: Decoding | Transcription) -> None:
    if settings.n_best > settings.beam_width:
        raise ValueError(
            f"n_best must be from 1 to beam_width ({settings.beam_width}), got {settings.n_best}."
        )
