"""An ONNX export that somebody changed: one clear sentence, and no file outside of it is read."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from seqapps.bundle.folder import write_config
from seqapps.errors import UserError
from seqapps.fields import MAIN, WHOLE, Field, Interface, Option
from seqapps.portable.assemble import assemble
from seqapps.portable.onnx_application import OnnxApplication

INTERFACE = Interface(
    inputs=(Field(name="place", dtype="int32"),),
    outputs=(Field(name="verdict"),),
    options=(Option(name="shift", dtype="int32", default=0, least=-9, most=9, description=""),),
)


def write_network(path, first="place"):
    """A network whose output is the sum of its inputs."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT32, ["B"]) for n in (first, "shift")]
    output = helper.make_tensor_value_info("verdict", TensorProto.INT32, ["B"])
    graph = helper.make_graph(
        [helper.make_node("Add", [first, "shift"], ["verdict"])], "sum", inputs, [output]
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


@pytest.fixture(scope="module")
def program():
    """The source of predictor.py."""
    main = "seqapps.portable.runtime.command"
    given = {"summary": "", "name": "WholePredictor", "asked": "", "version": "0"}
    return assemble(WHOLE, main=main, **given)


@pytest.fixture
def export(program, tmp_path):
    """An export whose answer is a name, by its place in a list."""
    folder = tmp_path / "onnx"
    for name in ("networks", "assets"):
        (folder / name).mkdir(parents=True)
    write_network(folder / "networks" / f"{MAIN}.onnx")
    (folder / "assets" / "names.json").write_text('["light", "heavy"]')
    (tmp_path / "secret.json").write_text('["a", "secret"]')
    write_config(folder, recipe="scales", interface=INTERFACE, settings={})
    table = {
        "seqapps": "0",
        "recipe": "scales",
        "predictor": WHOLE,
        "class": "WholePredictor",
        "interface": INTERFACE.to_json(),
        "settings": {"names": {"verdict": "names.json"}},
    }
    (folder / "predictor.json").write_text(json.dumps(table))
    (folder / "predictor.py").write_text(program)
    return folder


def change(folder, file, **changed):
    """Writes other values by name to a file of JSON."""
    table = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(table | changed))


def in_its_own_process(folder):
    """Exit code and standard error of the export's predictor.py."""
    done = subprocess.run(
        [sys.executable, "-IB", folder / "predictor.py"], input=b"0\n1\n", capture_output=True
    )
    assert done.stdout == (b"" if done.returncode else b"light\nheavy\n")
    return done.returncode, done.stderr.decode()


def refused(folder, message):
    """Both the Python function and the program say so in a sentence, when loaded or asked."""
    with pytest.raises(UserError, match=message):
        OnnxApplication(folder)([0, 1])
    code, said = in_its_own_process(folder)
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith("error: ")


def test_as_it_was_written_it_answers(export):
    assert OnnxApplication(export)([0, 1]) == ["light", "heavy"]
    assert OnnxApplication(export)([0, 1], shift=[1, 0]) == ["heavy", "heavy"]
    assert in_its_own_process(export) == (0, "")


