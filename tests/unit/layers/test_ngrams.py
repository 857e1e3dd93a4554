"""The linear model of tokens and pairs, against plain Python."""

import math

import numpy as np
import pytest

from seqapps.layers.ngrams import HashedPairs, buckets_of, spelling_of

TOKENS = np.array([[5, 9, 9, 4, 7], [8, 0, 0, 0, 0], [4, 7, 5, 0, 0]], np.int32)
LENGTHS = np.array([5, 1, 3], np.int32)
BUCKETS = 1000


@pytest.fixture(scope="module")
def layer():
    pairs = HashedPairs(3, buckets=BUCKETS)
    pairs.build((None, None))
    rng = np.random.default_rng(3)
    pairs.set(
        weights_M=rng.uniform(0.5, 2.0, BUCKETS),
        coefficients_MK=rng.normal(size=(BUCKETS, 3)),
        bias_K=np.array([0.1, 0.2, -0.3]),
    )
    pairs.share.assign(0.7)
    return pairs


def test_by_hand(layer):
    for row, length, found in zip(TOKENS, LENGTHS, layer(TOKENS, LENGTHS).numpy(), strict=True):
        real = [int(token) for token in row[:length]]
        terms = [buckets_of(np.array([token]), BUCKETS)[0] for token in real]
        terms += [
            buckets_of(np.array(pair), BUCKETS)[2] for pair in zip(real, real[1:], strict=False)
        ]
        scores, squares = layer.scores.numpy()[terms], layer.squares.numpy()[terms]
        wanted = scores.sum(0) / math.sqrt(squares.sum()) + [0.1, 0.2, -0.3]
        np.testing.assert_allclose(found, 0.7 * wanted, atol=1e-5)


def test_order_counts_and_padding_does_not(layer):
    one, other = (layer(np.array([t], np.int32), np.array([2], np.int32)) for t in ([4, 7], [7, 4]))
    assert np.abs(one - other).max() > 1e-2
    padded = layer(np.pad(TOKENS, [(0, 0), (0, 3)], constant_values=6), LENGTHS)
    np.testing.assert_allclose(padded, layer(TOKENS, LENGTHS), atol=1e-6)


def test_it_says_nothing_before_it_is_fitted():
    pairs = HashedPairs(2, buckets=8)
    assert not pairs(TOKENS, LENGTHS).numpy().any()
    assert not pairs.trainable_variables


def test_pairs_of_a_whole_vocabulary_spread_over_the_buckets():
    buckets = 1 << 14
    tokens = np.random.default_rng(0).integers(3, 16000, 2 * buckets)
    pairs = buckets_of(tokens, buckets)[len(tokens) :]
    used = len(np.unique(pairs)) / buckets
    # 2 draws a bucket: a random function leaves a share of exp(-2) of them empty.
    assert used == pytest.approx(1 - math.exp(-2), abs=0.02)


@pytest.mark.parametrize(("classes", "buckets"), [(1, 8), (2, 0)])
def test_nothing_to_score_is_an_error(classes, buckets):
    with pytest.raises(ValueError, match="classes must be at least 2 and buckets at least 1"):
        HashedPairs(classes, buckets=buckets)


SURFACES = ["", "\ufffd", "", " ", " Good", " go", "od", " n\u00dc"]


@pytest.fixture(scope="module")
def spelled():
    """A layer that knows n-grams of up to three characters of tokens of these surfaces."""
    buckets = 1 << 15
    pairs = HashedPairs(2, buckets=buckets, characters=3, vocabulary=len(SURFACES))
    pairs.build((None, None))
    pairs.spelling.assign(spelling_of(SURFACES))
    rng = np.random.default_rng(4)
    pairs.set(
        weights_M=rng.uniform(0.5, 2.0, buckets),
        coefficients_MK=rng.normal(size=(buckets, 2)),
        bias_K=np.zeros(2),
    )
    return pairs


def test_characters_are_those_that_tokens_spell(spelled):
    """ " good nü " has 9 + 8 + 7 n-grams of one to three, whichever pieces spell it."""
    texts = [np.array(text) for text in ([2, 4, 7, 3], [2, 5, 6, 7, 3])]
    ngrams = [
        found[2 * len(text) - 1 :]
        for text, found in zip(texts, spelled.buckets_of(texts), strict=True)
    ]
    assert len(ngrams[0]) == 24
    np.testing.assert_array_equal(*ngrams)
    # "o" stands twice, and so does " ": at both ends and before the second word.
    assert len(np.unique(ngrams[0])) == 24 - 1 - 2


def test_ngrams_of_characters_by_hand(spelled):
    tokens = np.array([[2, 5, 6, 7, 3], [2, 1, 3, 6, 6], [2, 3, 0, 0, 0]], np.int32)
    lengths = np.array([5, 3, 2], np.int32)
    for row, length, found in zip(
        tokens, lengths, spelled.alone(tokens, lengths).numpy(), strict=True
    ):
        (terms,) = spelled.buckets_of([row[:length]])
        scores, squares = spelled.scores.numpy()[terms], spelled.squares.numpy()[terms]
        wanted = scores.sum(0) / math.sqrt(squares.sum())
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_characters_need_the_vocabulary():
    with pytest.raises(ValueError, match="n-grams of 4 characters need the size"):
        HashedPairs(2, buckets=8, characters=4)
