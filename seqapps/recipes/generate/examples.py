"""Running text as token numbers in continuous streams: what a language model learns from."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from seqapps.data.pipeline import Batches
from seqapps.data.stream import stream_batches, stream_length, windows
from seqapps.errors import UserError
from seqapps.recipes.generate.data import Documents, TextSplits, load_text
from seqapps.recipes.generate.settings import Config
from seqapps.text.ngram import NGram
from seqapps.text.settings import RunningText
from seqapps.text.vocabulary import UNKNOWN, Ids, Vocabulary

_VALIDATION_STREAMS = 16
"""Rows in which the validation text is read after each pass; the final measure reads it in one."""
_VALIDATION_WINDOW = 256
_SAMPLES = 12
_FEW = 200
"""Bytes that stand for an example where there are to be few."""
_ORDERS = range(2, 11)
_TAIL = 0.1
"""Share of the training text on which the order of n-grams is chosen, from its end, where no other
text is there to choose on."""
_COUNTED = 2_000_000
"""Training tokens, the last ones, whose n-grams are counted: of a larger text the tables would fill
the memory."""
_NEW = 0.001
"""Share of characters that occur once, from which on a text is one that new characters come in."""
_AS_GOOD = 1.003
"""How much worse than the best a shorter n-gram model may be: its table is half as large."""
_NODES = 4_000_000
"""N-grams of all lengths in a table that travels with a network, at most: some 100 MB."""


@dataclass(frozen=True)
class RunningExamples:
    """The text of each split, as tokens."""

    splits: TextSplits
    """The documents."""
    vocabulary: Vocabulary
    """Fitted on the training text."""
    text: RunningText
    """Kind of tokens, and windows."""
    streams: int
    """Rows of a training batch."""
    seed: int
    """Of windows and of where the streams begin."""
    missing: str = ""
    """Why there is no training text, where one is not needed."""

    @classmethod
    def load(
        cls,
        config: Config,
        assets: Mapping[str, bytes] | None,
        log: Callable[[str], None],
    ) -> "RunningExamples":
        """Reads the text; fits the vocabulary on the training split unless `assets` has one.

        With `assets` and a test text of its own, the training text may be gone, to measure alone:
        then `training_pass` raises what is wrong with it.

        Raises:
            UserError: If the text cannot be used, see `load_text`, or is too short.
        """
        known = None if assets is None else Vocabulary.from_assets(assets)
        text = config.text
        kind = known.kind if known else text.kind
        splits, missing = load_text(
            config.data, log=log, utf8=kind != "bytes", test_alone=known is not None
        )
        vocabulary = known or Vocabulary.fit(kind, splits.train.texts, size=text.vocabulary)
        streams = max(1, config.training.batch_tokens // text.window)
        examples = cls(
            splits=splits,
            vocabulary=vocabulary,
            text=text,
            streams=streams,
            seed=config.seed,
            missing=missing,
        )
        if missing:
            return examples
        log(
            f"Vocabulary: {vocabulary.size:,} {vocabulary.kind}; {len(examples.training):,} "
            f"training and {len(examples.validation):,} validation tokens"
        )
        if len(examples.training) <= 2 * streams:
            raise UserError(
                f"a training text of {len(examples.training):,} tokens is too short for "
                f"{streams} streams; give more text, or lower --training.batch_tokens."
            )
        unknown = int((examples.validation == UNKNOWN).sum()) if kind == "characters" else 0
        if unknown:
            log(f"{unknown:,} validation characters were never seen in training")
        return examples

    @property
    def assets(self) -> dict[str, bytes]:
        """The vocabulary."""
        return self.vocabulary.assets

    @property
    def rows(self) -> dict[str, Iterable[tuple[bytes]]]:
        """The documents of each split."""
        return {
            split: zip(part.texts, strict=True) for split, part in self.splits._asdict().items()
        }

    @property
    def samples(self) -> list[str]:
        """Beginnings of validation lines, for the certificate."""
        documents = self.splits.validation if self.splits.validation.texts else self.splits.test
        text = documents.texts[0][:100_000].decode("utf-8", "replace")
        lines = [line[:60] for line in text.splitlines() if line.strip()]
        return lines[:: max(1, len(lines) // _SAMPLES)][:_SAMPLES]

    @cached_property
    def training(self) -> Ids:
        """All tokens of the training text, (tokens,)."""
        return self.vocabulary.stream(self.splits.train.texts)

    @cached_property
    def validation(self) -> Ids:
        """All tokens of the validation text, (tokens,)."""
        return self.vocabulary.stream(self.splits.validation.texts)

    @cached_property
    def test(self) -> Ids:
        """All tokens of the text that is reported on, (tokens,)."""
        if self.splits.test is self.splits.validation:
            return self.validation
        return self.vocabulary.stream(self.splits.test.texts)

    @property
    def counted(self) -> Ids:
        """The training tokens whose n-grams are counted, the last two million, (tokens,)."""
        return self.training[-_COUNTED:]

    @property
    def head_and_tail(self) -> tuple[Ids, Ids]:
        """The same in two: nine tenths, and the last tenth to choose by."""
        cut = int(len(self.counted) * (1.0 - _TAIL))
        return self.counted[:cut], self.counted[cut:]

    @cached_property
    def ngram_orders(self) -> dict[int, float]:
        """Loss of n-gram models by their order, in nats, on a text that is not reported on.

        That is the validation text where another one is reported on, else the last tenth of the
        training text. Orders go from 2 to 10, or to the first that is worse than the one before.
        """
        head, tail = self.head_and_tail
        if self.splits.test is not self.splits.validation and len(self.validation) > 1:
            head, tail = self.counted, self.validation
        found: dict[int, float] = {}
        for order in _ORDERS:
            model = NGram.fit([head], order=order, vocabulary=self.vocabulary.size)
            # The first token, a mark, is given.
            found[order] = -float(model.log_probs(tail)[1:].sum())
            if found[order] > min(found.values()):
                break
        return found

    @property
    def unreported(self) -> Ids:
        """Validation tokens to choose by: half of them where all are reported on."""
        if self.splits.test is not self.splits.validation:
            return self.validation
        return self.validation[: len(self.validation) // 2 + 1]

    def ngrams(self, most: int) -> NGram:
        """The n-grams of the training text, of the best order or a shorter one as good.

        Args:
            most: Tokens of the longest, at most; fewer where the table would be larger than 100 MB.
        """
        orders = {order: loss for order, loss in self.ngram_orders.items() if order <= most}
        enough = min(orders.values(), default=0.0) * _AS_GOOD
        order = next((order for order, loss in orders.items() if loss <= enough), most)
        while True:
            model = NGram.fit([self.counted], order=order, vocabulary=self.vocabulary.size)
            if len(model.keys) <= _NODES or order == 1:
                return model
            order -= 1

    def training_pass(self, epoch: int) -> Batches:
        """The batches of pass `epoch`: a function of the seed and the epoch alone.

        Raises:
            UserError: If there is no training text.
        """
        if self.missing:
            raise UserError(self.missing)
        rng = np.random.default_rng([self.seed, epoch])
        # Another beginning in each pass, so that other places are cut by the ends of streams.
        ids = np.roll(self._unknowns(epoch)[:-1], -int(rng.integers(len(self.training) - 1)))
        # The text is a ring: a mark stands at its end and at its beginning.
        ids = np.append(ids, ids[:1])
        length = stream_length(len(ids), self.streams)
        bounds = windows(length, window=self.text.window, varied=self.text.varied, rng=rng)
        return Batches(
            dataset=lambda skip: stream_batches(ids, bounds, streams=self.streams, skip=skip),
            tokens=self.streams * np.diff(bounds),
            padding=0.0,
        )

    def _unknowns(self, epoch: int) -> Ids:
        """The training text of a pass, in which some characters are unknown.

        In a text of thousands of different characters new ones keep coming, about as often as the
        ones of the text that occur only once (Good 1953). Every other one of these is unknown in a
        pass, so that a network learns when to expect a new one.
        """
        counts = np.bincount(self.training, minlength=self.vocabulary.size)
        once = counts[self.training] == 1
        if self.vocabulary.kind != "characters" or once.mean() < _NEW:
            return self.training
        rng = np.random.default_rng([self.seed, epoch, UNKNOWN])
        hidden = once & (rng.random(len(once)) < 0.5)
        return np.where(hidden, np.int32(UNKNOWN), self.training)

    def validation_batches(self) -> tf.data.Dataset:
        """The validation text in a few streams, whose states are carried from window to window."""
        streams = max(1, min(_VALIDATION_STREAMS, (len(self.validation) - 1) // 512))
        length = stream_length(len(self.validation), streams)
        bounds = windows(
            length, window=_VALIDATION_WINDOW, varied=False, rng=np.random.default_rng(0)
        )
        return stream_batches(self.validation, bounds, streams=streams)

    def few(self, most: int) -> "tuple[RunningExamples, int]":
        """The same with the beginning of the text to measure on; it is measured in one piece."""

        def begun(documents: Documents) -> Documents:
            text = b"\n".join(documents.texts)[: _FEW * most]
            return Documents([text.decode("utf-8", "ignore").encode()])

        splits = self.splits
        validation = begun(splits.validation)
        test = validation if splits.test is splits.validation else begun(splits.test)
        return replace(self, splits=splits._replace(validation=validation, test=test)), 0

    def bits_per_character(self, loss: float) -> float:
        """Of the validation text, from its loss per token in nats."""
        characters = max(1, self.splits.validation.characters)
        return loss * (len(self.validation) - 1) / characters / math.log(2)
