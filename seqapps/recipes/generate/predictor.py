"""Text generation without TensorFlow."""

# B batch, V vocabulary, S width of the network's state

import codecs
import json
import math
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from seqapps.decoding.settings import LONGEST, LONGEST_STOP, MOST_SAMPLES
from seqapps.portable.runtime.base import Predictor, as_bytes, padded
from seqapps.portable.runtime.search import NEVER, beam_search, best_of, log_prob
from seqapps.portable.runtime.tokens import MARK, Tokens
from seqapps.recipes.generate.predictor_choice import TokenChoice
from seqapps.text.ngram import NGram, interpolated

TAIL = LONGEST_STOP
"""Bytes of a stop string at most."""
WINDOW = 2048
"""Tokens of a text that are read at once."""


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
        self._ngram, self._weight = None, 0.0
        if (self.folder / "assets" / "ngram.npz").is_file():
            self._ngram = NGram.from_bytes(self.asset("ngram.npz"))
            self._weight = float(json.loads(self.asset("mixture.json"))["weight"])

    def score(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Says how likely texts are."""
        ids = [self._tokens.encode(row) for row in rows]
        gains, _ = self._through(ids)
        if self._ngram:
            for i, row in enumerate(ids):
                beside = self._ngram.log_probs(np.array([MARK, *row]))[1:]
                gains[i] = interpolated(gains[i], beside, self._weight).astype(np.float32)
        answers = []
        for row, token_gains in zip(rows, gains, strict=True):
            total = float(token_gains.sum(dtype=np.float32))
            characters = max(1, sum((byte & 0xC0) != 0x80 for byte in row))
            answers.append(
                {
                    "log_probability": total,
                    "perplexity": math.exp(-total / max(1, len(token_gains))),
                    "bits_per_character": abs(total) / (math.log(2) * characters),
                    "token_log_probabilities": [float(gain) for gain in token_gains],
                }
            )
        return answers

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Goes on from a batch of prompts."""
        ids = [self._tokens.encode(row) for row in rows]
        state = self._before(ids)
        last = np.array([row[-1] if row else MARK for row in ids], np.int32)
        counts = np.clip(options["samples"], 1, MOST_SAMPLES)
        limits = np.clip(options["max_length"], 0, LONGEST)
        answers: list[Any] = [None] * len(rows)
        searched = options["beam_width"] > 1
        for row in np.flatnonzero(searched):
            own = {name: value[row] for name, value in options.items()}
            began = {name: value[row] for name, value in state.items()}
            answers[row] = self._search(began, last[row], own, limits[row], counts[row])
        prompts = np.flatnonzero(~searched)
        # A row of the loop for each text.
        owner = np.repeat(prompts, counts[prompts])
        number = np.concatenate([np.zeros(0, np.int64), *(np.arange(counts[i]) for i in prompts)])
        own = {name: value[owner] for name, value in options.items()}
        own["seed"] = own["seed"].astype(np.int64) + number.astype(np.int64)
        seen = [np.bincount(ids[i], minlength=len(self._tokens.surfaces)) for i in owner]
        began = {name: value[owner] for name, value in state.items()}
        texts, gains, cut = self._draw(began, last[owner], seen, own, limits[owner])
        for row in prompts:
            mine = np.flatnonzero(owner == row)
            totals = [float(np.array(gains[i], np.float32).sum()) for i in mine]
            first = mine[0]
            answers[row] = _answer([texts[i] for i in mine], totals, gains[first], cut[first])
        return answers

    def pieces(
        self, question: str | bytes, *, portion: int = 8, **options: Any
    ) -> Iterator[str] | None:
        """A drawn text as it is written; several texts and searched ones come whole."""
        values = self.strategy(options, 1)
        if values["samples"][0] > 1 or values["beam_width"][0] > 1:
            return None
        return self._pieces(as_bytes(question), values, max(1, portion))

    def _pieces(self, prompt: bytes, own: dict[str, Any], portion: int) -> Iterator[str]:
        ids = self._tokens.encode(prompt)
        state = self._before([ids])
        seen = [np.bincount(ids, minlength=len(self._tokens.surfaces))]
        last = np.array([ids[-1] if ids else MARK], np.int32)
        limits = np.clip(own["max_length"], 0, LONGEST)
        drawing = self._drawing(state, last, seen, own, limits)
        # Nothing is handed out that a stop string may cut off, nor a part of a character.
        characters = codecs.getincrementaldecoder("utf-8")("replace")
        stops = [text for text in own["stop"][0] if 0 < len(text) <= TAIL]
        given, written, text = 0, 0, b""
        try:
            while True:
                (text,) = next(drawing)
                written += 1
                if written % portion:
                    continue
                sure = len(text) - _open(text, stops)
                piece, given = characters.decode(text[given:sure]), sure
                if piece:
                    yield piece
        except StopIteration as end:
            (text,), _, _ = end.value
        if piece := characters.decode(text[given:], final=True):
            yield piece

    def _through(self, ids: list[list[int]]) -> tuple[list[Any], Any]:
        """Reads texts with the network alone.

        Returns:
            The log-probabilities of their tokens, and the state before the last is read.
        """
        state = np.zeros((len(ids), self._width), np.float32)
        gains: list[Any] = [np.zeros(0, np.float32)] * len(ids)
        for start in range(0, max(map(len, ids), default=0), WINDOW):
            # A row that has ended keeps its state.
            chosen = [i for i, row in enumerate(ids) if len(row) > start]
            framed = [[MARK, *ids[i]] for i in chosen]
            tokens, lengths = padded(
                [row[start : start + WINDOW][: len(row) - 1 - start] for row in framed]
            )
            followers, _ = padded([row[start + 1 : start + 1 + WINDOW] for row in framed])
            outputs = self._read(
                {
                    "tokens": tokens,
                    "tokens_lengths": lengths,
                    "followers": followers,
                    "state": state[chosen],
                }
            )
            state[chosen] = outputs["next_state"]
            for i, row, length in zip(chosen, outputs["log_probs"], lengths, strict=True):
                gains[i] = np.concatenate([gains[i], row[:length]])
        return gains, state

    def _before(self, ids: list[list[int]]) -> dict[str, Any]:
        """What goes before the last token of each text: `state`, and `context` of the n-grams."""
        _, state = self._through(ids)
        contexts = np.zeros(len(ids), np.int64)
        if self._ngram:
            # What stands before that is out of reach.
            reach = self._ngram.order - 1
            for i, row in enumerate(ids):
                for token in [MARK, *row][:-1][-reach:] if reach else []:
                    _, contexts[i] = self._ngram.advance(contexts[i], token)
        return {"state": state, "context": contexts}

    def _logits(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        outputs = self._step({"tokens": tokens, "state": state["state"]})
        logits, contexts = outputs["logits"], state["context"]
        if self._ngram:
            _, contexts = self._ngram.advance(contexts, tokens)
            beside, _ = self._ngram.advance(contexts[:, None], np.arange(logits.shape[1])[None])
            largest = logits.max(1, keepdims=True)
            normaliser = largest + np.log(np.exp(logits - largest).sum(1, keepdims=True))
            logits = interpolated(logits - normaliser, beside, self._weight).astype(np.float32)
        return logits, {"state": outputs["next_state"], "context": contexts}

    def _extend(self, tokens: Any, state: Any, count: int) -> tuple[Any, Any, Any]:
        logits, state = self._logits(tokens, state)
        largest = logits.max(1, keepdims=True)
        normaliser = largest + np.log(np.exp(logits - largest).sum(1, keepdims=True))
        allowed = logits.copy()
        allowed[:, list(self._tokens.never)] = NEVER
        top, best = best_of(allowed, min(count, logits.shape[1] - len(self._tokens.never)))
        return np.minimum(top - normaliser, np.float32(0)), best.astype(np.int32), state

    def _search(
        self, state: dict[str, Any], last: Any, own: dict[str, Any], limit: Any, count: Any
    ) -> dict[str, Any]:
        hypotheses = beam_search(
            self._extend,
            {name: value[None] for name, value in state.items()},
            bos=last[None],
            eos=MARK,
            beam_width=np.minimum(own["beam_width"], 1000)[None],
            max_steps=np.array([limit]),
            length_penalty=np.zeros(1, np.float32),
            n_best=np.array([min(count, own["beam_width"])]),
        )
        found = hypotheses.tokens[0]
        texts = [b"".join(self._tokens.surfaces[i] for i in ids) for ids in found]
        # The end counts as a token, so what ended is shorter than the limit.
        cut = not found or len(found[0]) >= limit
        return _answer(texts, [float(s) for s in hypotheses.scores[0][: len(texts)]], [], cut)

    def _draw(
        self, state: dict[str, Any], last: Any, seen: Any, own: dict[str, Any], limits: Any
    ) -> "_Drawn":
        """Writes a text for each row, as `_drawing` does, and gives what that returns."""
        drawing = self._drawing(state, last, seen, own, limits)
        while True:
            try:
                next(drawing)
            except StopIteration as end:
                drawn: _Drawn = end.value
                return drawn

    def _drawing(
        self, state: dict[str, Any], last: Any, seen: Any, own: dict[str, Any], limits: Any
    ) -> Generator[list[bytes], None, "_Drawn"]:
        """Writes a text for each row, token by token.

        Args:
            state: From `_before`; it is changed.
            last: int32, (B,).
            seen: int, (V,) of each row: how often each token occurs in its prompt.
            own: Strategy values, (B,) each.
            limits: int, (B,). Tokens at most.

        Yields:
            The texts in bytes after each token, stop strings that end them too.

        Returns:
            The texts in bytes, the log-probability of each of their tokens, and whether each was
            cut by its limit.
        """
        choice = TokenChoice(own, self._tokens)
        stops = [[text for text in texts if 0 < len(text) <= TAIL] for texts in own["stop"]]
        texts, gains = [b""] * len(last), [list[float]() for _ in last]
        cuts, ended = [-1] * len(last), np.zeros(len(last), bool)
        tokens, seen_BV = np.array(last, np.int32), np.array(seen)
        live = np.flatnonzero(limits > 0)
        t = 0
        while len(live):
            logits, after = self._logits(
                tokens[live], {name: value[live] for name, value in state.items()}
            )
            for name, value in after.items():
                state[name][live] = value
            chosen = choice(logits, seen_BV[live], live, t)
            gained = log_prob(logits, chosen)
            tokens[live] = chosen
            seen_BV[live, chosen] += 1
            t += 1
            closed = np.zeros(len(live), bool)
            for place, (row, token) in enumerate(zip(live, chosen, strict=True)):
                gains[row].append(float(gained[place]))
                wrote = self._tokens.surfaces[token]
                texts[row] += wrote
                ended[row] = token == MARK
                closed[place] = ended[row] or t >= limits[row]
                if stops[row] and t >= own["min_length"][row]:
                    reach = _stopped(texts[row], stops[row], max(1, len(wrote)))
                    if reach:
                        cuts[row], closed[place] = len(texts[row]) - reach, True
                        ended[row] = True
            live = live[~closed]
            if len(live):
                yield texts
        shown = [text if cut < 0 else text[:cut] for text, cut in zip(texts, cuts, strict=True)]
        return shown, gains, [not each for each in ended]


_Drawn = tuple[list[bytes], list[list[float]], list[bool]]


def _answer(
    texts: list[bytes], totals: list[float], gains: list[float], cut: bool
) -> dict[str, Any]:
    decoded = [text.decode("utf-8", "replace") for text in texts]
    return {
        "text": decoded[0] if decoded else "",
        "log_probability": totals[0] if totals else 0.0,
        "samples": decoded,
        "sample_log_probabilities": totals,
        "token_log_probabilities": gains,
        "truncated": int(cut),
    }


def _open(text: bytes, stops: list[bytes]) -> int:
    """Bytes at the end that may be the beginning of a stop string, at most."""
    longest = max((len(stop) - 1 for stop in stops), default=0)
    return next(
        (
            size
            for size in range(min(longest, len(text)), 0, -1)
            if any(stop.startswith(text[-size:]) for stop in stops)
        ),
        0,
    )


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
