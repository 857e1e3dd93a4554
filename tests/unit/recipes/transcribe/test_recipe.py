"""The recipe by its command line: recordings of every kind, and what is no recording."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from clean_environment import linked_environment
from speech_data import RATE_HZ as RATE
from speech_data import same_in_onnx, tones, write_recordings
from warm_python import warm_python

import seqapps
from seqapps.audio.read import read_wav
from seqapps.audio.settings import Augmentation, Features
from seqapps.bundle.folder import read_assets
from seqapps.bundle.servable import default_options
from seqapps.config import from_dict
from seqapps.errors import UserError
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.transcribe.answer import Transcribe
from seqapps.recipes.transcribe.data_settings import SpeechData
from seqapps.recipes.transcribe.predict import ListenOptions, listen, transcribe
from seqapps.recipes.transcribe.recipe import RECIPE, Config
from seqapps.recipes.transcribe.settings import Recogniser
from seqapps.report import Reporter
from seqapps.training.run import learn
from seqapps.training.settings import Training


def said(text="yes stop"):
    return tones(text)


@pytest.fixture(scope="module")
def bundle(tiny_recogniser):
    return tiny_recogniser


@pytest.fixture(scope="module")
def application(bundle):
    return seqapps.load(bundle)


@pytest.fixture
def listen_to(application, bundle, capsys):
    """What `predict` does, with a bundle that is loaded: standard output and error."""

    def call(*files, strategy=None, **flags):
        options = ListenOptions(bundle=bundle, files=files, **flags)
        listen(application, options, strategy=strategy or {})
        return tuple(capsys.readouterr())

    return call


def encoded(values, subtype="PCM_16", rate=RATE, format="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, values, rate, subtype=subtype, format=format)
    return buffer.getvalue()


# Keras saves weights this way.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_it_learns(few_recordings, tmp_path):
    config = Config(
        data=SpeechData(train=str(few_recordings)),
        features=Features(sample_rate_hz=8_000, mels=24),
        augmentation=Augmentation(time_masks=0, band_masks=0),
        model=Recogniser(
            channels=8, time_strides=(2, 2), projection=32, units=32, depth=1, dropout=0
        ),
        training=Training(
            epochs=6,
            batch_tokens=400,
            learning_rate=0.01,
            warmup_steps=20,
            patience=0,
            label_smoothing=0,
            tensorboard=False,
        ),
    )
    story = io.StringIO()
    keras.utils.set_random_seed(config.seed)
    examples = RECIPE.load(config, None, Reporter(story))
    learned = learn(RECIPE, config, examples, folder=tmp_path, reporter=Reporter(story))
    first, *_, last = (row["loss"] for row in learned.progress.history)
    # Here a thirtieth is left, a third with the unluckiest of four seeds.
    assert last < 0.6 * first
    assert "Held out by speaker" in story.getvalue()
    assert "training speakers" in story.getvalue()


def test_train_leaves_a_certified_bundle_with_its_measurements(bundle):
    assert json.loads((bundle / "certificate.json").read_text())["holds"] is True
    metrics = json.loads((bundle / "metrics.json").read_text())
    # Its weights are right.
    assert (metrics["wer"], metrics["cer"]) == (0, 0)
    assert {"wer_interval", "wer_by_speaker", "confused", "real_time_factor"} <= set(metrics)
    assert sorted(path.name for path in (bundle / "plots").iterdir()) == [
        "hearing_1.png",
        "hearing_2.png",
        "hearing_3.png",
        "learning_curves.png",
    ]


def test_files_of_every_kind_give_the_same_text(application):
    values = said()
    stereo = np.stack([values, 0.5 * values], 1)
    kinds = {
        "16 bits": encoded(values),
        "8 bits": encoded(values, "PCM_U8"),
        "24 bits": encoded(values, "PCM_24"),
        "float": encoded(values, "FLOAT"),
        "stereo": encoded(stereo),
        "truncated": encoded(np.concatenate([values, np.zeros(9_000)]))[:-8_000],
    }
    answers = dict(zip(kinds, application.answers(list(kinds.values())), strict=True))
    for kind, answer in answers.items():
        assert answer["text"] == "yes stop", kind
        assert answer["words"] == ["yes", "stop"]
        assert 0.5 < answer["confidence"] <= 1.0
        assert 0.0 <= answer["starts"][0] < answer["ends"][0] <= answer["starts"][1]
        assert answer["ends"][1] <= answer["seconds"]
    assert answers["truncated"]["status"].startswith("truncated")
    assert answers["16 bits"]["status"] == "ok"


def test_samples_are_answered_as_files_are(application):
    values = said()
    (file,) = application.answers([encoded(values, "FLOAT")])
    (samples,) = application.ask("pcm", [{"samples": values, "rate_hz": RATE}])
    for name, value in samples.items():
        if isinstance(value, str) or name == "words":
            assert value == file[name]
        else:
            np.testing.assert_allclose(value, file[name], atol=1e-5)


def test_silence_moments_and_what_is_no_recording(application):
    quiet = encoded(np.zeros(RATE))
    moment = encoded(said()[5_000 : 5_000 + RATE // 100])
    answers = application.answers([quiet, moment, b"no recording", b"", encoded(np.zeros(0))])
    assert [answer["text"] for answer in answers[2:]] == ["", "", ""]
    assert [answer["status"] for answer in answers] == [
        "ok",
        "ok",
        "not a WAV file (no RIFF/WAVE header)",
        "not a WAV file (no RIFF/WAVE header)",
        "no samples",
    ]
    assert answers[0]["text"] == ""
    assert answers[1]["seconds"] == pytest.approx(0.01, abs=1e-3)


def test_strategy_values_for_each_recording(application):
    file = encoded(said())
    several = application.answers([file], n_best=3, beam_width=4)[0]
    assert len(several["alternatives"]) == 3
    assert several["alternatives"][0] == "yes stop"
    scores = several["alternative_scores"]
    assert scores == sorted(scores, reverse=True)
    # A word that is expected strongly enough is heard, in the row that expects it alone.
    hot = application([file, file], hot_words=[["sty"], []], hot_word_weight=[30.0, 30.0])
    assert "sty" in hot[0].split()
    assert hot[1] == "yes stop"


def test_scores_are_without_the_bonus_of_each_symbol(application):
    stored = from_dict(RECIPE.config, application.config, source="config.json")
    file = tf.constant([encoded(said())])
    asked = default_options(application.interface.options)
    answers = []
    # So small that the search finds the same.
    for bonus in (0.0, 0.01):
        assets = dict(read_assets(application.path))
        assets["language.json"] = json.dumps({"language": 0.5, "bonus": bonus}).encode()
        served = Transcribe(
            application.model, assets, features=stored.features, stride=stored.model.stride
        )
        answer = served({"audio": file}, asked)
        answers.append((answer["text"][0].numpy(), answer["alternative_scores"][0, 0].numpy()))
    (text, score), (same, without) = answers
    assert (text, len(text)) == (same, 8)
    # Eight symbols would add 0.08 nats.
    assert without == pytest.approx(score, abs=1e-3)


def test_a_row_is_answered_as_if_alone(application):
    stored = from_dict(RECIPE.config, application.config, source="config.json")
    served = Transcribe(
        application.model,
        read_assets(application.path),
        features=stored.features,
        stride=stored.model.stride,
    )
    files = [encoded(said("yes")), encoded(said("stop no yes stop"))]
    rate = stored.features.sample_rate_hz
    together, lengths = served.log_probs(read_wav(tf.constant(files), rate))
    for row, file in enumerate(files):
        alone, count = served.log_probs(read_wav(tf.constant([file]), rate))
        assert int(count[0]) == int(lengths[row])
        np.testing.assert_allclose(together[row, : count[0]], alone[0], atol=1e-5)


def test_predict_reads_files_folders_and_standard_input(
    command, listen_to, bundle, tmp_path, monkeypatch
):
    (tmp_path / "a.wav").write_bytes(encoded(said("yes")))
    (tmp_path / "b.flac").write_bytes(encoded(said("stop"), format="FLAC"))
    (tmp_path / "notes.txt").write_text("nothing to hear")
    code, out, err = command(RECIPE, "predict", bundle, tmp_path)
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'a.wav'}\tyes\n{tmp_path / 'b.flac'}\tstop\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(encoded(said("yes")))))
    assert listen_to() == ("yes\n", "")
    out, _ = listen_to(tmp_path / "b.flac", format="srt")
    assert re.fullmatch(r"1\n00:00:00,\d{3} --> 00:00:\d{2},\d{3}\nstop\n", out)
    out, _ = listen_to(tmp_path / "a.wav", format="vtt")
    assert out.startswith("WEBVTT\n\n00:00:00.")
    out, _ = listen_to(tmp_path, json=True, strategy={"n_best": 2})
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["text"] for row in rows] == ["yes", "stop"]
    assert set(rows[0]) == {
        "file",
        "text",
        "words",
        "seconds",
        "confidence",
        "status",
        "alternatives",
    }
    assert len(rows[0]["alternatives"]) == 2
    assert rows[0]["words"][0]["text"] == "yes"


def test_bad_files_are_named_and_the_others_transcribed(command, listen_to, bundle, tmp_path):
    (tmp_path / "1.wav").write_bytes(b"RIFF no recording")
    (tmp_path / "2.wav").write_bytes(encoded(said("yes")))
    (tmp_path / "3.mp3").write_bytes(b"no music either")
    files = [tmp_path / name for name in ("1.wav", "2.wav", "3.mp3", "gone.wav")]
    code, out, err = command(RECIPE, "predict", bundle, *files)
    assert code == 1
    assert out == f"{files[1]}\tyes\n"
    assert f"{files[0]}: error: not a WAV file" in err
    assert "3.mp3" in err
    assert f"{files[3]}: error: the file does not exist\n" in err
    assert "error: 3 of 4 recordings could not be read" in err
    with pytest.raises(UserError, match="--output"):
        listen_to(tmp_path, format="srt")
    assert listen_to(files[1], format="srt", output=tmp_path / "s") == ("", "")
    assert "yes" in (tmp_path / "s" / "2.srt").read_text()
    code, out, err = command(RECIPE, "predict", bundle, files[1], "--output", files[0])
    assert (code, out) == (1, "")
    assert f"{files[0]} cannot be written: File exists; give another folder with --output" in err


def test_answers_are_in_folders_as_the_recordings_are(listen_to, tmp_path):
    for folder, text in (("a", "yes"), ("b", "stop")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "x.wav").write_bytes(encoded(said(text)))
    listen_to(tmp_path / "in", output=tmp_path / "out")
    assert (tmp_path / "out" / "a" / "x.txt").read_text() == "yes\n"
    assert (tmp_path / "out" / "b" / "x.txt").read_text() == "stop\n"
    files = [tmp_path / "in" / folder / "x.wav" for folder in "ab"]
    with pytest.raises(UserError, match=r"would both be written to .*x\.txt; name the folder"):
        listen_to(*files, output=tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("subtype", "format"), [("ULAW", "WAV"), ("ALAW", "WAV"), ("PCM_16", "RF64")]
)
def test_kinds_of_wav_files_that_the_graph_does_not_read(listen_to, tmp_path, subtype, format):
    path = tmp_path / "x.wav"
    path.write_bytes(encoded(said("yes"), subtype, format=format))
    assert listen_to(path) == ("yes\n", "")


def test_no_recording_in_a_folder_is_passed_over(command, bundle, tmp_path):
    (tmp_path / "a.w64").write_bytes(encoded(said("yes"), format="W64"))
    (tmp_path / "b.M4A").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom")
    (tmp_path / "c.txt").write_text("notes")
    code, out, err = command(RECIPE, "predict", bundle, tmp_path)
    assert (code, out) == (1, f"{tmp_path / 'a.w64'}\tyes\n")
    assert f"{tmp_path / 'b.M4A'}: error: cannot be read as audio" in err
    assert "ffmpeg" in err


def test_other_recordings_are_measured_where_those_of_training_are_gone(
    command, bundle, few_recordings
):
    data = ("--data.train", "gone.tsv", "--data.test", few_recordings)
    code, out, err = command(RECIPE, "evaluate", bundle, *data)
    assert code == 0, err
    assert (json.loads(out)["wer"], json.loads(out)["recordings"]) == (0, 60)
    assert "Measured without the training recordings: " in err
    assert "gone.tsv does not exist" in err


def test_several_answers_are_searched_for_once(application, tmp_path, monkeypatch):
    (tmp_path / "x.wav").write_bytes(encoded(said()))
    asked = []
    for name in ("ask", "answers"):
        ask = getattr(application, name)
        monkeypatch.setattr(
            application,
            name,
            lambda *a, name=name, ask=ask, **k: asked.append(name) or ask(*a, **k),
        )
    transcript = transcribe(application, tmp_path / "x.wav", strategy={"n_best": 2})
    assert asked == ["answers"]
    assert (transcript.text, len(transcript.alternatives)) == ("yes stop", 2)
    assert [word.text for word in transcript.words] == ["yes", "stop"]


def test_ten_minutes_are_cut_and_joined(listen_to, tmp_path):
    pause = np.zeros(3 * RATE // 10, np.float32)
    parts = [said("yes "), pause, said("stop "), pause]
    once = np.concatenate(parts)
    times = int(600 * RATE / len(once)) + 1
    noise = np.random.default_rng(0).normal(size=times * len(once)) * 1e-4
    (tmp_path / "long.wav").write_bytes(encoded(np.tile(once, times) + noise))
    out, err = listen_to(tmp_path / "long.wav", json=True)
    assert err == ""
    transcript = json.loads(out)
    assert transcript["seconds"] > 600
    words = transcript["words"]
    # Every word once, whatever was cut where: nothing is lost or doubled at the joins.
    assert [word["text"] for word in words] == ["yes", "stop"] * times
    # And when it was said: at its first tone, after 0.09 s of silence.
    period, stop = len(once) / RATE, sum(map(len, parts[:2])) / RATE
    said_at = [turn * period + start for turn in range(times) for start in (0.09, 0.09 + stop)]
    assert [word["start_s"] for word in words] == pytest.approx(said_at, abs=0.06)


def test_memory_grows_with_a_recording_by_little_more_than_its_samples(application, tmp_path):
    path, seconds = tmp_path / "long.wav", 600
    values = np.random.default_rng(0).normal(size=seconds * RATE).astype(np.float32) * 0.01
    path.write_bytes(encoded(values))
    samples = values.nbytes
    del values
    # Whatever the first call prepares.
    transcribe(application, path, strategy={})
    # The peak of this process is counted from here on.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    transcribe(application, path, strategy={})
    # The file, its samples, and sixteen parts of 27 s with their features.
    assert resident("VmHWM") - before < 1.5 * samples + 100e6


def resident(name):
    """Bytes that this process has in memory: `VmRSS` now, `VmHWM` at most."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)[1])


