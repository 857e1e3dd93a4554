"""Text classifier: the network behind `seqapps.recipes.sentiment`.

Embeddings, recurrent layers that read the text in both directions, pooling over its words, and a
small head. The directions are independent of each other up to pooling, so that the same encoder
can be trained as a language model first (`seqapps.recipes.sentiment.teacher`).

Source: Yang et al. 2016 (attention pooling); Howard and Ruder 2018 (several pools side by side).
"""

# B batch, T tokens, D embedding width, O encoder width, K classes

import keras

from seqapps.layers.ngrams import HashedPairs
from seqapps.layers.pooling import SequencePooling
from seqapps.layers.recurrent import RecurrentStack
from seqapps.layers.temperature import Temperature
from seqapps.recipes.sentiment.settings import Classifier

EMBEDDING, ENCODER, POOLING, PAIRS = "embedding", "encoder", "pooling", "pairs"
TEMPERATURE = "temperature"
"""Names of layers that others look up."""

_MOMENTUM = 0.9
"""Of the statistics that batch normalisation answers with: after 50 updates half a percent is left
of where they began. With 0.99, Keras's default, it is 60 %, and a short training is judged by it.
"""


def build_classifier(
    settings: Classifier, *, vocabulary: int, classes: int, seed: int = 0
) -> keras.Model:
    """Builds the network: tokens of a text → logits of its classes.

    Args:
        settings: Size and kind.
        vocabulary: Tokens, ids 0 (padding) to vocabulary - 1.
        classes: Classes, at least 2.
        seed: Of embeddings and of dropout; the other first weights follow
            `keras.utils.set_random_seed`.

    Returns:
        A model of the inputs `tokens` int32 (B, T), right-padded, and `tokens_lengths` int32 (B,),
        at least 1; its output is float32 (B, K): logits, divided by the fitted temperature.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}; a label must have a choice.")
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))

    def drop(values: keras.KerasTensor, rate: float, **kwargs: object) -> keras.KerasTensor:
        return keras.layers.Dropout(rate, seed=next(seeds), **kwargs)(values) if rate else values

    inputs = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "tokens_lengths": keras.Input((), dtype="int32", name="tokens_lengths"),
    }
    lengths_B = inputs["tokens_lengths"]
    words_BTD = embedding_layer(vocabulary, settings.embedding, seed=next(seeds))(inputs["tokens"])
    words_BTD = drop(words_BTD, settings.word_dropout, noise_shape=(None, None, 1))
    words_BTD = drop(words_BTD, settings.channel_dropout, noise_shape=(None, 1, None))
    encoder = encoder_layer(settings, dropout=settings.dropout, seed=next(seeds))
    read_BTO, _ = encoder(words_BTD, lengths_B)
    pooling = SequencePooling(settings.pools, bidirectional=settings.bidirectional, name=POOLING)
    pooled = pooling(read_BTO, lengths_B)
    if settings.normalisation == "batch":
        pooled = keras.layers.BatchNormalization(momentum=_MOMENTUM, name="norm")(pooled)
    elif settings.normalisation == "layer":
        pooled = keras.layers.LayerNormalization(name="norm")(pooled)
    pooled = drop(pooled, settings.dropout)
    if settings.hidden:
        pooled = keras.layers.Dense(settings.hidden, activation="relu", name="hidden")(pooled)
        pooled = drop(pooled, settings.dropout)
    logits_BK = keras.layers.Dense(classes, name="logits")(pooled)
    if settings.pairs:
        pairs = HashedPairs(
            classes,
            buckets=settings.pairs,
            characters=settings.characters,
            vocabulary=vocabulary if settings.characters else 0,
            name=PAIRS,
        )
        logits_BK = keras.layers.Add(name="sum", dtype="float32")(
            [logits_BK, pairs(inputs["tokens"], lengths_B)]
        )
    return keras.Model(inputs, Temperature(name=TEMPERATURE)(logits_BK), name="classifier")


def embedding_layer(vocabulary: int, width: int, *, seed: int) -> keras.layers.Layer:
    """The table of token embeddings, which a language model uses for its answers too."""
    start = keras.initializers.RandomNormal(stddev=width**-0.5, seed=seed)
    return keras.layers.ReversibleEmbedding(
        vocabulary, width, embeddings_initializer=start, name=EMBEDDING
    )


def encoder_layer(settings: Classifier, *, dropout: float, seed: int) -> RecurrentStack:
    """The recurrent layers of a classifier."""
    return RecurrentStack(
        settings.units,
        cell=settings.cell,
        depth=settings.depth,
        bidirectional=settings.bidirectional,
        independent=settings.bidirectional,
        dropout=dropout,
        seed=seed,
        name=ENCODER,
    )
