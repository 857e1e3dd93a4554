"""Speech recognition without TensorFlow."""

import json
from typing import Any

import numpy as np

from seqapps.portable.runtime.base import Predictor
from seqapps.portable.runtime.ctc import (
    IMPOSSIBLE,
    align,
    automaton,
    expected,
    prefix_beam_search,
    useful_steps,
)
from seqapps.portable.runtime.pieces import clean
from seqapps.portable.runtime.sound import (
    NOT_WAV,
    STATUSES,
    checked,
    parse_wav,
    power_spectra,
    resample,
)
from seqapps.text.lower_case import lowered


class TranscribePredictor(Predictor):
    """A recording in; what is said in it, and when, out."""

    budget = 1 << 23
    further = ("pcm",)

    def open(self) -> None:
        """Reads network, alphabet and language model."""
        self._hear = self.network("hear")
        table = json.loads(self.asset("alphabet.json"))
        self._symbols: list[str] = table["symbols"]
        self._lower: bool = table["lower"]
        self._written_in: str = table.get("language", "")
        self._language, self._weight, self._bonus = None, 0.0, 0.0
        if (self.folder / "assets" / "language.npz").is_file():
            self._language = automaton(self.asset("language.npz"), self._symbols.index(" "))
            weights = json.loads(self.asset("language.json"))
            self._weight, self._bonus = weights["language"], weights["bonus"]

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Transcribes a batch of WAV files."""
        return self._answer([parse_wav(row) for row in rows], options)

    def pcm(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Transcribes a batch of samples: dicts with `samples` and `rate_hz`."""
        read = [checked(row["samples"], int(row["rate_hz"])) for row in rows]
        one = np.ones(len(rows), np.int32)
        return [
            {name: value for name, value in answer.items() if not name.startswith("alternative")}
            for answer in self._answer(read, {**options, "n_best": one})
        ]

    def _answer(self, read: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        rate_hz = self.settings["sample_rate_hz"]
        samples = [resample(values, rate, rate_hz) for values, rate, _ in read]
        statuses = [status for _, _, status in read]
        power, frames = power_spectra(samples, self.settings)
        heard = self._hear({"power": power, "frames": frames})
        logits, steps = heard["logits"], heard["logits_lengths"]
        steps = np.where(np.array(statuses) >= NOT_WAV, 0, steps)
        largest = logits.max(2, keepdims=True)
        log_probs = logits - largest
        log_probs -= np.log(np.exp(log_probs).sum(2, keepdims=True))
        log_probs, steps, places = useful_steps(log_probs, steps)
        words = [[self._cleaned(word) for word in row] for row in options["hot_words"]]
        hot = None
        if any(any(row) for row in words):
            hot = expected(words, self._symbols, options["hot_word_weight"])
        asked = options["n_best"]
        language = options["language"].astype(np.float32)
        bonus = language * np.float32(self._bonus)
        labels, scores = prefix_beam_search(
            log_probs,
            steps,
            beam_width=np.maximum(options["beam_width"], asked),
            language=self._language,
            language_weight=language * np.float32(self._weight),
            label_bonus=bonus,
            hot=hot,
        )
        answers = []
        for row in range(len(read)):
            starts, ends, said = align(log_probs[row, : steps[row]], labels[row][0])
            starts = places[row][starts]
            ends = places[row][np.maximum(ends - 1, 0)] + 1
            seconds = float(np.float32(len(samples[row])) / np.float32(rate_hz))
            kept = [
                k
                for k in range(min(int(asked[row]), scores.shape[1]))
                if scores[row, k] > IMPOSSIBLE / 2
            ]
            answers.append(
                {
                    **self._words(labels[row][0], starts, ends, np.exp(said), seconds),
                    "status": STATUSES[statuses[row]],
                    "seconds": seconds,
                    "alternatives": [self._text(labels[row][k]) for k in kept],
                    "alternative_scores": [
                        float(scores[row, k] - bonus[row] * np.float32(len(labels[row][k])))
                        for k in kept
                    ],
                }
            )
        return answers

    def _cleaned(self, word: bytes | str) -> str:
        text = clean(word.decode("utf-8", "replace") if isinstance(word, bytes) else word)
        return lowered(text, self._written_in) if self._lower else text

    def _text(self, labels: list[int]) -> str:
        joined = "".join(self._symbols[label] for label in labels)
        return " ".join(word for word in joined.split(" ") if word)

    def _words(
        self, labels: list[int], starts: Any, ends: Any, said: Any, seconds: float
    ) -> dict[str, Any]:
        """Puts labels together to words."""
        words: list[list[int]] = []
        gap = True
        for place, label in enumerate(labels):
            symbol = self._symbols[label]
            gap |= " " in symbol
            if symbol.replace(" ", ""):
                if gap:
                    words.append([])
                words[-1].append(place)
                gap = False
        texts = self._text(labels).split(" ") if words else []
        confidences = [float(said[word].mean()) for word in words]
        return {
            "text": " ".join(texts),
            "confidence": float(said.mean()) if labels else 0.0,
            "words": texts,
            "starts": [self._time(starts[word].min(), seconds) for word in words],
            "ends": [self._time(ends[word].max(), seconds) for word in words],
            "word_confidences": confidences,
        }

    def _time(self, step: int, seconds: float) -> float:
        """When a step begins, within the recording."""
        # A step stands around its first frame, and a centred frame around its time.
        early = 0.5 if self.settings["centre"] else 0.0
        return float(min(max((step - early) * self.settings["step_s"], 0.0), seconds))
