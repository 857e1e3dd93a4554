"""A stream in portions of any size is the whole recording: numbers and text."""

import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from warm_python import warm_python

import seqapps
from seqapps.audio.read import read_pcm
from seqapps.audio.settings import Features
from seqapps.bundle.folder import write_config
from seqapps.bundle.servable import default_options, input_specs, option_specs, write_servable
from seqapps.commands.program import run
from seqapps.config import to_json
from seqapps.decoding.settings import Transcription
from seqapps.errors import UserError
from seqapps.recipe import strategy_options
from seqapps.recipes.transcribe import language as speech_language
from seqapps.recipes.transcribe.answer import Transcribe
from seqapps.recipes.transcribe.interface import recogniser_interface
from seqapps.recipes.transcribe.network import build_recogniser
from seqapps.recipes.transcribe.predict_stream import hear
from seqapps.recipes.transcribe.recipe import RECIPE, Config
from seqapps.recipes.transcribe.settings import Recogniser, recogniser_settings, streaming_settings
from seqapps.recipes.transcribe.stream_answer import TranscribeStream, answers
from seqapps.recipes.transcribe.stream_interface import latency_ms, streaming_interface
from seqapps.text.alphabet import Alphabet

RATE = 4_000
SIZE = Recogniser(
    streaming=True, channels=3, time_strides=(2, 3), projection=12, units=16, depth=2, lookahead=3
)
MODEL, FEATURES = streaming_settings(
    SIZE, Features(sample_rate_hz=RATE, mels=8, window_ms=20, hop_ms=10)
)
ALPHABET = Alphabet((" ", "a", "b", "é", "ou"))
OPTIONS = strategy_options(Transcription())
INTERFACE = streaming_interface(OPTIONS, model=MODEL, features=FEATURES)
STATE = [spec.name for spec in input_specs(INTERFACE.inputs_of("flush"))]
PAUSES = {"pause_s": tf.constant([0.0])}


def network_of(model=MODEL, seed=6):
    keras.utils.set_random_seed(seed)
    network = build_recogniser(model, outputs=len(ALPHABET.symbols), features=FEATURES)
    network.get_layer("normalisation").adapt(np.full(8, -6.0), np.full(8, 2.0))
    # As sure of itself as a trained network is, and of everything now and then.
    kernel = network.get_layer("output").kernel
    kernel.assign(6.0 * kernel)
    return network


def assets_of():
    texts = ["a b", "ou béa", "bab ou a"] * 3
    language = speech_language.fit(texts, ALPHABET, order=3)
    weights = speech_language.Weights(language=0.4, bonus=0.5)
    return ALPHABET.assets | speech_language.to_assets(language, weights)


class Streams:
    """Functions of one network, whole and in portions; traced, unless they are called little."""

    def __init__(self, model=MODEL, *, traced=True):
        self.network, self.assets = network_of(model), assets_of()
        self.interface = streaming_interface(OPTIONS, model=model, features=FEATURES)
        self.whole = Transcribe(self.network, self.assets, features=FEATURES, stride=model.stride)
        served = answers(self.network, self.assets, features=FEATURES, model=model)
        self.calls, self.offline = served, self._offline
        if traced:
            self.calls = {name: self._traced(name, answer) for name, answer in served.items()}
            self.offline = self._traced("pcm", self._offline)

    def _traced(self, name, answer):
        specs = (input_specs(self.interface.inputs_of(name)), option_specs(OPTIONS))
        return tf.function(
            answer, input_signature=[{s.name: s for s in each} for each in specs], autograph=False
        )

    def _offline(self, inputs, options):
        read = read_pcm(inputs["samples"], inputs["samples_lengths"], inputs["rate_hz"], RATE)
        log_probs, steps = self.whole.log_probs(read)
        return log_probs, steps, self.whole.answer(read, options)["text"]

    def ask(self, name, state, options, **inputs):
        asked = {key: state[key] for key in STATE} | inputs
        return self.calls[name](asked, options)


@pytest.fixture(scope="module")
def streams():
    return Streams()


