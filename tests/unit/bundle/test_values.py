import json
from dataclasses import replace

import numpy as np
import pytest

from seqapps.bundle.values import (
    answers_of,
    batch_of,
    describe,
    for_json,
    option_batch,
    row_of,
    size,
)
from seqapps.errors import UserError
from seqapps.fields import Field, Interface, Option

FIELDS = {
    "text": Field(name="f"),
    "image": Field(name="f", media="image"),
    "texts": Field(name="f", rank=1),
    "number": Field(name="f", dtype="float32", unit="Hz"),
    "count": Field(name="f", dtype="int32"),
    "series": Field(name="f", dtype="float32", rank=1, unit="kg"),
    "frames": Field(name="f", dtype="float32", rank=2, width=(2,)),
}


def only(kind):
    return Interface(inputs=(FIELDS[kind],), outputs=(FIELDS["text"],))


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("text", 3, "a string, got 3"),
        ("text", None, "a string, got None"),
        ("image", 3, r'a PNG or JPEG file, in JSON {"b64": its bytes in base64}, got 3'),
        ("image", {"b64": "#"}, "a PNG or JPEG file, .*got {'b64': '#'}"),
        ("image", {"b64": 3}, "a PNG or JPEG file, "),
        ("image", {"b64": "", "x": 1}, "a PNG or JPEG file, "),
        ("text", ["a"], r"a string, got \['a'\]"),
        ("texts", "abc", "a list of strings, got 'abc'"),
        ("texts", [1], r"a list of strings, got \[1\]"),
        ("number", "3", r"a number \(Hz\), got '3'"),
        ("number", [3], r"a number \(Hz\), got \[3\]"),
        ("number", True, r"a number \(Hz\), got True"),
        ("count", 3.5, "a whole number, got 3.5"),
        ("count", 2**40, "a whole number, got 1099511627776"),
        ("series", 3, r"a list of numbers \(kg\), got 3"),
        ("series", "3 4", r"a list of numbers \(kg\), got '3 4'"),
        ("series", [[1], [2]], r"a list of numbers \(kg\), got \[\[1\], \[2\]\]"),
        ("series", [1, "x" * 100], r"a list of numbers \(kg\), got \[1, 'x+\.\.\.\.$"),
        ("frames", [[1, 2, 3]], r"a list of numbers × 2, got \[\[1, 2, 3\]\]"),
        ("frames", [[1, 2], [3]], r"a list of numbers × 2"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(kind, value, wanted):
    with pytest.raises(UserError, match=f"^f must be {wanted}"):
        row_of(only(kind).inputs, value)


def batch(kind, *values):
    interface = only(kind)
    return {
        name: array.tolist()
        for name, array in batch_of(
            interface.inputs, [row_of(interface.inputs, v) for v in values]
        ).items()
    }


def test_bytes_are_said_in_json_and_read_again():
    fields = (FIELDS["image"], replace(FIELDS["frames"], name="g"), Field(name="t", rank=1))
    row = row_of(fields, {"f": b"\x89\xff\0", "g": [[1, 2], [3, 4]], "t": ["ä", b"\xff"]})
    said = json.loads(json.dumps(for_json(row)))
    assert said == {
        "f": {"b64": "if8A"},
        "g": [[1, 2], [3, 4]],
        "t": [{"b64": "w6Q="}, {"b64": "/w=="}],
    }
    assert for_json(row_of(fields, said)) == said
    assert batch("image", {"b64": "if\n8A\n"}, b"\0") == {"f": [b"\x89\xff\0", b"\0"]}


def test_values_become_padded_batches():
    assert batch("text", "ä", b"\xff", "\ud800") == {"f": ["ä".encode(), b"\xff", b"\xed\xa0\x80"]}
    assert batch("number", 1, 2.5) == {"f": [1.0, 2.5]}
    assert batch("count", np.int64(3)) == {"f": [3]}
    assert batch("series", [1, 2], [], [3]) == {
        "f": [[1, 2], [0, 0], [3, 0]],
        "f_lengths": [2, 0, 1],
    }
    assert batch("series", []) == {"f": [[0]], "f_lengths": [0]}
    frames = {"f": [[[1, 2], [3, 4]], [[0, 0], [0, 0]]], "f_lengths": [2, 0]}
    assert batch("frames", [[1, 2], [3, 4]], []) == frames
    texts = {"f": [[b"a", b"b\x00"], [b"", b""]], "f_lengths": [2, 0]}
    assert batch("texts", ["a", "b\x00"], []) == texts


def test_several_inputs_come_as_a_dict():
    interface = Interface(
        inputs=(Field(name="a"), Field(name="b", dtype="float32", rank=1)),
        outputs=(Field(name="c"),),
    )
    row = row_of(interface.inputs, {"a": "x", "b": [1, 2, 3]})
    assert size(row) == 4
    assert batch_of(interface.inputs, [row])["b_lengths"].tolist() == [3]
    for wrong in ("x", {"a": "x"}, {"a": "x", "b": [], "c": 1}):
        with pytest.raises(UserError, match="a dict with a: a string, b: a list of numbers; got"):
            row_of(interface.inputs, wrong)


def test_answers_are_cut_to_their_lengths_and_made_plain():
    fields = (FIELDS["count"], Field(name="g", rank=1), Field(name="absent"))
    arrays = {
        "f": np.array([1, 2], np.int32),
        "g": np.array([[b"a", b""], [b"b", b"\xff"]], object),
        "g_lengths": np.array([1, 2], np.int32),
    }
    assert answers_of(fields, arrays) == [{"f": 1, "g": ["a"]}, {"f": 2, "g": ["b", "\ufffd"]}]


def test_fields_say_what_they_are():
    assert [describe(field) for field in FIELDS.values()] == [
        "a string",
        'a PNG or JPEG file, in JSON {"b64": its bytes in base64}',
        "a list of strings",
        "a number (Hz)",
        "a whole number",
        "a list of numbers (kg)",
        "a list of numbers × 2",
    ]


def test_an_option_of_strings_has_a_list_for_each_input():
    stop = Option(name="stop", dtype="string", rank=1, default=(), description="", most_bytes=9)
    with pytest.raises(UserError, match="stop takes strings of at most 9 bytes, got one of 10: 'é"):
        option_batch(stop, [["a"], ["b", "é" * 5]], 2)
    assert option_batch(stop, (), 2).shape == (2, 0)
    assert option_batch(stop, ("a", "b"), 2).tolist() == [[b"a", b"b"]] * 2
    assert option_batch(stop, "a", 2).tolist() == [[b"a"]] * 2
    assert option_batch(stop, [["a", "b"], []], 2).tolist() == [[b"a", b"b"], [b"", b""]]
    one = Option(name="begin", dtype="string", default="", description="")
    assert option_batch(one, "ä", 2).tolist() == ["ä".encode()] * 2
    assert option_batch(one, ["a", "b"], 2).tolist() == [b"a", b"b"]
    with pytest.raises(UserError, match="option begin takes strings, got 3|option begin takes"):
        option_batch(one, [3, 4], 2)
    with pytest.raises(UserError, match="option begin needs one value, or one for each of 2"):
        option_batch(one, ["a", "b", "c"], 2)
    with pytest.raises(UserError, match="option stop needs one value, or one for each of 2"):
        option_batch(stop, [["a"], ["b"], ["c"]], 2)
