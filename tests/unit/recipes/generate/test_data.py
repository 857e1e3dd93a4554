"""Running text from everywhere: exact bytes, exact splits, clear errors."""

import dataclasses
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.errors import UserError
from seqapps.recipes.generate.data import Documents, TextData, _cut, load_text, pydoc_topics


def load(tmp_path=".", utf8=True, **settings):
    lines = []
    found, missing = load_text(
        TextData(folder=str(tmp_path), **settings), log=lines.append, utf8=utf8
    )
    assert not missing
    return found, lines


def joined(documents):
    return b"".join(documents.texts)


def test_the_embedded_text_is_long_english_and_split_by_characters():
    splits, lines = load()
    whole = b"".join(pydoc_topics())
    assert joined(splits.train) + joined(splits.validation) == whole
    assert splits.test is splits.validation
    assert splits.train.characters == int(0.9 * len(whole.decode()))
    assert len(whole) > 400_000
    assert "There is no test text: what is reported on is the validation text" in lines


def test_a_file_is_one_document_byte_for_byte(tmp_path):
    text = "First\r\nline é ☃\n" * 50
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    splits, _ = load(tmp_path, train="a.txt")
    assert joined(splits.train) + joined(splits.validation) == text.encode()
    assert splits.train.characters == int(0.9 * len(text))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(text.encode()))
    packed, _ = load(tmp_path, train="a.txt", validation="b.txt.gz", test="b.txt.gz")
    assert joined(packed.train) == joined(packed.test) == text.encode()
    assert packed.test is not packed.validation


def test_text_of_another_encoding_is_told_and_read(tmp_path):
    text = "Gr\u00fc\u00dfe, Za\u017c\u00f3\u0142\u0107\r\n" * 20
    (tmp_path / "a.txt").write_bytes(text.encode("utf-16"))
    with pytest.raises(UserError, match=r"a\.txt is UTF-16, .*--data\.encoding utf-16"):
        load(tmp_path, train="a.txt")
    splits, _ = load(tmp_path, train="a.txt", encoding="utf-16")
    assert joined(splits.train) + joined(splits.validation) == text.encode()
    with pytest.raises(UserError, match=r"a\.txt has another encoding"):
        load(tmp_path, train="a.txt", encoding="utf-8-sig")
    (tmp_path / "a.csv").write_bytes(
        "id;text\r\n1;Gr\u00fc\u00dfe aus K\u00f6ln\r\n".encode("cp1252")
    )
    splits, _ = load(tmp_path, train="a.csv", separator=";", encoding="windows-1252")
    assert (
        joined(splits.train) + joined(splits.validation) == "Gr\u00fc\u00dfe aus K\u00f6ln".encode()
    )


