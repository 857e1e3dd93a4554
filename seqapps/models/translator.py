"""Encoder-decoder with attention: the network behind `seqapps.recipes.translate`.

A bidirectional encoder reads the source. The decoder is a recurrent layer over the target so
far, one attention over the encoder for all of its steps at once, and further recurrent layers
over state and context together. Attention asks with the lower layer's state, so nothing in it
waits for the previous step's attention, and training needs no loop but the recurrences.

Source: Bahdanau et al. 2015 and Luong et al. 2015 (attention); Wu et al. 2016, section 3
(attention on the first decoder layer alone); Press and Wolf 2017 (tied output layer).
"""

# B batch, S source steps, T target steps, D embedding width, U units, V target vocabulary,
# N rows of a decoding loop.

from typing import Literal

import keras
import tensorflow as tf

from seqapps.layers.attention import AdditiveAttention, MultiplicativeAttention
from seqapps.layers.recurrent import Cell, RecurrentStack

State = list[tf.Tensor]
Memory = dict[str, tf.Tensor]


def build_translator(
    *,
    source_vocabulary: int,
    target_vocabulary: int,
    embedding: int = 256,
    units: int = 512,
    encoder_depth: int = 1,
    decoder_depth: int = 2,
    cell: Cell = "gru",
    attention: Literal["additive", "multiplicative"] = "multiplicative",
    dropout: float = 0.3,
    token_dropout: float = 0.0,
    share_embeddings: bool = False,
    seed: int = 0,
) -> keras.Model:
    """Builds the network: source tokens and the target so far → logits of the next token.

    Args:
        source_vocabulary: Source tokens, ids 0 (padding) to source_vocabulary - 1.
        target_vocabulary: Target tokens, likewise.
        embedding: Width of the token embeddings, and of the layer before the logits.
        units: Units of each decoder layer; the encoder has half of them in each direction.
        encoder_depth: Recurrent layers of the encoder.
        decoder_depth: Recurrent layers of the decoder: one below attention, the others above.
        cell: Kind of recurrence.
        attention: `additive` (Bahdanau) or `multiplicative` (Luong).
        dropout: Share of elements dropped from embeddings, between layers and before the logits.
        token_dropout: Share of tokens whose whole embedding is dropped.
        share_embeddings: One table for source and target (one joint vocabulary).
        seed: Of the first weights and of dropout.

    Returns:
        A model of the inputs `source` int32 (B, S), `source_lengths` int32 (B,), `target` int32
        (B, T) (shifted right, so its first token is BOS) and `target_lengths` int32 (B,), right-
        padded, every row at least one step; its output is float32 (B, T, V).

    Raises:
        ValueError: If embeddings are shared between vocabularies of different sizes, units are
            odd, or the decoder is too shallow.
    """
    if share_embeddings and source_vocabulary != target_vocabulary:
        raise ValueError(
            f"shared embeddings need one joint vocabulary, got {source_vocabulary} source and "
            f"{target_vocabulary} target tokens; set share_embeddings to false."
        )
    if decoder_depth < 2:
        raise ValueError(
            f"decoder_depth must be at least 2, got {decoder_depth}: one layer below attention "
            "and one above it."
        )
    if units % 2:
        raise ValueError(f"units must be even, got {units}: each reading direction takes half.")
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))

    def drop(values: keras.KerasTensor, rate: float, **kwargs: object) -> keras.KerasTensor:
        return keras.layers.Dropout(rate, seed=next(seeds), **kwargs)(values) if rate else values

    def table(name: str, size: int) -> keras.layers.ReversibleEmbedding:
        # The logits are products with this table, so it starts at the size that gives them a
        # variance near one; a larger start costs the first passes.
        start = keras.initializers.RandomNormal(stddev=embedding**-0.5, seed=next(seeds))
        return keras.layers.ReversibleEmbedding(
            size, embedding, embeddings_initializer=start, name=name
        )

    def embed(tokens: keras.KerasTensor, layer: keras.layers.Layer) -> keras.KerasTensor:
        return drop(layer(tokens), token_dropout, noise_shape=(None, None, 1))

    inputs = {
        "source": keras.Input((None,), dtype="int32", name="source"),
        "source_lengths": keras.Input((), dtype="int32", name="source_lengths"),
        "target": keras.Input((None,), dtype="int32", name="target"),
        "target_lengths": keras.Input((), dtype="int32", name="target_lengths"),
    }
    target_table = table("target_embedding", target_vocabulary)
    source_table = (
        target_table if share_embeddings else table("source_embedding", source_vocabulary)
    )
    memory_BSU, encoded = RecurrentStack(
        units // 2,
        cell=cell,
        depth=encoder_depth,
        bidirectional=True,
        dropout=dropout,
        seed=next(seeds),
        name="encoder",
    )(embed(inputs["source"], source_table), inputs["source_lengths"])
    # The last layer's h of both directions: forward at the last token, backward at the first.
    per_recurrence = 2 if cell == "lstm" else 1
    last = keras.layers.Concatenate(name="encoder_end")(
        [encoded[-2 * per_recurrence], encoded[-per_recurrence]]
    )
    start = keras.layers.Dense(units, activation="tanh", name="bridge")(last)

    lower = RecurrentStack(
        units, cell=cell, dropout=dropout, seed=next(seeds), name="decoder_lower"
    )
    below_BTU, _ = lower(
        embed(inputs["target"], target_table),
        inputs["target_lengths"],
        initial_state=_first_state(lower, start),
    )
    attend = (
        AdditiveAttention(units, name="attention")
        if attention == "additive"
        else MultiplicativeAttention(name="attention")
    )
    context_BTU, _ = attend(below_BTU, memory_BSU, inputs["source_lengths"])
    upper = RecurrentStack(
        units,
        cell=cell,
        depth=decoder_depth - 1,
        dropout=dropout,
        seed=next(seeds),
        name="decoder_upper",
    )
    above_BTU, _ = upper(
        keras.layers.Concatenate(name="upper_input")([below_BTU, context_BTU]),
        inputs["target_lengths"],
        initial_state=_first_state(upper, start),
    )
    read = keras.layers.Concatenate(name="readout_input")([above_BTU, context_BTU])
    read_BTD = keras.layers.Dense(embedding, name="readout")(read)
    logits_BTV = target_table(drop(read_BTD, dropout), reverse=True)
    return keras.Model(inputs, logits_BTV, name="translator")


