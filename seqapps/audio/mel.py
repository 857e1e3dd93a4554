"""Log-mel features in the graph, as librosa has them.

`tf.signal.linear_to_mel_weight_matrix` is HTK's bank and differs from Slaney's, which librosa and
most speech models use, by up to 13 log units; so the matrix is ours.
"""

# B batch, N samples, T frames, F frequencies of the transform, M mel bands

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.audio.settings import Features

__all__ = ["frames_of", "log_mel"]

FLOOR = 1e-10
"""Power below which a band counts as this much: ln 1e-10 = -23.03."""

_LINEAR_HZ = 200.0 / 3.0
"""Hertz of one mel, up to 1,000 Hz."""
_BREAK_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27.0
"""Above it, one mel is this much in ln Hz."""


def hz_to_mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Slaney's mel scale: linear up to 1,000 Hz, logarithmic above.

    Source: Slaney 1998, "Auditory Toolbox".
    """
    hz = np.asarray(hz, np.float64)
    above = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ, above)


def mel_to_hz(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    start = _BREAK_HZ / _LINEAR_HZ
    above = _BREAK_HZ * np.exp(_LOG_STEP * np.maximum(mel - start, 0.0))
    return np.where(mel < start, mel * _LINEAR_HZ, above)


def mel_matrix(settings: Features) -> npt.NDArray[np.float32]:
    """The bank of triangles, each of area 1.

    Returns:
        float32, (F, M), F = fft / 2 + 1.

    Raises:
        ValueError: If a band is so narrow that no frequency of the transform lies in it.

    Source: Slaney 1998; equal to `librosa.filters.mel(norm="slaney", htk=False)`.
    """
    points = settings.fft // 2 + 1
    frequency_F = np.linspace(0.0, settings.sample_rate_hz / 2, points)
    low, high = hz_to_mel([settings.lowest_hz, settings.top_hz])
    edge = mel_to_hz(np.linspace(low, high, settings.mels + 2))
    rise_FM = (frequency_F[:, None] - edge[:-2]) / np.diff(edge)[:-1]
    fall_FM = (edge[2:] - frequency_F[:, None]) / np.diff(edge)[1:]
    bank_FM = np.maximum(0.0, np.minimum(rise_FM, fall_FM)) * 2.0 / (edge[2:] - edge[:-2])
    if empty := int((bank_FM.max(0) == 0.0).sum()):
        raise ValueError(
            f"{settings.mels} mel bands are too many for windows of {settings.window_ms:g} ms at "
            f"{settings.sample_rate_hz} Hz: {empty} would be empty. Use fewer mels or longer "
            "windows."
        )
    return bank_FM.astype(np.float32)


def frames_of(samples: Any, settings: Features) -> Any:
    """How many frames a recording gives.

    Args:
        samples: int32, any shape.
        settings: Of the features.

    Returns:
        int32, likewise. Centred: 1 + samples // hop. Else only whole windows count, but at least
        one frame.
    """
    samples = tf.cast(samples, tf.int32)
    if settings.centre:
        return 1 + samples // settings.hop
    return tf.maximum(1, 1 + (samples - settings.window) // settings.hop)


def log_mel(samples_BN: Any, settings: Features) -> Any:
    """Log power of each band over time.

    Args:
        samples_BN: float32, (B, N), zero past each row's end. A row's frames do not depend on how
            much padding follows it.
        settings: Of the features.

    Returns:
        float32, (B, T, M), natural logarithm of at least `FLOOR`; T = `frames_of(N)`.
    """
    window, fft, hop = settings.window, settings.fft, settings.hop
    frames = frames_of(tf.shape(samples_BN)[1], settings)
    # The window stands in the middle of the transform's points, as librosa has it, and the frame
    # is read at the window alone.
    before = window - (window - window // 2) if settings.centre else 0
    total = (frames - 1) * hop + window
    padding = tf.maximum(0, total - before - tf.shape(samples_BN)[1])
    padded_BN = tf.pad(samples_BN, [[0, 0], [before, padding]])[:, :total]
    frames_BTW = tf.signal.frame(padded_BN, window, hop)
    hann_W = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    # In float64: in float32 the rounding of a loud band is louder than a silent one.
    spectrum_BTF = tf.signal.rfft(tf.cast(frames_BTW, tf.float64) * hann_W, [fft])
    power_BTF = tf.math.real(spectrum_BTF) ** 2 + tf.math.imag(spectrum_BTF) ** 2
    power_BTF = tf.cast(power_BTF, tf.float32)
    mel_BTM = tf.tensordot(power_BTF, mel_matrix(settings), 1)
    return tf.math.log(tf.maximum(mel_BTM, FLOOR))
