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

import keras
import tensorflow as tf

from seqapps.layers.attention import AdditiveAttention, MultiplicativeAttention
from seqapps.layers.copying import Copying
from seqapps.layers.recurrent import RecurrentStack
from seqapps.recipes.translate.settings import Translator

State = list[tf.Tensor]
Memory = dict[str, tf.Tensor]


def build_translator(
    settings: Translator, *, source_vocabulary: int, target_vocabulary: int, seed: int = 0
) -> keras.Model:
    """Builds the network: source tokens and the target so far → logits of the next token.

    Args:
        settings: Size and kind.
        source_vocabulary: Source tokens, ids 0 (padding) to source_vocabulary - 1.
        target_vocabulary: Target tokens, likewise.
        seed: Of embeddings and of dropout; the other first weights follow
            `keras.utils.set_random_seed`.

    Returns:
        A model of the inputs `source` int32 (B, S), `source_lengths` int32 (B,), `target` int32
        (B, T) (shifted right, so its first token is BOS) and `target_lengths` int32 (B,), right-
        padded, every row at least one step; its output is float32 (B, T, V), whatever the policy.

    Raises:
        ValueError: If embeddings are shared between vocabularies of different sizes.
    """
    if settings.joint and source_vocabulary != target_vocabulary:
        raise ValueError(
            f"shared embeddings need one joint vocabulary, got {source_vocabulary} source and "
            f"{target_vocabulary} target tokens; set share_embeddings to false and copying to none."
        )
    make = _Layers(settings, seed)
    inputs = _inputs()
    source_lengths, target_lengths = inputs["source_lengths"], inputs["target_lengths"]
    target_table = source_table = make.table("target_embedding", target_vocabulary)
    if not settings.joint:
        source_table = make.table("source_embedding", source_vocabulary)
    encoder = make.stack(
        "encoder", settings.units // 2, depth=settings.encoder_depth, bidirectional=True
    )
    source_BSD = make.embedded(inputs["source"], source_table)
    memory_BSU, encoded = encoder(source_BSD, source_lengths)
    end_BU = keras.layers.Concatenate(name="encoder_end")(_last_layer(encoder, encoded))
    start_BU = keras.layers.Dense(settings.units, activation="tanh", name="bridge")(end_BU)

    lower = make.stack("decoder_lower", settings.units)
    target_BTD = make.embedded(inputs["target"], target_table)
    below_BTU, _ = lower(target_BTD, target_lengths, _first_state(lower, start_BU))
    context_BTU, weights_BTS = make.attention()(below_BTU, memory_BSU, source_lengths)
    upper = make.stack("decoder_upper", settings.units, depth=settings.decoder_depth - 1)
    above_BTU, _ = upper(
        keras.layers.Concatenate(name="upper_input")([below_BTU, context_BTU]),
        target_lengths,
        _first_state(upper, start_BU),
    )
    read = keras.layers.Concatenate(name="readout_input")([above_BTU, context_BTU])
    read_BTD = keras.layers.Dense(settings.embedding, name="readout")(read)
    read_BTD = make.dropped(read_BTD, settings.dropout)
    logits_BTV = target_table(read_BTD, reverse=True)
    if settings.copying == "source":
        logits_BTV = Copying(name="copying")(logits_BTV, read_BTD, weights_BTS, inputs["source"])
    return keras.Model(inputs, logits_BTV, name="translator")


