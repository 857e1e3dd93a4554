"""What is measured of a writer, and the streams that it learns from."""

import dataclasses
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.errors import UserError
from seqapps.recipes.generate import examples as running_examples
from seqapps.recipes.generate import scores as writing_scores
from seqapps.recipes.generate.data import TextData
from seqapps.recipes.generate.examples import RunningExamples
from seqapps.recipes.generate.network import build_recurrent_lm, read, state_size
from seqapps.recipes.generate.scores import (
    _copied,
    distinct,
    kneser_ney,
    random_window_loss,
    token_losses,
)
from seqapps.recipes.generate.settings import Config, LanguageModel
from seqapps.text.ngram import NGram
from seqapps.text.settings import RunningText
from seqapps.text.vocabulary import Vocabulary
from seqapps.training.settings import Training

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TEXT = "".join(np.random.default_rng(4).choice(list("abcdefgh \n"), 3000))


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    path = tmp_path_factory.mktemp("running") / "text.txt"
    path.write_text(TEXT)
    return load(str(path))


def settings(*, batch_tokens=160, text=None, **data):
    return Config(
        data=TextData(**data),
        text=RunningText(window=20, **(text or {})),
        training=Training(batch_tokens=batch_tokens),
        seed=3,
    )


def load(path, *, batch_tokens=160, **text):
    config = settings(train=path, batch_tokens=batch_tokens, text=text)
    return RunningExamples.load(config, None, lambda line: None)


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


def test_the_last_label_of_a_pass_is_the_token_that_follows(examples):
    one_row = dataclasses.replace(examples, streams=1)
    text = examples.training[:-1]
    for epoch in range(3):
        batches = list(one_row.training_pass(epoch).dataset(0))
        tokens, labels = (
            np.concatenate([batch[name].numpy()[0] for batch in batches])
            for name in ("tokens", "labels")
        )
        assert len(tokens) == len(text)
        np.testing.assert_array_equal(labels, np.roll(tokens, -1))


def test_a_text_that_is_too_short_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("short text " * 3)
    with pytest.raises(UserError, match="too short for 100 streams.*--training.batch_tokens"):
        load(str(tmp_path / "a.txt"), batch_tokens=2000)


def test_a_whole_text_in_portions_is_one_pass(examples, network, monkeypatch):
    ids = examples.test
    logits, _ = read(
        network,
        tf.constant(ids[np.newaxis, :-1]),
        tf.constant([len(ids) - 1]),
        tf.zeros([1, state_size(network)]),
    )
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


def test_a_long_training_text_is_compared_with_in_part(examples, monkeypatch):
    monkeypatch.setattr(running_examples, "_COUNTED", 500)
    examples = dataclasses.replace(examples)
    fitted = []

    def fit(sequences, *, order, vocabulary):
        fitted.append(len(sequences[0]))
        return NGram.fit(sequences, order=order, vocabulary=vocabulary)

    for module in (running_examples, writing_scores):
        monkeypatch.setattr(module, "NGram", SimpleNamespace(fit=fit))
    kneser_ney(examples)
    assert max(fitted) == 500
    assert min(fitted) == 450
    assert _copied([TEXT[100:164]], examples)["copied_32_grams"] == 0.0
    assert _copied([TEXT[2600:2664]], examples)["copied_32_grams"] == 1.0


def test_a_passage_is_of_characters_whatever_the_tokens_are():
    text = "né ☃\n".encode() + b"\xff!"
    vocabulary = Vocabulary.fit("bytes", [], size=0)
    ids = vocabulary.stream([text])
    bits = np.arange(1.0, len(ids))
    passage, surprise = writing_scores._passage(
        ids, bits * np.log(2), SimpleNamespace(vocabulary=vocabulary)
    )
    assert passage == "né ☃\n�!"
    assert surprise == pytest.approx([1, 2 + 3, 4, 5 + 6 + 7, 8, 9, 10])


