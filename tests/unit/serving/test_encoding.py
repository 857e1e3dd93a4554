"""Numbers and bytes of requests as arrays, of every declared type."""

import base64

import numpy as np
import pytest

from seqapps.fields import Field, Interface
from seqapps.serving.contract import check, contracts_of
from seqapps.serving.encoding import arrays_of, outputs, predictions
from seqapps.serving.refusals import Refused
from seqapps.serving.settings import Serve

INTERFACE = Interface(
    inputs=(
        Field(name="frames", dtype="float32", rank=2, width=(2,), media="series"),
        Field(name="events", dtype="int32", rank=2, width=(3,), media="events"),
        Field(name="state", dtype="float32", rank=2, width=(1, 2), fixed=True),
        Field(name="picture", media="image"),
        Field(name="words", rank=1),
        Field(name="count", dtype="int32", media="number"),
    ),
    outputs=(Field(name="total", dtype="float32", media="number"),),
)
CONTRACT = contracts_of(INTERFACE)["serving_default"]
FULL = {
    "frames": [[1, 2], [3, 4]],
    "events": [[1, 2, 3]],
    "state": [[0.5, 0.25]],
    "picture": {"b64": base64.b64encode(b"\x89PNG").decode()},
    "words": ["a", "b"],
    "count": 3,
}
EMPTY = FULL | {"frames": [], "events": [], "words": []}


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("iVBO\nRw0K\r\n", b"\x89PNG\r\n"),
        (" iV BO\t", b"\x89PN"),
        ("iVA=", b"\x89P"),
        ("iVA", b"\x89P"),
        ("iQ..", b"\x89"),
        ("", b""),
        # Padding that is there must be right, and web-safe digits are others.
        ("iQ=", None),
        ("iVBO=", None),
        ("i", None),
        ("iV-_", None),
        ("iV=BO", None),
    ],
)
def test_base64_is_read_as_tensorflow_serving_reads_it(text, content):
    request = {"instances": [FULL | {"picture": {"b64": text}}]}
    if content is None:
        with pytest.raises(Refused, match="picture holds b64 that is not base64"):
            arrays(request)
    else:
        assert arrays(request)["picture"].tolist() == [content]


def test_a_value_alone_is_told_that_there_is_one_for_each_row():
    given = arrays_of(CONTRACT, {"instances": [FULL]})
    for name, alone in (("count", np.array(3, np.int32)), ("picture", np.array(b"x", object))):
        with pytest.raises(Refused, match=rf"^{name} has a value for each row, so it is a list, "):
            check(CONTRACT, given | {name: alone}, Serve(bundles=("bundle",)))


def arrays(request):
    return check(CONTRACT, arrays_of(CONTRACT, request), Serve(bundles=("bundle",))).arrays


def test_rows_of_every_type_become_one_padded_batch():
    found = arrays({"instances": [FULL, EMPTY]})
    assert found["frames"].tolist() == [[[1, 2], [3, 4]], [[0, 0], [0, 0]]]
    assert found["frames_lengths"].tolist() == [2, 0]
    assert found["events"].tolist() == [[[1, 2, 3]], [[0, 0, 0]]]
    assert found["state"].tolist() == [[[0.5, 0.25]]] * 2
    assert found["picture"].tolist() == [b"\x89PNG"] * 2
    assert found["words"].tolist() == [[b"a", b"b"], [b"", b""]]
    assert found["count"].tolist() == [3, 3]


def test_rows_and_columns_of_no_steps_keep_their_width():
    rows = arrays({"instances": [EMPTY, EMPTY]})
    columns = arrays({"inputs": {name: [value] * 2 for name, value in EMPTY.items()}})
    for found in (rows, columns):
        assert found["frames"].shape == (2, 1, 2)
        assert found["events"].shape == (2, 1, 3)
        assert found["frames_lengths"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("frames", [[1, 2, 3]], "frames differ in shape|shape .* got"),
        ("frames", [1, 2], "frames differ in shape"),
        ("events", [[1, 2, 0.5]], "events takes whole numbers"),
        ("state", [[1], [2]], "state has shape"),
        ("state", [], "state has shape"),
        ("picture", 3, "picture takes strings, or"),
        ("picture", {"b64": "#"}, "picture holds b64 that is not base64"),
        ("count", [], "count has shape"),
    ],
)
def test_what_does_not_fit_its_field_is_refused(name, value, message):
    with pytest.raises(Refused, match=message):
        arrays({"instances": [FULL | {name: value}]})


def test_large_pictures_are_refused_together():
    size = (4096).to_bytes(4, "big")
    header = b"\x89PNG\r\n\x1a\n" + bytes(8) + size + size
    row = FULL | {"picture": {"b64": base64.b64encode(header).decode()}}
    assert len(arrays({"instances": [row] * 4})["picture"]) == 4
    with pytest.raises(Refused, match="picture are padded to the largest, 16777216 pixels"):
        arrays({"instances": [row] * 5})


def test_answers_of_numbers_are_lists():
    answer = {"a": np.ones((2, 1, 2), np.float32), "b": np.array([1, 2], np.int32)}
    assert predictions(answer) == [{"a": [[1.0, 1.0]], "b": 1}, {"a": [[1.0, 1.0]], "b": 2}]
    assert outputs(answer) == {"a": [[[1.0, 1.0]]] * 2, "b": [1, 2]}
