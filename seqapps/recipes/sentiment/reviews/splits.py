"""The splits of the reviews: how a review is put together, and which combinations stand in which.

A review is one to three sentences: a deciding sentence, and perhaps neutral context, a remark on a
trifle (the poster, the box) that never decides, or a second deciding sentence. The rule for its
label: all deciding sentences of a review agree, and their sign is the label. The rule of each
construction stands with it in `constructions` and `compounds`.
"""

from typing import NamedTuple

from seqapps.recipes.sentiment.reviews import compounds, constructions
from seqapps.recipes.sentiment.reviews.constructions import Construction, Scene, scene
from seqapps.recipes.sentiment.reviews.heldout import Combinations, DeadEnd, Draw
from seqapps.recipes.sentiment.reviews.lexicon import ANY, WORDS
from seqapps.recipes.sentiment.reviews.things import THINGS, Thing, context

LABELS = ("negative", "positive")
"""The labels, in the order of their class numbers."""

CONSTRUCTIONS: dict[str, Construction] = {
    "plain": constructions.plain,
    "negation": constructions.negation,
    "emphasis": constructions.emphasis,
    "double negation": constructions.double_negation,
    "conjunction": constructions.conjunction,
    "degree": constructions.degree,
    "exception": constructions.exception,
    "question": constructions.question,
    "advice": constructions.advice,
    "conditional": constructions.conditional,
    "comparison": constructions.comparison,
    "intensity": constructions.intensity,
    "contrast": compounds.contrast,
    "although before": compounds.although_before,
    "although after": compounds.although_after,
    "despite": compounds.despite,
    "outweighing": compounds.outweighing,
    "expectation": compounds.expectation,
    "reported": compounds.reported,
    "time": compounds.time,
}
"""The constructions, by the name that a review records."""

_WEIGHTS = {
    # A plain word and an emphasised one say what they mean, a negated one the opposite; one about
    # as often as the other, and hardly any word leans to a label.
    "plain": 12,
    "emphasis": 3,
    "double negation": 4,
    "negation": 14,
    "contrast": 8,
    "although before": 7,
    "although after": 7,
    "reported": 7,
    "time": 6,
    "expectation": 5,
    "despite": 5,
    "conjunction": 6,
}
_DECK = tuple(name for name in CONSTRUCTIONS for _ in range(_WEIGHTS.get(name, 4)))
_AGREEING = ("negation", "emphasis", "double negation", "conjunction", "question", "exception")
"""Constructions of a second deciding sentence."""

_REMARKS = (
    "as a side note, the {trifle} {be} {x}.",
    "by the way, the {trifle} {be} {x}.",
    "not that it matters, but the {trifle} {be} {x}.",
    "the {trifle} {be} {x}, which hardly matters.",
)
_REMARKED = tuple(word for word in WORDS if (word.kind, word.field) == ("adjective", ANY))


class Review(NamedTuple):
    """A review, its label (one of `LABELS`) and the name of its deciding construction."""

    text: str
    label: str
    construction: str


class Reviews(NamedTuple):
    """The splits: lists of reviews."""

    train: list[Review]
    validation: list[Review]
    test: list[Review]


class Drawn(NamedTuple):
    """A review, and what each of its deciding sentences combines."""

    review: Review
    thing: str
    deciding: tuple[Combinations, ...]


def draw_review(draw: Draw, construction: str, thing: Thing, label: str) -> Drawn:
    """Draws one review of the kind that the split of `draw` may contain.

    Args:
        draw: Where chance comes from.
        construction: The deciding construction, a key of `CONSTRUCTIONS`.
        thing: What is reviewed.
        label: One of `LABELS`.

    Returns:
        The review. It need not contain anything held out.

    Raises:
        DeadEnd: What was drawn cannot be completed in this split; draw again.
    """
    draw.label = sign = +1 if label == LABELS[1] else -1
    draw.take()
    at = scene(draw, thing)
    sentences = [CONSTRUCTIONS[construction](draw, at, sign)]
    deciding = [draw.take()]
    if draw.chance(0.1):
        second = draw.one(_AGREEING)
        sentences.append(CONSTRUCTIONS[second](draw, at._replace(named=True), sign))
        deciding.append(draw.take())
    elif draw.chance(0.15):
        sentences.append(_remark(draw, at))
    if draw.chance(0.5):
        last = len(sentences) == 1 and draw.chance(0.3)
        sentences.insert(1 if last else 0, context(draw, thing))
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
    if not 6 <= len(text.split()) <= 45:
        raise DeadEnd
    return Drawn(Review(text, label, construction), thing.noun, tuple(deciding))


