"""From a distribution for each step to labels, the greedy way, and when labels were said.

The blank is the last of the outputs.
"""

# B batch, S steps, V outputs (labels and blank), L labels, Z places: labels and blanks between

from typing import Any, NamedTuple

import tensorflow as tf

_NEVER = -1e30


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
        places = tf.where(where_BS)
        rows = tf.cast(places[:, 0], tf.int32)
        return places, tf.stack([rows, tf.gather_nd(number_BS, places)], 1)

    places, target = place(begins_BS)
    heard, heard_target = place(heard_BS)
    step = tf.cast(heard[:, 1], tf.int32)
    value = tf.gather_nd(tf.reduce_max(log_probs_BSV, 2), heard)
    return Path(
        labels=tf.scatter_nd(target, tf.gather_nd(best_BS, places), shape),
        lengths=lengths_B,
        starts=tf.scatter_nd(target, tf.cast(places[:, 1], tf.int32), shape),
        ends=tf.tensor_scatter_nd_max(tf.zeros(shape, tf.int32), heard_target, step + 1),
        log_probs=tf.where(
            tf.sequence_mask(lengths_B, most),
            tf.tensor_scatter_nd_max(tf.fill(shape, _NEVER), heard_target, value),
            0.0,
        ),
    )


def align(log_probs_BSV: Any, lengths_B: Any, labels_BL: Any, label_lengths_B: Any) -> Path:
    """Finds the likeliest way to say given labels (Viterbi).

    Args:
        log_probs_BSV: float32, (B, S, V).
        lengths_B: int32, (B,). Real steps of each row; enough for its labels.
        labels_BL: int32, (B, L).
        label_lengths_B: int32, (B,).

    Returns:
        The same labels, with their steps.

    Source: Graves et al. 2006, section 4.1, with a maximum in place of the sum.
    """
    shape = tf.shape(labels_BL)
    blank, places = log_probs_BSV.shape[-1] - 1, 2 * shape[1] + 1
    real_BL = tf.sequence_mask(label_lengths_B, shape[1])
    labels_BL = tf.where(real_BL, labels_BL, 0)
    # Blanks around every label.
    between_BL = tf.fill(shape, blank)
    place_BZ = tf.reshape(tf.stack([between_BL, labels_BL], 2), [shape[0], 2 * shape[1]])
    place_BZ = tf.pad(place_BZ, [[0, 0], [0, 1]], constant_values=blank)
    two_before_BZ = tf.pad(place_BZ, [[0, 0], [2, 0]], constant_values=blank)[:, :places]
    may_skip_BZ = (place_BZ != blank) & (place_BZ != two_before_BZ)
    begin_BZ = tf.broadcast_to(tf.where(tf.range(places) == 0, 0.0, _NEVER), [shape[0], places])
    steps = tf.minimum(tf.shape(log_probs_BSV)[1], tf.reduce_max(tf.concat([lengths_B, [0]], 0)))
    origins = tf.TensorArray(tf.int32, steps, element_shape=[None, None])

    def forward(t: Any, score_BZ: Any, origins: Any) -> tuple[Any, ...]:
        emitted_BZ = tf.gather(log_probs_BSV[:, t], place_BZ, batch_dims=1)

        def moved(back: int) -> Any:
            return tf.pad(score_BZ, [[0, 0], [back, 0]], constant_values=_NEVER)[:, :places]

        stacked_BZ3 = tf.stack([score_BZ, moved(1), tf.where(may_skip_BZ, moved(2), _NEVER)], 2)
        origin_BZ = tf.argmax(stacked_BZ3, 2, output_type=tf.int32)
        after_BZ = tf.maximum(tf.reduce_max(stacked_BZ3, 2) + emitted_BZ, _NEVER)
        going_B1 = (t < lengths_B)[:, tf.newaxis]
        origins = origins.write(t, tf.where(going_B1, origin_BZ, 0))
        return t + 1, tf.where(going_B1, after_BZ, score_BZ), origins

    # Before the first step only the first blank has been passed: it may be skipped at once.
    _, score_BZ, origins = tf.while_loop(
        lambda t, *_: t < steps, forward, (0, begin_BZ, origins), parallel_iterations=1
    )
    last_B = 2 * label_lengths_B
    ends_B2 = tf.stack([last_B, tf.maximum(last_B - 1, 0)], 1)
    choice_B = tf.argmax(tf.gather(score_BZ, ends_B2, batch_dims=1), 1, output_type=tf.int32)
    place_B = tf.gather(ends_B2, choice_B, batch_dims=1)
    ways = tf.TensorArray(tf.int32, steps, element_shape=[None])

    def backward(t: Any, place_B: Any, ways: Any) -> tuple[Any, ...]:
        ways = ways.write(t, tf.where(t < lengths_B, place_B, 0))
        back_B = tf.gather(origins.read(t), place_B, batch_dims=1)
        return t - 1, place_B - back_B, ways

    _, _, ways = tf.while_loop(
        lambda t, *_: t >= 0, backward, (steps - 1, place_B, ways), parallel_iterations=1
    )
    way_SB = tf.cond(steps > 0, ways.stack, lambda: tf.zeros([0, shape[0]], tf.int32))
    way_BS = tf.transpose(way_SB)
    heard = tf.where(way_BS % 2 == 1)
    step = tf.cast(heard[:, 1], tf.int32)
    label = tf.gather_nd(way_BS, heard) // 2
    target = tf.stack([tf.cast(heard[:, 0], tf.int32), label], 1)
    said = tf.gather_nd(labels_BL, target)
    value = tf.gather_nd(log_probs_BSV, tf.stack([target[:, 0], step, said], 1))
    far = tf.fill(shape, tf.int32.max)
    starts_BL = tf.tensor_scatter_nd_min(far, target, step)
    return Path(
        labels=labels_BL,
        lengths=label_lengths_B,
        starts=tf.where(real_BL & (starts_BL < far), starts_BL, 0),
        ends=tf.tensor_scatter_nd_max(tf.zeros(shape, tf.int32), target, step + 1),
        log_probs=tf.where(
            real_BL, tf.tensor_scatter_nd_max(tf.fill(shape, _NEVER), target, value), 0.0
        ),
    )
