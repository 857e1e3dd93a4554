"""Changes of training recordings, in the graph: speed, gain, noise and time shift.

Everything random is a function of a seed, so a pass that is resumed hears what it would have heard.
What changes features and not samples (SpecAugment, frequency warping) are layers of the network.
"""

# B batch, N samples before, O samples after, F frequencies

import math
from typing import Any

import tensorflow as tf

from seqapps.audio.settings import Augmentation

_QUIETEST_NOISE_DB = 40.0


def perturb(
    samples_BN: Any, lengths_B: Any, seed: Any, *, settings: Augmentation, rate_hz: int
) -> tuple[Any, Any]:
    """Changes each recording of a batch in its own way.

    Args:
        samples_BN: float32, (B, N), zero past each row's end.
        lengths_B: int32, (B,). Real samples of each row.
        seed: int32 or int64, (2,). Of everything random here.
        settings: How far each change goes.
        rate_hz: Samples a second.

    Returns:
        float32, (B, O), zero past each row's end, and int32, (B,), their lengths.
    """
    batch = tf.shape(lengths_B)[0]
    seeds = iter(tf.unstack(tf.random.split(seed, 7)))

    def draw(low: float, high: float) -> Any:
        return tf.random.stateless_uniform([batch], next(seeds), low, high)

    factor_B = draw(1.0 - settings.speed, 1.0 + settings.speed)
    shift = settings.shift_ms * rate_hz / 1000.0
    before_B, after_B = (tf.cast(draw(0.0, shift), tf.int32) for _ in range(2))
    samples, lengths = stretch(samples_BN, lengths_B, factor_B, before_B=before_B, after_B=after_B)
    if settings.noise_db:
        snr_B = draw(settings.noise_db, max(settings.noise_db, _QUIETEST_NOISE_DB))
        samples = add_noise(samples, lengths, snr_B, colour_B=draw(0.0, 1.0), seed=next(seeds))
    gain_B = 10.0 ** (draw(-settings.gain_db, settings.gain_db) / 20.0)
    return samples * gain_B[:, tf.newaxis], lengths


def stretch(
    samples_BN: Any, lengths_B: Any, factor_B: Any, *, before_B: Any = 0, after_B: Any = 0
) -> tuple[Any, Any]:
    """Plays each recording at its own speed, with silence before and after it.

    Between samples a cubic runs (Catmull and Rom), good enough to train on; what is served is
    resampled properly.

    Args:
        samples_BN: float32, (B, N), zero past each row's end.
        lengths_B: int32, (B,). Real samples of each row.
        factor_B: float32, (B,). 1.1 plays a tenth faster and higher.
        before_B: int32, (B,) or (). Samples of silence before.
        after_B: int32, (B,) or (). After.

    Returns:
        float32, (B, O), and int32, (B,), their lengths.
    """
    played_B = tf.cast(tf.cast(lengths_B, tf.float32) / factor_B, tf.int32)
    total_B = before_B + played_B + after_B
    place_O = tf.range(tf.reduce_max(total_B))
    since_BO = tf.cast(place_O - tf.reshape(before_B, [-1, 1]), tf.float32)
    exact_BO = since_BO * factor_B[:, tf.newaxis]
    whole_BO = tf.floor(exact_BO)
    part_BO = exact_BO - whole_BO
    index_BO = tf.cast(whole_BO, tf.int32)
    # Two zeros on either side, for the neighbours of the first and last sample.
    padded_BN = tf.pad(samples_BN, [[0, 0], [2, 3]])
    most = tf.shape(padded_BN)[1] - 1

    def neighbour(offset: int) -> Any:
        return tf.gather(padded_BN, tf.clip_by_value(index_BO + 2 + offset, 0, most), batch_dims=1)

    a, b, c, d = (neighbour(offset) for offset in (-1, 0, 1, 2))
    t = part_BO
    curve = b + 0.5 * t * (
        c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a))
    )
    heard_BO = (since_BO >= 0.0) & (index_BO < lengths_B[:, tf.newaxis])
    heard_BO &= place_O < total_B[:, tf.newaxis]
    return tf.where(heard_BO, curve, 0.0), total_B


def add_noise(samples_BN: Any, lengths_B: Any, snr_B: Any, *, colour_B: Any, seed: Any) -> Any:
    """Adds noise of a stated level and colour to each recording.

    Args:
        samples_BN: float32, (B, N), zero past each row's end.
        lengths_B: int32, (B,). Real samples of each row.
        snr_B: float32, (B,). Mean power of the recording over that of the noise, dB.
        colour_B: float32, (B,). Its power falls as 1 / f^colour: 0 is white, 1 is pink.
        seed: int32 or int64, (2,).

    Returns:
        float32, (B, N), zero past each row's end.
    """
    count = tf.shape(samples_BN)[1]
    real_BN = tf.sequence_mask(lengths_B, count, dtype=tf.float32)
    # Of a power of two, for which the transform is quick.
    doublings = tf.math.ceil(tf.math.log(tf.cast(tf.maximum(count, 2), tf.float64)) / math.log(2.0))
    points = tf.bitwise.left_shift(1, tf.cast(doublings, tf.int32))
    shape = [tf.shape(lengths_B)[0], points]
    white_BF = tf.signal.rfft(tf.random.stateless_normal(shape, seed))
    frequency_F = tf.range(1, tf.shape(white_BF)[1] + 1, dtype=tf.float32)
    shape_BF = tf.exp(-0.5 * colour_B[:, tf.newaxis] * tf.math.log(frequency_F))
    noise_BP = tf.signal.irfft(white_BF * tf.cast(shape_BF, tf.complex64), [points])
    noise_BN = noise_BP[:, :count] * real_BN

    def power(values_BN: Any) -> Any:
        real_B = tf.maximum(tf.cast(lengths_B, tf.float32), 1.0)
        return tf.reduce_sum(values_BN**2, 1) / real_B

    # Of silence, to which noise has no ratio, a level that a recording could have.
    wanted_B = tf.maximum(power(samples_BN), 1e-6) / 10.0 ** (snr_B / 10.0)
    level_B = tf.sqrt(wanted_B / tf.maximum(power(noise_BN), 1e-20))
    return samples_BN + level_B[:, tf.newaxis] * noise_BN
