"""Losses that count what is real alone: tokens without padding, or whole examples."""

from typing import Any

import tensorflow as tf

from seqapps.training.step import Batch, Loss

__all__ = ["class_cross_entropy", "ctc", "language_model_cross_entropy", "token_cross_entropy"]


def token_cross_entropy(*, label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of `labels` (B, T) under logits (B, T, V), padding left out.

    Args:
        label_smoothing: Share of the target probability that is spread evenly over the
            vocabulary (Szegedy et al. 2016).

    Returns:
        `loss(logits, batch, training) -> (sum, count)`, float32 scalars, in nats, smoothed in
        training alone; `batch` holds `labels` int32 (B, T) and `labels_lengths` int32 (B,).
    """

    def loss(logits_BTV: Any, batch: Batch, training: bool) -> tuple[Any, Any]:
        labels_N = tf.reshape(batch["labels"], [-1])
        real_BT = tf.sequence_mask(batch["labels_lengths"], tf.shape(batch["labels"])[1])
        real_N = tf.reshape(tf.cast(real_BT, tf.float32), [-1])
        logits_NV = tf.reshape(logits_BTV, [-1, logits_BTV.shape[-1]])
        # Softmax in float32: float16 scores overflow past 65504.
        logits_NV = tf.cast(logits_NV, tf.float32)
        loss_N = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels_N, logits=logits_NV)
        if training and label_smoothing:
            loss_N += _smoothing(logits_NV, labels_N, share=label_smoothing)
        return tf.reduce_sum(loss_N * real_N), tf.reduce_sum(real_N)

    return loss


def language_model_cross_entropy(
    *, label_smoothing: float = 0.0, activation_penalty: float = 0.0, change_penalty: float = 0.0
) -> Loss:
    """Cross-entropy of each next token, with penalties on what the last layer gives, in training.

    Args:
        label_smoothing: As in `token_cross_entropy`.
        activation_penalty: Weight of the mean square of the last layer's dropped outputs.
        change_penalty: Weight of the mean square of the change of its outputs from step to step.

    Returns:
        `loss(outputs, batch, training) -> (sum, count)`, float32 scalars, in nats; outputs are
        those of a recurrent language model, `batch` is as in `token_cross_entropy`.

    Source: Merity et al. 2018, section 4.6 (activation and temporal activation regularisation).
    """
    entropy = token_cross_entropy(label_smoothing=label_smoothing)

    def loss(outputs: Any, batch: Batch, training: bool) -> tuple[Any, Any]:
        total, count = entropy(outputs["logits"], batch, training)
        if training and activation_penalty:
            total += count * activation_penalty * _mean_square(outputs["dropped"])
        if training and change_penalty:
            raw_BTU = outputs["raw"]
            total += count * change_penalty * _mean_square(raw_BTU[:, 1:] - raw_BTU[:, :-1])
        return total, count

    return loss


def _mean_square(values: tf.Tensor) -> tf.Tensor:
    # A window of one step has no change.
    size = tf.maximum(tf.cast(tf.size(values), tf.float32), 1.0)
    return tf.reduce_sum(tf.square(tf.cast(values, tf.float32))) / size


def class_cross_entropy(*, label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of one class for each example.

    Args:
        label_smoothing: Share of the target probability that is spread evenly over the classes
            (Szegedy et al. 2016).

    Returns:
        `loss(logits, batch, training) -> (sum, count)`, float32 scalars, in nats; logits are
        (B, K), `batch` holds `labels` int32 (B, 1) and `weights` float32 (B, 1), how much each
        example counts. Smoothing and weights count in training alone.
    """

    def loss(logits_BK: Any, batch: Batch, training: bool) -> tuple[Any, Any]:
        labels_B = batch["labels"][:, 0]
        logits_BK = tf.cast(logits_BK, tf.float32)
        loss_B = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels_B, logits=logits_BK)
        if not training:
            return tf.reduce_sum(loss_B), tf.cast(tf.size(labels_B), tf.float32)
        if label_smoothing:
            loss_B += _smoothing(logits_BK, labels_B, share=label_smoothing)
        weights_B = batch["weights"][:, 0]
        return tf.reduce_sum(weights_B * loss_B), tf.reduce_sum(weights_B)

    return loss


def ctc() -> Loss:
    """Connectionist temporal classification: all ways to say the labels with blanks between.

    Returns:
        `loss(outputs, batch, training) -> (sum, count)`, float32 scalars, in nats and labels;
        `outputs` holds `logits` (B, S, V), the blank as the last of V, and `logits_lengths` int32
        (B,); `batch` holds `labels` int32 (B, L) and `labels_lengths` int32 (B,). A row whose
        labels do not fit in its steps (see `steps_needed`), or that has none, counts for nothing.

    Source: Graves et al. 2006. The labels are sparse: the dense version of TensorFlow's loss is
    12 times slower on a CPU.
    """

    def loss(outputs: Any, batch: Batch, training: bool) -> tuple[Any, Any]:
        labels_BL, lengths_B = batch["labels"], batch["labels_lengths"]
        fits_B = steps_needed(labels_BL, lengths_B) <= outputs["logits_lengths"]
        fits_B &= lengths_B > 0
        # TensorFlow's loss takes no row without labels: it gets one, and does not count.
        real_BL = tf.sequence_mask(lengths_B, tf.shape(labels_BL)[1])
        labels_BL = tf.pad(tf.where(real_BL, labels_BL, 0), [[0, 0], [0, 1]])
        real_BL = tf.sequence_mask(tf.maximum(lengths_B, 1), tf.shape(labels_BL)[1])
        sparse = tf.SparseTensor(
            tf.where(real_BL),
            tf.boolean_mask(labels_BL, real_BL),
            tf.cast(tf.shape(labels_BL), tf.int64),
        )
        loss_B = tf.compat.v1.nn.ctc_loss(
            labels=sparse,
            inputs=tf.transpose(tf.cast(outputs["logits"], tf.float32), [1, 0, 2]),
            sequence_length=outputs["logits_lengths"],
            ignore_longer_outputs_than_inputs=True,
        )
        counts_B = tf.where(fits_B, lengths_B, 0)
        return tf.reduce_sum(tf.where(fits_B, loss_B, 0.0)), tf.cast(
            tf.reduce_sum(counts_B), tf.float32
        )

    return loss


def steps_needed(labels_BL: Any, lengths_B: Any) -> Any:
    """Steps that CTC needs at least: one for each label and one between two equal ones.

    Args:
        labels_BL: int32, (B, L).
        lengths_B: int32, (B,). Real labels of each row.

    Returns:
        int32, (B,).
    """
    equal_BL = labels_BL[:, 1:] == labels_BL[:, :-1]
    pairs_BL = equal_BL & tf.sequence_mask(lengths_B - 1, tf.shape(equal_BL)[1])
    return lengths_B + tf.reduce_sum(tf.cast(pairs_BL, tf.int32), 1)


def _smoothing(logits_NV: tf.Tensor, labels_N: tf.Tensor, *, share: float) -> tf.Tensor:
    """What label smoothing adds to the cross-entropy of each row: float32, (N,)."""
    # -Σ q log p with q = (1 - e) one-hot + e / V, from the fused loss: both share ln Σ exp, so only
    # the label's logit and the mean logit are exchanged.
    label_N = tf.gather(logits_NV, labels_N, batch_dims=1)
    return share * (label_N - tf.reduce_mean(logits_NV, -1))
