import math

import numpy as np
import pytest
import tensorflow as tf
from decoding_oracle import (
    BANNED,
    BOS,
    EOS,
    Tables,
    assert_same,
    exhaustive,
    plain_beam,
    rows_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.decoding.beam import beam_search
from seqapps.decoding.sampling import greedy

SPECIAL = {"bos": BOS, "eos": EOS, "banned": BANNED}
ROWS = 12
SEVEN = [Tables(rows=ROWS, vocabulary=7, seed=seed, scale=1.0 + seed) for seed in range(4)]
_traced = {}


def search(tables, rows, **options):
    """Beam search in one traced function a table, whatever the batch, width or length."""
    if tables not in _traced:

        def run(state, memory, width, alpha, steps, n_best):
            return beam_search(
                tables.step,
                state,
                memory,
                **SPECIAL,
                beam_width=width,
                length_penalty=alpha,
                max_steps=steps,
                n_best=n_best,
            )

        _traced[tables] = tf.function(run, reduce_retracing=True, autograph=False)
    width = tf.constant(options["width"])
    return _traced[tables](
        *tables.start(rows),
        width,
        tf.constant(options["alpha"], tf.float32),
        tf.constant(options["max_steps"]),
        tf.constant(options.get("n_best", options["width"])),
    )


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0, -0.5])
def test_a_wide_beam_finds_everything_in_order(alpha):
    tables = Tables(rows=3, vocabulary=6, seed=5)
    found = beam_search(
        tables.step,
        *tables.start([0, 1, 2]),
        **SPECIAL,
        beam_width=31,
        length_penalty=alpha,
        max_steps=[4, 3, 1],
    )
    assert found.tokens.shape == (3, 31, 4)
    for row, max_steps in enumerate([4, 3, 1]):
        expected = exhaustive(tables, row, max_steps=max_steps, alpha=alpha)
        assert_same(rows_of(found)[row], expected)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_rows_equal_a_plain_search_that_never_stops_early(data):
    """Each row has its own width, penalty, length and number of results."""
    tables = data.draw(st.sampled_from(SEVEN))
    batch = data.draw(st.integers(1, ROWS))

    def column(values):
        return data.draw(st.lists(values, min_size=batch, max_size=batch))

    rows = column(st.integers(0, ROWS - 1))
    width = column(st.integers(1, 5))
    alpha = column(st.sampled_from([0.0, 0.3, 1.0, 3.0, -1.0]))
    max_steps = column(st.integers(1, 9))
    n_best = [data.draw(st.integers(1, w)) for w in width]
    found = search(tables, rows, width=width, alpha=alpha, max_steps=max_steps, n_best=n_best)
    for b, hypotheses in enumerate(rows_of(found)):
        expected = plain_beam(
            tables,
            rows[b],
            width=width[b],
            alpha=alpha[b],
            max_steps=max_steps[b],
            n_best=n_best[b],
        )
        assert_same(hypotheses, expected)


def test_a_row_alone_equals_the_same_row_in_a_batch():
    tables = SEVEN[3]
    width, alpha = 2 * [1, 5, 2, 3, 4, 5], 2 * [1.0, 0.0, 0.5, 2.0, 0.6, 1.0]
    max_steps = [12, 3, 7, 1, 0, 9, 2, 8, 1, 2, 0, 11]
    together = rows_of(search(tables, range(ROWS), width=width, alpha=alpha, max_steps=max_steps))
    for row in range(ROWS):
        alone = search(
            tables, [row], width=[width[row]], alpha=[alpha[row]], max_steps=[max_steps[row]]
        )
        assert_same(rows_of(alone)[0], together[row])


@settings(max_examples=30, deadline=None)
@given(tables=st.sampled_from(SEVEN), alpha=st.floats(-1, 3), max_steps=st.integers(0, 12))
def test_width_one_is_greedy(tables, alpha, max_steps):
    rows = range(ROWS)
    narrow = search(
        tables, rows, width=[1] * ROWS, alpha=[alpha] * ROWS, max_steps=[max_steps] * ROWS
    )
    single = greedy(tables.step, *tables.start(rows), **SPECIAL, max_steps=max_steps)
    for field in ("tokens", "lengths", "finished"):
        np.testing.assert_array_equal(getattr(narrow, field), getattr(single, field))
    np.testing.assert_allclose(narrow.log_probs, single.log_probs, atol=1e-5)


class Scripted:
    """Probabilities after each prefix; what is not listed goes on with 4 for certain."""

    def __init__(self, script):
        self.script = script
        self.steps = 0

    def step(self, tokens, state, memory):
        self.steps += 1
        prefixes = tf.concat([state, tokens[:, None]], axis=1)
        rows = []
        for prefix in prefixes.numpy():
            probabilities = np.full(6, 1e-30)
            written = tuple(int(token) for token in prefix if token > BOS)
            for token, p in self.script.get(written, {4: 1.0}).items():
                probabilities[token] = p
            rows.append(np.log(probabilities))
        return tf.constant(np.array(rows), tf.float32), prefixes[:, 1:]

    def search(self, **options):
        return beam_search(
            self.step, tf.zeros([1, 20], tf.int32), tf.zeros([1]), **SPECIAL, **options
        )


