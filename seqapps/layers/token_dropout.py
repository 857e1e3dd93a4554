"""Dropout of whole tokens of a vocabulary."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqapps")
class TokenDropout(keras.layers.Layer):
    """Drops the embeddings of some tokens of the vocabulary wherever they occur in a batch.

    Args:
        vocabulary: Tokens.
        rate: Share of them that is dropped; the others are scaled up.
        seed: Of the draws; None draws one.
        **kwargs: For `keras.layers.Layer`.

    Source: Gal and Ghahramani 2016, section 4.2.
    """

    def __init__(self, vocabulary: int, rate: float, *, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary, self.rate, self.seed = vocabulary, rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, embedded_BTD: Any, tokens_BT: Any, training: bool | None = None) -> Any:
        """Scales embeddings (batch, time, width) of tokens int32 (batch, time) by 0 or more."""
        if not training:
            return embedded_BTD
        kept_V = keras.random.dropout(
            tf.ones([self.vocabulary]), self.rate, seed=self.seed_generator
        )
        return embedded_BTD * tf.cast(tf.gather(kept_V, tokens_BT), embedded_BTD.dtype)[..., None]

    def compute_output_spec(self, embedded_BTD: Any, tokens_BT: Any, training: Any = None) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor(embedded_BTD.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("vocabulary", "rate", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
