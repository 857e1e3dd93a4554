"""Layers over features: lengths count, padding does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.lookahead import Lookahead
from seqapps.layers.spectrogram import ConvolutionalFrontEnd, FeatureNormalisation

RNG = np.random.default_rng(0)
LENGTHS = tf.constant([9, 5, 1])
VALUES = tf.constant(RNG.normal(3.0, 2.0, (3, 9, 8)).astype(np.float32))
LONGER = tf.concat([VALUES, tf.fill([3, 4, 8], 99.0)], 1)


def test_each_recording_is_normalised_by_its_own_frames():
    found = FeatureNormalisation()(LONGER, LENGTHS).numpy()
    for row, count in enumerate(LENGTHS.numpy()):
        values = VALUES[row, :count].numpy()
        expected = (values - values.mean(0)) / np.maximum(values.std(0), 1e-3)
        np.testing.assert_allclose(found[row, :count], expected, atol=1e-5)
        assert not found[row, count:].any()


def test_the_rounding_of_a_band_near_silence_is_not_blown_up():
    # As of telephone sound above 4 kHz: the logarithm's floor, and little above it.
    floor = np.log(np.float32(1e-10))
    quiet = np.full((1, 400, 2), floor)
    quiet[0, ::20, 0] += RNG.uniform(0.0, 2.0, 20)
    quiet = quiet.astype(np.float32)
    found = FeatureNormalisation()(tf.constant(quiet), tf.constant([400])).numpy()
    exact = quiet.astype(np.float64) - quiet.mean(1, dtype=np.float64)
    exact /= np.maximum(quiet.std(1, dtype=np.float64), 1e-3)
    np.testing.assert_allclose(found, exact, rtol=2e-6, atol=2e-6)


def test_or_by_the_statistics_of_training():
    layer = FeatureNormalisation("global")
    layer.build(VALUES.shape)
    layer.adapt(np.full(8, 3.0), np.full(8, 2.0))
    found = layer(LONGER, LENGTHS).numpy()
    np.testing.assert_allclose(found[0, :9], (VALUES[0] - 3.0) / 2.0, atol=1e-6)
    assert not found[1, 5:].any()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_neither_outputs_nor_statistics(causal, training):
    normal = FeatureNormalisation()
    found, means = [], []
    for values in (VALUES, LONGER):
        keras.utils.set_random_seed(1)
        layer = ConvolutionalFrontEnd(4, time_strides=(2, 2), causal=causal)
        outputs, lengths = layer(normal(values, LENGTHS), LENGTHS, training=training)
        assert lengths.numpy().tolist() == [3, 2, 1]
        assert layer.output_lengths(LENGTHS).numpy().tolist() == [3, 2, 1]
        assert outputs.shape[-1] == 2 * 4
        assert not outputs[1, 2:].numpy().any()
        found.append(outputs[:, :3].numpy())
        means.append(layer.norms[1].moving_mean.numpy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(means[0], means[1], atol=1e-6)
    assert bool(means[0].any()) == training


def test_a_causal_front_end_sees_nothing_of_what_is_to_come():
    layer = ConvolutionalFrontEnd(4, time_strides=(2, 1), causal=True)
    before, _ = layer(VALUES[:1], tf.constant([9]))
    changed = tf.concat([VALUES[:1, :5], VALUES[:1, 5:] + 1.0], 1)
    after, _ = layer(changed, tf.constant([9]))
    same = np.isclose(before, after, atol=1e-7).all((0, 2))
    # Output t stands for frames 2t and earlier.
    assert same.tolist() == [True, True, True, False, False]


def test_looking_ahead_is_a_weighted_sum_of_what_is_to_come():
    layer = Lookahead(2)
    found = layer(LONGER, LENGTHS).numpy()
    weight = layer.weight.numpy()
    for row, count in enumerate(LENGTHS.numpy()):
        values = np.pad(VALUES[row, :count], ((0, 2), (0, 0)))
        for t in range(count):
            expected = sum(weight[i] * values[t + i] for i in range(3))
            np.testing.assert_allclose(found[row, t], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FeatureNormalisation("speaker"), "utterance or global"),
        (lambda: ConvolutionalFrontEnd(0), "at least 1"),
        (lambda: ConvolutionalFrontEnd(4, time_strides=(2, 0)), "at least 1"),
        (lambda: ConvolutionalFrontEnd(4, kernel=1), "odd and at least 3, got 1"),
        (lambda: ConvolutionalFrontEnd(4, kernel=4), "odd and at least 3, got 4"),
        (lambda: Lookahead(0), "at least 1"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()
