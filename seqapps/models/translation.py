"""Sentence pairs as batches, and a trained translator as a function of strings."""

# B batch, S source steps, T target steps, K hypotheses, N rows of a decoding loop

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.batching import evaluation_batches, padding_share, token_batches
from seqapps.data.pairs import PairData, Pairs, PairSplits, load_pairs
from seqapps.data.pipeline import batches
from seqapps.decoding.beam import beam_search
from seqapps.decoding.loop import Hypotheses
from seqapps.decoding.sampling import greedy, sample
from seqapps.models import translator
from seqapps.text.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer
from seqapps.text.tokenizer_graph import GraphTokenizer

NEVER = (PAD, UNKNOWN, BOS)
"""Tokens that no translation holds."""

Columns = dict[str, list[npt.NDArray[np.int32]]]

_SOURCE, _TARGET = "source.model", "target.model"
_VALIDATION_TOKENS = 4096


@dataclass(frozen=True)
class Batches:
    """One pass over the training pairs; what `training.loop.Pass` asks for."""

    dataset: Callable[[int], tf.data.Dataset]
    """`dataset(skip)`: the batches after the first `skip`."""
    tokens: npt.NDArray[np.int64]
    """Real target tokens of each batch."""
    padding: float
    """Share of all steps, source and target, that is padding."""


@dataclass(frozen=True)
class PairExamples:
    """Sentence pairs, cut into pieces and put into batches."""

    pairs: PairSplits
    """The sentences."""
    source: Tokenizer
    """Of the source language."""
    target: Tokenizer
    """Of the target language; the same object for a joint vocabulary."""
    sampling: float
    """Power of subword regularisation; 0 for none."""
    batch_tokens: int
    """Budget of a batch, on either side."""
    seed: int
    """Of batches and of sampled cuts."""

    @classmethod
    def load(
        cls,
        data: PairData,
        assets: Mapping[str, bytes] | None,
        *,
        vocabulary: int,
        joint: bool,
        sampling: float,
        batch_tokens: int,
        seed: int,
        log: Callable[[str], None],
    ) -> "PairExamples":
        """Reads the pairs; fits the tokenizers on the training split unless `assets` hold them.

        Raises:
            UserError: If the data cannot be used, see `load_pairs`.
        """
        pairs = load_pairs(data, seed=seed, log=log)
        if assets is not None:
            source, target = Tokenizer(assets[_SOURCE]), Tokenizer(assets[_TARGET])
        elif joint:
            lines = [*pairs.train.sources, *pairs.train.targets]
            source = target = Tokenizer.train(lines, vocabulary=vocabulary)
        else:
            source = Tokenizer.train(pairs.train.sources, vocabulary=vocabulary)
            target = Tokenizer.train(pairs.train.targets, vocabulary=vocabulary)
        log(f"Vocabulary: {source.size:,} source and {target.size:,} target pieces")
        return cls(pairs, source, target, sampling, batch_tokens, seed)

    @property
    def assets(self) -> dict[str, bytes]:
        """Both tokenizers, as sentencepiece model files."""
        return {_SOURCE: self.source.proto, _TARGET: self.target.proto}

    @property
    def samples(self) -> list[str]:
        """Validation sources, for the certificate."""
        return self.pairs.validation.sources[:50]

    def training_pass(self, epoch: int) -> Batches:
        """The batches of pass `epoch`: a function of the seed and the epoch alone."""
        columns = self._sampled(epoch) if self.sampling else self._training
        lengths_N2 = np.array(
            [[len(s), len(t)] for s, t in zip(columns["source"], columns["labels"], strict=True)]
        )
        order = token_batches(lengths_N2, tokens=self.batch_tokens, seed=self.seed, epoch=epoch)
        return Batches(
            dataset=lambda skip: batches(columns, order, skip=skip),
            tokens=np.array([lengths_N2[rows, 1].sum() for rows in order]),
            padding=padding_share(lengths_N2, order),
        )

    def validation_batches(self) -> tf.data.Dataset:
        """The validation pairs, from short to long."""
        columns = self.encoded_validation
        lengths_N2 = [
            [len(s), len(t)] for s, t in zip(columns["source"], columns["labels"], strict=True)
        ]
        return batches(columns, evaluation_batches(lengths_N2, tokens=_VALIDATION_TOKENS))

    @cached_property
    def encoded_validation(self) -> Columns:
        """The validation pairs as token numbers."""
        return self._encode(self.pairs.validation)

    @cached_property
    def _training(self) -> Columns:
        return self._encode(self.pairs.train)

    def _encode(self, pairs: Pairs) -> Columns:
        return _columns(self.source.encode(pairs.sources), self.target.encode(pairs.targets))

    def _sampled(self, epoch: int) -> Columns:
        rng = np.random.default_rng([self.seed, epoch])
        drawn = [
            tokenizer.sample(texts, alpha=self.sampling, candidates=16, rng=rng)
            for tokenizer, texts in (
                (self.source, self.pairs.train.sources),
                (self.target, self.pairs.train.targets),
            )
        ]
        return _columns(*drawn)


