import json
import math
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from seqapps.bundle.application import load, load_network
from seqapps.bundle.folder import write_config
from seqapps.bundle.servable import write_servable
from seqapps.bundle.values import for_json, row_of
from seqapps.errors import UserError
from seqapps.fields import MAIN, Field, Interface, Option, Signature
from seqapps.portable import certificate
from seqapps.portable.certificate import certify, check_files, compare, device_bound
from seqapps.portable.probes import probes
from seqapps.portable.runtime.picture import decode_pictures

# Keras 3.15 reads its variables in a way that NumPy 2 wants otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Two inputs, one of them a list of strings; every kind of output; options of every type.
INTERFACE = Interface(
    inputs=(
        Field(name="frames", dtype="float32", rank=2, width=(2,)),
        Field(name="words", rank=1),
    ),
    outputs=(
        Field(name="total", dtype="float32", media="number"),
        Field(name="shouted", rank=1),
    ),
    details=(Field(name="running", dtype="float32", rank=1), Field(name="count", dtype="int32")),
    options=(
        Option(name="scale", dtype="float32", default=2.0, description="Factor."),
        Option(name="extra", dtype="int64", default=0, description="Added to the count."),
    ),
    further=(
        Signature(
            name="spread",
            outputs=(
                Field(name="range", dtype="float32"),
                Field(name="sorted", dtype="float32", rank=1),
                Field(name="joined"),
            ),
        ),
    ),
)
SAMPLES = [
    {"frames": np.arange(2 * n, dtype=np.float32).reshape(n, 2), "words": ["w"] * (n % 4)}
    for n in range(1, 9)
]


def build(factor=1.0):
    frames = keras.Input((None, 2), dtype="float32", name="frames")
    sums = keras.layers.Dense(
        1, use_bias=False, kernel_initializer=keras.initializers.Constant(factor)
    )(frames)
    return keras.Model(frames, sums)


def answers_of(network, *, spoilt=""):
    def answer(inputs, options):
        lengths_B = inputs["frames_lengths"]
        real_BT = tf.sequence_mask(lengths_B, tf.shape(inputs["frames"])[1], tf.float32)
        sums_BT = network(inputs["frames"])[:, :, 0] * real_BT
        if spoilt == "by batch":
            sums_BT += 0.001 * tf.reduce_mean(sums_BT)
        if spoilt == "by padding":
            sums_BT += 0.001 * tf.cast(tf.shape(sums_BT)[1], tf.float32)
        return {
            "total": tf.reduce_sum(sums_BT, 1) * options["scale"],
            "shouted": tf.strings.upper(inputs["words"]),
            "shouted_lengths": inputs["words_lengths"],
            # Beyond its length a row may hold anything.
            "running": tf.cumsum(sums_BT, 1),
            "running_lengths": lengths_B,
            "count": inputs["words_lengths"] + tf.cast(options["extra"], tf.int32),
        }

    def spread(inputs, options):
        lengths_B = inputs["frames_lengths"]
        sums_BT = network(inputs["frames"])[:, :, 0]
        real_BT = tf.sequence_mask(lengths_B, tf.shape(sums_BT)[1])
        sorted_BT = tf.sort(tf.where(real_BT, sums_BT, np.inf))
        none_B = lengths_B == 0
        range_B = tf.reduce_max(tf.where(real_BT, sums_BT, -np.inf), 1) - tf.reduce_min(
            tf.where(real_BT, sums_BT, np.inf), 1
        )
        if spoilt == "further":
            range_B += 0.001 * tf.cast(tf.shape(sums_BT)[0], tf.float32)
        return {
            "range": tf.where(none_B, 0.0, range_B),
            "sorted": sorted_BT,
            "sorted_lengths": lengths_B,
            "joined": tf.strings.reduce_join(
                tf.RaggedTensor.from_tensor(inputs["words"], inputs["words_lengths"]),
                1,
                separator="|",
            ),
            # Of the main signature: not among what this one declares.
            "total": range_B,
        }

    return {MAIN: answer, "spread": spread}


def write(folder, network, *, spoilt=""):
    folder.mkdir()
    write_config(folder, recipe="sums", interface=INTERFACE, settings={})
    network.save(folder / "model.keras")
    write_servable(
        folder / "servable" / "1",
        answers=answers_of(network, spoilt=spoilt),
        variables=network.variables,
        interface=INTERFACE,
    )
    return folder


