"""The predictors' NumPy reads recordings as the graph does."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.audio import mel, read, wav
from seqapps.audio.settings import Features
from seqapps.portable.probes import recordings
from seqapps.portable.runtime import sound

FILES = [
    *recordings(),
    b"",
    b"RIFF",
    b"RIFF\0\0\0\0WAVE",
    b"x" * 100,
    recordings()[0][:44],
    recordings()[1][:50],
    recordings()[0].replace(b"data", b"junk\0\0\0\0" * 998 + b"data"),
    recordings()[0].replace(b"data", b"junk\0\0\0\0" * 999 + b"data"),
    recordings()[0].replace(b"data", b"dota"),
    recordings()[0][:22] + b"\0\0" + recordings()[0][24:],
    recordings()[0][:24] + b"\1\0\0\0" + recordings()[0][28:],
    recordings()[2][:60] + np.float32([np.nan, 1e30]).tobytes() + recordings()[2][68:],
    recordings()[2][:60] + np.float32([2.5, -3.5]).tobytes() + recordings()[2][68:],
]


@pytest.mark.parametrize("number", range(len(FILES)))
def test_wav_files_are_read_alike(number):
    want = wav.parse_wav(tf.constant(FILES[number]))
    samples, rate_hz, status = sound.parse_wav(FILES[number])
    assert status == int(want.status)
    np.testing.assert_array_equal(samples, want.samples.numpy())
    if status < sound.NOT_WAV:
        assert rate_hz == int(want.rate_hz)


def test_every_status_is_met():
    assert {sound.parse_wav(file)[2] for file in FILES} == set(range(9))
    assert sound.STATUSES == wav.STATUSES


@pytest.mark.parametrize("centre", [True, False])
def test_features_are_alike(centre):
    settings = Features(sample_rate_hz=8000, mels=24, centre=centre)
    want = read.read_wav(tf.constant(FILES), 8000)
    rows = [sound.resample(*sound.parse_wav(file)[:2], 8000) for file in FILES]
    for row, values, length in zip(rows, want.values.numpy(), want.lengths.numpy(), strict=True):
        np.testing.assert_allclose(row, values[:length], rtol=0, atol=1e-7)
    power, frames = sound.power_spectra(
        rows,
        {"window": settings.window, "hop": settings.hop, "fft": settings.fft, "centre": centre},
    )
    np.testing.assert_array_equal(frames, mel.frames_of(want.lengths, settings))
    found = np.log(np.maximum(power @ mel.mel_matrix(settings), mel.FLOOR))
    expected = mel.log_mel(want.values, settings).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
