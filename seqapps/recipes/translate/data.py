"""Sentence pairs for translation: the embedded phrasebook, files, or TensorFlow Datasets.

Bad rows are named by file and line. Those of the training data are left out, up to a stated
share. Those of a validation or test set stay, because a score is comparable only on the whole set.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from seqapps.data import files
from seqapps.data.answered import AnsweredTexts, check_split, log_held_out, text_problem
from seqapps.data.files import FileForm, Problem, Row
from seqapps.data.splits import (
    HeldOutBy,
    Located,
    Split,
    check_held_out,
    check_shares,
    hold_out,
    load_each,
    read_tfds,
    text_key,
)
from seqapps.errors import UserError
from seqapps.text.normalise import normalise

_HELD_OUT_MOST = 2000
"""Most sources that are held out for one split: more would not make a score much surer."""


@dataclass(frozen=True, kw_only=True)
class PairData(FileForm, Located):
    """Where sentence pairs come from.

    A location is `phrasebook` (embedded, English and German); `tfds:NAME` or `tfds:NAME/CONFIG`;
    a table (.tsv, .csv, .jsonl); a prefix P of two aligned files, `P.<source>` and `P.<target>`;
    or two aligned files `FILE,FILE`. Each file may be packed as .gz. One file with another ending
    is read as .tsv if its separator or columns are given.
    """

    train: str = "phrasebook"
    """Location of the training pairs."""
    validation: str = ""
    """Location of the validation pairs. Empty: the own split of `train`, or a part held out."""
    test: str = ""
    """Location of the test pairs. Empty: the own split of `train`, or a part held out."""
    folder: str = "."
    """Folder in which relative paths of the locations begin."""
    source: str = "en"
    """Language to translate from; also the ending of its file and the name of its column."""
    target: str = "de"
    """Language to translate to; also the ending of its file and the name of its column."""
    source_column: str = ""
    """Name of the source's column or file ending, if it is not the language."""
    target_column: str = ""
    """Name of the target's column or file ending, if it is not the language."""
    tfds_folder: str = ""
    """Folder of prepared TensorFlow data sets. Empty: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    max_characters: int = 1000
    """Characters of a sentence; training pairs with a longer one are left out."""
    max_bad_share: float = 0.05
    """Share of the training rows that may be left out, from 0 to 1; with more the run stops."""
    held_out_share: float = 0.05
    """Share of distinct training sources held out for each missing split, to 0.4; halved until they
    are at most 2,000."""
    held_out_by: HeldOutBy = "hash"
    """Rule of holding out: `hash`, so that a source stays in its split when others are added; or
    `count`, exactly the share, as bundles of earlier versions have it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source == self.target:
            raise ValueError(
                f"source and target must be two languages, got {self.source!r} for both."
            )
        if self.max_characters < 1:
            raise ValueError(f"max_characters must be at least 1, got {self.max_characters}.")
        if not self.train:
            raise ValueError("train must name training pairs, got ''; use 'phrasebook'.")
        check_shares(max_bad_share=self.max_bad_share, held_out_share=self.held_out_share)

    def _absolute(self, folder: Path, location: str) -> str:
        named = _two_files(folder, location)
        if named is None or files.is_table(folder / location, self):
            return super()._absolute(folder, location)
        return ",".join(map(str, named))

    @property
    def sides(self) -> tuple[str, str]:
        """Names of the columns, or endings of the files, of source and target."""
        return self.source_column or self.source, self.target_column or self.target


class Pairs(AnsweredTexts):
    """Sentences and their translations."""

    @property
    def sources(self) -> list[str]:
        """Sentences of the source language."""
        return self.texts

    @property
    def targets(self) -> list[str]:
        """Their translations, in the same order."""
        return self.answers


class Sizes(NamedTuple):
    """What settings that follow the data ask of the training pairs."""

    pairs: int
    """How many there are."""
    characters: float
    """Characters of a source and its target together, on average."""
    alphabet: int
    """Different characters of the language that has more."""
    copied: float
    """Share of the words of a target that stand in its source too, on average."""

    @classmethod
    def of(cls, pairs: Pairs) -> "Sizes":
        """Measures training pairs, of which there is one at least."""
        sides = [[normalise(text) for text in side] for side in (pairs.sources, pairs.targets)]
        shares = []
        for source, target in zip(*sides, strict=True):
            known, words = set(source.split()), target.split()
            shares.append(sum(word in known for word in words) / max(1, len(words)))
        return cls(
            pairs=len(pairs),
            characters=sum(len(text) for side in sides for text in side) / len(pairs),
            alphabet=max(len(set().union(*side)) for side in sides),
            copied=sum(shares) / len(pairs),
        )


