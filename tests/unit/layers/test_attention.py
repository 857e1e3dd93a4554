"""Attention against NumPy, and its promises about padding."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.attention import AdditiveAttention, MultiplicativeAttention, masked_softmax

LENGTHS = np.array([6, 1, 4], "int32")


def _layers(dtype="float32"):
    return [AdditiveAttention(5, dtype=dtype), MultiplicativeAttention(dtype=dtype)]


def _data(memory_steps=6):
    rng = np.random.default_rng(0)
    query = rng.normal(size=(3, 2, 4)).astype("float32")
    return query, rng.normal(size=(3, memory_steps, 7)).astype("float32")


def _softmax(scores):
    exponents = np.exp(scores - scores.max())
    return exponents / exponents.sum()


def _read(score, query, memory):
    """Attention by definition: one query step, one row, only its real memory steps."""
    contexts, weights = np.zeros((3, 2, 7)), np.zeros((3, 2, memory.shape[1]))
    for row, length in enumerate(LENGTHS):
        for step in range(2):
            real = memory[row, :length]
            weight = _softmax(np.array([score(query[row, step], key) for key in real]))
            weights[row, step, :length] = weight
            contexts[row, step] = weight @ real
    return contexts, weights


def test_additive_is_bahdanau():
    layer, (query, memory) = AdditiveAttention(5), _data()
    layer(query, memory, LENGTHS)
    layer.memory_projection.bias.assign(np.random.default_rng(1).normal(size=5))
    w, u = layer.query_projection.kernel.numpy(), layer.memory_projection.kernel.numpy()
    b, v = layer.memory_projection.bias.numpy(), layer.score_vector.numpy()[:, 0]
    expected = _read(lambda q, m: v @ np.tanh(q @ w + m @ u + b), query, memory)
    for found, wanted in zip(layer(query, memory, LENGTHS), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_multiplicative_is_luong_general():
    layer, (query, memory) = MultiplicativeAttention(), _data()
    found = layer(query, memory, LENGTHS)
    w = layer.memory_projection.kernel.numpy()
    for tensor, wanted in zip(found, _read(lambda q, m: m @ w @ q, query, memory), strict=True):
        np.testing.assert_allclose(tensor, wanted, atol=1e-6)


@pytest.mark.parametrize("layer", _layers(), ids=lambda layer: type(layer).__name__)
def test_padding_and_batch_mates_change_nothing(layer):
    query, memory = _data()
    context, weights = layer(query, memory, LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert np.all(weights[row, :, length:] == 0.0)
        alone = layer(query[row : row + 1], memory[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone[0][0], context[row], atol=1e-6)
    dirty = memory.copy()
    for row, length in enumerate(LENGTHS):
        dirty[row, length:] = 1e3
    np.testing.assert_allclose(layer(query, dirty, LENGTHS)[0], context, atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), np.ones((3, 2)), atol=1e-6)


@pytest.mark.parametrize("layer", _layers(), ids=lambda layer: type(layer).__name__)
def test_given_keys_give_the_same_answer(layer):
    query, memory = _data()
    expected = layer(query, memory, LENGTHS)
    found = layer(query, memory, LENGTHS, keys=layer.project(tf.constant(memory)))
    for tensor, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(tensor, wanted)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", [0, 1])
def test_short_floats_stay_near_float32(kind, policy):
    exact, short = _layers()[kind], _layers(policy)[kind]
    query, memory = _data()
    wanted = exact(query, memory, LENGTHS)
    short(query, memory, LENGTHS)
    short.set_weights(exact.get_weights())
    variables = short.trainable_variables
    with tf.GradientTape() as tape:
        context, weights = short(query, memory, LENGTHS)
        loss = tf.reduce_sum(tf.cast(context, tf.float32) ** 2)
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    assert context.dtype == policy.removeprefix("mixed_")
    assert weights.dtype == tf.float32
    np.testing.assert_allclose(tf.cast(context, tf.float32), wanted[0], atol=0.05)
    for row, length in enumerate(LENGTHS):
        assert np.all(weights[row, :, length:] == 0.0)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)


def test_softmax_takes_the_largest_float16_scores():
    scores = tf.constant([[[65504.0, 65504.0, 65504.0, -65504.0]]], tf.float16)
    weights = masked_softmax(scores, tf.constant([2]))
    np.testing.assert_array_equal(weights, [[[0.5, 0.5, 0.0, 0.0]]])


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        AdditiveAttention(0)
