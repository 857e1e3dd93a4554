"""Rows from files: what each format takes, and how bad rows are named."""

import csv
import gzip
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from seqapps.data.files import (
    FileForm,
    Row,
    is_blank,
    is_table,
    is_text,
    read_lines,
    read_table,
    repaired,
    suggestion,
)
from seqapps.data.splits import spread
from seqapps.errors import UserError


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_lines_end_at_newlines_alone(tmp_path: Path, name: str) -> None:
    content = "\ufeffone \r\n\ntwo\u2028more\x0b\x85\rhere\nlast".encode()
    path = write(tmp_path / name, content)
    assert list(read_lines(path)) == ["one ", "", "two\u2028more\x0b\x85\rhere", "last"]


def test_bytes_that_are_not_utf8_are_found_and_repaired(tmp_path: Path) -> None:
    good, bad = read_lines(write(tmp_path / "a.txt", "gr\u00fcn\n".encode() + b"gr\xfcn\xff\n"))
    assert is_text(good)
    assert not is_text(bad)
    assert repaired(bad) == "gr\ufffdn\ufffd"
    assert repaired(good) == good


@pytest.mark.parametrize(
    ("text", "blank"),
    [("", True), (" \t\u00a0\u3000", True), ("\x00\x07\u200b", True), (" . ", False), ("ж", False)],
)
def test_blank_texts_show_nothing(text: str, blank: bool) -> None:
    assert is_blank(text) == blank


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", 'id\tde\ten\n1\tein "Hund\ta dog, "so"\r\n2\tja\tyes\n'),
        ("a.csv", 'id,de,en\n1,"ein ""Hund","a dog, ""so"""\r\n2,ja,yes\n'),
        (
            "a.jsonl",
            '{"de": "ein \\"Hund", "id": 1, "en": "a dog, \\"so\\""}\n{"de": "ja", "en": "yes"}',
        ),
    ],
)
def test_a_table_gives_the_asked_columns_in_the_asked_order(
    tmp_path: Path, name: str, content: str, packed: str
) -> None:
    path = write(tmp_path / f"{name}{packed}", content.encode())
    first = 1 if name == "a.jsonl" else 2
    assert list(read_table(path, ["en", "de"])) == [
        Row(first, ('a dog, "so"', 'ein "Hund')),
        Row(first + 1, ("yes", "ja")),
    ]
    assert [row.cells for row in read_table(path, ["de"])] == [('ein "Hund',), ("ja",)]


def test_csv_rows_are_named_by_the_line_where_they_begin(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'en,de\n"two\nlines",b\nx,y\n')
    assert list(read_table(path, ["en", "de"])) == [
        Row(2, ("two\nlines", "b")),
        Row(4, ("x", "y")),
    ]


def bad_rows(path: Path) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in read_table(path, ["en", "de"]) if not row.cells]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.tsv", "en\tde\na\tb\tc\nd\te\n", [(2, "the line has 3 columns, the header has 2")]),
        ("a.tsv", "en\tde\na\tb\n\nd\te\nf\tg\n", [(3, "the line is blank")]),
        ("a.csv", "en,de\na\nd,e\n", [(2, "the line has 1 columns, the header has 2")]),
        ("a.csv", 'en,de\nx,y\n"a",b,c\nd,"e, f"\n', [(3, "the line has 3 columns")]),
        ("a.jsonl", '{"en": "a", "de": "b"}\n{"en": \n{"en": "c", "de": "d"}', [(2, "not valid")]),
        ("a.jsonl", '{"en": "a", "de": "b"}\n["c", "d"]', [(2, "not a JSON object")]),
        ("a.jsonl", '{"en": "a", "de": null}', [(1, "'de' is not a string")]),
        ("a.jsonl", '{"en": "a", "de": "b"}\n{"en": "c"}', [(2, "there is no 'de', only 'en'")]),
    ],
)
def test_rows_that_cannot_be_taken_apart_are_named(
    tmp_path: Path, name: str, content: str, expected: list[tuple[int, str]]
) -> None:
    path = write(tmp_path / name, content.encode())
    found = bad_rows(path)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, reason), (_, part) in zip(found, expected, strict=True):
        assert part in reason


