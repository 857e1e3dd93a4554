"""Which part of a long text a model reads: the same rule in Python and in the graph."""

from dataclasses import dataclass
from typing import Any, Literal

from seqapps.lazy import lazy_imports

with lazy_imports():
    import tensorflow as tf

_HEAD = 4
"""`both` keeps one part in so many from the head, the rest from the tail."""


@dataclass(frozen=True)
class Cut:
    """Keeps at most a number of tokens of each text.

    Source: Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.1 (head
    and tail; a quarter of the head).
    """

    most: int
    """Tokens that are kept at most."""
    keep: Literal["head", "tail", "both"]
    """Which ones: the first, the last, or a quarter from the front and the rest from the end."""

    @property
    def head(self) -> int:
        """Tokens that are kept from the front of a text that is too long."""
        return {"head": self.most, "tail": 0, "both": self.most // _HEAD}[self.keep]

    def __call__(self, tokens: Any) -> Any:
        """Cuts one text's tokens, a NumPy array (tokens,)."""
        if len(tokens) <= self.most:
            return tokens
        rest = len(tokens) - (self.most - self.head)
        kept = tokens[: self.most].copy()
        kept[self.head :] = tokens[rest:]
        return kept

    def places(self, lengths_B: Any) -> tuple[Any, Any]:
        """Finds which tokens are kept, in the graph.

        Args:
            lengths_B: int32, (batch,). Tokens of each text.

        Returns:
            places_BT: int32, (batch, longest kept). Where the kept tokens stand in their text; 0
                past each row's end.
            kept_B: int32, (batch,). How many tokens are kept.
        """
        kept_B = tf.minimum(lengths_B, self.most)
        steps_T = tf.range(tf.maximum(tf.reduce_max(kept_B), 0))
        jump_B = lengths_B - kept_B
        behind_BT = (steps_T >= self.head) & (jump_B[:, tf.newaxis] > 0)
        places_BT = steps_T + tf.where(behind_BT, jump_B[:, tf.newaxis], 0)
        return tf.where(steps_T < kept_B[:, tf.newaxis], places_BT, 0), kept_B
