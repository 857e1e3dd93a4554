"""The recipe by its command line: any text in, a bundle that writes."""

import csv
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from processor import PROCESSOR
from warm_python import warm_python

import seqapps
from seqapps.commands.program import run
from seqapps.errors import UserError
from seqapps.portable.certificate import compare
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.generate import predict as streaming
from seqapps.recipes.generate.predict import stream
from seqapps.recipes.generate.recipe import RECIPE

PROGRAM = ["-m", "seqapps.recipes.generate"]
TINY = (
    "--model.units",
    "48",
    "--model.embedding",
    "16",
    "--training.tensorboard",
    "false",
    "--text.window",
    "24",
    "--training.batch_tokens",
    "384",
    "--decoding.max_length",
    "40",
)
WORDS = "the cat sat on a mat and the dog lay by the door as it rained".split()


def story(words, seed):
    """Lines of six words, each of which hangs on the line before it.

    Of words drawn one by one, many texts would be equally likely, and searches differ in their last
    bits.
    """
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    known = [" ".join(fixed.choice(WORDS, 6)) for _ in range(60)]
    following = fixed.dirichlet(np.full(len(known), 0.1), len(known))
    places = [0]
    for _ in range(words // 6 - 1):
        places.append(rng.choice(len(known), p=following[places[-1]]))
    return "\n".join(known[place] for place in places) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bundle after some 200 small updates on a text of few words."""
    folder = tmp_path_factory.mktemp("generate")
    (folder / "story.txt").write_text(story(6000, 1))
    done = subprocess.run(
        [
            warm_python(),
            *PROGRAM,
            "train",
            *TINY,
            "--data.train",
            "story.txt",
            "--output",
            "bundle",
            "--training.epochs",
            "3",
            "--training.learning_rate",
            "0.02",
            "--training.warmup_steps",
            "10",
            "--model.weight_drop",
            "0.1",
            "--model.activation_penalty",
            "0.1",
            "--model.change_penalty",
            "0.1",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return folder / "bundle", done


@pytest.fixture
def bundle(trained):
    return trained[0]


@pytest.fixture(scope="module")
def model(trained):
    return seqapps.load(trained[0])


def test_it_learns_and_is_certified(trained):
    bundle, done = trained
    with (bundle / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Letters by how often they occur have an entropy of 2.7 nats.
    assert float(rows[-1]["validation_loss"]) < 1.4
    loss = float(rows[-1]["validation_loss"])
    assert float(rows[-1]["bits_per_character"]) == pytest.approx(loss / math.log(2), rel=0.01)
    certificate = json.loads((bundle / "certificate.json").read_text())
    assert certificate["holds"] is True
    forms = [row["form"] for row in certificate["rows"]]
    for name in ("serving_default", "init", "read", "step", "score"):
        assert f"SavedModel in a fresh CPU process, {name}, each input alone" in forms
    # The same graph as `serving_default`.
    assert "SavedModel in a fresh CPU process, options" in forms
    assert {path.name for path in (bundle / "plots").iterdir()} == {
        "learning_curves.png",
        "surprise.png",
    }
    card = (bundle / "CARD.md").read_text()
    assert "## Measured on the validation text" in card
    assert "There is no test text" in done.stderr


def test_a_session_goes_on_where_it_was(model):
    options = {"max_length": 20, "temperature": 0.9}
    talk = model.session(seed=5, **options)
    first = talk("the cat ")
    second = talk(" and the")
    assert first == model(["the cat "], seed=5, **options)[0]
    assert second == model([f"the cat {first} and the"], seed=6, **options)[0]
    # What is only proposed is forgotten, and what is not asked for is not written.
    editor = model.session(**options)
    editor("the d", keep=False)
    pieces = editor.pieces("og ", keep=False, portion=1, seed=9)
    assert model(["the dog "], seed=9, **options)[0].startswith(next(pieces).decode())
    assert editor("lay", seed=4) == model(["the dog lay"], seed=4, **options)[0]
    with pytest.raises(UserError, match="no option 'tempo'"):
        model.session(tempo=1)


def test_measures_of_the_whole_text_agree_with_the_servable(model, bundle):
    metrics = model.metrics
    text = (bundle.parent / "story.txt").read_bytes()
    held_out = text[int(0.9 * len(text)) :].decode()
    (scored,) = model.ask("score", [held_out])
    # The servable reads the same text from the same empty state; the mark at the end is the rest.
    nats = metrics["loss"] * metrics["tokens"]
    assert -scored["log_probability"] == pytest.approx(nats, rel=0.03)
    assert metrics["tokens"] == len(held_out) + 1
    assert metrics["characters"] == len(held_out)
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]), rel=1e-3)
    words = len(held_out.split())
    assert metrics["bits_per_word"] == pytest.approx(
        metrics["loss"] * metrics["tokens"] / words / math.log(2), rel=1e-3
    )
    assert 3 <= metrics["kneser_ney_order"] <= 10
    # What is served is a mixture, and no worse than the better part.
    assert 0 < metrics["ngram_share"] < 1
    alone = metrics["network_bits_per_character"], metrics["ngram_bits_per_character"]
    assert metrics["bits_per_character"] < min(alone) + 0.01
    assert (bundle / "assets" / "ngram.npz").is_file()
    assert metrics["kneser_ney_bits_per_character"] < 2.0
    assert metrics["loss_of_random_windows"] == pytest.approx(metrics["loss"], abs=0.2)
    assert 0 < metrics["distinct_1"] <= metrics["distinct_2"] <= 1


def test_a_text_streams_as_one_call_writes_it(model):
    for prompt in ("", "the cat", "the cat sat on a mat " * 40):
        options = {"seed": 3, "max_length": 37, "stop": ("dog",)}
        pieces = list(stream(model, prompt, portion=5, **options))
        assert b"".join(pieces).decode() == model([prompt], **options)[0]
        assert len(pieces) > 1 or not pieces
    with pytest.raises(UserError, match="generate has no option 'samples'"):
        next(stream(model, samples=3))


def test_words_come_out(model):
    text = model(["the "], temperature=0.3, max_length=200)[0]
    known = [word for word in text.split() if word in WORDS]
    assert len(known) > 0.5 * len(text.split())


def test_predict_prints_texts(command, bundle, model):
    code, out, err = command(RECIPE, "predict", bundle, "--prompt", "the ", "--decoding.seed", 5)
    assert (code, err) == (0, "")
    assert out == model(["the "], seed=5)[0] + "\n"
    lines = b"the cat\n\nit\n"
    code, out, err = command(RECIPE, "predict", bundle, "--decoding.max_length", 9, stdin=lines)
    assert (code, err) == (0, "")
    wanted = model(["the cat", "", "it"], max_length=9)
    assert out == "".join(f"{text}\n" for text in wanted)
    code, out, err = command(
        RECIPE, "predict", bundle, "--json", "--decoding.samples", 3, stdin=lines
    )
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [len(row["samples"]) for row in rows] == [3, 3, 3]
    assert rows[1]["text"] == rows[1]["samples"][0] == model([""])[0]
    # Bytes of a command line that are no UTF-8.
    odd = ("predict", bundle, "--prompt", os.fsdecode(b"the \xff"), "--decoding.max_length", 9)
    assert command(RECIPE, *odd) == (0, model([b"the \xff"], max_length=9)[0] + "\n", "")
    code, out, err = command(RECIPE, "predict", bundle, stdin=b"")
    assert (code, out, err) == (0, "", "")
    code, out, err = command(RECIPE, "predict", bundle, "--decoding.top_p", "2")
    assert (code, out) == (2, "")
    assert "top_p must be above 0 and at most 1, got 2" in err
    for flag, value, message in (
        ("banned", '["the"]', "banned must name single tokens of the vocabulary of characters"),
        ("begin", "the ☃", "got 'the ☃', of which it does not know '☃'"),
        ("begin", "x" * 20 + "é", "does not know"),
    ):
        code, out, err = command(
            RECIPE, "predict", bundle, "--prompt", "", f"--decoding.{flag}", value
        )
        assert (code, out) == (1, "")
        assert message in err


def test_many_prompts_in_a_pipe_are_answered_at_once(command, bundle, model, monkeypatch):
    asked = []

    def spy(application, prompt, **options):
        asked.append(prompt)
        return stream(application, prompt, **options)

    monkeypatch.setattr(streaming, "stream", spy)
    short = ("predict", bundle, "--decoding.max_length", 9)
    code, piped, _ = command(RECIPE, *short, stdin=b"the cat\nit\n")
    assert (code, asked) == (0, [])
    assert piped == "".join(f"{text}\n" for text in model(["the cat", "it"], max_length=9))
    assert (
        command(RECIPE, *short, stdin=b"the cat\n")[1] == model(["the cat"], max_length=9)[0] + "\n"
    )
    assert asked == [b"the cat"]
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    assert command(RECIPE, *short, stdin=b"the cat\nit\n")[1] == piped
    assert asked == [b"the cat", b"the cat", b"it"]


def test_evaluate_measures_another_text(command, bundle, tmp_path):
    (tmp_path / "other.txt").write_text(story(900, 7))
    code, out, err = command(
        RECIPE,
        "evaluate",
        bundle,
        "--data.test",
        tmp_path / "other.txt",
        "--data.folder",
        bundle.parent,
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["measured_on"] == "test text"
    assert "Measured on the test text:" in err
    assert found["loss"] < 1.4
    assert set(found) == set(seqapps.load(bundle).metrics)


def test_a_cache_is_measured_beside_and_never_in_the_loss(command, bundle, model, tmp_path):
    data = ("--data.folder", bundle.parent)
    code, out, err = command(RECIPE, "evaluate", bundle, *data, "--evaluation.cache_window", 200)
    assert code == 0, err
    found = json.loads(out)
    assert {name: found.pop(name) for name in model.metrics} == model.metrics
    assert "loss_with_cache" not in model.metrics
    assert found.keys() == {
        "loss_with_cache",
        "bits_per_character_with_cache",
        "cache_window",
        "cache_theta",
        "cache_lambda",
        "cache_chosen_on",
    }
    assert found["cache_window"] == 200
    assert found["cache_chosen_on"] == "last tenth of the training text"
    # Words are drawn at random here: no moment tells of another.
    assert found["loss_with_cache"] == pytest.approx(model.metrics["loss"], abs=0.02)
    assert found["bits_per_character_with_cache"] == pytest.approx(
        found["loss_with_cache"]
        * model.metrics["tokens"]
        / model.metrics["characters"]
        / math.log(2),
        rel=1e-3,
    )
    # And here a rare word comes again and again.
    for name, seed in (("validation", 8), ("test", 9)):
        words = story(300, seed).split()
        words[::3] = ["hatmat"] * len(words[::3])
        (tmp_path / f"{name}.txt").write_text(" ".join(words))
        data = (*data, f"--data.{name}", tmp_path / f"{name}.txt")
    code, out, err = command(RECIPE, "evaluate", bundle, *data, "--evaluation.cache_window", 200)
    assert code == 0, err
    found = json.loads(out)
    assert found["cache_chosen_on"] == "validation text"
    assert found["cache_lambda"] > 0.1
    assert found["loss_with_cache"] < 0.8 * found["loss"]
    code, out, err = command(RECIPE, "evaluate", bundle, "--evaluation.cache_window", -5)
    assert (code, out) == (2, "")
    assert "cache_window must be from 0 to 100,000 tokens, got -5" in err


def test_the_servable_steps_without_seqapps(bundle, model):
    """State in, state out, with TensorFlow alone and the defaults of the signature."""
    loaded = tf.saved_model.load(str(bundle / "servable" / "1"))
    init, step = loaded.signatures["init"], loaded.signatures["step"]
    pen, text = init(prompt=tf.constant(["the "])), b""
    names = set(step.structured_input_signature[1])
    options = {o.name for o in model.interface.options_of("step")}
    taken = model.option_values("step", {"seed": 9, "max_length": 24}, 1)
    for _ in range(4):
        asked = {name: pen[name] for name in names - options - {"length"}}
        given = {name: tf.constant(value) for name, value in taken.items()}
        pen = step(**asked, **given, length=tf.constant([6]))
        text += pen["text"].numpy()[0]
    assert text.decode() == model(["the "], seed=9, max_length=24)[0]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_other_vocabularies(tmp_path, kind):
    (tmp_path / "story.txt").write_text(story(6000, 1) + "é☃\n" * 40)
    done = subprocess.run(
        [
            warm_python(),
            *PROGRAM,
            "train",
            *TINY,
            "--data.train",
            "story.txt",
            "--output",
            "bundle",
            "--training.epochs",
            "1",
            "--text.kind",
            kind,
            "--text.vocabulary",
            "300",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert seqapps.load(tmp_path / "bundle").metrics["bits_per_character"] < 5


@pytest.fixture(scope="module")
def exported_to(trained, tmp_path_factory):
    """The writer in ONNX."""
    place = tmp_path_factory.mktemp("writer") / "onnx"
    assert run(RECIPE, ["export", str(trained[0]), "--format", "onnx", "--output", str(place)]) == 0
    return place


def test_its_onnx_form_writes_and_judges_the_same(exported_to, model):
    exported = OnnxApplication(exported_to)
    prompts = ["the cat ", "", "☃ dog", "on a mat and " * 20]
    fields = model.interface.outputs_of("options")
    for options in (
        {},
        {"temperature": 0.0},
        {"samples": 4, "seed": [1, 2, 3, -4], "top_p": 0.8, "repetition_penalty": 1.4},
        {"stop": [["cat", "og"], [], [" "], ["t t"]], "min_length": 3, "seed": 9},
        {"banned": ["a"], "begin": "the ", "min_p": 0.05, "top_k": 7},
        {"beam_width": 5, "samples": 3, "max_length": 12},
        {"max_length": 0},
    ):
        want = model.answers(prompts, **options)
        found = compare(fields, want, exported.answers(prompts, **options))
        assert found["equal"], (options, found)
    judged = compare(
        model.interface.outputs_of("score"),
        model.ask("score", prompts),
        exported.ask("score", prompts),
    )
    assert judged["equal"], judged


def test_its_onnx_form_writes_in_pieces_too(command, exported_to, model, monkeypatch):
    exported = OnnxApplication(exported_to)
    for number, prompt in enumerate(("", "the cat", "☃ the cat sat on a mat " * 20)):
        options = {
            "seed": number,
            "max_length": 37,
            "stop": ("dog", "mat th", "t t"),
            "min_length": 9 * number,
        }
        (whole,) = model([prompt], **options)
        for portion in (1, 5):
            pieces = list(stream(exported, prompt, portion=portion, **options))
            assert b"".join(pieces).decode() == whole
            assert len(pieces) > len(whole) // 10
            assert all(pieces)
    assert list(stream(exported, "it", max_length=0)) == []
    with pytest.raises(UserError, match="a text in pieces has no option 'samples'"):
        next(stream(exported, samples=3))
    with pytest.raises(UserError, match="there is no option 'heat'"):
        next(stream(exported, heat=3))
    with pytest.raises(UserError, match="answers of generate come whole with these options"):
        exported.pieces("it", beam_width=4)

    asked = []
    written = OnnxApplication.pieces
    monkeypatch.setattr(
        OnnxApplication,
        "pieces",
        lambda self, prompt, **options: asked.append(prompt) or written(self, prompt, **options),
    )
    short = ("predict", exported_to, "--decoding.max_length", 9)
    code, out, err = command(RECIPE, *short, "--prompt", "the cat ")
    assert (code, err, asked) == (0, "", [b"the cat "])
    assert out == model(["the cat "], max_length=9)[0] + "\n"
    code, out, _ = command(RECIPE, *short, stdin=b"the cat\nit\n")
    assert (code, len(asked)) == (0, 1)
    assert out == "".join(f"{text}\n" for text in model(["the cat", "it"], max_length=9))


def test_its_predictor_prints_a_text_while_it_is_written(exported_to, model):
    long = [f"--set={name}=100000" for name in ("min_length", "max_length")]
    program = [sys.executable, "-IB", exported_to / "predictor.py"]
    with subprocess.Popen(
        [*program, *long, "--set=seed=5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(b"the cat\n")
        process.stdin.close()
        begun = process.stdout.read(40)
        assert process.poll() is None, "it had ended before"
        process.kill()
    (whole,) = model(["the cat"], seed=5, min_length=100, max_length=100)
    assert whole.encode().startswith(begun)
    done = subprocess.run(
        [*program, "--set=max_length=9"], input=b"the cat\nit\n", capture_output=True, timeout=60
    )
    want = model(["the cat", "it"], max_length=9)
    assert done.stdout.decode() == "".join(f"{text}\n" for text in want)


def test_what_int8_costs_is_on_the_card(command, bundle, model, tmp_path):
    place = tmp_path / "onnx"
    export = ("export", bundle, "--format", "onnx", "--quantise", "int8", "--output", place)
    # The text is not where the training, in its own folder, found it.
    code, out, err = command(RECIPE, *export, "--data.folder", bundle.parent)
    assert (code, out) == (0, f"{place}\n"), err
    found = json.loads((place / "certificate.json").read_text())["quantised"]
    assert found["on"] == (
        "1 passage of at most 5,000 characters from all over the validation text, read from "
        "an empty state"
    )
    bits = found["metrics"]["bits_per_character"]
    # The same text as in training, but for the mark at its end.
    assert bits["float32"] == pytest.approx(model.metrics["bits_per_character"], rel=0.03)
    assert bits["int8"] == pytest.approx(bits["float32"], rel=0.05), PROCESSOR
    assert found["bytes"]["int8"] < found["bytes"]["float32"] / 2
    assert (
        sum(path.stat().st_size for path in (place / "networks").iterdir())
        == (found["bytes"]["int8"])
    )
    card = (place / "CARD.md").read_text()
    assert f"| bits_per_character | {bits['float32']:g} | {bits['int8']:g} |" in card
    assert "What 8-bit weights cost, on 1 passage of at most 5,000 characters" in card
    (judged,) = OnnxApplication(place).ask("score", ["the cat sat"])
    (want,) = model.ask("score", ["the cat sat"])
    assert judged["perplexity"] == pytest.approx(want["perplexity"], rel=0.1)
