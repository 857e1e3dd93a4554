"""Rows of text from files: plain lines, TSV, CSV and JSONL, each also as .gz.

Files are UTF-8, unless somebody says otherwise, and read as streams. A row that cannot be taken
apart is handed on with the reason, so that the caller can count it and name it by file and line.
Where quotation marks leave open where a row ends, reading stops: no part of a cell becomes a row.
"""

import codecs
import csv
import difflib
import gzip
import io
import itertools
import json
import re
import sys
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from seqapps.errors import UserError

TABLES = (".tsv", ".csv", ".jsonl")
"""Endings of the files that are tables; each may be followed by .gz."""

_LISTED = 300
"""Characters of a header that a message shows."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
"""What separates columns, and what messages call it."""
_EXCEL = re.compile("sep=(.)\r?\n?")
"""The first line in which Excel says what separates the columns."""
_SHORT = 3
"""Characters from which on a name can be mistyped."""
PEEKED = 64
"""Bytes from the beginning of a file that tell how wide its characters are."""
_FEW = 1000
"""Different values of a column, at most, that may be classes."""
_QUOTES = (
    "Within quotation marks around a cell, separators and line ends are text, and a quotation mark "
    'is written twice (""). Mend the file, or write it as .jsonl or with to_csv of pandas'
)


@dataclass(frozen=True, kw_only=True)
class FileForm:
    """How files are written, where their names do not say it.

    Raises:
        ValueError: If there is no such encoding, or the separator is none.
    """

    encoding: str = "utf-8"
    """Encoding of the files, as Python names it: `utf-8`, `utf-16`, `windows-1252` ..."""
    separator: str = ""
    """Character between the columns of a .tsv or .csv file, such as `;`. Empty: a tab in .tsv, a
    comma in .csv."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a .tsv or .csv file that has no header, in their order."""

    def __post_init__(self) -> None:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(
                "encoding must be one that Python knows, such as utf-16 or windows-1252, got "
                f"{self.encoding!r}."
            ) from None
        if len(self.character) > 1 or self.character in ('"', "\n", "\r"):
            raise ValueError(
                "separator must be one character, no quotation mark and no line end, got "
                f"{self.separator!r}."
            )

    @property
    def character(self) -> str:
        """The separator: a tab may be typed as a backslash and a t."""
        return "\t" if self.separator == r"\t" else self.separator


PLAIN = FileForm()
"""UTF-8, a header, and the separator that the name says."""


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


def is_table(path: Path, form: FileForm = PLAIN) -> bool:
    """Tells whether a file is a table: its name says so, or its form does."""
    return _kind(path) in TABLES or (bool(form.separator or form.columns) and path.is_file())


