import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.decoding.candidates import best_tokens, top_logits


@settings(max_examples=60, deadline=None)
@given(
    vocabulary=st.sampled_from([1, 2, 31, 32, 33, 64, 200]),
    distinct=st.sampled_from([1, 2, 5, 1000]),
    rows=st.integers(0, 3),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_top_logits_equal_top_k_ties_included(vocabulary, distinct, rows, seed, data):
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, distinct, (rows, vocabulary)).astype(np.float32)
    logits[:, rng.random(vocabulary) < 0.1] = -np.inf
    count = data.draw(st.integers(1, vocabulary))
    values, tokens = top_logits(tf.constant(logits), count)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(tokens, order)
    np.testing.assert_array_equal(values, np.take_along_axis(logits, order, axis=1))


def test_equal_logits_stay_in_order_whatever_stands_beside_them():
    logits = np.zeros((1, 96), np.float32)
    logits[0, [10, 40, 90]] = 5.0
    logits[0, 80] = 9.0
    _, tokens = top_logits(tf.constant(logits), 3)
    assert tokens.numpy().tolist() == [[80, 10, 40]]


def test_best_tokens_leave_out_banned_ones_but_count_them():
    probabilities = np.array([[0.5, 0.1, 0.05, 0.25, 0.1]])
    log_probs, tokens = best_tokens(tf.constant(np.log(probabilities)), count=3, banned=(0, 4))
    assert tokens.numpy().tolist() == [[3, 1, 2]]
    np.testing.assert_allclose(np.exp(log_probs), [[0.25, 0.1, 0.05]], rtol=1e-6)


def test_more_tokens_than_are_allowed_end_with_impossible_ones():
    log_probs, tokens = best_tokens(tf.zeros([1, 3]), count=4, banned=(1,))
    assert tokens.numpy().tolist() == [[0, 2, 1]]
    assert log_probs.numpy()[0, 2] == -np.inf


@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_log_probabilities_survive_large_logits_and_stay_below_zero(shift):
    logits = np.random.default_rng(0).normal(0, 30, (50, 90)).astype(np.float32) + np.float32(shift)
    log_probs, tokens = best_tokens(tf.constant(logits), count=5)
    exact = logits.astype(np.float64)
    exact -= np.logaddexp.reduce(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(log_probs, np.take_along_axis(exact, tokens.numpy(), 1), atol=2e-3)
    assert (log_probs.numpy() <= 0).all()