def _remark(draw: Draw, at: Scene) -> str:
    return draw.one(_REMARKS).format(
        trifle=draw.one(at.thing.trifles), be=at.tense.is_, x=draw.one(_REMARKED).text
    )


_PATIENCE = 4_000
"""Draws for one review before a split counts as exhausted."""


class _Balance:
    """Chooses labels so that both are equally frequent in each construction and each thing."""

    def __init__(self, draw: Draw):
        self._draw = draw
        self._surplus: dict[str, int] = {}

    def label(self, construction: str, thing: str) -> str:
        surplus = self._surplus.get(construction, 0) or self._surplus.get(thing, 0)
        return LABELS[surplus < 0] if surplus else self._draw.one(LABELS)

    def count(self, construction: str, thing: str, label: str) -> None:
        for name in (construction, thing):
            self._surplus[name] = self._surplus.get(name, 0) + (1 if label == LABELS[1] else -1)


def draw_split(
    split: str, *, seed: int, size: int, known: frozenset[str] | None = None
) -> list[Drawn]:
    """Draws the distinct reviews of one split.

    Args:
        split: `train`, `validation` or `test`.
        seed: Chooses the reviews.
        size: How many.
        known: The word forms they may be made of, each review with something held out; or None for
            training, where neither is asked.

    Returns:
        The reviews with their combinations.

    Raises:
        ValueError: The split has not so many.
    """
    draw = Draw(f"reviews {split} {seed}", split)
    balance = _Balance(draw)
    drawn: dict[str, Drawn] = {}
    for _ in range(size):
        construction = draw.one(_DECK)
        for _ in range(_PATIENCE):
            thing = draw.one(THINGS)
            label = balance.label(construction, thing.noun)
            try:
                candidate = draw_review(draw, construction, thing, label)
            except DeadEnd:
                continue
            text = candidate.review.text
            fits = known is None or (
                # Every deciding sentence: one of an everyday kind would give the label away.
                all(split in combined.owners() for combined in candidate.deciding)
                and known.issuperset(forms(text))
            )
            if fits and text not in drawn:
                break
        else:
            raise ValueError(
                f"the generator found only {len(drawn)} of {size} reviews for the {split} split "
                f"(no further {construction!r}); "
                "ask for fewer, or for more training reviews (every word must occur in training)."
            )
        drawn[text] = candidate
        balance.count(construction, thing.noun, label)
        for combined in candidate.deciding:
            draw.count(combined)
    return list(drawn.values())


def forms(text: str) -> list[str]:
    """The word forms of a review in lower case, without punctuation."""
    return [word.strip(".,;?").lower() for word in text.split()]


def reviews(
    *, seed: int = 0, train: int = 12_000, validation: int = 1_000, test: int = 1_000
) -> Reviews:
    """Draws labelled English reviews.

    Every deciding sentence of the test contains a combination that no training or validation review
    contains: a polar word in a construction where training never shows it, or a construction with a
    clause form (negated, emphasised) that training shows in other constructions only. Validation
    likewise has its own. Each of their word forms occurs in training. What is held out does not
    depend on the seed. Reviews do not repeat within or across splits.

    Args:
        seed: Chooses the reviews; equal seeds give equal reviews on every Python.
        train: Number of training reviews.
        validation: Number of validation reviews.
        test: Number of test reviews.

    Returns:
        The splits.

    Raises:
        ValueError: A size is negative, or there are too few training reviews for their words to
            cover the other splits.
    """
    for name, size in (("train", train), ("validation", validation), ("test", test)):
        if size < 0:
            raise ValueError(f"{name} must be at least 0, got {size}; use 0 for an empty split.")
    training = draw_split("train", seed=seed, size=train)
    known = frozenset(form for drawn in training for form in forms(drawn.review.text))
    held = [
        draw_split(name, seed=seed, size=size, known=known)
        for name, size in (("validation", validation), ("test", test))
    ]
    return Reviews(*([drawn.review for drawn in split] for split in (training, *held)))
