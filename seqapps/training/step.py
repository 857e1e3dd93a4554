"""One training step: a loss over real tokens, gradients that are checked before they count."""

import re
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from seqapps.errors import UserError

Batch = dict[str, tf.Tensor]
Loss = Callable[[Any, Batch, bool], tuple[tf.Tensor, tf.Tensor]]
"""`loss(outputs, batch, training) -> (sum, count)`: float32 scalars."""

NOT_FINITE = re.compile(r"\[gradient norm\] \[(.*?)\] \[loss\] \[(.*?)\]")
"""Finds norm and loss in the message of the error that `Trainee.train_step` stops with."""

STATE = "state"
"""Name of the input and of the output of a network that carries state from batch to batch."""
BEGINS = "begins"
"""Column of a batch, (B,) or (B, 1): other than 0 where a row starts with zeros as its state."""

_EQUAL = tf.VariableAggregation.ONLY_FIRST_REPLICA
"""Of variables to which every replica assigns the same value."""


class Trainee(keras.Model):
    """A network together with the step that trains it; only the network is ever saved.

    The stock step of `keras.Model.fit` averages a padded loss and applies whatever gradient
    comes out. This one divides the sum of the loss by the number of real tokens of the whole
    batch, over all replicas, and stops before a gradient that is not finite reaches a weight.

    A network with an input and an output named `state`, float32 (B, S), reads a continuous stream:
    row b of a batch goes on where row b of the batch before it ended, but for rows that the batch's
    `begins` marks. No gradient flows from batch to batch (truncated back-propagation through time).
    Training and validation have a state each.

    Args:
        network: What is trained: a functional model whose inputs are a dict of tensors.
        loss: `loss(outputs, batch, training) -> (sum, count)`, float32 scalars.
        clip_norm: Largest global norm of the gradients.
        average_decay: Decay of the exponential average of the weights; 0 for none.

    Attributes:
        training_loss: Mean loss per token since it was last reset, in nats.
        gradient_norm: Mean global norm of the gradients before clipping, likewise.
        validation_loss: Mean loss per token of what was evaluated since it was last reset.
        step_count: int64, (). Updates so far.
        averages: Exponential averages of the trainable variables, in their order.
        carried: The state of training after the last batch, float32 (B, S), in a list that is empty
            if the network carries none.
    """

    def __init__(
        self, network: keras.Model, *, loss: Loss, clip_norm: float, average_decay: float = 0.0
    ) -> None:
        super().__init__()
        self.network = network
        self.clip_norm = clip_norm
        self.average_decay = average_decay
        self._sum_and_count = loss
        self.training_loss = keras.metrics.Mean(name="loss")
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")
        self.validation_loss = keras.metrics.Mean(name="validation_loss")
        self.step_count = tf.Variable(
            0, dtype=tf.int64, trainable=False, name="step_count", aggregation=_EQUAL
        )
        self.averages = (
            [
                tf.Variable(v.value, trainable=False, aggregation=_EQUAL)
                for v in network.trainable_variables
            ]
            if average_decay
            else []
        )
        carries = isinstance(network.input, dict) and STATE in network.input
        if carries and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise UserError(
                "a network that carries state must be trained on one device, as rows of a batch "
                "would move between replicas; use --training.distribute none."
            )
        self.carried = [_carried(network)] if carries else []
        self._carried_validation = [_carried(network)] if carries else []

    def call(self, inputs: Batch, training: bool | None = None) -> Any:
        """The network's answer to a batch, of which it takes the columns that it knows."""
        # A functional model would match surplus columns to its inputs by position.
        return self.network({name: inputs[name] for name in self.network.input}, training=training)

    # There is no Python to convert in a step, and looking through all that it calls takes a second.
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update.

        Raises:
            tf.errors.InvalidArgumentError: If the gradients are not finite. No weight, moment or
                average has been touched then. In mixed float16 a gradient alone may overflow:
                the optimizer skips that step.
        """
        replica = tf.distribute.get_replica_context()
        total = tf.distribute.ReduceOp.SUM
        batch = _continued(batch, self.carried)
        with tf.GradientTape() as tape:
            outputs = self(batch, training=True)
            loss_sum, count = self._sum_and_count(outputs, batch, True)
            loss_of_all, count_of_all = replica.all_reduce(total, [loss_sum, count])
            # The gradients of the replicas are added up, so each divides by the count of all.
            mean = loss_sum / tf.maximum(count_of_all, 1.0)
            scaled = self.optimizer.scale_loss(mean)
        variables = self.network.trainable_variables
        gradients = [
            tf.zeros_like(v.value) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(tape.gradient(scaled, variables), variables, strict=True)
        ]
        gradients = replica.all_reduce(total, gradients)
        scale = self._loss_scale()
        norm = tf.linalg.global_norm(gradients) / scale
        # Every replica looks at the sums of all: they stop together, or none does.
        with tf.control_dependencies([_assert_finite(loss_of_all, norm, scale)]):
            factor = tf.minimum(1.0, self.clip_norm / tf.maximum(norm, 1e-12))
            # The optimizer sums over replicas once more.
            factor /= replica.num_replicas_in_sync
            gradients = [g * tf.cast(factor, g.dtype) for g in gradients]
            self.optimizer.apply(gradients, variables)
            self._update_averages()
            self.step_count.assign_add(1)
            for state in self.carried:
                state.assign(tf.cast(outputs[STATE], tf.float32))
            _add_to_mean(self.training_loss, loss_sum, count)
            finite = tf.math.is_finite(norm)
            _add_to_mean(self.gradient_norm, tf.where(finite, norm, 0.0), finite)
        return {"loss": self.training_loss.result(), "gradient_norm": norm}

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Adds one batch to the mean loss per token; changes no state of training."""
        batch = _continued(batch, self._carried_validation)
        outputs = self(batch, training=False)
        loss_sum, count = self._sum_and_count(outputs, batch, False)
        for state in self._carried_validation:
            state.assign(tf.cast(outputs[STATE], tf.float32))
        _add_to_mean(self.validation_loss, loss_sum, count)
        return {"loss": self.validation_loss.result()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """None, or Keras would reset them: also in a pass that goes on after a resume."""
        return []

    def swap_averages(self) -> None:
        """Exchanges the weights with their averages; call again to change back."""
        for variable, average in zip(self.network.trainable_variables, self.averages, strict=False):
            weight = tf.identity(variable.value)
            variable.assign(average)
            average.assign(weight)

    def _loss_scale(self) -> tf.Tensor:
        """What mixed float16 multiplied the loss with."""
        return tf.cast(self.optimizer.scale_loss(tf.constant(1.0)), tf.float32)

    def _update_averages(self) -> None:
        done = tf.cast(self.step_count, tf.float32)
        # Early averages follow the weights closely, or they would remember the random start.
        decay = tf.minimum(self.average_decay, (1.0 + done) / (10.0 + done))
        for variable, average in zip(self.network.trainable_variables, self.averages, strict=False):
            average.assign_sub((1.0 - decay) * (average - variable.value))


def _carried(network: keras.Model) -> tf.Variable:
    """No rows of state yet: how many there are, the first batch says."""
    width = network.input[STATE].shape[1]
    return tf.Variable(tf.zeros((0, width)), trainable=False, shape=tf.TensorShape([None, width]))


def _continued(batch: Batch, carried: list[tf.Variable]) -> Batch:
    """Adds to a batch the state that its rows begin with."""
    if not carried:
        return batch
    begins_B1 = tf.reshape(batch[BEGINS], [-1, 1]) != 0
    rows, (state,) = tf.shape(begins_B1)[0], carried
    zeros = tf.zeros([rows, state.shape[1]])
    before = tf.cond(tf.reduce_all(begins_B1), lambda: zeros, state.read_value)
    return {**batch, STATE: tf.where(begins_B1, zeros, before)}


def _assert_finite(loss: tf.Tensor, norm: tf.Tensor, scale: tf.Tensor) -> tf.Operation:
    # A gradient may overflow in float16 while the loss scale is large: the optimizer skips that
    # step and lowers the scale. What is not finite at scale 1 is broken.
    finite = tf.math.is_finite(loss) & (tf.math.is_finite(norm) | (scale > 1.0))
    return tf.debugging.Assert(finite, ["gradient norm", norm, "loss", loss])


def _add_to_mean(mean: keras.metrics.Mean, total: tf.Tensor, count: tf.Tensor) -> None:
    count = tf.cast(count, tf.float32)
    mean.update_state(total / tf.maximum(count, 1.0), sample_weight=count)