@pytest.fixture(scope="module")
def network():
    return build()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, network):
    return write(tmp_path_factory.mktemp("certificate") / "bundle", network)


def certified(folder, network, **spoilt):
    return certify(
        folder,
        interface=INTERFACE,
        network=network,
        answers_of_network=lambda model: answers_of(model, **spoilt),
        samples=SAMPLES,
    )


@pytest.fixture
def no_process(monkeypatch):
    """Spares the fresh process where it is not what is tested."""
    monkeypatch.setattr(certificate, "_ask_fresh", lambda *_: {})


def test_a_good_bundle_is_certified_whatever_its_types(bundle, network):
    found = certified(bundle, network)
    assert found["holds"] is True
    assert all(row["equal"] and row["largest_difference"] < 1e-6 for row in found["rows"])
    assert [row["form"] for row in found["rows"]] == [
        "each input alone",
        "eager",
        "model.keras, reloaded",
        "each input alone, spread",
        "eager, spread",
        "model.keras, reloaded, spread",
        "SavedModel in a fresh CPU process, serving_default",
        "SavedModel in a fresh CPU process, serving_default, each input alone",
        "SavedModel in a fresh CPU process, spread",
        "SavedModel in a fresh CPU process, spread, each input alone",
        "SavedModel in a fresh CPU process, options",
    ]
    assert {"MatMul", "StringUpper"} <= set(found["operations"])
    assert {"config.json", "model.keras", "servable/1/saved_model.pb"} <= set(found["files"])


def test_several_inputs_and_options_of_each_row(bundle):
    app = load(bundle)
    inputs = [
        {"frames": [[1, 2], [3, 4]], "words": ["a", "ä"]},
        {"frames": [], "words": []},
        {"frames": [[1, 1]], "words": ["b"]},
    ]
    assert app(inputs) == [20.0, 0.0, 4.0]
    answers = app.answers(inputs, scale=[1, 1, 10], extra=5)
    assert answers[0] == {"total": 10, "shouted": ["A", "ä"], "running": [3, 10], "count": 7}
    assert answers[1] == {"total": 0, "shouted": [], "running": [], "count": 5}
    assert answers[2] == {"total": 20, "shouted": ["B"], "running": [2], "count": 6}
    assert app([]) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sclae": 1}, "sums has no option 'sclae'; it has scale, extra"),
        ({"extra": 1.5}, "option extra takes whole numbers, got 1.5"),
        ({"extra": "1"}, "option extra takes whole numbers, got '1'"),
        ({"scale": None}, "option scale takes numbers, got None"),
        ({"scale": [1, 2, 3]}, "option scale needs one value, or one for each of 2 inputs, got 3"),
    ],
)
def test_wrong_options_are_clear_errors(bundle, options, message):
    with pytest.raises(UserError, match=message):
        load(bundle)([SAMPLES[0], SAMPLES[1]], **options)


def test_a_further_signature_gives_its_own_outputs_alone(bundle):
    found = load(bundle).ask(
        "spread",
        [
            {"frames": [[1, 2], [3, 4], [0, 1]], "words": ["a", "ä"]},
            {"frames": [], "words": []},
        ],
    )
    assert found == [
        {"range": 6.0, "sorted": [1.0, 3.0, 7.0], "joined": "a|ä"},
        {"range": 0.0, "sorted": [], "joined": ""},
    ]
    with pytest.raises(UserError, match="sums has no signature 'sprad'; it has spread"):
        load(bundle).ask("sprad", [])


@pytest.mark.usefixtures("no_process")
def test_a_further_signature_that_depends_on_batch_mates_is_caught(bundle, network):
    with pytest.raises(UserError, match=r"does not hold \(each input alone, spread"):
        certified(bundle, network, spoilt="further")


def test_a_string_is_not_a_list_of_inputs(bundle):
    with pytest.raises(UserError, match=r"inputs must be a list, got one string; write \['a'\]"):
        load(bundle)("a")


def test_progress_counts_every_input(bundle):
    told = []
    load(bundle)([SAMPLES[i % 8] for i in range(150)], advance=told.append)
    assert told == [64, 64, 22]