def test_codes_may_be_integers_true_or_false(tmp_path: Path) -> None:
    values = ["x", 3, -(10**20), True, False, 1.5, None, ["x"]]
    lines = [json.dumps({"en": "a", "label": value}) for value in values]
    path = write(tmp_path / "a.jsonl", "\n".join(lines).encode())
    rows = list(read_table(path, ["label", "en"], codes=["label"]))
    assert [row.cells[0] for row in rows if row.cells] == [
        "x",
        "3",
        "-100000000000000000000",
        "true",
        "false",
    ]
    assert rows[-1] == Row(8, (), "'label' is not a string, integer, true or false")
    assert [row.line for row in rows if row.reason] == [6, 7, 8]
    assert [row.line for row in read_table(path, ["label"]) if row.cells] == [1]


@pytest.mark.parametrize("lines", [3, 40_000])
def test_a_cell_of_any_length_is_one_cell(tmp_path: Path, lines: int) -> None:
    long = "\n".join(f"{number} and then it rained, Anna wrote" for number in range(lines))
    rows = [f"short {number},{'neg' if number % 2 else 'pos'}" for number in range(20)]
    content = "\n".join(["text,label", *rows[:10], f'"{long}",neg', *rows[10:]])
    path = write(tmp_path / "a.csv", content.encode())
    read = list(read_table(path, ["label", "text"]))
    assert len(read) == 21
    assert read[10] == Row(12, ("neg", long))
    assert read[11] == Row(12 + lines, ("pos", "short 10"))


def test_long_cells_take_memory_by_their_length_alone(tmp_path: Path) -> None:
    long = "\n".join(f"line {number} of a long letter" for number in range(100_000))
    path = write(tmp_path / "a.csv", f'text,label\na,x\n"{long}",y\nb,x\n'.encode())
    tracemalloc.start()
    try:
        lengths = [len(row.cells[0]) for row in read_table(path, ["text"])]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lengths == [1, len(long), 1]
    # The csv module takes four bytes a character, and a line by itself some fifty more.
    assert peak < 14 * len(long)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('x,b\n"a"x,b\nd,e\n', r"a\.csv:3: The quotation marks do not fit together.*\.jsonl"),
        (
            '"a\nb "c" d, e\nf",g\n',
            r"a\.csv:3: The quotation marks of the row that begins in line 2",
        ),
        ('x,"he said \\"no\\", yes"\n', r"a\.csv:2: .*escapechar="),
        ('x,b\n"c,d\ne,f\ng,h\n', r"a\.csv:3: .* is never closed, .* to the last one, 5,"),
        (
            '"a"\nb",c\n',
            r"a\.csv:3: The quotation mark in this line and those in line 2 do not fit",
        ),
        ('x,"a 20\ny,b\nz,c 17"\n', r"a\.csv:2: From .* in this line to the one in line 4 all"),
    ],
)
def test_quotation_marks_that_leave_open_where_a_row_ends_stop(
    tmp_path: Path, content: str, message: str
) -> None:
    path = write(tmp_path / "a.csv", b"en,de\n" + content.encode())
    with pytest.raises(UserError, match=message):
        list(read_table(path, ["en", "de"]))


@pytest.mark.parametrize("label_first", [False, True])
@pytest.mark.parametrize("swallowed", [2, 30])
def test_rows_between_two_stray_marks_are_no_cell(
    tmp_path: Path, swallowed: int, label_first: bool
) -> None:
    def row(number: int, text: str) -> str:
        cells = [text, "neg" if number % 2 else "pos"]
        return ",".join(cells[::-1] if label_first else cells)

    texts = [f"plain review {number}" for number in range(60)]
    # A quotation mark at the beginning of a cell, and one that ends another further down.
    texts[20], texts[20 + swallowed - 1] = '"Great', 'only 20"'
    lines = [row(number, text) for number, text in enumerate(texts)]
    # It stands in a file that is written well elsewhere.
    lines[10] = row(11, '"good, ""really"" good"')
    if swallowed > 2:
        # One of the lines between is no row, one has a class of its own.
        lines[25], lines[26] = "", lines[26].replace("pos", "rare")
    header = row(0, "text").replace("pos", "label")
    path = write(tmp_path / "a.csv", "\n".join([header, *lines]).encode())
    with pytest.raises(UserError, match=rf":22: .* in line {22 + swallowed - 1} all would be"):
        list(read_table(path, ["text", "label"]))


