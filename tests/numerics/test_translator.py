"""The translator's numbers: steps against whole rows, padding, ends of rows, causality."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.recipes.translate import network as translator
from seqapps.recipes.translate.settings import Translator

BOS = 2
SOURCE_LENGTHS, TARGET_LENGTHS = np.array([7, 1, 4]), np.array([5, 6, 1])

cells = pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "mingru"])
attentions = pytest.mark.parametrize("attention", ["additive", "multiplicative"])


def _network(vocabulary=11, **settings):
    keras.utils.set_random_seed(1)
    small = {"units": 8, "embedding": 6, "dropout": 0.2, "token_dropout": 0.1}
    network = translator.build_translator(
        Translator(**{**small, **settings}),
        source_vocabulary=vocabulary,
        target_vocabulary=vocabulary,
    )
    rng = np.random.default_rng(2)
    for variable in network.trainable_variables:
        if len(variable.shape) == 1 or "bias" in variable.name:
            # Zeros would hide a bias in the wrong place.
            variable.assign(rng.normal(scale=0.3, size=variable.shape))
    return network


def _inputs(source_lengths=SOURCE_LENGTHS, target_lengths=TARGET_LENGTHS, vocabulary=11):
    rng = np.random.default_rng(3)
    inputs = {"source_lengths": source_lengths, "target_lengths": target_lengths}
    for side in ("source", "target"):
        lengths = inputs[f"{side}_lengths"]
        tokens = rng.integers(4, vocabulary, (len(lengths), lengths.max()))
        inputs[side] = np.where(np.arange(lengths.max()) < lengths[:, None], tokens, 0)
    inputs["target"][:, 0] = BOS
    return inputs


def _call(network, inputs):
    return network({name: tf.constant(value, tf.int32) for name, value in inputs.items()}).numpy()


def _stepped(network, inputs):
    """Logits of every step, one step at a time: (B, T, V)."""
    target = tf.constant(inputs["target"], tf.int32)
    state, memory = translator.encode(
        network,
        tf.constant(inputs["source"], tf.int32),
        tf.constant(inputs["source_lengths"], tf.int32),
    )
    logits = []
    for index in range(target.shape[1]):
        step_logits, state = translator.step(network, target[:, index], state, memory)
        logits.append(step_logits)
    return np.stack(logits, axis=1)


def _assert_rows_equal(found, expected, lengths, tolerance):
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(
            found[row, :length], expected[row, :length], rtol=0, atol=tolerance
        )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder_depth": 2, "decoder_depth": 3, "residual": True, "normalisation": "layer"},
        *(
            {"cell": cell, "attention": attention, "encoder_depth": 2, "decoder_depth": 3}
            for cell in ("gru", "lstm", "rnn", "mingru")
            for attention in ("additive", "multiplicative")
        ),
    ],
    ids=str,
)
def test_steps_equal_the_whole_target_at_once(settings):
    network, inputs = _network(**settings), _inputs()
    whole = _call(network, inputs)
    assert whole.std() > 0.05
    _assert_rows_equal(_stepped(network, inputs), whole, TARGET_LENGTHS, 1e-5)


@pytest.fixture(scope="module", params=["gru", "lstm"])
def exported_size(request):
    """A traced network of the headline run's size; its logits spread as a trained one's do."""
    network = _network(5000, units=512, embedding=256, cell=request.param)
    readout = network.get_layer("readout")
    spread = _call(network, _inputs(vocabulary=5000)).std()
    readout.kernel.assign(readout.kernel * (2.0 / spread))
    shapes = {"source": [None, None], "target": [None, None]}
    specs = {
        name: tf.TensorSpec(shapes.get(name, [None]), tf.int32, name=name) for name in _inputs()
    }
    return tf.function(lambda inputs: network(inputs), input_signature=[specs], autograph=False)


def test_padding_and_batch_mates_change_nothing_at_the_exported_size(exported_size):
    rng = np.random.default_rng(4)
    source_lengths, target_lengths = rng.integers(1, 30, 48), rng.integers(1, 30, 48)
    inputs = _inputs(source_lengths, target_lengths, vocabulary=5000)
    together = tf.nn.log_softmax(_call(exported_size, inputs)).numpy()
    # Logits that are far from flat: with flat ones, errors would be small in any case.
    assert together.min() < -13.0
    for row in (0, 17, 47):
        lengths = {"source": source_lengths[row], "target": target_lengths[row]}
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        trimmed = {**alone, **{side: alone[side][:, : lengths[side]] for side in lengths}}
        # What stands in the padding does not matter either.
        padded = {
            **alone,
            **{
                side: np.pad(trimmed[side], [(0, 0), (0, 9)], constant_values=4321)
                for side in lengths
            },
        }
        for version in (trimmed, padded):
            found = tf.nn.log_softmax(_call(exported_size, version)).numpy()
            _assert_rows_equal(found, together[row : row + 1], target_lengths[row : row + 1], 1e-5)


@cells
def test_the_decoder_starts_from_each_rows_real_end(cell):
    network = _network(cell=cell, encoder_depth=2)
    inputs = _inputs()
    found, _ = translator.encode(
        network,
        tf.constant(inputs["source"], tf.int32),
        tf.constant(inputs["source_lengths"], tf.int32),
    )
    encoder, bridge = network.get_layer("encoder"), network.get_layer("bridge")
    table = network.get_layer("source_embedding")
    for row, length in enumerate(SOURCE_LENGTHS):
        tokens = tf.constant(inputs["source"][row : row + 1, :length], tf.int32)
        outputs, _ = encoder(table(tokens), tf.constant([length], tf.int32))
        # The forward half at the last token, the backward half at the first.
        ends = np.concatenate([outputs[0, -1, :4], outputs[0, 0, 4:]])
        start = np.tanh(ends @ bridge.kernel.numpy() + bridge.bias.numpy())
        for tensor in found[:: 2 if cell == "lstm" else 1]:
            np.testing.assert_allclose(tensor[row], start, rtol=0, atol=1e-6)
    if cell == "lstm":
        assert all(np.all(tensor == 0.0) for tensor in found[1::2])


@cells
@attentions
def test_logits_know_the_past_target_and_the_whole_source(cell, attention):
    network = _network(cell=cell, attention=attention)
    inputs = _inputs(np.array([7]), np.array([6]))
    logits = _call(network, inputs)

    def moved(name, index):
        changed = {key: value.copy() for key, value in inputs.items()}
        changed[name][0, index] = 4 + (changed[name][0, index] - 3) % 7
        return np.abs(_call(network, changed) - logits).max(axis=(0, 2)) > 1e-7

    assert moved("target", 3).tolist() == [False] * 3 + [True] * 3
    for index in (0, 3, 6):
        assert moved("source", index).all()
