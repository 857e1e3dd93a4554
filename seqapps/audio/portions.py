"""A recording portion by portion: rows of known lengths, and resampling that goes on.

Source: the blocks are those of `audio.resample`, so that portions give what the whole gives.
"""

# B batch, N samples or steps, T steps of new values, O output samples, L outputs of a block,
# M inputs of a block, K reach of a filter

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.audio.resample import blocks_of, output_length, read_blocks
from seqapps.audio.wav import HIGHEST_RATE, LOWEST_RATE

FINEST = 640
"""Most filters of the resampler: a rate that needs more cannot be met exactly."""


class Rows(NamedTuple):
    """A batch of rows of different lengths."""

    values: Any
    """(B, N, ...), 0 past each row's length."""
    lengths: Any
    """int32, (B,)."""


def rows_of(values_BN: Any, lengths_B: Any) -> Rows:
    """Takes what a caller sent: lengths beyond the values count as all there are."""
    lengths_B = tf.clip_by_value(lengths_B, 0, tf.shape(values_BN)[1])
    return Rows(_blank(values_BN, lengths_B), lengths_B)


def joined(first: Rows, second: Rows) -> Rows:
    """Puts the rows of one behind those of the other."""
    lengths_B = first.lengths + second.lengths
    place_BN = tf.range(_longest(lengths_B))[tf.newaxis]
    behind_BN = place_BN - first.lengths[:, tf.newaxis]
    values = tf.where(
        _like(behind_BN < 0, first.values),
        _read(first.values, tf.broadcast_to(place_BN, tf.shape(behind_BN))),
        _read(second.values, behind_BN),
    )
    return Rows(_blank(values, lengths_B), lengths_B)


def dropped(rows: Rows, count_B: Any) -> Rows:
    """Leaves out the first values of each row: int32, (B,) of them, at least 0."""
    lengths_B = tf.maximum(rows.lengths - count_B, 0)
    place_BN = tf.range(_longest(lengths_B))[tf.newaxis] + count_B[:, tf.newaxis]
    return Rows(_blank(_read(rows.values, place_BN), lengths_B), lengths_B)


def exact_rate(rates_B: Any, target_hz: int) -> Any:
    """Whether streams of these rates can be heard.

    Args:
        rates_B: int32, (B,), in Hz.
        target_hz: The rate wanted.

    Returns:
        bool, (B,): whether the resampler meets the rate exactly, or the end of a stream would
        drift from that of the whole recording. For 16,000 Hz all multiples of 25 Hz are such.
    """
    filters_L = tf.range(1, FINEST + 1, dtype=tf.int64)
    products_BL = tf.cast(rates_B, tf.int64)[:, tf.newaxis] * filters_L
    exact_B = tf.reduce_any(products_BL % target_hz == 0, 1)
    within_B = (rates_B >= LOWEST_RATE) & (rates_B <= HIGHEST_RATE)
    return within_B & (exact_B | (rates_B == target_hz))


def resample_on(tail: Rows, new: Rows, rates_B: Any, target_hz: int, *, last: bool) -> Any:
    """Brings a portion to another rate.

    Args:
        tail: float32: what the portion before has left; empty before the first.
        new: float32: samples.
        rates_B: int32, (B,), each an `exact_rate`.
        target_hz: The rate wanted.
        last: Whether nothing follows.

    Returns:
        Rows at the rate wanted, and the new tail. All portions together are what
        `resample` makes of the whole.
    """

    def convert(row: Any) -> tuple[Any, Any]:
        left_N = tail.values[row, : tail.lengths[row]]
        new_N = new.values[row, : new.lengths[row]]
        rate = rates_B[row]
        return tf.cond(
            rate == target_hz,
            lambda: (tf.concat([left_N, new_N], 0), tf.zeros([0])),
            lambda: _convert(left_N, new_N, rate, target_hz, last),
        )

    return _each(tf.shape(rates_B)[0], convert)


def _convert(left_N: Any, new_N: Any, rate: Any, target_hz: int, last: bool) -> tuple[Any, Any]:
    plan = blocks_of(tf.cast(rate, tf.int64), target_hz)
    half, down = tf.cast(plan.half, tf.int32), tf.cast(plan.down, tf.int32)
    # Before the first sample there is silence, as long as half a filter.
    left_N = tf.cond(tf.size(left_N) > 0, lambda: left_N, lambda: tf.zeros([half]))
    there_N = tf.concat([left_N, new_N], 0)
    count = tf.size(there_N)
    if last:
        wanted = output_length(tf.maximum(count - half, 0), rate, target_hz)
        blocks = -(-wanted // tf.cast(plan.up, tf.int32))
    else:
        blocks = tf.maximum(count - 2 * half, 0) // down
        wanted = blocks * tf.cast(plan.up, tf.int32)
    made_O = tf.cond(
        blocks > 0,
        lambda: read_blocks(there_N, tf.cast(blocks, tf.int64), plan)[:wanted],
        lambda: tf.zeros([0]),
    )
    return made_O, tf.zeros([0]) if last else there_N[blocks * down :]


def _each(count: Any, convert: Callable[[Any], tuple[Any, Any]]) -> tuple[Rows, Rows]:
    """Converts one row after another, and pads what they give."""

    def array(dtype: Any) -> Any:
        shape = [] if dtype == tf.int32 else [None]
        return tf.TensorArray(dtype, count, infer_shape=False, element_shape=shape)

    def step(row: Any, *arrays: Any) -> tuple[Any, ...]:
        made, left = convert(row)
        written = (made, tf.size(made), left, tf.size(left))
        pairs = zip(arrays, written, strict=True)
        return row + 1, *(a.write(row, value) for a, value in pairs)

    kinds = (tf.float32, tf.int32, tf.float32, tf.int32)
    _, *arrays = tf.while_loop(
        lambda row, *_: row < count, step, (0, *map(array, kinds)), parallel_iterations=1
    )

    def rows(values: Any, lengths: Any) -> Rows:
        lengths_B = lengths.stack()
        flat = tf.cond(count > 0, values.concat, lambda: tf.zeros([0]))
        dense = tf.RaggedTensor.from_row_lengths(flat, lengths_B, validate=False).to_tensor()
        return Rows(dense, lengths_B)

    return rows(*arrays[:2]), rows(*arrays[2:])


def _longest(lengths_B: Any) -> Any:
    """Steps of the longest row, at least 1: of nothing nothing can be read."""
    return tf.reduce_max(tf.concat([lengths_B, [1]], 0))


def _like(flags_BN: Any, values: Any) -> Any:
    """Flags with as many axes as the values."""
    for _ in range(values.shape.rank - 2):
        flags_BN = flags_BN[..., tf.newaxis]
    return flags_BN


def _read(values: Any, place_BN: Any) -> Any:
    """Values at places, of which those outside a row read anything."""
    spare = [[0, 0], [0, 1], *[[0, 0]] * (values.shape.rank - 2)]
    last = tf.shape(values)[1]
    return tf.gather(tf.pad(values, spare), tf.clip_by_value(place_BN, 0, last), batch_dims=1)


def _blank(values: Any, lengths_B: Any) -> Any:
    real_BN = tf.sequence_mask(lengths_B, tf.shape(values)[1])
    return tf.where(_like(real_BN, values), values, tf.zeros([], values.dtype))
