"""What is measured of a writer, and the streams that it learns from."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.data.running_text import TextData
from seqapps.errors import UserError
from seqapps.models import writing_scores
from seqapps.models.recurrent_lm import build_recurrent_lm, read, state_size
from seqapps.models.running_examples import RunningExamples
from seqapps.models.settings import LanguageModel
from seqapps.models.writing_scores import (
    _copied,
    distinct,
    kneser_ney,
    random_window_loss,
    token_losses,
)
from seqapps.text.settings import RunningText

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TEXT = "".join(np.random.default_rng(4).choice(list("abcdefgh \n"), 3000))


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    path = tmp_path_factory.mktemp("running") / "text.txt"
    path.write_text(TEXT)
    return load(str(path))


def load(path, *, batch_tokens=160, **text):
    return RunningExamples.load(
        TextData(train=path), None, text=RunningText(window=20, **text),
        batch_tokens=batch_tokens, seed=3, log=lambda line: None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def network(examples):
    keras.utils.set_random_seed(1)
    return build_recurrent_lm(
        LanguageModel(embedding=4, units=6), vocabulary=examples.vocabulary.size
    )


def test_a_pass_reads_the_text_once_from_another_place(examples):
    texts = []
    for epoch in (0, 1, 0):
        one = examples.training_pass(epoch)
        read_tokens = [batch["tokens"].numpy() for batch in one.dataset(0)]
        rows = np.concatenate(read_tokens, 1)
        assert rows.shape[0] == 8
        assert one.tokens.tolist() == [part.size for part in read_tokens]
        stream = examples.training[:-1]
        shift = len(stream) - int(np.flatnonzero(rows.reshape(-1) == 0)[0])
        np.testing.assert_array_equal(rows.reshape(-1), np.roll(stream, -shift)[: rows.size])
        assert rows.size > 0.99 * (len(stream) - 8)
        texts.append(rows)
    np.testing.assert_array_equal(texts[0], texts[2])
    assert not np.array_equal(texts[0][:, :50], texts[1][:, :50])
    found = [batch["labels"].numpy() for batch in examples.validation_batches()]
    np.testing.assert_array_equal(np.concatenate(found, 1)[0], examples.validation[1:])


def test_a_text_that_is_too_short_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("short text " * 3)
    with pytest.raises(UserError, match="too short for 100 streams.*--training.batch_tokens"):
        load(str(tmp_path / "a.txt"), batch_tokens=2000)


def test_a_whole_text_in_portions_is_one_pass(examples, network, monkeypatch):
    ids = examples.test
    logits, _ = read(
        network, tf.constant(ids[np.newaxis, :-1]), tf.constant([len(ids) - 1]),
        tf.zeros([1, state_size(network)]),
    )  # fmt: skip
    log_probs = tf.nn.log_softmax(logits[0]).numpy()
    wanted = -log_probs[np.arange(len(ids) - 1), ids[1:]]
    monkeypatch.setattr(writing_scores, "_WINDOW", 37)
    advanced = []
    found = token_losses(network, ids, advance=advanced.append)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert sum(advanced) == len(ids) - 1
    assert examples.bits_per_character(2.0) == pytest.approx(2.0 * 301 / 300 / np.log(2), rel=1e-6)
    # The network is as good as new, so windows without context are as hard.
    assert random_window_loss(network, ids, seed=0, length=16) == pytest.approx(
        wanted.mean(), abs=0.1
    )


def test_copies_are_found(examples):
    copied = _copied([TEXT[100:400], TEXT[500:700]], examples)
    assert copied["copied_16_grams"] == copied["copied_64_grams"] == 1.0
    assert copied["copied_16_grams_of_held_out_text"] == 0.0
    half = _copied([TEXT[100:164] + TEXT[2800:2864]], examples)
    assert half["copied_32_grams"] == pytest.approx(33 / 97, abs=1e-4)
    assert _copied(["abc"], examples)["copied_16_grams"] == 0.0


def test_distinct_n_is_a_share_of_n_grams():
    assert distinct(["a b a b", "a b"], 1) == 2 / 6
    assert distinct(["a b a b", "a b"], 2) == 2 / 4
    assert distinct(["", "a"], 2) == 0.0


def test_the_n_gram_model_beside_it_chooses_its_order_without_the_held_out_text(examples):
    order, best, five = kneser_ney(examples)
    # The letters are independent of each other, so the shortest context is the best.
    assert order == 3
    assert best <= five
    assert best / len(examples.test) == pytest.approx(np.log(10), abs=0.25)
