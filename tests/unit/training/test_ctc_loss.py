"""CTC against the forward algorithm in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.training.losses import ctc, steps_needed

LOSS = ctc()
V = 5


def forward(log_probs_SV, labels):
    """-log of the probability of the labels: Graves et al. 2006, equations 6 to 8."""
    blank = log_probs_SV.shape[1] - 1
    places = [blank]
    for label in labels:
        places += [label, blank]
    alpha = np.full(len(places), -np.inf)
    alpha[0] = log_probs_SV[0, blank]
    if len(places) > 1:
        alpha[1] = log_probs_SV[0, places[1]]
    for row in log_probs_SV[1:]:
        before = alpha
        alpha = np.full(len(places), -np.inf)
        for z, symbol in enumerate(places):
            ways = [before[z], *(before[z - 1 : z] if z else [])]
            if z > 1 and symbol not in (blank, places[z - 2]):
                ways.append(before[z - 2])
            alpha[z] = np.logaddexp.reduce(ways) + row[symbol]
    return -np.logaddexp.reduce(alpha[-2:] if len(places) > 1 else alpha)


def batch(rows, lengths):
    labels = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for place, row in zip(labels, rows, strict=True):
        place[: len(row)] = row
    return {
        "labels": tf.constant(labels),
        "labels_lengths": tf.constant([len(row) for row in rows]),
    }, tf.constant(lengths)


ROWS, STEPS = [[0, 1, 1, 3], [2], [3, 3, 0]], [9, 4, 5]


def test_it_is_the_forward_algorithm_and_padding_does_not_count():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 9, V)).astype(np.float32) * 2
    labels, lengths = batch(ROWS, STEPS)
    log_probs = tf.nn.log_softmax(logits).numpy()
    expected = [forward(log_probs[i, :n].astype(float), ROWS[i]) for i, n in enumerate(STEPS)]
    total, count = LOSS({"logits": logits, "logits_lengths": lengths}, labels, True)
    assert float(total) == pytest.approx(sum(expected), rel=1e-5)
    assert float(count) == 8
    longer = np.concatenate([logits, rng.normal(size=(3, 6, V))], 1).astype(np.float32)
    labels["labels"] = tf.pad(labels["labels"], [[0, 0], [0, 3]], constant_values=2)
    again, _ = LOSS({"logits": longer, "logits_lengths": lengths}, labels, True)
    assert float(again) == pytest.approx(float(total), abs=1e-4)


def test_gradients_are_those_of_the_loss_and_do_not_touch_padding():
    logits = tf.Variable(np.random.default_rng(1).normal(size=(3, 9, V)).astype(np.float32))
    labels, lengths = batch(ROWS, STEPS)
    with tf.GradientTape() as tape:
        total, _ = LOSS({"logits": logits, "logits_lengths": lengths}, labels, True)
    gradient = tape.gradient(total, logits).numpy()
    assert not gradient[1, 4:].any()
    step = np.zeros((3, 9, V), np.float32)
    step[0, 3, 1] = 1e-2

    def loss_at(values):
        return float(LOSS({"logits": values, "logits_lengths": lengths}, labels, True)[0])

    slope = (loss_at(logits + step) - loss_at(logits - step)) / 2e-2
    assert gradient[0, 3, 1] == pytest.approx(slope, abs=1e-2)


@pytest.mark.parametrize("rows", [[[], [2], [3, 3, 0]], [[], [], []]])
def test_a_row_without_labels_counts_for_nothing(rows):
    logits = tf.Variable(np.random.default_rng(3).normal(size=(3, 9, V)).astype(np.float32))
    labels, lengths = batch(rows, STEPS)
    with tf.GradientTape() as tape:
        total, count = LOSS({"logits": logits, "logits_lengths": lengths}, labels, True)
    log_probs = tf.nn.log_softmax(logits).numpy().astype(float)
    expected = [forward(log_probs[i, : STEPS[i]], row) for i, row in enumerate(rows) if row]
    assert float(total) == pytest.approx(sum(expected), rel=1e-5)
    assert float(count) == sum(map(len, rows))
    gradient = tape.gradient(total, logits).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[0].any()


def test_what_does_not_fit_counts_for_nothing():
    labels, _ = batch(ROWS, STEPS)
    assert steps_needed(labels["labels"], labels["labels_lengths"]).numpy().tolist() == [5, 1, 4]
    logits = np.random.default_rng(2).normal(size=(3, 9, V)).astype(np.float32)
    # The first and the last are one step too short.
    lengths = tf.constant([4, 4, 3])
    total, count = LOSS({"logits": logits, "logits_lengths": lengths}, labels, True)
    log_probs = tf.nn.log_softmax(logits).numpy()
    assert float(total) == pytest.approx(forward(log_probs[1, :4].astype(float), [2]), rel=1e-5)
    assert float(count) == 1
