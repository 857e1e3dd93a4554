"""State that is carried from batch to batch of a continuous stream."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_toy import LABELS, TOKENS, ToyPass, train, weights

from seqapps.data.pipeline import batches
from seqapps.layers.recurrent import RecurrentStack
from seqapps.training.losses import token_cross_entropy
from seqapps.training.step import Trainee

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STREAMS, LENGTH, UNITS = 3, 12, 4
WINDOWS = ((0, 3), (3, 5), (5, 6), (6, 10), (10, 12))
"""Steps of each stream that a batch reads: windows of any length."""


def stream_network(seed=3, dropout=0.0):
    keras.utils.set_random_seed(seed)
    inputs = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "tokens_lengths": keras.Input((), dtype="int32", name="tokens_lengths"),
        "state": keras.Input((UNITS,), name="state"),
    }
    embedded = keras.layers.Embedding(TOKENS, 3)(inputs["tokens"])
    stack = RecurrentStack(UNITS, dropout=dropout, seed=1)
    read, (state,) = stack(embedded, inputs["tokens_lengths"], [inputs["state"]])
    return keras.Model(inputs, {"logits": keras.layers.Dense(LABELS)(read), "state": state})


def loss(outputs, batch, training):
    return token_cross_entropy()(outputs["logits"], batch, training)


@dataclass(frozen=True)
class Streams:
    """Each pass reads three streams from their beginning, window by window."""

    seed: int = 5

    def _tokens(self, seed):
        return np.random.default_rng(seed).integers(1, TOKENS, (STREAMS, LENGTH))

    def _batches(self, seed, windows, skip=0):
        tokens = self._tokens(seed)
        pieces = [(row, slice(*window)) for window in windows for row in tokens]
        columns = {
            "tokens": [row[part] for row, part in pieces],
            "labels": [np.cumsum(row)[part] % LABELS for row, part in pieces],
            "begins": [np.array([int(part.start == 0)]) for _, part in pieces],
        }
        order = np.arange(len(pieces)).reshape(len(windows), STREAMS)
        return batches(columns, list(order), skip=skip)

    def training_pass(self, epoch):
        return ToyPass(
            dataset=lambda skip: self._batches(self.seed + epoch, WINDOWS, skip),
            tokens=np.array([STREAMS * (end - start) for start, end in WINDOWS]),
        )

    def validation_batches(self):
        return self._batches(1, ((0, 7), (7, 12)))


def made(network):
    trainee = Trainee(network, loss=loss, clip_norm=1e9)
    trainee.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    trainee.optimizer.build(network.trainable_variables)
    return trainee


def whole_loss(network, examples, seed):
    """Mean loss of whole streams, each in one run."""
    (batch,) = examples._batches(seed, ((0, LENGTH),))
    outputs = network(
        {
            "tokens": batch["tokens"],
            "tokens_lengths": batch["tokens_lengths"],
            "state": tf.zeros((STREAMS, UNITS)),
        }
    )
    total, count = loss(outputs, batch, False)
    return float(total / count)


def test_windows_of_a_stream_equal_one_long_pass_and_validation_has_a_state_of_its_own():
    network, examples = stream_network(), Streams()
    trainee = made(network)
    wanted = whole_loss(network, examples, 5)
    # At rate zero the weights stay, so the mean over the windows is that of one pass.
    for number, batch in enumerate(examples.training_pass(0).dataset(0)):
        trainee.train_step(batch)
        if number == 2:
            before = trainee.carried[0].numpy()
            for other in examples.validation_batches():
                trainee.test_step(other)
            np.testing.assert_array_equal(trainee.carried[0].numpy(), before)
            assert np.abs(before).max() > 0.01
    assert float(trainee.training_loss.result()) == pytest.approx(wanted, abs=1e-6)
    found = float(trainee.validation_loss.result())
    assert found == pytest.approx(whole_loss(network, examples, 1), abs=1e-6)
    # A second round begins anew and so gives the same.
    trainee.validation_loss.reset_state()
    for other in examples.validation_batches():
        trainee.test_step(other)
    assert float(trainee.validation_loss.result()) == found


def test_a_row_that_begins_forgets_and_the_others_do_not():
    network, examples = stream_network(), Streams()
    trainee = made(network)
    first, second, *_ = examples.training_pass(0).dataset(0)
    trainee.train_step(first)
    before = trainee.carried[0].numpy()
    second = {**second, "begins": tf.constant([0, 1, 0])}
    state = before.copy()
    state[1] = 0.0
    wanted = network(
        {**{n: second[n] for n in ("tokens", "tokens_lengths")}, "state": tf.constant(state)}
    )
    trainee.train_step(second)
    np.testing.assert_allclose(trainee.carried[0].numpy(), wanted["state"], atol=1e-6)


class Stop(Exception):  # noqa: N818
    pass


class StoppingStreams(Streams):
    """Is interrupted after the second batch of the second pass, as by Ctrl-C."""

    def training_pass(self, epoch):
        whole = super().training_pass(epoch)
        if epoch == 0:
            return whole

        def dataset(skip):
            def check(number, batch):
                tf.py_function(self._check, [number], [])
                return batch

            return whole.dataset(skip).enumerate().map(check)

        return ToyPass(dataset=dataset, tokens=whole.tokens)

    def _check(self, number):
        if number >= 2:
            raise Stop


def test_a_training_that_is_stopped_in_mid_stream_goes_on_bit_for_bit(tmp_path):
    settings = {"epochs": 3, "checkpoint_minutes": 0.0, "average_decay": 0.9}
    settings |= {"learning_rate": 0.05, "warmup_steps": 2}
    whole = stream_network(dropout=0.3)
    progress = train(whole, tmp_path / "whole", examples=Streams(), loss=loss, **settings)
    with pytest.raises(tf.errors.OpError):
        train(
            stream_network(dropout=0.3),
            tmp_path / "stopped",
            examples=StoppingStreams(),
            loss=loss,
            **settings,
        )
    resumed = stream_network(dropout=0.3, seed=8)
    found = train(
        resumed, tmp_path / "stopped", examples=Streams(), loss=loss, resume=True, **settings
    )
    for one, other in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("loss", "validation_loss"):
        assert [row[name] for row in found.history] == [row[name] for row in progress.history]
