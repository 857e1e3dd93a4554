"""The CPU loop against the stock Keras layer: the same numbers, the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.gru import gru

BATCH, STEPS, WIDTH, UNITS = 4, 7, 5, 6
LENGTHS = np.array([7, 4, 1, 6], "int32")


def _layer():
    layer = keras.layers.GRU(
        UNITS,
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=True,
        bias_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=3),
    )
    layer.build((None, None, WIDTH))
    return layer


def _ours(layer, inputs, lengths, initial, *, backwards=False, training=True):
    cell = layer.cell
    outputs, last = gru(
        inputs,
        lengths,
        initial,
        kernel=cell.kernel.value,
        recurrent_kernel=cell.recurrent_kernel.value,
        bias=cell.bias.value,
        backwards=backwards,
        training=training,
    )
    return outputs * tf.sequence_mask(lengths, STEPS, outputs.dtype)[:, :, tf.newaxis], last


def _stock(layer, inputs, lengths, initial, *, backwards=False):
    mask = tf.sequence_mask(lengths, STEPS)
    if backwards:
        inputs = tf.reverse_sequence(inputs, lengths, seq_axis=1)
    outputs, last = layer(inputs, initial_state=[initial], mask=mask)
    if backwards:
        outputs = tf.reverse_sequence(outputs, lengths, seq_axis=1)
    return outputs, last


def _data(seed=0):
    rng = np.random.default_rng(seed)
    inputs = tf.constant(rng.normal(size=(BATCH, STEPS, WIDTH)), tf.float32)
    return inputs, tf.constant(rng.normal(size=(BATCH, UNITS)), tf.float32)


def _values_and_gradients(run, layer, inputs, initial):
    """Every output, and the gradients of an uneven sum over all of them."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, WIDTH)),
            tf.TensorSpec((None, UNITS)),
        ]
    )
    def step(inputs, initial):
        variables = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([inputs, initial])
            outputs, last = run(inputs, initial)
            weights = tf.sin(tf.range(tf.size(outputs), dtype=tf.float32))
            loss = tf.reduce_sum(tf.reshape(outputs, [-1]) * weights) + tf.reduce_sum(last**3)
        return outputs, last, *tape.gradient(loss, [inputs, initial, *variables])

    return [tensor.numpy() for tensor in step(inputs, initial)]


@pytest.mark.parametrize("backwards", [False, True])
def test_values_and_gradients_equal_the_stock_layer(backwards):
    layer, (inputs, initial) = _layer(), _data()
    expected = _values_and_gradients(
        lambda x, h: _stock(layer, x, LENGTHS, h, backwards=backwards), layer, inputs, initial
    )
    for training in (True, False):
        found = _values_and_gradients(
            lambda x, h, on=training: _ours(layer, x, LENGTHS, h, backwards=backwards, training=on),
            layer,
            inputs,
            initial,
        )
        for ours, stock in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, stock, rtol=1e-6, atol=1e-6 * np.abs(stock).max())


@pytest.mark.parametrize("backwards", [False, True])
def test_own_gradient_holds_without_a_graph(backwards):
    layer, (inputs, initial) = _layer(), _data(seed=1)
    gradients = []
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch([inputs, initial])
            outputs, last = _ours(
                layer, inputs, LENGTHS, initial, backwards=backwards, training=training
            )
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last)
        gradients.append(tape.gradient(loss, [inputs, initial]))
    for ours, automatic in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, automatic, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_row_without_steps_keeps_its_state_exactly(backwards):
    layer, (inputs, initial) = _layer(), _data()
    lengths = np.array([0, 7, 0, 2], "int32")
    _, last = _ours(layer, inputs * 50.0, lengths, initial, backwards=backwards)
    np.testing.assert_array_equal(last[0], initial[0])
    np.testing.assert_array_equal(last[2], initial[2])
    assert np.abs(last[3] - initial[3]).max() > 1e-3


def test_no_gradient_flows_into_padding():
    layer, (inputs, initial) = _layer(), _data()
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs, last = _ours(layer, inputs, LENGTHS, initial)
        loss = tf.reduce_sum(outputs) + tf.reduce_sum(last)
    gradient = tape.gradient(loss, inputs).numpy()
    for row, length in enumerate(LENGTHS):
        assert np.all(gradient[row, length:] == 0.0)
        assert np.all(np.abs(gradient[row, :length]).max(axis=-1) > 0.0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_floats_stay_near_float32(dtype):
    layer, (inputs, initial) = _layer(), _data()
    exact = _values_and_gradients(lambda x, h: _ours(layer, x, LENGTHS, h), layer, inputs, initial)

    def short(x, h):
        outputs, last = _ours(layer, tf.cast(x, dtype), LENGTHS, tf.cast(h, dtype))
        assert outputs.dtype == last.dtype == dtype
        return tf.cast(outputs, tf.float32), tf.cast(last, tf.float32)

    for found, expected in zip(
        _values_and_gradients(short, layer, inputs, initial), exact, strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())
