"""minGRU's scan against a plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.mingru import MinGRU, linear_recurrence


def _loop(decay, update, initial):
    state, states = initial, []
    for step in range(decay.shape[1]):
        state = decay[:, step] * state + update[:, step]
        states.append(state)
    return np.stack(states, axis=1)


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13, 1500])
def test_scan_equals_a_loop(steps):
    rng = np.random.default_rng(steps)
    decay = rng.uniform(size=(2, steps, 3))
    update, initial = rng.normal(size=(2, steps, 3)), rng.normal(size=(2, 3))
    found = linear_recurrence(
        tf.constant(decay, tf.float32),
        tf.constant(update, tf.float32),
        tf.constant(initial, tf.float32),
    )
    np.testing.assert_allclose(found, _loop(decay, update, initial), rtol=1e-5, atol=1e-5)


def test_gradient_equals_that_of_a_loop():
    rng = np.random.default_rng(1)
    decay = tf.constant(rng.uniform(size=(2, 11, 3)), tf.float32)
    update = tf.constant(rng.normal(size=(2, 11, 3)), tf.float32)
    initial = tf.constant(rng.normal(size=(2, 3)), tf.float32)
    weights = tf.constant(rng.normal(size=(2, 11, 3)), tf.float32)

    def plain(decay, update, initial):
        states = []
        for step in range(11):
            initial = decay[:, step] * initial + update[:, step]
            states.append(initial)
        return tf.stack(states, axis=1)

    gradients = []
    for run in (linear_recurrence, plain):
        with tf.GradientTape() as tape:
            tape.watch([decay, update, initial])
            loss = tf.reduce_sum(weights * run(decay, update, initial))
        gradients.append(tape.gradient(loss, [decay, update, initial]))
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 1e-30, 1.0])
def test_extreme_gates_stay_finite_over_a_thousand_steps(decay):
    steps = 1200
    decays = tf.fill((1, steps, 1), tf.constant(decay, tf.float32))
    with tf.GradientTape() as tape:
        tape.watch(decays)
        states = linear_recurrence(decays, tf.ones((1, steps, 1)), tf.ones((1, 1)))
        loss = tf.reduce_sum(states)
    expected = np.arange(2, steps + 2) if decay == 1.0 else np.ones(steps)
    np.testing.assert_allclose(states[0, :, 0], expected, rtol=1e-6)
    assert np.all(np.isfinite(tape.gradient(loss, decays)))


def test_layer_is_the_published_recurrence():
    layer = MinGRU(3)
    layer.build((None, None, 2))
    rng = np.random.default_rng(5)
    layer.bias.assign(rng.normal(size=6))
    inputs, initial = rng.normal(size=(2, 9, 2)), rng.normal(size=(2, 3))
    projected = inputs @ layer.kernel.numpy() + layer.bias.numpy()
    gate, candidate = 1 / (1 + np.exp(-projected[..., :3])), projected[..., 3:]
    found = layer(inputs.astype("float32"), initial.astype("float32"))
    expected = _loop(1 - gate, gate * candidate, initial)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        MinGRU(0)