def sound(seconds, rate=RATE, seed=0):
    """Syllables of changing pitch with silences between."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 200 + 1_000 * np.abs(np.sin(3.1 * time + seed)) + 300 * np.sin(17 * time)
    loud = np.maximum(0.0, np.sin(9.0 * time + seed)) ** 2
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    return (0.4 * loud * tone + 1e-3 * rng.normal(size=len(time))).astype(np.float32)


def batch(rows):
    lengths = [len(row) for row in rows]
    values = np.zeros((len(rows), max(1, *lengths)), np.float32)
    for padded, row in zip(values, rows, strict=True):
        padded[: len(row)] = row
    return {"samples": tf.constant(values), "samples_lengths": tf.constant(lengths, tf.int32)}


def heard(streams, portions, rates, options, *, int16=False):
    """Log-probabilities and text of each stream; `portions` holds a list of rows each."""
    state = streams.calls["init"]({"rate_hz": tf.constant(rates, tf.int32)}, options)
    numbers, texts = [[] for _ in rates], [b""] * len(rates)

    def take(answer):
        flat = answer["log_probabilities"].numpy()
        counts = answer["log_probabilities_lengths"].numpy()
        for row, text in enumerate(answer["text"].numpy()):
            numbers[row].append(flat[row, : counts[row]])
            texts[row] += text

    for rows in portions:
        if int16:
            pcm = tf.constant([np.round(row * 32768).astype("<i2").tobytes() for row in rows])
            state = streams.ask("step_int16", state, options, pcm=pcm)
        else:
            state = streams.ask("step", state, options, **batch(rows))
        take(state)
    take(streams.ask("flush", state, options))
    outputs = len(ALPHABET.symbols) + 1
    return [np.concatenate(part).reshape(-1, outputs) for part in numbers], texts


def cut(rows, sizes):
    """The same rows in portions; where one size is not enough, it is used again."""
    portions, starts = [], [0] * len(rows)
    number = 0
    while any(start < len(row) for start, row in zip(starts, rows, strict=True)):
        portion = []
        for i, row in enumerate(rows):
            # Rows are cut at different places.
            size = sizes[(number + 3 * i) % len(sizes)]
            portion.append(row[starts[i] : starts[i] + size])
            starts[i] += size
        portions.append(portion)
        number += 1
    return portions or [rows]


def check(streams, rows, rates, sizes, *, int16=False, **given):
    options = default_options(OPTIONS) | PAUSES | given
    if int16:
        rows = [np.round(row * 32768).astype(np.float32) / 32768 for row in rows]
    log_probs, steps, texts = streams.offline(
        batch(rows) | {"rate_hz": tf.constant(rates, tf.int32)}, options
    )
    numbers, found = heard(streams, cut(rows, sizes), rates, options, int16=int16)
    for row, (want, count) in enumerate(zip(log_probs.numpy(), steps.numpy(), strict=True)):
        assert len(numbers[row]) == count
        np.testing.assert_allclose(numbers[row], want[:count], atol=1e-5)
    assert found == texts.numpy().tolist()
    return found


@settings(max_examples=6)
@given(
    # In samples; what is left comes at once.
    sizes=st.lists(st.sampled_from([0, 1, 2, 39, 40, 41, 80, 333, 1_000, 5_000]), max_size=9),
    seed=st.integers(0, 50),
    rates=st.tuples(*[st.sampled_from([RATE, 8_000, 11_025, 16_000, 2_000])] * 2),
)
def test_portions_of_any_size_are_the_whole(streams, sizes, seed, rates):
    rows = [sound(0.9, rates[0], seed), sound(0.3 + 0.01 * seed, rates[1], seed + 1)]
    check(streams, rows, rates, [*sizes, 20_000])


def test_sample_by_sample(streams):
    assert check(streams, [sound(0.06), sound(0.03)], [RATE, RATE], [1])


def test_the_texts_say_something(streams):
    (text,) = check(streams, [sound(4.0)], [RATE], [500])
    assert len(text.decode().split()) > 2
    assert len(set(text.decode())) > 3


def test_whole_numbers_of_16_bits(streams):
    rows = [sound(1.0, seed=4), sound(0.4, seed=5)]
    check(streams, rows, [RATE, RATE], [423, 900, 0], int16=True)


def test_an_odd_last_byte_waits_for_no_one(streams):
    options = default_options(OPTIONS)
    state = streams.calls["init"]({"rate_hz": tf.constant([RATE, RATE])}, options)
    after = streams.ask("step_int16", state, options, pcm=tf.constant([b"\1\2\3", b""]))
    assert after["frame_lengths"].numpy().tolist() == [1, 0]
    assert after["frame"].numpy()[0, 0] == 0x0201 / 32768


def test_nothing_moments_and_numbers_that_are_none(streams):
    nothing, moment = np.zeros(0, np.float32), sound(0.004)
    strange = np.concatenate([sound(0.2), [np.nan, np.inf, -np.inf], sound(0.2)])
    check(streams, [nothing, moment, strange], [RATE] * 3, [50])


def test_strategy_values_count_as_they_do_for_a_whole_recording(streams):
    rows = [sound(1.5, seed=7), sound(1.2, seed=8)]
    plain = check(streams, rows, [RATE, RATE], [700])
    check(
        streams,
        rows,
        [RATE, RATE],
        [700],
        beam_width=tf.constant([1, 12]),
        language=tf.constant([0.0, 1.0]),
    )
    expected = check(
        streams,
        rows,
        [RATE, RATE],
        [700],
        hot_words=tf.constant([["éé", "bb"], ["", ""]]),
        hot_word_weight=tf.constant([60.0]),
    )
    assert expected[0] != plain[0]
    assert expected[1] == plain[1]


def test_a_rate_that_cannot_be_met_says_so(streams):
    options = default_options(OPTIONS)
    state = streams.calls["init"]({"rate_hz": tf.constant([3_999, 999, RATE])}, options)
    after = streams.ask("step", state, options, **batch([sound(0.5)] * 3))
    statuses = after["status"].numpy().tolist()
    assert statuses[2] == b"ok"
    assert all(b"multiples of 100 Hz" in status for status in statuses[:2])
    assert after["log_probabilities_lengths"].numpy()[:2].tolist() == [0, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "lstm", "lookahead": 0, "kernel": 5, "time_strides": (3,)},
        {
            "cell": "mingru",
            "time_strides": (4, 1),
            "depth": 1,
            "lookahead": 9,
            "normalisation": "none",
        },
        pytest.param({"cell": "rnn"}, marks=pytest.mark.long),
    ],
)
def test_networks_of_every_kind(change):
    """Operation by operation, as tracing takes longer than so short recordings.

    That of a plain cell, whose state is as the GRU's, in the long tests.
    """
    streams = Streams(MODEL.__class__(**{**vars(MODEL), **change}), traced=False)
    rows = [sound(0.8, seed=1), sound(0.5, seed=2)]
    check(streams, rows, [RATE, 8_000], [137, 900, 0, 1_200])


FRESH = """
import sys
import numpy as np
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures
state = served["init"](rate_hz=tf.constant([8000]))
names = served["flush"].structured_input_signature[1]
options = {"beam_width": [8], "language": [1.0], "hot_words": [[""]], "hot_word_weight": [0.0],
           "pause_s": [0.0]}
