"""What training does to recordings."""

import dataclasses

import numpy as np
import tensorflow as tf

from seqapps.audio.augment import add_noise, perturb, stretch
from seqapps.audio.settings import Augmentation

RATE = 16_000
TONE = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
ROWS = tf.constant(np.stack([TONE, np.pad(0.1 * TONE[:6_000], (0, 10_000))]))
LENGTHS = tf.constant([16_000, 6_000])
NOTHING = Augmentation(speed=0, gain_db=0, noise_db=0, shift_ms=0)


def test_nothing_asked_nothing_changed():
    values, lengths = perturb(ROWS, LENGTHS, [1, 2], settings=NOTHING, rate_hz=RATE)
    np.testing.assert_allclose(values, ROWS, atol=1e-6)
    np.testing.assert_array_equal(lengths, LENGTHS)


def test_faster_is_shorter_and_higher():
    values, lengths = stretch(ROWS, LENGTHS, tf.constant([1.25, 0.8]))
    assert lengths.numpy().tolist() == [12_800, 7_500]
    for row, hz in ((0, 625), (1, 400)):
        heard = values[row, : lengths[row]].numpy()
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert abs(spectrum.argmax() * RATE / len(heard) - hz) < 3
    assert not values[1, 7_500:].numpy().any()


def test_silence_before_and_after():
    values, lengths = stretch(
        ROWS, LENGTHS, tf.constant([1.0, 1.0]), before_B=tf.constant([100, 0]), after_B=50
    )
    assert lengths.numpy().tolist() == [16_150, 6_050]
    np.testing.assert_allclose(values[0, 100:16_100], TONE, atol=1e-6)
    assert not values[0, :100].numpy().any()
    assert not values[0, 16_100:].numpy().any()


def test_noise_has_the_level_and_colour_that_were_asked():
    ratios, colours = tf.constant([10.0, 20.0]), tf.constant([0.0, 1.0])
    noisy = add_noise(ROWS, LENGTHS, ratios, colour_B=colours, seed=[3, 4])
    noise = (noisy - ROWS).numpy()
    assert not noise[1, 6_000:].any()
    slopes = []
    for row, count in enumerate(LENGTHS.numpy()):
        power = (ROWS[row, :count].numpy() ** 2).mean() / (noise[row, :count] ** 2).mean()
        np.testing.assert_allclose(10 * np.log10(power), ratios[row], atol=0.01)
        spectrum = np.abs(np.fft.rfft(noise[row, :count])) ** 2
        low, high = spectrum[20:200].mean(), spectrum[-1_000:].mean()
        slopes.append(np.log(low / high))
    assert abs(slopes[0]) < 0.5
    assert slopes[1] > 2


def test_everything_is_a_function_of_the_seed_and_rows_differ():
    settings = Augmentation()
    twice = [perturb(ROWS, LENGTHS, [1, 2], settings=settings, rate_hz=RATE) for _ in range(2)]
    np.testing.assert_array_equal(twice[0][0], twice[1][0])
    other, _ = perturb(ROWS, LENGTHS, [1, 3], settings=settings, rate_hz=RATE)
    assert other.shape != twice[0][0].shape or not np.array_equal(other, twice[0][0])
    loud = dataclasses.replace(NOTHING, gain_db=12.0)
    same = tf.tile(ROWS[:1], [8, 1])
    gains, _ = perturb(same, tf.fill([8], RATE), [5, 6], settings=loud, rate_hz=RATE)
    decibels = 20 * np.log10(np.abs(gains.numpy()).max(1))
    assert len(np.unique(decibels.round(3))) == 8
    assert np.abs(decibels).max() <= 12.01
