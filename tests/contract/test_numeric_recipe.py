"""The whole machinery with numbers in and out, by its own command line."""

import io
import json
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
from numeric_recipe import RECIPE

import seqapps
from seqapps.bundle.folder import write_config
from seqapps.bundle.unfinished import Unfinished
from seqapps.commands import train as training
from seqapps.config import to_json
from seqapps.errors import UserError
from seqapps.layers.cudnn import cudnn_operations
from seqapps.recipes.translate import recipe as translate
from seqapps.report import Reporter
from seqapps.training import run as training_run
from seqapps.training.settings import Training

# Several starts of TensorFlow, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)

PROGRAM = [sys.executable, numeric_recipe.__file__]


def _started(command, *, until, **options):
    """A process, and what it wrote to standard error up to a line."""
    # A shell starts background jobs with Ctrl-C ignored, and that is inherited.
    ready = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **ready, **options
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
    training = [*PROGRAM, "train", "--output", str(output)]
    # Once as the bundle is begun, and once as it is nearly done.
    for flags, line in (([], "Writing the bundle"), (["--resume"], "Certifying")):
        process, story = _started([*training, *flags], until=line)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert_only_ours(story)
        # Not one file of an unfinished bundle; the training is still there.
        assert not output.exists()
        assert Unfinished(output).folder.exists()
    second = subprocess.run(
        [*training, "--resume"], capture_output=True, text=True, timeout=300, check=False
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


def test_ctrl_c_in_fine_tuning_prints_the_command_that_goes_on(command, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "old")
    tuned = ["--from", "old", "--output", "new one", "--training.epochs", "20"]
    tuned += ["--training.patience", "0", "--data.series", "100"]
    process, story = _started([*PROGRAM, "train", *tuned], until="epoch  2/20", cwd=tmp_path)
    # Meanwhile nobody else trains there, not even who would discard what is there.
    for flags in (["--overwrite"], ["--resume"]):
        code, _, err = command(RECIPE, "--output", tmp_path / "new one", *flags)
        assert code == 1
        assert f"process {process.pid} is training for {tmp_path / 'new one'}; wait" in err
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate()
    assert process.returncode == 130, story + rest
    found = re.search(
        r"^Stopped\. To continue: python -m seqapps\.recipes\.numeric (.*)$", rest, re.MULTILINE
    )
    words = shlex.split(found[1])
    assert words == ["train", *tuned, "--resume"]
    # The settings and weights that it began with are in what it left.
    (tmp_path / "old").rename(tmp_path / "elsewhere")
    done = subprocess.run(
        [*PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stdout) == (0, "new one\n"), done.stderr
    assert "resuming at step" in done.stderr
    assert len((tmp_path / "new one" / "history.csv").read_text().splitlines()) == 21
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "new one"]


def test_ctrl_c_before_anything_is_learned_leaves_nothing(command, tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "start_tensorflow", interrupt)
    code, out, err = command(RECIPE, "--output", tmp_path / "b")
    assert (code, out, err) == (130, "", "\nStopped; nothing was learned yet.\n")
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
        "series": tf.TensorSpec([None, None]),
        "series_lengths": tf.TensorSpec([None], tf.int32),
    }
    traced = tf.function(network, input_signature=[specs]).get_concrete_function()
    assert cudnn_operations(traced) == ["CudnnRNNV3"]
    training_run._write_bundle(RECIPE, config, network, examples, tmp_path, Reporter(io.StringIO()))
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
    series = [[0.25, 0.75], [], [0.5], np.linspace(0, 1, 40)]
    found = mean.answers(series)
    assert [len(row["running"]) for row in found] == [2, 0, 1, 40]
    assert [row["steps"] for row in found] == [2, 0, 1, 40]
    assert all(isinstance(row["mean"], float) for row in found)
    # The mean is the last of the running means, and the same numbers come from model.keras.
    assert found[3]["running"][-1] == found[3]["mean"]
    batch = {"series": tf.constant([[0.25, 0.75]]), "series_lengths": tf.constant([2])}
    np.testing.assert_allclose(found[0]["running"], mean.model(batch)[0, :, 0], atol=1e-6)
    doubled = mean(series, scale=[2.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(doubled[3], 2 * found[3]["mean"], rtol=1e-6)
    np.testing.assert_allclose(doubled[2], found[2]["mean"], rtol=1e-6)


def test_predict_reads_numbers_and_writes_numbers(command, bundle, tmp_path):
    mean = seqapps.load(bundle)
    lines = b"[0.25, 0.75]\r\n[]\n[1]"
    code, out, err = command(RECIPE, "predict", bundle, stdin=lines)
    assert (code, err) == (0, "")
    expected = mean([[0.25, 0.75], [], [1]])
    np.testing.assert_allclose([float(line) for line in out.splitlines()], expected, rtol=1e-6)

    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl").write_text("[2, 2, 2]\n")
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
    mean, series = seqapps.load(bundle), [[0.25, 0.75, 0.1], [], np.linspace(0, 1, 70)]
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
    asked = [{"sums": [0, 0], "more": [1, 2]}, {"sums": [5, 3], "more": []}]
    first = mean.ask("continued", asked, scale=[1.0, 10.0])
    assert first == [{"sums": [3.0, 2.0], "scaled": 3.0}, {"sums": [5.0, 3.0], "scaled": 50.0}]
    again = mean.ask("continued", [{"sums": first[0]["sums"], "more": [4]}])
    assert again == [{"sums": [7.0, 3.0], "scaled": 7.0}]
    # The same through whole batches; the defaults are in the signature.
    found = mean.call("continued", sums=[[3.0, 2.0]], more=[[4.0]], more_lengths=[1], scale=[2.0])
    assert found["scaled"].numpy().tolist() == [14.0]
    taken = mean._loaded.signatures["continued"].structured_input_signature[1]
    assert set(taken) == {"sums", "more", "more_lengths", "scale"}
    with pytest.raises(UserError, match=r"sums must be an array of 2 numbers, got \[1\]"):
        mean.ask("continued", [{"sums": [1], "more": []}])
    with pytest.raises(UserError, match="numeric has no option 'scale'; it has none"):
        mean.ask("extremes", [[1.0]], scale=1.0)


def test_views_of_numbers_are_printed(command, bundle):
    rows = seqapps.load(bundle).ask("extremes", [[0.25, 0.75], []])
    asked = {"stdin": b"[0.25, 0.75]\n[]\n"}
    code, out, err = command(RECIPE, "predict", bundle, "--view", "largest", **asked)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{rows[0]['largest']:.6f} of 2", "0.000000 of 0"]
    code, out, err = command(RECIPE, "predict", bundle, "--view", "table", **asked)
    assert (code, out, err) == (0, "2 series\n", "")
    for view in ("largest", "table"):
        code, out, err = command(RECIPE, "predict", bundle, "--view", view, "--json", **asked)
        assert (code, err) == (0, "")
        assert [json.loads(line) for line in out.splitlines()] == rows
    code, out, err = command(RECIPE, "predict", bundle, "--view", "larges", **asked)
    assert (code, out) == (2, "")
    assert "--view must be one of answer, largest, table" in err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"[1]\n[1, 2\n", r"line 2: each line must be JSON \(series: a list of numbers \(kg\)\)"),
        (b"[1]\n\n", "line 2: each line must be JSON"),
        (b'[1]\n[2]\n["3"]\n', r"line 3: .*: series must be a list of numbers \(kg\), got"),
        (b"7\n", "line 1: .*: series must be a list of numbers"),
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
        series=tf.constant([[0.5, 0.5]]), series_lengths=tf.constant([2])
    )
    assert set(answer) == {"mean", "running", "running_lengths"}
    np.testing.assert_allclose(answer["mean"], seqapps.load(bundle)([[0.5, 0.5]]), rtol=1e-6)
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
        settings=to_json(config),
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
        settings=to_json(config),
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
        "from seqapps.recipe import run\n"
        "hot = ['--training.learning_rate', '0.05']\n"
        "assert run(RECIPE, ['--overfit-one-batch', *hot]) == 0\n"
        "cold = ['--training.learning_rate', '1e-9']\n"
        "assert run(RECIPE, ['--overfit-one-batch', *cold]) == 1\n"
        f"tuned = ['--from', {str(bundle)!r}, '--output', 'tuned', '--training.max_steps', '1']\n"
        "assert run(RECIPE, [*tuned, *cold, '--training.weight_decay', '0']) == 0\n"
        f"assert run(RECIPE, [*tuned[:2], '--output', 'x', '--units', '9']) == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "one batch is learned: the loss went from" in done.stderr
    assert "one batch must be learned by heart, but the loss went from" in done.stderr
    assert "the settings describe another network than the one in" in done.stderr
    assert "measured in kilogram" in done.stderr
    assert_only_ours(done.stderr)
    # What failed before it learned anything is not in the way of the next run.
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]
    # One update at a rate of nothing: the weights are those it began with.
    before, after = seqapps.load(bundle), seqapps.load(tmp_path / "tuned")
    np.testing.assert_allclose(after([[0.1, 0.9]]), before([[0.1, 0.9]]), atol=1e-5)