options = {name: tf.constant(value) for name, value in options.items()}
samples, text = np.load(sys.argv[2]), b""
names = [name for name in names if name not in options]
for start in range(0, len(samples), 700):
    part = samples[start : start + 700]
    state = served["step"](samples=tf.constant(part[None]), samples_lengths=[len(part)],
                           **{name: state[name] for name in names}, **options)
    text += state["text"].numpy()[0]
text += served["flush"](**{name: state[name] for name in names}, **options)["text"].numpy()[0]
assert "seqapps" not in sys.modules
sys.stdout.buffer.write(text)
"""


@pytest.fixture(scope="module")
def bundle(streams, tmp_path_factory):
    """A bundle as `train` writes it, but for what nobody reads here."""
    folder = tmp_path_factory.mktemp("streaming") / "bundle"
    config = Config(model=MODEL, features=FEATURES)
    write_servable(
        folder / "servable" / "1",
        # The graphs that are there already.
        answers=streams.calls,
        variables=streams.network.variables,
        interface=INTERFACE,
    )
    write_config(folder, recipe="transcribe", interface=INTERFACE, settings=to_json(config))
    return folder


def test_the_savedmodel_hears_in_a_fresh_process(streams, bundle, tmp_path):
    row = sound(2.0, 8_000, 3)
    np.save(tmp_path / "row.npy", row)
    places = [str(bundle / "servable" / "1"), str(tmp_path / "row.npy")]
    done = subprocess.run(
        [warm_python(), "-I", "-c", FRESH, *places],
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert [done.stdout] == check(streams, [row], [8_000], [700])
    assert done.stdout


def test_predict_prints_what_it_hears_while_the_pipe_is_open(streams, bundle):
    row = np.round(sound(6.0, 8_000, 3) * 32768) / 32768
    (text,) = check(streams, [row.astype(np.float32)], [8_000], [4_000])
    pcm = (row * 32768).astype("<i2").tobytes()
    command = [warm_python(), "-m", "seqapps.recipes.transcribe", "predict", str(bundle)]
    command += ["--stream", "--rate", "8000", "--decoding.pause_s", "0"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        # An odd number of bytes: the pipe cuts a sample in two.
        running.stdin.write(pcm[:80_001])
        running.stdin.flush()
        # Waits for ever, if nothing is printed before the end.
        early = running.stdout.read1()
        out, err = running.communicate(pcm[80_001:], timeout=300)
    assert running.returncode == 0, err.decode()
    assert early
    assert err == b""
    assert (early + out).decode() == text.decode() + "\n"


@pytest.fixture
def predict(bundle, capsys, monkeypatch):
    """`predict BUNDLE --stream` in this process: exit code, standard output and error."""

    def call(*flags, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        argv = ["predict", str(bundle), "--stream", *map(str, flags)]
        return run(RECIPE, argv), *capsys.readouterr()

    return call


def test_predict_prints_json_lines_and_names_what_is_wrong(streams, bundle, predict):
    row = np.round(sound(3.0, seed=6) * 32768) / 32768
    (text,) = check(streams, [row.astype(np.float32)], [RATE], [4_000])
    pcm = (row * 32768).astype("<i2").tobytes()
    code, out, err = predict("--rate", 2**40, stdin=pcm)
    assert (code, out) == (1, "")
    assert "a stream has 1 to 768,000 samples a second, got 1,099,511,627,776" in err
    code, out, err = predict("--json", "--rate", RATE, "--decoding.pause_s", 0, stdin=pcm)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert "".join(row["text"] for row in rows) == text.decode()
    assert any(row["partial"] for row in rows)
    assert rows[-1]["partial"] == ""
    assert rows[-1]["seconds"] == 3.0
    for flags, words in (
        (("--rate", 3_999), "sample rate not supported"),
        (("talk.wav",), "--stream reads standard input"),
        (("--format", "srt"), "--stream reads standard input"),
    ):
        code, out, err = predict(*flags, stdin=pcm)
        assert code == 1
        assert words in err
    code, out, err = predict(stdin=b"")
    assert (code, out) == (1, "\n")
    assert "standard input gave no samples" in err


def test_a_model_of_whole_recordings_says_that_it_cannot_stream(bundle):
    application = seqapps.load(bundle)
    assert [found.text for found in hear(application, [b"\0\0"], rate_hz=RATE)] == ["", ""]
    application.interface = recogniser_interface(OPTIONS)
    with pytest.raises(UserError, match=r"needs whole recordings.*--model\.streaming true"):
        next(hear(application, [], rate_hz=RATE))


def test_a_long_stream_keeps_a_small_state(streams):
    options = default_options(OPTIONS)
    state = streams.calls["init"]({"rate_hz": tf.constant([8_000])}, options)
    sizes = []
    for _ in range(4):
        state = streams.ask("step", state, options, **batch([sound(10.0, 8_000, 1)]))
        sizes.append(max(map(len, state["texts"].numpy()[0])))
        assert np.abs(state["scores"].numpy()[0, 0]).max() < 100
    assert max(sizes) < 100


def test_one_setting_sets_what_a_stream_needs():
    model, features = streaming_settings(Recogniser(streaming=True), Features())
    assert (model.bidirectional, features.centre, features.normalise) == (False, False, "global")
    assert streaming_settings(Recogniser(), Features()) == (Recogniser(), Features())
    # 25 ms of a window, 8 steps of 3 frames of 10 ms.
    assert latency_ms(model, features) == 265
    with pytest.raises(ValueError, match=r"model\.bidirectional must be false, got true"):
        recogniser_settings(Recogniser(streaming=True), features)
    with pytest.raises(ValueError, match=r"features\.centre must be false"):
        build_recogniser(model, outputs=3, features=Features(normalise="global"))
    whole = Recogniser()
    with pytest.raises(ValueError, match=r"model\.streaming true"):
        TranscribeStream(
            build_recogniser(whole, outputs=5), ALPHABET.assets, features=Features(), model=whole
        )
    others = streaming_interface(OPTIONS, model=whole, features=Features())
    assert others.signatures == ("serving_default", "options", "pcm")
    assert INTERFACE.signatures == (*others.signatures, "init", "step", "step_int16", "flush")
