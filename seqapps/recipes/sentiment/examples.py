"""Labelled texts as token numbers in batches: what a text classifier learns from."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.batching import evaluation_batches, padding_share, token_batches
from seqapps.data.pipeline import Batches, batches
from seqapps.data.splits import fewer
from seqapps.fields import asset, damaged_asset
from seqapps.recipes.sentiment.data import LabelledSplits, Texts, class_weights, load_labelled
from seqapps.recipes.sentiment.settings import Config
from seqapps.text.cut import Cut
from seqapps.text.tokenizer import BOS, EOS, Tokenizer, tokenizer_in

Ids = npt.NDArray[np.int32]

_MODEL, _CLASSES = "text.model", "classes.json"
_VALIDATION_TOKENS = 16384
"""Budget of a batch that is not trained on."""
_PRETRAINING_VALIDATION = 60_000
"""Tokens by which a language model is judged: its loss over the whole vocabulary takes long."""
_NAMED = 5
"""New classes that are named."""
_CUTS = 8
"""Likeliest ways to cut a word, of which subword regularisation draws one."""


@dataclass(frozen=True)
class LabelledExamples:
    """Labelled texts, cut into pieces and put into batches."""

    splits: LabelledSplits
    """The texts."""
    tokenizer: Tokenizer
    """Fitted on the training texts."""
    classes: list[str]
    """Names of the classes; a class's number is its place."""
    cut: Cut
    """Which part of a long text is read."""
    sampling: float
    """Power of subword regularisation; 0 for none."""
    batch_tokens: int
    """Budget of a batch."""
    balance: bool
    """Whether each class counts the same in training."""
    seed: int
    """Of batches and of sampled cuts."""

    @classmethod
    def load(
        cls,
        config: Config,
        assets: Mapping[str, bytes] | None,
        log: Callable[[str], None],
    ) -> "LabelledExamples":
        """Reads the texts; fits tokenizer and classes on the training split unless `assets` do.

        Raises:
            UserError: If the data cannot be used, see `load_labelled`.
        """
        known = None if assets is None else classes_of(assets)
        splits = load_labelled(config.data, seed=config.seed, log=log, classes=known)
        if assets is None:
            tokenizer = Tokenizer.train(
                splits.train.texts,
                vocabulary=config.text.vocabulary,
                character_coverage=0.9998,
            )
        else:
            tokenizer = tokenizer_of(assets)
        log(f"Vocabulary: {tokenizer.size:,} pieces")
        examples = cls(
            splits=splits,
            tokenizer=tokenizer,
            classes=known or splits.classes,
            cut=config.text.cut,
            sampling=config.text.sampling,
            batch_tokens=config.training.batch_tokens,
            balance=config.balance,
            seed=config.seed,
        )
        examples._log_cut(log)
        return examples

    @property
    def assets(self) -> dict[str, bytes]:
        """The tokenizer, as a sentencepiece model file, and the names of the classes."""
        return {_MODEL: self.tokenizer.proto, _CLASSES: _named(self.classes)}

    @property
    def rows(self) -> dict[str, Iterable[tuple[str, str]]]:
        """The texts of each split with their labels."""
        return {
            split: zip(part.texts, part.labels, strict=True)
            for split, part in self.splits._asdict().items()
        }

    @property
    def samples(self) -> list[str]:
        """Validation texts, for the certificate."""
        return self.splits.validation.texts[:50]

    def labels_of(self, texts: Texts) -> npt.NDArray[np.int64]:
        """The numbers of the classes of some texts, (N,)."""
        number = {name: i for i, name in enumerate(self.classes)}
        return np.array([number[label] for label in texts.labels], np.int64)

    def training_pass(self, epoch: int) -> Batches:
        """The batches of pass `epoch`: a function of the seed and the epoch alone."""
        if self.sampling:
            rng = np.random.default_rng([self.seed, epoch])
            tokens = self.tokenizer.sample(
                self.splits.train.texts, alpha=self.sampling, candidates=_CUTS, rng=rng
            )
        else:
            tokens = self._training
        columns: dict[str, Any] = {
            "tokens": self._framed(tokens),
            "labels": self._label_column("train"),
            "weights": self._weights,
        }
        return _pass(columns, budget=self.batch_tokens, seed=self.seed, epoch=epoch)

    def validation_batches(self) -> tf.data.Dataset:
        """The validation texts, from short to long."""
        labels = self._label_column("validation")
        columns: dict[str, Any] = {
            "tokens": self.encoded_validation,
            "labels": labels,
            "weights": [np.ones(1, np.float32)] * len(labels),
        }
        lengths = [len(ids) for ids in self.encoded_validation]
        return batches(columns, evaluation_batches(lengths, tokens=_VALIDATION_TOKENS))

    def few(self, most: int) -> "tuple[LabelledExamples, int]":
        """The same with few texts to measure on."""
        validation, test, left = fewer(self.splits.validation, self.splits.test, most)
        few = self.splits._replace(validation=validation, test=test)
        return replace(self, splits=few), left

    @cached_property
    def encoded_validation(self) -> list[Ids]:
        """The validation texts as token numbers."""
        return self.encoded(self.splits.validation.texts)

    @property
    def encoded_training(self) -> list[Ids]:
        """The training texts as token numbers, each word cut the likeliest way."""
        return self._framed(self._training)

    def encoded(self, texts: Sequence[str]) -> list[Ids]:
        """Any texts as token numbers."""
        return self._framed(self.tokenizer.encode(texts))

    def unlabelled(self, *, batch_tokens: int) -> "UnlabelledExamples":
        """The same texts without labels and uncut, to learn the language from."""
        return UnlabelledExamples(
            training=_windows(self._training, self.cut.most),
            validation=_first(
                _windows(self.tokenizer.encode(self.splits.validation.texts), self.cut.most)
            ),
            vocabulary=self.tokenizer.size,
            batch_tokens=batch_tokens,
            seed=self.seed,
        )

    @cached_property
    def _training(self) -> list[Ids]:
        return self.tokenizer.encode(self.splits.train.texts)

    def _framed(self, tokens: Sequence[Ids]) -> list[Ids]:
        return [_frame(self.cut(ids)) for ids in tokens]

    def _label_column(self, split: str) -> list[Ids]:
        texts: Texts = getattr(self.splits, split)
        return list(self.labels_of(texts).astype(np.int32)[:, np.newaxis])

    @cached_property
    def _weights(self) -> list[npt.NDArray[np.float32]]:
        labels = self.splits.train.labels
        if not self.balance:
            return [np.ones(1, np.float32)] * len(labels)
        weights = dict(zip(self.classes, class_weights(labels, self.classes), strict=True))
        return [np.array([weights[label]], np.float32) for label in labels]

    def _log_cut(self, log: Callable[[str], None]) -> None:
        lengths = np.array([len(ids) for ids in self._training])
        long = lengths > self.cut.most
        lost = np.maximum(lengths - self.cut.most, 0).sum() / max(1, lengths.sum())
        log(
            f"Training texts have {np.median(lengths):.0f} pieces in the median; {long.mean():.1%} "
            f"have more than {self.cut.most} and are cut ({self.cut.keep} kept), {lost:.1%} of all "
            "pieces"
        )


