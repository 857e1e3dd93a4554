"""Look-up of the nearest training example: what a task gives away without learning anything."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from seqapps.text.scripts import UNSPACED


class NearestSource:
    """Answers with the target of the training source that is most similar.

    Similarity is the cosine of TF-IDF vectors over words and pairs of neighbouring words, with
    sentence ends as words. Sentences are compared in lower case, cut at white space, with their
    punctuation set apart; where a script has no spaces, characters are its words. The search is
    exact.
    """

    def __init__(self) -> None:
        self._targets: list[str] = []
        self._inverse_frequencies: dict[str, float] = {}
        self._vectors: list[dict[str, float]] = []
        self._postings: dict[str, list[tuple[int, float]]] = {}

    def fit(self, train_sources: Sequence[str], train_targets: Sequence[str]) -> "NearestSource":
        """Indexes the training pairs.

        Args:
            train_sources: Source sentences.
            train_targets: Their targets, in the same order.

        Returns:
            This object.

        Raises:
            ValueError: The two lists differ in length, or are empty.
        """
        if len(train_sources) != len(train_targets):
            raise ValueError(
                "train_sources and train_targets must have the same length, got "
                f"{len(train_sources)} and {len(train_targets)}; pass them pair by pair."
            )
        if not train_sources:
            raise ValueError("train_sources must not be empty; there is nothing to look up in.")
        counts = [Counter(_terms(source)) for source in train_sources]
        frequencies = Counter(term for count in counts for term in count)
        self._targets = list(train_targets)
        self._inverse_frequencies = {
            term: math.log((1 + len(counts)) / frequency) for term, frequency in frequencies.items()
        }
        postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._vectors = [self._vector(count) for count in counts]
        for row, vector in enumerate(self._vectors):
            for term, weight in vector.items():
                postings[term].append((row, weight))
        self._postings = dict(postings)
        return self

    def answer(self, sources: Sequence[str]) -> list[str]:
        """Looks sentences up.

        Args:
            sources: Sentences in the source language.

        Returns:
            For each the target of its nearest training source; ties, and sentences that share
            nothing with training, go to the earliest.

        Raises:
            ValueError: Nothing was indexed before.
        """
        if not self._targets:
            raise ValueError("answer needs an index; call fit first.")
        return [self._targets[self._nearest(source)] for source in sources]

    def _vector(self, count: Counter[str]) -> dict[str, float]:
        """The TF-IDF vector of a sentence at length 1; unknown terms count for nothing."""
        weights = {
            term: times * self._inverse_frequencies[term]
            for term, times in count.items()
            if term in self._inverse_frequencies
        }
        norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {term: weight / norm for term, weight in weights.items()}

    def _nearest(self, source: str) -> int:
        """The row of the nearest training source, by exact search with a bound.

        Terms are read from the heaviest on. By Cauchy-Schwarz, all terms not yet read add at most
        the length of the query vector that they make up. Once that cannot lift an unseen sentence
        above the best one, only sentences that it can still lift are compared in full.
        """
        vector = self._vector(Counter(_terms(source)))
        scores: dict[int, float] = {}
        left = 1.0
        best = 0.0
        for term, weight in sorted(vector.items(), key=lambda item: -item[1]):
            if best > math.sqrt(max(left, 0.0)) + _SLACK:
                break
            for row, other in self._postings[term]:
                scores[row] = scores.get(row, 0.0) + weight * other
            left -= weight * weight
            best = max(best, max(scores.values()))
        enough = best - math.sqrt(max(left, 0.0)) - _SLACK
        nearest, highest = 0, 0.0
        for row in sorted(row for row, score in scores.items() if score >= enough):
            other_vector = self._vectors[row]
            score = sum(weight * other_vector.get(term, 0.0) for term, weight in vector.items())
            if score > highest + _SLACK:
                nearest, highest = row, score
        return nearest


_SLACK = 1e-9
"""More than the rounding of a sum of products, less than any difference that means something."""


def _terms(sentence: str) -> Iterator[str]:
    """Words and pairs of neighbours."""
    words = ["<"]
    for word in UNSPACED.sub(r" \g<0> ", sentence.lower()).split():
        bare = word.rstrip(".,?!")
        if bare:
            words.append(bare)
        words.extend(word[len(bare) :])
    words.append(">")
    yield from words[1:-1]
    for left, right in zip(words, words[1:], strict=False):
        yield f"{left} {right}"
