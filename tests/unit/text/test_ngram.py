"""Kneser-Ney against the formulas written down naively, and as a distribution."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.text.ngram import NGram, _discounts

VOCABULARY = 4


def grams(sequences, length):
    return [tuple(s[i : i + length]) for s in sequences for i in range(len(s) - length + 1)]


def counts_of(sequences, length, order):
    """Occurrences of the longest n-grams, different predecessors of shorter ones."""
    if length == order:
        return Counter(grams(sequences, length))
    before = {
        (tuple(s[i : i + length]), s[i - 1] if i else "start")
        for s in sequences
        for i in range(len(s) - length + 1)
    }
    return Counter(gram for gram, _ in before)


def brute_force(sequences, order, context, token):
    """p(token | context), by the book: Chen and Goodman 1999, eq. 25 and 26."""
    context = tuple(context)[len(context) - min(order - 1, len(context)) :]
    # A context that was never followed by anything is shortened.
    lower = brute_force(sequences, order, context[1:], token) if context else 1.0 / VOCABULARY
    length = len(context) + 1
    counts = counts_of(sequences, length, order)
    followers = {gram[-1]: n for gram, n in counts.items() if gram[:-1] == context}
    if not followers:
        return lower
    discounts = _discounts(np.array(list(counts.values())))

    def taken(n):
        return min(n, discounts[min(n, 3) - 1])

    total = sum(followers.values())
    n = followers.get(token, 0)
    freed = sum(taken(m) for m in followers.values())
    return ((n - taken(n)) if n else 0.0) / total + freed / total * lower


tokens = st.integers(0, VOCABULARY - 1)
corpora = st.lists(st.lists(tokens, min_size=1, max_size=25), min_size=1, max_size=4)


@given(corpora, st.integers(1, 4), st.lists(tokens, max_size=6))
def test_every_probability_is_that_of_the_formulas_and_they_sum_to_one(sequences, order, context):
    model = NGram.fit([np.array(s) for s in sequences], order=order, vocabulary=VOCABULARY)
    found = model.distribution(np.array(context, int))
    wanted = [brute_force(sequences, order, context, token) for token in range(VOCABULARY)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert found.sum() == pytest.approx(1.0, abs=1e-9)


@given(corpora, st.integers(1, 5), st.lists(tokens, max_size=20))
def test_a_whole_sequence_at_once_equals_token_by_token(sequences, order, text):
    model = NGram.fit([np.array(s) for s in sequences], order=order, vocabulary=VOCABULARY)
    node, wanted = model.root, []
    for token in text:
        log_prob, node = model.advance(node, token)
        wanted.append(float(log_prob))
    np.testing.assert_allclose(model.log_probs(np.array(text, int)), wanted, atol=1e-12)


def test_discounts_are_the_papers():
    counts = np.repeat([1, 2, 3, 4, 9], [40, 20, 10, 6, 3])
    share = 40 / (40 + 2 * 20)
    assert _discounts(counts) == pytest.approx(
        (1 - 2 * share * 20 / 40, 2 - 3 * share * 10 / 20, 3 - 4 * share * 6 / 10)
    )
    assert _discounts(np.array([1, 1])) == (0.5, 1.0, 1.5)


def test_longer_contexts_help_on_real_structure():
    """A deterministic cycle of 2-token context: a trigram knows it, a bigram does not."""
    text = np.tile([0, 1, 0, 2, 0, 3], 300)
    losses = [
        -NGram.fit([text[:1500]], order=n, vocabulary=5).log_probs(text[1500:]).mean()
        for n in (1, 2, 3)
    ]
    assert losses[0] > 1.0
    assert losses[1] == pytest.approx(math.log(3) / 2, abs=0.05)
    assert losses[2] < 0.05


def test_it_survives_as_bytes():
    model = NGram.fit([np.arange(50) % 4, np.array([2, 2])], order=3, vocabulary=4)
    again = NGram.from_bytes(model.to_bytes())
    assert (again.order, again.vocabulary) == (3, 4)
    np.testing.assert_allclose(again.log_prob, model.log_prob, atol=1e-6)
    ids = np.array([0, 1, 2, 3, 3, 1])
    np.testing.assert_allclose(again.log_probs(ids), model.log_probs(ids), atol=1e-5)
    with pytest.raises((ValueError, OSError)):
        NGram.from_bytes(b"nothing")


@pytest.mark.parametrize(
    ("sequences", "order", "message"),
    [
        ([[0, 1]], 0, "order must be from 1 to 63, got 0"),
        ([[0, 4]], 2, "must hold tokens from 0 to 3, at least one, got 0 to 4"),
        ([[]], 2, "at least one, got none"),
        ([], 2, "at least one, got none"),
    ],
)
def test_bad_input(sequences, order, message):
    with pytest.raises(ValueError, match=message):
        NGram.fit([np.array(s, int) for s in sequences], order=order, vocabulary=4)
