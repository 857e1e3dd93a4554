"""Choosing the next token of a text without TensorFlow."""

# B batch, N rows that are written still, V vocabulary

from typing import Any

import numpy as np

from seqapps.portable.runtime.search import NEVER, gumbel, keep_top
from seqapps.portable.runtime.tokens import MARK, Tokens


class TokenChoice:
    """Chooses the next token of each row, as `decoding.choosing.Choice` does in the graph.

    Args:
        own: Strategy values, (B,) each.
        tokens: The vocabulary.
    """

    def __init__(self, own: dict[str, Any], tokens: Tokens) -> None:
        self._own, self._never, self._size = own, list(tokens.never), len(tokens.surfaces)
        self._forced = [tokens.encode(text) for text in own["begin"]]
        self._banned_BV = np.array([tokens.mask(texts) for texts in own["banned"]])
        asked = own["repetition_penalty"].astype(np.float32)
        penalty_B = np.where(asked > 0, np.clip(asked, 1e-6, 1e6), 1)
        self._penalty_B1 = penalty_B[:, None].astype(np.float32)
        temperature_B1 = own["temperature"][:, None]
        self._hot_B1 = temperature_B1 > 1e-30
        heat_B1 = np.where(self._hot_B1, np.minimum(temperature_B1, 1e30), 1)
        self._heat_B1 = heat_B1.astype(np.float32)
        floor_B = np.maximum(own["min_p"].astype(np.float32), np.float32(1e-30))
        self._floor_B1 = np.log(floor_B)[:, None]

    def __call__(self, logits: Any, seen: Any, live: Any, t: int) -> Any:
        """Chooses for some rows.

        Args:
            logits: float32, (N, V).
            seen: int, (N, V). How often each token occurred.
            live: int, (N,). The rows.
            t: Tokens written before.

        Returns:
            int32, (N,).
        """
        shifted = self._allowed(logits, seen, live, t)
        shifted -= shifted.max(1, keepdims=True)
        hot = self._hot_B1[live]
        if hot.any():
            drawn = self._kept(shifted, live) + gumbel(self._own["seed"][live], t, self._size)
            shifted = np.where(hot, drawn, shifted)
        chosen = shifted.argmax(1).astype(np.int32)
        for place, row in enumerate(live):
            if t < len(self._forced[row]):
                chosen[place] = self._forced[row][t]
        return chosen

    def _allowed(self, logits: Any, seen: Any, live: Any, t: int) -> Any:
        """Logits after penalties, and without what must not be chosen."""
        penalty_N1 = self._penalty_B1[live]
        lowered = np.where(logits > 0, logits / penalty_N1, logits * penalty_N1)
        allowed = np.where((seen > 0) & (penalty_N1 != 1), lowered, logits)
        allowed[:, self._never] = NEVER
        allowed[self._banned_BV[live]] = NEVER
        allowed[t < self._own["min_length"][live], MARK] = NEVER
        return allowed

    def _kept(self, shifted: Any, live: Any) -> Any:
        """Logits divided by the temperature, and without what is not drawn from."""
        scaled = shifted / self._heat_B1[live]
        kept = scaled
        top_k, top_p, min_p = (self._own[name][live] for name in ("top_k", "top_p", "min_p"))
        if ((top_k > 0) | (top_p < 1)).any():
            kept = keep_top(scaled, top_k, top_p)
        if (min_p > 0).any():
            kept = np.where(scaled >= self._floor_B1[live], kept, NEVER)
        return kept
