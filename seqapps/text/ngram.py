"""An n-gram language model with interpolated, modified Kneser-Ney smoothing, as look-up tables.

Sequences of token numbers in, probabilities out: what a recurrent language model is measured
against, and what a speech recogniser's search asks for every letter. Everything is NumPy arrays.

The n-grams that were seen are the nodes of a tree: a child is its parent and one token more, the
root is the empty context. A node's number is its place in `keys`, plus one for the root, so one
binary search finds a child; `suffix` leads to the same n-gram without its first token.

Source: Kneser and Ney 1995; Chen and Goodman 1999, "An Empirical Study of Smoothing Techniques for
Language Modeling", section 3 (modified: three discounts an order); Heafield 2011 (back-off tables).
"""

# N nodes, T tokens of all sequences, V vocabulary

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.integer[Any]]
_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where counts are too few to estimate them, as KenLM has them."""


@dataclass(frozen=True)
class NGram:
    """A fitted model.

    Nodes are numbered by the length of their n-gram, the root 0 first; every single token has one.
    """

    vocabulary: int
    """Tokens, ids 0 to vocabulary - 1."""
    order: int
    """Tokens of the longest n-grams; a token is predicted from `order - 1` before it."""
    keys: npt.NDArray[np.int64]
    """(N - 1,), ascending: parent × vocabulary + token of nodes 1, 2, 3 ..."""
    log_prob: npt.NDArray[np.float64]
    """(N,): log-probability, in nats, of the node's last token after its others."""
    log_backoff: npt.NDArray[np.float64]
    """(N,): what is added when the node is the context and has no child for a token."""
    suffix: npt.NDArray[np.int64]
    """(N,): the node without its first token."""
    depth: npt.NDArray[np.int8]
    """(N,): tokens of the node's n-gram."""

    @classmethod
    def fit(cls, sequences: Sequence[Ids], *, order: int, vocabulary: int) -> "NGram":
        """Counts n-grams and smooths them.

        No n-gram crosses from one sequence to the next; the first tokens of a sequence are counted
        with the shorter contexts that they have.

        Args:
            sequences: int, (length,) each.
            order: Tokens of the longest n-grams, at least 1.
            vocabulary: Tokens, ids 0 to vocabulary - 1.

        Raises:
            ValueError: If there is no token, one is outside the vocabulary, or the order is below
                1 or above 63.
        """
        ids_T = np.concatenate([np.zeros(0, np.int64), *sequences]).astype(np.int64)
        if not 1 <= order <= 63:
            raise ValueError(f"order must be from 1 to 63, got {order}.")
        if not ids_T.size or ids_T.min() < 0 or ids_T.max() >= vocabulary:
            raise ValueError(
                f"sequences must hold tokens from 0 to {vocabulary - 1}, at least one, got "
                + (f"{ids_T.min()} to {ids_T.max()}." if ids_T.size else "none.")
            )
        # How many tokens of its own sequence stand before each token.
        before_T = np.concatenate([np.arange(len(sequence)) for sequence in sequences])
        levels = _count(ids_T, before_T, order, vocabulary)
        return _smooth(levels, order, vocabulary)

    @property
    def root(self) -> int:
        """The node of the empty context, where a sequence begins."""
        return 0

    def advance(self, nodes: Any, tokens: Any) -> tuple[npt.NDArray[np.float64], Any]:
        """Reads one token in each of several contexts.

        Args:
            nodes: int, any shape. Contexts: the root, or what this gave before.
            tokens: int, the same shape.

        Returns:
            The log-probability, in nats, of each token in its context; and the contexts after it.
        """
        nodes, tokens = np.broadcast_arrays(np.asarray(nodes, np.int64), tokens)
        reached, total = np.zeros_like(nodes), np.zeros(nodes.shape)
        searching = np.ones(nodes.shape, bool)
        while searching.any():
            children = self._child(nodes, tokens)
            hit = searching & (children > 0)
            reached = np.where(hit, children, reached)
            total += np.where(hit, self.log_prob[children], 0.0)
            searching &= ~hit
            total += np.where(searching, self.log_backoff[nodes], 0.0)
            nodes = np.where(searching, self.suffix[nodes], nodes)
        # The longest n-grams are no contexts.
        return total, np.where(self.depth[reached] == self.order, self.suffix[reached], reached)

    def log_probs(self, ids: Ids) -> npt.NDArray[np.float64]:
        """Log-probability, in nats, of each token of a sequence, given those before it.

        Args:
            ids: int, (T,).

        Returns:
            float64, (T,).
        """
        ids_T = np.asarray(ids, np.int64)
        if not ids_T.size:
            return np.zeros(0)
        # The node of the n-gram of each length that ends at each token, -1 where it was never seen.
        context_T = np.zeros(len(ids_T), np.int64)
        total_T = np.zeros(len(ids_T))
        for _ in range(self.order):
            known_T = context_T >= 0
            node_T = np.where(known_T, self._child(np.maximum(context_T, 0), ids_T), 0)
            hit_T = node_T > 0
            backed_T = total_T + np.where(known_T, self.log_backoff[context_T], 0.0)
            total_T = np.where(hit_T, self.log_prob[node_T], backed_T)
            node_T = np.where(hit_T, node_T, -1)
            context_T = np.concatenate([[-1], node_T[:-1]])
        return total_T

    def distribution(self, context: Ids) -> npt.NDArray[np.float64]:
        """Probability of every token after some others: float64, (V,)."""
        node: Any = self.root
        for token in np.asarray(context, np.int64)[-self.order :]:
            _, node = self.advance(node, token)
        log_probs_V, _ = self.advance(np.full(self.vocabulary, node), np.arange(self.vocabulary))
        return np.asarray(np.exp(log_probs_V))

    def to_bytes(self) -> bytes:
        """Everything as a .npz file, numbers in single precision."""
        file = io.BytesIO()
        columns: dict[str, Any] = {
            field.name: np.asarray(getattr(self, field.name)) for field in fields(self)
        }
        for name in ("log_prob", "log_backoff"):
            columns[name] = columns[name].astype(np.float32)
        np.savez_compressed(file, **columns)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "NGram":
        """Reads what `to_bytes` gave.

        Raises:
            ValueError, KeyError or OSError: If it is something else.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            table: dict[str, Any] = {field.name: file[field.name] for field in fields(cls)}
        for name in ("log_prob", "log_backoff"):
            table[name] = table[name].astype(np.float64)
        for name in ("vocabulary", "order"):
            table[name] = int(table[name])
        return cls(**table)

    def _child(self, nodes: Any, tokens: Any) -> Any:
        """The children for these tokens, 0 where there is none."""
        wanted = nodes * self.vocabulary + tokens
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[places] == wanted, places + 1, 0)


def interpolated(log_probs: Any, others: Any, weight: float) -> Any:
    """Log of (1 - λ) p + λ q, from the logs of p and of q, of any shape; λ from 0 to below 1."""
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log1p(-weight) + log_probs, np.log(weight) + others)


@dataclass(frozen=True)
class _Level:
    """All n-grams of one length, sorted by their first tokens and then the last."""

    parents: npt.NDArray[np.int64]
    """Place, in the level before, of each n-gram without its last token."""
    tokens: npt.NDArray[np.int64]
    """Its last token."""
    suffixes: npt.NDArray[np.int64]
    """Place, in the level before, of it without its first token."""
    counts: npt.NDArray[np.int64]
    """How often it occurs."""
    preceded: npt.NDArray[np.int64]
    """How many different tokens, the start of a sequence being one, stand before it."""


def _count(ids_T: Ids, before_T: Ids, order: int, vocabulary: int) -> list[_Level]:
    """Finds the n-grams of each length, from 1 to the order."""
    levels: list[_Level] = []
    # The place of the n-gram that ends at each token; that of length 0 is the root.
    places_T = np.zeros(len(ids_T), np.int64)
    for length in range(1, order + 1):
        inside_T = before_T >= length - 1
        shorter_T = np.concatenate([[0], places_T[:-1]])
        keys = (shorter_T * vocabulary + ids_T)[inside_T]
        if length == 1:
            # Every token has a node, also those that were never seen.
            seen, counts = np.arange(vocabulary), np.bincount(keys, minlength=vocabulary)
            places = keys
        else:
            seen, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
        suffixes = np.zeros(len(seen), np.int64)
        suffixes[places] = places_T[inside_T]
        if levels:
            # Each different n-gram of this length is one more that precedes its suffix.
            np.add.at(levels[-1].preceded, suffixes, 1)
        starts = np.unique(places[before_T[inside_T] == length - 1])
        preceded = np.zeros(len(seen), np.int64)
        preceded[starts] = 1
        levels.append(_Level(seen // vocabulary, seen % vocabulary, suffixes, counts, preceded))
        places_T = np.zeros(len(ids_T), np.int64)
        places_T[inside_T] = places
    return levels


def _smooth(levels: list[_Level], order: int, vocabulary: int) -> NGram:
    """Turns counts into probabilities, from the shortest n-grams to the longest."""
    log_prob, log_backoff = [np.zeros(1)], []
    keys, suffix, depth = [], [np.zeros(1, np.int64)], [np.zeros(1, np.int8)]
    first, parents_first = 1, 0
    shorter_N = np.full(1, 1.0 / vocabulary)
    for length, level in enumerate(levels, 1):
        counts_N = level.counts if length == order else level.preceded
        discounts = np.array([0.0, *_discounts(counts_N)])
        taken_N = np.minimum(discounts[np.minimum(counts_N, 3)], counts_N)
        parents = len(shorter_N) if length > 1 else 1
        totals_P = np.bincount(level.parents, counts_N, minlength=parents)
        freed_P = np.bincount(level.parents, taken_N, minlength=parents)
        # A context without a child gives everything to the shorter one.
        share_P = np.where(totals_P > 0, freed_P / np.maximum(totals_P, 1), 1.0)
        kept_N = (counts_N - taken_N) / np.maximum(totals_P, 1)[level.parents]
        probabilities_N = kept_N + share_P[level.parents] * shorter_N[level.suffixes]
        with np.errstate(divide="ignore"):
            log_prob.append(np.log(probabilities_N))
            log_backoff.append(np.log(share_P))
        keys.append((parents_first + level.parents) * vocabulary + level.tokens)
        suffix.append(parents_first + level.suffixes)
        depth.append(np.full(len(counts_N), length, np.int8))
        parents_first, first = first, first + len(counts_N)
        shorter_N = probabilities_N
    log_backoff.append(np.zeros(len(shorter_N)))
    return NGram(
        vocabulary=vocabulary,
        order=order,
        keys=np.concatenate(keys),
        log_prob=np.concatenate(log_prob),
        log_backoff=np.concatenate(log_backoff),
        suffix=np.concatenate(suffix),
        depth=np.concatenate(depth),
    )


def _discounts(counts: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """What is taken from counts of 1, of 2, and of 3 or more (Chen and Goodman 1999, eq. 26)."""
    ones, twos, threes, fours = (float((counts == n).sum()) for n in (1, 2, 3, 4))
    if not (ones and twos and threes and fours):
        return _FALLBACK
    share = ones / (ones + 2.0 * twos)
    discounts = (
        1.0 - 2.0 * share * twos / ones,
        2.0 - 3.0 * share * threes / twos,
        3.0 - 4.0 * share * fours / threes,
    )
    return discounts if all(0.0 <= d <= n for n, d in enumerate(discounts, 1)) else _FALLBACK
