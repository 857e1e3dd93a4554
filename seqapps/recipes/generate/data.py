"""Running text to learn a language from: embedded, files, folders, tables, TensorFlow Datasets.

A text is a list of documents in their order, each of them bytes exactly as they are stored, but for
what a reader of UTF-8 leaves out (a byte order mark) and unpacks (.gz).
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from seqapps.data import files
from seqapps.data.files import FileForm, Problem, Row
from seqapps.data.splits import (
    Located,
    Split,
    check_shares,
    load_each,
    log_problems,
    read_tfds,
    sift,
)
from seqapps.errors import UserError

_BOM = b"\xef\xbb\xbf"
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Lone surrogates that stand for no byte: JSON can write them, UTF-8 cannot."""


EMBEDDED = "pydoc"
"""The text that is there without any file."""


@dataclass(frozen=True, kw_only=True)
class TextData(FileForm, Located):
    """Where running text comes from.

    A location is `pydoc` (embedded: the topics of Python's help, English technical prose);
    `tfds:NAME` or `tfds:NAME/CONFIG`; a table (.tsv, .csv, .jsonl, each also .gz) with a document a
    row; any other file, which is one document and may be packed as .gz; or a folder, of which every
    file is a document, in the order of their names.
    """

    train: str = EMBEDDED
    """Location of the training text."""
    validation: str = ""
    """Location of the validation text. Empty: the own split of `train`, or its last part."""
    test: str = ""
    """Location of the test text. Empty: the own split of `train`; if it has none, the validation
    text is what is reported on."""
    folder: str = "."
    """Folder in which relative paths of the locations begin."""
    text_column: str = "text"
    """Name of the column, or of the feature of a TensorFlow data set, with the documents."""
    tfds_folder: str = ""
    """Folder of prepared TensorFlow data sets. Empty: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    max_bad_share: float = 0.05
    """Share of the training documents that may be left out, from 0 to 1; with more the run
    stops."""
    held_out_share: float = 0.1
    """Share of the training text, from its end, that is the validation text if there is no other;
    to 0.4. It is one piece, since text is read on from what came before; so it moves when the text
    grows, and text that will grow should name a validation text."""
    tail_share: float = 0.0
    """For trying settings, to 0.4: validate on this share of what is left of the training text,
    from its end, in place of the validation text, which is then not looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.train:
            raise ValueError("train must name a training text, got ''; use 'pydoc'.")
        if not self.text_column:
            raise ValueError("text_column must be the name of a column, got ''.")
        if not 0.0 <= self.tail_share <= 0.4:
            raise ValueError(f"tail_share must be from 0 to 0.4, got {self.tail_share}.")
        check_shares(max_bad_share=self.max_bad_share, held_out_share=self.held_out_share)


@dataclass(frozen=True)
class Documents:
    """Documents in their order."""

    texts: list[bytes]
    """UTF-8."""
    problems: list[Problem] = field(default_factory=list)
    """Documents that are no UTF-8: left out of training data."""

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(map(len, self.texts))

    @property
    def characters(self) -> int:
        """Unicode characters of all."""
        return sum(len(text.decode("utf-8", "replace")) for text in self.texts)

    @property
    def words(self) -> int:
        """Words of all, separated by white space."""
        return sum(len(text.split()) for text in self.texts)


class TextSplits(NamedTuple):
    """The text to learn from, to choose by, and to report on."""

    train: Documents
    validation: Documents
    test: Documents
    """The validation text itself where there is no test text."""


def sizes(settings: TextData, *, utf8: bool) -> dict[str, int]:
    """How long the training text is: its `characters`, and how many `different` ones it has.

    Args:
        settings: Where it comes from.
        utf8: As for `load_text`, whose errors it raises.
    """
    splits, _ = load_text(settings, log=lambda _: None, utf8=utf8)
    documents = splits.train
    different = set().union(*(text.decode("utf-8", "replace") for text in documents.texts))
    return {"characters": documents.characters, "different": len(different)}


