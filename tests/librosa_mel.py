"""What librosa gives for a few signals: `python tests/librosa_mel.py` keeps it.

It writes `librosa_mel.npz` beside this file: of each signal and setting the number of frames and
the frames `FRAMES`, of each setting the bank, and librosa's mel scale of 500 frequencies.
"""

from pathlib import Path
from typing import Any

import numpy as np

from seqapps.audio.mel import FLOOR
from seqapps.audio.settings import Features

SETTINGS = (
    Features(),
    Features(sample_rate_hz=8_000, mels=40, lowest_hz=60.0, highest_hz=3_800.0),
    Features(mels=80, window_ms=32.0, hop_ms=8.0, lowest_hz=0.0),
    Features(mels=40, centre=False),
)
_RNG = np.random.default_rng(0)
_TIME = np.arange(16_000) / 16_000
SIGNALS = {
    name: values.astype(np.float32)
    for name, values in {
        "noise": 0.1 * _RNG.normal(size=16_000),
        "quiet": 1e-4 * _RNG.normal(size=16_000),
        "tone": 0.9 * np.sin(2 * np.pi * 440 * _TIME),
        "chirp": 0.5 * np.sin(2 * np.pi * (100 * _TIME + 1_500 * _TIME**2)),
        "clicks": (np.arange(16_000) % 1_700 == 0) * 0.8,
        "silence": np.zeros(16_000),
        "short": 0.1 * _RNG.normal(size=600),
    }.items()
}
FRAMES = np.array([0, 1, 2, 17, 34, 51, -3, -2, -1])
"""Numbers of the frames that are kept, modulo their count: the ends, and some between."""


def log_mel_of(values: Any, settings: Features) -> Any:
    """librosa's logarithm of mel power, float64, (frames, bands)."""
    import librosa

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


def answers() -> dict[str, Any]:
    """All that is kept, by name."""
    import librosa

    found: dict[str, Any] = {"hz_to_mel": librosa.hz_to_mel(np.linspace(0, 20_000, 500))}
    for number, settings in enumerate(SETTINGS):
        bank = librosa.filters.mel(
            sr=settings.sample_rate_hz,
            n_fft=settings.fft,
            n_mels=settings.mels,
            fmin=settings.lowest_hz,
            fmax=settings.top_hz,
        )
        found[f"bank {number}"] = bank.T
    for number, settings in enumerate(SETTINGS[:3]):
        for name, values in SIGNALS.items():
            mel = log_mel_of(values, settings)
            found[f"frames {name} {number}"] = np.array(len(mel))
            found[f"mel {name} {number}"] = mel[FRAMES % len(mel)].astype(np.float32)
    return found


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("librosa_mel.npz"), **answers())
