"""The translator as a Keras model: weights, files, plain fit, cuDNN, mixed precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from processor import PROCESSOR

import seqapps.layers  # noqa: F401  (registers the layers: what a user imports before loading)
from seqapps.layers.cudnn import reset_cudnn
from seqapps.recipes.translate import network as translator
from seqapps.recipes.translate.settings import Translator
from seqapps.training.losses import token_cross_entropy

PAD, BOS, EOS = 0, 2, 3
VOCABULARY = 12

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _network(vocabulary=VOCABULARY, **settings):
    keras.utils.set_random_seed(0)
    return translator.build_translator(
        Translator(**{"units": 8, "embedding": 6, **settings}),
        source_vocabulary=vocabulary,
        target_vocabulary=vocabulary,
    )


def _reversals(count, *, longest=5, shortest=1, seed=0):
    """Inputs, labels and weights of the task to write a row of symbols backwards."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    arrays = {name: np.zeros((count, longest + 1), "int32") for name in ("source", "target", "y")}
    for row, length in enumerate(lengths):
        symbols = rng.integers(4, VOCABULARY, length)
        arrays["source"][row, : length + 1] = [*symbols, EOS]
        arrays["target"][row, : length + 1] = [BOS, *symbols[::-1]]
        arrays["y"][row, : length + 1] = [*symbols[::-1], EOS]
    labels = arrays.pop("y")
    lengths = (lengths + 1).astype("int32")
    weights = (np.arange(longest + 1) < lengths[:, None]).astype("float32")
    return {**arrays, "source_lengths": lengths, "target_lengths": lengths}, labels, weights


def _tensors(inputs):
    return {name: tf.constant(value) for name, value in inputs.items()}


def test_target_embeddings_are_the_output_layer():
    names = [weight.path for weight in _network().weights]
    tables = {name for name in names if "embedding" in name}
    assert tables == {"target_embedding/embeddings", "source_embedding/embeddings"}
    assert not [name for name in names if "reverse" in name]
    network = _network()
    table = network.get_layer("target_embedding").embeddings
    inputs, _, _ = _reversals(4)
    before = network(_tensors(inputs)).numpy()
    # Symbol 11 is never read here, so only its logit can follow its row of the table.
    inputs["target"][inputs["target"] == 11] = 10
    unread = network(_tensors(inputs)).numpy()
    table.assign(tf.tensor_scatter_nd_update(table.value, [[11]], tf.zeros((1, 6))))
    after = network(_tensors(inputs)).numpy()
    assert np.all(after[..., 11] == 0.0)
    assert np.any(before[..., 11] != 0.0)
    np.testing.assert_array_equal(after[..., :11], unread[..., :11])


