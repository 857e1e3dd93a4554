"""Texts with an answer each, a label or a translation: read, sifted and held out alike."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from seqapps.data import files
from seqapps.data.files import Problem, Row
from seqapps.data.splits import Split, log_problems, sift
from seqapps.errors import UserError


@dataclass(frozen=True)
class AnsweredTexts:
    """Texts and the answer to each."""

    texts: list[str]
    """The texts as they are in the data, of any length."""
    answers: list[str]
    """What belongs to each, in the same order."""
    problems: list[Problem] = field(default_factory=list)
    """Bad rows: left out of training data, kept in validation and test data."""

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def sifted(
        cls,
        rows: Iterable[Row],
        find_problems: Callable[[Row], Iterable[Problem]],
        split: Split,
        *,
        name: str,
        max_bad_share: float,
        checked: Callable[[Iterator[Row]], Iterator[Row]] = iter,
    ) -> Self:
        """Takes rows of a text and an answer, and notes or leaves out the bad ones.

        Args:
            rows: Rows of a split.
            find_problems: Tells what is wrong with a row that could be taken apart.
            split: Split of the rows.
            name: File or data set of the rows, for messages.
            max_bad_share: Share of the training rows that may be bad, from 0 to 1.
            checked: Sees the rows that stay, and raises what must not be among them.

        Raises:
            UserError: If too many training rows are bad, or a row of another split cannot be taken
                apart.
        """
        part = cls([], [])
        kept = sift(
            rows, find_problems, part.problems, split, name=name, max_bad_share=max_bad_share
        )
        for row in checked(kept):
            part._add(*map(files.repaired, row.cells))
        return part

    def dealt(
        self, keys: Iterable[str], owners: Mapping[str, Split], splits: Sequence[Split]
    ) -> dict[Split, Self]:
        """Splits the training data.

        Args:
            keys: Of each text: equal ones stay together.
            owners: Which split takes the texts of a key; the others stay where they are.
            splits: Splits to hold out.

        Returns:
            The splits, and the rest as `train`.
        """
        parts = {split: type(self)([], []) for split in splits}
        parts["train"] = type(self)([], [], self.problems)
        for key, text, answer in zip(keys, self.texts, self.answers, strict=True):
            parts[owners.get(key, "train")]._add(text, answer)
        return parts

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the texts."""
        return type(self)([self.texts[i] for i in rows], [self.answers[i] for i in rows])

    def _add(self, text: str, answer: str) -> None:
        self.texts.append(text)
        self.answers.append(answer)


def text_problem(text: str, name: str = "the text") -> str:
    """Why a text cannot be used, in a few words; empty if it can."""
    if not files.is_text(text):
        return f"{name} is not UTF-8"
    if not text:
        return f"{name} is empty"
    if files.is_blank(text):
        return f"{name} is all spaces or control characters"
    return ""


def check_split(
    part: AnsweredTexts,
    split: Split,
    location: str,
    log: Callable[[str], None],
    *,
    kind: str,
    needs: str,
) -> None:
    """Writes what is wrong with the rows of a split, and checks that some are left.

    Args:
        part: The split's texts.
        split: Its name.
        location: Where they come from.
        log: Takes lines for the user.
        kind: What they are, in the plural.
        needs: What a row must have, in a few words.

    Raises:
        UserError: If there are none.
    """
    log_problems(part.problems, split, log)
    if not len(part):
        raise UserError(
            f"There are no {split} {kind} in {location}: {needs}. Look at the file, or name "
            f"another one with --data.{split}."
        )


def log_held_out(
    parts: Mapping[Split, AnsweredTexts],
    splits: Sequence[Split],
    log: Callable[[str], None],
    *,
    kind: str,
) -> None:
    """Writes how many of the training texts, called `kind`, were held out for each split."""
    counts = ", ".join(f"{len(parts[split]):,} for {split}" for split in splits)
    log(f"Held out from the training {kind}: {counts}")
