"""Any sample rate to another, in the graph: polyphase filtering by a windowed sinc.

With the rates' ratio as M / L in lowest terms, every L-th output reads the input at the same
fraction of a sample, so L filters are enough. A block of M input samples (and what the filters
reach beyond it) times one matrix gives L output samples.
"""

# N input samples, O output samples, L outputs of a block, M inputs of a block, K reach of a filter

import math
from typing import Any, NamedTuple

import tensorflow as tf

_ZEROS = 56
"""Zero crossings of the sinc on either side."""
_BETA = 10.5
"""Of the Kaiser window: what it lets through beyond the stop band is some 105 dB down."""
_CUTOFF = 0.93
"""Middle of the filter's slope, as a share of the lower of the two Nyquist frequencies."""
_PHASES = 640
"""Most filters. With 640 every rate in use meets 16,000 Hz exactly (11,025 Hz needs them all);
others are met to 0.08 % or better."""


def output_length(samples: Any, rate_hz: Any, target_hz: int) -> Any:
    """How many samples a recording has at another rate: as many as begin within it.

    Args:
        samples: int, any shape.
        rate_hz: int, likewise.
        target_hz: The rate wanted.

    Returns:
        int32, likewise: ceil(samples × target / rate), as `librosa.resample` has it.
    """
    product = tf.cast(samples, tf.int64) * target_hz
    return tf.cast(
        -(-product // tf.maximum(tf.cast(rate_hz, tf.int64), tf.constant(1, tf.int64))), tf.int32
    )


def resample(samples_N: Any, rate_hz: Any, target_hz: int) -> Any:
    """Brings one recording to another sample rate.

    Args:
        samples_N: float32, (N,).
        rate_hz: int32, (), at least 1.
        target_hz: The rate wanted.

    Returns:
        float32, (O,), O = ceil(N × target / rate). Unchanged if the rates are equal. Frequencies
        up to 0.85 of the lower Nyquist frequency pass as they are; those above it do not.

    Source: Crochiere and Rabiner 1983, "Multirate Digital Signal Processing", chapter 3.
    """
    return tf.cond(
        tf.equal(rate_hz, target_hz),
        lambda: samples_N,
        lambda: _polyphase(samples_N, tf.cast(rate_hz, tf.int64), target_hz),
    )


class Blocks(NamedTuple):
    """How a rate becomes another, block by block."""

    up: Any
    """int64, (): outputs of a block."""
    down: Any
    """int64, (): input samples of a block."""
    half: Any
    """int64, (): input samples that a filter reads to either side."""
    stretch: Any
    """float64, (): input samples from one zero crossing of the filter to the next."""


def blocks_of(rate: Any, target_hz: int) -> Blocks:
    """The blocks in which a rate, int64 (), becomes `target_hz`."""
    up, down = _ratio(rate, target_hz)
    # A filter at the lower rate's cutoff, in input samples.
    ratio = tf.cast(down, tf.float64) / tf.cast(up, tf.float64)
    stretch = tf.maximum(ratio, tf.constant(1.0, tf.float64)) / _CUTOFF
    half = tf.cast(tf.math.ceil(_ZEROS * stretch), tf.int64)
    # Blocks at least as long as the filters, or most of each product would be read twice.
    times = -(-tf.maximum(2 * half, tf.constant(128, tf.int64)) // down)
    return Blocks(up * times, down * times, half, stretch)


def read_blocks(padded_N: Any, blocks: Any, plan: Blocks) -> Any:
    """Filters whole blocks.

    Args:
        padded_N: float32, (N,), from half a filter before the first block on; what is missing at
            the end is silence.
        blocks: int64, (). How many.
        plan: From `blocks_of`.

    Returns:
        float32, (blocks × outputs of a block,).
    """
    down, reach = plan.down, 2 * plan.half
    weights_KL = _filters(plan.up, down, plan.half, plan.stretch)
    wanted = (blocks + 1) * down
    after = tf.maximum(wanted - tf.shape(padded_N, tf.int64)[0], tf.constant(0, tf.int64))
    block_QM = tf.reshape(tf.pad(padded_N, [[0, after]])[:wanted], [blocks + 1, down])
    read_QK = tf.concat([block_QM[:-1], block_QM[1:, :reach]], 1)
    # In float64, so that what is rounded to float32 does not depend on how many blocks there are:
    # the logarithm of a quiet band shows a difference in the last digit of a loud one.
    made_QL = tf.matmul(tf.cast(read_QK, tf.float64), weights_KL)
    return tf.reshape(tf.cast(made_QL, tf.float32), [-1])


def _polyphase(samples_N: Any, rate: Any, target_hz: int) -> Any:
    plan = blocks_of(rate, target_hz)
    wanted = output_length(tf.shape(samples_N)[0], rate, target_hz)
    blocks = -(-tf.cast(wanted, tf.int64) // plan.up)
    return read_blocks(tf.pad(samples_N, [[plan.half, 0]]), blocks, plan)[:wanted]


def _ratio(rate: Any, target_hz: int) -> tuple[Any, Any]:
    """L and M, int64, such that M / L is rate / target, exactly or as nearly as can be."""
    up_L = tf.range(1, _PHASES + 1, dtype=tf.float64)
    exact_L = up_L * tf.cast(rate, tf.float64) / target_hz
    error_L = tf.abs(tf.round(exact_L) / exact_L - 1.0)
    # Of equal errors the first: lowest terms. A block of nothing cannot be.
    error_L += tf.cast(tf.round(exact_L) < 1.0, tf.float64)
    best = tf.argmin(error_L)
    return best + 1, tf.cast(tf.round(exact_L[best]), tf.int64)


def _filters(up: Any, down: Any, half: Any, stretch: Any) -> Any:
    """One column for each output of a block: float64, (M + reach, L)."""
    place_L = (
        tf.cast(tf.range(up), tf.float64) * tf.cast(down, tf.float64) / tf.cast(up, tf.float64)
    )
    read_K = tf.cast(tf.range(-half, down + half), tf.float64)
    distance_KL = (read_K[:, tf.newaxis] - place_L) / stretch
    angle_KL = math.pi * distance_KL
    one = tf.constant(1.0, tf.float64)
    safe_KL = tf.where(angle_KL == 0.0, one, angle_KL)
    sinc_KL = tf.where(angle_KL == 0.0, one, tf.sin(safe_KL) / safe_KL)
    inside_KL = 1.0 - (distance_KL / _ZEROS) ** 2
    root_KL = tf.sqrt(tf.nn.relu(inside_KL))
    # The scaled Bessel function; the unscaled one has no kernel of its own.
    bessel_KL = tf.math.bessel_i0e(_BETA * root_KL) * tf.exp(_BETA * (root_KL - 1.0))
    values_KL = sinc_KL * bessel_KL * tf.cast(inside_KL > 0.0, tf.float64)
    return values_KL / tf.reduce_sum(values_KL, 0)
