"""What every loader of texts does with its splits: name, sift, report and hold out."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, Self, TypeVar

from seqapps.data.files import Problem, Row
from seqapps.errors import UserError

T = TypeVar("T")

Split = Literal["train", "validation", "test"]

_SHOWN = 5
"""Problems of a split that are shown one by one."""

_TFDS_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}


def spread(count: int, most: int) -> list[int]:
    """Numbers of at most `most` of `count` rows, evenly from the first on."""
    asked = min(count, most)
    return [number * count // asked for number in range(asked)]


class Sized(Protocol):
    """Examples of a split."""

    def __len__(self) -> int:
        """How many there are."""

    def take(self, rows: Sequence[int]) -> Self:
        """Some of them."""


Rows = TypeVar("Rows", bound=Sized)


def fewer(validation: Rows, test: Rows, most: int) -> tuple[Rows, Rows, int]:
    """At most so many of what a network is measured on, from all over it.

    Returns:
        Of both some, and how many are left out of the latter.
    """
    some, tested = (part.take(spread(len(part), most)) for part in (validation, test))
    return some, tested, len(test) - len(tested)


class Locations(Protocol):
    """Settings that say where the splits come from."""

    @property
    def train(self) -> str:
        """Location of the training data."""

    @property
    def validation(self) -> str:
        """Location of the validation data; empty: from the location of the training data."""

    @property
    def test(self) -> str:
        """Location of the test data; empty: from the location of the training data."""


def load_each(
    settings: Locations, load: Callable[[str, Split, bool], T | None]
) -> tuple[dict[Split, T], list[Split]]:
    """Loads the splits, the training data first.

    Args:
        settings: Where the splits come from.
        load: Takes a location, the split, and whether the location was named for the training
            data alone; then it may return None because there is no such split.

    Returns:
        The splits that there are, and the names of those that have to be held out.
    """
    locations: dict[Split, str] = {
        "train": settings.train,
        "validation": settings.validation,
        "test": settings.test,
    }
    parts: dict[Split, T] = {}
    for split, location in locations.items():
        loaded = load(location or settings.train, split, not location)
        if loaded is not None:
            parts[split] = loaded
    return parts, [split for split in locations if split not in parts]


def check_shares(*, max_bad_share: float, held_out_share: float) -> None:
    """Checks two settings.

    Raises:
        ValueError: If one is out of its range.
    """
    if not 0.0 <= max_bad_share <= 1.0:
        raise ValueError(f"max_bad_share must be from 0 to 1, got {max_bad_share}.")
    if not 0.0 < held_out_share <= 0.4:
        raise ValueError(f"held_out_share must be above 0 and at most 0.4, got {held_out_share}.")


def find_tfds(location: str, folder: str, split: Split, *, own: bool) -> tuple[Path, str] | None:
    """Finds the split of a prepared TensorFlow data set that serves for a split.

    Args:
        location: `tfds:NAME` or `tfds:NAME/CONFIG`.
        folder: Folder of prepared sets; empty: its default place.
        split: Split that is wanted.
        own: Whether the set may lack the split.

    Returns:
        The set's folder and the name it gives the split; None if `own` and it has none.

    Raises:
        UserError: If the set is not prepared, or lacks a split that it was named for.
    """
    from seqapps.data import tfds

    path = tfds.find(location.removeprefix("tfds:"), folder)
    there = tfds.splits(path)
    name = next((name for name in _TFDS_SPLITS[split] if name in there), None)
    if name is None and own:
        return None
    # A set named for validation or test that has but one split is meant as that split.
    if name is None and len(there) == 1:
        name = there[0]
    if name is None:
        raise UserError(f"{location} has no split {split!r}; it has {', '.join(there)}.")
    return path, name


def read_tfds(
    location: str,
    folder: str,
    split: Split,
    columns: Sequence[str],
    *,
    own: bool,
    codes: Collection[str] = (),
) -> tuple[Iterator[Row], str] | None:
    """Reads the split of a prepared TensorFlow data set that serves for a split.

    Args:
        location: `tfds:NAME` or `tfds:NAME/CONFIG`.
        folder: Folder of prepared sets; empty: its default place.
        split: Split that is wanted.
        columns: Features to take, in the order of the cells.
        own: Whether the set may lack the split.
        codes: Those of them that may be numbers of classes, see `tfds.read`.

    Returns:
        The rows, and what messages call them; None if `own` and the set has no such split.

    Raises:
        UserError: If the set is not prepared, or lacks a split that it was named for.
    """
    from seqapps.data import tfds

    place = find_tfds(location, folder, split, own=own)
    if place is None:
        return None
    path, name = place
    return tfds.read(path, name, columns, codes=codes), f"{location} {name}"


def sift(
    rows: Iterable[Row],
    find_problems: Callable[[Row], Iterable[Problem]],
    problems: list[Problem],
    split: Split,
    *,
    name: str,
    max_bad_share: float,
) -> Iterator[Row]:
    """Yields the rows to use: the good ones, and of an evaluation set the bad ones too.

    Args:
        rows: Rows of a split.
        find_problems: Tells what is wrong with a row that could be taken apart.
        problems: Takes the problems of all rows, as they are met.
        split: Split of the rows. Training rows may be left out, others never are.
        name: File or data set of the rows, for messages.
        max_bad_share: Share of the training rows that may be bad, from 0 to 1.

    Raises:
        UserError: If too many training rows are bad, or a row of another split cannot be taken
            apart.
    """
    count = bad = 0
    for row in rows:
        count += 1
        wrong = [Problem(name, row.line, row.reason)] if row.reason else list(find_problems(row))
        problems.extend(wrong)
        if not wrong or (split != "train" and row.cells):
            yield row
            continue
        bad += 1
        if split != "train":
            raise UserError(
                f"{wrong[0]}. A {split} set is never shortened in silence; mend the row or "
                "take it out of the file."
            )
    if bad > max_bad_share * count:
        examples = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
        raise UserError(
            f"{bad:,} of {count:,} training rows in {name} are bad, {bad / count:.1%}; at most "
            f"{max_bad_share:.1%} may be (max_bad_share):\n{examples}"
        )


def log_problems(problems: Sequence[Problem], split: Split, log: Callable[[str], None]) -> None:
    """Writes how many bad rows a split has, and the first of them."""
    if not problems:
        return
    fate = "left out" if split == "train" else "kept as they are"
    log(f"{len(problems):,} bad texts in the {split} data, their rows {fate}:")
    for problem in problems[:_SHOWN]:
        log(f"  {problem}")
    if len(problems) > _SHOWN:
        log(f"  and {len(problems) - _SHOWN:,} more")


def text_key(text: str) -> str:
    """Returns what texts have in common that differ in nothing but case and spacing."""
    return " ".join(text.casefold().split())


def in_hash_order(keys: Iterable[str], seed: int) -> list[str]:
    """Returns the distinct keys in an order that the seed chooses.

    The order is by hash: a key keeps its place among the others when keys are added or moved.
    """
    salt = str(seed).encode()

    def position(key: str) -> bytes:
        return hashlib.blake2b(key.encode(), key=salt, digest_size=8).digest()

    return sorted(set(keys), key=lambda key: (position(key), key))


def deal(ordered: Sequence[str], splits: Sequence[Split], each: int) -> dict[str, Split]:
    """Gives each split `each` of the keys, from the first on, and returns whose they are."""
    return {
        key: split for i, split in enumerate(splits) for key in ordered[i * each : (i + 1) * each]
    }
