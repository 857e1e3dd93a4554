"""Temperature scaling as a layer, so that a calibrated model is saved and exported whole."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqapps")
class Temperature(keras.layers.Layer):
    """Divides logits by one number, which is 1 until it is fitted on validation data.

    It changes how sure a classifier says it is, never which class it says.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """

    def build(self, logits_shape: Any) -> None:
        """Creates the one number."""
        # Not cast: under a mixed policy it would come in the short type.
        self.value = self.add_weight(
            shape=(),
            initializer="ones",
            trainable=False,
            dtype="float32",
            autocast=False,
            name="temperature",
        )

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Scales logits of any shape; the result is float32, whatever the policy."""
        return tf.cast(logits, tf.float32) / tf.convert_to_tensor(self.value)

    def compute_output_spec(self, logits: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor(logits.shape, dtype="float32")
