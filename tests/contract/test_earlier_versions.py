"""A bundle and an ONNX export of an earlier version still answer, measure, certify and serve.

`tests/golden/earlier_*.tar.xz` hold a translator after three updates on 300 pairs and its export,
as seqapps 0.1.0 wrote them at d0875b2, before applications were folders, and its answers then.
"""

import json
import tarfile
from pathlib import Path

import pytest
from server_process import serving

import seqapps
from seqapps import __main__ as main
from seqapps.arguments import run as run_program
from seqapps.errors import UserError
from seqapps.portable.certificate import compare
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.translate import RECIPE

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The folder of both, unpacked."""
    folder = tmp_path_factory.mktemp("earlier")
    for name in ("earlier_bundle", "earlier_onnx"):
        with tarfile.open(GOLDEN / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def recorded(earlier):
    """What was asked then, and what it answered."""
    return json.loads((earlier / "answers.json").read_text(encoding="utf-8"))


def test_they_are_small():
    assert all(path.stat().st_size < 300_000 for path in GOLDEN.glob("*.tar.xz"))


def test_both_answer_as_they_did(earlier, recorded):
    app = seqapps.load(earlier / "bundle")
    fields = app.interface.outputs_of("options")
    drawn = {"temperature": 0.9, "top_k": 20, "seed": 7}
    for each in (app, OnnxApplication(earlier / "onnx")):
        assert compare(fields, recorded["plain"], each.answers(recorded["texts"]))["equal"]
        answers = each.answers(recorded["texts"], **drawn)
        assert compare(fields, recorded["drawn"], answers)["equal"]
        # The ranges that it does not hold are known.
        with pytest.raises(UserError, match="beam_width is from 1 to 1000, got 0"):
            each.answers(["a"], beam_width=0)
    assert app.model.count_params() > 0


@pytest.mark.parametrize("name", ["bundle", "onnx"])
def test_predict(command, earlier, recorded, name):
    lines = "".join(f"{text}\n" for text in recorded["texts"]).encode()
    code, out, err = command(RECIPE, "predict", earlier / name, stdin=lines)
    assert (code, err) == (0, "")
    assert out.splitlines() == [answer["translation"] for answer in recorded["plain"]]


def test_evaluate(command, earlier, monkeypatch):
    monkeypatch.chdir(earlier)
    code, out, _ = command(RECIPE, "evaluate", "bundle")
    assert code == 0
    measured = json.loads((earlier / "bundle" / "metrics.json").read_text(encoding="utf-8"))
    found = json.loads(out)
    assert found.keys() >= measured.keys()
    for name, value in measured.items():
        # Another processor or release of TensorFlow sums in another order, and a token that was
        # nearly as likely may be the likeliest. What is no number names versions.
        if isinstance(value, int | float):
            assert found[name] == pytest.approx(value, abs=0.5), name


@pytest.mark.long
def test_certify(earlier, capsys):
    asked = ["certify", str(earlier / "bundle"), str(earlier / "onnx"), "--json"]
    assert run_program(main.PROGRAM, asked) == 0
    certificate = json.loads(capsys.readouterr().out)
    assert certificate["holds"]
    assert any("ONNX" in row["form"] for row in certificate["rows"])


def test_serve(earlier, recorded, tmp_path):
    address = "/v1/models/translate:predict"
    with serving(tmp_path, str(earlier / "bundle"), "--beam", "8") as server:
        with server.http() as client:
            answered = client.post(address, json={"instances": recorded["texts"]}).json()
            asked = {"signature_name": "options", "instances": [{"source": "a", "beam_width": 0}]}
            refused = client.post(address, json=asked)
    wanted = [answer["translation"] for answer in recorded["plain"]]
    assert [row["translation"] for row in answered["predictions"]] == wanted
    assert refused.status_code == 400
    assert "beam_width is from 1 to 8 here, got 0" in refused.json()["error"]