def load_text(
    settings: TextData, *, log: Callable[[str], None], utf8: bool = True, test_alone: bool = False
) -> tuple[TextSplits, str]:
    """Loads the splits.

    Args:
        settings: Where the text comes from.
        log: Takes lines for the user.
        utf8: Whether documents must be UTF-8; if not, files are taken byte for byte, a byte order
            mark included.
        test_alone: Whether a test text that the settings name is enough: what is wrong with the
            others is then no error, and they are empty.

    Returns:
        The splits, and what is wrong with the training text, as a rule nothing.

    Raises:
        UserError: If a location has no text, files are missing or damaged, too many documents are
            bad, or the text is too short to hold any out.
    """
    enough = test_alone and bool(settings.test) and not settings.tail_share
    wrong: dict[str, str] = {}

    def load(location: str, split: Split, own: bool) -> Documents | None:
        if own and "train" in wrong:
            return Documents([])
        try:
            return _load(settings, location, split, own=own, log=log, utf8=utf8)
        except UserError as error:
            if not enough or split == "test":
                raise
            wrong[split] = str(error)
            log(f"Measured without the {'training' if split == 'train' else split} text: {error}")
            return Documents([])

    parts, missing = load_each(settings, load)
    if "validation" in missing:
        parts["train"], parts["validation"] = _cut(parts["train"], settings.held_out_share)
        log(f"The last {settings.held_out_share:.0%} of the training text is for validation")
    if settings.tail_share:
        parts["train"], parts["validation"] = _cut(parts["train"], settings.tail_share)
        parts["test"] = parts["validation"]
        log(
            f"Trying settings: the last {settings.tail_share:.0%} of the training text stands in "
            "for the validation text"
        )
    elif "test" in missing:
        parts["test"] = parts["validation"]
        log("There is no test text: what is reported on is the validation text")
    return TextSplits(**parts), wrong.get("train", "")


def _load(
    settings: TextData,
    location: str,
    split: Split,
    *,
    own: bool,
    log: Callable[[str], None],
    utf8: bool,
) -> Documents | None:
    """Loads one split, or returns None if `own` asks for a split that the location lacks."""
    documents = Documents([])
    rows: Iterable[Row]
    if location == EMBEDDED or not location.startswith("tfds:"):
        if own and split != "train":
            return None
    if location == EMBEDDED:
        documents.texts.extend(pydoc_topics())
    elif location.startswith("tfds:"):
        read = read_tfds(location, settings.tfds_folder, split, (settings.text_column,), own=own)
        if read is None:
            return None
        rows, name = read
        _take(rows, documents, name, split, settings, utf8=utf8, log=log)
    else:
        path = Path(settings.folder).expanduser() / Path(location).expanduser()
        paths: Sequence[Path] = ()
        if not path.is_dir() and files.is_table(path, settings):
            rows = files.read_table(path, (settings.text_column,), form=settings)
        else:
            paths, rows = _files(path, utf8=utf8, encoding=settings.encoding)
        _take(rows, documents, str(path), split, settings, utf8=utf8, paths=paths, log=log)
    log_problems(documents.problems, split, log)
    if not documents.size:
        raise UserError(
            f"There is no {split} text in {location}; look at it, or name another one with "
            f"--data.{split}."
        )
    count = f"{len(documents.texts):,} documents, " if len(documents.texts) > 1 else ""
    log(f"Read {count}{documents.size:,} bytes of {split} text from {location}")
    return documents


def pydoc_topics() -> list[bytes]:
    """The topics of Python's help, in the order of their names: 465 kB of English prose."""
    from pydoc_data.topics import topics

    return [topics[name].encode() for name in sorted(topics)]


def _files(path: Path, *, utf8: bool, encoding: str) -> tuple[Sequence[Path], Iterator[Row]]:
    """A file, or every file of a folder, and each as a row whose only cell is its text."""
    inside = [path]
    if path.is_dir():
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
        )
    rows = (
        Row(n, (read_document(file, utf8=utf8, encoding=encoding),))
        for n, file in enumerate(inside, 1)
    )
    return inside, rows


