"""Text generation without TensorFlow."""

# B batch, V vocabulary, S width of the network's state

import json
import math
from typing import Any

import numpy as np

from seqapps.portable.runtime.base import Predictor, padded
from seqapps.portable.runtime.search import NEVER, beam_search, best_of, gumbel, keep_top, log_prob
from seqapps.portable.runtime.tokens import MARK, Tokens

TAIL = 256
"""Bytes of a stop string at most."""
WINDOW = 2048
"""Tokens of a text that are read at once."""
MOST_TOKENS, MOST_SAMPLES = 100_000, 256


class GeneratePredictor(Predictor):
    """A prompt in; what follows it out."""

    further = ("score",)

    def open(self) -> None:
        """Reads networks and vocabulary."""
        self._read, self._step = self.network("read"), self.network("step")
        table = json.loads(self.asset("vocabulary.json"))
        proto = self.asset("text.model") if table["kind"] == "pieces" else b""
        self._tokens = Tokens(table, proto)
        self._width = int(self.settings["state"])

    def score(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Says how likely texts are."""
        ids = [self._tokens.encode(row) for row in rows]
        gains, _ = self._through(ids)
        answers = []
        for row, found in zip(rows, gains, strict=True):
            total = float(found.sum(dtype=np.float32))
            characters = max(1, sum((byte & 0xC0) != 0x80 for byte in row))
            answers.append(
                {
                    "log_probability": total,
                    "perplexity": math.exp(-total / max(1, len(found))),
                    "bits_per_character": abs(total) / (math.log(2) * characters),
                    "token_log_probabilities": [float(gain) for gain in found],
                }
            )
        return answers

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Goes on from a batch of prompts."""
        ids = [self._tokens.encode(row) for row in rows]
        _, state = self._through(ids)
        last = np.array([row[-1] if row else MARK for row in ids], np.int32)
        counts = np.clip(options["samples"], 1, MOST_SAMPLES)
        limits = np.clip(options["max_length"], 0, MOST_TOKENS)
        answers = []
        for row in range(len(rows)):
            own = {name: value[row] for name, value in options.items()}
            if own["beam_width"] > 1:
                found = self._search(state[row], last[row], own, limits[row], counts[row])
            else:
                found = self._draw(state[row], ids[row], last[row], own, limits[row], counts[row])
            answers.append(found)
        return answers

    def _through(self, ids: list[list[int]]) -> tuple[list[Any], Any]:
        """Reads texts: log-probabilities of their tokens, and the state before the last is read."""
        state = np.zeros((len(ids), self._width), np.float32)
        gains: list[Any] = [np.zeros(0, np.float32)] * len(ids)
        for start in range(0, max(map(len, ids), default=0), WINDOW):
            # A row that has ended keeps its state.
            chosen = [i for i, row in enumerate(ids) if len(row) > start]
            framed = [[MARK, *ids[i]] for i in chosen]
            tokens, lengths = padded([row[start : start + WINDOW][: len(row) - 1 - start]
                                      for row in framed])  # fmt: skip
            followers, _ = padded([row[start + 1 : start + 1 + WINDOW] for row in framed])
            found = self._read(
                {
                    "tokens": tokens, "tokens_lengths": lengths, "followers": followers,
                    "state": state[chosen],
                }
            )  # fmt: skip
            state[chosen] = found["next_state"]
            for i, row, length in zip(chosen, found["log_probs"], lengths, strict=True):
                gains[i] = np.concatenate([gains[i], row[:length]])
        return gains, state

    def _logits(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        found = self._step({"tokens": tokens, "state": state["state"]})
        return found["logits"], {"state": found["next_state"]}

    def _extend(self, tokens: Any, state: Any, count: int) -> tuple[Any, Any, Any]:
        logits, state = self._logits(tokens, state)
        largest = logits.max(1, keepdims=True)
        normaliser = largest + np.log(np.exp(logits - largest).sum(1, keepdims=True))
        allowed = logits.copy()
        allowed[:, list(self._tokens.never)] = NEVER
        top, best = best_of(allowed, min(count, logits.shape[1] - len(self._tokens.never)))
        return np.minimum(top - normaliser, np.float32(0)), best.astype(np.int32), state

    def _search(
        self, state: Any, last: Any, own: dict[str, Any], limit: Any, count: Any
    ) -> dict[str, Any]:
        found = beam_search(
            self._extend,
            {"state": state[None]},
            bos=last[None],
            eos=MARK,
            beam_width=np.minimum(own["beam_width"], 1000)[None],
            max_steps=np.array([limit]),
            length_penalty=np.zeros(1, np.float32),
            n_best=np.array([min(count, own["beam_width"])]),
        )
        texts = [b"".join(self._tokens.surfaces[i] for i in ids) for ids in found.tokens[0]]
        return self._answer(texts, [float(s) for s in found.scores[0][: len(texts)]], [])

    def _draw(
        self, state: Any, ids: list[int], last: Any, own: dict[str, Any], limit: int, count: int
    ) -> dict[str, Any]:
        """Writes `count` texts after one prompt."""
        size = len(self._tokens.surfaces)
        forced = self._tokens.encode(own["begin"])
        stops = [text for text in own["stop"] if 0 < len(text) <= TAIL]
        banned_V = self._tokens.mask(own["banned"])
        penalty = own["repetition_penalty"]
        penalty = np.clip(penalty, np.float32(1e-6), np.float32(1e6)) if penalty > 0 else penalty
        seeds = np.int64(own["seed"]) + np.arange(count, dtype=np.int64)
        temperature = own["temperature"]
        hot = temperature > 1e-30
        heat = min(temperature, np.float32(1e30)) if hot else np.float32(1)
        seen = np.tile(np.bincount(ids, minlength=size), (count, 1))
        tokens = np.full(count, last, np.int32)
        states = {"state": np.tile(state, (count, 1))}
        texts, cuts = [b""] * count, [-1] * count
        gains: list[list[float]] = [[] for _ in range(count)]
        open_B = np.full(count, limit > 0)
        every = np.arange(count)
        position = 0
        while open_B.any():
            logits, states = self._logits(tokens, states)
            allowed = logits
            if penalty > 0 and penalty != 1:
                lowered = np.where(logits > 0, logits / penalty, logits * penalty)
                allowed = np.where(seen > 0, lowered, logits)
            allowed = allowed.copy()
            allowed[:, list(self._tokens.never)] = NEVER
            allowed[:, banned_V] = NEVER
            if position < own["min_length"]:
                allowed[:, MARK] = NEVER
            shifted = allowed - allowed.max(1, keepdims=True)
            if hot:
                scaled = shifted / heat
                kept = scaled
                if own["top_k"] > 0 or own["top_p"] < 1:
                    asked = (np.full(count, own["top_k"]), np.full(count, own["top_p"]))
                    kept = keep_top(scaled, *asked)
                if own["min_p"] > 0:
                    floor = np.log(np.maximum(own["min_p"], np.float32(1e-30)))
                    kept = np.where(scaled >= floor, kept, NEVER)
                shifted = kept + gumbel(seeds, position, size)
            chosen = shifted.argmax(1).astype(np.int32)
            if position < len(forced):
                chosen[:] = forced[position]
            gained = log_prob(logits, chosen)
            position += 1
            for row in every[open_B]:
                token = int(chosen[row])
                gains[row].append(float(gained[row]))
                seen[row, token] += 1
                wrote = self._tokens.surfaces[token]
                texts[row] += wrote
                done = token == MARK or position >= limit
                if stops and position >= own["min_length"]:
                    reach = _stopped(texts[row], stops, max(1, len(wrote)))
                    if reach:
                        cuts[row], done = len(texts[row]) - reach, True
                open_B[row] = not done
            tokens = chosen
        shown = [text if cut < 0 else text[:cut] for text, cut in zip(texts, cuts, strict=True)]
        totals = [float(np.array(row, np.float32).sum(dtype=np.float32)) for row in gains]
        return self._answer(shown, totals, gains[0])

    def _answer(self, texts: list[bytes], totals: list[float], gains: list[float]) -> Any:
        decoded = [text.decode("utf-8", "replace") for text in texts]
        return {
            "text": decoded[0] if decoded else "",
            "log_probability": totals[0] if totals else 0.0,
            "samples": decoded,
            "sample_log_probabilities": totals,
            "token_log_probabilities": gains,
        }


def _stopped(text: bytes, stops: list[bytes], width: int) -> int:
    """How far before the end a stop string begins that ends in the last `width` bytes; 0: none."""
    return max(
        (
            len(stop) + after
            for stop in stops
            for after in range(width)
            if len(stop) + after <= len(text)
            and text[len(text) - after - len(stop) : len(text) - after] == stop
        ),
        default=0,
    )
