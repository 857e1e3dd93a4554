"""A look at the steps to come, for layers that read forward only."""

# B batch, T time steps, D width

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqapps")
class Lookahead(keras.layers.Layer):
    """A weighted sum of each step and those after it, with weights of its own for each element.

    Source: Wang et al. 2016, "Lookahead Convolution Layer for Unidirectional Recurrent Neural
    Networks".

    Args:
        steps: How many steps to come are looked at.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: Fewer than one step.
    """

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}; leave the layer out for 0.")
        self.steps = steps

    def build(self, values_BTD_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates the weights: float32, (steps + 1, width)."""

        def start(shape: Any, dtype: Any = None) -> Any:
            # The step itself counts in full, the others begin with a small say.
            first = tf.ones((1, shape[1]), dtype)
            return tf.concat([first, tf.fill((shape[0] - 1, shape[1]), tf.cast(0.1, dtype))], 0)

        self.weight = self.add_weight(
            shape=(self.steps + 1, values_BTD_shape[-1]), initializer=start, name="weight"
        )

    def call(self, values_BTD: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """Sums: float, (batch, time, width) and int32, (batch,) → the same shape.

        Steps past a row's length count as 0.
        """
        real_BT = tf.sequence_mask(lengths_B, tf.shape(values_BTD)[1], dtype=values_BTD.dtype)
        padded_BTD = tf.pad(
            values_BTD * real_BT[:, :, tf.newaxis], [[0, 0], [0, self.steps], [0, 0]]
        )
        return self.valid(padded_BTD)

    def valid(self, padded_BTD: tf.Tensor) -> tf.Tensor:
        """Sums where all steps to come are there.

        Args:
            padded_BTD: float, (batch, time, width).

        Returns:
            float, (batch, time - steps, width).
        """
        count = tf.shape(padded_BTD)[1] - self.steps
        weight = tf.cast(self.weight, padded_BTD.dtype)
        return tf.add_n([padded_BTD[:, i : i + count] * weight[i] for i in range(self.steps + 1)])

    def compute_output_spec(self, values_BTD: Any, lengths_B: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor(values_BTD.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "steps": self.steps}
