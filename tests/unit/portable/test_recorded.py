"""What a certificate keeps of the answers."""

import json

import numpy as np
import pytest

from seqapps.errors import UserError
from seqapps.fields import MAIN, Field, Interface, Option
from seqapps.portable.recorded import ask_again, keep, pack, unpack

INTERFACE = Interface(
    inputs=(Field(name="sound", media="wav"), Field(name="series", dtype="float32", rank=1)),
    outputs=(Field(name="size", dtype="int32", media="number"),),
    details=(Field(name="twice", dtype="float32", rank=1, media="series"),),
    options=(Option(name="factor", dtype="float32", default=2.0, description="Factor."),),
)


def call(name, batch):
    found = {"size": np.array([len(each) for each in batch["sound"]], np.int32)}
    if name != MAIN:
        found |= {
            "twice": batch["factor"][:, None] * batch["series"],
            "twice_lengths": batch["series_lengths"],
        }
    return found


def row(count):
    return {"sound": b"\xff\x00" * count, "series": np.arange(count, dtype=np.float32)}


def answer(each):
    return {"size": len(each["sound"]), "twice": (2 * each["series"]).tolist()}


def kept_of(*counts):
    rows = [row(count) for count in counts]
    kept = {MAIN: keep(INTERFACE.inputs, rows, [answer(each) for each in rows])}
    # As it comes back from a file.
    return json.loads(json.dumps(kept))


def test_they_are_asked_again_from_json():
    kept = kept_of(3, 0, 1)
    asked = ask_again(INTERFACE, kept, call)
    assert [name for name, *_ in asked] == [MAIN, "options"]
    for _, fields, want, found in asked:
        names = {field.name for field in fields}
        assert [{n: v for n, v in each.items() if n in names} for each in want] == found
        assert [each["size"] for each in found] == [0, 2, 6]
    kept[MAIN]["answers"][2]["twice"][1] = 2.5
    _, (_, _, want, found) = ask_again(INTERFACE, kept, call)
    assert want != found


def test_few_are_kept_and_none_of_the_longest():
    (_, _, want, _), _ = ask_again(INTERFACE, kept_of(*range(40), 100_000), call)
    sizes = [each["size"] for each in want]
    assert len(sizes) == 5
    assert (sizes[0], sizes[-1]) == (0, 54)
    assert ask_again(INTERFACE, kept_of(100_000), call) == []
    assert ask_again(INTERFACE, {}, call) == []


@pytest.mark.parametrize("told", [3, {}, {"answers": [1]}, {"answers": [1], "inputs": {"a": 1}}])
def test_what_cannot_be_read(told):
    with pytest.raises(UserError, match="answers of serving_default cannot be read"):
        ask_again(INTERFACE, {MAIN: told}, call)


def test_arrays_in_json():
    for array in (
        np.array([[b"a\x00", b""]], object),
        np.array([[1.5, -2]], np.float32),
        np.zeros((0, 3), np.int32),
    ):
        back = unpack(*json.loads(json.dumps(pack(array))))
        assert back.shape == array.shape
        assert back.dtype == array.dtype
        assert back.tolist() == array.tolist()