@dataclass(frozen=True)
class UnlabelledExamples:
    """Texts as token numbers, for language modelling; long ones are several windows."""

    training: list[Ids]
    validation: list[Ids]
    vocabulary: int
    batch_tokens: int
    seed: int

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """How often each token occurs in training, and one more, (vocabulary,)."""
        flat = np.concatenate(self.training)
        return np.bincount(flat, minlength=self.vocabulary).astype(np.float64) + 1.0

    def training_pass(self, epoch: int) -> Batches:
        """The batches of pass `epoch`: a function of the seed and the epoch alone."""
        columns = {"tokens": self.training}
        return _pass(columns, budget=self.batch_tokens, seed=self.seed, epoch=epoch)

    def validation_batches(self) -> tf.data.Dataset:
        """The validation windows, from short to long."""
        lengths = [len(ids) for ids in self.validation]
        order = evaluation_batches(lengths, tokens=self.batch_tokens)
        return batches({"tokens": self.validation}, order)


def tokenizer_of(assets: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer among the files that travel with a classifier.

    Raises:
        UserError: If it is missing or damaged.
    """
    return tokenizer_in(assets, _MODEL)


def classes_of(assets: Mapping[str, bytes]) -> list[str]:
    """The names of the classes among the files that travel with a classifier.

    Raises:
        UserError: If they are missing or damaged.
    """
    try:
        names = json.loads(asset(assets, _CLASSES))
    except ValueError as error:
        raise damaged_asset(_CLASSES, error) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise damaged_asset(_CLASSES, "it must be a list of names")
    return names


def adopt(
    config: Config, assets: Mapping[str, bytes], log: Callable[[str], None]
) -> tuple[Mapping[str, bytes], str]:
    """The files of a classifier that is trained further, with the classes of the new texts.

    Returns:
        The same files if it knows all classes of the training data, and no words; else with those
        classes in place of its own, and words that say so.

    Raises:
        UserError: If the files are damaged, or the texts cannot be used.
    """
    known = classes_of(assets)
    classes = load_labelled(config.data, seed=config.seed, log=lambda _: None).classes
    new = [name for name in classes if name not in known]
    if not new:
        return assets, ""
    said = ", ".join(map(repr, new[:_NAMED])) + (" ..." if len(new) > _NAMED else "")
    return {**assets, _CLASSES: _named(classes)}, (
        f"The classes are the {len(classes)} of the training data, of which the bundle that it "
        f"began with does not know {said}: it keeps what that one learned of reading, and learns "
        "anew how to choose among them."
    )


def _named(classes: Sequence[str]) -> bytes:
    return json.dumps(list(classes), ensure_ascii=False).encode()


def _frame(ids: Ids) -> Ids:
    return np.concatenate([[BOS], ids, [EOS]]).astype(np.int32)


def _windows(tokens: Sequence[Ids], most: int) -> list[Ids]:
    """Cuts framed texts into windows of about equal length, none longer than `most` and two."""
    windows: list[Ids] = []
    for ids in map(_frame, tokens):
        windows.extend(np.array_split(ids, -(-len(ids) // (most + 2))))
    return windows


def _first(windows: list[Ids]) -> list[Ids]:
    """As many windows from the front as judge a language model."""
    ends = np.cumsum([len(window) for window in windows])
    return windows[: max(1, int(np.searchsorted(ends, _PRETRAINING_VALIDATION)))]


def _pass(columns: Mapping[str, Any], *, budget: int, seed: int, epoch: int) -> Batches:
    """One pass over examples whose length is that of their tokens."""
    lengths = np.array([len(ids) for ids in columns["tokens"]])
    order = token_batches(lengths, tokens=budget, seed=seed, epoch=epoch)
    return Batches(
        dataset=lambda skip: batches(columns, order, skip=skip),
        tokens=np.array([lengths[rows].sum() for rows in order]),
        padding=padding_share(lengths, order),
    )