@pytest.mark.parametrize(
    "cell", ["Hello, you\nbye", "a, b\nc, d\ne, f", "one\n\ntwo", 'he said\n"hi, you"', ",\n,"]
)
def test_cells_of_several_lines_stay_cells(tmp_path: Path, cell: str) -> None:
    rows = [(f"text {number}", "neg" if number % 2 else "pos") for number in range(12)]
    rows[5] = (cell, "pos")
    for columns in ((0, 1), (1, 0)):
        path = tmp_path / f"{columns[0]}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(
                [row[place] for place in columns] for row in [("text", "label"), *rows]
            )
        assert [row.cells for row in read_table(path, ["text", "label"])] == rows


def test_tsv_with_the_quotation_marks_of_pandas_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    rows = [("plain", "x"), ('said "no"', "y"), ("tab\there", "x"), ("two\nlines", "y")]
    for rule in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        path = tmp_path / f"{rule}.tsv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", quoting=rule, lineterminator="\n")
            writer.writerows([("text", "label"), *rows])
        assert [row.cells for row in read_table(path, ["text", "label"])] == rows


@pytest.mark.parametrize(
    "cell", ['"Hello."', 'ein "Hund"', '"a" and "b"', '5" by 6"', '"Great\tx\nonly 20"']
)
def test_other_quotation_marks_in_tsv_are_text(tmp_path: Path, cell: str) -> None:
    content = f'text\tlabel\n{cell}\tx\n"He said ""no"""\ty\n'
    if cell.startswith('"Great'):
        content = f"text\tlabel\n{cell}\tx\n"
    path = write(tmp_path / "a.tsv", content.encode())
    read = [row.cells for row in read_table(path, ["text", "label"])]
    assert read == [tuple(line.split("\t")) for line in content.splitlines()[1:]]


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", "en;de\na, b;c\n", FileForm(separator=";")),
        ("a.csv", "sep=;\r\nen;de\r\na, b;c\r\n", FileForm()),
        ("a.csv", 'en, de\n"a, b", "c"\n', FileForm()),
        ("a.tsv", "a, b\tc\tCC-BY\n", FileForm(columns=("en", "de", ""))),
        ("deu.txt", "a, b\tc\tCC-BY\n", FileForm(columns=("en", "de", ""))),
        ("a.tsv", "1\ta, b\t2\tc\n", FileForm(columns=("", "en", "", "de"))),
        ("a.tsv", "en\tde\na, b\tc\n", FileForm(columns=("en", "de"))),
        ("A.TSV", "en|de\na, b|c\n", FileForm(separator="|")),
        ("a.csv", "en\tde\na, b\tc\n", FileForm(separator=r"\t")),
        ("a.jsonl", '{"id": 1, "translation": {"en": "a, b", "de": "c"}}\n', FileForm()),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "windows-1252"])
def test_tables_are_read_as_they_are_said_to_be(
    tmp_path: Path, name: str, content: str, form: FileForm, encoding: str
) -> None:
    path = write(tmp_path / name, content.replace("c", "\u00fc").encode(encoding))
    form = replace(form, encoding=encoding)
    assert is_table(path, form)
    assert [row.cells for row in read_table(path, ["en", "de"], form=form)] == [("a, b", "\u00fc")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"en;de\na;b\n", r"If semicolons separate them, give --data\.separator ';'\.$"),
        (b"en\tde\na\tb\n", r"If tabs separate them, give --data\.separator '\\t'\.$"),
        ("en,de\na,b\n".encode("utf-16"), r"is UTF-16, not UTF-8; .* --data\.encoding utf-16 "),
        ("en,de\na,b\n".encode("utf-16-be"), "give --data.encoding utf-16-be "),
        (b"Hello,Hallo\na,b\n", r"""no header, .* --data\.columns '\["en", "de"\]', with "" for"""),
        (b"English,German\na,b\n", "column 'en'; .* Did you mean 'English'\\?$"),
        (b"en,English\na,b\n", "column 'de'; the columns here are 'en', 'English'\\.$"),
        (b"en,de,de\na,b,c\n", "column 'de'; the columns here are 'en', 'de', 'de'\\.$"),
    ],
)
def test_a_table_of_another_form_is_told_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        list(read_table(write(tmp_path / "a.csv", content), ["en", "de"]))


