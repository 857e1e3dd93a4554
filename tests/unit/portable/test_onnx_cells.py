"""Every kind of recurrence in ONNX gives what it gives in Keras, whatever the lengths."""

import numpy as np
import pytest
import tensorflow as tf
from processor import PROCESSOR

from seqapps.audio.settings import Features
from seqapps.portable.onnx import to_onnx
from seqapps.portable.onnx_int8 import quantise_network
from seqapps.portable.runtime.base import Network
from seqapps.recipes.generate.network import build_recurrent_lm
from seqapps.recipes.generate.parts import writer_parts
from seqapps.recipes.generate.settings import LanguageModel
from seqapps.recipes.transcribe.network import build_recogniser
from seqapps.recipes.transcribe.parts import recogniser_parts
from seqapps.recipes.transcribe.settings import Recogniser

CELLS = ("gru", "lstm", "rnn", "mingru")
LENGTHS = np.array([9, 1, 4], np.int32)


def both(part, folder, inputs):
    """What a network gives in TensorFlow and in ONNX."""
    to_onnx(part, folder / "network.onnx")
    want = part.function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {n: v.numpy() for n, v in want.items()}, Network(folder / "network.onnx")(inputs)


def writer(*, vocabulary, **settings):
    """The networks of a language model, and what to ask them."""
    network = build_recurrent_lm(LanguageModel(depth=2, **settings), vocabulary=vocabulary)
    parts = writer_parts(network)
    rng = np.random.default_rng(0)
    state = rng.normal(0, 0.3, (3, parts.settings["state"])).astype(np.float32)
    tokens, followers = rng.integers(0, vocabulary, (2, 3, 9)).astype(np.int32)
    inputs = {"tokens": tokens, "tokens_lengths": LENGTHS, "followers": followers, "state": state}
    return parts.parts, inputs


@pytest.mark.parametrize("cell", CELLS)
def test_a_language_model(cell, tmp_path):
    parts, inputs = writer(units=6, embedding=4, cell=cell, vocabulary=11)
    want, found = both(parts["read"], tmp_path, inputs)
    np.testing.assert_allclose(found["next_state"], want["next_state"], rtol=0, atol=1e-5)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(
            found["log_probs"][row, :length], want["log_probs"][row, :length], rtol=0, atol=1e-5
        )
    want, found = both(
        parts["step"], tmp_path, {"tokens": inputs["tokens"][:, 0], "state": inputs["state"]}
    )
    for name in want:
        np.testing.assert_allclose(found[name], want[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("cell", "streaming"), [("gru", False), ("lstm", True), ("mingru", True)])
def test_a_recogniser(cell, streaming, tmp_path):
    features = Features(
        sample_rate_hz=8000,
        mels=12,
        normalise="global" if streaming else "utterance",
        centre=not streaming,
    )
    settings = Recogniser(
        channels=4, projection=6, units=5, depth=1, cell=cell, bidirectional=not streaming
    )
    network = build_recogniser(settings, outputs=3, features=features)
    (part,) = recogniser_parts(network, features, stride=settings.stride).parts.values()
    rng = np.random.default_rng(1)
    power = rng.exponential(1, (3, 9, features.fft // 2 + 1)).astype(np.float32)
    want, found = both(part, tmp_path, {"power": power, "frames": LENGTHS})
    np.testing.assert_array_equal(found["logits_lengths"], want["logits_lengths"])
    for row, length in enumerate(want["logits_lengths"]):
        np.testing.assert_allclose(
            found["logits"][row, :length], want["logits"][row, :length], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("cell", CELLS)
def test_weights_of_8_bits_take_less_and_answer_nearly_the_same(cell, tmp_path):
    parts, inputs = writer(units=64, embedding=32, cell=cell, vocabulary=50)
    path = tmp_path / "read.onnx"
    to_onnx(parts["read"], path)
    whole, size = Network(path)(inputs), path.stat().st_size
    quantise_network(path)
    small = Network(path)(inputs)
    # A vanilla recurrence is a loop, whose weights stay whole; a minGRU is a large graph.
    most = {"gru": 0.45, "lstm": 0.45, "rnn": 1.0, "mingru": 0.7}[cell]
    assert path.stat().st_size < size * most
    for name, value in small.items():
        change = np.abs(value - whole[name]).max()
        assert 0 < change < 0.05, (name, PROCESSOR)


def test_the_range_of_power_spectra_is_not_put_into_8_bits(tmp_path):
    features = Features(sample_rate_hz=8000, mels=12)
    settings = Recogniser(channels=4, projection=32, units=32, depth=1)
    network = build_recogniser(settings, outputs=3, features=features)
    (part,) = recogniser_parts(network, features, stride=settings.stride).parts.values()
    assert part.wide == ("power",)
    rng = np.random.default_rng(3)
    # Twelve orders of magnitude, as between speech and silence.
    power = 10 ** rng.uniform(-8, 4, (2, 30, features.fft // 2 + 1))
    inputs = {"power": power.astype(np.float32), "frames": np.array([30, 17], np.int32)}
    to_onnx(part, tmp_path / "hear.onnx")
    whole = Network(tmp_path / "hear.onnx")(inputs)["logits"]
    (tmp_path / "naive.onnx").write_bytes((tmp_path / "hear.onnx").read_bytes())
    quantise_network(tmp_path / "hear.onnx", wide=part.wide)
    quantise_network(tmp_path / "naive.onnx")
    change, naive = (
        np.abs(Network(tmp_path / name)(inputs)["logits"] - whole).max()
        for name in ("hear.onnx", "naive.onnx")
    )
    # Weights have 7 bits.
    assert change < 0.1 < naive, PROCESSOR
