"""Batches of recordings as samples of one rate, in the graph: from WAV files or from samples."""

# B batch, N samples of the longest row

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.audio.resample import resample
from seqapps.audio.wav import (
    BAD_RATE,
    EMPTY,
    HIGHEST_RATE,
    LOWEST_RATE,
    NOT_FINITE,
    OK,
    only_numbers,
    parse_wav,
)


class Samples(NamedTuple):
    """Recordings of one rate."""

    values: Any
    """float32, (B, N), zero past each row's end; N is at least 1."""
    lengths: Any
    """int32, (B,). Samples of each row; 0 where there is nothing to hear."""
    status: Any
    """int32, (B,), see `wav.STATUSES`."""


def read_wav(files_B: Any, rate_hz: int) -> Samples:
    """Reads WAV files of any formats and rates.

    Args:
        files_B: string, (B,). One file each, or anything else.
        rate_hz: The rate wanted.
    """

    def read(row: Any) -> tuple[Any, Any]:
        parsed = parse_wav(files_B[row])
        rate = tf.where(parsed.rate_hz > 0, parsed.rate_hz, rate_hz)
        return resample(parsed.samples, rate, rate_hz), parsed.status

    return _each(tf.shape(files_B)[0], read)


def read_pcm(samples_BN: Any, lengths_B: Any, rates_B: Any, rate_hz: int) -> Samples:
    """Brings samples of any rates to one.

    Args:
        samples_BN: float32, (B, N), between -1 and 1.
        lengths_B: int32, (B,). Real samples of each row.
        rates_B: int32, (B,). The rates in Hz.
        rate_hz: The rate wanted.
    """

    def read(row: Any) -> tuple[Any, Any]:
        rate = rates_B[row]
        bad = (rate < LOWEST_RATE) | (rate > HIGHEST_RATE)
        count = tf.where(bad, 0, lengths_B[row])
        samples, sane = only_numbers(samples_BN[row, :count])
        status = tf.where(count > 0, tf.where(sane, OK, NOT_FINITE), EMPTY)
        status = tf.where(bad, BAD_RATE, status)
        return resample(samples, tf.where(bad, rate_hz, rate), rate_hz), status

    return _each(tf.shape(lengths_B)[0], read)


def _each(count: Any, read: Callable[[Any], tuple[Any, Any]]) -> Samples:
    """Reads one row after another, each as long as it is, and pads them."""
    values = tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None])
    status = tf.TensorArray(tf.int32, count, element_shape=[])
    lengths = tf.TensorArray(tf.int32, count, element_shape=[])

    def step(row: Any, values: Any, status: Any, lengths: Any) -> tuple[Any, ...]:
        samples, row_status = read(row)
        size = tf.shape(samples)[0]
        return (
            row + 1,
            values.write(row, samples),
            status.write(row, row_status),
            lengths.write(row, size),
        )

    _, values, status, lengths = tf.while_loop(
        lambda row, *_: row < count, step, (0, values, status, lengths), parallel_iterations=1
    )
    lengths_B = lengths.stack()
    flat = tf.cond(count > 0, values.concat, lambda: tf.zeros([0]))
    padded_BN = tf.RaggedTensor.from_row_lengths(flat, lengths_B, validate=False).to_tensor()
    padded_BN = tf.pad(padded_BN, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(padded_BN)[1])]])
    return Samples(padded_BN, lengths_B, status.stack())
