"""How the defaults of a text classifier follow the training texts."""

import dataclasses

import pytest

from seqapps.recipes.sentiment.data import Sizes, Texts, sizes_of
from seqapps.recipes.sentiment.settings import Classifier, Config, settled
from seqapps.training.settings import Training

SIZES = Sizes(texts=2000, classes=2, characters=150_000, new_words=0.1, unspaced=0.0)
"""Of a few thousand short texts in a language."""


def rule(config=None, **sizes):
    return settled(config or Config(), dataclasses.replace(SIZES, **sizes))


def test_sizes_by_hand():
    found = sizes_of(Texts(["A film a day", "売上は"], ["x", "y"]))
    # Of five words "film", "day" and the last one stand once; of the letters three need no spaces.
    assert found == Sizes(texts=2, classes=2, characters=15, new_words=3 / 5, unspaced=3 / 15)


def test_a_language_gets_more_dropout_than_a_closed_set_of_words():
    assert (rule().model.dropout, rule().model.normalisation) == (0.3, "layer")
    closed = rule(new_words=0.0004).model
    assert (closed.dropout, closed.normalisation) == (0.05, "batch")


@pytest.mark.parametrize(
    ("classes", "characters", "buckets", "longest"),
    [
        (2, 1_000, 1 << 12, 4),
        (2, 50_000, 1 << 18, 4),
        (77, 600_000, 1 << 17, 4),
        (2, 30_000_000, 1 << 19, 0),
    ],
)
def test_the_linear_part_grows_with_the_texts_and_stays_small(
    classes, characters, buckets, longest
):
    found = rule(classes=classes, characters=characters).model
    assert (found.pairs, found.characters) == (buckets, longest)


def test_a_training_ends_by_passes_or_by_minutes():
    found = rule().training
    assert (found.minutes, found.epochs) == (5.0, 12)
    asked = rule(Config(training=Training(minutes=60.0, epochs=0))).training
    assert (asked.minutes, asked.epochs) == (60.0, 0)


def test_scripts_without_spaces_are_explained_by_pieces():
    assert (rule().apart, rule(unspaced=0.9).apart) == ("words", "pieces")


def test_what_somebody_chose_stays():
    asked = Config(
        model=Classifier(dropout=0.1, normalisation="none", pairs=0, characters=2),
        training=Training(epochs=3),
        apart="words",
    )
    assert rule(asked, unspaced=0.9, characters=30_000_000) == dataclasses.replace(
        asked, training=Training(epochs=3, minutes=5.0)
    )
