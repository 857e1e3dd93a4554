"""AdamW with groups, against the stock one."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_toy import ROWS, ToyExamples, network, weights

from seqapps.report import Reporter
from seqapps.training.loop import Goal, fit
from seqapps.training.losses import token_cross_entropy
from seqapps.training.optimizer import GroupedAdamW, LayerGroup
from seqapps.training.settings import Training

EXCLUDED = ["bias", "embeddings", "gamma", "beta"]


def updated(kind, model, groups=None, *, steps=5, rate=0.01, decay=0.1, first_steps=()):
    """Trains for some steps on given gradients; the weights after each."""
    optimizer = kind(rate, weight_decay=decay, beta_2=0.98, epsilon=1e-9)
    optimizer.exclude_from_weight_decay(var_names=EXCLUDED)
    variables = model.trainable_variables
    optimizer.build(variables)
    if groups is not None:
        begin = first_steps or [0] * len(groups)
        optimizer.set_groups(variables, list(zip(groups, begin, strict=True)))
    rng, found = np.random.default_rng(8), []

    @tf.function
    def apply(*gradients):
        optimizer.apply(gradients, variables)

    for _ in range(steps):
        apply(*(tf.constant(rng.normal(size=v.shape), "float32") for v in variables))
        found.append(weights(model))
    return found


def same(found, wanted):
    return all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_without_groups_it_is_stock_adamw_to_the_last_bit():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.02, 5, 0.001)
    stock = updated(keras.optimizers.AdamW, network(), rate=schedule)
    ours = updated(GroupedAdamW, network(), (), rate=schedule)
    undecayed = updated(GroupedAdamW, network(), (), rate=schedule, decay=0.0)
    plain = updated(keras.optimizers.AdamW, network(), rate=schedule, decay=0.0)
    for one, other in ((ours, stock), (undecayed, plain)):
        for step, wanted in zip(one, other, strict=True):
            assert same(step, wanted)
    # Decay moves kernels, and what is excluded from it not.
    names = [variable.name for variable in network().trainable_variables]
    moved = [not np.array_equal(a, b) for a, b in zip(ours[-1], undecayed[-1], strict=True)]
    assert moved == [name not in EXCLUDED for name in names]
    assert {"kernel", "bias", "embeddings", "gamma", "beta"} == set(names)


def test_a_share_is_a_rate_of_ones_own_for_step_and_decay():
    model = network()
    lower = model.trainable_variables[:3]
    found = updated(GroupedAdamW, model, [LayerGroup(lower, 0.25)])
    quarter = updated(keras.optimizers.AdamW, network(), rate=0.0025)
    full = updated(keras.optimizers.AdamW, network())
    for step, slow, fast in zip(found, quarter, full, strict=True):
        for ours, wanted in zip(step[:3], slow[:3], strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=0, atol=2e-7)
        assert same(step[3:], fast[3:])
    gap = max(np.abs(a - b).max() for a, b in zip(quarter[-1][:3], full[-1][:3], strict=True))
    assert gap > 1e-3


def test_a_frozen_group_stands_still_until_its_first_step():
    model = network()
    begun, lower = weights(model), model.trainable_variables[:3]
    found = updated(GroupedAdamW, model, [LayerGroup(lower)], steps=6, first_steps=[4])
    stock = updated(keras.optimizers.AdamW, network(), steps=6)
    for step in found[:4]:
        assert same(step[:3], begun[:3])
    for before, after, names in zip(found[3][:3], found[4][:3], "abc", strict=True):
        assert np.abs(after - before).max() > 1e-3, names
    for step, wanted in zip(found, stock, strict=True):
        assert same(step[3:], wanted[3:])
    # Its moments were kept up to date: it moves as stock AdamW does at the same step, which holds
    # for what is not decayed, for decay depends on where a weight is.
    np.testing.assert_allclose(
        found[4][0] - found[3][0], stock[4][0] - stock[3][0], rtol=0, atol=2e-7
    )


@pytest.mark.parametrize("stranger", [False, True])
def test_a_variable_has_one_group_and_is_of_the_network(stranger):
    model = network()
    variables = model.trainable_variables
    twice = [LayerGroup(variables[:2]), LayerGroup(variables[1:3])]
    if stranger:
        twice = [LayerGroup(network().trainable_variables[:1])]
    optimizer = GroupedAdamW(0.1)
    optimizer.build(variables)
    with pytest.raises(ValueError, match="is not one, or is in two groups"):
        optimizer.set_groups(variables, [(group, 0) for group in twice])


class Stop(Exception):
    pass


def train(folder, *, seed=3, stop=None, resume=False, seen=None, **settings):
    """`fit` with a lower half that begins in the middle of the second pass."""
    model = network(dropout=0.3, seed=seed)
    lower = LayerGroup(model.trainable_variables[:3], 0.5, first_epoch=1.6)

    def score():
        if seen is not None:
            seen.append(weights(model))
        return {"score": 0.0}

    def watch(row):
        if row["epoch"] == stop:
            raise Stop

    progress = fit(
        model,
        ToyExamples(),
        loss=token_cross_entropy(),
        goal=Goal("score", score),
        settings=Training(
            patience=0,
            tensorboard=False,
            learning_rate=0.01,
            warmup_steps=0,
            weight_decay=0.1,
            epochs=3,
            **settings,
        ),
        folder=folder,
        reporter=Reporter(io.StringIO()),
        resume=resume,
        groups=[lower],
        watch=watch,
    )
    return model, progress


def test_a_group_begins_at_its_epoch(tmp_path):
    begun = weights(network(dropout=0.3))
    assert len(ROWS) == 5
    # 1.6 epochs of 5 batches are 8 steps: the ninth is its first.
    for steps, still in ((8, True), (9, False)):
        ends = []
        train(tmp_path / str(steps), seen=ends, max_steps=steps, schedule="constant")
        assert same(ends[0][:3], begun[:3])
        assert not same(ends[0][3:], begun[3:])
        assert same(ends[1][:3], begun[:3]) == still


def test_a_run_that_is_resumed_while_a_group_is_frozen_equals_a_whole_one(tmp_path):
    whole, progress = train(tmp_path / "whole")
    begun = weights(network(dropout=0.3))
    with pytest.raises(Stop):
        train(tmp_path / "parts", stop=1)
    resumed, again = train(tmp_path / "parts", seed=9, resume=True)
    assert [row["loss"] for row in again.history] == [row["loss"] for row in progress.history]
    folders = (tmp_path / "whole" / "checkpoints", tmp_path / "parts" / "checkpoints")
    states = [tf.train.load_checkpoint(str(folder)) for folder in folders]
    names = [
        name
        for name in states[0].get_variable_to_shape_map()
        if name.startswith(("network/", "optimizer/", "extra/"))
    ]
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(*(state.get_tensor(name) for state in states), name)
    assert same(weights(resumed), weights(whole))
    assert not same(weights(whole), begun)