def _kind(path: Path) -> str:
    """The ending of a file's name, without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


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


def read_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[str]:
    r"""Yields the lines of a text file without their ends (\n or \r\n, nothing else).

    Bytes that are not UTF-8 become lone surrogates: ask `is_text`, then `repaired`.

    Raises:
        UserError: If the file is missing, unreadable, a damaged archive or of another encoding, or
            its lines end with \r alone.
    """
    with _opened(path, newline="\n", encoding=encoding) as file:
        first = next(file, None)
        if first is None:
            return
        if not first.endswith("\n") and first.count("\r") > 1:
            raise UserError(
                f"{path} ends its lines as old Macintoshes did (carriage returns alone); write it "
                f"anew: tr '\\r' '\\n' < {path.name} > FILE."
            )
        for line in itertools.chain([first], file):
            yield line.removesuffix("\n").removesuffix("\r")


def read_table(
    path: Path, columns: Sequence[str], *, codes: Collection[str] = (), form: FileForm = PLAIN
) -> Iterator[Row]:
    """Yields the rows of a table, reduced to some of its columns.

    TSV and CSV name their columns in the first line. CSV has the quotation marks of RFC 4180; TSV
    has none, unless all that are in the file stand where pandas writes them. JSONL has one object
    a line, whose values in the asked columns are strings; they may stand in an object
    `translation` inside of it. Blank lines at the end of the file are no rows.

    Args:
        path: File ending in .tsv, .csv or .jsonl, or one of these and .gz; a file with another
            ending is read as .tsv.
        columns: Names of the columns to take, in the order of the cells.
        codes: Those of the columns whose JSONL values may be integers, true or false as well;
            they become text as JSON writes it.
        form: How the file is written.

    Raises:
        UserError: If the file is missing, unreadable, a damaged archive, of another encoding or
            lacks a column; the message names the line of the header (JSONL: of the first object)
            and what is there. If quotation marks leave open where a row ends; the message names
            their lines.
    """
    if _kind(path) == ".jsonl":
        rows = _jsonl_rows(path, columns, codes, form.encoding)
    else:
        rows = _separated_rows(path, columns, form)
    blank: list[Row] = []
    for row in rows:
        if row.reason == _BLANK:
            blank.append(row)
            continue
        yield from blank
        blank.clear()
        yield row


_BLANK = "the line is blank"


def _separated_rows(path: Path, columns: Sequence[str], form: FileForm) -> Iterator[Row]:
    separator = form.character or "\t"
    if _kind(path) == ".csv":
        separator = form.character or _told_separator(path, form.encoding) or ","
        quoted = True
    else:
        quoted = _is_quoted(path, separator, form.encoding)
    numbered: Iterator[tuple[int, Sequence[str]]]
    if quoted:
        numbered = _quoted_rows(path, separator, form)
    else:
        lines = enumerate(read_lines(path, encoding=form.encoding), start=1)
        numbered = ((number, line.split(separator) if line else []) for number, line in lines)
    header = [name.strip() for name in form.columns]
    width = 0
    places: list[int] = []
    for line, cells in numbered:
        if not places:
            there = [name.strip() for name in cells]
            places = _places(path, line, header or there, columns, separator)
            width = len(header or there)
            # A header is no row, be it asked for or not.
            if there == (header or there):
                continue
        if not cells:
            yield Row(line, (), _BLANK)
        elif len(cells) != width:
            named = "data.columns has" if header else "the header has"
            yield Row(line, (), f"the line has {len(cells)} columns, {named} {width}")
        else:
            yield Row(line, tuple(cells[place] for place in places))
    if not places:
        _places(path, 1, header, columns, separator)


def _told_separator(path: Path, encoding: str) -> str:
    """What the first line of a file that Excel wrote says that separates its columns."""
    with _opened(path, newline="", encoding=encoding) as file:
        told = _EXCEL.fullmatch(file.readline(8))
    return told[1] if told else ""


class _Record(NamedTuple):
    """A row of a file with quotation marks."""

    line: int
    """Where it begins."""
    raw: list[str]
    """Its lines with their ends."""
    cells: list[str]
    """Its cells."""

    @property
    def marks(self) -> int:
        """Its quotation marks."""
        return sum(line.count('"') for line in self.raw)

    def like_rows(self, separator: str, width: int) -> int:
        """How many of its lines have as many separators as a row."""
        return sum(line.count(separator) == width - 1 for line in self.raw)

    def is_written(self, separator: str, width: int) -> bool:
        """Whether a writer put its marks around cells, because of what is in them."""
        if len(self.cells) != width or not self.marks:
            return False
        if len(self.raw) > 1:
            return self.like_rows(separator, width) < len(self.raw)
        return self.raw[0].count(separator) >= width or '""' in self.raw[0]


class _Misfit(UserError):
    """Quotation marks that do not fit together."""


def _records(path: Path, separator: str, encoding: str, newline: str = "") -> Iterator[_Record]:
    """Cuts a file into rows by its quotation marks.

    Raises:
        _Misfit: If they do not fit together: nobody knows then where the row ends.
    """
    # The limit of 131,072 characters would make rows of the rest of a long cell.
    csv.field_size_limit(sys.maxsize)
    raw: list[str] = []
    with _opened(path, newline=newline, encoding=encoding) as file:
        first = next(file, "")
        before = 0
        if _EXCEL.fullmatch(first):
            first, before = next(file, ""), 1

        def lines() -> Iterator[str]:
            for line in itertools.chain([first] if first else [], file):
                raw.append(line)
                yield line

        # Where the header has a space after each separator, spaces there are no text.
        names = first.split(separator)[1:]
        spaced = bool(names) and all(name.startswith(" ") for name in names)
        reader = csv.reader(lines(), delimiter=separator, strict=True, skipinitialspace=spaced)
        while True:
            raw.clear()
            line = reader.line_num + before + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise _misfit(path, line, reader.line_num + before, raw[-1], error) from None
            if cells is None:
                return
            yield _Record(line, [*raw], cells)


def _misfit(path: Path, first: int, last: int, raw: str, error: csv.Error) -> _Misfit:
    """Says which quotation marks do not fit together."""
    if "end of data" in str(error):
        return _Misfit(
            f"{path}:{first}: The quotation mark before a cell of this line is never closed, so "
            f"that all lines to the last one, {last}, would be the cell's text. {_QUOTES}."
        )
    began = f" of the row that begins in line {first}" if first < last else ""
    escaped = " (with escapechar='\\\\', read_csv reads this one)" if '\\"' in raw else ""
    return _Misfit(
        f"{path}:{last}: The quotation marks{began} do not fit together: {error}. "
        f"{_QUOTES}{escaped}."
    )


def _quoted_rows(path: Path, separator: str, form: FileForm) -> Iterator[tuple[int, Sequence[str]]]:
    """Yields rows with their lines, the header as well.

    Raises:
        UserError: If quotation marks leave open where a row ends.
    """
    width = len(form.columns)
    short = 0
    look: _Look | None = None
    for record in _records(path, separator, form.encoding):
        line, raw, cells = record
        width = width or len(cells)
        if len(raw) > 1 < width and 2 * record.like_rows(separator, width) >= len(raw):
            look = look or _look(path, separator, form.encoding, width)
            if look.finds_rows_in(record, separator):
                raise UserError(
                    f"{path}:{line}: From the quotation mark in this line to the one in line "
                    f"{line + len(raw) - 1} all would be one cell, but the lines look like rows of "
                    f"their own. {_QUOTES}. If they are one text, write the file as .jsonl."
                )
        if record.marks:
            # Cells that ended too early leave the rest of their text behind.
            if short and record.marks % 2:
                raise UserError(
                    f"{path}:{line}: The quotation mark in this line and those in line {short} do "
                    f"not fit together. {_QUOTES}."
                )
            if len(cells) != width:
                short = line
        yield line, cells


class _Look(NamedTuple):
    """What the rows of one line each are like, and the quotation marks."""

    width: int
    """Cells of a row."""
    few: dict[int, set[str]]
    """The values of columns that have few, classes as a rule, by the column's place."""
    written: bool
    """Whether a writer put quotation marks around cells."""

    def finds_rows_in(self, record: _Record, separator: str) -> bool:
        """Whether the lines of a record, half of which could be rows, are rows."""
        alike, known = 0, dict.fromkeys(self.few, 0)
        for line in record.raw:
            cells = line.rstrip("\r\n").split(separator)
            if len(cells) == self.width:
                alike += 1
                for place, values in self.few.items():
                    known[place] += cells[place].strip('" ') in values
        # Prose has commas as well, but its lines have no classes in the column of the classes. (One
        # row of ten may have a class that no other row has.)
        if self.few:
            return max(known.values()) >= 0.9 * alike
        return alike == len(record.raw) > 2 and not self.written


