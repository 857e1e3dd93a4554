"""What each split may say: word pairs by a stable hash, and construction × tense cells."""

import random
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

from seqapps.recipes.translate.phrasebook.nouns import ADJECTIVES, Adjective, Noun

_Item = TypeVar("_Item")

SPLITS = ("train", "validation", "test")

CELLS = {
    "test": frozenset(
        {
            ("that", "would like"),
            ("that", "had to"),
            ("whether", "want to"),
            ("whether", "past"),
            ("why", "should"),
            ("when", "have to"),
            ("where", "future"),
            ("who", "can"),
            ("question", "allowed"),
            ("fronted", "wanted to"),
            ("because", "future"),
            ("relative", "past"),
        }
    ),
    "validation": frozenset(
        {
            ("that", "should"),
            ("whether", "future"),
            ("why", "want to"),
            ("when", "should"),
            ("where", "want to"),
            ("who", "had to"),
            ("question", "would like"),
            ("fronted", "allowed"),
            ("because", "can"),
            ("relative", "would like"),
        }
    ),
}
"""Construction × tense cells that only this split (and no training sentence) contains."""


@cache
def pair_split(pair: str) -> str:
    """The only split besides its own training partners that may contain a word pair.

    Args:
        pair: Two English words in their dictionary form, `verb object`, `adjective noun`, ...

    Returns:
        `test` for 10 % of all pairs, `validation` for 5 %, `train` (found everywhere) for the rest.
    """
    share = zlib.crc32(pair.encode()) % 1000
    return "test" if share < 100 else "validation" if share < 150 else "train"


def cell_split(construction: str, tense: str) -> str:
    """The same for a construction in a tense."""
    return next((split for split in CELLS if (construction, tense) in CELLS[split]), "train")


class DeadEnd(Exception):
    """What was drawn so far cannot be completed in this split; the sentence is drawn anew."""


class Draw:
    """Random choices within what one split may say, with a record of the combinations chosen."""

    def __init__(self, seed: str, split: str):
        # random() alone is the same for the same seed on every Python; choice() is not promised.
        self.random: Callable[[], float] = random.Random(seed).random
        self.split = split
        self.pairs: list[str] = []
        self.cells: list[tuple[str, str]] = []
        self._allowed: dict[tuple[object, ...], tuple[object, ...]] = {}

    def clear(self) -> None:
        """Forgets the combinations of the sentence before."""
        self.pairs = []
        self.cells = []

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def one(self, items: Sequence[_Item]) -> _Item:
        """One of the items, all equally likely."""
        return items[int(self.random() * len(items))]

    def may(self, split: str) -> bool:
        """Whether this split may contain what `split` holds out."""
        return split in ("train", self.split)

    def fitting(self, head: str, items: tuple[_Item, ...], name: Callable[[_Item], str]) -> _Item:
        """One of the items that may stand beside `head` in this split; records the pair.

        Args:
            head: The first word of the pair.
            items: The candidates.
            name: The second word of the pair, from a candidate.

        Returns:
            The candidate chosen.

        Raises:
            DeadEnd: This split may say none of the pairs.
        """
        key = (head, id(items))  # The tables are constants: they live, and keep their id, for good.
        allowed = self._allowed.get(key)
        if allowed is None:
            allowed = tuple(i for i in items if self.may(pair_split(f"{head} {name(i)}")))
            self._allowed[key] = allowed
        if not allowed:
            raise DeadEnd
        chosen: _Item = self.one(allowed)  # type: ignore[assignment]
        self.pairs.append(f"{head} {name(chosen)}")
        return chosen

    def insist(self, head: str, word: str) -> None:
        """Records a pair that is settled already.

        Args:
            head: The first word of the pair.
            word: The second word.

        Raises:
            DeadEnd: This split may not say it.
        """
        pair = f"{head} {word}"
        if not self.may(pair_split(pair)):
            raise DeadEnd
        self.pairs.append(pair)

    def adjective(
        self, noun: Noun, probability: float = 0.35, unfit: frozenset[str] = frozenset()
    ) -> Adjective | None:
        """An adjective for the noun (other than the unfit ones), or none; records the pair."""
        if not ADJECTIVES[noun.english] or not self.chance(probability):
            return None
        key = ("adjective", noun.english, unfit)
        allowed = self._allowed.get(key)
        if allowed is None:
            allowed = tuple(
                a
                for a in ADJECTIVES[noun.english]
                if a.english not in unfit and self.may(pair_split(f"{a.english} {noun.english}"))
            )
            self._allowed[key] = allowed
        if not allowed:
            return None
        chosen: Adjective = self.one(allowed)  # type: ignore[assignment]
        self.pairs.append(f"{chosen.english} {noun.english}")
        return chosen

    def tense(self, construction: str, tenses: tuple[str, ...]) -> str:
        """One of the tenses that the construction may have in this split; records the cell."""
        key = ("tense", construction, tenses)
        allowed = self._allowed.get(key)
        if allowed is None:
            allowed = tuple(t for t in tenses if self.may(cell_split(construction, t)))
            self._allowed[key] = allowed
        chosen: str = self.one(allowed)  # type: ignore[assignment]
        self.cells.append((construction, chosen))
        return chosen

    def held_out(self) -> bool:
        """Whether the sentence drawn contains what this split alone may contain."""
        return any(pair_split(pair) == self.split for pair in self.pairs) or any(
            cell_split(*cell) == self.split for cell in self.cells
        )
