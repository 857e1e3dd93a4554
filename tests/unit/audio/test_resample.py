"""The resampler in the graph against soxr and against exact interpolation."""

import numpy as np
import pytest
import scipy.signal
import soxr
import tensorflow as tf

from seqapps.audio.resample import output_length, resample

RATES = (8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
RESAMPLE = tf.function(
    lambda samples, rate: resample(samples, rate, 16_000),
    input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)],
    autograph=False,
)


def band_limited(rate, seconds=1):
    """Noise up to 0.85 of the lower Nyquist frequency, faded in and out."""
    rng = np.random.default_rng(rate)
    count = rate * seconds
    spectrum = np.zeros(count // 2 + 1, complex)
    last = int(0.85 * min(rate, 16_000) / 2 * seconds)
    spectrum[5:last] = rng.normal(size=last - 5) + 1j * rng.normal(size=last - 5)
    values = np.fft.irfft(spectrum, count) * np.hanning(count) ** 2
    return (0.5 * values / np.abs(values).max()).astype(np.float32)


def decibels(found, expected):
    return 10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum())


@pytest.mark.parametrize("rate", RATES)
def test_signal_to_error(rate):
    values = band_limited(rate)
    found = RESAMPLE(values, rate).numpy()
    assert found.shape == (16_000,)
    exact = scipy.signal.resample(values.astype(np.float64), 16_000)
    assert decibels(found, exact) > 100
    # soxr itself is 79 dB from the exact signal where the ratio is awkward.
    by_soxr = soxr.resample(values.astype(np.float64), rate, 16_000, "VHQ")
    assert decibels(found, by_soxr) > 75


def test_what_is_too_high_for_the_new_rate_does_not_come_back_as_something_else():
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 9_000 * time).astype(np.float32)
    found = RESAMPLE(tone, 48_000).numpy()[1_000:-1_000]
    assert np.abs(found).max() < 1e-4


def test_equal_rates_change_nothing():
    values = band_limited(16_000)
    np.testing.assert_array_equal(RESAMPLE(values, 16_000), values)


@pytest.mark.parametrize("rate", [1_000, 7_919, 16_001, 44_056, 768_000])
@pytest.mark.parametrize("count", [0, 1, 2, 999])
def test_every_rate_and_length_gives_as_many_samples_as_begin_within_it(rate, count):
    found = RESAMPLE(np.ones(count, np.float32), rate).numpy()
    assert len(found) == -(-count * 16_000 // rate)
    assert int(output_length(count, rate, 16_000)) == len(found)
    assert np.isfinite(found).all()


def test_what_follows_does_not_change_what_was():
    values = band_limited(44_100)
    whole = RESAMPLE(values, 44_100).numpy()
    padded = RESAMPLE(np.pad(values, (0, 5_000)), 44_100).numpy()
    np.testing.assert_allclose(padded[: len(whole)], whole, atol=1e-6)
