"""Pooling over time: many steps become one vector, padding left out."""

# B batch, T time steps, D width, P width of the result, U units

from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from seqapps.layers.attention import masked_softmax

Pool = Literal["attention", "max", "mean", "last"]


@keras.saving.register_keras_serializable("seqapps")
class SequencePooling(keras.layers.Layer):
    """Pools the real steps of each row in one or more ways, side by side.

    "attention" is the mean weighted by softmax(v · tanh(W h + b)) (Yang et al. 2016, eq. 5 to 7),
    "max" the largest value of each element, "mean" the mean, "last" what a reader knows at its
    end: for a bidirectional input the forward half at the last step and the backward half at the
    first.

    Args:
        pools: Ways of pooling, in the order of the result.
        units: Width U of attention's hidden layer.
        bidirectional: Whether the input's second half was read backwards; for "last".
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: No or an unknown way of pooling.
    """

    def __init__(
        self,
        pools: Sequence[Pool] = ("attention",),
        *,
        units: int = 64,
        bidirectional: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        unknown = [pool for pool in pools if pool not in get_args(Pool)]
        if unknown or not pools:
            raise ValueError(
                f"pools must be some of {', '.join(get_args(Pool))}, got {list(pools)}."
            )
        self.pools, self.units, self.bidirectional = tuple(pools), units, bidirectional
        if "attention" in self.pools:
            policy = self.dtype_policy
            self.hidden = keras.layers.Dense(units, activation="tanh", name="hidden", dtype=policy)
            self.score = keras.layers.Dense(1, use_bias=False, name="score", dtype=policy)

    def build(self, values_BTD_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates the weights of attention, if there is any."""
        if "attention" in self.pools:
            self.hidden.build(values_BTD_shape)
            self.score.build((*values_BTD_shape[:-1], self.units))

    def call(self, values_BTD: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """Pools.

        Args:
            values_BTD: float, (batch, time, width), right-padded.
            lengths_B: int32, (batch,). Real steps in each row, at least 1.

        Returns:
            float, (batch, width × number of pools).
        """
        return tf.concat([self._pool(pool, values_BTD, lengths_B) for pool in self.pools], -1)

    def weights_of(self, values_BTD: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """How much attention weighs each step: float32, (batch, time); rows sum to 1."""
        scores_BT1 = self.score(self.hidden(values_BTD))
        return masked_softmax(tf.transpose(scores_BT1, [0, 2, 1]), lengths_B)[:, 0]

    def _pool(self, pool: Pool, values_BTD: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        if pool == "attention":
            weights_BT = tf.cast(self.weights_of(values_BTD, lengths_B), values_BTD.dtype)
            return tf.linalg.matvec(values_BTD, weights_BT, transpose_a=True)
        if pool == "last":
            last_BD = tf.gather(values_BTD, lengths_B - 1, batch_dims=1)
            if not self.bidirectional:
                return last_BD
            half = values_BTD.shape[-1] // 2
            return tf.concat([last_BD[:, :half], values_BTD[:, 0, half:]], -1)
        real_BT1 = tf.sequence_mask(lengths_B, tf.shape(values_BTD)[1])[:, :, tf.newaxis]
        if pool == "max":
            return tf.reduce_max(tf.where(real_BT1, values_BTD, values_BTD.dtype.min), 1)
        total_BD = tf.reduce_sum(tf.where(real_BT1, values_BTD, 0), 1)
        return total_BD / tf.cast(lengths_B, values_BTD.dtype)[:, tf.newaxis]

    def compute_output_spec(self, values_BTD: Any, lengths_B: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        shape = (values_BTD.shape[0], values_BTD.shape[-1] * len(self.pools))
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("pools", "units", "bidirectional")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
