"""minGRU: a recurrence whose gates see the input alone, so that it is a parallel scan."""

# B batch, T time steps, D input width, U units

from typing import Any

import keras
import tensorflow as tf


def _doubling_scan(decay_BTU: tf.Tensor, update_BTU: tf.Tensor) -> tf.Tensor:
    """Runs h[t] = decay[t] · h[t-1] + update[t] from h = 0, in ceil(log2 T) passes."""
    steps = tf.shape(decay_BTU)[1]

    def double(
        reach: tf.Tensor, decay_BTU: tf.Tensor, hidden_BTU: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # Step t has read `reach` steps back; joined with what step t - reach has read: twice that.
        late_BTU, head_BTU = decay_BTU[:, reach:], decay_BTU[:, :reach]
        joined_BTU = hidden_BTU[:, reach:] + late_BTU * hidden_BTU[:, : steps - reach]
        hidden_BTU = tf.concat([hidden_BTU[:, :reach], joined_BTU], axis=1)
        decay_BTU = tf.concat([head_BTU, late_BTU * decay_BTU[:, : steps - reach]], axis=1)
        return 2 * reach, decay_BTU, hidden_BTU

    shape = decay_BTU.shape
    return tf.while_loop(
        lambda reach, *_: reach < steps,
        double,
        (tf.constant(1), decay_BTU, update_BTU),
        shape_invariants=(tf.TensorShape([]), shape, shape),
    )[2]


def _scan_and_gradient(decay_BTU: tf.Tensor, update_BTU: tf.Tensor) -> Any:
    hidden_BTU = _doubling_scan(decay_BTU, update_BTU)

    def gradient(upstream_BTU: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The gradient of a linear recurrence is the same recurrence run backwards, with each
        # step's decay taken from the step after it.
        later_BTU = tf.reverse(tf.pad(decay_BTU[:, 1:], [[0, 0], [0, 1], [0, 0]]), [1])
        carried_BTU = tf.reverse(_doubling_scan(later_BTU, tf.reverse(upstream_BTU, [1])), [1])
        before_BTU = tf.pad(hidden_BTU[:, :-1], [[0, 0], [1, 0], [0, 0]])
        return carried_BTU * before_BTU, carried_BTU

    return hidden_BTU, gradient


_scan = tf.custom_gradient(_scan_and_gradient)


def linear_recurrence(
    decay_BTU: tf.Tensor, update_BTU: tf.Tensor, initial_BU: tf.Tensor
) -> tf.Tensor:
    """Runs h[t] = decay[t] · h[t-1] + update[t] over all steps at once.

    Products of decays only shrink towards zero, so thousands of steps need no logarithms.

    Args:
        decay_BTU: float32, (batch, time, units), each in [0, 1].
        update_BTU: float32, (batch, time, units).
        initial_BU: float32, (batch, units): h before the first step.

    Returns:
        float32, (batch, time, units): h after every step.

    Source: Hillis and Steele 1986, "Data parallel algorithms".
    """
    first_B1U = update_BTU[:, :1] + decay_BTU[:, :1] * initial_BU[:, tf.newaxis]
    return _scan(decay_BTU, tf.concat([first_B1U, update_BTU[:, 1:]], axis=1))


@keras.saving.register_keras_serializable("seqapps")
class MinGRU(keras.layers.Layer):
    """Minimal gated recurrent unit: h[t] = (1 - z[t]) · h[t-1] + z[t] · (W x[t] + b).

    The gate z[t] = sigmoid(V x[t] + c) does not look at h[t-1]: the recurrence is linear in h and
    runs as a scan in float32, several times faster than a GRU of equal width. What depends on order
    within the past takes a stack of two or more.

    Args:
        units: width of the output and of the state.
        **kwargs: for `keras.layers.Layer`.

    Source: Feng et al. 2024, "Were RNNs All We Needed?", section 3.1.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units must be at least 1, got {units}; give the width of the state.")
        self.units = units

    def build(self, inputs_BTD_shape: Any, initial_BU_shape: Any = None) -> None:
        """Creates kernel (width, 2 × units) and bias (2 × units,): gate first, candidate second."""
        self.kernel = self.add_weight(name="kernel", shape=(inputs_BTD_shape[-1], 2 * self.units))
        self.bias = self.add_weight(name="bias", shape=(2 * self.units,), initializer="zeros")

    def gate_and_candidate(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes z and W x + b, float32, for (…, width) inputs."""
        kernel = tf.cast(self.kernel, self.compute_dtype)
        projected = tf.cast(tf.tensordot(inputs, kernel, 1), tf.float32)
        projected += tf.cast(self.bias, tf.float32)
        gate, candidate = tf.split(projected, 2, axis=-1)
        return tf.sigmoid(gate), candidate

    def call(self, inputs_BTD: tf.Tensor, initial_BU: tf.Tensor) -> tf.Tensor:
        """Runs over whole sequences.

        Args:
            inputs_BTD: float, (batch, time, width).
            initial_BU: float, (batch, units): the state before the first step.

        Returns:
            float, (batch, time, units), in the compute dtype: the state after every step.
        """
        gate_BTU, candidate_BTU = self.gate_and_candidate(inputs_BTD)
        hidden_BTU = linear_recurrence(
            1.0 - gate_BTU, gate_BTU * candidate_BTU, tf.cast(initial_BU, tf.float32)
        )
        return tf.cast(hidden_BTU, self.compute_dtype)

    def step(self, inputs_BD: tf.Tensor, state_BU: tf.Tensor) -> tf.Tensor:
        """Runs one step: (batch, width) and the state (batch, units) to the next state."""
        gate_BU, candidate_BU = self.gate_and_candidate(inputs_BD)
        before_BU = tf.cast(state_BU, tf.float32)
        return tf.cast((1.0 - gate_BU) * before_BU + gate_BU * candidate_BU, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "units": self.units}