def _look(path: Path, separator: str, encoding: str, width: int) -> _Look:
    """Looks through a whole file."""
    rows, written = 0, False
    seen: list[set[str]] = [set() for _ in range(width)]
    for record in _records(path, separator, encoding):
        written = written or record.is_written(separator, width)
        if len(record.raw) > 1 or len(record.cells) != width:
            continue
        rows += 1
        for values, cell in zip(seen, record.cells, strict=True):
            if len(values) <= _FEW:
                values.add(cell.strip())
    few = min(_FEW, rows // 2)
    return _Look(width, {i: seen[i] for i in range(width) if len(seen[i]) <= few}, written)


def _is_quoted(path: Path, separator: str, encoding: str) -> bool:
    """Whether all quotation marks of a file stand where the csv module, and pandas, write them."""
    rule: Literal[0, 1] = csv.QUOTE_MINIMAL
    width = found = 0
    try:
        for record in _records(path, separator, encoding, newline="\n"):
            if not width:
                width = len(record.cells)
                rule = csv.QUOTE_ALL if record.raw[0].startswith('"') else rule
            if not record.marks:
                continue
            written = io.StringIO()
            writer = csv.writer(written, delimiter=separator, quoting=rule, lineterminator="\n")
            writer.writerow(record.cells)
            same = written.getvalue().rstrip("\n") == "".join(record.raw).rstrip("\r\n")
            several = len(record.raw) > 1 and record.like_rows(separator, width) > 1
            if not same or several:
                return False
            found += 1
    except _Misfit:
        return False
    return found > 0


def _jsonl_rows(
    path: Path, columns: Sequence[str], codes: Collection[str], encoding: str
) -> Iterator[Row]:
    checked = False
    for number, line in enumerate(read_lines(path, encoding=encoding), start=1):
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
        # As data sets of translations on the Hugging Face Hub have it.
        if isinstance(pair := record.get("translation"), dict):
            record = {**pair, **record}
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


def _places(
    path: Path, line: int, header: Sequence[str], columns: Sequence[str], separator: str = ""
) -> list[int]:
    """Returns where the asked columns stand in the header, which is in that line of the file.

    Raises:
        UserError: If one stands there not at all or twice.
    """
    header = [name.strip() for name in header]
    for name in columns:
        if header.count(name) != 1:
            raise UserError(
                f"{path}:{line}: There must be exactly one column {name!r}; the columns here are "
                f"{_listed(header)}.{_header_hint(header, name, columns, separator)}"
            )
    return [header.index(name) for name in columns]


def _header_hint(header: Sequence[str], name: str, columns: Sequence[str], separator: str) -> str:
    """What helps where a column is not in the header, a sentence or nothing."""
    if not separator:
        return suggestion(name, set(header) - set(columns))
    for other, called in _SEPARATORS.items():
        if len(header) == 1 and other in header[0] and other != separator:
            typed = r"\t" if other == "\t" else other
            return f" If {called} separate them, give --data.separator '{typed}'."
    if near := suggestion(name, set(header) - set(columns)):
        return near
    if not set(columns).isdisjoint(header) or len(header) < len(columns):
        return ""
    example = json.dumps(columns, ensure_ascii=False)
    return (
        " If this is no header, name all columns in their order, such as --data.columns "
        f"'{example}', with \"\" for each that does not matter."
    )


def _listed(names: Sequence[str]) -> str:
    """Lists names of columns for a message."""
    listed = ", ".join(map(repr, names)) or "none"
    # A file that is no table at all may be one endless name.
    return listed if len(listed) <= _LISTED else f"{listed[:_LISTED]}..."


def suggestion(name: str, others: Iterable[str]) -> str:
    """Returns the sentence that offers the name most like a wrong one, or nothing."""
    # Two names that look alike would be no help.
    looks = unicodedata.normalize("NFKC", name)
    folded = {
        other.casefold(): other
        for other in sorted(others, reverse=True)
        if unicodedata.normalize("NFKC", other) != looks
    }
    wanted = name.casefold()
    if len(wanted) < _SHORT:
        # A few letters are like any name; those of a language begin it, if anything.
        nearest = [key for key in sorted(folded) if key.startswith(wanted)]
    else:
        nearest = difflib.get_close_matches(wanted, sorted(folded), n=1, cutoff=0.5)
    return f" Did you mean {folded[nearest[0]]!r}?" if nearest else ""


@contextmanager
def _opened(path: Path, *, newline: str, encoding: str = "utf-8") -> Iterator[TextIO]:
    """Opens a file or a .gz as text; what goes wrong while it is read becomes a UserError."""
    encoding = codecs.lookup(encoding).name
    plain = encoding == "utf-8"
    try:
        content = gzip.open(path) if path.name.endswith(".gz") else path.open("rb")
        with io.TextIOWrapper(
            content,
            encoding="utf-8-sig" if plain else encoding,
            errors="surrogateescape" if plain else "strict",
            newline=newline,
        ) as file:
            if plain:
                check_utf8(path, content.peek(PEEKED)[:PEEKED])
            yield file
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.{_neighbours(path)}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a complete gzip file ({error}); copy or pack it again."
        ) from None
    except UnicodeError as error:
        raise wrong_encoding(path, error) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


def wrong_encoding(path: Path, error: UnicodeError) -> UserError:
    """What is said of a file that cannot be decoded."""
    return UserError(f"{path} has another encoding ({error}); name it with --data.encoding.")


def check_utf8(path: Path, head: bytes) -> None:
    """Checks that a file does not begin as those of wider characters do.

    Args:
        path: The file.
        head: Its first bytes, `PEEKED` of them.

    Raises:
        UserError: If it does.
    """
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        found = "utf-32"
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found = "utf-16"
    elif len(head) > 3 and not any(head[1::2]) and all(head[::2]):
        found = "utf-16-le"
    elif len(head) > 3 and not any(head[::2]) and all(head[1::2]):
        found = "utf-16-be"
    else:
        return
    raise UserError(
        f"{path} is {found.upper()}, not UTF-8; save it as UTF-8, or give --data.encoding {found} "
        "(for tables and text)."
    )


def _neighbours(path: Path) -> str:
    """Names the files in the same folder that are most like the missing one."""
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    names = [file.name for file in path.parent.iterdir() if file.name != path.name]
    nearest = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f" Similar: {', '.join(nearest)}." if nearest else ""