def read_document(path: Path, *, utf8: bool = True, encoding: str = "utf-8") -> str:
    """Reads a whole file, which may be packed as .gz.

    Args:
        path: The file.
        utf8: Whether it is UTF-8, so that a byte order mark at its beginning is no part of it.
        encoding: Another encoding that it has.

    Returns:
        Its text, line ends as they are; bytes that are not UTF-8 are lone surrogates.

    Raises:
        UserError: If it is missing, unreadable, a damaged archive or of another encoding.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if codecs.lookup(encoding).name != "utf-8":
            return content.decode(encoding)
    except FileNotFoundError:
        raise UserError(
            f"There is no file or folder {path}; a text is `pydoc`, `tfds:NAME`, a file or a "
            "folder."
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a complete gzip file ({error}); copy or pack it again."
        ) from None
    except UnicodeError as error:
        raise files.wrong_encoding(path, error) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    if utf8:
        files.check_utf8(path, content[: files.PEEKED])
    return (content.removeprefix(_BOM) if utf8 else content).decode("utf-8", "surrogateescape")


def _take(
    rows: Iterable[Row],
    documents: Documents,
    name: str,
    split: Split,
    settings: TextData,
    *,
    utf8: bool,
    log: Callable[[str], None],
    paths: Sequence[Path] = (),
) -> None:
    """Takes rows into documents, and notes or leaves out the bad ones.

    Args:
        rows: With the text in their only cell; empty ones are passed over.
        documents: Takes texts and problems.
        name: File or data set of the rows.
        split: Split of the rows.
        settings: Where the text comes from.
        utf8: Whether documents must be UTF-8.
        log: Takes lines for the user.
        paths: The file of each row, where each has its own.
    """
    empty = 0

    def filled() -> Iterator[Row]:
        nonlocal empty
        for row in rows:
            if row.cells == ("",):
                empty += 1
            else:
                yield row

    def problems(row: Row) -> Iterator[Problem]:
        text = row.cells[0]
        wrong = None
        if utf8 and not files.is_text(text):
            wrong, reason = files.surrogate(text), "the text is not UTF-8"
        elif not text.isascii() and (wrong := _NO_BYTE.search(text)):
            reason = "the text has half of a surrogate pair, which stands for no bytes"
        if wrong and paths:
            line = text.count("\n", 0, wrong.start()) + 1
            yield Problem(str(paths[row.line - 1]), line, reason)
        elif wrong:
            yield Problem(name, row.line, reason)

    kept = sift(
        filled(),
        problems,
        documents.problems,
        split,
        name=name,
        max_bad_share=settings.max_bad_share,
    )
    documents.texts.extend(_encoded(row.cells[0]) for row in kept)
    if empty:
        log(f"Passed over {empty:,} empty {'documents' if empty > 1 else 'document'} of {name}")


def _encoded(text: str) -> bytes:
    """The bytes of a text; U+FFFD in place of half a surrogate pair, which stands for none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _NO_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def _cut(documents: Documents, share: float) -> tuple[Documents, Documents]:
    """Cuts a text in two, the second part being `share` of its characters."""
    total = sum(map(_length, documents.texts))
    left = int(total * (1.0 - share))
    if not 0 < left < total:
        raise UserError(
            f"a text of {total} characters is too short to hold out {share:.0%} of it; give more "
            "text, or name a validation text."
        )
    first: list[bytes] = []
    for place, text in enumerate(documents.texts):
        length = _length(text)
        if length >= left:
            head, tail = _parted(text, left)
            rest = [part for part in (tail, *documents.texts[place + 1 :]) if part]
            return Documents([*first, head], documents.problems), Documents(rest)
        first.append(text)
        left -= length
    raise AssertionError("the parts of a text are longer than the text")


def _length(text: bytes) -> int:
    """Characters; a byte that is not UTF-8 counts as one."""
    return len(text.decode("utf-8", "surrogateescape"))


def _parted(text: bytes, place: int) -> tuple[bytes, bytes]:
    characters = text.decode("utf-8", "surrogateescape")
    return tuple(  # type: ignore[return-value]
        part.encode("utf-8", "surrogateescape") for part in (characters[:place], characters[place:])
    )
