"""The language model of a text classifier's reader: what it sees, and how it is judged."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.recipes.sentiment import pretraining
from seqapps.recipes.sentiment.examples import UnlabelledExamples
from seqapps.recipes.sentiment.network import EMBEDDING, ENCODER, build_classifier
from seqapps.recipes.sentiment.settings import Classifier, Pretraining
from seqapps.recipes.sentiment.teacher import (
    NegativeSamples,
    build_language_model,
    language_model_loss,
)
from seqapps.report import Reporter
from seqapps.training.settings import Training

WORDS = 9
# As words are: some are drawn many times in a batch, some hardly ever.
PROBABILITIES = 1.0 / np.arange(1, WORDS + 1)
LENGTHS = np.array([6, 2, 1, 4], np.int32)
TOKENS = np.random.default_rng(0).integers(1, WORDS, (4, 6)).astype(np.int32)
TOKENS *= np.arange(6) < LENGTHS[:, np.newaxis]
BATCH = {"tokens": tf.constant(TOKENS), "tokens_lengths": tf.constant(LENGTHS)}


def build(*, samples=5, seed=0, **settings):
    keras.utils.set_random_seed(4)
    model = Classifier(**{"embedding": 4, "units": 3, "depth": 2, **settings})
    return build_language_model(
        model, probabilities=PROBABILITIES, samples=samples, dropout=0.0, seed=seed
    )


def predictions(outputs):
    """Each feature vector beside the token that it expects."""
    for row, length in enumerate(LENGTHS):
        for step in range(length - 1):
            yield outputs["forward"][row, step], TOKENS[row, step + 1]
            if "backward" in outputs:
                yield outputs["backward"][row, step + 1], TOKENS[row, step]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_in_validation_it_is_the_cross_entropy_over_all_words(bidirectional):
    network = build(bidirectional=bidirectional)
    outputs = network(BATCH)
    assert ("backward" in outputs) == bidirectional
    table = network.get_layer(EMBEDDING).embeddings.numpy().astype(np.float64)
    losses = []
    for features, label in predictions({n: v.numpy() for n, v in outputs.items()}):
        logits = table @ features
        losses.append(np.log(np.exp(logits).sum()) - logits[label])
    total, count = language_model_loss(network)(outputs, BATCH, False)
    np.testing.assert_allclose(total, sum(losses), rtol=1e-5)
    assert count == len(losses) == (9 * 2 if bidirectional else 9)


def test_in_training_each_word_that_was_drawn_counts_once_and_the_label_never_as_wrong():
    network = build()
    outputs = {**network(BATCH), "samples": tf.constant([1, 3, 3, 8, 1])}
    table = network.get_layer(EMBEDDING).embeddings.numpy().astype(np.float64)
    chance = 1 - (1 - PROBABILITIES / PROBABILITIES.sum()) ** 5
    total = 0.0
    for features, label in predictions({n: v.numpy() for n, v in outputs.items()}):
        scores = table @ features - np.log(chance)
        among = [label, *{1, 3, 8} - {label}]
        total += np.log(np.exp(scores[among]).sum()) - scores[label]
    found, count = language_model_loss(network)(outputs, BATCH, True)
    np.testing.assert_allclose(found, total, rtol=1e-5)
    assert count == 18.0
    # Nothing but the label itself drawn: nothing to tell it from.
    alone = {**outputs, "samples": tf.constant([4] * 5)}
    fours = {**BATCH, "tokens": tf.fill([4, 6], 4)}
    assert language_model_loss(network)(alone, fours, True)[0] == 0.0


def slopes(network, draws, *, training=True):
    """How the loss wants to move the words' vectors, on average over draws."""
    loss, table = language_model_loss(network), network.get_layer(EMBEDDING).embeddings.value
    share = PROBABILITIES / PROBABILITIES.sum()
    outputs, rng = network(BATCH), np.random.default_rng(6)

    @tf.function(autograph=False)
    def measured(samples):
        with tf.GradientTape() as tape:
            total, count = loss({**outputs, "samples": samples}, BATCH, training)
            mean = total / count
        return tf.convert_to_tensor(tape.gradient(mean, table))

    size = network.get_layer("samples").samples
    drawn = [rng.choice(WORDS, size, p=share).astype(np.int32) for _ in range(draws)]
    return np.mean([measured(tf.constant(samples)) for samples in drawn], 0)


def test_with_more_samples_the_gradient_becomes_that_of_all_words():
    gaps = []
    for samples, draws in ((3, 300), (30, 100), (1000, 1)):
        network = build(samples=samples)
        # Words that differ, as after some training.
        table = network.get_layer(EMBEDDING).embeddings
        table.assign(3.0 * table)
        whole = slopes(network, 1, training=False)
        gaps.append(np.linalg.norm(slopes(network, draws) - whole) / np.linalg.norm(whole))
    # 1,000 draws have all words among them, 30 draws most, 3 few.
    assert gaps[2] < 1e-5
    assert gaps[1] < 0.1
    assert gaps[0] < 0.6