def test_without_the_training_text_a_model_is_measured_and_cannot_learn(tmp_path, network):
    (tmp_path / "other.txt").write_text("abc hgf " * 60)
    lines = []
    config = settings(train="gone.txt", test=str(tmp_path / "other.txt"))
    assets = Vocabulary.fit("characters", [TEXT.encode()], size=0).assets
    alone = RunningExamples.load(config, assets, lines.append)
    assert any("Measured without the training text" in line for line in lines)

    def write(prompts, **options):
        return [{"text": "abc", "samples": ["abc"]} for _ in prompts]

    losses = token_losses(network, alone.test)
    measured = writing_scores.measure(network, losses, alone, write=write, seed=0, log=lines.append)
    assert measured.metrics["measured_on"] == "test text"
    assert measured.metrics["tokens"] == 481
    assert not any("kneser" in name or "copied" in name for name in measured.metrics)
    with pytest.raises(UserError, match=r"no file or folder .*gone\.txt"):
        alone.training_pass(0)


def test_distinct_n_is_a_share_of_n_grams():
    assert distinct(["a b a b", "a b"], 1) == 2 / 6
    assert distinct(["a b a b", "a b"], 2) == 2 / 4
    assert distinct(["", "a"], 2) == 0.0
    assert distinct(["我爱我爱", "我"], 1, spaced=False) == 2 / 5


def test_the_n_gram_model_beside_it_chooses_its_order_without_the_held_out_text(examples):
    order, best, five = kneser_ney(examples)
    # The letters are independent of each other, so the shortest context is the best.
    assert order == 2
    assert best <= five
    # Nor is a table made that is longer than asked for, or larger than allowed.
    assert examples.ngrams(7).order == 2
    assert examples.ngrams(1).order == 1


def test_the_order_is_chosen_on_the_validation_text_where_another_is_reported_on(tmp_path):
    for name, text in (("train", "abcd" * 300), ("val", "abdc" * 20), ("test", "abcd" * 20)):
        (tmp_path / f"{name}.txt").write_text(text)
    texts = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
    config = settings(folder=str(tmp_path), **texts)
    chosen = RunningExamples.load(config, None, lambda line: None)
    head = NGram.fit([chosen.training], order=2, vocabulary=chosen.vocabulary.size)
    wanted = -head.log_probs(chosen.validation)[1:].sum()
    assert chosen.ngram_orders[2] == pytest.approx(wanted)


def test_an_n_gram_baseline_stays_near_the_entropy_of_random_letters(examples):
    _, best, _ = kneser_ney(examples)
    assert best / len(examples.test) == pytest.approx(np.log(10), abs=0.25)


def test_passages_are_from_all_over_and_all_of_a_short_text():
    assert writing_scores._passages([]) == []
    assert writing_scores._passages(["a" * 7, "", "bcd"]) == ["a" * 7, "bcd"]
    found = writing_scores._passages(["a" * 6000, "b" * 6000])
    assert found == ["a" * 5000, "a" * 1000, "b" * 5000, "b" * 1000]
    long = "".join(chr(ord("a") + i // 10_000) for i in range(100_000))
    found = writing_scores._passages([long[:50_000], long[50_000:]])
    assert found == [chr(ord("a") + i) * 5000 for i in range(10)]
    lines = [f"{i:>20}" for i in range(10_000)]
    found = writing_scores._passages(lines)
    assert found == lines[::4]


def test_rating_is_the_loss_of_what_an_application_says(examples):
    rating = writing_scores.rating(examples)
    assert (rating.signature, rating.options) == ("score", {})
    answers = [
        {"token_log_probabilities": [-math.log(4.0)] * len(text)} for text in rating.questions
    ]
    assert rating.score(answers) == {
        "loss": pytest.approx(math.log(4), abs=1e-4),
        "perplexity": pytest.approx(4, abs=1e-3),
        "bits_per_character": pytest.approx(2, abs=1e-4),
    }
    assert rating.on.startswith(
        "1 passage of at most 5,000 characters from all over the validation text"
    )