class PairSplits(NamedTuple):
    """The pairs to learn from, to choose by, and to report on."""

    train: Pairs
    validation: Pairs
    test: Pairs


def load_pairs(settings: PairData, *, seed: int, log: Callable[[str], None]) -> PairSplits:
    """Loads the three splits.

    Training rows with an empty, over-long, control-character-only or non-UTF-8 side are left out
    and named. In a validation or test set that the settings or the data set name, such rows stay
    as they are (bytes that are not UTF-8 become U+FFFD); a row that cannot be taken apart stops.

    Splits that are missing are held out from the training pairs by a hash of the source, case and
    spacing aside, so that equal sources are never on both sides.

    Args:
        settings: Where the pairs come from.
        seed: Chooses what is held out. The phrasebook is always the same.
        log: Takes lines for the user.

    Raises:
        UserError: If a location has no pairs, files are missing, damaged or misaligned, too many
            training rows are bad, or the languages are not in the data.
    """
    embedded = functools.cache(lambda: _phrasebook(settings))

    def load(location: str, split: Split, own: bool) -> Pairs | None:
        return _load(settings, location, split, embedded, own=own, log=log)

    parts, missing = load_each(settings, load)
    if missing:
        parts.update(_hold_out(parts["train"], missing, settings, seed))
        log_held_out(parts, missing, log, kind="pairs")
    _log_overlap(parts, log)
    return PairSplits(**parts)


def _load(
    settings: PairData,
    location: str,
    split: Split,
    embedded: Callable[[], PairSplits],
    *,
    own: bool,
    log: Callable[[str], None],
) -> Pairs | None:
    """Loads one split, or returns None if `own` asks for a split that the location lacks."""
    if location == "phrasebook":
        pairs: Pairs = getattr(embedded(), split)
    elif location.startswith("tfds:"):
        read = read_tfds(location, settings.tfds_folder, split, settings.sides, own=own)
        if read is None:
            return None
        rows, name = read
        pairs = _sift(rows, (name, name), split, settings)
    elif own:
        return None
    else:
        source, target = _paths(settings, location)
        if source == target:
            rows = files.read_table(source, settings.sides, form=settings)
        else:
            rows = _aligned(source, target, settings.encoding)
        pairs = _sift(rows, (str(source), str(target)), split, settings)
    needs = "a pair needs text on both sides"
    check_split(pairs, split, location, log, kind="pairs", needs=needs)
    log(f"{split.capitalize()}: {len(pairs):,} pairs from {location}")
    return pairs


def _phrasebook(settings: PairData) -> PairSplits:
    """Returns the embedded phrasebook, in either direction."""
    languages = (settings.source, settings.target)
    if sorted(languages) != ["de", "en"]:
        raise UserError(
            f"The phrasebook is English and German ('en', 'de'), not {languages[0]!r} and "
            f"{languages[1]!r}; name other data as the training pairs."
        )
    from seqapps.recipes.translate import phrasebook

    splits = phrasebook.pairs()

    def directed(pairs: Sequence[tuple[str, str]]) -> Pairs:
        english = [pair[0] for pair in pairs]
        german = [pair[1] for pair in pairs]
        return Pairs(english, german) if settings.source == "en" else Pairs(german, english)

    return PairSplits(directed(splits.train), directed(splits.validation), directed(splits.test))