def test_mistakes_in_the_data_stop_the_training_or_are_listed(tmp_path):
    manifest = write_recordings(tmp_path / "speech", count=24)
    lines = manifest.read_text().splitlines()
    quiet = tmp_path / "speech" / "audio" / "quiet.wav"
    soundfile.write(quiet, np.zeros(8_000), 8_000)
    moment = tmp_path / "speech" / "audio" / "moment.wav"
    soundfile.write(moment, said()[3_000:4_000], RATE)
    (tmp_path / "speech" / "audio" / "broken.wav").write_bytes(b"no recording")
    bad = [
        "audio/quiet.wav\tyes\tm1",
        "audio/moment.wav\tstop stop stop\tm1",
        "audio/0.wav\t \tm1",
        "audio/broken.wav\tyes\tm1",
        "audio/gone.wav\tyes\tm1",
    ]
    manifest.write_text("\n".join([*lines, *bad]) + "\n")
    code = (
        "import sys\n"
        "from seqapps.commands.program import run\n"
        "from seqapps.recipes.transcribe import RECIPE\n"
        f"argv = ['--data.train', {str(manifest)!r}, '--output', 'b', '--training.epochs', '1',\n"
        "        '--training.max_steps', '1', '--model.units', '8', '--model.channels', '4']\n"
        "assert run(RECIPE, [*argv, '--data.max_bad_share', '0.05']) == 1\n"
        "assert run(RECIPE, [*argv, '--data.train', 'nowhere.tsv']) == 1\n"
        "forward = ['--data.max_bad_share', '0.5', '--model.bidirectional', 'false']\n"
        "assert run(RECIPE, [*argv, *forward]) == 2\n"
        "one = ['--data.max_bad_share', '0.5', '--overfit-one-batch']\n"
        "one += ['--training.batch_tokens', '300']\n"
        "assert run(RECIPE, [*argv, *one]) in (0, 1)\n"
    )
    done = subprocess.run(
        [warm_python(), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "training recordings in" in errors[0]
    assert "manifest.tsv:29" in done.stderr
    assert "gone.wav: the file does not exist" in done.stderr
    assert "nowhere.tsv does not exist" in errors[1]
    assert "features.normalise" in errors[2]
    for kind in ("silence", "too short for its transcript", "empty transcript"):
        assert f"1 × {kind}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(tmp_path / "b").exists()


def test_its_onnx_form_hears_the_same_without_tensorflow(
    command, bundle, application, few_recordings, tmp_path
):
    place = tmp_path / "onnx"
    code, out, err = command(RECIPE, "export", bundle, "--format", "onnx", "--output", place)
    assert (code, out) == (0, f"{place}\n"), err
    files = sorted((few_recordings.parent / "audio").glob("*.wav"))[:12]
    recordings = [file.read_bytes() for file in files]
    heard = same_in_onnx(application, OnnxApplication(place), recordings)
    assert len(set(heard)) > 2
    needed = (place / "requirements.txt").read_text().split()
    done = subprocess.run(
        [linked_environment(tmp_path / "env", needed), "-IB", place / "predictor.py", *files[:2]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stderr, done.stdout.splitlines()) == ("", application(recordings[:2]))
    program = (
        "import sys; sys.argv[1:1] = ['predict']\n"
        "from seqapps.commands.program import run; from seqapps.recipes.transcribe import RECIPE\n"
        "assert run(RECIPE) == 0; assert 'tensorflow.python' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, place, files[0]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stderr, done.stdout) == ("", application(recordings[:1])[0] + "\n")


def test_what_int8_costs_is_on_the_card(command, bundle, application, few_recordings, tmp_path):
    place = tmp_path / "onnx"
    export = ("export", bundle, "--format", "onnx", "--quantise", "int8", "--output", place)
    code, out, err = command(RECIPE, *export)
    assert (code, out) == (0, f"{place}\n"), err
    cost = json.loads((place / "certificate.json").read_text())["quantised"]
    count = application.metrics["recordings"]
    assert cost["on"] == f"{count} of {count} recordings of the test split"
    for name in ("wer", "cer"):
        rates = cost["metrics"][name]
        assert rates["float32"] == pytest.approx(application.metrics[name], abs=1e-3)
        assert (
            f"| {name} | {rates['float32']:g} | {rates['int8']:g} |"
            in (place / "CARD.md").read_text()
        )
    # Of so small a network the graph is the larger part; a real one takes a third.
    assert cost["bytes"]["int8"] < 0.8 * cost["bytes"]["float32"]
    files = sorted((few_recordings.parent / "audio").glob("*.wav"))[:12]
    recordings = [file.read_bytes() for file in files]
    # Hand-set weights are whole multiples of a few numbers: 8 bits hold them.
    assert OnnxApplication(place)(recordings) == application(recordings)
