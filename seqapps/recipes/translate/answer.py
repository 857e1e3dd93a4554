"""A trained translator as a function of strings, and how its answers are measured."""

# B batch, S source steps, T target steps, K hypotheses, N rows of a decoding loop

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.batching import evaluation_batches
from seqapps.data.pipeline import batches
from seqapps.decoding.beam import beam_search
from seqapps.decoding.loop import Hypotheses
from seqapps.decoding.sampling import greedy, sample
from seqapps.recipes.translate import network as translator
from seqapps.recipes.translate.examples import VALIDATION_TOKENS, PairExamples, tokenizers
from seqapps.text.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer
from seqapps.text.tokenizer_graph import GraphTokenizer

Ids = npt.NDArray[np.int32]

NEVER = (PAD, UNKNOWN, BOS)
"""Tokens that no translation holds."""


LONGEST = 1000
"""Tokens of a translation, at most: ten times those of a long sentence."""


def _limits(lengths: Any) -> Any:
    """Tokens that a translation may have: twice those of its source and ten, at most `LONGEST`.

    A source of EOS alone has none: the translation of nothing is nothing, whatever was learned.
    """
    return tf.where(lengths > 1, tf.minimum(2 * lengths + 10, LONGEST), 0)


class GreedyTranslator:
    """Translates token numbers greedily: what is quick enough for every epoch's validation.

    Args:
        network: From `build_translator`; its weights are read at each call.
        target: Tokenizer of the target language.
    """

    def __init__(self, network: keras.Model, target: Tokenizer) -> None:
        self._target = target

        def decode(source: tf.Tensor, lengths: tf.Tensor) -> Hypotheses:
            state, memory = translator.encode(network, source, lengths)
            return greedy(
                _stepper(network),
                state,
                memory,
                bos=BOS,
                eos=EOS,
                max_steps=_limits(lengths),
                banned=NEVER,
            )

        specs = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
        self._decode = tf.function(decode, input_signature=specs, autograph=False)

    def __call__(self, sources: Sequence[Ids]) -> list[str]:
        """Translates each source, given with its EOS."""
        return self._target.decode(self.tokens(sources))

    def tokens(self, sources: Sequence[Ids]) -> list[Ids]:
        """The target tokens of each source, without BOS and EOS."""
        order = evaluation_batches([len(ids) for ids in sources], tokens=VALIDATION_TOKENS)
        targets = [np.zeros(0, np.int32)] * len(sources)
        for rows, batch in zip(order, batches({"source": sources}, order), strict=True):
            hypotheses = self._decode(batch["source"], batch["source_lengths"])
            tokens, lengths = hypotheses.tokens.numpy(), hypotheses.lengths.numpy()
            for place, row in enumerate(rows):
                targets[row] = tokens[place, 0, : lengths[place, 0]]
        return targets


def _stepper(network: keras.Model) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    return lambda tokens, state, memory: translator.step(network, tokens, state, memory)