def _columns(
    sources: Sequence[npt.NDArray[np.int32]], targets: Sequence[npt.NDArray[np.int32]]
) -> Columns:
    """Source with EOS; target behind BOS, which the decoder reads, and before EOS, its labels."""
    return {
        "source": [np.append(ids, np.int32(EOS)) for ids in sources],
        "target": [np.insert(ids, 0, np.int32(BOS)) for ids in targets],
        "labels": [np.append(ids, np.int32(EOS)) for ids in targets],
    }


def _limits(lengths: Any) -> Any:
    """Tokens that a translation may have: twice those of its source, and ten."""
    return 2 * lengths + 10


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
        self._decode = tf.function(decode, input_signature=specs)

    def __call__(self, sources: Sequence[npt.NDArray[np.int32]]) -> list[str]:
        """Translates each source, given with its EOS."""
        order = evaluation_batches([len(ids) for ids in sources], tokens=_VALIDATION_TOKENS)
        found: list[npt.NDArray[np.int32]] = [np.zeros(0, np.int32)] * len(sources)
        for rows, batch in zip(order, batches({"source": sources}, order), strict=True):
            hypotheses = self._decode(batch["source"], batch["source_lengths"])
            tokens, lengths = hypotheses.tokens.numpy(), hypotheses.lengths.numpy()
            for place, row in enumerate(rows):
                found[row] = tokens[place, 0, : lengths[place, 0]]
        return self._target.decode(found)


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
        self._source = GraphTokenizer(Tokenizer(assets[_SOURCE]))
        self._target = GraphTokenizer(Tokenizer(assets[_TARGET]))

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
        batch = tf.shape(lengths)[0]
        options = {name: tf.broadcast_to(value, [batch]) for name, value in options.items()}
        state, memory = translator.encode(self._network, source, lengths)
        drawn_B = options["temperature"] > 0.0
        searched = self._search(state, memory, lengths, options, drawn_B)
        found = tf.cond(
            tf.reduce_any(drawn_B),
            lambda: self._draw(state, memory, lengths, options, drawn_B, searched),
            lambda: searched,
        )
        texts_BK = self._target.decode(found.tokens, found.lengths)
        kept_B = tf.reduce_sum(tf.cast(tf.math.is_finite(found.scores), tf.int32), 1)
        return {
            "translation": texts_BK[:, 0],
            "score": found.scores[:, 0],
            "alternatives": texts_BK,
            "alternatives_lengths": kept_B,
            "alternative_scores": found.scores,
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
    texts = GreedyTranslator(network, examples.target)(sources)
    targets = examples.target.encode(texts)
    look = translator.attention_weights(network)
    maps = []
    for source, target in zip(sources, targets, strict=True):
        shifted = np.insert(target, 0, np.int32(BOS))
        weights_1TS = look(
            {
                "source": tf.constant(source[None]),
                "source_lengths": tf.constant([len(source)], tf.int32),
                "target": tf.constant(shifted[None]),
                "target_lengths": tf.constant([len(shifted)], tf.int32),
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
