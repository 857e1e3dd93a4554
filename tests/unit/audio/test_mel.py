"""Log-mel features against librosa.

`make test` compares with what librosa gave, kept in `librosa_mel.npz`: librosa compiles for up to
half a minute before its first answer. `make test-long` compares with librosa itself.
"""

from pathlib import Path

import librosa_mel
import numpy as np
import pytest
import tensorflow as tf
from librosa_mel import FRAMES, SETTINGS, SIGNALS, answers, log_mel_of

from seqapps.audio.mel import frames_of, hz_to_mel, log_mel, mel_matrix, mel_to_hz
from seqapps.audio.settings import Features

NAMES = ["default", "8 kHz", "80 bands"]


@pytest.fixture(scope="module")
def kept():
    """What librosa gave when `librosa_mel.py` was run."""
    with np.load(Path(librosa_mel.__file__).with_suffix(".npz")) as found:
        return dict(found)


@pytest.mark.parametrize("number", range(3), ids=NAMES)
@pytest.mark.parametrize("name", SIGNALS)
def test_as_librosa_had_it(kept, name, number):
    found = log_mel(SIGNALS[name][None], SETTINGS[number])[0].numpy()
    assert len(found) == kept[f"frames {name} {number}"]
    # The demand is 1e-3.
    assert np.abs(found[FRAMES % len(found)] - kept[f"mel {name} {number}"]).max() < 1e-4


@pytest.mark.parametrize("number", range(4))
def test_the_bank_is_librosas(kept, number):
    np.testing.assert_allclose(mel_matrix(SETTINGS[number]), kept[f"bank {number}"], atol=1e-7)


def test_the_scale_is_librosas(kept):
    hz = np.linspace(0, 20_000, 500)
    np.testing.assert_allclose(hz_to_mel(hz), kept["hz_to_mel"], rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, rtol=1e-12, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("number", range(3), ids=NAMES)
@pytest.mark.parametrize("name", SIGNALS)
def test_every_frame_is_as_librosa_has_it(name, number):
    found = log_mel(SIGNALS[name][None], SETTINGS[number])[0].numpy()
    expected = log_mel_of(SIGNALS[name], SETTINGS[number])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.long
def test_what_is_kept_is_what_librosa_gives(kept):
    now = answers()
    assert now.keys() == kept.keys()
    for name, value in now.items():
        np.testing.assert_allclose(kept[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_bands_that_hold_nothing_are_refused():
    with pytest.raises(ValueError, match="too many for windows of 8 ms"):
        mel_matrix(Features(mels=128, window_ms=8.0, hop_ms=4.0))


@pytest.mark.parametrize("settings", SETTINGS)
def test_padding_and_batch_mates_do_not_change_a_row(settings):
    rows = [SIGNALS["noise"][:n] for n in (0, 1, 399, 400, 401, 5_000)]
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
    values = SIGNALS["noise"]
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