@pytest.mark.usefixtures("no_process")
def test_another_keras_file_is_caught(bundle, network, tmp_path):
    shutil.copytree(bundle, tmp_path / "b")
    build(1.0001).save(tmp_path / "b" / "model.keras")
    with pytest.raises(UserError, match=r"does not hold \(model.keras, reloaded; model.*is not"):
        certified(tmp_path / "b", network)


@pytest.mark.usefixtures("warm")
def test_another_saved_model_is_caught(network, tmp_path):
    write(tmp_path / "b", build(1.0001))
    network.save(tmp_path / "b" / "model.keras")
    with pytest.raises(UserError, match=r"does not hold \(SavedModel in a fresh CPU process, serv"):
        certified(tmp_path / "b", network)


@pytest.mark.usefixtures("no_process")
@pytest.mark.parametrize("spoilt", ["by batch", "by padding"])
def test_answers_that_depend_on_other_rows_are_caught(bundle, network, spoilt):
    with pytest.raises(UserError, match=r"does not hold \(each input alone"):
        certified(bundle, network, spoilt=spoilt)


@pytest.mark.usefixtures("warm")
def test_a_servable_that_does_not_load_is_caught(bundle, network, tmp_path):
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "b" / "servable" / "1" / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="does not run in a fresh process: .*"):
        certified(tmp_path / "b", network)
    with pytest.raises(UserError, match="servable/1 cannot be loaded .*; train or copy the bundle"):
        load(tmp_path / "b")


@pytest.mark.parametrize(
    ("op", "device", "found"),
    [
        ("CudnnRNNV3", "", ["CudnnRNNV3"]),
        ("EagerPyFunc", "", ["EagerPyFunc"]),
        ("MatMul", "/device:GPU:0", ["MatMul on /device:GPU:0"]),
        ("MatMul", "/device:CPU:0", []),
    ],
)
def test_operations_that_are_bound_to_a_device_are_found(bundle, tmp_path, op, device, found):
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((bundle / "servable" / "1" / "saved_model.pb").read_bytes())
    node = proto.meta_graphs[0].graph_def.library.function[0].node_def.add()
    node.op, node.device = op, device
    (tmp_path / "saved_model.pb").write_bytes(proto.SerializeToString())
    assert device_bound(tmp_path) == found


def test_a_form_that_cannot_be_asked_now_is_asked_later(bundle, network, tmp_path, monkeypatch):
    folder = tmp_path / "b"
    shutil.copytree(bundle, folder)
    (folder / "CARD.md").write_text("# Sums\n\nMade by hand.\n")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found = certified(folder, network)
    assert found["holds"] is None
    assert "no process of /nowhere/python can be started" in found["untried"]
    assert not any("fresh" in row["form"] for row in found["rows"])
    (folder / "certificate.json").write_text(json.dumps(found))
    # Whole, and marked.
    check_files(folder)
    card = (folder / "CARD.md").read_text()
    assert card.startswith("# Sums\n\n**Not certified:** no process of /nowhere/python")
    with pytest.raises(
        UserError, match="b is not certified: no process .* `python -m seqapps cert"
    ):
        certificate.check_certified(folder)
    certificate.complete(folder, [{"form": "all", "equal": True}])
    certificate.check_certified(folder)
    assert (folder / "CARD.md").read_text() == "# Sums\n\nMade by hand.\n"
    stored = json.loads((folder / "certificate.json").read_text())
    assert (stored["holds"], stored["rows"]) == (True, [{"form": "all", "equal": True}])
    assert "untried" not in stored
    # With what was kept of the network that was trained.
    assert stored["answers"] == json.loads(json.dumps(found["answers"]))


def test_files_are_known_by_their_hashes(bundle, tmp_path):
    folder = tmp_path / "b"
    shutil.copytree(bundle, folder)
    with pytest.raises(UserError, match="certificate.json cannot be read"):
        check_files(folder)
    files = certificate.hashes(folder)
    (folder / "certificate.json").write_text(json.dumps({"files": files}))
    check_files(folder)
    content = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (folder / "new").write_text("")
    (folder / "config.json").unlink()
    message = "is not what was certified: config.json, model.keras, new changed; train or copy"
    with pytest.raises(UserError, match=message):
        check_files(folder)


