"""One training step: a loss over real tokens, gradients that are checked before they count."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Batch = dict[str, tf.Tensor]
Loss = Callable[[Any, Batch, bool], tuple[tf.Tensor, tf.Tensor]]
"""`loss(outputs, batch, training) -> (sum, count)`: float32 scalars."""


class Trainee(keras.Model):
    """A network together with the step that trains it; only the network is ever saved.

    The stock step of `keras.Model.fit` averages a padded loss and applies whatever gradient
    comes out. This one divides the sum of the loss by the number of real tokens of the whole
    batch, over all replicas, and stops before a gradient that is not finite reaches a weight.

    Args:
        network: What is trained: a functional model whose inputs are a dict of tensors.
        loss: `loss(outputs, batch, training) -> (sum, count)`, float32 scalars.
        clip_norm: Largest global norm of the gradients.
        average_decay: Decay of the exponential average of the weights; 0 for none.
    """

    def __init__(
        self, network: keras.Model, *, loss: Loss, clip_norm: float, average_decay: float = 0.0
    ) -> None:
        super().__init__()
        self.network = network
        self.clip_norm = clip_norm
        self.average_decay = average_decay
        self._sum_and_count = loss
        self._mean_loss = keras.metrics.Mean(name="loss")
        self.step_count = tf.Variable(0, dtype=tf.int64, trainable=False, name="step_count")
        self.averages = (
            [tf.Variable(v.value, trainable=False) for v in network.trainable_variables]
            if average_decay
            else []
        )

    def call(self, inputs: Batch, training: bool | None = None) -> Any:
        """The network's answer to a batch, of which it takes the columns that it knows."""
        # A functional model would match surplus columns to its inputs by position.
        return self.network({name: inputs[name] for name in self.network.input}, training=training)

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update.

        Raises:
            tf.errors.InvalidArgumentError: If the gradients are not finite. No weight, moment or
                average has been touched then.
        """
        replica = tf.distribute.get_replica_context()
        total = tf.distribute.ReduceOp.SUM
        with tf.GradientTape() as tape:
            outputs = self(batch, training=True)
            loss_sum, count = self._sum_and_count(outputs, batch, True)
            # The optimizer adds up the replicas, so each divides by the count of all of them.
            mean = loss_sum / tf.maximum(replica.all_reduce(total, count), 1.0)
            scaled = self.optimizer.scale_loss(mean)
        variables = self.network.trainable_variables
        gradients = [
            tf.zeros_like(v.value) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(tape.gradient(scaled, variables), variables, strict=True)
        ]
        gradients = replica.all_reduce(total, gradients)
        norm = tf.linalg.global_norm(gradients) / self._loss_scale()
        with tf.control_dependencies(self._assert_finite(norm, loss_sum)):
            factor = tf.minimum(1.0, self.clip_norm / tf.maximum(norm, 1e-12))
            # The optimizer sums over replicas once more.
            factor /= replica.num_replicas_in_sync
            gradients = [g * tf.cast(factor, g.dtype) for g in gradients]
            self.optimizer.apply(gradients, variables)
            self._update_averages()
            self.step_count.assign_add(1)
        self._mean_loss.update_state(loss_sum / tf.maximum(count, 1.0), sample_weight=count)
        return {"loss": self._mean_loss.result(), "gradient_norm": norm}

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Adds one batch to the mean loss per token; changes no state of training."""
        loss_sum, count = self._sum_and_count(self(batch, training=False), batch, False)
        self._mean_loss.update_state(loss_sum / tf.maximum(count, 1.0), sample_weight=count)
        return {"loss": self._mean_loss.result()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras resets before each pass."""
        return [self._mean_loss]

    def swap_averages(self) -> None:
        """Exchanges the weights with their averages; call again to change back."""
        for variable, average in zip(self.network.trainable_variables, self.averages, strict=False):
            weight = tf.identity(variable.value)
            variable.assign(average)
            average.assign(weight)

    def _loss_scale(self) -> tf.Tensor:
        """What mixed float16 multiplied the loss with."""
        return tf.cast(self.optimizer.scale_loss(tf.constant(1.0)), tf.float32)

    def _assert_finite(self, norm: tf.Tensor, loss: tf.Tensor) -> list[tf.Operation]:
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # Overflows are ordinary in float16: that optimizer skips the step, lowers its scale.
            return []
        message = "the gradients are not finite"
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        return [tf.debugging.Assert(finite, [message, "norm", norm, "loss", loss])]

    def _update_averages(self) -> None:
        done = tf.cast(self.step_count, tf.float32)
        # Early averages follow the weights closely, or they would remember the random start.
        decay = tf.minimum(self.average_decay, (1.0 + done) / (10.0 + done))
        for variable, average in zip(self.network.trainable_variables, self.averages, strict=False):
            average.assign_sub((1.0 - decay) * (average - variable.value))
