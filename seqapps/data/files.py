"""Rows of text from files: plain lines, TSV, CSV and JSONL, each also as .gz.

Files are UTF-8 and read as streams. A row that cannot be taken apart is handed on with the reason,
so that the caller can count it and name it by file and line.
"""

import csv
import difflib
import gzip
import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from seqapps.errors import UserError

TABLES = (".tsv", ".csv", ".jsonl")
"""Endings of the files that are tables; each may be followed by .gz."""

_LISTED = 300
"""Characters of a header that a message shows."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Problem:
    """Something wrong with one row."""

    file: str
    """File as the user named it."""
    line: int
    """Line in the file, the first is 1."""
    reason: str
    """What is wrong, in a few words."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class Row(NamedTuple):
    """One row of a file."""

    line: int
    """Line in the file where the row begins, the first is 1."""
    cells: tuple[str, ...]
    """Texts of the asked columns; bytes that are not UTF-8 are lone surrogates."""
    reason: str = ""
    """Why the row could not be taken apart (then it has no cells), or empty."""


def is_table(path: Path) -> bool:
    """Tells whether the name of a file says that it is a table."""
    return path.name.removesuffix(".gz").endswith(TABLES)


def is_text(text: str) -> bool:
    """Tells whether a text is free of lone surrogates, that is, was valid UTF-8."""
    return text.isascii() or not _SURROGATE.search(text)


def surrogate(text: str) -> re.Match[str] | None:
    """Finds the first lone surrogate of a text."""
    return _SURROGATE.search(text)


def repaired(text: str) -> str:
    """Returns the text with U+FFFD in place of every byte that was not UTF-8."""
    return _SURROGATE.sub("�", text)


def is_blank(text: str) -> bool:
    """Tells whether a text shows nothing: it is empty, or all spaces and control characters."""
    # Printable means neither control, format, unassigned nor separator (but for the space).
    return not any(character.isprintable() and character != " " for character in text)


def read_lines(path: Path) -> Iterator[str]:
    r"""Yields the lines of a text file without their ends (\n or \r\n, nothing else).

    Bytes that are not UTF-8 become lone surrogates: ask `is_text`, then `repaired`.

    Raises:
        UserError: If the file is missing, unreadable or a damaged archive.
    """
    with _opened(path, newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n").removesuffix("\r")


def read_table(path: Path, columns: Sequence[str], *, codes: Collection[str] = ()) -> Iterator[Row]:
    """Yields the rows of a table, reduced to some of its columns.

    TSV and CSV name their columns in the first line; TSV knows no quotes, CSV has those of RFC
    4180. JSONL has one object a line, whose values in the asked columns are strings. Blank lines
    at the end of the file are no rows.

    Args:
        path: File ending in .tsv, .csv or .jsonl, or one of these and .gz.
        columns: Names of the columns to take, in the order of the cells.
        codes: Those of the columns whose JSONL values may be integers, true or false as well;
            they become text as JSON writes it.

    Raises:
        UserError: If the file is missing, unreadable, a damaged archive, or lacks a column.
            The message names the line of the header (JSONL: of the first object) and what is there.
    """
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind == ".jsonl":
        rows = _jsonl_rows(path, columns, codes)
    else:
        rows = {".tsv": _tsv_rows, ".csv": _csv_rows}[kind](path, columns)
    blank: list[Row] = []
    for row in rows:
        if row.reason == _BLANK:
            blank.append(row)
            continue
        yield from blank
        blank.clear()
        yield row


_BLANK = "the line is blank"


def _tsv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    lines = read_lines(path)
    header = next(lines, "").split("\t")
    places = _places(path, 1, header, columns)
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        yield _row(number, cells if line else [], len(header), places)


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    # The csv module finds the ends of rows itself: within quotes they are text.
    with _opened(path, newline="") as file:
        reader = csv.reader(file, strict=True)
        places: list[int] | None = None
        width = 0
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if places is None:
                    raise UserError(f"{path}:{line}: The header is not CSV: {error}.") from None
                # A quote that is never closed takes more lines with it: each of them is lost.
                for lost in range(line, reader.line_num + 1):
                    yield Row(lost, (), f"the line is not valid CSV: {error}")
                continue
            if places is None:
                places = _places(path, line, cells or [], columns)
                width = len(cells or [])
            elif cells is None:
                return
            else:
                yield _row(line, cells, width, places)


def _jsonl_rows(path: Path, columns: Sequence[str], codes: Collection[str]) -> Iterator[Row]:
    checked = False
    for number, line in enumerate(read_lines(path), start=1):
        if is_blank(line):
            yield Row(number, (), _BLANK)
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(number, (), f"the line is not valid JSON: {error}")
            continue
        if not isinstance(record, dict):
            yield Row(number, (), "the line is not a JSON object")
            continue
        if not checked:
            _places(path, number, list(record), columns)
            checked = True
        for name in codes:
            if isinstance(record.get(name), int):
                record[name] = json.dumps(record[name])
        wrong = [name for name in columns if not isinstance(record.get(name), str)]
        if wrong and wrong[0] not in record:
            yield Row(number, (), f"there is no {wrong[0]!r}, only {_listed(list(record))}")
        elif wrong:
            kinds = "string, integer, true or false" if wrong[0] in codes else "string"
            yield Row(number, (), f"{wrong[0]!r} is not a {kinds}")
        else:
            yield Row(number, tuple(record[name] for name in columns))
    if not checked:
        raise UserError(f"{path} holds no JSON object; write one object a line.")


def _row(line: int, cells: Sequence[str], width: int, places: Sequence[int]) -> Row:
    """Makes a row from the cells of a TSV or CSV line."""
    if not cells:
        return Row(line, (), _BLANK)
    if len(cells) != width:
        return Row(line, (), f"the line has {len(cells)} columns, the header has {width}")
    return Row(line, tuple(cells[place] for place in places))


def _places(path: Path, line: int, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Returns where the asked columns stand in the header, which is in that line of the file."""
    header = [name.strip() for name in header]
    others = set(header) - set(columns)
    for name in columns:
        if header.count(name) != 1:
            raise UserError(
                f"{path}:{line}: There must be exactly one column {name!r}; the columns here are "
                f"{_listed(header)}.{suggestion(name, others)}"
            )
    return [header.index(name) for name in columns]


def _listed(names: Sequence[str]) -> str:
    """Lists names of columns for a message."""
    listed = ", ".join(map(repr, names)) or "none"
    # A file that is no table at all may be one endless name.
    return listed if len(listed) <= _LISTED else f"{listed[:_LISTED]}..."


def suggestion(name: str, others: Iterable[str]) -> str:
    """Returns the sentence that offers the name most like a wrong one, or nothing."""
    nearest = difflib.get_close_matches(name, sorted(others), n=1, cutoff=0.5)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


@contextmanager
def _opened(path: Path, *, newline: str) -> Iterator[TextIO]:
    """Opens a file or a .gz as text; what goes wrong while it is read becomes a UserError."""
    open_text = gzip.open if path.name.endswith(".gz") else open
    try:
        with open_text(
            path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=newline
        ) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.{_neighbours(path)}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a complete gzip file ({error}); copy or pack it again."
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


def _neighbours(path: Path) -> str:
    """Names the files in the same folder that are most like the missing one."""
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    names = [file.name for file in path.parent.iterdir()]
    nearest = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f" Similar: {', '.join(nearest)}." if nearest else ""
