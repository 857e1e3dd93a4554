"""Layers that show features otherwise than they are: at random in training, several ways after."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.audio.mel import hz_to_mel, mel_to_hz
from seqapps.layers.spectrogram_views import (
    FeatureAugmentation,
    MeanView,
    TempoAugmentation,
    WarpedViews,
)

RNG = np.random.default_rng(0)
LENGTHS = tf.constant([9, 5, 1])
VALUES = tf.constant(RNG.normal(3.0, 2.0, (3, 9, 8)).astype(np.float32))


def test_augmentation_is_for_training_alone_and_differs_from_row_to_row():
    layer = FeatureAugmentation(
        warp=0.2, time_masks=1, time_share=0.5, band_masks=1, band_share=0.5, seed=1
    )
    np.testing.assert_array_equal(layer(VALUES, LENGTHS), VALUES)
    varied = layer(tf.ones([3, 40, 8]), tf.constant([40, 40, 40]), training=True).numpy()
    # Warping keeps a constant; blocks are 0.
    assert set(np.unique(varied.round(5))) <= {0.0, 1.0}
    for row in varied:
        assert 0.0 < row.mean() <= 1.0
    assert not np.array_equal(varied[0], varied[1])


def test_warping_moves_bands_alone_and_by_a_factor_in_hertz():
    layer = FeatureAugmentation(warp=0.3, lowest_hz=20.0, highest_hz=4000.0, seed=2)
    edge_mel = np.linspace(*hz_to_mel([20.0, 4000.0]), 34)
    centre_mel = edge_mel[1:-1]
    # What a band says is its place on the mel scale, so what is read tells whence.
    ramp = tf.tile(tf.constant(centre_mel, tf.float32)[tf.newaxis, tf.newaxis], [5, 3, 1])
    found = layer(ramp, tf.fill([5], 3), training=True).numpy()
    factors = []
    for row in found:
        np.testing.assert_allclose(row[0], row[2])
        factors.append(mel_to_hz(row[0, 20]) / mel_to_hz(centre_mel[20]))
        expected = hz_to_mel(mel_to_hz(centre_mel) * factors[-1])
        np.testing.assert_allclose(
            row[0], np.clip(expected, centre_mel[0], centre_mel[-1]), atol=1e-3
        )
    assert 0.7 <= min(factors) < 0.97
    assert 1.03 < max(factors) <= 1.3


def test_a_channel_tilts_the_bands_of_a_row_smoothly_and_by_at_most_what_is_stated():
    layer = FeatureAugmentation(channel_tilt_db=6.0, seed=3)
    values = tf.zeros([200, 4, 32])
    lengths = tf.fill([200], 3)
    assert not layer(values, lengths).numpy().any()
    found = layer(values, lengths, training=True).numpy()
    assert not found[:, 3].any()
    np.testing.assert_array_equal(found[:, 0], found[:, 2])
    tilt = found[:, 0]
    # 8 dB are one deviation; no overall gain; neighbours are alike, rows are not.
    assert 0.5 < np.abs(tilt).max() <= 0.75
    np.testing.assert_allclose(tilt.mean(1), 0.0, atol=1e-6)
    assert np.abs(np.diff(tilt, axis=1)).max() < 0.75 * np.pi / 32 * 11 / 7
    assert np.abs(np.corrcoef(tilt[0], tilt[1])[0, 1]) < 0.999
    assert np.abs(tilt.mean(0)).max() < 0.1


def test_tempo_repeats_or_leaves_out_whole_frames():
    layer = TempoAugmentation(0.15, seed=1)
    lengths = np.array([100, 60, 1, 0] * 20, np.int32)
    values = np.zeros((80, 100, 2), np.float32)
    for row, count in enumerate(lengths):
        values[row, :count] = np.arange(1, count + 1)[:, None]
    same, unchanged = layer(values, lengths)
    np.testing.assert_array_equal(same, values)
    np.testing.assert_array_equal(unchanged, lengths)
    found, counts = (part.numpy() for part in layer(values, lengths, training=True))
    assert found.shape[1] == counts.max()
    for row, (before, after) in enumerate(zip(lengths, counts, strict=True)):
        assert abs(after - before) <= round(0.15 * before)
        frames = found[row, :after, 0]
        assert not found[row, after:].any()
        # Whole frames, in order, evenly over the row.
        expected = (2 * np.arange(after) + 1) * before // max(2 * after, 1) + 1
        np.testing.assert_array_equal(frames, expected)
    assert counts[0::4].min() < 92 < 108 < counts[0::4].max()


def test_views_are_warped_in_hertz_and_padding_stays_empty():
    tent = np.maximum(0.0, 1.0 - np.abs(np.arange(40.0) - 20.0) / 3.0).astype(np.float32)
    rows = tf.constant(np.stack([np.tile(tent, (4, 1)), np.tile(tent, (4, 1))]))
    rows *= tf.constant([[1.0], [1.0], [1.0], [0.0]])
    layer = WarpedViews([0.9, 1.0, 1.2], lowest_hz=20.0, highest_hz=4000.0)
    views, lengths = layer(rows, tf.constant([4, 3]))
    assert views.shape == (6, 4, 40)
    assert lengths.numpy().tolist() == [4, 3] * 3
    np.testing.assert_allclose(views[2:4], rows, atol=1e-5)
    assert not views[:, 3].numpy().any()
    low, high = hz_to_mel([20.0, 4000.0])
    centre_hz = mel_to_hz(np.linspace(low, high, 42)[1:-1])
    for place, factor in ((0, 0.9), (4, 1.2)):
        # Band m shows what stood at its frequency times the factor.
        expected = np.argmin(np.abs(centre_hz * factor - centre_hz[20]))
        assert abs(int(views[place, 0].numpy().argmax()) - expected) <= 1
    same, as_many = layer(rows, tf.constant([4, 3]), training=True)
    np.testing.assert_array_equal(same, rows)
    assert as_many.numpy().tolist() == [4, 3]


def test_the_mean_view_is_the_mean_of_log_probabilities():
    logits = tf.constant(RNG.normal(size=(6, 5, 4)).astype(np.float32))
    found, lengths = MeanView(3)(logits, tf.constant([5, 4] * 3))
    log_probs = logits - np.log(np.exp(logits).sum(2, keepdims=True))
    np.testing.assert_allclose(found, log_probs.numpy().reshape(3, 2, 5, 4).mean(0), atol=1e-6)
    assert lengths.numpy().tolist() == [5, 4]
    np.testing.assert_array_equal(MeanView(3)(logits, lengths, training=True)[0], logits)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WarpedViews([]), "at least one"),
        (lambda: WarpedViews([1.0, 3.0]), "from 0.5 to 2"),
        (lambda: TempoAugmentation(0.6), "from 0 to 0.5"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()
