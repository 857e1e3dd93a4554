"""A SentencePiece unigram tokenizer: text to piece numbers and back, outside the graph."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece as spm

from seqapps.errors import UserError
from seqapps.fields import asset, damaged_asset
from seqapps.text.normalise import normalise
from seqapps.text.scripts import WORD_START

__all__ = ["BOS", "EOS", "PAD", "Tokenizer"]

PAD, UNKNOWN, BOS, EOS = 0, 1, 2, 3

# The library sums counts per thread, so another number of threads learns slightly other scores.
_TRAINING_THREADS = 16
# Bytes in a line. The library's default of 4,192 silently skips longer lines; this is its maximum.
_LONGEST_LINE = 1 << 30
# The trainer drops every line with this character, which it keeps for itself.
_RESERVED = "\u2585"
# Searching the n best segmentations of one endless "word" takes the library gigabytes.
_LONGEST_SAMPLED_WORD = 64

Ids = np.ndarray[Any, np.dtype[np.int32]]


class Tokenizer:
    """Text to piece numbers and back, through sentencepiece and `normalise`.

    The numbers 0 to 3 are `PAD`, `UNKNOWN`, `BOS` and `EOS`.

    Source: Kudo 2018, "Subword Regularization"; Kudo and Richardson 2018, "SentencePiece".
    """

    def __init__(self, proto: bytes) -> None:
        """Wraps a trained model.

        Args:
            proto: The serialised model, as `proto` and `save` give it.

        Raises:
            UserError: These bytes are not a model that `Tokenizer.train` could have made.
        """
        self.proto = proto
        try:
            if not proto:
                raise RuntimeError("no bytes")
            self._model = spm.SentencePieceProcessor(model_proto=proto)
        except RuntimeError as error:
            raise UserError(
                "A tokenizer must be a SentencePiece model; these bytes are none. "
                "Train one with Tokenizer.train."
            ) from error
        self.size: int = self._model.get_piece_size()
        self.pieces: list[str] = [self._model.id_to_piece(i) for i in range(self.size)]
        self.scores = np.array([self._model.get_score(i) for i in range(self.size)], np.float32)
        ids = tuple(
            getattr(self._model, name)() for name in ("pad_id", "unk_id", "bos_id", "eos_id")
        )
        if ids != (PAD, UNKNOWN, BOS, EOS):
            raise UserError(
                "A tokenizer must number pad, unknown, bos, eos as 0, 1, 2, 3; this SentencePiece "
                f"model numbers them {ids}. Train one with Tokenizer.train."
            )
        if WORD_START not in self.pieces or any(WORD_START in p[1:] for p in self.pieces):
            raise UserError(
                f"A tokenizer must have the piece {WORD_START} and keep its pieces within words; "
                f"this SentencePiece model of {self.size} pieces does not. "
                "Train one with Tokenizer.train."
            )
        self._candidates = _Candidates(self._model, self.scores)

    @classmethod
    def train(
        cls,
        lines: Iterable[str],
        *,
        vocabulary: int,
        seed: int = 0,
        character_coverage: float = 1.0,
    ) -> "Tokenizer":
        """Learns a vocabulary from text. The same arguments give the same bytes.

        Args:
            lines: Texts of any length; they are normalised first.
            vocabulary: Pieces wanted, the four special ones included. Text too poor for that many
                gives fewer.
            seed: Seed of the library's random generator.
            character_coverage: Share of all characters in the text that the vocabulary must
                cover; the rarest ones past it become unknown.

        Raises:
            UserError: No text at all, or more distinct characters than `vocabulary` has room for.
        """
        spm.set_random_generator_seed(seed)
        texts = (normalise(line.replace(_RESERVED, " ")) for line in lines)
        model = io.BytesIO()
        try:
            spm.SentencePieceTrainer.train(
                sentence_iterator=(text for text in texts if text),
                model_writer=model,
                model_type="unigram",
                vocab_size=vocabulary,
                hard_vocab_limit=False,
                character_coverage=character_coverage,
                normalization_rule_name="identity",
                max_sentence_length=_LONGEST_LINE,
                num_threads=_TRAINING_THREADS,
                pad_id=PAD,
                unk_id=UNKNOWN,
                bos_id=BOS,
                eos_id=EOS,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(
                f"A tokenizer needs text with fewer distinct characters than its vocabulary of "
                f"{vocabulary} has room for; enlarge the vocabulary, lower character_coverage "
                f"(now {character_coverage}) or give more text. SentencePiece says: {error}"
            ) from error
        return cls(model.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Reads the file that `save` wrote."""
        return cls(Path(path).read_bytes())

    def save(self, path: str | Path) -> None:
        """Writes the SentencePiece model file."""
        Path(path).write_bytes(self.proto)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Gives the most probable pieces of each text, normalised first, without BOS and EOS.

        Returns:
            One int32 array, (pieces,), per text; empty where nothing of the text remains.
        """
        rows = self._model.encode([normalise(text) for text in texts])
        return [np.array(row, np.int32) for row in rows]

    def decode(self, ids: Sequence[Sequence[int] | Ids]) -> list[str]:
        """Gives the text of each sequence of pieces, as sentencepiece does.

        PAD, BOS and EOS are silent; UNKNOWN reads ` ⁇ `.
        """
        return [self._model.decode(np.asarray(row, np.int64).tolist()) for row in ids]

    def sample(
        self,
        texts: Sequence[str],
        *,
        alpha: float,
        candidates: int,
        rng: np.random.Generator,
    ) -> list[Ids]:
        """Draws one segmentation per word at random: subword regularisation.

        Each word is cut in one of its `candidates` most probable ways, drawn with a probability
        proportional to p ** alpha. The candidates of a word are searched once and kept.

        Args:
            texts: Texts; they are normalised first.
            alpha: Sharpness: 0 draws evenly among the candidates, large values nearly always give
                the most probable one.
            candidates: Segmentations to draw from, at least 1.
            rng: Where the randomness comes from: one number is drawn per word.

        Returns:
            One int32 array, (pieces,), per text, without BOS and EOS.

        Source: Kudo 2018, section 3.2 (l-best approximation), applied word by word.
        """
        if candidates < 1:
            raise ValueError(
                f"candidates must be at least 1, got {candidates}; 1 always takes the best one."
            )
        return self._candidates.draw(texts, alpha=alpha, count=candidates, rng=rng)


def tokenizer_in(assets: Mapping[str, bytes], name: str) -> Tokenizer:
    """A tokenizer among the files that travel with a model.

    Raises:
        UserError: If it is missing or damaged.
    """
    content = asset(assets, name)
    try:
        return Tokenizer(content)
    except UserError as error:
        raise damaged_asset(name, str(error).partition(" Train one")[0].rstrip(".")) from error


class _Candidates:
    """The n best segmentations of every word met so far, laid out flat for fast drawing."""

    def __init__(self, model: Any, scores: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        self._model = model
        self._scores = scores
        # The library's score of an unknown character; UNKNOWN's own entry holds 0.
        self._unknown_score = float(scores[EOS + 1 :].min()) - 10.0
        self._count = 0
        self._numbers: dict[str, int] = {}
        self._cuts: list[list[list[int]]] = []
        self._laid_out: tuple[int, float] = (0, 0.0)

    def draw(
        self, texts: Sequence[str], *, alpha: float, count: int, rng: np.random.Generator
    ) -> list[Ids]:
        if count != self._count:
            self._count, self._numbers, self._cuts = count, {}, []
        rows = [
            np.array([self._number(word) for word in normalise(text).split()], np.int32)
            for text in texts
        ]
        words = np.concatenate([np.empty(0, np.int32), *rows])
        if not len(words):
            return rows
        if self._laid_out != (len(self._cuts), alpha):
            self._lay_out(alpha)
        # Each word's cumulative probabilities are lifted by the word's number, so that one search
        # finds the candidate of every word.
        chosen = np.searchsorted(self._cumulative, words + rng.random(len(words)), side="right")
        chosen = np.minimum(chosen, self._last[words])
        lengths = self._lengths[chosen]
        ends = np.cumsum(lengths)
        shift = np.repeat(self._starts[chosen] - (ends - lengths), lengths)
        pieces = self._pieces[np.arange(len(shift)) + shift]
        word_ends = np.cumsum([len(row) for row in rows])
        row_ends = np.concatenate([[0], ends])[word_ends]
        return np.split(pieces, row_ends[:-1])

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self._cuts)
            if len(word) > _LONGEST_SAMPLED_WORD or self._count == 1:
                self._cuts.append([self._model.encode(word)])
            else:
                self._cuts.append(self._model.nbest_encode_as_ids(word, self._count))
        return number

    def _lay_out(self, alpha: float) -> None:
        """Makes the flat arrays: pieces and span per candidate, probabilities per word."""
        flat = [candidate for cuts in self._cuts for candidate in cuts]
        self._lengths = np.array([len(candidate) for candidate in flat])
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._pieces = np.array([piece for candidate in flat for piece in candidate], np.int32)
        counts = np.array([len(cuts) for cuts in self._cuts])
        self._last = np.cumsum(counts) - 1
        owner = np.repeat(np.arange(len(counts)), counts)
        score = np.where(self._pieces == UNKNOWN, self._unknown_score, self._scores[self._pieces])
        logits = alpha * np.add.reduceat(score.astype(np.float64), self._starts)
        first = self._last - counts + 1
        weights = np.exp(logits - np.maximum.reduceat(logits, first)[owner])
        weights /= np.add.reduceat(weights, first)[owner]
        total = np.cumsum(weights)
        before = (total[first] - weights[first])[owner]
        self._cumulative = owner + np.minimum(total - before, 1.0)
        self._laid_out = (len(self._cuts), alpha)
