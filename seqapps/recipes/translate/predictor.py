"""Translation without TensorFlow."""

from typing import Any

import numpy as np

from seqapps.portable.runtime.base import Predictor, padded
from seqapps.portable.runtime.pieces import BOS, EOS, PAD, UNKNOWN, Pieces
from seqapps.portable.runtime.search import beam_search, sample


class TranslatePredictor(Predictor):
    """A sentence in, a sentence and its score out."""

    def open(self) -> None:
        """Reads networks and tokenizers."""
        self._encode, self._step = self.network("encode"), self.network("step")
        self._source = Pieces(self.asset("source.model"))
        self._target = Pieces(self.asset("target.model"))
        self._states = [name for name in self._encode.outputs if name.startswith("state_")]

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Translates a batch of sentences."""
        source, lengths = padded([[*ids, EOS] for ids in self._source.encode(rows)])
        state = self._encode({"source": source, "source_lengths": lengths})
        state["source_lengths"] = lengths
        limits = np.where(
            lengths > 1, np.minimum(2 * lengths + 10, self.settings["longest"]), 0
        ).astype(np.int32)
        drawn = options["temperature"] > 0
        searched = beam_search(
            self._extend,
            state,
            bos=BOS,
            eos=EOS,
            beam_width=np.where(drawn, 1, options["beam_width"]),
            max_steps=np.where(drawn, 1, limits),
            length_penalty=options["length_penalty"],
            n_best=np.where(drawn, 1, options["n_best"]),
        )
        sampled = searched
        if drawn.any():
            sampled = sample(
                self._logits,
                state,
                bos=BOS,
                eos=EOS,
                max_steps=np.where(drawn, limits, 1),
                seed=options["seed"],
                temperature=np.where(drawn, options["temperature"], np.float32(1)),
                top_k=options["top_k"],
                top_p=options["top_p"],
                banned=(PAD, UNKNOWN, BOS),
            )
        answers = []
        for row, is_drawn in enumerate(drawn):
            tokens, scores = sampled if is_drawn else searched
            texts = [self._target.decode(ids) for ids in tokens[row]]
            numbers = [float(score) for score in scores[row][: len(texts)]]
            answers.append(
                {
                    "translation": texts[0],
                    "score": numbers[0],
                    "alternatives": texts,
                    "alternative_scores": numbers,
                }
            )
        return answers

    def _after(self, state: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
        return state | {name: outputs[f"next_{name}"] for name in self._states}

    def _extend(self, tokens: Any, state: Any, count: int) -> tuple[Any, Any, Any]:
        outputs = self._step({"tokens": tokens, "count": np.array(count, np.int32), **state})
        return outputs["gains"], outputs["best"], self._after(state, outputs)

    def _logits(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        outputs = self._step({"tokens": tokens, "count": np.array(1, np.int32), **state})
        return outputs["logits"], self._after(state, outputs)