@pytest.mark.parametrize("text", ["[]", '"x"', "3", "null", "{", "{}", "[" * 100_000, "\ud800"])
def test_a_predictor_json_that_is_no_table(export, text):
    (export / "predictor.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(export, "predictor.json is damaged .*export it again")


@pytest.mark.parametrize(
    "changed",
    [
        {"interface": []},
        {"interface": "x"},
        {"interface": None},
        {"interface": INTERFACE.to_json() | {"inputs": []}},
        {"interface": INTERFACE.to_json() | {"outputs": [3]}},
        {"interface": INTERFACE.to_json() | {"options": [{"name": "shift"}]}},
        {"interface": INTERFACE.to_json() | {"inputs": [{"name": "place"}]}},
        {"settings": []},
        {"settings": None},
        {"settings": {"names": ["light"]}},
        {"settings": {"names": {"verdict": 3}}},
        {"settings": {"names": {"verdict": [["light"], ["heavy"]]}}},
        {"settings": {"names": {"verdict": "missing.json"}}},
    ],
)
def test_a_predictor_json_of_another_form(export, changed):
    change(export, "predictor.json", **changed)
    refused(export, "predictor.json|names of verdict must be a list|missing.json")


@pytest.mark.parametrize("name", [None, 3, ["translate"], {}, "os", "../onnx"])
def test_a_predictor_that_is_none(export, name):
    change(export, "predictor.json", predictor=name)
    with pytest.raises(UserError, match="a predictor is a module|a recipe that is not here"):
        OnnxApplication(export)


@pytest.mark.parametrize(
    "name",
    ["../../secret.json", "../../../secret.json", "..", ".", "", "a/b", "a\\b", "c:x", "a\0b", "/"],
)
def test_no_file_outside_of_its_assets_is_read(export, name):
    change(export, "predictor.json", settings={"names": {"verdict": name}})
    refused(export, "an asset is a file of assets/")
    change(
        export,
        "predictor.json",
        settings={"names": {"verdict": str(export.parent / "secret.json")}},
    )
    refused(export, "an asset is a file of assets/")


def test_a_place_outside_of_its_names(export):
    for shift in (1, -1):
        with pytest.raises(UserError, match="verdict has 2 names, and the network gives the pla"):
            OnnxApplication(export)([0, 1], shift=shift)
    change(export, "predictor.json", settings={"names": {"verdict": ["one"]}})
    refused(export, "verdict has 1 names, and the network gives the places 0 to 1; export it again")


def test_a_network_that_is_missing_or_damaged(export):
    network = export / "networks" / f"{MAIN}.onnx"
    network.write_bytes(b"no network")
    refused(export, "networks/serving_default.onnx is damaged or missing")
    network.unlink()
    refused(export, "networks/serving_default.onnx is damaged or missing")


def test_a_network_that_takes_something_else(export):
    write_network(export / "networks" / f"{MAIN}.onnx", first="other")
    refused(
        export, "networks/serving_default.onnx takes other, which the application does not give"
    )


@pytest.mark.parametrize("kind", ["options", "outputs"])
def test_a_config_that_says_something_else_of_what_goes_in_and_out(export, kind):
    other = INTERFACE.to_json() | {
        "options": [],
        "outputs": [{**INTERFACE.to_json()["outputs"][0], "name": "other"}],
    }
    chosen = {kind: other[kind]}
    change(export, "config.json", interface=INTERFACE.to_json() | chosen)
    with pytest.raises(UserError, match="config.json and predictor.json .* must say the same"):
        OnnxApplication(export)
    # Both changed alike, it fits its network no more.
    change(export, "predictor.json", interface=INTERFACE.to_json() | chosen)
    refused(export, "takes shift, which|there is no answer")


def test_ranges_are_those_of_the_config(export):
    """Exports of earlier versions have them there alone."""
    options = [dict(option) for option in INTERFACE.to_json()["options"]]
    for name in ("least", "most", "above", "costs", "most_bytes"):
        del options[0][name]
    change(export, "predictor.json", interface=INTERFACE.to_json() | {"options": options})
    application = OnnxApplication(export)
    assert application(np.array([0]), shift=1) == ["heavy"]
    with pytest.raises(UserError, match="option shift is from -9 to 9, got 10"):
        application([0], shift=10)


def test_an_earlier_export_may_describe_a_signature_that_it_does_not_answer(export):
    more = [{"name": "explain", "outputs": INTERFACE.to_json()["outputs"], "description": ""}]
    change(export, "config.json", interface=INTERFACE.to_json() | {"further": more})
    application = OnnxApplication(export)
    assert application([0]) == ["light"]
    assert application.interface.further == ()
    with pytest.raises(UserError, match="no signature 'explain'"):
        application.ask("explain", [0])
