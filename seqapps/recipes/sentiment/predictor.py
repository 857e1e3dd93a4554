"""Classification of texts without TensorFlow."""

import json
from typing import Any

import numpy as np

from seqapps.portable.runtime.base import ROWS, Predictor, padded
from seqapps.portable.runtime.pieces import BOS, EOS, Pieces


class SentimentPredictor(Predictor):
    """A text in; its label, and the probabilities of all classes."""

    further = ("explain",)

    def open(self) -> None:
        """Reads network, tokenizer and classes."""
        self._classify = self.network("classify")
        self._pieces = Pieces(self.asset("text.model"))
        self._apart = self.settings.get("apart", "words")
        self._classes: list[str] = json.loads(self.asset("classes.json"))

    def _cut(self, ids: Any) -> list[int]:
        """The part of a long text that is read."""
        most, head = self.settings["most"], self.settings["head"]
        return [*ids] if len(ids) <= most else [*ids[:head], *ids[len(ids) - (most - head) :]]

    def _logits(self, rows: list[list[int]]) -> Any:
        tokens, lengths = padded(rows)
        return self._classify({"tokens": tokens, "tokens_lengths": lengths})["logits"]

    def explain(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Leaves out one word after another, and sees how the answer changes."""
        answers = []
        for text, ids in zip(rows, self._pieces.encode(rows), strict=True):
            words, places = self._pieces.units(text, ids, apart=self._apart)
            ids, numbers = self._cut(ids), self._cut(places)
            logits = self._logits([[BOS, *ids, EOS]])
            label = int(logits[0].argmax())
            odds = _log_odds(logits, label)[0]
            importance = [0.0] * len(words)
            read = sorted({number for number in numbers if number >= 0})
            for start in range(0, len(read), ROWS):
                some = read[start : start + ROWS]
                without = [
                    [BOS, *(i for i, n in zip(ids, numbers, strict=True) if n != word), EOS]
                    for word in some
                ]
                drops = odds - _log_odds(self._logits(without), label)
                for word, lost in zip(some, drops, strict=True):
                    importance[word] = float(lost)
            answers.append(
                {
                    "label": self._classes[label],
                    "probability": float(_shares(logits)[0, label]),
                    "words": words,
                    "importance": importance,
                }
            )
        return answers

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Classifies a batch of texts."""
        read = self._pieces.encode(rows)
        kept = [self._cut(ids) for ids in read]
        shares = _shares(self._logits([[BOS, *ids, EOS] for ids in kept]))
        order = np.argsort(-shares, axis=1, kind="stable")
        return [
            {
                "label": self._classes[places[0]],
                "probabilities": [float(share) for share in row[places]],
                "classes": [self._classes[place] for place in places],
                "truncated": int(len(ids) > self.settings["most"]),
            }
            for ids, row, places in zip(read, shares, order, strict=True)
        ]


def _shares(logits: Any) -> Any:
    """Probabilities of the classes."""
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def _log_odds(logits: Any, label: int) -> Any:
    """Log-odds of one class of each row, bounded softly."""
    others = np.delete(logits, label, 1)
    largest = others.max(1)
    rest = largest + np.log(np.exp(others - largest[:, None]).sum(1))
    return np.float32(20) * np.tanh((logits[:, label] - rest) / np.float32(20))
