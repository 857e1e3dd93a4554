"""Pooling over time, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.pooling import SequencePooling

LENGTHS = np.array([5, 1, 3], np.int32)
VALUES = np.random.default_rng(2).normal(size=(3, 5, 6)).astype(np.float32)
ALL = ("last", "attention", "mean", "max")


def layer(*pools, **settings):
    pooling = SequencePooling(pools, **{"units": 4, **settings})
    pooling.build((None, None, 6))
    rng = np.random.default_rng(3)
    for variable in pooling.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return pooling


def by_hand(pool, rows_TD, pooling):
    if pool == "max":
        return rows_TD.max(0)
    if pool == "mean":
        return rows_TD.mean(0)
    if pool == "last":
        # The forward half has read all at the end, the backward half at the start.
        return np.concatenate([rows_TD[-1, :3], rows_TD[0, 3:]])
    kernel, bias, context = (w.astype(np.float64) for w in pooling.get_weights())
    scores = np.tanh(rows_TD @ kernel + bias) @ context[:, 0]
    weights = np.exp(scores) / np.exp(scores).sum()
    return weights @ rows_TD


@pytest.mark.parametrize("pool", ALL)
def test_each_way_by_hand(pool):
    pooling = layer(pool)
    found = pooling(VALUES, LENGTHS)
    wanted = [by_hand(pool, VALUES[i, :n], pooling) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_several_ways_stand_side_by_side_in_their_order():
    pooling = layer(*ALL)
    wanted = [
        np.concatenate([by_hand(pool, VALUES[i, :n], pooling) for pool in ALL])
        for i, n in enumerate(LENGTHS)
    ]
    np.testing.assert_allclose(pooling(VALUES, LENGTHS), wanted, atol=1e-6)


def test_the_last_of_a_reader_in_one_direction_is_its_last_step():
    found = layer("last", bidirectional=False)(VALUES, LENGTHS)
    np.testing.assert_array_equal(found, VALUES[[0, 1, 2], LENGTHS - 1])


def test_attention_weighs_real_steps_alone_and_in_full():
    weights = layer("attention").weights_of(VALUES, LENGTHS).numpy()
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)
    for row, length in enumerate(LENGTHS):
        assert np.all(weights[row, length:] == 0.0)
        assert np.all(weights[row, :length] > 0.0)
    assert weights[1, 0] == 1.0
    assert np.ptp(weights[0]) > 0.05


@pytest.mark.parametrize("pool", ALL)
@pytest.mark.parametrize("filler", [0.0, 1e6, -1e6])
def test_padding_and_batch_mates_change_nothing(pool, filler):
    pooling = layer(pool)
    wanted = pooling(VALUES, LENGTHS).numpy()
    padded = np.full((3, 9, 6), filler, np.float32)
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = VALUES[row, :length]
        alone = pooling(VALUES[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone[0], wanted[row], atol=1e-6)
    np.testing.assert_allclose(pooling(padded, LENGTHS), wanted, atol=1e-6)


@pytest.mark.parametrize("pool", ALL)
def test_gradients_reach_real_steps_alone(pool):
    values, pooling = tf.constant(VALUES), layer(pool)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(pooling(values, LENGTHS) ** 2)
    slopes = tape.gradient(total, values).numpy()
    assert np.all(slopes[1, 1:] == 0.0)
    assert np.all(slopes[2, 3:] == 0.0)
    assert np.abs(slopes[0]).max() > 0.01


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_short_floats_stay_near_float32(policy):
    exact, short = layer(*ALL), layer(*ALL, dtype=policy)
    found = short(VALUES, LENGTHS)
    assert found.dtype == tf.as_dtype(policy.removeprefix("mixed_"))
    np.testing.assert_allclose(tf.cast(found, tf.float32), exact(VALUES, LENGTHS), atol=0.05)


@pytest.mark.parametrize("pools", [("attention", "median"), ()])
def test_unknown_or_no_ways_are_refused(pools):
    with pytest.raises(ValueError, match="pools must be some of attention, max, mean, last, got"):
        SequencePooling(pools)


def test_ways_without_weights_have_none():
    inputs, lengths = keras.Input((None, 6)), keras.Input((), dtype="int32")
    model = keras.Model([inputs, lengths], SequencePooling(("max", "last"))(inputs, lengths))
    assert model.weights == []
