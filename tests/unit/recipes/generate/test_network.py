"""The recurrent language model: state carried, weights dropped, penalties."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.cudnn import cudnn_operations
from seqapps.layers.recurrent import RecurrentStack
from seqapps.layers.token_dropout import TokenDropout
from seqapps.recipes.generate.network import build_recurrent_lm, read, state_size, step
from seqapps.recipes.generate.settings import LanguageModel
from seqapps.training.losses import language_model_cross_entropy

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

V = 11
RNG = np.random.default_rng(3)
TOKENS = tf.constant(RNG.integers(0, V, (3, 24)), tf.int32)


def network(**settings):
    keras.utils.set_random_seed(2)
    given = {"embedding": 6, "units": 7, "depth": 2, **settings}
    return build_recurrent_lm(LanguageModel(**given), vocabulary=V, seed=4)


def zeros(model, rows=3):
    return tf.zeros([rows, state_size(model)])


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "mingru"])
def test_portions_and_single_steps_equal_one_long_pass(cell):
    model = network(cell=cell, tie=cell == "lstm", normalisation="layer", residual=True)
    assert state_size(model) == LanguageModel(cell=cell, units=7, depth=2).state_size
    lengths = tf.fill([3], 24)
    whole, end = read(model, TOKENS, lengths, zeros(model))
    state, found = zeros(model), []
    for start, stop in ((0, 1), (1, 10), (10, 24)):
        part = TOKENS[:, start:stop]
        logits, state = read(model, part, tf.fill([3], stop - start), state)
        found.append(logits)
    np.testing.assert_allclose(tf.concat(found, 1), whole, atol=1e-5)
    np.testing.assert_allclose(state, end, atol=1e-5)
    state = zeros(model)
    for t in range(24):
        logits, state = step(model, TOKENS[:, t], state)
        np.testing.assert_allclose(logits, whole[:, t], atol=1e-5)
    np.testing.assert_allclose(state, end, atol=1e-5)


def test_padding_and_rows_without_a_token_change_no_state():
    model = network()
    start = tf.constant(RNG.normal(size=(3, state_size(model))), tf.float32)
    _, state = read(model, TOKENS, tf.constant([0, 5, 24]), start)
    np.testing.assert_array_equal(state[0], start[0])
    _, five = read(model, TOKENS[1:2, :5], tf.constant([5]), start[1:2])
    np.testing.assert_allclose(state[1], five[0], atol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_weight_drop_changes_training_and_never_inference(cell):
    plain, dropped = network(cell=cell), network(cell=cell, weight_drop=0.5)
    dropped.set_weights([*plain.get_weights(), *dropped.get_weights()[len(plain.get_weights()) :]])
    batch = {"tokens": TOKENS, "tokens_lengths": tf.fill([3], 24), "state": zeros(plain)}
    wanted = plain(batch, training=False)["logits"]
    np.testing.assert_array_equal(dropped(batch, training=False)["logits"], wanted)
    one, other = (dropped(batch, training=True)["logits"] for _ in range(2))
    assert np.abs(one - wanted).max() > 1e-3
    # Other weights are dropped in each call, and the layer's own come back.
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(dropped(batch, training=False)["logits"], wanted)
    # The first step starts from zeros, to which recurrent weights add nothing.
    np.testing.assert_allclose(one[:, 0], wanted[:, 0], atol=1e-6)
    kernel = dropped.get_layer("recurrence").recurrences[0].cell.recurrent_kernel
    assert isinstance(kernel, keras.Variable)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(dropped(batch, training=True)["logits"] ** 2)
    gradients = tape.gradient(loss, [v.value for v in dropped.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    place = [v is kernel for v in dropped.trainable_variables].index(True)
    share = float(np.mean(np.array(tf.convert_to_tensor(gradients[place])) == 0.0))
    # A weight that was dropped gets no gradient.
    assert 0.35 < share < 0.65


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_weight_drop_leaves_cudnn_eligible(cell):
    stack = RecurrentStack(4, cell=cell, weight_drop=0.3, seed=1)
    specs = [tf.TensorSpec([None, None, 3]), tf.TensorSpec([None], tf.int32)]

    def run(inputs, lengths):
        return stack(inputs, lengths, training=True)[0]

    traced = tf.function(run, input_signature=specs).get_concrete_function()
    assert any(name.startswith("Cudnn") for name in cudnn_operations(traced))


def test_token_dropout_drops_tokens_wherever_they_stand():
    layer = TokenDropout(V, 0.5, seed=3)
    ones = tf.ones([3, 24, 2])
    np.testing.assert_array_equal(layer(ones, TOKENS), ones)
    found = layer(ones, TOKENS, training=True).numpy()
    for token in range(V):
        scales = found[TOKENS.numpy() == token]
        assert (scales == scales[0, 0]).all()
    assert set(np.unique(found)) == {0.0, 2.0}


def test_penalties_are_those_of_the_paper_and_of_training_alone():
    rng = np.random.default_rng(0)
    raw, dropped = rng.normal(size=(2, 2, 5, 3)).astype(np.float32)
    logits = rng.normal(size=(2, 5, V)).astype(np.float32)
    batch = {
        "labels": tf.constant(rng.integers(0, V, (2, 5)), tf.int32),
        "labels_lengths": tf.constant([5, 5]),
    }
    outputs = {"logits": tf.constant(logits), "raw": tf.constant(raw), "dropped": dropped}
    loss = language_model_cross_entropy(activation_penalty=2.0, change_penalty=3.0)
    total, count = loss(outputs, batch, False)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows, steps = np.indices((2, 5))
    plain = -log_probs[rows, steps, batch["labels"].numpy()].sum()
    assert float(count) == 10
    assert float(total) == pytest.approx(plain, rel=1e-5)
    wanted = plain / 10 + 2.0 * (dropped**2).mean() + 3.0 * ((raw[:, 1:] - raw[:, :-1]) ** 2).mean()
    total, count = loss(outputs, batch, True)
    assert float(total / count) == pytest.approx(wanted, rel=1e-5)
    # A window of one step has no change to punish.
    short = {name: value[:, :1] for name, value in outputs.items()}
    one = {"labels": batch["labels"][:, :1], "labels_lengths": tf.constant([1, 1])}
    assert np.isfinite(float(loss(short, one, True)[0]))


def test_settings_say_what_is_wrong():
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        LanguageModel(units=0)
    with pytest.raises(ValueError, match=r"weight_drop must be in \[0, 1\), got 1"):
        LanguageModel(weight_drop=1.0)
    with pytest.raises(ValueError, match="change_penalty must be at least 0, got -1"):
        LanguageModel(change_penalty=-1.0)
