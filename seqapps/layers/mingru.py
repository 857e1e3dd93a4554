"""minGRU: a recurrence whose gates see the input alone, so that it is a parallel scan."""

# B batch, T time steps, D input width, U units

from typing import Any

import keras
import tensorflow as tf

from seqapps.layers.cudnn import gpu_visible


def _doubling(decay_TBU: tf.Tensor, update_TBU: tf.Tensor) -> tf.Tensor:
    """Runs h[t] = decay[t] · h[t-1] + update[t] from h = 0, in ceil(log2 T) passes over it all."""
    steps, shape = tf.shape(decay_TBU)[0], tf.TensorShape([None, *decay_TBU.shape[1:]])

    def double(
        reach: tf.Tensor, decay_TBU: tf.Tensor, hidden_TBU: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # Step t has read `reach` steps back; joined with what step t - reach has read: twice that.
        late_TBU, earlier = decay_TBU[reach:], steps - reach
        joined_TBU = hidden_TBU[reach:] + late_TBU * hidden_TBU[:earlier]
        hidden_TBU = tf.concat([hidden_TBU[:reach], joined_TBU], axis=0)
        decay_TBU = tf.concat([decay_TBU[:reach], late_TBU * decay_TBU[:earlier]], axis=0)
        return 2 * reach, decay_TBU, hidden_TBU

    return tf.while_loop(
        lambda reach, *_: reach < steps,
        double,
        (tf.constant(1), decay_TBU, update_TBU),
        shape_invariants=(tf.TensorShape([]), shape, shape),
    )[2]


def _one_by_one(decay_TBU: tf.Tensor, update_TBU: tf.Tensor) -> tf.Tensor:
    """The same, one step after the other: less work in all, for a processor with few cores."""
    steps = tf.shape(decay_TBU)[0]
    decay, update, states = (
        tf.TensorArray(tf.float32, size=steps, element_shape=decay_TBU.shape[1:]) for _ in range(3)
    )
    decay, update = decay.unstack(decay_TBU), update.unstack(update_TBU)

    def step(
        t: tf.Tensor, before_BU: tf.Tensor, states: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
        after_BU = decay.read(t) * before_BU + update.read(t)
        return t + 1, after_BU, states.write(t, after_BU)

    start = (0, tf.zeros_like(update_TBU[0]), states)
    return tf.while_loop(lambda t, *_: t < steps, step, start)[2].stack()


def _scan_and_gradient(decay_TBU: tf.Tensor, update_TBU: tf.Tensor) -> Any:
    scan = _doubling if gpu_visible() else _one_by_one
    hidden_TBU = scan(decay_TBU, update_TBU)

    def gradient(upstream_TBU: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The gradient of a linear recurrence is the same recurrence run backwards, with each
        # step's decay taken from the step after it.
        later_TBU = tf.reverse(tf.pad(decay_TBU[1:], [[0, 1], [0, 0], [0, 0]]), [0])
        carried_TBU = tf.reverse(scan(later_TBU, tf.reverse(upstream_TBU, [0])), [0])
        before_TBU = tf.pad(hidden_TBU[:-1], [[1, 0], [0, 0], [0, 0]])
        return carried_TBU * before_TBU, carried_TBU

    return hidden_TBU, gradient


_scan = tf.custom_gradient(_scan_and_gradient)


def linear_recurrence(
    decay_TBU: tf.Tensor, update_TBU: tf.Tensor, initial_BU: tf.Tensor
) -> tf.Tensor:
    """Runs h[t] = decay[t] · h[t-1] + update[t]: all steps at once on a GPU, in turn on a CPU.

    Products of decays only shrink towards zero, so thousands of steps need no logarithms.

    Args:
        decay_TBU: float32, (time, batch, units), each in [0, 1].
        update_TBU: float32, (time, batch, units).
        initial_BU: float32, (batch, units): h before the first step.

    Returns:
        float32, (time, batch, units): h after every step.

    Source: Hillis and Steele 1986, "Data parallel algorithms".
    """
    first_1BU = update_TBU[:1] + decay_TBU[:1] * initial_BU
    return _scan(decay_TBU, tf.concat([first_1BU, update_TBU[1:]], axis=0))


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
        gate_TBU, candidate_TBU = self.gate_and_candidate(tf.transpose(inputs_BTD, (1, 0, 2)))
        hidden_TBU = linear_recurrence(
            1.0 - gate_TBU, gate_TBU * candidate_TBU, tf.cast(initial_BU, tf.float32)
        )
        return tf.transpose(tf.cast(hidden_TBU, self.compute_dtype), (1, 0, 2))

    def step(self, inputs_BD: tf.Tensor, state_BU: tf.Tensor) -> tf.Tensor:
        """Runs one step: (batch, width) and the state (batch, units) to the next state."""
        gate_BU, candidate_BU = self.gate_and_candidate(inputs_BD)
        before_BU = tf.cast(state_BU, tf.float32)
        return tf.cast((1.0 - gate_BU) * before_BU + gate_BU * candidate_BU, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "units": self.units}
