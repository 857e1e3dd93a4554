"""The splits of the phrasebook: which combinations stand in which, and how they are drawn."""

from typing import NamedTuple

from seqapps.recipes.translate.phrasebook import compounds, constructions, places, simple
from seqapps.recipes.translate.phrasebook.constructions import Construction
from seqapps.recipes.translate.phrasebook.heldout import DeadEnd, Draw

_WEIGHTS: tuple[tuple[Construction, int], ...] = (
    (constructions.statement, 16),
    (constructions.fronted, 9),
    (constructions.question, 8),
    (constructions.when, 3),
    (constructions.why, 3),
    (constructions.where, 3),
    (constructions.who, 3),
    (constructions.which, 4),
    (constructions.that, 6),
    (constructions.whether, 5),
    (constructions.indirect, 4),
    (constructions.please, 4),
    (constructions.let_us, 2),
    (constructions.could_you, 3),
    (constructions.gladly, 3),
    (constructions.duration, 2),
    (compounds.because, 5),
    (compounds.although, 4),
    (compounds.condition, 5),
    (compounds.before, 2),
    (compounds.meanwhile, 3),
    (compounds.relative_object, 4),
    (compounds.relative_person, 4),
    (compounds.purpose, 4),
    (compounds.with_zu, 5),
    (simple.quality, 5),
    (simple.presentation, 3),
    (simple.comparison, 4),
    (simple.price, 4),
    (simple.schedule, 3),
    (simple.hour, 1),
    (simple.date, 2),
    (places.existence, 4),
    (places.position, 3),
    (places.way, 2),
    (places.wish, 4),
    (places.belonging, 3),
)
_DECK = tuple(construction for construction, weight in _WEIGHTS for _ in range(weight))


class Sentence(NamedTuple):
    """A sentence in both languages, with the combinations in it."""

    english: str
    german: str
    pairs: tuple[str, ...]
    cells: tuple[tuple[str, str], ...]


class Phrasebook(NamedTuple):
    """The splits: lists of (English, German)."""

    train: list[tuple[str, str]]
    validation: list[tuple[str, str]]
    test: list[tuple[str, str]]


def _finish(text: str, mark: str) -> str:
    return text[0].upper() + text[1:] + mark


def draw_sentence(draw: Draw) -> Sentence:
    """Draws one sentence of the kind that the split of `draw` may contain.

    Args:
        draw: Where chance comes from.

    Returns:
        The sentence. It need not contain anything held out.
    """
    while True:
        draw.clear()
        try:
            said = draw.one(_DECK)(draw)
        except DeadEnd:
            continue
        return Sentence(
            _finish(said.english, said.mark),
            _finish(said.german, said.mark),
            tuple(draw.pairs),
            tuple(draw.cells),
        )


_PATIENCE = 2_000
"""Draws for one sentence before a split counts as exhausted."""


def _draw_split(
    split: str, *, seed: int, size: int, known: tuple[frozenset[str], frozenset[str]] | None
) -> list[tuple[str, str]]:
    """Draws distinct sentences; with `known` word forms, only held-out ones made of these."""
    draw = Draw(f"phrasebook {split} {seed}", split)
    drawn: dict[str, str] = {}
    for _ in range(_PATIENCE * (size + 1)):
        if len(drawn) == size:
            return list(drawn.items())
        sentence = draw_sentence(draw)
        if known is not None and not (
            draw.held_out()
            and known[0].issuperset(forms(sentence.english))
            and known[1].issuperset(forms(sentence.german))
        ):
            continue
        drawn.setdefault(sentence.english, sentence.german)
    raise ValueError(
        f"the phrasebook found only {len(drawn)} of {size} sentences for the {split} split; "
        "ask for fewer, or for more training sentences (every word must occur in training)."
    )


def forms(sentence: str) -> list[str]:
    """The word forms of a sentence, without punctuation and the capital of its first word.

    German nouns keep their capital; the first word is compared in lower case.
    """
    words = sentence.rstrip(".?").replace(",", "").split()
    words[0] = words[0].lower()
    return words


def pairs(
    *, seed: int = 0, train: int = 30_000, validation: int = 1_000, test: int = 1_000
) -> Phrasebook:
    """Draws English-German sentence pairs.

    Every test sentence contains a word pair or a construction × tense that no training or
    validation sentence contains, and every validation sentence one that is in neither of the
    others; each of their word forms occurs in training. What is held out does not depend on the
    seed. Sentences do not repeat within or across splits, and one English sentence always has the
    same German.

    Args:
        seed: Chooses the sentences; equal seeds give equal sentences on every Python.
        train: Number of training sentences.
        validation: Number of validation sentences.
        test: Number of test sentences.

    Returns:
        The splits.

    Raises:
        ValueError: A size is negative, or there are too few training sentences for their words to
            cover the other splits.
    """
    for name, size in (("train", train), ("validation", validation), ("test", test)):
        if size < 0:
            raise ValueError(f"{name} must be at least 0, got {size}; use 0 for an empty split.")
    training = _draw_split("train", seed=seed, size=train, known=None)
    known = (
        frozenset(form for english, _ in training for form in forms(english)),
        frozenset(form for _, german in training for form in forms(german)),
    )
    return Phrasebook(
        training,
        _draw_split("validation", seed=seed, size=validation, known=known),
        _draw_split("test", seed=seed, size=test, known=known),
    )
