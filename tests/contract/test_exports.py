"""What `export --format onnx` and `litert` write, and what `certify` finds, on a real bundle."""

import importlib
import json
import shutil
import subprocess
import sys
import venv

import pytest
from clean_environment import checked, linked_environment
from warm_python import warm_python

import seqapps
from seqapps import __main__ as main
from seqapps.commands.program import run
from seqapps.errors import UserError
from seqapps.portable.certificate import compare
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.translate.recipe import RECIPE

LINES = ["Where is the station?", "", "Größe ☃ 你好", "The old man is reading a book.", "  two  "]


@pytest.fixture(scope="module")
def exported(tiny_bundle, tmp_path_factory):
    """The tiny translator in ONNX."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    command = [warm_python(), "-m", "seqapps.recipes.translate", "export", str(tiny_bundle)]
    done = subprocess.run(
        [*command, "--format", "onnx", "--output", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder}\n"
    assert done.stderr.splitlines() == [
        "Translating the networks to ONNX",
        "Asking them, without TensorFlow, what the SavedModel is asked",
    ]
    return folder


@pytest.fixture(scope="module")
def app(tiny_bundle):
    return seqapps.load(tiny_bundle)


def test_the_predictor_runs_where_neither_tensorflow_nor_seqapps_is(exported, app, tmp_path):
    # An environment with what requirements.txt names and nothing else.
    requirements = (exported / "requirements.txt").read_text().split()
    assert requirements == ["numpy", "onnxruntime", "sentencepiece"]
    python = linked_environment(tmp_path / "env", requirements)
    done = subprocess.run(
        [python, "-IB", exported / "predictor.py", "--json", "--set", "n_best=2"],
        input="".join(f"{line}\n" for line in LINES).encode(),
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    fields = app.interface.outputs_of("options")
    assert compare(fields, app.answers(LINES, n_best=2), found)["equal"]
    for given, code, words in (
        (["in.txt"], 2, "texts come from standard input"),
        (["--set", "beam_width=0"], 1, "error: option beam_width is from 1 to 1000, got 0."),
        (["--set", "n_best=2.7"], 1, "n_best takes whole numbers, got 2.7"),
        (["--set", "beam_width=null"], 1, "beam_width takes whole numbers, got None"),
        (["--set", "beam_width=" + "9" * 20], 1, "beam_width"),
    ):
        done = subprocess.run(
            [python, "-IB", exported / "predictor.py", *given],
            input=b"hello\n",
            capture_output=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (code, b""), done.stderr
        assert words in done.stderr.decode()
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_width": 1},
        {"beam_width": 6, "n_best": 6, "length_penalty": 0.0},
        {"beam_width": 3, "n_best": 2, "length_penalty": -0.5},
        {"temperature": 1.1, "seed": 2**62},
        {"temperature": [0.0, 0.7, 1.0, 0.0, 0.3], "top_k": 5, "seed": [1, 2, 3, 4, -5]},
        {"temperature": 0.8, "top_p": 0.7, "seed": 11},
    ],
)
def test_every_strategy_gives_what_the_savedmodel_gives(exported, app, options):
    fields = app.interface.outputs_of("options")
    found = OnnxApplication(exported).answers(LINES, **options)
    assert compare(fields, app.answers(LINES, **options), found) | {"largest_difference": 0} == {
        "equal": True,
        "largest_difference": 0,
    }


def test_predict_answers_from_an_onnx_export_without_tensorflow(exported, app, tmp_path):
    code = (
        "import sys; sys.argv = ['', 'predict', sys.argv[1]]\n"
        "from seqapps.commands.program import run\n"
        "from seqapps.recipes.translate import RECIPE\n"
        "assert run(RECIPE) == 0\n"
        "assert 'tensorflow.python' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported)],
        input="".join(f"{line}\n" for line in LINES).encode(),
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == app(LINES)


def test_wrong_options_of_an_export_are_refused(exported):
    application = OnnxApplication(exported)
    with pytest.raises(UserError, match="there is no option 'beams'; there is beam_width"):
        application(["a"], beams=2)
    with pytest.raises(UserError, match="beam_width needs one value, or one for each of 1 inputs"):
        application(["a"], beam_width=[1, 2, 3])
    with pytest.raises(UserError, match="no signature 'explain'"):
        application.ask("explain", ["a"])


def test_an_export_that_answers_differently_is_refused(command, tiny_bundle, tmp_path, monkeypatch):
    from seqapps.recipes.translate import parts

    def forgets(*given, **named):
        found = translator_parts(*given, **named)
        return type(found)(predictor=found.predictor, parts=found.parts, settings={"longest": 1})

    translator_parts = parts.translator_parts
    monkeypatch.setattr(parts, "translator_parts", forgets)
    place = tmp_path / "onnx"
    code, out, err = command(RECIPE, "export", tiny_bundle, "--format", "onnx", "--output", place)
    assert (code, out) == (1, "")
    assert "the ONNX form answers differently, so nothing is written" in err
    assert not place.exists()


@pytest.mark.usefixtures("warm")
def test_certify_asks_every_form_and_finds_a_changed_file(tiny_bundle, exported, tmp_path, capsys):
    words = ["certify", str(tiny_bundle), str(exported), "--json"]
    assert main.run(main.PROGRAM, words) == 0
    found = json.loads(capsys.readouterr().out)
    forms = {row["form"] for row in found["rows"]}
    assert {
        "eager",
        "model.keras, reloaded",
        "saved_model_cli",
        "TensorFlow's C interface",
        "TensorFlow's C interface, each input alone",
        "ONNX",
        "ONNX, each input alone",
        "ONNX, beam_width 5, n_best 3, length_penalty 0.6",
        "ONNX, 22 strategies, an input each",
        "SavedModel in a fresh CPU process, serving_default",
    } <= forms
    assert all(row["equal"] and row["largest_difference"] <= 1e-5 for row in found["rows"])
    assert found["holds"]
    assert (found["changed_files"], found["not_core"], found["device_bound"]) == ([], [], [])
    assert "While" in found["operations"] or "StatelessWhile" in found["operations"]

    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    with (copy / "predictor.py").open("a") as file:
        file.write("\n")
    from seqapps.portable.certificate import check_files
    from seqapps.portable.certifying import certify_servable

    with pytest.raises(UserError, match="predictor.py changed"):
        check_files(copy)
    assert certify_servable(tiny_bundle / "servable" / "1")["holds"]


def test_certify_says_what_is_damaged(tiny_bundle, tmp_path, capsys):
    """What does not load hides no changed file, and nothing ends in a traceback."""
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_bundle, damaged)
    (damaged / "model.keras").write_bytes(b"no model")
    assert main.run(main.PROGRAM, ["certify", str(damaged), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["holds"]
    assert "model.keras" in " ".join(found["changed_files"])
    (row,) = found["rows"]
    assert (row["form"], row["equal"], row["largest_difference"]) == ("loading", False, None)

    (damaged / "servable" / "1" / "saved_model.pb").write_bytes(b"\xff" * 20)
    assert main.run(main.PROGRAM, ["certify", str(damaged / "servable")]) == 1
    assert "is no SavedModel, or it is damaged" in capsys.readouterr().err

    stored = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps(stored | {"recipe": "horoscope"}))
    assert main.run(main.PROGRAM, ["certify", str(damaged)]) == 1
    assert "was made by the recipe 'horoscope', which is not here" in capsys.readouterr().err
    assert main.run(main.PROGRAM, ["certify", str(tiny_bundle), str(tmp_path)]) == 1
    assert "is no export in ONNX or LiteRT" in capsys.readouterr().err


def test_litert_networks_run_and_are_refused_when_they_differ(
    command, tiny_bundle, tmp_path, monkeypatch
):
    place = tmp_path / "litert"
    export = (RECIPE, "export", tiny_bundle, "--format", "litert", "--output", place)
    code, out, err = command(*export)
    assert (code, out) == (0, f"{place}\n"), err
    rows = json.loads((place / "litert.json").read_text())["rows"]
    assert [row["form"] for row in rows] == ["LiteRT, encode", "LiteRT, step"]
    assert all(row["equal"] and row["largest_difference"] <= 1e-5 for row in rows)

    from seqapps.portable import litert

    run = litert.run
    monkeypatch.setattr(litert, "run", lambda *given: [each + 1e-3 for each in run(*given)])
    code, out, err = command(*export, "--overwrite")
    assert code == 1
    assert "answers differently in LiteRT" in err
    assert (place / "encode.tflite").is_file(), "the earlier export stays"


def test_int8_is_for_onnx_alone(command, tiny_bundle):
    code, _, err = command(RECIPE, "export", tiny_bundle, "--quantise", "int8")
    assert code == 2
    assert "--quantise is for --format onnx, got --format tf_saved_model" in err
    code, _, err = command(RECIPE, "export", tiny_bundle, "--data.folder", "elsewhere")
    assert code == 2
    assert "--data.folder says what --quantise int8 is measured on" in err


def asked(recipe, application, few_recordings):
    """Arguments, standard input, and what the SavedModel answers."""
    if recipe == "transcribe":
        paths = sorted((few_recordings.parent / "audio").glob("*.wav"))[:6]
        return paths, b"", application([path.read_bytes() for path in paths])
    lines = {"translate": LINES, "generate": ["Where is ", "The old "]}[recipe]
    return [], "".join(f"{line}\n" for line in lines).encode(), application(lines)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Installs requirements with pip, from a registry: Python of an environment with no more."""
    made = {}

    def install(requirements):
        if requirements in made:
            return made[requirements]
        folder = tmp_path_factory.mktemp("installed")
        (folder / "requirements.txt").write_text(requirements)
        venv.create(folder / "env", with_pip=True, symlinks=True)
        python = folder / "env" / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*pip, "--retries", "1", "-r", folder / "requirements.txt"],
            capture_output=True,
            text=True,
            timeout=900,
        )
        if done.returncode and ("ConnectionError" in done.stderr or "NewConnection" in done.stderr):
            pytest.skip("no package registry can be reached")
        assert done.returncode == 0, done.stderr
        made[requirements] = checked(python)
        return made[requirements]

    return install


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("recipe", "made"),
    [("translate", "tiny_bundle"), ("generate", "tiny_writer"), ("transcribe", "tiny_recogniser")],
)
@pytest.mark.parametrize("quantise", ["none", "int8"])
def test_the_predictor_runs_after_a_real_installation(
    recipe, made, quantise, installed, few_recordings, tmp_path, request
):
    bundle = request.getfixturevalue(made)
    application = seqapps.load(bundle)
    place = tmp_path / "onnx"
    record = importlib.import_module(f"seqapps.recipes.{recipe}").RECIPE
    command = ["export", str(bundle), "--format", "onnx", "--output", str(place)]
    assert run(record, [*command, "--quantise", quantise]) == 0
    python = installed((place / "requirements.txt").read_text())
    given, typed, want = asked(recipe, application, few_recordings)
    program = [python, "-IB", place / "predictor.py"]
    found = subprocess.run([*program, *given], input=typed, capture_output=True, timeout=120)
    assert (found.returncode, found.stderr) == (0, b"")
    if quantise == "int8":
        # What the task loses by it is on the card; here it runs.
        assert found.stdout.count(b"\n") >= len(want)
        assert "What 8-bit weights cost" in (place / "CARD.md").read_text()
        return
    assert found.stdout.decode() == "".join(f"{answer}\n" for answer in want)
    if recipe == "generate":
        # A prompt alone is answered as the text is written.
        first = typed.splitlines(keepends=True)[0]
        alone = subprocess.run(program, input=first, capture_output=True, timeout=120)
        assert alone.stdout.decode() == f"{want[0]}\n"
