"""The recipe by its command line: labels of any number, words that matter, mistakes in the data."""

import csv
import html.parser
import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from warm_python import warm_python

import seqapps
from seqapps.bundle.application import load_network
from seqapps.bundle.folder import read_assets, read_data_record, write_data_record
from seqapps.bundle.unfinished import Unfinished
from seqapps.errors import UserError
from seqapps.portable.certificate import compare
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipe import stored_config
from seqapps.recipes.sentiment.interface import classifier_interface
from seqapps.recipes.sentiment.recipe import RECIPE
from seqapps.report import Reporter
from seqapps.training.run import learn

PROGRAM = ["-m", "seqapps.recipes.sentiment"]
TINY = (
    "--model.units",
    "8",
    "--model.embedding",
    "16",
    "--model.hidden",
    "8",
    "--training.tensorboard",
    "false",
)
FILLERS = "the film was made with a red house and some people who walked over its bridge".split()
# Labels that are no identifiers, and in another order than they are met.
DECIDING = {"very good": "good", "très mauvais": "awful", "so-so": "middling"}


def write_table(path, count, seed):
    """A table of texts whose one deciding word says the label."""
    rng = np.random.default_rng(seed)
    rows = ["label\ttext"]
    for i in range(count):
        label = list(DECIDING)[i % 3]
        words = list(rng.choice(FILLERS, rng.integers(3, 9)))
        words.insert(rng.integers(len(words) + 1), DECIDING[label])
        rows.append(f"{label}\t{' '.join(words)}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for seed, (name, count) in enumerate((("train", 900), ("validation", 90), ("test", 90))):
        write_table(folder / f"{name}.tsv", count, seed)
    return folder


def data(folder):
    splits = ("train", "validation", "test")
    return [word for s in splits for word in (f"--data.{s}", str(folder / f"{s}.tsv"))]


@pytest.fixture(scope="module")
def trained(tables, tmp_path_factory):
    """A bundle whose reader was pretrained for one pass, then trained for some 60 updates."""
    folder = tmp_path_factory.mktemp("sentiment")
    done = subprocess.run(
        [
            warm_python(),
            *PROGRAM,
            "train",
            *TINY,
            *data(tables),
            "--output",
            "bundle",
            "--text.vocabulary",
            "80",
            "--training.batch_tokens",
            "512",
            "--training.epochs",
            "4",
            "--training.learning_rate",
            "0.02",
            "--training.warmup_steps",
            "5",
            "--pretraining.epochs",
            "1",
            "--pretraining.unfreeze_epochs",
            "0.25",
            "--pretraining.layer_rate",
            "0.7",
            "--model.pairs",
            "4096",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder / "bundle", done


@pytest.fixture
def bundle(trained):
    return trained[0]


def test_it_learns(trained):
    bundle, done = trained
    with (bundle / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Chance is ln 3 = 1.1.
    assert int(rows[-1]["steps"]) < 80
    assert float(rows[-1]["validation_loss"]) < 0.5
    assert float(rows[-1]["accuracy"]) > 0.8
    with (bundle / "pretraining.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["validation_loss"]) < np.log(80)
    assert "Pre-training: predicting each word" in done.stderr
    assert "fitted on the validation split" in done.stderr
    assert "linear part: C = 10, validation loss" in done.stderr
    metrics = json.loads((bundle / "metrics.json").read_text())
    # The parts are measured alone where both have a say.
    parts = {"accuracy_without_pairs", "accuracy_of_pairs_alone"} & metrics.keys()
    assert len(parts) == (2 if metrics["linear_share"] else 0)
    assert all(metrics[name] > 0.8 for name in parts)
    assert {path.name for path in (bundle / "plots").iterdir()} == {
        "confusion_matrix.png",
        "learning_curves.png",
        "pretraining_curves.png",
        "reliability.png",
    }


def test_every_form_of_both_signatures_is_certified(bundle):
    certificate = json.loads((bundle / "certificate.json").read_text())
    assert certificate["holds"] is True
    assert [row["form"] for row in certificate["rows"]] == [
        "each input alone",
        "eager",
        "model.keras, reloaded",
        "each input alone, explain",
        "eager, explain",
        "model.keras, reloaded, explain",
        "SavedModel in a fresh CPU process, serving_default",
        "SavedModel in a fresh CPU process, serving_default, each input alone",
        "SavedModel in a fresh CPU process, explain",
        "SavedModel in a fresh CPU process, explain, each input alone",
    ]
    assert all(row["equal"] and row["inputs"] > 3 for row in certificate["rows"])


def test_labels_survive_and_mean_what_they_meant(bundle):
    classify = seqapps.load(bundle)
    texts = [f"the film was {word} and some people" for word in DECIDING.values()]
    assert classify(texts) == list(DECIDING)
    for found in classify.answers(texts):
        assert sorted(found["classes"]) == sorted(DECIDING)
        assert sum(found["probabilities"]) == pytest.approx(1.0, abs=1e-6)
    # model.keras is calibrated as the servable is.
    layer = classify.model.get_layer("temperature")
    assert float(layer.value) == pytest.approx(classify.metrics["temperature"], abs=1e-4)
    assert float(layer.value) != 1.0
    for text, why in zip(texts, classify.ask("explain", texts), strict=True):
        assert why["words"] == text.split()
        assert why["words"][int(np.argmax(why["importance"]))] in DECIDING.values()


LINES = b"the film was good\n\n<b>awful</b> \x1b[31m film\n\xff middling\n"


def test_predict_prints_label_and_probability(command, bundle):
    code, out, err = command(RECIPE, "predict", bundle, stdin=LINES)
    assert (code, err) == (0, "")
    rows = [line.split("\t") for line in out.split("\n")[:-1]]
    assert len(rows) == 4
    assert rows[0][0] == "very good"
    for label, probability in rows:
        assert label in DECIDING
        assert 1 / 3 <= float(probability) <= 1
    code, out, err = command(RECIPE, "predict", bundle, "--json", stdin=LINES)
    assert (code, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    for row, answer in zip(rows, answers, strict=True):
        assert set(answer) == {"label", "probabilities", "classes", "truncated"}
        assert row == [answer["label"], f"{answer['probabilities'][0]:.4f}"]


def test_words_that_mattered_are_shown_as_text_as_json_and_as_a_page(command, bundle):
    asked = ("predict", bundle, "--view")
    code, out, err = command(RECIPE, *asked, "words", stdin=LINES)
    assert (code, err) == (0, "")
    # Neither our colours, for this is no terminal, nor what the text brought along.
    assert "\x1b" not in out
    assert "the film was good" in out
    assert "supports:" in out
    assert "(no words)" in out

    code, out, err = command(RECIPE, *asked, "words", "--json", stdin=LINES)
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [len(row["words"]) for row in rows] == [4, 0, 3, 2]
    for row in rows:
        assert set(row) == {"label", "probability", "words", "importance"}
        assert len(row["importance"]) == len(row["words"])
    assert rows[0]["words"][int(np.argmax(rows[0]["importance"]))] == "good"

    code, out, err = command(RECIPE, *asked, "html", stdin=LINES)
    assert (code, err) == (0, "")
    articles = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, _: articles.append(tag)
    parser.feed(out)
    assert articles.count("article") == 4
    assert "b" not in articles
    assert "&lt;b&gt;awful&lt;/b&gt;" in out
    code, out, err = command(RECIPE, *asked, "html")
    assert (code, err) == (0, "")
    assert out.startswith("<!DOCTYPE html>")
    assert "<article>" not in out

    code, out, err = command(RECIPE, *asked, "word")
    assert (code, out) == (2, "")
    assert "--view must be one of answer, words, html" in err


def test_a_terminal_gets_colours_and_a_pipe_none(command, bundle, monkeypatch):
    asked = ("predict", bundle, "--view", "words")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    _, out, _ = command(RECIPE, *asked, stdin=LINES)
    assert "\x1b[38;5;" in out
    assert "\x1b[31m" not in out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in command(RECIPE, *asked, stdin=LINES)[1]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: False)
    assert "\x1b" not in command(RECIPE, *asked, stdin=LINES)[1]


def test_evaluate_measures_another_test_set(command, bundle, tmp_path):
    other = write_table(tmp_path / "other.tsv", 30, seed=9)
    code, out, err = command(RECIPE, "evaluate", bundle, "--data.test", other)
    assert code == 0
    found = json.loads(out)
    assert found["texts"] == 30
    assert found["accuracy"] > 0.8
    assert {
        "accuracy",
        "macro_f1",
        "negative_log_likelihood",
        "expected_calibration_error",
        "calibration_error_before_scaling",
        "temperature",
        "baseline_accuracy",
        "baseline_strength",
        "points_above_baseline",
    } <= set(found)
    # Whether a word is there decides, which is all that the baseline needs.
    assert found["baseline_accuracy"] == 1.0
    trained = seqapps.load(bundle).metrics
    assert trained["texts"] == 90
    assert set(trained) == set(found)
    assert "Fitting the baseline" in err
    assert "This is not the data of the training: test had 90 rows and has 30" in err


def test_a_training_never_goes_on_with_other_data(command, bundle, tmp_path):
    record = read_data_record(bundle)
    assert record.splits["test"]["rows"] == 90
    settings = json.loads((bundle / "config.json").read_text())["settings"]
    work = Unfinished(tmp_path / "b")
    work.begin(
        recipe="sentiment", interface=classifier_interface(), settings=settings, overwrite=False
    )
    # Of a file that has lost some rows.
    before = {**record.splits, "train": {"rows": 999, "hash": "0"}}
    write_data_record(work.folder, replace(record, splits=before))
    code, out, err = command(RECIPE, "--resume", "--output", tmp_path / "b")
    assert (code, out) == (1, "")
    rows = record.splits["train"]["rows"]
    assert f"began with: train had 999 rows and has {rows}. Put it back as it was" in err


def test_an_unknown_label_of_another_test_set_is_named(command, bundle, tmp_path):
    (tmp_path / "other.tsv").write_text("label\ttext\nvery good\tyes\nvery god\tno\n")
    code, out, err = command(RECIPE, "evaluate", bundle, "--data.test", tmp_path / "other.tsv")
    assert (code, out) == (1, "")
    assert "other.tsv:3: The label 'very god' is not among the 3 classes of the training" in err
    assert "Did you mean 'very good'?" in err


@pytest.mark.parametrize(
    ("setting", "value", "has"),
    [("text.vocabulary", 90, "80"), ("model.pools", '["max"]', ""), ("pretraining.epochs", 2, "1")],
)
def test_what_a_bundle_has_for_good_is_not_changed(command, bundle, tmp_path, setting, value, has):
    words = ["--from", bundle, f"--{setting}", value, "--output", tmp_path / "further"]
    code, _, err = command(RECIPE, *words)
    assert code == 2
    assert f"--{setting} is {has}" in err
    assert not list(tmp_path.iterdir())


def test_a_bundle_is_trained_further_with_other_classes(bundle, tables, tmp_path):
    rows = [f"a {word} house\t{label}" for word, label in (("red", "hot"), ("green", "cold"))] * 9
    rows = [row.replace("a", "a " * i, 1) for i, row in enumerate(rows, 1)]
    (tmp_path / "colours.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    reporter, base = Reporter(io.StringIO()), stored_config(RECIPE, bundle)
    old = read_assets(bundle)
    assert RECIPE.adopt(base, old, reporter) == (old, "")
    colours = replace(base.data, train=str(tmp_path / "colours.tsv"), validation="", test="")
    still = replace(base.training, max_steps=1, learning_rate=1e-9, weight_decay=0.0)
    config = replace(base, data=colours, training=still)
    assets, said = RECIPE.adopt(config, old, reporter)
    assert "does not know 'cold', 'hot': it keeps what that one learned of reading" in said
    examples = RECIPE.load(config, assets, reporter)
    assert examples.classes == ["cold", "hot"]
    trained = {"folder": tmp_path, "reporter": reporter, "trained": bundle}
    learned = learn(RECIPE, config, examples, anew=True, **trained).network
    assert learned.output.shape == (None, 2)
    before = load_network(bundle)
    for name in ("embedding", "encoder", "pooling", "hidden"):
        weights = (model.get_layer(name).get_weights() for model in (learned, before))
        for weight, other in zip(*weights, strict=True):
            np.testing.assert_allclose(weight, other, atol=1e-5)
    with pytest.raises(UserError, match="another network than the one in"):
        learn(RECIPE, config, examples, **trained)


def test_mistakes_in_the_data_are_named_by_line(tables, tmp_path):
    good = (tables / "validation.tsv").read_text(encoding="utf-8")
    (tmp_path / "unseen.tsv").write_text(good + "splendid\ta red house\n", encoding="utf-8")
    (tmp_path / "column.tsv").write_text("sentiment\ttext\na\tb\n")
    (tmp_path / "broken.csv").write_text('label,text\nvery good,"a, b"\nso-so\nso-so,x\n')
    # In a process of its own, as training makes all of TensorFlow deterministic.
    code = (
        "import sys\n"
        "from seqapps.commands.program import run\n"
        "from seqapps.recipes.sentiment import RECIPE\n"
        f"for name in ('unseen.tsv', 'column.tsv', 'broken.csv'):\n"
        f"    argv = ['--data.train', {str(tables / 'train.tsv')!r}, '--data.validation', name]\n"
        "    assert run(RECIPE, [*argv, '--output', 'b']) == 1\n"
    )
    done = subprocess.run(
        [warm_python(), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3, done.stderr
    assert "unseen.tsv:92: The label 'splendid' is not among the 3 classes" in errors[0]
    assert "column.tsv" in errors[1]
    assert "'label'" in errors[1]
    assert "broken.csv:3" in errors[2]
    assert "Traceback" not in done.stderr
    # Nothing is left of trainings that learned nothing.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "broken.csv",
        "column.tsv",
        "unseen.tsv",
    ]


@pytest.mark.long
def test_the_embedded_reviews_need_nothing(tmp_path):
    done = subprocess.run(
        [
            warm_python(),
            *PROGRAM,
            *TINY,
            "--text.vocabulary",
            "200",
            "--training.max_steps",
            "3",
            "--training.epochs",
            "1",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "saved_models/sentiment/demo\n"
    bundle = tmp_path / done.stdout.strip()
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert metrics["texts"] == 1000
    # The label hangs on order and scope, which a bag of words does not see.
    assert metrics["baseline_accuracy"] < 0.9
    assert sorted(json.loads((bundle / "assets" / "classes.json").read_text())) == [
        "negative",
        "positive",
    ]
    assert not (bundle / "pretraining.csv").exists()


def test_its_onnx_form_explains_the_same(command, bundle, tmp_path):
    place = tmp_path / "onnx"
    code, out, err = command(RECIPE, "export", bundle, "--format", "onnx", "--output", place)
    assert (code, out) == (0, f"{place}\n"), err
    rows = json.loads((place / "certificate.json").read_text())["rows"]
    assert "ONNX, explain" in [row["form"] for row in rows]
    texts = ["a fine film , not bad at all", "", "dull ☃ dull", "word " * 300]
    application = seqapps.load(bundle)
    want = application.ask("explain", texts)
    assert any(any(answer["importance"]) for answer in want)
    found = OnnxApplication(place).ask("explain", texts)
    fields = application.interface.outputs_of("explain")
    assert compare(fields, want, found)["equal"]
    code, out, err = command(RECIPE, "predict", place, "--view", "words", stdin=b"a fine film\n")
    assert (code, err) == (0, "")
    assert "a fine film" in out
