"""Labelled texts for classification: embedded reviews, tables, or TensorFlow Datasets.

Bad rows are named by file and line. Those of the training data are left out, up to a stated
share. Those of a validation or test set stay, because a score is comparable only on the whole set.
Instead the training data gives up every text that is evaluated too.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seqapps.data import files
from seqapps.data.answered import AnsweredTexts, check_split, log_held_out, text_problem
from seqapps.data.files import FileForm, Problem, Row
from seqapps.data.splits import (
    HeldOutBy,
    Located,
    Split,
    check_shares,
    hold_out,
    load_each,
    read_tfds,
    text_key,
)
from seqapps.errors import UserError
from seqapps.text.scripts import without_spaces

_LISTED = 20
"""Classes that a message lists; of more it tells the number."""

_IMBALANCE = 1.5
"""Ratio of the largest class to the smallest above which the log speaks of it."""

_LOOKED_AT = 200
"""Texts, and characters of each, that tell whether a script has spaces."""

_INTEGER = re.compile("-?[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class LabelledData(FileForm, Located):
    """Where labelled texts come from.

    A location is `reviews` (embedded, English, positive and negative); `tfds:NAME` or
    `tfds:NAME/CONFIG`; or a table (.tsv, .csv, .jsonl), which may be packed as .gz. A file with
    another ending is read as .tsv if its separator or columns are given.
    """

    train: str = "reviews"
    """Location of the training texts."""
    validation: str = ""
    """Location of the validation texts. Empty: the own split of `train`, or a part held out."""
    test: str = ""
    """Location of the test texts. Empty: the own split of `train`, or a part held out."""
    folder: str = "."
    """Folder in which relative paths of the locations begin."""
    text_column: str = "text"
    """Name of the column, or of the feature of a TensorFlow data set, with the texts."""
    label_column: str = "label"
    """Name of the column, or of the feature of a TensorFlow data set, with the classes' names."""
    tfds_folder: str = ""
    """Folder of prepared TensorFlow data sets. Empty: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    max_bad_share: float = 0.05
    """Share of the training rows that may be left out, from 0 to 1; with more the run stops."""
    held_out_share: float = 0.1
    """Share of each class's distinct training texts held out for each missing split, to 0.4."""
    held_out_by: HeldOutBy = "hash"
    """Rule of holding out: `hash`, so that a text stays in its split when others are added; or
    `count`, exactly the share, as bundles of earlier versions have it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.train:
            raise ValueError("train must name training texts, got ''; use 'reviews'.")
        if not self.text_column or not self.label_column:
            raise ValueError(
                "text_column and label_column must be names of columns, got "
                f"{self.text_column!r} and {self.label_column!r}."
            )
        if self.text_column == self.label_column:
            raise ValueError(
                f"text_column and label_column must differ, got {self.text_column!r} for both."
            )
        check_shares(max_bad_share=self.max_bad_share, held_out_share=self.held_out_share)


class Texts(AnsweredTexts):
    """Texts and their classes."""

    @property
    def labels(self) -> list[str]:
        """Names of the texts' classes, in the same order."""
        return self.answers


class LabelledSplits(NamedTuple):
    """The texts to learn from, to choose by, and to report on."""

    train: Texts
    validation: Texts
    test: Texts

    @property
    def classes(self) -> list[str]:
        """Names of the training data's classes, sorted; by value if all are integers."""
        return _sorted(self.train.labels)


