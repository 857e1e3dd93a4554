"""Sentence pairs as token numbers in batches: what a translator learns from."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.batching import evaluation_batches, padding_share, token_batches
from seqapps.data.pipeline import Batches, batches
from seqapps.data.splits import fewer
from seqapps.fields import damaged_asset
from seqapps.recipes.translate.data import Pairs, PairSplits, load_pairs
from seqapps.recipes.translate.memory import Memory
from seqapps.recipes.translate.settings import Config
from seqapps.text.tokenizer import BOS, EOS, Tokenizer, tokenizer_in

Columns = dict[str, list[npt.NDArray[np.int32]]]

VALIDATION_TOKENS = 4096
"""Budget of a batch that is not trained on."""

_SOURCE, _TARGET, _LENGTHS = "source.model", "target.model", "lengths.json"
MEMORY = "memory.npz"
_SHOWN = 0.999
"""Share of the training sources that is as long as what need not be cut, or shorter."""
_CUTS = 16
"""Likeliest ways to cut a word, of which subword regularisation draws one."""


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
        config: Config,
        assets: Mapping[str, bytes] | None,
        log: Callable[[str], None],
    ) -> "PairExamples":
        """Reads the pairs; fits the tokenizers on the training split unless `assets` hold them.

        Raises:
            UserError: If the data cannot be used, see `load_pairs`.
        """
        pairs = load_pairs(config.data, seed=config.seed, log=log)
        vocabulary = config.text.vocabulary
        if assets is not None:
            source, target = tokenizers(assets)
        elif config.model.joint:
            lines = [*pairs.train.sources, *pairs.train.targets]
            source = target = Tokenizer.train(lines, vocabulary=vocabulary)
        else:
            source = Tokenizer.train(pairs.train.sources, vocabulary=vocabulary)
            target = Tokenizer.train(pairs.train.targets, vocabulary=vocabulary)
        log(f"Vocabulary: {source.size:,} source and {target.size:,} target pieces")
        return cls(
            pairs=pairs,
            source=source,
            target=target,
            sampling=config.text.sampling,
            batch_tokens=config.training.batch_tokens,
            seed=config.seed,
        )

    @property
    def assets(self) -> dict[str, bytes]:
        """Both tokenizers, as sentencepiece model files; how long the sources were."""
        lengths = [len(ids) - 1 for ids in self._training["source"]]
        # A few overlong lines do not show how to translate such.
        longest = int(np.quantile(lengths, _SHOWN, method="higher"))
        return {
            _SOURCE: self.source.proto,
            _TARGET: self.target.proto,
            _LENGTHS: json.dumps({"longest_source": longest}).encode(),
        }

    @property
    def rows(self) -> dict[str, Iterable[tuple[str, str]]]:
        """The pairs of each split."""
        return {
            split: zip(part.sources, part.targets, strict=True)
            for split, part in self.pairs._asdict().items()
        }

    @property
    def samples(self) -> list[str]:
        """Validation sources, for the certificate."""
        return self.pairs.validation.sources[:50]

    def training_pass(self, epoch: int) -> Batches:
        """The batches of pass `epoch`: a function of the seed and the epoch alone."""
        columns = self._sampled(epoch) if self.sampling else self._training
        lengths_N2 = _lengths(columns)
        order = token_batches(lengths_N2, tokens=self.batch_tokens, seed=self.seed, epoch=epoch)
        return Batches(
            dataset=lambda skip: batches(columns, order, skip=skip),
            tokens=np.array([lengths_N2[rows, 1].sum() for rows in order]),
            padding=padding_share(lengths_N2, order),
        )

    def validation_batches(self) -> tf.data.Dataset:
        """The validation pairs, from short to long."""
        columns = self.encoded_validation
        order = evaluation_batches(_lengths(columns), tokens=VALIDATION_TOKENS)
        return batches(columns, order)

    def few(self, most: int) -> "tuple[PairExamples, int]":
        """The same with few pairs to measure on."""
        validation, test, left = fewer(self.pairs.validation, self.pairs.test, most)
        few = self.pairs._replace(validation=validation, test=test)
        return replace(self, pairs=few), left

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
            tokenizer.sample(texts, alpha=self.sampling, candidates=_CUTS, rng=rng)
            for tokenizer, texts in (
                (self.source, self.pairs.train.sources),
                (self.target, self.pairs.train.targets),
            )
        ]
        return _columns(*drawn)


def tokenizers(assets: Mapping[str, bytes]) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of source and target; one object where both are the same.

    Raises:
        UserError: If one is missing or damaged.
    """
    source = tokenizer_in(assets, _SOURCE)
    same = assets.get(_TARGET) == assets[_SOURCE]
    return source, source if same else tokenizer_in(assets, _TARGET)


def memory_in(assets: Mapping[str, bytes]) -> Memory | None:
    """What the bundle remembers of its training pairs, if it does.

    Raises:
        UserError: If it is damaged.
    """
    if MEMORY not in assets:
        return None
    try:
        return Memory(assets[MEMORY])
    except ValueError as error:
        raise damaged_asset(MEMORY, error) from error


def longest_source(assets: Mapping[str, bytes]) -> int:
    """Pieces of a line that is translated whole, at most; 0 for any, as in earlier bundles.

    Raises:
        UserError: If what says so is damaged.
    """
    if _LENGTHS not in assets:
        return 0
    try:
        return int(json.loads(assets[_LENGTHS])["longest_source"])
    except (ValueError, LookupError, TypeError) as error:
        raise damaged_asset(_LENGTHS, error) from error


def _columns(
    sources: Sequence[npt.NDArray[np.int32]], targets: Sequence[npt.NDArray[np.int32]]
) -> Columns:
    """Source with EOS; target behind BOS, which the decoder reads, and before EOS, its labels."""
    bos, eos = np.array([[BOS], [EOS]], np.int32)
    return {
        "source": [np.concatenate([ids, eos]) for ids in sources],
        "target": [np.concatenate([bos, ids]) for ids in targets],
        "labels": [np.concatenate([ids, eos]) for ids in targets],
    }


def _lengths(columns: Columns) -> npt.NDArray[np.int64]:
    """Tokens of each pair on both sides, (N, 2)."""
    return np.array([[len(ids) for ids in columns[name]] for name in ("source", "labels")]).T
