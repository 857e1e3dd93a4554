"""What every loader of data does with its splits: find, name, sift, report and hold out."""

import dataclasses
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

from seqapps.data.files import Problem, Row
from seqapps.errors import UserError

T = TypeVar("T")

Split = Literal["train", "validation", "test"]

HeldOutBy = Literal["hash", "count"]
"""Rules by which rows are held out, see `hold_out`."""

_PLACES = 1 << 64
"""Hashes that a key may have."""
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


class Located:
    """Settings of data: `train`, `validation` and `test` are locations in `folder`.

    The default of `train` is the embedded data; what follows a kind (`tfds:NAME`) is no path,
    unless the kind is among `of_paths`.
    """

    of_paths: ClassVar[tuple[str, ...]] = ()
    """Kinds of locations that a path follows, with their colons."""

    def located(self, base: Path) -> Self:
        """The settings with absolute paths, which name the same files everywhere.

        Args:
            base: Absolute folder from which relative ones count.
        """
        settings: Any = self
        folder = base / Path(settings.folder).expanduser()
        embedded = type(settings)().train
        changes: dict[str, str] = {}
        for name in ("train", "validation", "test"):
            location = getattr(settings, name)
            kind = next((kind for kind in self.of_paths if location.startswith(kind)), "")
            if location and location != embedded and not location.startswith("tfds:"):
                changes[name] = kind + self._absolute(folder, location.removeprefix(kind))
        # Where nobody named a folder, it is the one in which a command is typed.
        if settings.folder != ".":
            changes["folder"] = str(folder)
        if settings.tfds_folder:
            changes["tfds_folder"] = str(base / Path(settings.tfds_folder).expanduser())
        return dataclasses.replace(settings, **changes)

    def _absolute(self, folder: Path, location: str) -> str:
        return str(folder / Path(location).expanduser())


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
            f"{max_bad_share:.1%} may be (max_bad_share):\n{examples}{_encoding_hint(problems)}"
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
    if hint := _encoding_hint(problems):
        log(hint.strip("\n"))


def _encoding_hint(problems: Sequence[Problem]) -> str:
    """What helps if texts are not UTF-8, a line or nothing."""
    if not any(problem.reason.endswith("not UTF-8") for problem in problems):
        return ""
    return (
        "\nA file of another encoding, such as windows-1252 (older Windows, Excel), is read with "
        "--data.encoding windows-1252."
    )


def text_key(text: str) -> str:
    """Returns what texts have in common that differ in nothing but case and spacing."""
    return " ".join(text.casefold().split())


def hold_out(
    keys: Iterable[str],
    splits: Collection[Split],
    *,
    share: float,
    seed: int,
    by: HeldOutBy,
    most: int = sys.maxsize,
) -> dict[str, Split]:
    """Chooses what is held out from training, by a hash of each key and the seed.

    - `hash`: the hash alone says where a key belongs, however many others there are: in the lowest
      `share` of all hashes to the test, in the highest to validation. So data that grows keeps
      every key where it was. Of more than `most` the share is halved until there are fewer: keys
      then go from the others into training, and never the other way. A split that would have no
      key gets the nearest one, for as long as it has none by the rule; training keeps one.
    - `count`: the first of all hashes, exactly `share` of the keys for each split, at least one.
      When keys are added, all splits move. Earlier versions had this rule.

    Args:
        keys: What belongs together has the same; training keeps the keys that nothing says of.
        splits: Splits to hold out.
        share: Share of the distinct keys for each, above 0 to 0.4.
        seed: Chooses.
        by: The rule.
        most: Keys of one split, about.

    Returns:
        The split of each key that is held out. With fewer keys than a split each and one for
        training, some splits may have none.
    """
    placed = sorted((_place(key, seed), key) for key in set(keys))
    if by == "count":
        each = min(max(1, round(share * len(placed))), (len(placed) - 1) // len(splits), most)
        return {
            key: split
            for number, split in enumerate(splits)
            for _, key in placed[number * each : (number + 1) * each]
        }
    while share * len(placed) > most:
        share /= 2
    owners: dict[str, Split] = {}
    for place, key in placed:
        if "test" in splits and place < share * _PLACES:
            owners[key] = "test"
        elif "validation" in splits and place >= (1.0 - share) * _PLACES:
            owners[key] = "validation"
    if len(placed) > len(splits):
        nearest: dict[Split, str] = {"test": placed[0][1], "validation": placed[-1][1]}
        for split in splits:
            if split not in owners.values():
                owners[nearest[split]] = split
    if placed and len(owners) == len(placed):
        counts = Counter(owners.values())
        spare = [(place, key) for place, key in placed if counts[owners[key]] > 1] or placed
        del owners[min(spare, key=lambda placed: abs(placed[0] - _PLACES // 2))[1]]
    return owners


def check_held_out(
    owners: dict[str, Split],
    keys: Iterable[str],
    splits: Collection[Split],
    *,
    kind: str,
    needs: str,
) -> None:
    """Checks that `hold_out` left something for each split, and for training.

    Args:
        owners: What it gave.
        keys: What it was given.
        splits: What it was to hold out.
        kind: What the keys are, for the message.
        needs: What is needed more of.

    Raises:
        UserError: If it did not.
    """
    distinct = len(set(keys))
    if set(owners.values()) < set(splits) or len(owners) == distinct:
        raise UserError(
            f"{distinct} {kind} are too few to hold out some for {' and '.join(splits)}; "
            f"give more {needs}, or name these splits."
        )


def _place(key: str, seed: int) -> int:
    """Where a key stands among all that there could be, from 0 to `_PLACES` - 1."""
    salt = str(seed).encode()
    return int.from_bytes(hashlib.blake2b(key.encode(), key=salt, digest_size=8).digest())
