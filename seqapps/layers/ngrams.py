"""A linear model of single tokens and of pairs of neighbours, in hashed buckets."""

# B batch, T time steps, N tokens and pairs of a text, M buckets, K classes

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_FIRST, _SECOND = 1_000_003, 7_919
"""Odd multipliers that spread pairs of tokens over the buckets."""


@keras.saving.register_keras_serializable("seqapps")
class HashedPairs(keras.layers.Layer):
    """Scores classes by what each token and each pair of neighbours says.

    A text is the vector of its buckets' weights, scaled to length one (each occurrence counts as if
    it were the only one of its kind); its scores are linear in that. All is zero until `set` puts
    in what was fitted: see `seqapps.recipes.sentiment.linear`. Computes in float32.

    Args:
        classes: K.
        buckets: M; pairs that fall into the same bucket are taken for one.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: If there are fewer than two classes or no buckets.

    Source: Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification" (hashed pairs).
    """

    def __init__(self, classes: int, *, buckets: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if classes < 2 or buckets < 1:
            raise ValueError(
                f"classes must be at least 2 and buckets at least 1, got {classes} and {buckets}."
            )
        self.classes, self.buckets = classes, buckets

    def build(self, tokens_BT_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates the weights, which no training moves."""

        def zeros(name: str, *shape: int) -> Any:
            return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

        self.scores = zeros("scores", self.buckets, self.classes)
        self.squares = zeros("squares", self.buckets)
        self.bias = zeros("bias", self.classes)
        self.share = zeros("share")

    def set(
        self,
        *,
        weights_M: npt.NDArray[Any],
        coefficients_MK: npt.NDArray[Any],
        bias_K: npt.NDArray[Any],
    ) -> None:
        """Takes over a linear model.

        Args:
            weights_M: float, (buckets,). What an occurrence weighs before scaling.
            coefficients_MK: float, (buckets, classes). Of the scaled vector.
            bias_K: float, (classes,).
        """
        self.scores.assign(weights_M[:, np.newaxis] * coefficients_MK)
        self.squares.assign(weights_M**2)
        self.bias.assign(bias_K)

    def call(self, tokens_BT: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """Scores, times the share.

        Args:
            tokens_BT: int32, (batch, time), right-padded.
            lengths_B: int32, (batch,). Real steps in each row, at least 1.

        Returns:
            float32, (batch, classes).
        """
        return tf.convert_to_tensor(self.share) * self.alone(tokens_BT, lengths_B)

    def alone(self, tokens_BT: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """What `call` returns where the share is one."""
        tokens_BT = tf.cast(tokens_BT, tf.int64)
        followers_BT = tf.pad(tokens_BT[:, 1:], [[0, 0], [0, 1]])
        buckets_BN = tf.concat(_buckets(tokens_BT, followers_BT, self.buckets), 1)
        steps = tf.shape(tokens_BT)[1]
        real_BN = tf.concat([tf.sequence_mask(lengths_B - n, steps) for n in (0, 1)], 1)
        real_BN = tf.cast(real_BN, tf.float32)
        total_BK = tf.einsum("bn,bnk->bk", real_BN, tf.gather(self.scores, buckets_BN))
        squares_B = tf.einsum("bn,bn->b", real_BN, tf.gather(self.squares, buckets_BN))
        return total_BK / tf.sqrt(tf.maximum(squares_B, 1e-12))[:, tf.newaxis] + self.bias

    def compute_output_spec(self, tokens_BT: Any, lengths_B: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor((tokens_BT.shape[0], self.classes), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "classes": self.classes, "buckets": self.buckets}


def buckets_of(tokens: npt.NDArray[np.integer[Any]], buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each token and of each pair of neighbours of one text.

    Args:
        tokens: int, (tokens,).
        buckets: How many there are.

    Returns:
        int64, (2 · tokens - 1,): of the tokens, then of the pairs.
    """
    tokens = tokens.astype(np.int64)
    singles, pairs = _buckets(tokens, np.append(tokens[1:], 0), buckets)
    return np.concatenate([singles, pairs[:-1]])


def _buckets(tokens: Any, followers: Any, buckets: int) -> tuple[Any, Any]:
    singles = tokens * _FIRST
    return singles % buckets, (singles + (followers + 1) * _SECOND) % buckets
