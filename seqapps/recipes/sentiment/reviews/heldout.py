"""What each split may say: polar words by construction, and clause forms by construction."""

import itertools
import random
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

from seqapps.recipes.sentiment.reviews.lexicon import ANY, WORDS, Word

__all__ = ["CELLS", "SPLITS", "Combinations", "DeadEnd", "Draw", "cell_split", "pair_split"]

_Item = TypeVar("_Item")

SPLITS = ("train", "validation", "test")

CELLS = {
    "test": frozenset(
        {
            ("contrast", "deciding negation"),
            ("contrast", "conceded emphasis"),
            ("although before", "deciding negation"),
            ("although after", "conceded negation"),
            ("although after", "deciding emphasis"),
            ("reported", "deciding negation"),
            ("time", "conceded negation"),
            ("despite", "deciding emphasis"),
            ("expectation", "deciding negation"),
            ("advice", "deciding negation"),
        }
    ),
    "validation": frozenset(
        {
            ("contrast", "conceded negation"),
            ("although before", "conceded emphasis"),
            ("although before", "deciding emphasis"),
            ("reported", "deciding emphasis"),
            ("time", "deciding emphasis"),
            ("expectation", "conceded negation"),
        }
    ),
}
"""Construction × clause form cells that only this split (and no training review) contains."""

_FORMS = ("plain", "plain", "plain", "negation", "negation", "emphasis")


def pair_split(construction: str, word: str) -> str:
    """The only split besides training's own pairs that may contain a word in a construction.

    Args:
        construction: A construction or a clause form.
        word: The text of one of the polar words.

    Returns:
        `test` for about 13 % of all pairs, `validation` for 8 %, `train` (found everywhere) for the
        rest; in each construction the same share of praise and blame, of adjectives and others.
    """
    return _kept(construction).get(word, "train")


@cache
def _kept(construction: str) -> dict[str, str]:
    kept = {}
    for sign, adjectives in itertools.product((+1, -1), (True, False)):
        shuffled = sorted(
            (zlib.crc32(f"{construction}: {word.text}".encode()), word.text)
            for word in WORDS
            if word.sign == sign and (word.kind == "adjective") == adjectives
        )
        test = round(0.13 * len(shuffled))
        validation = test + round(0.08 * len(shuffled))
        for place, (_, word) in enumerate(shuffled[:validation]):
            kept[word] = "test" if place < test else "validation"
    return kept


def cell_split(construction: str, form: str) -> str:
    """The only split besides training's own cells that may contain a form in a construction."""
    return next((split for split in CELLS if (construction, form) in CELLS[split]), "train")


class DeadEnd(Exception):
    """What was drawn so far cannot be completed in this split; the review is drawn anew."""


class Combinations(NamedTuple):
    """What one sentence combines: (construction, word) pairs and (construction, form) cells."""

    pairs: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, str], ...]

    def owners(self) -> set[str]:
        """The splits that these combinations are kept for; `train` for those kept for none."""
        return {pair_split(*pair) for pair in self.pairs} | {cell_split(*c) for c in self.cells}


class Draw:
    """Random choices within what one split may say, with a record of the combinations chosen.

    `label` is the sign of the review being drawn: of two words, the one that stood under this label
    less often than under the other is taken.
    """

    def __init__(self, seed: str, split: str):
        # random() alone is the same for the same seed on every Python; choice() is not promised.
        self.random: Callable[[], float] = random.Random(seed).random
        self.split = split
        self.pairs: list[tuple[str, str]] = []
        self.cells: list[tuple[str, str]] = []
        self.label = 0
        self._surplus: dict[str, int] = {}
        self._allowed: dict[tuple[object, ...], tuple[Word, ...]] = {}
        self._forms: dict[tuple[str, str], tuple[str, ...]] = {}

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def one(self, items: Sequence[_Item]) -> _Item:
        """One of the items, all equally likely."""
        return items[int(self.random() * len(items))]

    def may(self, split: str) -> bool:
        """Whether this split may contain what `split` holds out."""
        return split in ("train", self.split)

    def word(
        self,
        construction: str,
        sign: int,
        kind: str,
        *,
        field: str = ANY,
        gradable: bool = False,
        form: str = "plain",
        other: Word | None = None,
    ) -> Word:
        """A polar word that may stand in this construction in this split; records the pair.

        Args:
            construction: The construction's name.
            sign: +1 for a word of praise, -1 for one of blame.
            kind: The part of speech.
            field: What the word is said of; words for everything are always candidates.
            gradable: Only words that can be more or less so.
            form: The form of the clause; other than `plain` it is a construction of its own.
            other: A word that must not be said again or be contradicted letter by letter.

        Returns:
            The word chosen.

        Raises:
            DeadEnd: This split may say none, or drew the other.
        """
        key = (construction, sign, kind, field, gradable, form)
        allowed = self._allowed.get(key)
        if allowed is None:
            allowed = tuple(
                word
                for word in WORDS
                if (word.sign, word.kind) == (sign, kind)
                and word.field in (ANY, field)
                and (word.gradable or not gradable)
                and all(
                    self.may(pair_split(name, word.text)) for name in _names(construction, form)
                )
            )
            self._allowed[key] = allowed
        if not allowed:
            raise DeadEnd
        chosen = min(self.one(allowed), self.one(allowed), key=self._lean)
        # Not the same again, nor its own opposite (reliable, unreliable).
        if other and (chosen.text.endswith(other.text) or other.text.endswith(chosen.text)):
            raise DeadEnd
        self.pairs += [(name, chosen.text) for name in _names(construction, form)]
        return chosen

    def _lean(self, word: Word) -> int:
        return self._surplus.get(word.text, 0) * self.label

    def count(self, combined: Combinations) -> None:
        """Counts the words of a sentence that is kept, so that each stands under both labels."""
        for word in {word for _, word in combined.pairs}:
            self._surplus[word] = self._surplus.get(word, 0) + self.label

    def form(self, construction: str, role: str) -> str:
        """A form for the clause that plays this role in the construction; records the cell."""
        allowed = self._forms.get((construction, role))
        if allowed is None:
            allowed = tuple(
                form for form in _FORMS if self.may(cell_split(construction, f"{role} {form}"))
            )
            self._forms[construction, role] = allowed
        chosen = self.one(allowed)
        self.cells.append((construction, f"{role} {chosen}"))
        return chosen

    def take(self) -> "Combinations":
        """The combinations recorded since the last call."""
        taken = Combinations(tuple(self.pairs), tuple(self.cells))
        self.pairs, self.cells = [], []
        return taken


def _names(construction: str, form: str) -> tuple[str, ...]:
    return (construction,) if form in ("plain", construction) else (construction, form)
