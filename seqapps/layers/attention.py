"""Attention over a padded memory: additive (Bahdanau) and multiplicative (Luong)."""

# B batch, T query (target) steps, S memory (source) steps, D memory width, Q query width, U units

from typing import Any

import keras
import tensorflow as tf


def masked_softmax(scores_BTS: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
    """Turns scores into weights over the real steps of the memory.

    Args:
        scores_BTS: float, (batch, query steps, memory steps).
        lengths_B: int32, (batch,). Real memory steps in each row, at least 1.

    Returns:
        float32, (batch, query steps, memory steps): each row sums to 1, exactly 0 past its length.
    """
    real_B1S = tf.sequence_mask(lengths_B, tf.shape(scores_BTS)[2])[:, tf.newaxis, :]
    # Softmax in float32: float16 scores overflow past 65504, and bfloat16 keeps 8 bits.
    scores_BTS = tf.cast(scores_BTS, tf.float32)
    # exp(lowest - maximum) is exactly 0 unless a row has no real step at all.
    return tf.nn.softmax(tf.where(real_B1S, scores_BTS, scores_BTS.dtype.min), axis=-1)


class _Attention(keras.layers.Layer):
    """What both kinds share: lengths, weights, context; a subclass gives keys and scores."""

    def project(self, memory_BSD: tf.Tensor) -> tf.Tensor:
        """Projects the memory once, so that a decoding loop need not do it at every step.

        Args:
            memory_BSD: float, (batch, memory steps, width).

        Returns:
            float, (batch, memory steps, units): what `call` takes as `keys`.
        """
        return self.memory_projection(memory_BSD)

    def score(self, query_BTQ: tf.Tensor, keys_BSU: tf.Tensor) -> tf.Tensor:
        """Scores every query step against every memory step: (batch, query, memory steps)."""
        raise NotImplementedError

    def call(
        self,
        query_BTQ: tf.Tensor,
        memory_BSD: tf.Tensor,
        lengths_B: tf.Tensor,
        keys: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads the memory once for each query step.

        Args:
            query_BTQ: float, (batch, query steps, query width).
            memory_BSD: float, (batch, memory steps, width), right-padded.
            lengths_B: int32, (batch,). Real memory steps in each row, at least 1.
            keys: `project(memory_BSD)` where it is at hand; else it is computed here.

        Returns:
            The context, (batch, query steps, width), in the compute dtype; and the weights,
            float32 (batch, query steps, memory steps), exactly 0 past each length.
        """
        keys_BSU = self.project(memory_BSD) if keys is None else keys
        weights_BTS = masked_softmax(self.score(query_BTQ, keys_BSU), lengths_B)
        context_BTD = tf.matmul(tf.cast(weights_BTS, memory_BSD.dtype), memory_BSD)
        return context_BTD, weights_BTS

    def compute_output_spec(
        self, query_BTQ: Any, memory_BSD: Any, lengths_B: Any, keys: Any = None
    ) -> tuple[Any, Any]:
        """Says what `call` returns, for models built from `keras.Input`."""
        (batch, steps, _), (_, memory_steps, width) = query_BTQ.shape, memory_BSD.shape
        return (
            keras.KerasTensor((batch, steps, width), dtype=self.compute_dtype),
            keras.KerasTensor((batch, steps, memory_steps), dtype="float32"),
        )


@keras.saving.register_keras_serializable("seqapps")
class AdditiveAttention(_Attention):
    """Attention whose score is a small network: v · tanh(W q + U m + b).

    It holds (batch, query steps, memory steps, units) numbers at once: at B=128, T=S=20 and 256
    units 52 MB, several times that in training. `MultiplicativeAttention` does not.

    Args:
        units: width of the scoring network.
        **kwargs: for `keras.layers.Layer`.

    Source: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align and
    Translate", section 3.1 and appendix A.1.2.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(
                f"units must be at least 1, got {units}; give the width of the scoring network."
            )
        self.units = units
        self.query_projection = keras.layers.Dense(
            units, use_bias=False, name="query", dtype=self.dtype_policy
        )
        self.memory_projection = keras.layers.Dense(units, name="memory", dtype=self.dtype_policy)

    def build(
        self,
        query_BTQ_shape: Any,
        memory_BSD_shape: Any,
        lengths_B_shape: Any = None,
        keys_shape: Any = None,
    ) -> None:
        """Creates the weights: W (query width, units), U (width, units), b and v (units,)."""
        self.query_projection.build(query_BTQ_shape)
        self.memory_projection.build(memory_BSD_shape)
        self.score_vector = self.add_weight(
            name="score", shape=(self.units, 1), initializer="glorot_uniform"
        )

    def score(self, query_BTQ: tf.Tensor, keys_BSU: tf.Tensor) -> tf.Tensor:
        """Scores every query step against every memory step: (batch, query, memory steps)."""
        query_BT1U = self.query_projection(query_BTQ)[:, :, tf.newaxis, :]
        hidden_BTSU = tf.tanh(query_BT1U + keys_BSU[:, tf.newaxis, :, :])
        vector_U1 = tf.cast(self.score_vector, hidden_BTSU.dtype)
        # One product of rank 2: the batched form costs one small product for each row.
        scores_N1 = tf.matmul(tf.reshape(hidden_BTSU, (-1, self.units)), vector_U1)
        return tf.reshape(scores_N1, tf.shape(hidden_BTSU)[:3])

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("seqapps")
class MultiplicativeAttention(_Attention):
    """Attention whose score is a bilinear product: q · W m ("general").

    Source: Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine
    Translation", eq. 8.
    """

    def build(
        self,
        query_BTQ_shape: Any,
        memory_BSD_shape: Any,
        lengths_B_shape: Any = None,
        keys_shape: Any = None,
    ) -> None:
        """Creates the one weight: W (memory width, query width)."""
        self.memory_projection = keras.layers.Dense(
            query_BTQ_shape[-1], use_bias=False, name="memory", dtype=self.dtype_policy
        )
        self.memory_projection.build(memory_BSD_shape)

    def score(self, query_BTQ: tf.Tensor, keys_BSU: tf.Tensor) -> tf.Tensor:
        """Scores every query step against every memory step: (batch, query, memory steps)."""
        return tf.matmul(query_BTQ, keys_BSU, transpose_b=True)
