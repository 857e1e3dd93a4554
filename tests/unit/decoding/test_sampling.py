import itertools

import numpy as np
import pytest
import tensorflow as tf
from decoding_oracle import BANNED, BOS, EOS, Tables, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.decoding.sampling import greedy, keep_top, sample

SPECIAL = {"bos": BOS, "eos": EOS, "banned": BANNED}
SEVEN = Tables(rows=6, vocabulary=7, seed=1, scale=1.0)
# Chi-square values passed once in 100,000, by degrees of freedom.
RARE = {1: 19.5, 2: 23.0, 3: 25.9, 8: 38.0, 15: 50.0}


def chi_square(counts, probabilities):
    """Statistic and degrees of freedom; impossible outcomes must not occur."""
    counts, probabilities = np.asarray(counts, float), np.asarray(probabilities)
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] * counts.sum()
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    return statistic, int(possible.sum()) - 1


def first_tokens(logits, *, rows=20_000, **options):
    """How often each token is drawn first, over seeds 0, 1, 2 ..."""

    def step(tokens, state, memory):
        return tf.tile(tf.constant([logits], tf.float32), [tf.shape(tokens)[0], 1]), state

    found = sample(
        step, tf.zeros([rows]), (), bos=BOS, eos=EOS, max_steps=1, seed=tf.range(rows), **options
    )
    tokens = np.where(found.finished[:, 0], EOS, np.pad(found.tokens[:, 0], ((0, 0), (0, 1)))[:, 0])
    return np.bincount(tokens, minlength=len(logits))


def softmax(logits):
    weights = np.exp(np.asarray(logits, float) - np.max(logits))
    return weights / weights.sum()


LOGITS = [1.0, 0.0, -1.0, 0.5]


@pytest.mark.parametrize(
    ("options", "probabilities"),
    [
        ({}, softmax(LOGITS)),
        ({"temperature": 2.0}, softmax(np.array(LOGITS) / 2)),
        ({"temperature": 0.5}, softmax(np.array(LOGITS) / 0.5)),
        ({"top_k": 2}, softmax([1.0, -np.inf, -np.inf, 0.5])),
        ({"top_k": 9}, softmax(LOGITS)),
        # Probabilities 0.47, 0.29, 0.17, 0.06 in the order 0, 3, 1, 2.
        ({"top_p": 0.7}, softmax([1.0, -np.inf, -np.inf, 0.5])),
        ({"top_p": 0.8}, softmax([1.0, 0.0, -np.inf, 0.5])),
        # Of the top three 0 and 3 hold 0.81: the top p is of what the top k left.
        ({"top_k": 3, "top_p": 0.8}, softmax([1.0, -np.inf, -np.inf, 0.5])),
        # The temperature comes first: at 0.25 token 0 alone holds 0.87.
        ({"temperature": 0.25, "top_p": 0.8}, [1.0, 0, 0, 0]),
        ({"top_k": 1}, [1.0, 0, 0, 0]),
        ({"top_p": 0.0}, [1.0, 0, 0, 0]),
        ({"temperature": 0.0, "top_k": 3}, [1.0, 0, 0, 0]),
        ({"temperature": 1e-30}, [1.0, 0, 0, 0]),
        ({"banned": (0,)}, softmax([-np.inf, 0.0, -1.0, 0.5])),
        ({"banned": (0,), "top_k": 2}, softmax([-np.inf, 0.0, -np.inf, 0.5])),
        ({"banned": (0,), "temperature": 0.0}, [0, 0, 0, 1.0]),
    ],
)
def test_tokens_are_drawn_from_the_stated_distribution(options, probabilities):
    statistic, degrees = chi_square(first_tokens(LOGITS, **options), probabilities)
    assert degrees == 0 or statistic < RARE[degrees]


def test_successive_tokens_are_independent_draws():
    def step(tokens, state, memory):
        return tf.zeros([tf.shape(tokens)[0], 4]) + [0.0, 1.0, 0.5, -99.0], state

    rows = 20_000
    found = sample(
        step, tf.zeros([rows]), (), bos=0, eos=3, max_steps=2, seed=tf.range(rows) * 2**20
    )
    pairs = found.tokens.numpy()[:, 0] @ [3, 1]
    one = softmax([0.0, 1.0, 0.5])
    statistic, degrees = chi_square(np.bincount(pairs, minlength=9), np.outer(one, one).ravel())
    assert statistic < RARE[degrees]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    distinct=st.sampled_from([2, 4, 1000]),
    top_k=st.integers(-1, 9),
    top_p=st.floats(0.0, 1.2),
)
def test_the_support_is_exact_and_ties_go_to_the_lowest_token(seed, distinct, top_k, top_p):
    logits = np.random.default_rng(seed).integers(0, distinct, 8) / np.float32(distinct / 4)
    order = sorted(range(8), key=lambda token: (-logits[token], token))
    order = order[:top_k] if top_k > 0 else order
    weights = np.exp(logits[order].astype(np.float64))
    before = (np.cumsum(weights) - weights) / weights.sum()
    if (np.abs(before - top_p) < 1e-5).any():
        return  # Float32 and float64 may differ on the very edge.
    kept = {t for i, t in enumerate(order) if i == 0 or top_p >= 1 or before[i] < top_p}
    left = keep_top(
        tf.constant([logits], tf.float32),
        top_k=tf.constant([top_k]),
        top_p=tf.constant([top_p], tf.float32),
    ).numpy()[0]
    assert set(np.flatnonzero(np.isfinite(left))) == kept
    np.testing.assert_array_equal(left[sorted(kept)], logits[sorted(kept)].astype(np.float32))