class Translate:
    """What is served: strings → strings and scores, all in the graph.

    Args:
        network: From `build_translator`.
        assets: The two tokenizers, as `PairExamples.assets` gives them.
    """

    def __init__(self, network: keras.Model, assets: Mapping[str, bytes]) -> None:
        self._network = network
        source, target = tokenizers(assets)
        self._source = GraphTokenizer(source)
        self._target = self._source if target is source else GraphTokenizer(target)

    def __call__(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Translates a batch.

        Args:
            inputs: `source`: string, (B,).
            options: Strategy values, (B,) or (1,) each. Rows with a temperature above 0 are
                drawn; the others are searched.

        Returns:
            `translation` string (B,), `score` float32 (B,), `alternatives` string (B, K),
            `alternative_scores` float32 (B, K), best first, and their `_lengths` int32 (B,).
        """
        source, lengths = self._source.encode(inputs["source"], bos=False, eos=True)
        # No rows have no steps either, and a recurrent layer needs one.
        source = tf.pad(source, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(source)[1])]])
        batch = tf.shape(lengths)[0]
        options = {name: tf.broadcast_to(value, [batch]) for name, value in options.items()}
        state, memory = translator.encode(self._network, source, lengths)
        drawn_B = options["temperature"] > 0.0
        searched = self._search(state, memory, lengths, options, drawn_B)
        hypotheses = tf.cond(
            tf.reduce_any(drawn_B),
            lambda: self._draw(state, memory, lengths, options, drawn_B, searched),
            lambda: searched,
        )
        texts_BK = self._target.decode(hypotheses.tokens, hypotheses.lengths)
        kept_B = tf.reduce_sum(tf.cast(tf.math.is_finite(hypotheses.scores), tf.int32), 1)
        return {
            "translation": texts_BK[:, 0],
            "score": hypotheses.scores[:, 0],
            "alternatives": texts_BK,
            "alternatives_lengths": kept_B,
            "alternative_scores": hypotheses.scores,
            "alternative_scores_lengths": kept_B,
        }

    def _search(
        self, state: Any, memory: Any, lengths: Any, options: dict[str, Any], drawn_B: Any
    ) -> Hypotheses:
        return beam_search(
            _stepper(self._network),
            state,
            memory,
            bos=BOS,
            eos=EOS,
            beam_width=tf.where(drawn_B, 1, options["beam_width"]),
            # A row that is drawn takes one step here, not a whole search.
            max_steps=tf.where(drawn_B, 1, _limits(lengths)),
            length_penalty=options["length_penalty"],
            n_best=tf.where(drawn_B, 1, options["n_best"]),
            banned=NEVER,
        )

    def _draw(
        self,
        state: Any,
        memory: Any,
        lengths: Any,
        options: dict[str, Any],
        drawn_B: Any,
        searched: Hypotheses,
    ) -> Hypotheses:
        """Draws one answer for the rows that ask for it; the others keep what was searched."""
        drawn = sample(
            _stepper(self._network),
            state,
            memory,
            bos=BOS,
            eos=EOS,
            max_steps=tf.where(drawn_B, _limits(lengths), 1),
            seed=options["seed"],
            temperature=tf.where(drawn_B, options["temperature"], 1.0),
            top_k=options["top_k"],
            top_p=options["top_p"],
            banned=NEVER,
        )
        slots = tf.shape(searched.scores)[1]
        steps = tf.maximum(tf.shape(searched.tokens)[2], tf.shape(drawn.tokens)[2])

        def widen(tokens: Any, slots: Any) -> Any:
            extra = [[0, 0], [0, slots - tf.shape(tokens)[1]], [0, steps - tf.shape(tokens)[2]]]
            return tf.pad(tokens, extra)

        def fill(values: Any, blank: Any) -> Any:
            return tf.pad(values, [[0, 0], [0, slots - 1]], constant_values=blank)

        row = drawn_B[:, tf.newaxis]
        never = float("-inf")
        return Hypotheses(
            tokens=tf.where(
                row[:, :, tf.newaxis], widen(drawn.tokens, slots), widen(searched.tokens, slots)
            ),
            lengths=tf.where(row, fill(drawn.lengths, 0), searched.lengths),
            scores=tf.where(row, fill(drawn.scores, never), searched.scores),
            log_probs=tf.where(row, fill(drawn.log_probs, never), searched.log_probs),
            finished=tf.where(row, fill(drawn.finished, False), searched.finished),
        )


@dataclass(frozen=True)
class AttentionMap:
    """Where the decoder looked while it wrote one sentence."""

    weights_TS: npt.NDArray[np.float32]
    """(target tokens, source tokens); each row sums to 1."""
    source: list[str]
    """Source pieces and EOS."""
    target: list[str]
    """Target pieces and EOS, as the model wrote them."""


def attention_maps(
    network: keras.Model, examples: PairExamples, *, count: int
) -> list[AttentionMap]:
    """Translates the first validation sentences of 4 to 20 pieces, and reads the attention."""
    sources = [ids for ids in examples.encoded_validation["source"] if 4 <= len(ids) <= 20][:count]
    targets = GreedyTranslator(network, examples.target).tokens(sources)
    look = translator.attention_weights(network)
    maps = []
    for source, target in zip(sources, targets, strict=True):
        read = np.concatenate([[BOS], target])
        weights_1TS = look(
            {
                "source": tf.constant(source[None]),
                "source_lengths": tf.constant([len(source)]),
                "target": tf.constant(read[None], tf.int32),
                "target_lengths": tf.constant([len(read)]),
            }
        )
        maps.append(
            AttentionMap(
                weights_TS=weights_1TS.numpy()[0],
                source=[examples.source.pieces[i] for i in source],
                target=[examples.target.pieces[i] for i in [*target, EOS]],
            )
        )
    return maps
