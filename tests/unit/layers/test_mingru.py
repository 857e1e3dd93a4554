"""minGRU's scan against a plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.mingru import MinGRU, linear_recurrence


@pytest.fixture(params=["CPU", "GPU"])
def device(request, monkeypatch):
    """Either way of running the recurrence: in turn, or all steps at once."""
    monkeypatch.setattr("seqapps.layers.mingru.gpu_visible", lambda: request.param == "GPU")


def _loop(decay, update, initial):
    state, states = initial, []
    for step in range(len(decay)):
        state = decay[step] * state + update[step]
        states.append(state)
    return np.stack(states)


def _data(steps):
    rng = np.random.default_rng(steps)
    shapes = ((steps, 2, 3), (steps, 2, 3), (2, 3))
    return [np.abs(np.tanh(rng.normal(size=shapes[0]))), *(rng.normal(size=s) for s in shapes[1:])]


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13, 1500])
def test_scan_equals_a_loop(steps):
    data = _data(steps)
    found = tf.function(linear_recurrence)(*(tf.constant(part, tf.float32) for part in data))
    np.testing.assert_allclose(found, _loop(*data), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("device")
def test_gradient_equals_that_of_a_loop():
    data = [tf.constant(part, tf.float32) for part in _data(11)]
    weights = tf.constant(np.random.default_rng(1).normal(size=(11, 2, 3)), tf.float32)

    def plain(decay, update, initial):
        states = []
        for step in range(11):
            initial = decay[step] * initial + update[step]
            states.append(initial)
        return tf.stack(states)

    gradients = []
    for run in (linear_recurrence, plain):
        with tf.GradientTape() as tape:
            tape.watch(data)
            loss = tf.reduce_sum(weights * run(*data))
        gradients.append(tape.gradient(loss, data))
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("decay", [0.0, 1e-30, 1.0])
def test_extreme_gates_stay_finite_over_a_thousand_steps(decay):
    steps = 1200

    @tf.function
    def run(decays):
        with tf.GradientTape() as tape:
            tape.watch(decays)
            states = linear_recurrence(decays, tf.ones((steps, 1, 1)), tf.ones((1, 1)))
            loss = tf.reduce_sum(states)
        return states, tape.gradient(loss, decays)

    states, gradient = run(tf.fill((steps, 1, 1), tf.constant(decay, tf.float32)))
    expected = np.arange(2, steps + 2) if decay == 1.0 else np.ones(steps)
    np.testing.assert_allclose(states[:, 0, 0], expected, rtol=1e-6)
    assert np.all(np.isfinite(gradient))


def test_layer_is_the_published_recurrence():
    layer = MinGRU(3)
    layer.build((None, None, 2))
    rng = np.random.default_rng(5)
    layer.bias.assign(rng.normal(size=6))
    inputs, initial = rng.normal(size=(2, 9, 2)), rng.normal(size=(2, 3))
    projected = inputs @ layer.kernel.numpy() + layer.bias.numpy()
    gate, candidate = 1 / (1 + np.exp(-projected[..., :3])), projected[..., 3:]
    found = layer(inputs.astype("float32"), initial.astype("float32"))
    gate, candidate = np.swapaxes(gate, 0, 1), np.swapaxes(candidate, 0, 1)
    expected = _loop(1 - gate, gate * candidate, initial)
    np.testing.assert_allclose(np.swapaxes(found, 0, 1), expected, rtol=1e-5, atol=1e-6)


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        MinGRU(0)
