"""The linear model of tokens and pairs, against plain Python and scikit-learn."""

import math

import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.ngrams import HashedNGrams

TOKENS = np.array([[5, 9, 9, 4, 7], [8, 0, 0, 0, 0], [4, 7, 5, 0, 0]], np.int32)
LENGTHS = np.array([5, 1, 3], np.int32)


def layer(buckets=1000, **settings):
    ngrams = HashedNGrams(2, buckets=buckets, **settings)
    ngrams.build((None, None))
    rng = np.random.default_rng(3)
    ngrams.table.assign(rng.normal(size=(buckets, 2)))
    ngrams.ratios.assign(rng.normal(size=(buckets, 2)))
    return ngrams


def alone(ngrams, *tokens):
    """What a token or a pair says, found by asking about shorter texts."""
    length = np.array([len(tokens)], np.int32)
    found = ngrams(np.array([tokens], np.int32), length)[0].numpy()
    return (
        found if len(tokens) == 1 else found - alone(ngrams, tokens[0]) - alone(ngrams, tokens[1])
    )


def test_a_text_says_what_its_tokens_and_pairs_say():
    ngrams = layer()
    for row, length, found in zip(TOKENS, LENGTHS, ngrams(TOKENS, LENGTHS).numpy(), strict=True):
        real = [int(token) for token in row[:length]]
        parts = [alone(ngrams, token) for token in real]
        parts += [alone(ngrams, *pair) for pair in zip(real, real[1:], strict=False)]
        np.testing.assert_allclose(found, sum(parts), atol=1e-5)


def test_before_training_it_is_naive_bayes():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 60)
    # Each class likes other tokens.
    texts = [rng.integers(3, 12, rng.integers(1, 9)) + label for label in labels]
    ngrams = HashedNGrams(3, buckets=100_000)
    ngrams.build((None, None))
    ngrams.adapt(texts, labels)

    def terms(text):
        return {(t,) for t in text} | set(zip(text, text[1:], strict=False))

    def share(term, chosen):
        """Of texts that have the term, with one more that has it and one that has not."""
        seen = [term in terms(text) for text, c in zip(texts, chosen, strict=True) if c]
        return (1 + sum(seen)) / (2 + len(seen))

    text = [4, 5, 4, 9]
    ratios = [
        sum(
            math.log(share(term, labels == k) / mixed(term, texts, labels, k, terms))
            for term in [(4,), (5,), (4,), (9,), (4, 5), (5, 4), (4, 9)]
        )
        for k in range(3)
    ]
    found = ngrams(np.array([text], np.int32), np.array([4], np.int32))[0].numpy()
    np.testing.assert_allclose(found, np.array(ratios) * 0.4 * 0.05, atol=1e-5)


def mixed(term, texts, labels, k, terms):
    """Share among the texts of all other classes, each smoothed like a class of its own."""
    seen = sum(term in terms(text) for text, c in zip(texts, labels, strict=True) if c != k)
    return (2 + seen) / (4 + sum(labels != k))


def test_order_counts_and_padding_does_not():
    ngrams = layer()
    one = ngrams(np.array([[4, 7]], np.int32), np.array([2], np.int32))
    other = ngrams(np.array([[7, 4]], np.int32), np.array([2], np.int32))
    assert np.abs(one - other).max() > 1e-3
    padded = ngrams(np.pad(TOKENS, [(0, 0), (0, 3)], constant_values=6), LENGTHS)
    np.testing.assert_allclose(padded, ngrams(TOKENS, LENGTHS), atol=1e-6)


def test_pairs_of_a_whole_vocabulary_spread_over_the_buckets():
    buckets = 1 << 14
    ngrams = HashedNGrams(2, buckets=buckets)
    ngrams.build((None, None))
    pairs = np.random.default_rng(0).integers(3, 16000, (buckets, 2)).astype(np.int32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(ngrams(pairs, np.full(buckets, 2, np.int32)))
    gradient = tape.gradient(total, ngrams.table.value)
    used = len(np.unique(gradient.indices.numpy()))
    # 3 draws a bucket: a random function leaves a share of exp(-3) of them empty.
    assert used / buckets == pytest.approx(1 - math.exp(-3), abs=0.03)


def test_dropout_acts_in_training_alone():
    ngrams = layer(dropout=0.5)
    still = ngrams(TOKENS, LENGTHS)
    np.testing.assert_array_equal(still, layer(dropout=0.0)(TOKENS, LENGTHS, training=True))
    drawn = [ngrams(TOKENS, LENGTHS, training=True).numpy() for _ in range(400)]
    assert np.abs(drawn[0] - still).max() > 1e-3
    np.testing.assert_allclose(np.mean(drawn, 0), still, atol=0.15)


@pytest.mark.parametrize(("outputs", "buckets"), [(1, 8), (2, 0)])
def test_nothing_to_add_up_is_an_error(outputs, buckets):
    with pytest.raises(ValueError, match="must be at least 2 and buckets at least 1"):
        HashedNGrams(outputs, buckets=buckets)
