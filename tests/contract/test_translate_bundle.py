"""A real bundle of `translate`, as people and servers use it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from warm_python import warm_python

import seqapps
from seqapps.bundle.application import load_network
from seqapps.errors import UserError
from seqapps.recipes.translate.recipe import RECIPE

FIELDS = ["remembered", "score", "sentences", "translation", "truncated"]

PROGRAM = [sys.executable, "-m", "seqapps.recipes.translate"]

# Everything that a line can be and still be a line.
LINES = [
    b"Where is the station?",
    b"",
    b"The old man is reading.\r",
    b"\xff\xfe not UTF-8 \xc3",
    "Größe \u2603 \u4f60\u597d".encode(),
    # 10,000 characters that are one unknown piece: as real letters they would take minutes.
    ("\u2603" * 10_000).encode(),
    b"   ",
    b"Two words",
]


@pytest.fixture(scope="module")
def app(tiny_bundle):
    return seqapps.load(tiny_bundle)


def expected(app, **options):
    return app.answers([line.removesuffix(b"\r") for line in LINES], **options)


def test_predict_answers_every_line_in_order(command, tiny_bundle, app, tmp_path):
    stdin = b"\n".join(LINES)
    code, out, err = command(RECIPE, "predict", tiny_bundle, stdin=stdin)
    assert (code, err) == (0, "")
    assert out.split("\n")[:-1] == [row["translation"] for row in expected(app)]

    # The same from two files, the second without a newline at its end, as JSON.
    (tmp_path / "a.txt").write_bytes(b"\n".join(LINES[:3]) + b"\n")
    (tmp_path / "b.txt").write_bytes(b"\n".join(LINES[3:]))
    nbest = ["--json", "--decoding.n_best", "3", "--decoding.beam_width", "5"]
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    code, out, err = command(RECIPE, "predict", tiny_bundle, *files, *nbest)
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    wanted = expected(app, n_best=3, beam_width=5)
    assert [row["alternatives"] for row in rows] == [row["alternatives"] for row in wanted]
    for row in rows:
        assert set(row) == {*FIELDS, "alternatives", "alternative_scores"}
        assert 1 <= len(row["alternatives"]) == len(row["alternative_scores"]) <= 3
        assert row["alternatives"][0] == row["translation"]
        assert row["alternative_scores"][0] == row["score"]
        assert row["alternative_scores"] == sorted(row["alternative_scores"], reverse=True)


def test_the_n_best_of_a_line_are_numbered(command, tiny_bundle, app):
    nbest = ["--decoding.n_best", "2", "--decoding.beam_width", "3"]
    code, out, _ = command(RECIPE, "predict", tiny_bundle, *nbest, stdin=b"Hello.\nGoodbye.\n")
    assert code == 0
    found = [line.split(" ||| ") for line in out.splitlines()]
    assert [row[0] for row in found] == ["0", "0", "1", "1"]
    wanted = app.answers(["Hello.", "Goodbye."], n_best=2, beam_width=3)
    assert [row[1] for row in found] == [t for row in wanted for t in row["alternatives"]]
    scores = [score for row in wanted for score in row["alternative_scores"]]
    np.testing.assert_allclose([float(row[2]) for row in found], scores, atol=1e-3)


def test_the_form_follows_what_is_asked_and_not_what_is_found(command, tiny_bundle):
    # Nothing has one translation, and what is drawn is one.
    for flags in ([], ["--decoding.temperature", "0.5"]):
        nbest = ["--decoding.n_best", "2", *flags]
        code, out, _ = command(RECIPE, "predict", tiny_bundle, *nbest, stdin=b"Hello.\n\nBye.\n")
        assert code == 0
        found = [line.split(" ||| ") for line in out.splitlines()]
        numbers = ["0", "1", "2"] if flags else ["0", "0", "1", "2", "2"]
        assert [row[0] for row in found] == numbers
        assert {len(row) for row in found} == {3}
    code, out, _ = command(RECIPE, "predict", tiny_bundle, stdin=b"Hello.\n\n")
    assert code == 0
    assert " ||| " not in out


def test_options_that_do_not_fit_their_type_are_refused(app):
    for name, value in (("beam_width", 3_000_000_000), ("beam_width", 2**70), ("seed", 2**63)):
        with pytest.raises(UserError, match=f"option {name} takes .* from -.* got {value}"):
            app(["Hello."], **{name: value})
    with pytest.raises(UserError, match="option beam_width takes whole numbers, got 1.5"):
        app(["Hello."], beam_width=1.5)
    assert app(["Hello."], temperature=1.0, seed=2**63 - 1)


def test_an_application_keeps_its_place_when_the_working_directory_changes(
    tiny_bundle, tmp_path, monkeypatch
):
    monkeypatch.chdir(tiny_bundle.parent)
    app = seqapps.load(tiny_bundle.name)
    monkeypatch.chdir(tmp_path)
    assert app.path == tiny_bundle
    assert app.metrics == json.loads((tiny_bundle / "metrics.json").read_text("utf-8"))


SERVABLE = [
    "config.json",
    "servable/1/saved_model.pb",
    "servable/1/variables/variables.data-00000-of-00001",
    "servable/1/variables/variables.index",
]
ASSETS = ["assets/source.model", "assets/target.model"]


def damaged(bundle, place, file, damage):
    shutil.copytree(bundle, place)
    if damage == "missing":
        (place / file).unlink()
    else:
        content = (place / file).read_bytes()
        kept = {"empty": 0, "begun": 100, "half": len(content) // 2}[damage]
        (place / file).write_bytes(content[:kept])
    return place


@pytest.mark.parametrize("damage", ["missing", "empty", "begun", "half"])
@pytest.mark.parametrize(
    ("verb", "file"),
    [("predict", file) for file in SERVABLE]
    + [("evaluate", file) for file in ASSETS]
    + [pytest.param("evaluate", file, marks=pytest.mark.long) for file in SERVABLE],
)
def test_a_damaged_bundle_is_one_clear_message(command, tiny_bundle, tmp_path, verb, file, damage):
    """Both commands load a servable in the same way: once is enough for every change."""
    place = damaged(tiny_bundle, tmp_path / "b", file, damage)
    code, out, err = command(RECIPE, verb, place, stdin=b"Hello.\n")
    assert (code, out) == (1, "")
    message = err[err.index("error: ") :]
    assert message.count("\n") == 1
    assert str(place) in message or file in message
    assert "train or copy the bundle again" in message or "is not a bundle" in message


@pytest.mark.parametrize("damage", ["missing", "empty", "begun", "half"])
def test_a_damaged_network_is_one_clear_message(tiny_bundle, tmp_path, damage):
    place = damaged(tiny_bundle, tmp_path / "b", "model.keras", damage)
    with pytest.raises(UserError, match=r"model.keras cannot be loaded \(.+\); train or copy"):
        load_network(place)


def test_a_network_is_loaded_where_layers_were_imported_lazily(tiny_bundle):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from seqapps.lazy import lazy_imports\n"
        "with lazy_imports():\n"
        "    from seqapps.layers import recurrent\n"
        "from seqapps.bundle.application import load_network\n"
        "assert load_network(Path(sys.argv[1])).get_layer('encoder')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_bundle)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


def test_predict_needs_no_more_than_it_reads(command, tiny_bundle, tmp_path):
    shutil.copytree(tiny_bundle, tmp_path / "b")
    for path in (tmp_path / "b").rglob("*"):
        if path.is_file() and str(path.relative_to(tmp_path / "b")) not in SERVABLE:
            path.unlink()
    wanted = seqapps.load(tiny_bundle)(["Hello."])
    assert command(RECIPE, "predict", tmp_path / "b", stdin=b"Hello.") == (0, f"{wanted[0]}\n", "")


MISTAKES = [
    (["--decoding.n_best", "9"], 2, "n_best must be from 1 to beam_width (4), got 9."),
    (["--decoding.beam_width", "0"], 2, "beam_width must be from 1 to 1000, got 0"),
    (["--decoding.top_p", "0"], 2, "top_p must be above 0"),
    (["--training.epochs", "3"], 2, "predict does not take --training.epochs; train does."),
    (["missing.txt"], 1, "missing.txt cannot be read: No such file or directory."),
    (["."], 1, ". cannot be read: Is a directory."),
]


@pytest.mark.parametrize(
    ("argv", "code", "message"), MISTAKES, ids=[" ".join(argv) for argv, _, _ in MISTAKES]
)
def test_bad_input_is_one_clear_message(command, tiny_bundle, argv, code, message):
    found, out, err = command(RECIPE, "predict", tiny_bundle, *argv)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert message in err


def test_a_pipe_is_answered_line_by_line_without_a_word_of_chatter(tiny_bundle, app):
    predict = subprocess.Popen(
        [*PROGRAM, "predict", str(tiny_bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    answers = []
    # The next line is sent only when this one is answered.
    for line in ("Good morning.", "Where is the hotel?"):
        predict.stdin.write(line.encode() + b"\n")
        predict.stdin.flush()
        answers.append(predict.stdout.readline().decode().rstrip("\n"))
    out, err = predict.communicate()
    assert (predict.returncode, out, err) == (0, b"", b"")
    assert answers == app(["Good morning.", "Where is the hotel?"])


def test_a_reader_that_goes_away_is_no_error(tiny_bundle, app):
    program = " ".join([warm_python(), *PROGRAM[1:]])
    line = f"yes Hello. | head -n 3000 | {program} predict {tiny_bundle} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[2]}}"], capture_output=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (141, b"")
    assert done.stdout.decode() == app(["Hello."])[0] + "\n"


FRESH = """
import json, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("seqapps", "sentencepiece", "tensorflow_text", "sacrebleu"):
            raise ImportError(name)