@pytest.mark.parametrize("damage", ["missing", "nonsense"])
def test_a_keras_file_that_cannot_be_loaded_is_a_clear_error(bundle, tmp_path, damage):
    if damage == "nonsense":
        (tmp_path / "model.keras").write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match=r"model.keras cannot be loaded \(.*\); train or copy"):
        load_network(tmp_path)


def test_probes_hold_what_is_easy_to_get_wrong():
    texts = Interface(inputs=(Field(name="t"),), outputs=(Field(name="o"),))
    found = [row["t"] for row in probes(texts.inputs, ["bbb", "a b", "c" * 500, "d", ""])]
    assert found[0] == b""
    assert {b" ", "☃ \u4f60\u597d \x07".encode(), b"\xff\xfe broken"} <= set(found)
    # The shortest and the longest of the real ones.
    assert {b"d", b"c" * 500} <= set(found)
    assert probes(texts.inputs, []) == probes(texts.inputs, [])
    numbers = Interface(
        inputs=(Field(name="x", dtype="float32", rank=1), Field(name="n", dtype="int32")),
        outputs=(Field(name="o"),),
    )
    rows = probes(numbers.inputs, [{"x": [1, 2], "n": 3}])
    assert {len(row["x"]) for row in rows} == {0, 1, 2, 7, 50}
    assert {int(row["n"]) for row in rows} >= {0, 1, -1, 3}


def test_probes_hold_numbers_that_differ_in_every_step_and_channel():
    frames = (Field(name="x", dtype="float32", rank=2, width=(3,)),)
    assert any(len(np.unique(row["x"])) == row["x"].size > 9 for row in probes(frames, []))
    state = (Field(name="s", dtype="float32", rank=2, width=(2, 3), fixed=True),)
    assert {row["s"].shape for row in probes(state, [])} == {(2, 3)}


def test_probes_hold_pictures_of_every_kind_and_what_is_none():
    fields = (Field(name="p", media="image"), Field(name="n", dtype="int32"))
    rows = probes(fields, [{"p": {"b64": "AAE="}, "n": 7}])
    read = decode_pictures([row["p"] for row in rows])
    assert {0, 1} == {*read[2].tolist()}
    assert len({(*size,) for size in read[1].tolist()}) > 3
    assert rows[-1]["p"] == b"\0\1"


def test_real_inputs_of_every_type_are_kept_and_read_again(tmp_path):
    fields = (
        Field(name="file", media="image"),
        Field(name="frames", dtype="float32", rank=2, width=(2,)),
        Field(name="words", rank=1),
        Field(name="state", dtype="float32", rank=1, width=(2,), fixed=True),
        Field(name="count", dtype="int32"),
    )
    sample = {
        "file": b"\x89PNG\xff",
        "frames": np.array([[0.1, 2], [3, 4]], np.float32),
        "words": ["ä", b"\xff"],
        "state": [0.3, 1.0],
        "count": 3,
    }
    large = sample | {"file": bytes(10**6)}
    interface = Interface(inputs=fields, outputs=(Field(name="o"),))
    kept = certificate._kept(interface, [sample, large])
    (tmp_path / "certificate.json").write_text(json.dumps({"samples": kept}))
    (read,) = certificate.samples_of(tmp_path)
    assert for_json(row_of(fields, read)) == for_json(row_of(fields, sample))


VALUE = (Field(name="v", dtype="float32"),)


@pytest.mark.parametrize(
    ("want", "got", "equal"),
    [
        (1.0, 1.000009, True),
        (1.0, 1.00002, False),
        # Large numbers are compared by their ratio: float32 has seven digits.
        (1000.0, 1000.009, True),
        (1000.0, 1000.02, False),
        (math.inf, math.inf, True),
        (math.nan, math.nan, True),
        (1.0, math.nan, False),
        (-math.inf, math.inf, False),
        (1.0, None, False),
        (None, None, False),
        ("a", "a", True),
        ("a", "b", False),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0], False),
        ([1.0, 2.0], [1.0, 2.1], False),
        ([], [], True),
        (3, 3, True),
        (3, 4, False),
    ],
)
def test_answers_are_compared_to_the_letter_and_within_the_tolerance(want, got, equal):
    found = compare(VALUE, [{"v": 0.0}, {"v": want}], [{"v": 0.0}, {"v": got}])
    assert found["equal"] is equal
    if not equal:
        assert found["first"].startswith("input 1, v: ")