def load_labelled(
    settings: LabelledData,
    *,
    seed: int,
    log: Callable[[str], None],
    classes: Sequence[str] | None = None,
) -> LabelledSplits:
    """Loads the three splits.

    Labels are freed of spaces around them. Training rows with an empty, control-character-only or
    non-UTF-8 text, or without a label, are left out and named. In a validation or test set that
    the settings or the data set name, a bad text stays as it is (bytes that are not UTF-8 become
    U+FFFD); a row that has no label or cannot be taken apart stops.

    Training texts that are in such a validation or test set too, case and spacing aside, are
    taken out of the training data. Splits that are missing are held out from what is left, the
    same share of each class, by a hash of the text, so that equal texts are never on both sides.
    Training texts that stand there with several labels are never held out, and each class keeps
    at least one text.

    Args:
        settings: Where the texts come from.
        seed: Chooses what is held out. The embedded reviews are always the same.
        log: Takes lines for the user.
        classes: Names of the classes of an earlier training, which no other may join. None: the
            classes of the training data.

    Raises:
        UserError: If a location has no texts, files are missing or damaged, too many training
            rows are bad, a label is unknown, or there are too few classes or texts.
    """
    embedded = functools.cache(_reviews)
    known = classes

    def load(location: str, split: Split, own: bool) -> Texts | None:
        nonlocal known
        texts = _load(settings, location, split, embedded, known, own=own, log=log)
        # The training data comes first, and the others may have no class that it has not.
        if texts is not None and split == "train":
            there = _checked_classes(texts, settings, log)
            known = known or there
        return texts

    parts, missing = load_each(settings, load)
    there = set(parts["train"].labels)
    parts["train"], removed = _without_evaluated(parts)
    gone = sorted(there - set(parts["train"].labels))
    if gone:
        raise UserError(
            f"Every training text of the class {gone[0]!r} is in the validation or test data too, "
            "so none is left to learn from; name other validation and test data, or none to have "
            "them held out."
        )
    _log_contradictions(parts["train"], log)
    if missing:
        parts.update(_hold_out(parts["train"], missing, settings, seed))
        log_held_out(parts, missing, log, kind="texts")
    log(
        "The training data is free of duplicates across splits: "
        f"{removed:,} texts that are validation or test texts too were taken out of it."
    )
    _log_overlap(parts, log)
    splits = LabelledSplits(**parts)
    _log_classes(splits, log)
    return splits


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What training texts are like, as far as defaults follow from it."""

    texts: int
    """How many there are."""
    classes: int
    """Their classes."""
    characters: int
    """Of all of them together."""
    new_words: float
    """The chance that a word of another such text is in none of them."""
    unspaced: float
    """Share of characters whose scripts have no spaces between words."""


def sizes_of(texts: Texts) -> Sizes:
    """Measures training texts.

    Source: Good 1953, "The Population Frequencies of Species": the chance of what is new is the
    share of what was met once.
    """
    words = Counter(word for text in texts.texts for word in text.lower().split())
    once = sum(1 for count in words.values() if count == 1)
    # Enough to tell a script by.
    some = "".join(text[:_LOOKED_AT] for text in texts.texts[:_LOOKED_AT])
    return Sizes(
        texts=len(texts),
        classes=len(set(texts.labels)),
        characters=sum(map(len, texts.texts)),
        new_words=once / max(1, words.total()),
        unspaced=sum(map(without_spaces, some)) / max(1, len(some)),
    )


def class_weights(labels: Sequence[str], classes: Sequence[str]) -> list[float]:
    """Returns weights with which each class counts the same in total.

    A class of n examples among N of K classes weighs N / (K · n), so that the mean over the
    examples is 1. Classes without an example do not count in K and weigh 1.

    Args:
        labels: Classes of the training examples, at least one.
        classes: Names of all classes.

    Returns:
        The weight of each class, in the order of `classes`.

    Raises:
        ValueError: If there are no labels, or one is not among the classes.

    Source: King and Zeng 2001; "balanced" in scikit-learn.
    """
    counts = Counter(labels)
    if not counts:
        raise ValueError("labels must hold at least one label, got none.")
    unknown = sorted(set(counts) - set(classes))
    if unknown:
        raise ValueError(f"labels must be among the classes {list(classes)}, got {unknown[0]!r}.")
    return [
        len(labels) / (len(counts) * counts[name]) if name in counts else 1.0 for name in classes
    ]


def _sorted(labels: Iterable[str]) -> list[str]:
    """Returns the distinct labels, sorted; by value if all are integers."""
    distinct = sorted(set(labels))
    if all(_INTEGER.fullmatch(label) for label in distinct):
        distinct.sort(key=int)
    return distinct


def _load(
    settings: LabelledData,
    location: str,
    split: Split,
    embedded: Callable[[], dict[Split, list[Row]]],
    known: Sequence[str] | None,
    *,
    own: bool,
    log: Callable[[str], None],
) -> Texts | None:
    """Loads one split, or returns None if `own` asks for a split that the location lacks."""
    columns = (settings.text_column, settings.label_column)
    codes = (settings.label_column,)
    rows: Iterable[Row]
    if location == "reviews":
        rows = embedded()[split]
        name = f"{location} {split}"
    elif location.startswith("tfds:"):
        read = read_tfds(location, settings.tfds_folder, split, columns, own=own, codes=codes)
        if read is None:
            return None
        rows, name = read
    elif own:
        return None
    else:
        path = Path(settings.folder).expanduser() / Path(location).expanduser()
        if not files.is_table(path, settings):
            raise UserError(
                f"Labelled texts must be `reviews`, `tfds:NAME` or a table "
                f"({', '.join(files.TABLES)}, each also .gz; a file with another ending if "
                f"--data.separator or --data.columns is given), got {location!r}."
            )
        rows = files.read_table(path, columns, codes=codes, form=settings)
        name = str(path)
    texts = _sift(rows, name, split, settings, known)
    needs = "each needs a text and a label"
    check_split(texts, split, location, log, kind="texts", needs=needs)
    log(f"Read {len(texts):,} {split} texts from {location}")
    return texts


def _checked_classes(train: Texts, settings: LabelledData, log: Callable[[str], None]) -> list[str]:
    """Returns the classes of the training data, two at least; says which are written alike."""
    classes = _sorted(train.labels)
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(text_key(unicodedata.normalize("NFKC", name)), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            log(
                f"{len(names)} classes differ in nothing but case, spacing or how a character is "
                f"written: {_listed(names)}; write them alike if they are one."
            )
    if len(classes) < 2:
        raise UserError(
            f"Training data must have at least two classes, {settings.train} has only "
            f"{classes[0]!r}; add texts of another class, or name the column of the classes "
            f"(label_column, now {settings.label_column!r})."
        )
    return classes


def _reviews() -> dict[Split, list[Row]]:
    """Returns the embedded reviews as rows."""
    from seqapps.recipes.sentiment import reviews
    from seqapps.recipes.sentiment.harder_reviews import harder_reviews

    made = harder_reviews()
    splits: dict[Split, Sequence[reviews.Review]] = {
        "train": made.train,
        "validation": made.validation,
        "test": made.test,
    }
    return {
        split: [Row(i, (review.text, review.label)) for i, review in enumerate(part, start=1)]
        for split, part in splits.items()
    }


def _sift(
    rows: Iterable[Row],
    name: str,
    split: Split,
    settings: LabelledData,
    known: Sequence[str] | None,
) -> Texts:
    """Takes rows into texts, and notes or leaves out the bad ones.

    Raises:
        UserError: If a label is not among the known ones, or too many rows are bad.
    """
    return Texts.sifted(
        _with_labels(rows),
        lambda row: _problems(row, name),
        split,
        name=name,
        max_bad_share=settings.max_bad_share,
        checked=lambda kept: kept if known is None else _of_classes(kept, known, name),
    )


def _of_classes(rows: Iterable[Row], known: Sequence[str], name: str) -> Iterator[Row]:
    """Yields the rows, whose labels must be known."""
    names = set(known)
    for row in rows:
        label = row.cells[1]
        if label not in names:
            raise UserError(
                f"{name}:{row.line}: The label {label!r} is not among the {len(known)} classes of "
                f"the training: {_listed(known)}.{files.suggestion(label, known)} Mend the row, "
                "or train with texts of this class."
            )
        yield row


def _with_labels(rows: Iterable[Row]) -> Iterator[Row]:
    """Strips the labels; rows without a usable one get the reason in place of their cells."""
    for row in rows:
        if row.reason:
            yield row
            continue
        text, label = row.cells
        if files.is_blank(label):
            yield Row(row.line, (), "the label is empty")
        elif not files.is_text(label):
            yield Row(row.line, (), "the label is not UTF-8")
        else:
            yield Row(row.line, (text, label.strip()))


def _problems(row: Row, name: str) -> Iterator[Problem]:
    """Yields what is wrong with the text of a row."""
    reason = text_problem(row.cells[0])
    if reason:
        yield Problem(name, row.line, reason)


def _listed(names: Sequence[str]) -> str:
    """Lists names for a message, at most some of them."""
    more = len(names) - _LISTED
    return ", ".join(map(repr, names[:_LISTED])) + (f" and {more:,} more" if more > 0 else "")


def _without_evaluated(splits: dict[Split, Texts]) -> tuple[Texts, int]:
    """Returns the training texts that no other split has, and how many it has."""
    train = splits["train"]
    evaluated = {
        text_key(text) for split, part in splits.items() if split != "train" for text in part.texts
    }
    kept = [
        (text, label)
        for text, label in zip(train.texts, train.labels, strict=True)
        if text_key(text) not in evaluated
    ]
    rest = Texts([text for text, _ in kept], [label for _, label in kept], train.problems)
    return rest, len(train) - len(rest)


def _labels_of_keys(texts: Texts) -> dict[str, set[str]]:
    """Returns the labels of each distinct text, case and spacing aside."""
    labels: dict[str, set[str]] = {}
    for text, label in zip(texts.texts, texts.labels, strict=True):
        labels.setdefault(text_key(text), set()).add(label)
    return labels


def _hold_out(
    train: Texts, splits: Sequence[Split], settings: LabelledData, seed: int
) -> dict[Split, Texts]:
    """Splits the training texts, equal ones together, and returns the splits and the rest."""
    classes: dict[str, list[str]] = {}
    for key, labels in _labels_of_keys(train).items():
        # A text of several classes belongs to no one's share, and its score would mean nothing.
        if len(labels) == 1:
            classes.setdefault(min(labels), []).append(key)
    owners: dict[str, Split] = {}
    for keys in classes.values():
        owners |= hold_out(
            keys,
            splits,
            share=settings.held_out_share,
            seed=seed,
            by=settings.held_out_by,
        )
    if set(owners.values()) < set(splits):
        raise UserError(
            f"To hold out {' and '.join(splits)} texts, a class must have at least "
            f"{len(splits) + 1} distinct training texts of its own, and the largest has "
            f"{max(map(len, classes.values()), default=0)}; give more texts, or name these splits."
        )
    return train.dealt(map(text_key, train.texts), owners, splits)


def _log_contradictions(train: Texts, log: Callable[[str], None]) -> None:
    """Writes how many training texts stand there with several labels."""
    several = {key: labels for key, labels in _labels_of_keys(train).items() if len(labels) > 1}
    if several:
        key, labels = next(iter(several.items()))
        shown = key if len(key) <= 60 else key[:59] + "…"
        log(
            f"{len(several):,} training texts stand there with several labels and stay so; "
            f"the first: {shown!r} as {_listed(_sorted(labels))}"
        )


def _log_overlap(splits: dict[Split, Texts], log: Callable[[str], None]) -> None:
    """Writes how many validation texts are test texts too."""
    known = {text_key(text) for text in splits["test"].texts}
    seen = sum(text_key(text) in known for text in splits["validation"].texts)
    if seen:
        log(
            f"{seen:,} of {len(splits['validation']):,} validation texts are test texts too; "
            "the scores count them."
        )


def _log_classes(splits: LabelledSplits, log: Callable[[str], None]) -> None:
    """Writes the numbers of texts of each split by class, and how uneven the classes are."""
    names = _sorted(label for part in splits for label in part.labels)
    more = len(names) - _LISTED
    for split, part in splits._asdict().items():
        counts = Counter(part.labels)
        shown = [f"{label!r} {counts[label]:,}" for label in names[:_LISTED]]
        line = f"{split.capitalize()}: {len(part):,} texts: {', '.join(shown)}"
        line += f" and {more:,} classes more" if more > 0 else ""
        (largest, most), (smallest, fewest) = counts.most_common()[0], counts.most_common()[-1]
        if most > _IMBALANCE * fewest:
            line += (
                f". The largest class ({largest!r}, {most:,}) has {most / fewest:.1f} times the "
                f"texts of the smallest ({smallest!r}, {fewest:,})"
            )
            if split == "train":
                line += "; balanced class weights, a setting of the training, can make up for it"
        log(line)
