"""Applications of one network: every kind of field goes in and comes out, without further code."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from seqapps.bundle.values import answers_of, batch_of
from seqapps.errors import UserError
from seqapps.fields import MAIN, Field, Interface, Option, Signature
from seqapps.images.decode import decode_pictures
from seqapps.portable.certificate import compare
from seqapps.portable.one_pass import whole_answers, whole_parts
from seqapps.portable.onnx import write_export
from seqapps.portable.probes import pictures, probes
from seqapps.portable.runtime.whole import WholePredictor

NUMBER = Field(name="number", dtype="float32", media="number")
COLOURS = Interface(
    inputs=(Field(name="picture", media="image"),),
    outputs=(Field(name="colour"), Field(name="read", dtype="int32", media="number")),
    details=(Field(name="ranking", rank=1), Field(name="shares", dtype="float32", rank=1)),
)
NAMES = {"colour": "colours.json", "ranking": "colours.json"}
ASSETS = {"colours.json": b'["red", "green", "blue"]'}


def colours(inputs, options):
    """Which colour a picture has the most of."""
    sums_B3 = tf.reduce_sum(tf.cast(inputs["picture"], tf.float32), (1, 2))
    shares_B3 = sums_B3 / tf.maximum(1.0, tf.reduce_sum(sums_B3, 1, keepdims=True))
    falling_B3, ranking_B3 = tf.math.top_k(shares_B3, 3)
    three_B = tf.fill([tf.shape(sums_B3)[0]], 3)
    return {
        "colour": ranking_B3[:, 0],
        "read": 1 - inputs["picture_status"],
        "ranking": ranking_B3,
        "ranking_lengths": three_B,
        "shares": falling_B3,
        "shares_lengths": three_B,
    }


# Every kind of field that holds numbers, in and out, and options of every number.
EVERYTHING = Interface(
    inputs=(
        NUMBER,
        Field(name="count", dtype="int32", media="number"),
        Field(name="series", dtype="float32", rank=1, media="series"),
        Field(name="events", dtype="int32", rank=2, width=(3,), media="events"),
        Field(name="state", dtype="float32", rank=2, width=(2, 2), fixed=True),
    ),
    outputs=(
        Field(name="total", dtype="float32", media="number"),
        Field(name="state", dtype="float32", rank=2, width=(2, 2), fixed=True),
        Field(name="events", dtype="int32", rank=2, width=(3,), media="events"),
    ),
    options=(
        Option(name="scale", dtype="float32", default=2.0, description="Factor."),
        Option(name="seed", dtype="int64", default=2**40, description="Added to the events."),
        Option(name="label", dtype="string", default="x", description="Nothing to a network."),
    ),
    further=(
        Signature(
            name="twice",
            inputs=(NUMBER,),
            outputs=(Field(name="number", dtype="float32", media="number"),),
            options=("scale",),
        ),
        Signature(name="spoken", inputs=(Field(name="words", rank=1),), outputs=(NUMBER,)),
    ),
)


def everything(inputs, options):
    steps_BT = tf.sequence_mask(inputs["series_lengths"], tf.shape(inputs["series"])[1], tf.float32)
    total_B = tf.reduce_sum(inputs["series"] * steps_BT, 1) + inputs["number"]
    added_B = tf.cast(options["seed"] % 7, tf.int32) + inputs["count"]
    return {
        "total": total_B * options["scale"],
        "state": tf.transpose(inputs["state"], (0, 2, 1)) + total_B[:, tf.newaxis, tf.newaxis],
        "events": inputs["events"] + added_B[:, tf.newaxis, tf.newaxis],
        "events_lengths": inputs["events_lengths"],
        "not asked for": total_B,
    }


def twice(inputs, options):
    # The seed is no option of this signature, and has its default in it.
    odd = tf.cast(options["seed"] % 2, tf.float32)
    return {"number": 2.0 * inputs["number"] * options["scale"] + odd}


def exported(folder, computed, interface, names, assets):
    folder.mkdir()
    parts = whole_parts(computed, interface, names)
    write_export(
        folder, parts=parts, assets=assets, interface=interface, recipe="some", summary="It works."
    )
    return WholePredictor(folder)


def asked(answer, fields, given, rows, **options):
    """What the served function gives for rows, by `answers_of`."""
    batch = {name: tf.constant(value) for name, value in batch_of(fields, rows).items()}
    outputs = answer(batch, {name: tf.constant(value) for name, value in options.items()})
    return answers_of(given, {name: value.numpy() for name, value in outputs.items()})


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painted") / "onnx"
    return exported(folder, {MAIN: colours}, COLOURS, NAMES, ASSETS)


def test_a_picture_gives_names_in_every_form(painted):
    rows = probes(COLOURS.inputs, [])
    answer = whole_answers({MAIN: colours}, COLOURS, ASSETS, NAMES)[MAIN]
    given = COLOURS.outputs_of("options")
    want = asked(answer, COLOURS.inputs, given, rows)
    files = [row["picture"] for row in rows]
    assert compare(given, want, painted.answers(files))["equal"]
    assert [row["read"] for row in want] == (1 - decode_pictures(files)[2].numpy()).tolist()
    red = tf.io.encode_png(tf.constant([[[200, 3, 9]]], tf.uint8)).numpy()
    assert painted([red]) == ["red"]
    assert painted.answers([red])[0]["ranking"] == ["red", "blue", "green"]


def test_pictures_are_named_as_files_on_the_command_line(painted, tmp_path):
    files = []
    for number, data in enumerate(pictures()[:2]):
        files.append(tmp_path / f"{number}.picture")
        files[-1].write_bytes(data)
    program = [sys.executable, "-IB", painted.folder / "predictor.py"]
    done = subprocess.run([*program, *files, "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == painted.answers([file.read_bytes() for file in files])
    done = subprocess.run(program, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert "name the pictures to see" in done.stderr
    assert "predictor.py picture.png" in (painted.folder / "predictor.py").read_text()


def test_a_number_alone_is_a_line_of_json(tmp_path):
    # Of a number nobody needs to say that it is no text.
    interface = Interface(
        inputs=(Field(name="number", dtype="float32"),),
        outputs=(Field(name="double", dtype="float32"),),
    )

    def double(inputs, options):
        return {"double": 2.0 * inputs["number"]}

    predictor = exported(tmp_path / "onnx", {MAIN: double}, interface, {}, {})
    program = [sys.executable, "-IB", predictor.folder / "predictor.py"]
    done = subprocess.run(program, input="2\n3.5\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "4.0\n7.0\n", "")
    assert "predictor.py < in.jsonl" in (predictor.folder / "predictor.py").read_text()


def test_every_kind_of_number_goes_in_and_comes_out(tmp_path):
    computed = {MAIN: everything, "twice": twice}
    predictor = exported(tmp_path / "onnx", computed, EVERYTHING, {}, {})
    assert predictor.further == ("twice",)
    rows = probes(EVERYTHING.inputs, [])
    answer = whole_answers(computed, EVERYTHING, {}, {})
    strategy = {"scale": [3.0] * len(rows), "seed": np.arange(len(rows)) + 2**40}
    want = asked(answer[MAIN], EVERYTHING.inputs, EVERYTHING.outputs, rows, **strategy)
    assert len({row["total"] for row in want}) > 2
    found = predictor.answers(rows, label="anything", **strategy)
    assert compare(EVERYTHING.outputs, want, found)["equal"]
    assert [row["number"] for row in predictor.ask("twice", [1, 2.5], scale=[1.0, 2.0])] == [2, 10]
    for rows, message in (
        ([[1]], "number must be a number, got"),
        (["1"], "number must be a number, got '1'"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.ask("twice", rows)
    with pytest.raises(ValueError, match="there is no signature 'spoken'; there is twice"):
        predictor.ask("spoken", [["a"]])


def test_what_no_network_takes_or_gives_is_said():
    with pytest.raises(UserError, match="words is text or a recording, which no network takes"):
        whole_parts({"spoken": twice}, EVERYTHING, {})
    with pytest.raises(UserError, match="colour is text, which no network gives; say its names"):
        whole_parts({MAIN: colours}, COLOURS, {})
    with pytest.raises(UserError, match="assets/colours.json is missing"):
        whole_answers({MAIN: colours}, COLOURS, {}, NAMES)
