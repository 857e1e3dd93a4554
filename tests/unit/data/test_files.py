"""Rows from files: what each format takes, and how bad rows are named."""

import gzip
import json
from pathlib import Path

import pytest

from seqapps.data.files import Row, is_blank, is_text, read_lines, read_table, repaired
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
        ("a.csv", 'en,de\n"a"x,b\nd,e\n', [(2, "the line is not valid CSV: ',' expected")]),
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


def test_every_line_that_an_open_quote_swallows_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'en,de\na,b\n"c,d\ne,f\ng,h\n')
    assert [line for line, _ in bad_rows(path)] == [3, 4, 5]


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
            b"en\tdr\nx\ty\n",
            r"a\.tsv:1: .*one column 'de'; the columns here are 'en', 'dr'. Did you mean 'dr'\?",
        ),
        (
            "a.csv",
            b"english,deutsch\n",
            "a.csv:1: .*'en'; the columns here are 'english', 'deutsch'",
        ),
        ("a.csv", b"en,de,de\n", "exactly one column 'de'"),
        ("a.csv", b"", "a.csv:1: .* 'en'; the columns here are none"),
        ("a.csv", b'en,"de\nx', "a.csv:1: The header is not CSV"),
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
