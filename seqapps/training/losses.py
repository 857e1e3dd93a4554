"""Losses that count what is real alone: tokens without padding, or whole examples."""

from typing import Any

import tensorflow as tf

from seqapps.training.step import Batch, Loss


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
        those of `models.recurrent_lm`, `batch` is as in `token_cross_entropy`.

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


def _smoothing(logits_NV: tf.Tensor, labels_N: tf.Tensor, *, share: float) -> tf.Tensor:
    """What label smoothing adds to the cross-entropy of each row: float32, (N,)."""
    # -Σ q log p with q = (1 - e) one-hot + e / V, from the fused loss: both share ln Σ exp, so only
    # the label's logit and the mean logit are exchanged.
    label_N = tf.gather(logits_NV, labels_N, batch_dims=1)
    return share * (label_N - tf.reduce_mean(logits_NV, -1))