def test_a_row_alone_equals_the_same_row_in_a_batch():
    tables = Tables(rows=6, vocabulary=40, seed=1)
    options = {
        "seed": tf.constant([3, -4, 2**62, 0, 5, 3], tf.int64),
        "temperature": tf.constant([1.0, 0.0, 0.7, 1.3, 5.0, 1.0]),
        "top_k": tf.constant([0, 3, 2, 0, 0, 0]),
        "top_p": tf.constant([1.0, 1.0, 0.9, 0.8, 1.0, 1.0]),
        "max_steps": tf.constant([15, 20, 10, 0, 30, 4]),
    }
    together = sample(tables.step, *tables.start(range(6)), **SPECIAL, **options)
    assert len({row[0][2] for row in rows_of(together)}) >= 5
    for row in range(6):
        own = {name: value[row : row + 1] for name, value in options.items()}
        alone = sample(tables.step, *tables.start([row]), **SPECIAL, **own)
        assert [h[2] for h in rows_of(alone)[0]] == [h[2] for h in rows_of(together)[row]]
        np.testing.assert_allclose(alone.log_probs[0], together.log_probs[row], atol=1e-5)


def test_equal_seeds_draw_equal_text_and_other_seeds_other_text():
    rows = [2] * 6
    options = {"max_steps": 20, "seed": [1, 2, 3, 1, 2, 3], "temperature": 1.5}
    found = rows_of(sample(SEVEN.step, *SEVEN.start(rows), **SPECIAL, **options))
    assert found[:3] == found[3:]
    assert len({row[0][2] for row in found}) == 3


def test_greedy_takes_the_best_token_at_every_step():
    found = rows_of(greedy(SEVEN.step, *SEVEN.start(range(6)), **SPECIAL, max_steps=9))
    for row, [(finished, score, tokens, log_prob)] in enumerate(found):
        total, prefix = 0.0, ()
        for _ in range(9):
            gains = SEVEN.log_probs(row, prefix)
            best = max((EOS, *SEVEN.tokens()), key=lambda token: gains[token])  # noqa: B023
            total += gains[best]
            if best == EOS:
                break
            prefix += (best,)
        assert (finished, tokens) == (best == EOS, prefix)
        assert score == log_prob == pytest.approx(total, abs=1e-5)


def test_temperature_zero_is_greedy_in_rows_of_their_own():
    rows = list(range(6))
    cold = sample(
        SEVEN.step,
        *SEVEN.start(rows),
        **SPECIAL,
        max_steps=9,
        seed=7,
        temperature=[0.0, 1.0] * 3,
        top_k=[0, 0, 3, 0, 1, 0],
    )
    single = greedy(SEVEN.step, *SEVEN.start(rows), **SPECIAL, max_steps=9)
    assert rows_of(cold)[::2] == rows_of(single)[::2]
    assert rows_of(cold) != rows_of(single)


def test_log_probabilities_are_the_networks_own():
    options = {"temperature": 0.5, "top_k": 3, "max_steps": 12, "seed": range(6)}
    found = rows_of(sample(SEVEN.step, *SEVEN.start(range(6)), **SPECIAL, **options))
    for row, [(finished, score, tokens, log_prob)] in enumerate(found):
        written = (*tokens, EOS) if finished else tokens
        expected = sum(SEVEN.log_probs(row, written[:i])[x] for i, x in enumerate(written))
        assert score == log_prob == pytest.approx(expected, abs=1e-5)


def test_rows_stop_at_their_own_limit_and_the_loop_with_the_last():
    tables = Tables(rows=1, vocabulary=7, seed=0)
    tables.logits[:, :, EOS] = -50.0
    found = greedy(tables.step, *tables.start([0] * 3), **SPECIAL, max_steps=[0, 4, 2])
    assert found.lengths.numpy().tolist() == [[0], [4], [2]]
    assert not found.finished.numpy().any()
    assert tables.steps == 4


def test_an_empty_batch_gives_empty_results():
    for found in (
        greedy(SEVEN.step, *SEVEN.start([]), **SPECIAL, max_steps=5),
        sample(SEVEN.step, *SEVEN.start([]), **SPECIAL, max_steps=5, seed=[1], top_k=[2]),
    ):
        assert [tuple(x.shape) for x in found] == [(0, 1, 0)] + [(0, 1)] * 4


def test_every_pair_of_cuts_leaves_the_best_token():
    for top_k, top_p in itertools.product([1, 2], [-1.0, 0.0, 1e-9]):
        counts = first_tokens([0.0, 2.0, 2.0, 1.0], rows=200, top_k=top_k, top_p=top_p)
        assert counts.tolist() == [0, 200, 0, 0]