sys.meta_path.insert(0, Block())
import tensorflow as tf
folder, line = sys.argv[1:]
loaded = tf.saved_model.load(folder + "/servable/1")
served = loaded.signatures["serving_default"](source=tf.constant([line]))
options = dict(beam_width=2, length_penalty=0.5, n_best=2, temperature=0.0, top_k=0, top_p=1.0)
best = loaded.signatures["options"](
    source=tf.constant([line, ""]),
    seed=tf.constant([0], tf.int64),
    **{name: tf.constant([value]) for name, value in options.items()},
)
del sys.meta_path[0]

import keras, seqapps.layers
assert "seqapps.recipe" not in sys.modules
network = keras.saving.load_model(folder + "/model.keras")
batch = {"source": [[5, 6, 3]], "source_lengths": [3], "target": [[2, 7]], "target_lengths": [2]}
logits = network({name: tf.constant(value, tf.int32) for name, value in batch.items()})
print(json.dumps({
    "translation": served["translation"].numpy()[0].decode(),
    "score": float(served["score"][0]),
    "alternatives": [text.decode() for text in best["alternatives"].numpy()[0]],
    "logits": logits.numpy().tolist(),
}))
"""


def test_a_bundle_lives_without_seqapps(tiny_bundle, app, tmp_path):
    line = "Where is the station?"
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tiny_bundle), line],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wanted = app.answers([line])[0]
    assert found["translation"] == wanted["translation"]
    assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)
    best = app.answers([line], beam_width=2, length_penalty=0.5, n_best=2)[0]
    assert found["alternatives"] == best["alternatives"]
    batch = {"source": [[5, 6, 3]], "source_lengths": [3], "target": [[2, 7]]}
    batch = {k: np.array(v, np.int32) for k, v in (batch | {"target_lengths": [2]}).items()}
    np.testing.assert_allclose(found["logits"], app.model(batch), atol=1e-5)


def saved_model_cli(*argv):
    done = subprocess.run(
        [Path(warm_python()).with_name("saved_model_cli"), *argv],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_saved_model_cli_shows_and_runs_the_servable(tiny_bundle, app):
    servable = str(tiny_bundle / "servable" / "1")
    shown = saved_model_cli("show", "--dir", servable, "--tag_set", "serve", "--all")
    signatures = re.split(r"signature_def\['", shown)
    default, options = (
        next(text for text in signatures if text.startswith(name))
        for name in ("serving_default", "options")
    )
    assert re.findall(r"inputs\['(\w+)'\]", default) == ["source"]
    assert sorted(re.findall(r"outputs\['(\w+)'\]", default)) == FIELDS
    names = {"source", "beam_width", "length_penalty", "n_best", "temperature", "top_k", "top_p"}
    assert set(re.findall(r"inputs\['(\w+)'\]", options)) == names | {"seed"}
    # With the signature `options`, of which only one value is given: the others have defaults.
    asked = ["--input_exprs", 'source=["Hello.", ""];beam_width=[1]']
    ran = saved_model_cli(
        "run", "--dir", servable, "--tag_set", "serve", "--signature_def", "options", *asked
    )
    wanted = app.answers(["Hello.", ""], beam_width=1)
    shown_scores = re.search(r"output key score:\s*\[(.*?)\]", ran, re.DOTALL).group(1)
    np.testing.assert_allclose(
        [float(score) for score in shown_scores.split()],
        [row["score"] for row in wanted],
        rtol=1e-5,
    )
