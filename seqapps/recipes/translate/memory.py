"""A memory of the training pairs: for a line that is nearly a training line, its translation.

Strings of a user interface, phrases of a manual and the like come again with small changes, and
what a person wrote for the one is then often better than what a small network writes.

Similarity is the cosine of TF-IDF vectors over pieces and pairs of neighbouring pieces, the line's
ends being pieces too; terms that no training line has count as the rarest. Weights are whole
numbers, so that the graph (`memory_graph`) finds the same line.
"""

# N training pairs, K terms, M entries of all terms together, T pieces

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqapps.portable.runtime.pieces import EOS

SCALE = 1024
"""By which weights of the training lines, which are at most 1, become whole numbers."""
_SCALE_OF_RARITY = 256
MOST = 20_000
"""Training pairs that are remembered, at most."""


class Memory:
    """Training lines by their terms, and their translations.

    Args:
        content: What `remember` gave.

    Raises:
        ValueError: If it is damaged.

    Attributes:
        keys: int64, (K,), ascending: the terms.
        rarities: int64, (K,): inverse frequencies, scaled.
        unknown: That of a term that no training line has.
        starts: int64, (K + 1,): where the entries of each term begin.
        lines: int32, (M,): the training line of each entry.
        weights: int64, (M,): its weight in the line, scaled.
        targets: The translations, N.
        vocabulary: Pieces of the tokenizer.
        threshold: Similarity from which on the memory answers.
        measured: What `remember` was given.
    """

    def __init__(self, content: bytes) -> None:
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                self.keys, self.rarities = stored["keys"], stored["rarities"].astype(np.int64)
                self.starts, self.lines = stored["starts"].astype(np.int64), stored["lines"]
                self.weights = stored["weights"].astype(np.int64)
                self.targets = stored["targets"].tobytes().decode().split("\n")
                self.unknown, self.vocabulary = stored["unknown"].item(), stored["pieces"].item()
                self.threshold = stored["threshold"].item()
                self.measured = stored["measured"].tolist()
        except (OSError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from error

    def nearest(self, pieces: Any) -> tuple[int, float]:
        """Finds the nearest training line.

        Args:
            pieces: Of a line, without EOS.

        Returns:
            Its number, the first of equals, and the similarity.
        """
        keys_K = terms(pieces, self.vocabulary)
        places_K = np.minimum(np.searchsorted(self.keys, keys_K), len(self.keys) - 1)
        known_K = self.keys[places_K] == keys_K
        rarities_K = np.where(known_K, self.rarities[places_K], self.unknown)
        scores_N = np.zeros(len(self.targets), np.int64)
        for place, rarity in zip(places_K[known_K], rarities_K[known_K], strict=True):
            entries = slice(self.starts[place], self.starts[place + 1])
            # A line has a term once.
            scores_N[self.lines[entries]] += rarity * self.weights[entries]
        line = int(scores_N.argmax())
        length = np.sqrt(np.float64((rarities_K * rarities_K).sum())) * SCALE
        return line, float(scores_N[line] / length)

    def recall(self, pieces: Any) -> str | None:
        """The translation of a line that is near enough, if there is one."""
        line, similarity = self.nearest(pieces)
        return self.targets[line] if similarity >= self.threshold else None


def terms(pieces: Any, vocabulary: int) -> Any:
    """Pieces and pairs of neighbours of a line with EOS at both ends: int64, (2 T + 1,)."""
    ids = np.asarray(pieces, np.int64)
    left, right = np.concatenate([[EOS], ids]), np.concatenate([ids, [EOS]])
    return np.concatenate([ids, vocabulary * (1 + left) + right])


def remember(
    sources: Sequence[Any],
    targets: Sequence[str],
    *,
    vocabulary: int,
    threshold: float,
    measured: Sequence[float] = (),
) -> bytes:
    """Makes a memory.

    Args:
        sources: Pieces of each training line, without EOS; at least one line.
        targets: Their translations, normalised.
        vocabulary: Pieces of the tokenizer.
        threshold: Similarity from which on it answers.
        measured: BLEU on the validation split: of the network, of the memory, of both.
    """
    found = [np.unique(terms(line, vocabulary), return_counts=True) for line in sources]
    lines = np.repeat(np.arange(len(found), dtype=np.int32), [len(keys) for keys, _ in found])
    keys, places = np.unique(np.concatenate([each for each, _ in found]), return_inverse=True)
    frequencies = np.bincount(places)
    rarities = np.log((1 + len(found)) / frequencies)
    weights = np.concatenate([counts for _, counts in found]) * rarities[places]
    norms = np.sqrt(np.bincount(lines, weights**2))
    weights = weights / np.where(norms > 0, norms, 1.0)[lines]
    order = np.argsort(places, kind="stable")
    content = io.BytesIO()
    np.savez_compressed(
        content,
        keys=keys,
        rarities=np.round(rarities * _SCALE_OF_RARITY).astype(np.int32),
        unknown=np.int64(round(np.log(1 + len(found)) * _SCALE_OF_RARITY)),
        starts=np.concatenate([[0], np.cumsum(frequencies)]).astype(np.int32),
        lines=lines[order],
        weights=np.round(weights[order] * SCALE).astype(np.int16),
        targets=np.frombuffer("\n".join(targets).encode(), np.uint8),
        pieces=np.int64(vocabulary),
        threshold=np.float64(threshold),
        measured=np.array(measured, np.float64),
    )
    return content.getvalue()