class _Layers:
    """Makes the layers that the settings ask for, each with the next seed.

    Args:
        settings: Size and kind.
        seed: Of the network.
    """

    def __init__(self, settings: Translator, seed: int) -> None:
        self._settings = settings
        self._seeds = iter(range(seed * 1000, (seed + 1) * 1000))

    def table(self, name: str, size: int) -> keras.layers.ReversibleEmbedding:
        """Embeddings that serve as the last layer too."""
        width, seed = self._settings.embedding, next(self._seeds)
        # The logits are products with this table, so it starts at the size that gives them a
        # variance near one; a larger start costs the first passes.
        start = keras.initializers.RandomNormal(stddev=width**-0.5, seed=seed)
        return keras.layers.ReversibleEmbedding(
            size, width, embeddings_initializer=start, name=name
        )

    def dropped(
        self, values: keras.KerasTensor, rate: float, **kwargs: object
    ) -> keras.KerasTensor:
        """The values, some of them dropped in training."""
        if not rate:
            return values
        return keras.layers.Dropout(rate, seed=next(self._seeds), **kwargs)(values)

    def embedded(self, tokens: keras.KerasTensor, table: keras.layers.Layer) -> keras.KerasTensor:
        """Embeddings of tokens, (B, S, D); whole tokens are dropped in training."""
        rate = self._settings.token_dropout
        return self.dropped(table(tokens), rate, noise_shape=(None, None, 1))

    def stack(
        self, name: str, width: int, *, depth: int = 1, bidirectional: bool = False
    ) -> RecurrentStack:
        """Recurrent layers on top of each other."""
        return RecurrentStack(
            width,
            depth=depth,
            bidirectional=bidirectional,
            cell=self._settings.cell,
            dropout=self._settings.dropout,
            residual=self._settings.residual,
            normalisation=self._settings.normalisation,
            seed=next(self._seeds),
            name=name,
        )

    def attention(self) -> keras.layers.Layer:
        """How the decoder looks at the encoder."""
        if self._settings.attention == "additive":
            return AdditiveAttention(self._settings.units, name="attention")
        return MultiplicativeAttention(name="attention")


def _inputs() -> dict[str, keras.KerasTensor]:
    shapes = {"source": (None,), "source_lengths": (), "target": (None,), "target_lengths": ()}
    return {name: keras.Input(shape, dtype="int32", name=name) for name, shape in shapes.items()}


def encode(network: keras.Model, source: tf.Tensor, lengths: tf.Tensor) -> tuple[State, Memory]:
    """Reads the source, for decoding.

    Args:
        network: From `build_translator`.
        source: int32 (B, S), right-padded.
        lengths: int32 (B,), at least 1.

    Returns:
        The decoder's first state, and what every step looks at: `memory` (B, S, U), its
        projection `keys` (B, S, U) and `lengths` (B,); `source` (B, S) where pieces are copied.
    """
    layer = network.get_layer
    table = _source_table(network)
    encoder = layer("encoder")
    memory_BSU, encoded = encoder(table(source), lengths, training=False)
    start_BU = layer("bridge")(tf.concat(_last_layer(encoder, encoded), -1))
    state = [
        tensor
        for stack in (layer("decoder_lower"), layer("decoder_upper"))
        for tensor in _first_state(stack, start_BU)
    ]
    keys = layer("attention").project(memory_BSU)
    memory = {"memory": memory_BSU, "keys": keys, "lengths": lengths}
    if copies(network):
        memory["source"] = source
    return state, memory


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
    context_N1U, weights_N1S = layer("attention")(
        below_NU[:, tf.newaxis], memory["memory"], memory["lengths"], keys=memory["keys"]
    )
    context_NU = context_N1U[:, 0]
    above_NU, upper_state = upper.step(tf.concat([below_NU, context_NU], -1), state[split:])
    read_ND = layer("readout")(tf.concat([above_NU, context_NU], -1))
    logits_NV = table(read_ND, reverse=True)
    if copies(network):
        read_N1D, logits_N1V = read_ND[:, tf.newaxis], logits_NV[:, tf.newaxis]
        logits_NV = layer("copying")(logits_N1V, read_N1D, weights_N1S, memory["source"])[:, 0]
    return logits_NV, [*lower_state, *upper_state]


def copies(network: keras.Model) -> bool:
    """Whether it copies pieces of the source: each step then looks at them too."""
    return any(layer.name == "copying" for layer in network.layers)


def attention_weights(network: keras.Model) -> keras.Model:
    """The same inputs → where each target step looks: float32 (B, T, S), each row sums to 1."""
    _, weights_BTS = network.get_layer("attention").output
    return keras.Model(network.input, weights_BTS)


def _source_table(network: keras.Model) -> keras.layers.Layer:
    names = {layer.name for layer in network.layers}
    return network.get_layer(
        "source_embedding" if "source_embedding" in names else "target_embedding"
    )


def _last_layer(encoder: RecurrentStack, state: State) -> State:
    """The last layer's h, forward (at each row's last token) and backward (at its first)."""
    count = encoder.states_per_recurrence
    return [state[-2 * count], state[-count]]


def _first_state(stack: RecurrentStack, start: tf.Tensor) -> State:
    """`start` for every h of a stack, zeros for every cell state of an LSTM."""
    if stack.states_per_recurrence == 1:
        return [start] * len(stack.state_sizes)
    return [start, keras.ops.zeros_like(start)] * (len(stack.state_sizes) // 2)