def encode(network: keras.Model, source: tf.Tensor, lengths: tf.Tensor) -> tuple[State, Memory]:
    """Reads the source, for decoding.

    Args:
        network: From `build_translator`.
        source: int32 (B, S), right-padded.
        lengths: int32 (B,), at least 1.

    Returns:
        The decoder's first state, and what every step looks at: `memory` (B, S, U), its
        projection `keys` (B, S, U) and `lengths` (B,).
    """
    layer = network.get_layer
    table = _source_table(network)
    encoder = layer("encoder")
    memory_BSU, encoded = encoder(table(source), lengths, training=False)
    per_recurrence = encoder.states_per_recurrence
    last = tf.concat([encoded[-2 * per_recurrence], encoded[-per_recurrence]], -1)
    start = layer("bridge")(last)
    state = [
        tensor
        for stack in (layer("decoder_lower"), layer("decoder_upper"))
        for tensor in _first_state(stack, start)
    ]
    keys = layer("attention").project(memory_BSU)
    return state, {"memory": memory_BSU, "keys": keys, "lengths": lengths}


def step(
    network: keras.Model, tokens: tf.Tensor, state: State, memory: Memory
) -> tuple[tf.Tensor, State]:
    """Takes one step of decoding.

    Args:
        network: From `build_translator`.
        tokens: int32 (N,), the last token of each row, BOS first.
        state: What `encode` or the last step returned, N rows.
        memory: What `encode` returned, N rows.

    Returns:
        float32 (N, V), logits of the next token, and the new state.
    """
    layer = network.get_layer
    lower, upper, table = layer("decoder_lower"), layer("decoder_upper"), layer("target_embedding")
    split = len(lower.state_sizes)
    below_NU, lower_state = lower.step(table(tokens), state[:split])
    context_N1U, _ = layer("attention")(
        below_NU[:, tf.newaxis], memory["memory"], memory["lengths"], keys=memory["keys"]
    )
    context_NU = context_N1U[:, 0]
    above_NU, upper_state = upper.step(tf.concat([below_NU, context_NU], -1), state[split:])
    read_ND = layer("readout")(tf.concat([above_NU, context_NU], -1))
    return table(read_ND, reverse=True), [*lower_state, *upper_state]


def attention_weights(network: keras.Model) -> keras.Model:
    """The same inputs → where each target step looks: float32 (B, T, S), each row sums to 1."""
    _, weights_BTS = network.get_layer("attention").output
    return keras.Model(network.input, weights_BTS)


def _source_table(network: keras.Model) -> keras.layers.Layer:
    names = {layer.name for layer in network.layers}
    return network.get_layer(
        "source_embedding" if "source_embedding" in names else "target_embedding"
    )


def _first_state(stack: RecurrentStack, start: tf.Tensor) -> State:
    """`start` for every h of a stack, zeros for every cell state of an LSTM."""
    if stack.states_per_recurrence == 1:
        return [start] * len(stack.state_sizes)
    return [start, keras.ops.zeros_like(start)] * (len(stack.state_sizes) // 2)
