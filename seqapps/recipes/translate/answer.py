"""A trained translator as a function of strings, and how its answers are measured."""

# B batch, S source steps, T target steps, K hypotheses, N rows of a decoding loop

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from seqapps.recipes.translate import sentences_graph
from seqapps.recipes.translate.examples import (
    VALIDATION_TOKENS,
    PairExamples,
    longest_source,
    memory_in,
    tokenizers,
)
from seqapps.recipes.translate.memory_graph import GraphMemory
from seqapps.text.graph_part import graph_part
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


_TOGETHER = 64
"""Parts of lines that are translated at once, at least."""


class _Found(NamedTuple):
    """Translations of parts."""

    texts_PK: Any
    """string, (parts, K), best first; empty where there is none."""
    scores_PK: Any
    """float32, (parts, K); -inf where there is none."""
    cut_P: Any
    """int32, (parts,): 1 where the best came to its limit before its end."""
    remembered_P: Any
    """int32, (parts,): 1 where the best is a training line's translation."""


def _in_first(values_B: Any, slots: Any, blank: Any) -> Any:
    """Values in the first of K slots, (B, K)."""
    return tf.where(tf.range(slots) == 0, values_B[:, tf.newaxis], blank)


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
        # Pieces and EOS of strings, (B,), and how many these are.
        self._pieces = graph_part(
            lambda texts_B: self._source.encode(texts_B, bos=False, eos=True),
            tf.TensorSpec([None], tf.string),
        )
        self._longest = longest_source(assets)
        memory = memory_in(assets)
        self._memory = GraphMemory(memory) if memory else None

    def __call__(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Translates a batch.

        A line of more pieces than nearly all of training had is translated in parts, see
        `sentences`. It has one alternative, whose score is the sum of its parts'. When drawn, part
        n has the row's seed and n, the first being 0. A part that is nearly a training line has
        that line's translation, with a score of 0, if there is a memory and it is not drawn.

        Args:
            inputs: `source`: string, (B,).
            options: Strategy values, (B,) or (1,) each. Rows with a temperature above 0 are
                drawn; the others are searched.

        Returns:
            `translation` string (B,), `score` float32 (B,), `sentences` int32 (B,) (parts),
            `truncated` int32 (B,) (1 where a part came to its limit before its end), `remembered`
            int32 (B,) (parts with a training line's translation),
            `alternatives` string (B, K), `alternative_scores` float32 (B, K), best first, and their
            `_lengths` int32 (B,).
        """
        texts_B = inputs["source"]
        batch = tf.size(texts_B)
        ids, lengths = self._pieces(texts_B)
        rows_P = tf.range(batch)
        if self._longest:
            ids, lengths, rows_P = tf.cond(
                # Lengths count EOS, pieces do not.
                tf.reduce_any(lengths - 1 > self._longest),
                lambda: self._in_parts(texts_B),
                lambda: (ids, lengths, rows_P),
            )
        parts_B = tf.math.unsorted_segment_sum(tf.ones_like(rows_P), rows_P, batch)
        first_B = tf.cumsum(parts_B, exclusive=True)
        options = {
            name: tf.gather(tf.broadcast_to(value, [batch]), rows_P)
            for name, value in options.items()
        }
        number_P = tf.range(tf.size(rows_P)) - tf.gather(first_B, rows_P)
        options["seed"] += tf.cast(number_P, options["seed"].dtype)
        found = self._portions(ids, lengths, options, batch)
        whole_B1 = parts_B[:, tf.newaxis] == 1
        slots = tf.shape(found.texts_PK)[1]
        joined_B = sentences_graph.join(found.texts_PK[:, 0], rows_P, batch)
        score_B = tf.math.unsorted_segment_sum(found.scores_PK[:, 0], rows_P, batch)
        texts_BK = tf.where(
            whole_B1,
            tf.gather(found.texts_PK, first_B),
            _in_first(joined_B, slots, ""),
        )
        scores_BK = tf.where(
            whole_B1,
            tf.gather(found.scores_PK, first_B),
            _in_first(score_B, slots, float("-inf")),
        )
        kept_B = tf.reduce_sum(tf.cast(tf.math.is_finite(scores_BK), tf.int32), 1)
        return {
            "translation": texts_BK[:, 0],
            "score": scores_BK[:, 0],
            "sentences": parts_B,
            "truncated": tf.math.unsorted_segment_max(found.cut_P, rows_P, batch),
            "remembered": tf.math.unsorted_segment_sum(found.remembered_P, rows_P, batch),
            "alternatives": texts_BK,
            "alternatives_lengths": kept_B,
            "alternative_scores": scores_BK,
            "alternative_scores_lengths": kept_B,
        }

    def _in_parts(self, texts_B: Any) -> tuple[Any, Any, Any]:
        """Tokens of parts, their lengths, and the row to which each part belongs."""

        def count(texts: Any) -> Any:
            return self._pieces(texts)[1] - 1

        texts_P, rows_P = sentences_graph.parts(texts_B, count, self._longest)
        return *self._pieces(texts_P), rows_P

    def _portions(self, ids: Any, lengths: Any, options: dict[str, Any], batch: Any) -> "_Found":
        """Translates parts, so many at once as there are rows, or `_TOGETHER` if these are fewer.

        So the memory of one long line does not grow with its length.
        """
        most_P = tf.clip_by_value(options["n_best"], 1, tf.maximum(options["beam_width"], 1))
        slots = tf.maximum(tf.reduce_max(tf.where(options["temperature"] > 0.0, 1, most_P)), 1)
        size = tf.maximum(batch, _TOGETHER)

        def portion(start: Any, found: _Found) -> tuple[Any, _Found]:
            rows = slice(start, start + size)
            each = {name: value[rows] for name, value in options.items()}
            # Shorter parts among themselves need not be padded to the longest of all.
            width = tf.reduce_max(tf.concat([[0], lengths[rows]], 0))
            more = self._translated(ids[rows, :width], lengths[rows], each)
            extra = [[0, 0], [0, slots - tf.shape(more.scores_PK)[1]]]
            return start + size, _Found(
                texts_PK=tf.concat([found.texts_PK, tf.pad(more.texts_PK, extra)], 0),
                scores_PK=tf.concat(
                    [
                        found.scores_PK,
                        tf.pad(more.scores_PK, extra, constant_values=float("-inf")),
                    ],
                    0,
                ),
                cut_P=tf.concat([found.cut_P, more.cut_P], 0),
                remembered_P=tf.concat([found.remembered_P, more.remembered_P], 0),
            )

        none = tf.zeros([0], tf.int32)
        nothing = _Found(tf.fill([0, slots], ""), tf.zeros([0, slots]), none, none)
        matrix, row = tf.TensorShape([None, None]), tf.TensorShape([None])
        _, found = tf.while_loop(
            # Once at least: no rows have an answer too.
            lambda start, _: start < tf.maximum(tf.size(lengths), 1),
            portion,
            (tf.constant(0), nothing),
            shape_invariants=(tf.TensorShape([]), _Found(matrix, matrix, row, row)),
            parallel_iterations=1,
        )
        return found

    def _translated(self, source: Any, lengths: Any, options: dict[str, Any]) -> "_Found":
        """Translates some parts."""
        # No rows have no steps either, and a recurrent layer needs one.
        source = tf.pad(source, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(source)[1])]])
        state, memory = translator.encode(self._network, source, lengths)
        drawn_B = options["temperature"] > 0.0
        searched = self._search(state, memory, lengths, options, drawn_B)
        hypotheses = tf.cond(
            tf.reduce_any(drawn_B),
            lambda: self._draw(state, memory, lengths, options, drawn_B, searched),
            lambda: searched,
        )
        limits = _limits(lengths)
        # One that ended has its EOS within the limit, so it is shorter.
        cut = (hypotheses.lengths[:, 0] == limits) & (limits > 0)
        texts_PK = self._target.decode(hypotheses.tokens, hypotheses.lengths)
        if self._memory is None:
            no = tf.zeros_like(lengths)
            return _Found(texts_PK, hypotheses.scores, tf.cast(cut, tf.int32), no)
        known_P, near_P = self._memory.recall(source, lengths)
        near_P &= ~drawn_B & (limits > 0)
        first_PK = near_P[:, tf.newaxis] & (tf.range(tf.shape(texts_PK)[1]) == 0)
        return _Found(
            tf.where(first_PK, known_P[:, tf.newaxis], texts_PK),
            tf.where(first_PK, 0.0, hypotheses.scores),
            tf.cast(cut & ~near_P, tf.int32),
            tf.cast(near_P, tf.int32),
        )

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