def test_a_folder_gives_its_files_in_order_without_hidden_ones(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("b.txt", "a.md", "sub/c", ".hidden"):
        (tmp_path / "in" / name).write_text(f"<{name}>" * 10)
    splits, lines = load(tmp_path, train="in", validation="in/b.txt")
    assert [text[:7] for text in splits.train.texts] == [b"<a.md><", b"<b.txt>", b"<sub/c>"]
    assert any("Read 3 documents" in line for line in lines)


def test_a_table_gives_a_document_a_row(tmp_path):
    rows = [{"body": f"text {i}\nof two lines"} for i in range(20)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits, _ = load(tmp_path, train="t.jsonl", text_column="body")
    assert splits.train.texts[0] == b"text 0\nof two lines"
    assert (
        joined(splits.train) + joined(splits.validation)
        == "".join(row["body"] for row in rows).encode()
    )
    assert splits.train.texts[1] == b"text 1\nof two lines"
    with pytest.raises(UserError, match=":1: There must be exactly one column 'text'"):
        load(tmp_path, train="t.jsonl")


def test_trying_settings_leaves_the_validation_text_unread(tmp_path):
    (tmp_path / "a.txt").write_text("".join(map(chr, range(40, 140))))
    whole, _ = load(tmp_path, train="a.txt")
    tried, lines = load(tmp_path, train="a.txt", tail_share=0.2)
    assert joined(tried.train) + joined(tried.validation) == joined(whole.train)
    assert tried.test is tried.validation
    assert len(joined(tried.validation).decode()) == 18
    assert any("Trying settings" in line for line in lines)


def test_what_is_no_utf8_is_left_out_or_read_as_bytes(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(30):
        (tmp_path / "in" / f"{number:02}.txt").write_text(f"document {number}")
    (tmp_path / "in" / "15.txt").write_bytes(b"two\nlines\n\xff\xfe broken")
    for number in range(30, 40):
        (tmp_path / "in" / f"{number}.txt").touch()
    splits, lines = load(tmp_path, train="in")
    assert not any(b"broken" in text for text in splits.train.texts)
    assert any(line.endswith("in/15.txt:3: the text is not UTF-8") for line in lines)
    # Empty files are no bad ones, of which ten in forty would be too many.
    assert f"Passed over 10 empty documents of {tmp_path / 'in'}" in lines
    assert len(splits.train.problems) == 1
    raw, _ = load(tmp_path, train="in", utf8=False)
    assert b"two\nlines\n\xff\xfe broken" in raw.train.texts
    with pytest.raises(UserError, match="not UTF-8"):
        load(tmp_path, train="in/15.txt")


def test_half_a_surrogate_pair_is_a_bad_row_and_never_a_crash(tmp_path):
    lines = [json.dumps({"text": f"good one {i}"}) for i in range(30)]
    lines[3] = r'{"text": "half \ud800 pair"}'
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    for utf8 in (True, False):
        splits, log = load(tmp_path, train="t.jsonl", test="t.jsonl", utf8=utf8)
        assert not any(b"half" in text for text in splits.train.texts)
        assert splits.test.texts[3] == "half � pair".encode()
        assert [problem.line for problem in splits.test.problems] == [4]
        assert sum("t.jsonl:4: the text " in line for line in log) == 2


def test_bytes_keep_what_begins_like_a_byte_order_mark(tmp_path):
    content = b"\xef\xbb\xbf" + bytes(range(256)) * 2
    (tmp_path / "a.bin").write_bytes(content)
    splits, _ = load(tmp_path, train="a.bin", utf8=False)
    assert joined(splits.train) + joined(splits.validation) == content


@given(
    st.lists(st.text("aé☃\n", min_size=1, max_size=12), min_size=1, max_size=6),
    st.floats(0.05, 0.4),
)
def test_a_cut_loses_nothing_and_holds_out_the_share(texts, share):
    documents = Documents([text.encode() for text in texts])
    total = sum(map(len, texts))
    if not 0 < int(total * (1 - share)) < total:
        with pytest.raises(UserError, match="too short to hold out"):
            _cut(documents, share)
        return
    first, second = _cut(documents, share)
    assert joined(first) + joined(second) == joined(documents)
    assert first.characters == int(total * (1 - share))
    assert all(first.texts)
    assert all(second.texts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": "nowhere.txt"}, "There is no file or folder .*nowhere.txt; a text is `pydoc`"),
        ({"train": "empty.txt"}, "empty.txt|There is no train text"),
        ({"train": "broken.gz"}, "broken.gz is not a complete gzip file"),
        ({"train": "one.txt"}, "a text of 1 characters is too short to hold out 10%"),
    ],
)
def test_bad_locations_are_named(tmp_path, settings, message):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "one.txt").write_text("x")
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"x" * 999)[:20])
    with pytest.raises(UserError, match=message):
        load(tmp_path, **settings)


def test_a_test_text_alone_is_enough_to_measure(tmp_path):
    (tmp_path / "other.txt").write_text("another text")
    for named in ({}, {"validation": "nowhere.txt"}):
        lines = []
        data = TextData(folder=str(tmp_path), train="gone.txt", test="other.txt", **named)
        splits, missing = load_text(data, log=lines.append, test_alone=True)
        assert splits.test.texts == [b"another text"]
        assert splits.train.texts == splits.validation.texts == []
        assert missing.startswith("There is no file or folder")
        assert any("Measured without the training text" in line for line in lines)
        with pytest.raises(UserError, match=r"no file or folder .*gone\.txt"):
            load_text(data, log=lines.append)
    # Trying settings is about the training text.
    with pytest.raises(UserError, match=r"gone\.txt"):
        load_text(
            dataclasses.replace(data, tail_share=0.1, validation=""),
            log=lines.append,
            test_alone=True,
        )


def test_settings_are_checked():
    for settings, message in (
        ({"train": ""}, "train must name"),
        ({"text_column": ""}, "text_column must be"),
        ({"tail_share": 0.5}, "tail_share must be from 0 to 0.4, got 0.5"),
        ({"held_out_share": 0.0}, "held_out_share must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            TextData(**settings)