def test_a_long_hypothesis_may_overtake_a_finished_one():
    """At the time [] ends, its rival is worse in every length reached so far."""
    network = Scripted({(): {EOS: 0.6, 4: 0.4}, (4,) * 9: {EOS: 1.0}})
    found = network.search(beam_width=2, length_penalty=2.0, max_steps=10, n_best=1)
    expected = (True, math.log(0.4) / (15 / 6) ** 2, (4,) * 9, math.log(0.4))
    assert_same(rows_of(found)[0], [expected])
    shorter = network.search(beam_width=2, length_penalty=2.0, max_steps=9, n_best=1)
    assert_same(rows_of(shorter)[0], [(True, math.log(0.6), (), math.log(0.6))])


def test_the_search_stops_as_soon_as_nothing_can_change():
    network = Scripted({(): {EOS: 0.6, 4: 0.4}, (4,) * 9: {EOS: 1.0}})
    network.search(beam_width=2, length_penalty=0.0, max_steps=10, n_best=1)
    assert network.steps == 1  # 0.4 cannot become 0.6.
    network.search(beam_width=2, length_penalty=0.0, max_steps=10, n_best=2)
    assert network.steps == 1 + 10  # The second best ends with the tenth step.
    network.search(beam_width=1, length_penalty=2.0, max_steps=10)
    assert network.steps == 1 + 10 + 1
    network.search(beam_width=2, length_penalty=0.0, max_steps=0)
    assert network.steps == 1 + 10 + 1


def test_unfinished_hypotheses_come_after_finished_ones():
    network = Scripted({(): {4: 0.9, EOS: 0.1}, (4,): {4: 0.8, 5: 0.2}})
    found = network.search(beam_width=3, length_penalty=0.0, max_steps=2)
    expected = [(True, 0.1, ()), (False, 0.72, (4, 4)), (False, 0.18, (4, 5))]
    assert_same(
        rows_of(found)[0],
        [(finished, math.log(p), tokens, math.log(p)) for finished, p, tokens in expected],
    )


def test_ties_go_to_the_lowest_beam_then_the_lowest_token():
    def uniform(tokens, state, memory):
        return tf.zeros([tf.shape(tokens)[0], 7]), state

    found = beam_search(uniform, tf.zeros([1]), (), **SPECIAL, beam_width=3, max_steps=5)
    assert [tokens for _, _, tokens, _ in rows_of(found)[0]] == [(), (4,), (4, 4)]
    single = greedy(uniform, tf.zeros([1]), (), **SPECIAL, max_steps=5)
    assert [tokens for _, _, tokens, _ in rows_of(single)[0]] == [()]
    without_eos = beam_search(
        lambda n, s, m: (tf.tile([[9.0, 9, 9, -9, 0, 0, 0]], [tf.shape(n)[0], 1]), s),
        tf.zeros([1]),
        (),
        **SPECIAL,
        beam_width=3,
        max_steps=2,
    )
    assert [tokens for _, _, tokens, _ in rows_of(without_eos)[0]] == [(4, 4), (4, 5), (4, 6)]


def test_no_steps_give_the_empty_hypothesis():
    tables = SEVEN[0]
    found = beam_search(tables.step, *tables.start([0]), **SPECIAL, beam_width=3, max_steps=0)
    assert rows_of(found) == [[(False, 0.0, (), 0.0)]]


def test_an_empty_batch_gives_empty_results():
    tables, none = SEVEN[0], tf.zeros([0], tf.int32)
    found = beam_search(
        tables.step, *tables.start([]), **SPECIAL, beam_width=none, n_best=none, max_steps=none
    )
    assert [tuple(x.shape) for x in found] == [(0, 1, 0)] + [(0, 1)] * 4
    broadcast = beam_search(
        tables.step, *tables.start([]), **SPECIAL, beam_width=[5], n_best=[2], max_steps=[7]
    )
    assert rows_of(broadcast) == []


def test_widths_and_results_below_one_or_above_the_beam_are_clipped():
    tables = SEVEN[1]
    options = {"alpha": [1.0] * 2, "max_steps": [6] * 2}
    clipped = search(tables, [0, 1], width=[0, 3], n_best=[5, 9], **options)
    plain = search(tables, [0, 1], width=[1, 3], n_best=[1, 3], **options)
    for left, right in zip(clipped, plain, strict=True):
        np.testing.assert_array_equal(left, right)


def test_half_precision_logits_are_summed_in_float32():
    tables = Tables(rows=1, vocabulary=7, seed=0, dtype=tf.bfloat16)
    tables.logits = tf.cast(tf.cast(tables.logits, tf.bfloat16), tf.float32).numpy()
    found = beam_search(tables.step, *tables.start([0]), **SPECIAL, beam_width=3, max_steps=8)
    assert found.log_probs.dtype == found.scores.dtype == tf.float32
    expected = plain_beam(tables, 0, width=3, max_steps=8, alpha=0.0, n_best=3)
    assert_same(rows_of(found)[0], expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"banned": (0, EOS)}, r"eos must not be banned, got eos=3 and banned=\(0, 3\)"),
        ({"bos": -1}, "bos must be a token of the vocabulary"),
        ({"eos": -2}, "eos must be a token of the vocabulary"),
        ({"banned": (-5,)}, "banned must be a token of the vocabulary .* got -5"),
    ],
)
def test_wrong_special_tokens_are_refused(changed, message):
    tables = SEVEN[0]
    for decode in (greedy, lambda *a, **k: beam_search(*a, **k, beam_width=2)):
        with pytest.raises(ValueError, match=message):
            decode(tables.step, *tables.start([0]), max_steps=3, **{**SPECIAL, **changed})


def test_a_search_without_tensors_is_refused():
    with pytest.raises(ValueError, match="at least one tensor with a leading batch axis"):
        beam_search(SEVEN[0].step, (), (), **SPECIAL, beam_width=2, max_steps=3)
