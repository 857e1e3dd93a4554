"""From a distribution for each step to a row of labels, in the graph: the greedy way.

The blank is the last of the outputs.
"""

# B batch, S steps, V outputs (labels and blank), L labels

from typing import Any, NamedTuple

import tensorflow as tf


class Path(NamedTuple):
    """Labels, and the steps at which they are heard."""

    labels: Any
    """int32, (B, L), padded with 0."""
    lengths: Any
    """int32, (B,)."""
    starts: Any
    """int32, (B, L). First step of each label."""
    ends: Any
    """int32, (B, L). The step after its last."""
    log_probs: Any
    """float32, (B, L). Highest log-probability of the label among its steps."""


def greedy_path(log_probs_BSV: Any, lengths_B: Any) -> Path:
    """Takes the likeliest output at each step, joins equal neighbours and leaves out blanks.

    Args:
        log_probs_BSV: float32, (B, S, V).
        lengths_B: int32, (B,). Real steps of each row.

    Source: Graves et al. 2006, section 3.2.
    """
    steps = tf.shape(log_probs_BSV)[1]
    blank = log_probs_BSV.shape[-1] - 1
    best_BS = tf.argmax(log_probs_BSV, 2, output_type=tf.int32)
    real_BS = tf.sequence_mask(lengths_B, steps)
    best_BS = tf.where(real_BS, best_BS, blank)
    before_BS = tf.pad(best_BS[:, :-1], [[0, 0], [1, 0]], constant_values=blank)
    begins_BS = (best_BS != blank) & (best_BS != before_BS)
    # The number of the label that each step belongs to.
    number_BS = tf.cumsum(tf.cast(begins_BS, tf.int32), axis=1) - 1
    heard_BS = best_BS != blank
    lengths_B = tf.reduce_sum(tf.cast(begins_BS, tf.int32), 1)
    most = tf.reduce_max(tf.concat([lengths_B, [0]], 0))
    shape = [tf.shape(best_BS)[0], most]

    def place(where_BS: Any) -> tuple[Any, Any]:
        found = tf.where(where_BS)
        rows = tf.cast(found[:, 0], tf.int32)
        return found, tf.stack([rows, tf.gather_nd(number_BS, found)], 1)

    found, target = place(begins_BS)
    heard, heard_target = place(heard_BS)
    step = tf.cast(heard[:, 1], tf.int32)
    value = tf.gather_nd(tf.reduce_max(log_probs_BSV, 2), heard)
    return Path(
        labels=tf.scatter_nd(target, tf.gather_nd(best_BS, found), shape),
        lengths=lengths_B,
        starts=tf.scatter_nd(target, tf.cast(found[:, 1], tf.int32), shape),
        ends=tf.tensor_scatter_nd_max(tf.zeros(shape, tf.int32), heard_target, step + 1),
        log_probs=tf.where(
            tf.sequence_mask(lengths_B, most),
            tf.tensor_scatter_nd_max(tf.fill(shape, -1e30), heard_target, value),
            0.0,
        ),
    )
