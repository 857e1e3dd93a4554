"""One long sequence as batches of windows that follow on from one another.

The sequence is cut into as many streams as a batch has rows. Row b of each batch goes on where
row b of the batch before it ended, so that a network can carry its state along.
"""

# B streams, L tokens of each, T steps of a window

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.pipeline import mapped


def windows(
    length: int, *, window: int, varied: bool, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Cuts the steps of a stream into windows.

    Args:
        length: Steps, at least 1.
        window: Steps of a window.
        varied: Draw the length of each window around `window` (in one of twenty cases around half
            of it), so that no step always stands at an edge, where no gradient comes from beyond.
        rng: Where the randomness comes from.

    Returns:
        int64, (windows + 1,): where each begins, and the end of the last.

    Source: Merity et al. 2018, section 5 (variable length of back-propagation).
    """
    if length < 1 or window < 1:
        raise ValueError(f"length and window must be at least 1, got {length} and {window}.")
    if not varied:
        return np.append(np.arange(0, length, window), length)
    bounds = [0]
    while bounds[-1] < length:
        middle = window if rng.random() < 0.95 else window / 2
        size = max(1, round(rng.normal(middle, 0.05 * window)))
        bounds.append(min(bounds[-1] + size, length))
    return np.array(bounds)


def stream_batches(
    ids: npt.NDArray[np.integer],
    bounds: Sequence[int] | npt.NDArray[np.int64],
    *,
    streams: int,
    skip: int = 0,
) -> tf.data.Dataset:
    """Makes a dataset of windows.

    Args:
        ids: int, (tokens,), more than `streams`. What does not fill the last stream is left out.
        bounds: Of the windows in each stream, as `windows` gives them.
        streams: Rows of a batch.
        skip: Windows at the start that are left out, to go on in the middle of a pass.

    Returns:
        A dataset of dicts: `tokens` and `labels` (the tokens one step later), int32 (B, T), with
        `tokens_lengths` and `labels_lengths`, int32 (B,), all T; and `begins`, int32 (B,), 1 in the
        first window of a pass and else 0.

    Raises:
        ValueError: If there are too few tokens.
    """
    length = stream_length(len(ids), streams)
    starts_B = tf.constant(np.arange(streams) * length, tf.int32)
    with tf.device("/CPU:0"):
        values = tf.constant(ids[: streams * length + 1], tf.int32)
        ends = tf.constant(bounds, tf.int32)

    def gather(number: tf.Tensor) -> dict[str, tf.Tensor]:
        steps_T = tf.range(ends[number], ends[number + 1])
        places_BT = starts_B[:, tf.newaxis] + steps_T
        lengths_B = tf.fill([streams], tf.size(steps_T))
        return {
            "tokens": tf.gather(values, places_BT),
            "tokens_lengths": lengths_B,
            "labels": tf.gather(values, places_BT + 1),
            "labels_lengths": lengths_B,
            "begins": tf.fill([streams], tf.cast(number == 0, tf.int32)),
        }

    count = len(bounds) - 1
    return mapped(tf.data.Dataset.range(skip, max(skip, count)), gather)


def stream_length(tokens: int, streams: int) -> int:
    """Steps of each stream.

    Raises:
        ValueError: If there are too few tokens for a step in each.
    """
    length = (tokens - 1) // streams
    if length < 1:
        raise ValueError(
            f"{streams} streams need at least {streams + 1} tokens, got {tokens}; use fewer."
        )
    return length
