"""Layers over a series of features of known lengths: normalise, and convolve in time."""

# B batch, T frames, M mel bands, C channels, D output width

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

_LEAST_DEVIATION = 1e-3
"""A band that varies less (in ln power) says nothing; it is not blown up."""


@keras.saving.register_keras_serializable("seqapps")
class FeatureNormalisation(keras.layers.Layer):
    """Brings each band to mean 0 and variance 1; frames past a row's length become 0.

    Args:
        per: "utterance" takes mean and variance of each row, "global" those it was given by
            `adapt`, which do not depend on what is still to come.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: Another value of `per`.
    """

    def __init__(self, per: Literal["utterance", "global"] = "utterance", **kwargs: Any) -> None:
        # Always in float32: log-mel values have too few digits in bfloat16.
        super().__init__(**{**kwargs, "dtype": "float32"})
        if per not in ("utterance", "global"):
            raise ValueError(f"per must be utterance or global, got {per!r}.")
        self.per = per

    def build(self, features_BTM_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates the statistics of the training data, if they are used."""
        if self.per == "global":
            bands = (features_BTM_shape[-1],)
            self.mean = self.add_weight(
                shape=bands, initializer="zeros", trainable=False, name="mean"
            )
            self.deviation = self.add_weight(
                shape=bands, initializer="ones", trainable=False, name="deviation"
            )

    def adapt(self, mean_M: Any, deviation_M: Any) -> None:
        """Sets the statistics: float, (M,) each."""
        self.mean.assign(mean_M)
        self.deviation.assign(tf.maximum(tf.cast(deviation_M, tf.float32), _LEAST_DEVIATION))

    def call(self, features_BTM: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """Normalises: float32, (batch, frames, bands) and int32, (batch,) → the same shape."""
        frames = tf.shape(features_BTM)[1]
        real_BT1 = tf.sequence_mask(lengths_B, frames, tf.float32)[:, :, tf.newaxis]
        if self.per == "global":
            return (features_BTM - self.mean) / self.deviation * real_BT1
        count_B11 = tf.maximum(tf.cast(lengths_B, tf.float32), 1.0)[:, tf.newaxis, tf.newaxis]
        centred_BTM = features_BTM
        # The sum of a band near silence, -23 in each frame, rounds by more than the band's own
        # digits; what it left is found in a second round, among small numbers.
        for _ in range(2):
            mean_B1M = tf.reduce_sum(centred_BTM * real_BT1, 1, keepdims=True) / count_B11
            centred_BTM = (centred_BTM - mean_B1M) * real_BT1
        variance_B1M = tf.reduce_sum(centred_BTM**2, 1, keepdims=True) / count_B11
        return centred_BTM / tf.maximum(tf.sqrt(variance_B1M), _LEAST_DEVIATION)

    def compute_output_spec(self, features_BTM: Any, lengths_B: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor(features_BTM.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "per": self.per}


@keras.saving.register_keras_serializable("seqapps")
class ConvolutionalFrontEnd(keras.layers.Layer):
    """Convolutions over time and frequency, with strides, batch norm and ReLU; rows keep lengths.

    Frames past a row's length are 0 before each convolution and do not count for batch norm, so
    a row's outputs do not depend on padding. Each layer halves the frequency axis.

    Args:
        channels: Of each convolution.
        time_strides: How many frames become one, for each convolution.
        kernel: Frames and bands that a convolution looks at, both; odd and at least 3.
        causal: Look at a frame and those before it alone, where else as many after it.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: No convolution, a number below 1, or another kernel.

    Source: Amodei et al. 2016, "Deep Speech 2", sections 3.5 and 3.6 (convolution with strides,
    sequence-wise batch norm).
    """

    def __init__(
        self,
        channels: int = 32,
        *,
        time_strides: Sequence[int] = (2, 2),
        kernel: int = 3,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(channels, kernel, *time_strides, len(time_strides)) < 1:
            raise ValueError(
                "channels, kernel and every stride must be at least 1, and there must be a stride, "
                f"got {channels}, {kernel} and {list(time_strides)}."
            )
        if kernel < 3 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd and at least 3, got {kernel}; use 3 or 5.")
        self.channels, self.kernel, self.causal = channels, kernel, causal
        self.time_strides = tuple(time_strides)
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv2D(
                channels,
                kernel,
                strides=(stride, 2),
                use_bias=False,
                name=f"conv_{i}",
                dtype=policy,
            )
            for i, stride in enumerate(self.time_strides)
        ]
        self.norms = [
            keras.layers.BatchNormalization(name=f"norm_{i}", dtype=policy, momentum=0.98)
            for i in range(len(self.time_strides))
        ]

    def build(self, features_BTM_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates the weights of every convolution."""
        bands, channels = features_BTM_shape[-1], 1
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            padded = bands + self.kernel - 2 + bands % 2
            convolution.build((None, None, padded, channels))
            bands, channels = -(-bands // 2), self.channels
            norm.build((None, None, bands, channels))

    def output_lengths(self, lengths: Any) -> Any:
        """Frames after the strides: int32, the shape of `lengths`."""
        for stride in self.time_strides:
            lengths = -(-lengths // stride)
        return lengths

    def call(
        self, features_BTM: tf.Tensor, lengths_B: tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Convolves.

        Args:
            features_BTM: float, (batch, frames, bands), 0 past each row's length.
            lengths_B: int32, (batch,). Real frames of each row.
            training: Whether batch norm takes and updates the batch's statistics.

        Returns:
            float, (batch, ceil(frames / strides), width), 0 past each row's length, and int32,
            (batch,), the new lengths.
        """
        values = tf.cast(features_BTM, self.compute_dtype)[:, :, :, tf.newaxis]
        for convolution, norm, stride in zip(
            self.convolutions, self.norms, self.time_strides, strict=True
        ):
            # What "same" pads depends on the number of frames, that is on the batch-mates.
            after = 0 if self.causal else self.kernel // 2
            frames = [self.kernel - 1 - after, after]
            side = self.kernel - 1
            extra = 1 - values.shape[2] % 2
            values = tf.pad(values, [[0, 0], frames, [side - side // 2, side // 2 - extra], [0, 0]])
            values = convolution(values)
            # Not as -(-n // s): formats without floor division truncate.
            lengths_B = (lengths_B + stride - 1) // stride
            real_BT = tf.sequence_mask(lengths_B, tf.shape(values)[1])
            shape = tf.shape(values)
            counted = tf.broadcast_to(real_BT[:, :, tf.newaxis], shape[:3])
            values = norm(values, training=training, mask=counted)
            values = tf.nn.relu(values) * tf.cast(real_BT, values.dtype)[:, :, None, None]
        width = values.shape[2] * values.shape[3]
        return tf.reshape(values, [tf.shape(values)[0], tf.shape(values)[1], width]), lengths_B

    def compute_output_spec(
        self, features_BTM: Any, lengths_B: Any, training: Any = None
    ) -> tuple[Any, Any]:
        """Says what `call` returns, for models built from `keras.Input`."""
        bands = features_BTM.shape[-1]
        for _ in self.time_strides:
            bands = -(-bands // 2)
        shape = (features_BTM.shape[0], None, bands * self.channels)
        return (
            keras.KerasTensor(shape, dtype=self.compute_dtype),
            keras.KerasTensor(lengths_B.shape, dtype="int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = "channels time_strides kernel causal"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