def test_no_direction_sees_what_it_is_asked_for():
    network = build()
    plain = network(BATCH)
    later, earlier = TOKENS.copy(), TOKENS.copy()
    later[0, 3:] = 1 + later[0, 3:] % (WORDS - 1)
    earlier[0, :3] = 1 + earlier[0, :3] % (WORDS - 1)
    changed = network({**BATCH, "tokens": tf.constant(later)})
    np.testing.assert_array_equal(changed["forward"][0, :3], plain["forward"][0, :3])
    assert np.abs(changed["forward"][0, 3:] - plain["forward"][0, 3:]).max() > 1e-3
    changed = network({**BATCH, "tokens": tf.constant(earlier)})
    np.testing.assert_array_equal(changed["backward"][0, 3:], plain["backward"][0, 3:])
    assert np.abs(changed["backward"][0, :3] - plain["backward"][0, :3]).max() > 1e-3


def test_draws_follow_the_probabilities():
    draw = NegativeSamples([3.0, 0.0, 1.0, 4.0], 20_000, seed=2)
    found = np.bincount(draw(TOKENS).numpy(), minlength=4)
    wanted = np.array([0.375, 0.0, 0.125, 0.5])
    # Five standard deviations.
    assert np.all(np.abs(found - 20_000 * wanted) <= 5 * np.sqrt(20_000 * wanted * (1 - wanted)))
    assert found[1] == 0


def test_draws_are_a_function_of_the_seed_and_their_state_is_in_the_checkpoint():
    one, same, other = build(seed=1), build(seed=1), build(seed=2)
    drawn = [np.stack([net(BATCH)["samples"] for _ in range(3)]) for net in (one, same, other)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0][0], drawn[0][1])
    state = one.get_layer("samples").seed_generator.state
    assert any(variable is state for variable in one.variables)
    state.assign(build(seed=1).get_layer("samples").seed_generator.state)
    np.testing.assert_array_equal(one(BATCH)["samples"], drawn[0][0])


def sentences(count, seed):
    """A language of two sentences, each with one free word."""
    rng = np.random.default_rng(seed)
    return [
        np.array([*start, rng.integers(6, WORDS), 5], np.int32)
        for start in ((1, 2, 3), (1, 3, 4, 2))
        for _ in range(count)
    ]


@pytest.fixture
def texts():
    return UnlabelledExamples(
        training=sentences(40, 0),
        validation=sentences(5, 1),
        vocabulary=WORDS,
        batch_tokens=64,
        seed=0,
    )


def test_a_pretrained_reader_is_the_language_models_and_is_resumed(texts, tmp_path, monkeypatch):
    model = Classifier(embedding=8, units=8, hidden=4)
    teachers = []

    def kept(*args, **kwargs):
        teachers.append(build_language_model(*args, **kwargs))
        return teachers[-1]

    monkeypatch.setattr(pretraining, "build_language_model", kept)

    def pretrained(*, resume):
        keras.utils.set_random_seed(len(teachers))
        network = build_classifier(model, vocabulary=WORDS, classes=2, seed=3)
        before = {layer.name: layer.get_weights() for layer in network.layers}
        history = pretraining.pretrain_encoder(
            network,
            texts,
            model=model,
            pretraining=Pretraining(epochs=5, samples=16, learning_rate=0.03, dropout=0.0),
            training=Training(warmup_steps=0, tensorboard=False),
            seed=0,
            folder=tmp_path,
            reporter=Reporter(io.StringIO()),
            resume=resume,
        )
        return network, before, history

    network, before, history = pretrained(resume=False)
    for name in (EMBEDDING, ENCODER):
        weights = network.get_layer(name).get_weights()
        for found, taught, begun in zip(
            weights, teachers[0].get_layer(name).get_weights(), before[name], strict=True
        ):
            np.testing.assert_array_equal(found, taught)
            assert np.abs(found - begun).max() > 1e-3
    for name in ("hidden", "logits", "pooling"):
        for found, begun in zip(network.get_layer(name).get_weights(), before[name], strict=True):
            np.testing.assert_array_equal(found, begun)
    losses = [row["validation_loss"] for row in history]
    assert len(losses) == 5
    # Chance is ln 9 = 2.2.
    assert losses[-1] < 0.6 * losses[0]

    again, _, same_history = pretrained(resume=True)
    assert same_history == history
    for name in (EMBEDDING, ENCODER):
        for found, wanted in zip(
            again.get_layer(name).get_weights(), network.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


def test_layers_are_let_go_from_the_top():
    network = build_classifier(
        Classifier(embedding=4, units=3, depth=2), vocabulary=WORDS, classes=2
    )
    settings = Pretraining(layer_rate=0.5, unfreeze_epochs=0.75)
    groups = pretraining.layer_groups(network, settings)
    assert [(group.share, group.first_epoch) for group in groups] == [
        (0.5, 0.75),
        (0.25, 1.5),
        (0.125, 2.25),
    ]
    paths = [" ".join(variable.path for variable in group.variables) for group in groups]
    for path, level in zip(paths, (1, 0), strict=False):
        found = {
            part for part in path.replace("/", " ").split() if part.startswith(("for", "back"))
        }
        assert found == {f"forward_{level}", f"backward_{level}"}
    assert paths[2] == f"{EMBEDDING}/embeddings"
    grouped = {id(variable) for group in groups for variable in group.variables}
    rest = {v.path.split("/")[0] for v in network.trainable_variables if id(v) not in grouped}
    assert rest == {"pooling", "norm", "hidden", "logits"}
