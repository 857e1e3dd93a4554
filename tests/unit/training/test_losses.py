import numpy as np
import pytest
import tensorflow as tf

from seqapps.training.losses import class_cross_entropy, token_cross_entropy

LENGTHS = np.array([4, 1, 3], np.int32)
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0.0, 3.0, (3, 4, 6)).astype(np.float32)
LABELS = RNG.integers(0, 6, (3, 4)).astype(np.int32)


def measured(logits, labels, lengths, *, smoothing=0.0, training=True):
    batch = {"labels": tf.constant(labels), "labels_lengths": tf.constant(lengths)}
    loss = token_cross_entropy(label_smoothing=smoothing)
    return [value.numpy() for value in loss(tf.constant(logits), batch, training)]


def by_hand(logits, labels, lengths, smoothing):
    total = 0.0
    for row, length in enumerate(lengths):
        for step in range(length):
            scores = logits[row, step].astype(np.float64)
            log_probabilities = scores - np.log(np.exp(scores).sum())
            wanted = np.full(len(scores), smoothing / len(scores))
            wanted[labels[row, step]] += 1.0 - smoothing
            total -= (wanted * log_probabilities).sum()
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_equals_the_sum_over_real_tokens_by_hand(smoothing):
    total, count = measured(LOGITS, LABELS, LENGTHS, smoothing=smoothing)
    np.testing.assert_allclose(total, by_hand(LOGITS, LABELS, LENGTHS, smoothing), rtol=1e-6)
    assert count == 8.0


def test_smooths_in_training_alone():
    plain, _ = measured(LOGITS, LABELS, LENGTHS)
    validated, _ = measured(LOGITS, LABELS, LENGTHS, smoothing=0.3, training=False)
    trained, _ = measured(LOGITS, LABELS, LENGTHS, smoothing=0.3)
    assert validated == plain
    assert abs(trained - plain) > 0.1


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_padding_changes_nothing_whatever_it_holds(smoothing):
    wide = RNG.normal(0.0, 9.0, (3, 9, 6)).astype(np.float32)
    wide[:, :4] = LOGITS
    labels = np.full((3, 9), 5, np.int32)
    labels[:, :4] = LABELS
    short = measured(LOGITS, LABELS, LENGTHS, smoothing=smoothing)
    np.testing.assert_allclose(
        measured(wide, labels, LENGTHS, smoothing=smoothing), short, rtol=1e-6
    )
    rows = [
        measured(LOGITS[i : i + 1, :n], LABELS[i : i + 1, :n], [n], smoothing=smoothing)
        for i, n in enumerate(LENGTHS)
    ]
    np.testing.assert_allclose(np.sum(rows, 0), short, rtol=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    # In float16 the sum over 5,000 equal terms would stall at 2,048.
    logits = np.zeros((1, 1, 5000), np.float16)
    total, _ = measured(logits, [[7]], [1])
    np.testing.assert_allclose(total, np.log(5000.0), rtol=1e-6)
    assert total.dtype == np.float32


CLASS_LOGITS = RNG.normal(0.0, 2.0, (5, 3)).astype(np.float32)
CLASSES = np.array([0, 2, 1, 1, 2])
WEIGHTS = np.array([0.5, 2.0, 1.0, 1.0, 0.25], np.float32)


def of_classes(smoothing, training, logits=CLASS_LOGITS):
    batch = {
        "labels": tf.constant(CLASSES[:, np.newaxis], tf.int32),
        "weights": tf.constant(WEIGHTS[:, np.newaxis]),
    }
    loss = class_cross_entropy(label_smoothing=smoothing)
    return [value.numpy() for value in loss(tf.constant(logits), batch, training)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_classes_weigh_what_their_examples_weigh(smoothing):
    scores = CLASS_LOGITS.astype(np.float64)
    log_probabilities = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    wanted = np.full((5, 3), smoothing / 3)
    wanted[range(5), CLASSES] += 1.0 - smoothing
    losses = -(wanted * log_probabilities).sum(1)
    total, count = of_classes(smoothing, True)
    np.testing.assert_allclose(total, (WEIGHTS * losses).sum(), rtol=1e-6)
    assert count == WEIGHTS.sum()
    total, count = of_classes(smoothing, False)
    # In validation neither weights nor smoothing: plain negative log-likelihood.
    np.testing.assert_allclose(total, -log_probabilities[range(5), CLASSES].sum(), rtol=1e-6)
    assert count == 5.0


def test_half_precision_class_logits_are_compared_in_float32():
    logits = np.full((5, 3), 60000.0, np.float16)
    total, _ = of_classes(0.1, True, logits)
    assert total.dtype == np.float32
    np.testing.assert_allclose(total, WEIGHTS.sum() * np.log(3.0), rtol=1e-5)
