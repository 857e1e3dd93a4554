"""Copying: what is written next is made up, or taken from where attention points."""

# B batch, T target steps, S source steps, D width, V vocabulary

from typing import Any

import keras
import tensorflow as tf

_LEAST = 1e-9
"""Probability below which nothing falls, so that its logarithm stays finite."""


@keras.saving.register_keras_serializable("seqapps")
class Copying(keras.layers.Layer):
    """Mixes what a decoder would write with what stands in the source where it looks.

    A gate between 0 and 1, read from the decoder at each step, weighs the two. Names, numbers and
    placeholders that no training pair has can so be carried over. Both languages must have one
    vocabulary.

    Source: See et al. 2017, "Get To The Point: Summarization with Pointer-Generator Networks",
    section 2.2.
    """

    def build(
        self,
        logits_BTV_shape: Any,
        read_BTD_shape: Any,
        weights_BTS_shape: Any = None,
        source_BS_shape: Any = None,
    ) -> None:
        """Creates the gate's weights: (width, 1) and a bias."""
        # It starts almost closed: a decoder learns to write before it learns what to copy.
        self.gate = keras.layers.Dense(
            1,
            name="gate",
            bias_initializer=keras.initializers.Constant(-2.0),
            dtype=self.dtype_policy,
        )
        self.gate.build(read_BTD_shape)

    def call(
        self, logits_BTV: tf.Tensor, read_BTD: tf.Tensor, weights_BTS: tf.Tensor, source_BS: Any
    ) -> tf.Tensor:
        """Mixes the two.

        Args:
            logits_BTV: float, (batch, target steps, vocabulary).
            read_BTD: float, (batch, target steps, width). What the gate reads.
            weights_BTS: float32, (batch, target steps, source steps). Rows sum to 1.
            source_BS: int32, (batch, source steps).

        Returns:
            float32, (batch, target steps, vocabulary): log-probabilities.
        """
        gate_BT1 = tf.sigmoid(tf.cast(self.gate(read_BTD), tf.float32))
        written_BTV = tf.nn.softmax(tf.cast(logits_BTV, tf.float32))
        pieces_BSV = tf.one_hot(source_BS, written_BTV.shape[-1])
        copied_BTV = tf.matmul(weights_BTS, pieces_BSV)
        mixed_BTV = (1.0 - gate_BT1) * written_BTV + gate_BT1 * copied_BTV
        return tf.math.log(tf.maximum(mixed_BTV, _LEAST))

    def compute_output_spec(
        self, logits_BTV: Any, read_BTD: Any, weights_BTS: Any, source_BS: Any
    ) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor(logits_BTV.shape, dtype="float32")
