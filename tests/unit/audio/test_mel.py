"""Log-mel features against librosa."""

import librosa
import numpy as np
import pytest
import tensorflow as tf

from seqapps.audio.mel import FLOOR, frames_of, hz_to_mel, log_mel, mel_matrix, mel_to_hz
from seqapps.audio.settings import Features

SETTINGS = (
    Features(),
    Features(sample_rate_hz=8_000, mels=40, lowest_hz=60.0, highest_hz=3_800.0),
    Features(mels=80, window_ms=32.0, hop_ms=8.0, lowest_hz=0.0),
    Features(mels=40, centre=False),
)
RNG = np.random.default_rng(0)
TIME = np.arange(16_000) / 16_000
SIGNALS = {
    "noise": 0.1 * RNG.normal(size=16_000),
    "quiet": 1e-4 * RNG.normal(size=16_000),
    "tone": 0.9 * np.sin(2 * np.pi * 440 * TIME),
    "chirp": 0.5 * np.sin(2 * np.pi * (100 * TIME + 1_500 * TIME**2)),
    "clicks": (np.arange(16_000) % 1_700 == 0) * 0.8,
    "silence": np.zeros(16_000),
    "short": 0.1 * RNG.normal(size=600),
}


def reference(values, settings):
    power = librosa.feature.melspectrogram(
        y=values.astype(np.float64),
        sr=settings.sample_rate_hz,
        n_fft=settings.fft,
        win_length=settings.window,
        hop_length=settings.hop,
        n_mels=settings.mels,
        fmin=settings.lowest_hz,
        fmax=settings.top_hz,
        center=True,
        pad_mode="constant",
    )
    return np.log(np.maximum(power, FLOOR)).T


@pytest.mark.parametrize("settings", SETTINGS[:3], ids=["default", "8 kHz", "80 bands"])
@pytest.mark.parametrize("name", SIGNALS)
def test_as_librosa_has_it(name, settings):
    values = SIGNALS[name].astype(np.float32)
    found = log_mel(values[None], settings)[0].numpy()
    expected = reference(values, settings)
    assert found.shape == expected.shape
    # The demand is 1e-3.
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_bank_is_librosas(settings):
    expected = librosa.filters.mel(
        sr=settings.sample_rate_hz,
        n_fft=settings.fft,
        n_mels=settings.mels,
        fmin=settings.lowest_hz,
        fmax=settings.top_hz,
    )
    np.testing.assert_allclose(mel_matrix(settings), expected.T, atol=1e-7)
    hz = np.linspace(0, 20_000, 500)
    np.testing.assert_allclose(hz_to_mel(hz), librosa.hz_to_mel(hz), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, rtol=1e-12, atol=1e-9)


def test_bands_that_hold_nothing_are_refused():
    with pytest.raises(ValueError, match="too many for windows of 8 ms"):
        mel_matrix(Features(mels=128, window_ms=8.0, hop_ms=4.0))


@pytest.mark.parametrize("settings", SETTINGS)
def test_padding_and_batch_mates_do_not_change_a_row(settings):
    rows = [SIGNALS["noise"][:n].astype(np.float32) for n in (0, 1, 399, 400, 401, 5_000)]
    longest = max(map(len, rows)) + 777
    batch = np.stack([np.pad(row, (0, longest - len(row))) for row in rows])
    together = log_mel(batch, settings).numpy()
    counts = frames_of(tf.constant([len(row) for row in rows]), settings).numpy()
    for row, values, count in zip(together, rows, counts, strict=True):
        alone = log_mel(values[None], settings)[0].numpy()
        assert len(alone) == count
        np.testing.assert_allclose(row[:count], alone, atol=1e-6)


def test_frames_without_centring_see_whole_windows_alone():
    settings = SETTINGS[3]
    values = SIGNALS["noise"].astype(np.float32)
    found = log_mel(values[None], settings)[0].numpy()
    assert len(found) == 1 + (16_000 - settings.window) // settings.hop
    third = values[2 * settings.hop :][: settings.window]
    np.testing.assert_allclose(log_mel(third[None], settings)[0, 0], found[2], atol=1e-6)
    # Nothing later than its window reaches a frame.
    changed = values.copy()
    changed[2 * settings.hop + settings.window :] = 0.9
    np.testing.assert_array_equal(log_mel(changed[None], settings)[0, :3], found[:3])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"highest_hz": 9_000.0}, "highest_hz"),
        ({"hop_ms": 30.0}, "hop_ms must be at most window_ms"),
        ({"mels": 2}, "mels must be at least 8"),
    ],
)
def test_settings_out_of_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        Features(**wrong)