def _paths(settings: PairData, location: str) -> tuple[Path, Path]:
    """Returns the files of source and target: a table twice, or two aligned files."""
    folder = Path(settings.folder).expanduser()
    path = folder / Path(location).expanduser()
    # A table first, so that a comma in its name is no separator.
    if files.is_table(path, settings):
        return path, path
    if named := _two_files(folder, location):
        source, target = named
        if source == target:
            raise UserError(f"{location!r} names one file twice; name one file per language.")
        return source, target
    aligned = []
    hint = (
        " This file is read as a table if its columns are named in their order, such as "
        f'--data.columns \'["{settings.sides[0]}", "{settings.sides[1]}"]\'.'
        if path.is_file()
        else ""
    )
    for ending in settings.sides:
        candidates = [path.with_name(f"{path.name}.{ending}{packed}") for packed in ("", ".gz")]
        file = next((file for file in candidates if file.is_file()), None)
        if file is None:
            raise UserError(
                f"There are no sentence pairs at {location!r}: neither {candidates[0]} nor "
                f"{candidates[1].name} exists. Give `phrasebook`, `tfds:NAME`, a table "
                f"({', '.join(files.TABLES)}), two files `FILE,FILE`, or the common beginning of "
                f"two files that end in .{settings.sides[0]} and .{settings.sides[1]}.{hint}"
            )
        aligned.append(file)
    return aligned[0], aligned[1]


def _two_files(folder: Path, location: str) -> tuple[Path, Path] | None:
    """The two files of `FILE,FILE`, None if a location is not of that form."""
    parts = location.split(",")
    pairs = [
        (folder / Path(source).expanduser(), folder / Path(target).expanduser())
        for cut in range(1, len(parts))
        if (source := ",".join(parts[:cut]).strip()) and (target := ",".join(parts[cut:]).strip())
    ]
    # A file's name may have a comma too.
    there = [pair for pair in pairs if pair[0].is_file() and pair[1].is_file()]
    return there[0] if there else pairs[0] if len(pairs) == 1 else None


def _aligned(source: Path, target: Path, encoding: str) -> Iterator[Row]:
    """Yields the lines of two files as rows.

    Raises:
        UserError: If one file has more lines than the other.
    """
    counts = [0, 0]
    sides = (files.read_lines(path, encoding=encoding) for path in (source, target))
    for cells in zip_longest(*sides):
        counts = [count + (cell is not None) for count, cell in zip(counts, cells, strict=True)]
        if None not in cells:
            yield Row(counts[0], cells)
    if counts[0] != counts[1]:
        raise UserError(
            f"Aligned files must have equally many lines: {source} has {counts[0]:,}, {target} "
            f"has {counts[1]:,}. Find the line from which they differ."
        )


def _sift(rows: Iterable[Row], names: tuple[str, str], split: Split, settings: PairData) -> Pairs:
    """Takes rows into pairs, and notes or leaves out the bad ones."""
    return Pairs.sifted(
        rows,
        lambda row: _problems(row, names, settings),
        split,
        name=names[0],
        max_bad_share=settings.max_bad_share,
    )


def _problems(row: Row, names: tuple[str, str], settings: PairData) -> Iterator[Problem]:
    """Yields what is wrong with the texts of a row."""
    languages = (settings.source, settings.target)
    for text, name, language in zip(row.cells, names, languages, strict=True):
        reason = text_problem(text, f"the text ({language})")
        if reason:
            yield Problem(name, row.line, reason)
        elif len(text) > settings.max_characters:
            yield Problem(
                name,
                row.line,
                f"the text ({language}) has {len(text):,} characters, "
                f"more than {settings.max_characters:,}",
            )


def _hold_out(
    train: Pairs, splits: Sequence[Split], settings: PairData, seed: int
) -> dict[Split, Pairs]:
    """Splits the training pairs, equal sources together, and returns the splits and the rest."""
    keys = [text_key(source) for source in train.sources]
    owners = hold_out(
        keys,
        splits,
        share=settings.held_out_share,
        seed=seed,
        by=settings.held_out_by,
        most=_HELD_OUT_MOST,
    )
    check_held_out(owners, keys, splits, kind="distinct training sources", needs="pairs")
    return train.dealt(keys, owners, splits)


def _log_overlap(splits: dict[Split, Pairs], log: Callable[[str], None]) -> None:
    """Writes how many evaluated sources are training sources too."""
    known = set(splits["train"].sources)
    for split in ("validation", "test"):
        pairs = splits[split]
        seen = sum(source in known for source in pairs.sources)
        if seen:
            log(
                f"{seen:,} of {len(pairs):,} {split} sources are training sources too; "
                "the score counts them."
            )
