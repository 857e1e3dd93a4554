"""The whole machinery with numbers and pictures in and out, by its own command line."""

import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numeric_recipe
import numpy as np
import pytest
import tensorflow as tf
from clean_environment import linked_environment
from interruptible import INTERRUPTIBLE
from numeric_recipe import RECIPE
from server_process import serving
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from warm_python import warm_python

import seqapps
from seqapps.automatic import plain
from seqapps.bundle.folder import write_config, write_json
from seqapps.bundle.unfinished import Unfinished
from seqapps.bundle.values import answers_of, batch_of, for_json, row_of
from seqapps.commands import train as training
from seqapps.commands.program import run
from seqapps.config import to_json
from seqapps.errors import UserError
from seqapps.fields import WHOLE
from seqapps.layers.cudnn import cudnn_operations
from seqapps.portable.certificate import check_certified, compare
from seqapps.portable.certifying import certify_bundle
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.translate import recipe as translate
from seqapps.report import Reporter
from seqapps.training import run as training_run
from seqapps.training.settings import Training

# Several starts of TensorFlow, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)

WHITE, GREY = numeric_recipe.picture(255, 2, 3), numeric_recipe.picture(51, 4, 1)


def asked(*numbers, picture=WHITE):
    """An input: a series with the same numbers in both channels, and a picture."""
    return {"series": [[float(x), float(x)] for x in numbers], "picture": picture}


def line(*numbers, picture=WHITE):
    """The same as a line of JSON."""
    return json.dumps(for_json(asked(*numbers, picture=picture))).encode()