def test_shared_embeddings_are_one_table_for_both_languages():
    shared, separate = _network(share_embeddings=True), _network()
    assert separate.count_params() - shared.count_params() == VOCABULARY * 6
    inputs, _, _ = _reversals(2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(shared(_tensors(inputs)))
    gradients = tape.gradient(loss, [weight.value for weight in shared.trainable_weights])
    assert all(gradient is not None for gradient in gradients)
    tokens, lengths = tf.constant(inputs["source"]), tf.constant(inputs["source_lengths"])
    before = translator.encode(shared, tokens, lengths)[1]["memory"]
    table = shared.get_layer("target_embedding").embeddings
    table.assign(table * 2.0)
    after = translator.encode(shared, tokens, lengths)[1]["memory"]
    assert not np.allclose(before, after)


def test_what_is_copied_stands_where_attention_points():
    network = _network(copying="source")
    inputs = _tensors(_reversals(4)[0])
    log_probs_BTV = network(inputs).numpy()
    np.testing.assert_allclose(np.exp(log_probs_BTV).sum(-1), 1.0, atol=1e-5)
    # A gate that is wide open copies alone.
    network.get_layer("copying").gate.bias.assign([50.0])
    copied_BTV = np.exp(network(inputs).numpy())
    weights_BTS = translator.attention_weights(network)(inputs).numpy()
    wanted_BTV = weights_BTS @ np.eye(VOCABULARY)[inputs["source"].numpy()]
    np.testing.assert_allclose(copied_BTV, wanted_BTV, atol=1e-5)
    # Step by step as all at once.
    state, memory = translator.encode(network, inputs["source"], inputs["source_lengths"])
    for t, tokens in enumerate(tf.unstack(inputs["target"], axis=1)[:2]):
        logits, state = translator.step(network, tokens, state, memory)
        np.testing.assert_allclose(np.exp(logits), copied_BTV[:, t], atol=1e-5)


def test_shared_embeddings_need_one_vocabulary():
    with pytest.raises(ValueError, match="one joint vocabulary, got 9 source and 8 target tokens"):
        translator.build_translator(
            Translator(share_embeddings=True), source_vocabulary=9, target_vocabulary=8
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 7}, "units must be even and at least 2, got 7"),
        ({"units": 0}, "units must be even and at least 2, got 0"),
        ({"decoder_depth": 1}, "decoder_depth must be at least 2, got 1"),
        ({"encoder_depth": 0}, "encoder_depth must be at least 1, got 0"),
        ({"embedding": 0}, "embedding must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0; 0 switches it off"),
        ({"token_dropout": -0.1}, r"token_dropout must be in \[0, 1\), got -0.1"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Translator(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"token_dropout": 0.1},
        {"cell": "lstm", "encoder_depth": 2, "decoder_depth": 3, "attention": "additive"},
        {"cell": "mingru", "share_embeddings": True},
        {"cell": "rnn"},
        {"copying": "source"},
    ],
    ids=str,
)
def test_a_saved_network_answers_the_same_bit_for_bit(settings, tmp_path):
    network = _network(**settings)
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = _tensors(_reversals(4)[0])
    np.testing.assert_array_equal(loaded(inputs), network(inputs))
    assert len(loaded.weights) == len(network.weights)
    tokens, lengths = inputs["source"], inputs["source_lengths"]
    for one, other in zip(
        tf.nest.flatten(translator.encode(network, tokens, lengths)),
        tf.nest.flatten(translator.encode(loaded, tokens, lengths)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_plain_fit_learns_to_write_backwards():
    network = _network(units=64, embedding=32, dropout=0.0)
    network.compile(
        optimizer=keras.optimizers.Adam(1e-2, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )
    inputs, labels, weights = _reversals(2048)
    history = network.fit(
        inputs, labels, sample_weight=weights, batch_size=64, epochs=5, verbose=0
    ).history["loss"]
    assert history[-1] < 0.5 * history[0]
    inputs, labels, _ = _reversals(200, shortest=5, seed=1)
    answers = network.predict(inputs, verbose=0).argmax(-1)
    assert np.mean(np.all(answers == labels, axis=1)) > 0.9


def test_plain_fit_has_the_loss_of_our_own_step():
    network = _network(dropout=0.0)
    inputs, labels, weights = _reversals(16)
    network.compile(
        optimizer="sgd",
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )
    plain = network.evaluate(inputs, labels, sample_weight=weights, batch_size=16, verbose=0)
    batch = {"labels": tf.constant(labels), "labels_lengths": tf.constant(inputs["target_lengths"])}
    total, count = token_cross_entropy()(network(_tensors(inputs)), batch, False)
    assert weights.mean() < 0.8
    assert float(count) == weights.sum()
    assert plain == pytest.approx(float(total / count), rel=1e-5)


def _cudnn_nodes(network, *, training):
    specs = {
        name: tf.TensorSpec([None] * len(tensor.shape), tf.int32, name=name)
        for name, tensor in network.input.items()
    }

    @tf.function(autograph=False, input_signature=[specs])
    def run(inputs):
        return network(inputs, training=training)

    graph = run.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return sum(node.op == "CudnnRNNV3" for node in nodes)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_layer_takes_cudnn_and_none_in_an_export(cell, monkeypatch):
    devices = tf.config.list_logical_devices
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind=None: ["/GPU:0"] if kind == "GPU" else devices(kind),
    )
    network = _network(cell=cell, encoder_depth=2, decoder_depth=3)
    recurrences = 2 * 2 + 3
    found = _cudnn_nodes(network, training=True)
    # Keras writes each layer into the graph twice more, as functions for either kind of device.
    assert found >= recurrences
    assert found % recurrences == 0
    assert reset_cudnn(network, False) == recurrences
    assert _cudnn_nodes(network, training=False) == 0


@pytest.fixture
def mixed_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.usefixtures("mixed_bfloat16")
def test_mixed_precision_trains_weights_that_serve_in_float32(cell):
    mixed = _network(cell=cell, units=32, embedding=16, attention="additive")
    inputs, labels, weights = _reversals(32)
    mixed.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    before = [weight.numpy() for weight in mixed.weights]
    mixed.fit(inputs, labels, sample_weight=weights, verbose=0)
    trained = [weight for weight in mixed.trainable_weights if weight.dtype == "float32"]
    assert len(trained) == len(mixed.trainable_weights)
    assert np.any(mixed.weights[0].numpy() != before[0])
    # Logits are float32 all the same: a softmax over them is what rounding would hurt most.
    rounded = mixed(_tensors(inputs)).numpy()
    assert rounded.dtype == np.float32

    keras.config.set_dtype_policy("float32")
    precise = _network(cell=cell, units=32, embedding=16, attention="additive")
    precise.set_weights(mixed.get_weights())
    found = precise(_tensors(inputs)).numpy()
    # The mixed network rounds to 8 bits on the way, the other one nowhere.
    assert 1e-5 < np.abs(found - rounded)[weights > 0].max() < 0.1, PROCESSOR
    assert {layer.compute_dtype for layer in precise._flatten_layers()} == {"float32"}
