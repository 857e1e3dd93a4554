"""Translation without TensorFlow."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqapps.portable.runtime.base import Predictor, padded
from seqapps.portable.runtime.pieces import BOS, EOS, PAD, UNKNOWN, Pieces, clean
from seqapps.portable.runtime.search import beam_search, sample
from seqapps.recipes.translate.memory import Memory
from seqapps.recipes.translate.sentences import join, parts

_TOGETHER = 64
"""Parts of lines that are translated at once, at least."""


class TranslatePredictor(Predictor):
    """A sentence in, a sentence and its score out."""

    def open(self) -> None:
        """Reads networks and tokenizers."""
        self._encode, self._step = self.network("encode"), self.network("step")
        self._source = Pieces(self.asset("source.model"))
        self._target = Pieces(self.asset("target.model"))
        # Exports of earlier versions remember nothing.
        remembers = self.settings.get("remembers", False)
        self._memory = Memory(self.asset("memory.npz")) if remembers else None
        # Where pieces of the source are copied, each step looks at them too.
        self._copies = "source" in self._step.inputs
        self._states = [name for name in self._encode.outputs if name.startswith("state_")]

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Translates a batch of lines, those that are longer than training showed in parts."""
        # Exports of earlier versions do not say; they translate every line whole.
        longest = self.settings.get("longest_source", 0)
        lines = [[pieces] for pieces in self._source.encode(rows)]
        for place, row in enumerate(rows):
            if 0 < longest < len(lines[place][0]):
                text = clean(row.decode("utf-8", "replace"))
                lines[place] = self._pieces(parts(text, self._count, longest))
        counts = [len(line) for line in lines]
        owners = np.repeat(np.arange(len(rows)), counts)
        each = {name: value[owners] for name, value in options.items()}
        each["seed"] = each["seed"] + np.concatenate([np.arange(count) for count in counts])
        every = [pieces for line in lines for pieces in line]
        found: list[dict[str, Any]] = []
        size = max(len(rows), _TOGETHER)
        for start in range(0, len(every), size):
            now = slice(start, start + size)
            some = {name: value[now] for name, value in each.items()}
            found += self._translated(every[now], some)
        ends = np.cumsum(counts)
        return [
            self._answer(found[end - count : end]) for end, count in zip(ends, counts, strict=True)
        ]

    def _pieces(self, texts: Sequence[str]) -> list[Any]:
        return self._source.encode([text.encode() for text in texts])

    def _count(self, texts: Sequence[str]) -> list[int]:
        return [len(pieces) for pieces in self._pieces(texts)]

    def _answer(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        """One line's answer from those of its parts."""
        answer = found[0]
        if len(found) > 1:
            text = join([part["translation"] for part in found])
            score = float(np.sum([part["score"] for part in found], dtype=np.float32))
            answer = {
                "translation": text,
                "score": score,
                "truncated": max(part["truncated"] for part in found),
                "remembered": sum(part["remembered"] for part in found),
                "alternatives": [text],
                "alternative_scores": [score],
            }
        answer["sentences"] = len(found)
        return answer

    def _translated(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Translates parts, given as pieces."""
        source, lengths = padded([[*pieces, EOS] for pieces in rows])
        state = self._encode({"source": source, "source_lengths": lengths})
        state["source_lengths"] = lengths
        if self._copies:
            state["source"] = source
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
            # One that ended has its EOS within the limit, so it is shorter.
            cut = 0 < limits[row] == len(tokens[row][0])
            known = None
            if self._memory and limits[row] and not is_drawn:
                known = self._memory.recall(rows[row])
            if known is not None:
                texts[0], numbers[0], cut = known, 0.0, False
            answers.append(
                {
                    "translation": texts[0],
                    "score": numbers[0],
                    "truncated": int(cut),
                    "remembered": int(known is not None),
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
