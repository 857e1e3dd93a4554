"""Recurrent language model: the network behind `seqapps.recipes.generate`.

Embeddings, recurrent layers, and a softmax over the vocabulary. Its state is one vector a row that
goes in and comes out, so that a text of any length is read in pieces: in training, where the state
is carried between the windows of a continuous stream, and when text is written token by token.

Source: Mikolov et al. 2010 (the model); Merity et al. 2018 (its regularisation); Gal and Ghahramani
2016 (locked dropout, embedding dropout); Press and Wolf 2017 (tied output layer).
"""

# B batch, T steps, D embedding width, U units, S width of the state, V vocabulary, H what the
# softmax takes: D if its layer is tied to the embeddings, else U

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from seqapps.layers.recurrent import RecurrentStack
from seqapps.layers.token_dropout import TokenDropout
from seqapps.recipes.generate.settings import LanguageModel

EMBEDDING, STACK, READOUT, LOGITS = "embedding", "recurrence", "readout", "logits"
"""Names of layers that others look up."""


def build_recurrent_lm(settings: LanguageModel, *, vocabulary: int, seed: int = 0) -> keras.Model:
    """Builds the network: tokens and a state → logits of each next token, and the state after them.

    Args:
        settings: Size, kind and regularisation.
        vocabulary: Tokens, ids 0 to vocabulary - 1.
        seed: Of embeddings and of dropout; the other first weights follow
            `keras.utils.set_random_seed`.

    Returns:
        A model of the inputs `tokens` int32 (B, T), right-padded, `tokens_lengths` int32 (B,), and
        `state` float32 (B, S), zeros where a text begins. Its outputs are `logits` float32
        (B, T, V); `state` float32 (B, S), after each row's last real step; and the last layer's
        outputs before and after dropout, `raw` and `dropped` (B, T, U), for their penalties.
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    stack = RecurrentStack(
        settings.units,
        cell=settings.cell,
        depth=settings.depth,
        residual=settings.residual,
        normalisation=settings.normalisation,
        dropout=settings.dropout,
        locked_dropout=True,
        weight_drop=settings.weight_drop,
        seed=next(seeds),
        name=STACK,
    )
    inputs = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "tokens_lengths": keras.Input((), dtype="int32", name="tokens_lengths"),
        "state": keras.Input((sum(stack.state_sizes),), dtype="float32", name="state"),
    }
    start = keras.initializers.RandomNormal(stddev=settings.embedding**-0.5, seed=next(seeds))
    table = keras.layers.ReversibleEmbedding(
        vocabulary, settings.embedding, embeddings_initializer=start, name=EMBEDDING
    )
    read_BTD = table(inputs["tokens"])
    if settings.embedding_dropout:
        drop = TokenDropout(vocabulary, settings.embedding_dropout, seed=next(seeds))
        read_BTD = drop(read_BTD, inputs["tokens"])
    before = _split(inputs["state"], stack.state_sizes)
    raw_BTU, after = stack(read_BTD, inputs["tokens_lengths"], before)
    dropped_BTU = raw_BTU
    if settings.output_dropout:
        locked = keras.layers.Dropout(
            settings.output_dropout, noise_shape=(None, 1, None), seed=next(seeds)
        )
        dropped_BTU = locked(raw_BTU)
    outputs = {
        "logits": _logits_layer(settings, vocabulary, table)(dropped_BTU),
        "state": keras.ops.cast(keras.ops.concatenate(after, axis=-1), "float32"),
        "raw": raw_BTU,
        "dropped": dropped_BTU,
    }
    return keras.Model(inputs, outputs, name="language_model")


def _split(state: Any, sizes: list[int]) -> list[Any]:
    """A state as the recurrent layers take it."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [state[:, end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _logits_layer(
    settings: LanguageModel, vocabulary: int, table: keras.layers.Layer
) -> Callable[[Any], Any]:
    if not settings.tie:
        return keras.layers.Dense(vocabulary, dtype="float32", name=LOGITS)
    readout = keras.layers.Dense(settings.embedding, name=READOUT)
    return lambda values: keras.ops.cast(table(readout(values), reverse=True), "float32")


def state_size(network: keras.Model) -> int:
    """S, the width of the state."""
    return sum(network.get_layer(STACK).state_sizes)


def read(network: keras.Model, tokens_BT: Any, lengths_B: Any, state_BS: Any) -> tuple[Any, Any]:
    """Runs over whole sequences, without dropout.

    Args:
        network: From `build_recurrent_lm`.
        tokens_BT: int32, (batch, steps), right-padded.
        lengths_B: int32, (batch,). Real steps, 0 allowed.
        state_BS: float32, (batch, S).

    Returns:
        Logits float32 (batch, steps, vocabulary), and the state after each row's last real step.
    """
    outputs = network(
        {"tokens": tokens_BT, "tokens_lengths": lengths_B, "state": state_BS}, training=False
    )
    return outputs["logits"], outputs["state"]


def step(network: keras.Model, tokens_B: Any, state_BS: Any) -> tuple[Any, Any]:
    """Reads one token in each row: the numbers of `read`, in less time.

    Args:
        network: From `build_recurrent_lm`.
        tokens_B: int32, (batch,).
        state_BS: float32, (batch, S).

    Returns:
        Logits of the token after it, float32 (batch, vocabulary), and the state.
    """
    stack, table = network.get_layer(STACK), network.get_layer(EMBEDDING)
    before = tf.split(state_BS, stack.state_sizes, axis=1)
    values_BU, after = stack.step(table(tokens_B), before)
    hidden_BH = softmax_input(network, values_BU)
    if _tied(network):
        logits_BV = table(hidden_BH, reverse=True)
    else:
        logits_BV = network.get_layer(LOGITS)(hidden_BH)
    return logits_BV, tf.concat(after, 1)


def softmax_input(network: keras.Model, values: Any) -> Any:
    """The vector whose products with a vector of each token are the logits.

    Args:
        network: From `build_recurrent_lm`.
        values: float, (..., U). Outputs of the last recurrent layer.

    Returns:
        float, (..., H).
    """
    return network.get_layer(READOUT)(values) if _tied(network) else values


def _tied(network: keras.Model) -> bool:
    """Whether the embeddings are the output layer's weights too."""
    return any(layer.name == READOUT for layer in network.layers)
