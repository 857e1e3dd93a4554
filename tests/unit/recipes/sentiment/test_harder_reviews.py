"""What the embedded reviews' training part gives up for validation."""

from seqapps.recipes.sentiment.harder_reviews import HELD, harder_reviews
from seqapps.recipes.sentiment.reviews import reviews
from seqapps.recipes.sentiment.reviews.heldout import CELLS
from seqapps.recipes.sentiment.reviews.splits import draw_split, forms


def test_validation_takes_forms_that_training_never_shows_and_the_test_stays():
    frozen, made = reviews(), harder_reviews()
    assert made.test == frozen.test
    assert made.validation[: len(frozen.validation)] == frozen.validation
    cells = {
        drawn.review: {cell for combined in drawn.deciding for cell in combined.cells}
        for drawn in draw_split("train", seed=0, size=len(frozen.train))
    }
    assert all(HELD.isdisjoint(cells[review]) for review in made.train)
    moved = made.validation[len(frozen.validation) :]
    assert {cell for review in moved for cell in cells[review] & HELD} == HELD
    assert 200 < len(moved) < 300
    assert set(made.train).isdisjoint(moved)
    # Nothing is lost but reviews that mix both kinds, and none of what the others hold out is used.
    assert len(made.train) + len(moved) > len(frozen.train) - 60
    assert all(HELD.isdisjoint(others) for others in CELLS.values())


def test_every_word_that_is_evaluated_occurs_in_training():
    made = harder_reviews()
    known = {form for review in made.train for form in forms(review.text)}
    assert all(known.issuperset(forms(r.text)) for r in made.validation + made.test)
