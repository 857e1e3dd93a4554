"""A linear model of single tokens and of pairs of neighbours, in hashed buckets."""

# B batch, T time steps, N tokens and pairs of a text, K outputs

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_FIRST, _SECOND = 1_000_003, 7_919
"""Odd multipliers that spread pairs of tokens over the buckets."""
_PRIOR, _GAIN, _SCALE = 0.4, 4.0, 0.05
"""A token's share in a sum is ratio · (prior + gain · weight) · scale: before any training it is a
mild naive Bayes, and what an optimiser does in some hundred steps is enough to change that."""


@keras.saving.register_keras_serializable("seqapps")
class HashedNGrams(keras.layers.Layer):
    """Adds up what each token and each pair of neighbours says for each class.

    That is naive Bayes' log-count ratio, which `adapt` counts once, times a weight that training
    fits. Beside a recurrent layer it takes over what words say by themselves; of longer spans it
    knows nothing. Computes in float32.

    Args:
        outputs: K, the classes.
        buckets: Ratios and weights for each of them; pairs that fall into the same bucket share.
        dropout: Share of tokens and pairs left out in training.
        seed: Of dropout.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: If there are fewer than two outputs or no buckets.

    Source: Wang and Manning 2012, "Baselines and Bigrams" (NB-SVM); Cheng et al. 2016, "Wide & Deep
    Learning"; Joulin et al. 2017 (hashed pairs).
    """

    def __init__(
        self, outputs: int, *, buckets: int, dropout: float = 0.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if outputs < 2 or buckets < 1:
            raise ValueError(
                f"outputs must be at least 2 and buckets at least 1, got {outputs} and {buckets}."
            )
        self.outputs, self.buckets, self.dropout, self.seed = outputs, buckets, dropout, seed
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype="float32")

    def build(self, tokens_BT_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates ratios, all one before `adapt` (a plain linear model), and weights."""
        shape = (self.buckets, self.outputs)
        self.ratios = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="ratios"
        )
        self.table = self.add_weight(shape=shape, initializer="zeros", name="embeddings")

    def adapt(self, texts: Iterable[npt.NDArray[np.int32]], labels: Sequence[int]) -> None:
        """Counts in how many texts of each class each token and each pair is.

        Args:
            texts: Tokens of each training text, (tokens,).
            labels: Its class, from 0 to K - 1.
        """
        counts_MK = np.ones((self.buckets, self.outputs))
        texts_K = np.full(self.outputs, 2.0)
        for tokens, label in zip(texts, labels, strict=True):
            tokens = tokens.astype(np.int64)
            singles, pairs = _places(tokens, np.append(tokens[1:], 0))
            places = np.concatenate([singles, pairs[:-1]]) % self.buckets
            counts_MK[np.unique(places), label] += 1
            texts_K[label] += 1
        inside = counts_MK / texts_K
        outside = (counts_MK.sum(1, keepdims=True) - counts_MK) / (texts_K.sum() - texts_K)
        self.ratios.assign(np.log(inside / outside))

    def call(self, tokens_BT: tf.Tensor, lengths_B: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Sums.

        Args:
            tokens_BT: int32, (batch, time), right-padded.
            lengths_B: int32, (batch,). Real steps in each row, at least 1.
            training: Whether dropout acts.

        Returns:
            float32, (batch, outputs).
        """
        tokens_BT = tf.cast(tokens_BT, tf.int64)
        places_BN = tf.concat(_places(tokens_BT, tf.pad(tokens_BT[:, 1:], [[0, 0], [0, 1]])), 1)
        steps = tf.shape(tokens_BT)[1]
        real_BN = tf.concat([tf.sequence_mask(lengths_B - n, steps) for n in (0, 1)], 1)
        real_BN = self.drop(tf.cast(real_BN, tf.float32), training=training)
        places_BN = tf.math.floormod(places_BN, self.buckets)
        weights_BNK = _PRIOR + _GAIN * tf.gather(self.table, places_BN)
        said_BNK = tf.gather(self.ratios, places_BN) * weights_BNK
        return _SCALE * tf.einsum("bn,bnk->bk", real_BN, said_BNK)

    def compute_output_spec(self, tokens_BT: Any, lengths_B: Any, training: bool = False) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor((tokens_BT.shape[0], self.outputs), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("outputs", "buckets", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _places(tokens: Any, followers: Any) -> tuple[Any, Any]:
    """Numbers, before they are taken modulo the buckets, of tokens and of pairs."""
    singles = tokens * _FIRST
    return singles, singles + (followers + 1) * _SECOND
