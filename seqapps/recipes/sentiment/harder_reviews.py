"""The embedded reviews, with validation texts as hard as those that a model has not seen in kind.

The generator's own validation split holds out few clause forms, and a model that has learned is
right about almost all of it: a temperature fitted there makes it too sure. So the training part
gives up two clause forms of its own, each in one construction, and validation takes them. The test
split is as the generator draws it.
"""

from collections.abc import Sequence

from seqapps.recipes.sentiment import reviews
from seqapps.recipes.sentiment.reviews.splits import Drawn, draw_split, forms

HELD = frozenset({("time", "deciding negation"), ("expectation", "conceded emphasis")})
"""Construction × clause form cells that only validation contains: one that turns the deciding
clause round, as half of the test's do, and one that stresses what is conceded."""


def harder_reviews() -> reviews.Reviews:
    """Draws the embedded reviews and moves the cells `HELD` from training to validation.

    A training review of which one deciding sentence has such a cell and another has not is left
    out: the other one would give the label away.
    """
    made = reviews.reviews()
    drawn = draw_split("train", seed=0, size=len(made.train))
    train = [candidate.review for candidate in drawn if not any(_cells(candidate))]
    known = {form for review in train for form in forms(review.text)}
    harder = [
        candidate.review
        for candidate in drawn
        if all(_cells(candidate)) and known.issuperset(forms(candidate.review.text))
    ]
    return reviews.Reviews(train, made.validation + harder, made.test)


def _cells(candidate: Drawn) -> Sequence[bool]:
    """Whether each deciding sentence of a review has a cell that is held out."""
    return [not HELD.isdisjoint(combined.cells) for combined in candidate.deciding]
