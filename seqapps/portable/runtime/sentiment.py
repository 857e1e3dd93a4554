"""Classification of texts without TensorFlow."""

import json
from typing import Any

import numpy as np

from seqapps.portable.runtime.base import Predictor, padded
from seqapps.portable.runtime.pieces import BOS, EOS, Pieces


class SentimentPredictor(Predictor):
    """A text in; its label, and the probabilities of all classes."""

    def open(self) -> None:
        """Reads network, tokenizer and classes."""
        self._classify = self.network("classify")
        self._pieces = Pieces(self.asset("text.model"))
        self._classes: list[str] = json.loads(self.asset("classes.json"))

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Classifies a batch of texts."""
        most, head = self.settings["most"], self.settings["head"]
        kept = [
            ids if len(ids) <= most else [*ids[:head], *ids[len(ids) - (most - head) :]]
            for ids in self._pieces.encode(rows)
        ]
        tokens, lengths = padded([[BOS, *ids, EOS] for ids in kept])
        logits = self._classify({"tokens": tokens, "tokens_lengths": lengths})["logits"]
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        order = np.argsort(-shares, axis=1, kind="stable")
        return [
            {
                "label": self._classes[places[0]],
                "probabilities": [float(share) for share in row[places]],
                "classes": [self._classes[place] for place in places],
            }
            for row, places in zip(shares, order, strict=True)
        ]