def test_files_that_are_not_what_they_are_said_to_be_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.en", "caf\u00e9\n".encode())
    with pytest.raises(UserError, match=r"a\.en has another encoding .*--data\.encoding"):
        list(read_lines(path, encoding="utf-16"))
    with pytest.raises(UserError, match=r"b\.en ends its lines as old Macintoshes did"):
        list(read_lines(write(tmp_path / "b.en", b"one\rtwo\rthree\r")))
    with pytest.raises(ValueError, match="encoding must be one that Python knows.*'utf-99'"):
        FileForm(encoding="utf-99")
    with pytest.raises(ValueError, match="separator must be one character.*', '"):
        FileForm(separator=", ")


def test_a_suggestion_never_looks_like_what_is_wrong() -> None:
    assert suggestion("caf\u00e9", ["cafe\u0301", "caff\u00e9"]) == " Did you mean 'caff\u00e9'?"
    assert suggestion("caf\u00e9", ["cafe\u0301"]) == ""
    assert suggestion("label", ["Label", "table"]) == " Did you mean 'Label'?"
    assert suggestion("de", ["Estonian", "German"]) == ""


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path, name: str) -> None:
    rows = {"a.tsv": "en\tde\na\tb", "a.csv": "en,de\na,b", "a.jsonl": '{"en": "a", "de": "b"}'}
    path = write(tmp_path / name, rows[name].encode() + b"\n\n\n")
    assert [row.cells for row in read_table(path, ["en", "de"])] == [("a", "b")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.tsv",
            b"en\tDE\nx\ty\n",
            r"a\.tsv:1: .*one column 'de'; the columns here are 'en', 'DE'. Did you mean 'DE'\?",
        ),
        (
            "a.csv",
            b"english,deutsch\n",
            "a.csv:1: .*'en'; the columns here are 'english', 'deutsch'",
        ),
        ("a.csv", b"en,de,de\n", "exactly one column 'de'"),
        ("a.csv", b"", "a.csv:1: .* 'en'; the columns here are none"),
        ("a.csv", b'en,"de\nx', "a.csv:1: The quotation mark .* never closed"),
        ("a.jsonl", b'\n{"en": "a"}\n', "a.jsonl:2: .* 'de'; the columns here are 'en'"),
        ("a.jsonl", b"not json\n", "holds no JSON object"),
        ("a.tsv.gz", None, "is not a complete gzip file"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    # A packed file that lost its end.
    path.write_bytes(
        gzip.compress(b"en\tde\n" + b"a\tb\n" * 9)[:-9] if content is None else content
    )
    with pytest.raises(UserError, match=message):
        list(read_table(path, ["en", "de"]))


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "train.en", b"")
    with pytest.raises(UserError, match=r"no file .*trian\.en\. Similar: train\.en\."):
        list(read_lines(tmp_path / "trian.en"))
    with pytest.raises(UserError, match="does not exist either"):
        list(read_lines(tmp_path / "nowhere" / "train.en"))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        list(read_lines(tmp_path))
    write(tmp_path / "plain.gz", b"").write_bytes(b"not packed\n")
    with pytest.raises(UserError, match="not a complete gzip file"):
        list(read_lines(tmp_path / "plain.gz"))


def test_a_file_that_is_no_table_is_not_printed_whole(tmp_path):
    file = tmp_path / "noise.tsv"
    file.write_bytes(b"\x1b[31m\xff" * 50_000)
    with pytest.raises(UserError, match="must be exactly one column 'text'") as error:
        list(read_table(file, ["text"]))
    assert len(str(error.value)) < 600
    assert "\x1b" not in str(error.value)


def test_rows_are_spread_evenly():
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(3, 5) == [0, 1, 2]
    assert spread(0, 5) == []