def _started(*words, until, **options):
    """The program at work, and what it wrote to standard error up to a line."""
    process = subprocess.Popen(
        [*INTERRUPTIBLE, warm_python(), numeric_recipe.__file__, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    story = ""
    while until not in story:
        line = process.stderr.readline()
        assert line, story
        story += line
    return process, story


@pytest.fixture(scope="module")
def killed_and_resumed(tmp_path_factory, assert_only_ours):
    """A bundle whose writing was killed; what the resumed run wrote to the terminal."""
    output = tmp_path_factory.mktemp("numeric") / "bundle"
    training = ["train", "--output", str(output)]
    # Once as the bundle is begun, and once as it is nearly done.
    for flags, line in (([], "Writing the bundle"), (["--resume"], "Certifying")):
        process, story = _started(*training, *flags, until=line)
        process.send_signal(signal.SIGKILL)
        # Until the last that holds the other end of the pipe has gone, what was killed with it.
        process.communicate()
        assert_only_ours(story)
        # Not one file of an unfinished bundle; the training is still there.
        assert not output.exists()
        assert Unfinished(output).folder.exists()
    second = subprocess.run(
        [warm_python(), numeric_recipe.__file__, *training, "--resume"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert second.returncode == 0, second.stderr
    return output, second


@pytest.fixture
def bundle(killed_and_resumed):
    return killed_and_resumed[0]


def test_a_kill_while_the_bundle_is_written_costs_no_training(killed_and_resumed, assert_only_ours):
    output, second = killed_and_resumed
    assert not re.search(r"^epoch \d", second.stderr, re.MULTILINE)
    assert "Writing the bundle" in second.stderr
    assert "Certifying" in second.stderr
    assert f"predict {output}" in second.stderr
    assert second.stdout == f"{output}\n"
    assert_only_ours(second.stderr)
    # Nothing is left beside the bundle.
    assert [path.name for path in output.parent.iterdir()] == ["bundle"]
    # The card shows the command that made it, not the one that completed it.
    card = (output / "CARD.md").read_text()
    command = f"python -m seqapps.recipes.numeric train --output {output}"
    assert f"```sh\n{command}\n```" in card
    assert re.search(r"with seed 0 on \d+ cores?:", card)


def test_a_trial_goes_through_every_stage_and_keeps_nothing(tmp_path):
    words = ["train", "--try", "--training.epochs", "3", "--data.series", "400"]
    done = subprocess.run(
        [warm_python(), numeric_recipe.__file__, *words],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list(tmp_path.iterdir()) == []
    batches = int(re.search(r"^(\d+) batches a pass", done.stderr, re.MULTILINE)[1])
    assert f"{3 * batches} updates (3.0 passes)" in done.stderr
    assert "measuring after each of 3 passes" in done.stderr
    assert "certifying" in done.stderr


def test_ctrl_c_in_fine_tuning_prints_the_command_that_goes_on(command, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "old")
    tuned = ["--from", "old", "--output", "new one", "--training.epochs", "20"]
    tuned += ["--training.patience", "0", "--data.series", "100"]
    process, story = _started("train", *tuned, until="epoch  2/20", cwd=tmp_path)
    # Meanwhile nobody else trains there, not even who would discard what is there.
    for flags in (["--overwrite"], ["--resume"]):
        code, _, err = command(RECIPE, "--output", tmp_path / "new one", *flags)
        assert code == 1
        place = re.escape(str(tmp_path / "new one"))
        number = re.search(rf"process (\d+) is training for {place}; wait", err)[1]
        # That which writes to this pipe.
        written = Path(f"/proc/{number}/fd/2").stat()
        assert os.path.samestat(written, os.fstat(process.stderr.fileno()))
    # Ctrl-C, and what a scheduler or `docker stop` sends before it kills.
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process.send_signal(number)
        _, rest = process.communicate()
        assert process.returncode == code, story + rest
        found = re.search(
            r"^Stopped\. To continue: python -m seqapps\.recipes\.numeric (.*)$", rest, re.MULTILINE
        )
        words = shlex.split(found[1])
        assert words == ["train", *tuned, "--resume"]
        if number == signal.SIGINT:
            process, story = _started(*words, until="epoch  4/20", cwd=tmp_path)
    # The settings and weights that it began with are in what it left.
    (tmp_path / "old").rename(tmp_path / "elsewhere")
    done = subprocess.run(
        [warm_python(), numeric_recipe.__file__, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stdout) == (0, "new one\n"), done.stderr
    assert "resuming at step" in done.stderr
    assert len((tmp_path / "new one" / "history.csv").read_text().splitlines()) == 21
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "new one"]


def test_what_was_learned_outlives_a_full_disk_and_a_machine_that_cannot_certify(tmp_path):
    code = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from numeric_recipe import RECIPE
from seqapps.commands.program import run
from seqapps.portable.certifying import certify_bundle
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
short = ["--training.epochs", "1", "--training.max_steps", "2", "--data.series", "100"]
# Checkpoints are smaller than that, and the SavedModel is larger.
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
codes = [run(RECIPE, ["--output", "b", *short])]
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
python, sys.executable = sys.executable, "/nowhere/python"
codes.append(run(RECIPE, ["--output", "b", "--resume"]))
codes.append(run(RECIPE, ["--try", *short]))
sys.executable = python
card = Path("b/CARD.md")
marked = [card.read_text().count("**Not certified:**")]
codes.append(certify_bundle(Path("b"), (), recipe=RECIPE, log=sys.stderr.write)["holds"])
marked.append(card.read_text().count("**Not certified:**"))
print(codes, marked)
"""
    done = subprocess.run(
        [warm_python(), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines() == ["b", "[1, 3, 3, True] [1, 0]"], done.stderr
    full, rest = done.stderr.split("What was learned is safe in b.training: go on with --resume.\n")
    assert re.search(r"error: b cannot be written: File too large \(.*\); free that place", full)
    # Told before the training goes on, and at the end.
    early, late, tried = rest.split("Certifying: ")
    assert "All works but the certificate: no process of /nowhere/python" in tried
    for part in (early, late):
        assert "warning: " in part
        assert "no process of /nowhere/python can be started" in part
    assert "python -m seqapps certify b" in late
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert json.loads((tmp_path / "b" / "certificate.json").read_text())["holds"] is True
    check_certified(tmp_path / "b")


def test_ctrl_c_before_anything_is_learned_leaves_nothing(command, tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "start_tensorflow", interrupt)
    code, out, err = command(RECIPE, "--output", tmp_path / "b")
    assert (code, out, err) == (130, "", "\nStopped; nothing was learned yet.\n")
    assert list(tmp_path.iterdir()) == []

    def fill():
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(training, "start_tensorflow", fill)
        code, out, err = command(RECIPE, "--output", tmp_path / "b")
    assert (code, out) == (1, "")
    assert "b.training cannot be written: No space left on device. Nothing was learned yet" in err
    assert list(tmp_path.iterdir()) == []
    # It has nothing to go on with.
    code, out, err = command(RECIPE, "--overfit-one-batch")
    assert (code, out, err) == (130, "", "\nStopped.\n")


@pytest.mark.usefixtures("gpu")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_bundle_written_where_a_gpu_is_holds_no_cudnn(tmp_path):
    config = numeric_recipe.Config(training=Training(batch_tokens=256))
    examples = numeric_recipe.Series(config)
    network = numeric_recipe.build(config, examples)
    specs = {
        "series": tf.TensorSpec([None, None, 2]),
        "series_lengths": tf.TensorSpec([None], tf.int32),
        "shade": tf.TensorSpec([None, 1]),
    }
    traced = tf.function(network, input_signature=[specs]).get_concrete_function()
    assert cudnn_operations(traced) == ["CudnnRNNV3"]
    reporter = Reporter(io.StringIO())
    training_run._write_bundle(RECIPE, config, network, examples.assets, tmp_path, reporter)
    loaded = tf.saved_model.load(str(tmp_path / "servable" / "1"))
    assert set(loaded.signatures) == {"serving_default", "options", "extremes", "continued"}
    for function in loaded.signatures.values():
        assert cudnn_operations(function) == []
    # Nor by another name, or anywhere else.
    assert b"Cudnn" not in (tmp_path / "servable" / "1" / "saved_model.pb").read_bytes()


def test_a_bundle_is_complete_and_certified(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        [
            "CARD.md",
            "assets",
            "certificate.json",
            "config.json",
            "environment.json",
            "history.csv",
            "metrics.json",
            "model.keras",
            "plots",
            "servable",
        ]
    )
    certificate = json.loads((bundle / "certificate.json").read_text())
    assert certificate["holds"] is True
    assert not any(name.startswith("Cudnn") for name in certificate["operations"])
    assert (bundle / "history.csv").read_text().count("\n") == 3


def test_load_answers_with_numbers(bundle):
    mean = seqapps.load(bundle)
    assert mean.recipe == "numeric"
    assert mean.config["data"]["series"] == 200
    assert mean.metrics["series"] == 30
    rows = [asked(0.25, 0.75), asked(), asked(0.5), asked(*np.linspace(0, 1, 40))]
    found = mean.answers(rows)
    assert [len(row["running"]) for row in found] == [2, 0, 1, 40]
    assert [row["steps"] for row in found] == [2, 0, 1, 40]
    assert all(isinstance(row["mean"], float) for row in found)
    # The mean is the last of the running means, and the same numbers come from model.keras.
    assert found[3]["running"][-1] == found[3]["mean"]
    series = tf.constant([rows[0]["series"]])
    batch = {"series": series, "series_lengths": tf.constant([2]), "shade": tf.ones([1, 1])}
    np.testing.assert_allclose(found[0]["running"], mean.model(batch)[0, :, 0], atol=1e-6)
    doubled = mean(rows, scale=[2.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(doubled[3], 2 * found[3]["mean"], rtol=1e-6)
    np.testing.assert_allclose(doubled[2], found[2]["mean"], rtol=1e-6)


def test_pictures_events_and_names_are_what_they_say(bundle):
    mean = seqapps.load(bundle)
    numbers = (0.5, 0.25, 0.75, 0.75, 0.1)
    damaged = WHITE[:-9]
    white, grey, broken = mean.answers(
        [asked(*numbers, picture=file) for file in (WHITE, GREY, damaged)]
    )
    # A shade of 51 is a fifth of one of 255; what cannot be read is black, and alone in that.
    np.testing.assert_allclose(grey["running"], np.array(white["running"]) / 5, rtol=1e-5)
    assert broken["running"] == [0.0] * 5
    # Where the first channel falls, and the running mean then.
    assert white["falls"] == [[1.0, white["running"][1]], [4.0, white["running"][4]]]
    assert white["trend"] == ["steady", "falling", "rising", "steady", "falling"]
    short, long = mean.answers([asked(*[1] * 9), asked(*[1] * 10)])
    assert (short["verdict"], long["verdict"]) == ("light", "heavy")
    assert (short["falls"], mean.answers([asked()])[0]["falls"]) == ([], [])


def test_predict_reads_numbers_and_writes_numbers(command, bundle, tmp_path):
    mean = seqapps.load(bundle)
    lines = line(0.25, 0.75) + b"\r\n" + line(picture=GREY) + b"\n" + line(1)
    code, out, err = command(RECIPE, "predict", bundle, stdin=lines)
    assert (code, err) == (0, "")
    expected = mean([asked(0.25, 0.75), asked(picture=GREY), asked(1)])
    np.testing.assert_allclose([float(line) for line in out.splitlines()], expected, rtol=1e-6)

    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl").write_bytes(line(2, 2, 2) + b"\n")
    files = [tmp_path / "b.jsonl", tmp_path / "a.jsonl"]
    code, out, err = command(RECIPE, "predict", bundle, *files, "--json", "--decoding.scale", "10")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["steps"] for row in rows] == [3, 2, 0, 1]
    np.testing.assert_allclose(rows[2]["mean"], 10 * expected[1], rtol=1e-6)


def test_a_further_signature_of_numbers_is_certified_and_asked(bundle):
    forms = {
        row["form"]: row["equal"]
        for row in json.loads((bundle / "certificate.json").read_text())["rows"]
    }
    for form in ("model.keras, reloaded, extremes", "SavedModel in a fresh CPU process, extremes"):
        assert forms[form] is True
    mean, series = (
        seqapps.load(bundle),
        [asked(0.25, 0.75, 0.1), asked(), asked(*np.linspace(0, 1, 70))],
    )
    advanced = []
    found = mean.ask("extremes", series, advance=advanced.append)
    assert advanced == [3]
    for row, answer in zip(found, mean.answers(series), strict=True):
        assert set(row) == {"largest", "count", "falling"}
        assert row["count"] == len(answer["running"])
        np.testing.assert_allclose(row["falling"], sorted(answer["running"])[::-1], rtol=1e-6)
        assert row["largest"] == (row["falling"][0] if row["falling"] else 0.0)
    with pytest.raises(UserError, match="numeric has no signature 'extrems'; it has extremes, con"):
        mean.ask("extrems", series)
    with pytest.raises(UserError, match="inputs must be a list"):
        mean.ask("extremes", "[1]")


def test_a_signature_with_inputs_of_its_own_takes_its_state_back(bundle):
    certificate = json.loads((bundle / "certificate.json").read_text())
    forms = {row["form"]: row["equal"] for row in certificate["rows"]}
    assert forms["SavedModel in a fresh CPU process, continued, each input alone"] is True
    mean = seqapps.load(bundle)
    assert mean.interface.inputs_of("continued")[0].batch_shape == (None, 2)
    begun = [{"sums": [0, 0], "more": [[1, 1], [0, 1]]}, {"sums": [5, 3], "more": []}]
    first = mean.ask("continued", begun, scale=[1.0, 10.0])
    assert first == [{"sums": [3.0, 4.0], "scaled": 3.0}, {"sums": [5.0, 3.0], "scaled": 50.0}]
    again = mean.ask("continued", [{"sums": first[0]["sums"], "more": [[4, 0]]}])
    assert again == [{"sums": [7.0, 6.0], "scaled": 7.0}]
    # The same through whole batches; the defaults are in the signature.
    batch = {"sums": [[3.0, 2.0]], "more": [[[4.0, 0.0]]], "more_lengths": [1], "scale": [2.0]}
    found = mean.call("continued", **batch)
    assert found["scaled"].numpy().tolist() == [14.0]
    taken = mean._loaded.signatures["continued"].structured_input_signature[1]
    assert set(taken) == {"sums", "more", "more_lengths", "scale"}
    with pytest.raises(UserError, match=r"sums must be an array of 2 numbers, got \[1\]"):
        mean.ask("continued", [{"sums": [1], "more": []}])
    with pytest.raises(UserError, match="numeric has no option 'scale'; it has none"):
        mean.ask("extremes", [[1.0]], scale=1.0)


def test_views_of_numbers_are_printed(command, bundle):
    rows = seqapps.load(bundle).ask("extremes", [asked(0.25, 0.75), asked()])
    lines = {"stdin": line(0.25, 0.75) + b"\n" + line() + b"\n"}
    code, out, err = command(RECIPE, "predict", bundle, "--view", "largest", **lines)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{rows[0]['largest']:.6f} of 2", "0.000000 of 0"]
    code, out, err = command(RECIPE, "predict", bundle, "--view", "table", **lines)
    assert (code, out, err) == (0, "2 series\n", "")
    for view in ("largest", "table"):
        code, out, err = command(RECIPE, "predict", bundle, "--view", view, "--json", **lines)
        assert (code, err) == (0, "")
        assert [json.loads(line) for line in out.splitlines()] == rows
    code, out, err = command(RECIPE, "predict", bundle, "--view", "larges", **lines)
    assert (code, out) == (2, "")
    assert "--view must be one of answer, largest, table" in err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            line(1) + b"\n[1, 2\n",
            r"line 2: each line must be JSON \(series: a list of numbers × 2 ",
        ),
        (line(1) + b"\n\n", "line 2: each line must be JSON"),
        (
            line(1) + b'\n{"series": []}\n',
            "line 2: .*: an input must be a dict with series: a list",
        ),
        (
            b'{"series": [["3", 4]], "picture": ""}\n',
            r"line 1: .*: series must be a list of numbers × 2 \(kg\), got",
        ),
        (b'{"series": 7, "picture": ""}\n', "line 1: .*: series must be a list of numbers"),
        (
            b'{"series": [], "picture": {"b64": "#"}}\n',
            "line 1: .*: picture must be a PNG or JPEG file, in JSON .*base64.*got",
        ),
        (b"\xff\xfe\xfa\n", "line 1: each line must be JSON"),
    ],
)
def test_a_line_that_is_no_series_is_named(command, bundle, tmp_path, lines, message):
    (tmp_path / "in.jsonl").write_bytes(lines)
    code, out, err = command(RECIPE, "predict", bundle, tmp_path / "in.jsonl")
    assert (code, out) == (1, "")
    assert re.fullmatch(rf"error: .*in\.jsonl, {message}.*\n", err)


def test_evaluate_prints_json(command, bundle):
    code, out, err = command(RECIPE, "evaluate", bundle)
    assert code == 0
    assert json.loads(out) == seqapps.load(bundle).metrics
    assert "measured in kilogram" in err
    assert "mean error  0." in err
    # Settings of a bundle may be replaced for the occasion.
    code, out, _ = command(RECIPE, "evaluate", bundle, "--data.highest", "50")
    assert json.loads(out)["mean_error"] > 1


def test_export_writes_a_servable_that_stands_alone(command, bundle, tmp_path):
    code, out, err = command(RECIPE, "export", bundle, "--output", tmp_path / "served")
    assert (code, out, err) == (0, f"{tmp_path / 'served' / '1'}\n", "")
    loaded = tf.saved_model.load(out.strip())
    answer = loaded.signatures["serving_default"](
        series=tf.constant([[[0.5, 0.5], [0.5, 0.5]]]),
        series_lengths=tf.constant([2]),
        picture=tf.constant([WHITE]),
    )
    assert set(answer) == {"mean", "running", "running_lengths", "falls", "falls_lengths"}
    np.testing.assert_allclose(answer["mean"], seqapps.load(bundle)([asked(0.5, 0.5)]), rtol=1e-6)
    code, out, err = command(RECIPE, "export", bundle, "--output", tmp_path / "served")
    assert (code, out) == (1, "")
    assert "1 exists and nothing is overwritten unasked; give --overwrite" in err
    (tmp_path / "served" / "1" / "old").touch()
    again = ["--output", tmp_path / "served", "--overwrite"]
    code, out, err = command(RECIPE, "export", bundle, *again)
    assert (code, out, err) == (0, f"{tmp_path / 'served' / '1'}\n", "")
    assert not (tmp_path / "served" / "1" / "old").exists()
    (tmp_path / "served" / "1" / "saved_model.pb").unlink()
    code, out, err = command(RECIPE, "export", bundle, *again)
    assert (code, out) == (1, "")
    assert "is not a SavedModel (it has no saved_model.pb)" in err


@pytest.fixture(scope="module")
def exports(killed_and_resumed, tmp_path_factory):
    """The bundle in ONNX and in LiteRT."""
    folder = tmp_path_factory.mktemp("exports")
    for form in ("onnx", "litert"):
        words = ["export", str(killed_and_resumed[0]), "--format", form]
        assert run(RECIPE, [*words, "--output", str(folder / form)]) == 0
    return folder


ROWS = [asked(0.25, 0.75, 0.5), asked(), asked(1, picture=GREY), asked(2, 1, picture=b"none")]

IN_ONNX = """
import json, sys
sys.path.insert(0, sys.argv[1])
import predictor
application = predictor.WholePredictor(sys.argv[1])
print(json.dumps([application.ask(*question) for question in json.load(sys.stdin)]))
"""


def test_onnx_answers_where_neither_tensorflow_nor_seqapps_is(bundle, exports, tmp_path):
    mean, place = seqapps.load(bundle), exports / "onnx"
    assert "ONNX, continued" in (place / "CARD.md").read_text()
    needed = (place / "requirements.txt").read_text().split()
    assert needed == ["numpy", "onnxruntime", "pillow"]
    python = linked_environment(tmp_path / "env", needed)
    program = [python, "-IB", place / "predictor.py"]

    def answered(lines, *flags):
        return subprocess.run([*program, *flags], input=lines, capture_output=True, timeout=60)

    lines = b"".join(json.dumps(for_json(row)).encode() + b"\n" for row in ROWS)
    done = answered(lines, "--json", "--set", "scale=10")
    assert (done.returncode, done.stderr) == (0, b"")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    want = mean.answers(ROWS, scale=10.0)
    assert compare(mean.interface.outputs_of("options"), want, found)["equal"]
    assert [row.keys() for row in found] == [row.keys() for row in want]

    begun = [{"sums": [1, 2], "more": [[1, 2], [3, 4]]}, {"sums": [5, 3], "more": []}]
    questions = [["extremes", for_json(ROWS)], ["continued", begun]]
    done = subprocess.run(
        [python, "-IBc", IN_ONNX, place], input=json.dumps(questions).encode(), capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    for found, name, rows in zip(
        json.loads(done.stdout), ("extremes", "continued"), (ROWS, begun), strict=True
    ):
        assert compare(mean.interface.outputs_of(name), mean.ask(name, rows), found)["equal"]

    for given, flags, code, words in (
        (line(1) + b"\n[1", [], 1, "error: line 2 must be JSON: "),
        (
            b"[1, 2]",
            [],
            1,
            "error: an input must be a dict with series: a list of numbers × 2 (kg)",
        ),
        (line(1), ["--set", "scale=x"], 1, "option scale takes numbers, got 'x'"),
        (line(1), ["x.jsonl"], 2, "lines of JSON come from standard input"),
    ):
        done = answered(given, *flags)
        assert (done.returncode, done.stdout) == (code, b""), done.stderr
        assert words in done.stderr.decode()
        assert b"Traceback" not in done.stderr


def test_an_onnx_export_is_asked_as_the_bundle_is(command, bundle, exports):
    mean, onnx = seqapps.load(bundle), OnnxApplication(exports / "onnx")
    assert onnx.interface == mean.interface
    np.testing.assert_allclose(onnx(ROWS, scale=2.0), mean(ROWS, scale=2.0), rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="picture must be a PNG or JPEG file, .*, got 3"):
        onnx([{"series": [], "picture": 3}])
    with pytest.raises(UserError, match="no signature 'extrems'"):
        onnx.ask("extrems", ROWS)
    lines = line(0.25, 0.75) + b"\n" + line(picture=GREY)
    views = ("--view", "largest")
    printed = [command(RECIPE, "predict", p, *views, stdin=lines) for p in (bundle, onnx.path)]
    assert printed[0][1:] == printed[1][1:]
    assert len(printed[0][1].splitlines()) == 2


def test_an_export_whose_predictor_was_changed_runs_nothing(exports, tmp_path):
    shutil.copytree(exports / "onnx", tmp_path / "onnx")
    table = json.loads((tmp_path / "onnx" / "predictor.json").read_text())
    assert table["predictor"] == WHOLE
    for name, message in (
        ("antigravity.predictor", "a predictor is a module seqapps.recipes.NAME.predictor or seqa"),
        ("horoscope", "made by a recipe that is not here"),
    ):
        write_json(tmp_path / "onnx" / "predictor.json", table | {"predictor": name})
        with pytest.raises(UserError, match=message):
            OnnxApplication(tmp_path / "onnx")
    assert "antigravity" not in sys.modules


def test_every_network_runs_in_litert(exports):
    rows = json.loads((exports / "litert" / "litert.json").read_text())["rows"]
    assert [row["form"] for row in rows] == [
        "LiteRT, serving_default",
        "LiteRT, extremes",
        "LiteRT, continued",
    ]
    assert all(row["equal"] and row["largest_difference"] <= 1e-5 for row in rows)


@pytest.mark.long
def test_certify_asks_every_form_of_pictures_and_numbers(bundle, exports):
    """Slow by nature: every form is loaded, in processes of their own.

    What `certify` does is tested on a translator; the forms that stand in the certificate and in
    the exports' cards are tested above.
    """
    places = [exports / "onnx", exports / "litert"]
    found = certify_bundle(bundle, places, recipe=RECIPE, log=lambda _: None)
    assert found["holds"], found["rows"]
    assert {row["form"] for row in found["rows"]} >= {
        "saved_model_cli",
        "TensorFlow's C interface, each input alone",
        "the answers of the certificate, continued",
        "ONNX, each input alone",
        "ONNX, extremes",
        "LiteRT, continued",
    }
    assert (found["not_core"], found["device_bound"]) == ([], [])


@pytest.fixture(scope="module")
def server(killed_and_resumed, tmp_path_factory):
    """One that serves the bundle."""
    with serving(tmp_path_factory.mktemp("server"), str(killed_and_resumed[0])) as found:
        yield found


def test_a_server_takes_pictures_and_gives_events(bundle, server):
    mean = seqapps.load(bundle)
    fields, want = mean.interface.outputs_of("options"), mean.answers(ROWS, scale=3.0)

    def same(columns):
        arrays = {name: np.array(column) for name, column in columns.items()}
        answered = answers_of(fields, arrays)
        assert compare(fields, want, answered)["equal"], answered

    with server.http() as http:
        rows = [for_json(row) | {"scale": 3.0} for row in ROWS]
        body = {"signature_name": "options", "instances": rows}
        reply = http.post("/v1/models/numeric:predict", json=body)
        assert reply.status_code == 200, reply.text
        told = reply.json()["predictions"]
        same({name: [row[name] for row in told] for name in told[0]})

        options = np.full(len(ROWS), 3, np.float32)
        arrays = batch_of(mean.interface.inputs, [row_of(mean.interface.inputs, r) for r in ROWS])
        arrays |= {"scale": options}
        kinds = {"O": "BYTES", "f": "FP32", "i": "INT32"}
        tensors = [
            {
                "name": name,
                "datatype": kinds[array.dtype.kind],
                "shape": list(array.shape),
                "data": for_json(array.ravel()),
            }
            for name, array in arrays.items()
        ]
        body = {"parameters": {"signature_name": "options"}, "inputs": tensors}
        reply = http.post("/v2/models/numeric/infer", json=body)
        assert reply.status_code == 200, reply.text
        same({t["name"]: np.array(t["data"]).reshape(t["shape"]) for t in reply.json()["outputs"]})

        state = {"sums": [1, 2], "more": [[1, 2], [3, 4]]}
        body = {"signature_name": "continued", "instances": [state]}
        told = http.post("/v1/models/numeric:predict", json=body).json()["predictions"]
        assert [{k: row[k] for k in ("sums", "scaled")} for row in told] == mean.ask(
            "continued", [state]
        )
        huge = WHITE[:16] + b"\0\0\x10\0" * 2 + WHITE[24:]
        body = {"instances": [for_json(asked(1, picture=huge))] * 5}
        reply = http.post("/v1/models/numeric:predict", json=body)
        assert (reply.status_code, "padded to the largest" in reply.text) == (400, True)

        page = http.get("/openapi.json").json()
        predict = page["paths"]["/v1/models/numeric:predict"]["post"]["requestBody"]
        forms = predict["content"]["application/json"]["schema"]["anyOf"]
        row = forms[0]["properties"]["instances"]["items"]
        assert row["required"] == ["series", "picture"]
        assert row["properties"]["series"]["items"]["minItems"] == 2
        shown = row["properties"]["picture"]
        assert "b64" in shown["anyOf"][1]["properties"]
        assert "b64 of a PNG or JPEG file" in shown["description"]
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "numeric", "options"
        for name, array in arrays.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        reply = stub.Predict(request, timeout=60)
        same({name: tf.make_ndarray(proto) for name, proto in reply.outputs.items()})


MISTAKES = [
    (["predict", "nowhere"], 1, "nowhere is not a bundle: it has no config.json"),
    (["evaluate", "nowhere"], 1, "nowhere is not a bundle"),
    (["export", "nowhere"], 1, "nowhere is not a bundle"),
    (["--from", "nowhere"], 1, "nowhere is not a bundle"),
    (
        ["export", "BUNDLE", "--format", "gguf"],
        2,
        "--format must be one of tf_saved_model, onnx, litert, got",
    ),
    (["predict", "BUNDLE", "missing.jsonl"], 1, "missing.jsonl cannot be read: No such file"),
    (["predict", "BUNDLE", "--decoding.scale", "x"], 2, "--decoding.scale must be a number"),
    (["predict"], 2, "predict needs BUNDLE"),
    (["--output", "BUNDLE"], 1, "exists and nothing is overwritten unasked; give --overwrite"),
    (["--output", "/dev/null/x"], 1, "/dev/null/x.training cannot be written: "),
    (
        ["--output", "PARENT", "--overwrite"],
        1,
        "is not a bundle (it has no config.json), and --over",
    ),
    (["--resume", "--output", "nothing"], 1, "there is no unfinished training at nothing.train"),
    (["--resume", "--from", "BUNDLE", "--output", "n"], 1, "there is no unfinished training at n."),
    (
        ["--resume", "--overfit-one-batch"],
        2,
        "--overfit-one-batch starts from nothing and --resume",
    ),
    (["--try", "--resume"], 2, "--try starts from nothing and --resume does not"),
    (["--try", "--overfit-one-batch"], 2, "starts from nothing and --try does not"),
    (
        ["--from", "BUNDLE", "--units", "9"],
        2,
        "--units is 8 in the bundle of --from",
    ),
    (["--from", "BUNDLE", "--overfit-one-batch"], 2, "starts from nothing and --from does not"),
    (["--output", "/proc/x"], 1, "/proc/x.training cannot be written: "),
    (["export", "BUNDLE", "--output", "/proc/x"], 1, "/proc/x/1 cannot be written: "),
    (["--seed", "-1", "--output", "x"], 2, "--seed must be from 0 to 4294967295, got -1."),
    (["tune", "--seed", "99999999999"], 2, "--seed must be from 0 to 4294967295, got 99999999999"),
    (["--training.epochs", "0", "--output", "x"], 2, "epochs must be at least 1, got 0"),
]


@pytest.mark.parametrize(
    ("argv", "code", "message"), MISTAKES, ids=[" ".join(argv) for argv, _, _ in MISTAKES]
)
def test_bad_input_is_one_clear_message(
    command, bundle, tmp_path, monkeypatch, argv, code, message
):
    monkeypatch.chdir(tmp_path)
    places = {"BUNDLE": bundle, "PARENT": bundle.parent}
    argv = [places.get(word, word) for word in argv]
    found, out, err = command(RECIPE, *argv)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_of_another_recipe_is_refused(command, bundle):
    code, out, err = command(translate.RECIPE, "predict", bundle)
    assert (code, out) == (1, "")
    assert "is a bundle of numeric, not of translate; use python -m seqapps.recipes.numeric" in err


def test_a_training_goes_on_with_its_own_settings_alone(command, bundle, tmp_path):
    write_settings = Unfinished(tmp_path / "b")
    config = numeric_recipe.Config()
    write_settings.begin(
        recipe="numeric",
        interface=numeric_recipe.interface(config),
        settings=to_json(plain(config)),
        overwrite=False,
    )
    again = ["--resume", "--output", tmp_path / "b"]
    code, out, err = command(RECIPE, *again, "--units", "9", "--training.epochs", "7")
    assert (code, out) == (1, "")
    assert "other settings: training.epochs was 2 and is 7; units was 8 and is 9." in err
    code, out, err = command(RECIPE, *again, "--from", bundle)
    assert (code, out) == (1, "")
    assert "began without --from; resume without --from" in err
    code, out, err = command(RECIPE, "--output", tmp_path / "b")
    assert (code, out) == (1, "")
    assert "go on with --resume, or discard it with --overwrite" in err
    # The bundle of somebody else, that came while the training was interrupted.
    (tmp_path / "b").mkdir()
    write_config(
        tmp_path / "b", recipe="x", interface=numeric_recipe.interface(config), settings={}
    )
    code, out, err = command(RECIPE, *again)
    assert (code, out) == (1, "")
    assert "nothing is overwritten unasked" in err


def test_what_was_moved_before_a_kill_is_finished_at_once(command, bundle):
    config = numeric_recipe.Config()
    work = Unfinished(bundle)
    write_config(
        _made(work.folder),
        recipe="numeric",
        interface=numeric_recipe.interface(config),
        settings=to_json(plain(config)),
    )
    work.note(bundle / "certificate.json")
    code, out, err = command(RECIPE, "--resume", "--output", bundle)
    assert (code, out) == (0, f"{bundle}\n")
    assert err.startswith("\nThe bundle is at ")
    assert not work.folder.exists()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_fine_tuning_and_overfitting_one_batch(bundle, tmp_path, assert_only_ours):
    # In a process of its own: training makes all of TensorFlow deterministic.
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from numeric_recipe import RECIPE\n"
        "from seqapps.commands.program import run\n"
        "hot = ['--training.learning_rate', '0.05']\n"
        "assert run(RECIPE, ['--overfit-one-batch', *hot]) == 0\n"
        "cold = ['--training.learning_rate', '1e-9']\n"
        "assert run(RECIPE, ['--overfit-one-batch', *cold]) == 1\n"
        f"tuned = ['--from', {str(bundle)!r}, '--output', 'tuned', '--training.max_steps', '1']\n"
        "assert run(RECIPE, [*tuned, *cold, '--training.weight_decay', '0']) == 0\n"
    )
    done = subprocess.run(
        [warm_python(), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "one batch is learned: the loss went from" in done.stderr
    assert "one batch must be learned by heart, but the loss went from" in done.stderr
    assert "measured in kilogram" in done.stderr
    assert_only_ours(done.stderr)
    # What failed before it learned anything is not in the way of the next run.
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]
    # One update at a rate of nothing: the weights are those it began with.
    before, after = seqapps.load(bundle), seqapps.load(tmp_path / "tuned")
    some = [asked(0.1, 0.9)]
    np.testing.assert_allclose(after(some), before(some), atol=1e-5)
