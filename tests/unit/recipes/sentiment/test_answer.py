"""A trained text classifier as a function of strings, and which words it says mattered."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.portable.runtime.pieces import Pieces
from seqapps.recipes.sentiment.answer import ClassifyText
from seqapps.recipes.sentiment.calibration import (
    calibrate,
    pairs_say,
    share_of,
    spelling,
    temperature_of,
    uncalibrate,
    validation_logits,
)
from seqapps.recipes.sentiment.data import LabelledSplits, Texts
from seqapps.recipes.sentiment.examples import LabelledExamples
from seqapps.recipes.sentiment.metrics import fit_temperature
from seqapps.recipes.sentiment.network import TEMPERATURE, build_classifier
from seqapps.recipes.sentiment.settings import Classifier
from seqapps.text.cut import Cut
from seqapps.text.normalise import normalise
from seqapps.text.tokenizer import Tokenizer

FILLERS = "the film was made with a red house and some people who walked over its bridge".split()
DECIDING = {"positive": ["good", "great"], "negative": ["bad", "awful"], "neutral": []}
CUT = Cut(40, "both")


def drawn(count, seed, *, wrong=0.0):
    """Texts of fillers; the one deciding word, if there is one, says the label."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for i in range(count):
        label = list(DECIDING)[i % 3]
        words = list(rng.choice(FILLERS, rng.integers(3, 12)))
        if DECIDING[label]:
            words.insert(rng.integers(len(words) + 1), rng.choice(DECIDING[label]))
        texts.append(" ".join(words))
        labels.append(str(rng.choice(list(DECIDING))) if rng.random() < wrong else label)
    return Texts(texts, labels)


@pytest.fixture(scope="module")
def examples():
    # Validation labels are partly wrong, so that the network is too sure of itself.
    splits = LabelledSplits(drawn(600, 0), drawn(150, 1, wrong=0.3), drawn(60, 2))
    tokenizer = Tokenizer.train(splits.train.texts, vocabulary=80)
    return LabelledExamples(
        splits,
        tokenizer,
        splits.classes,
        CUT,
        sampling=0.0,
        batch_tokens=512,
        balance=False,
        seed=0,
    )


@pytest.fixture(scope="module")
def network(examples):
    """Trained with plain `fit` until the deciding words decide."""
    keras.utils.set_random_seed(1)
    network = build_classifier(
        Classifier(embedding=16, units=12, hidden=8, dropout=0.0, word_dropout=0.0),
        vocabulary=examples.tokenizer.size,
        classes=3,
    )
    network.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def example(batch):
        return {name: batch[name] for name in network.input}, batch["labels"][:, 0]

    for epoch in range(8):
        network.fit(examples.training_pass(epoch).dataset(0).map(example), shuffle=False, verbose=0)
    return network


def asked(network, examples, cut=CUT):
    """`classify(texts)` and `explain(texts)`, each traced once: a list of rows."""
    served = ClassifyText(network, examples.assets, cut)

    def traced(answer):
        function = tf.function(
            lambda text: answer({"text": text}, {}),
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )

        def call(texts):
            found = {n: v.numpy() for n, v in function(tf.constant(texts, tf.string)).items()}
            rows = []
            for i in range(len(texts)):
                row = {}
                for name, value in found.items():
                    if f"{name}_lengths" in found:
                        row[name] = value[i, : found[f"{name}_lengths"][i]].tolist()
                    elif not name.endswith("_lengths"):
                        row[name] = value[i]
                rows.append(row)
            return rows

        return call

    return traced(served), traced(served.explain)


@pytest.fixture(scope="module")
def answers(network, examples):
    return asked(network, examples)


ODD = [
    "",
    " \t ",
    "\U0001f600",
    "good\x00film \x00",
    b"bad \xff\xfe\xc3 film",
    "\u0647\u0630\u0627 \u0627\u0644\u0641\u064a\u0644\u0645 \u062c\u064a\u062f \u202egood",
    "\u2581 a\u2581b \u2581\u2581good",
    "great " * 30,
    "a" * 3000,
]


JAPANESE = ["売上は増加しました", "利益は減少しました", "売上は減少 good"]


@pytest.mark.parametrize("apart", ["words", "pieces"])
def test_words_and_pieces_are_the_same_with_and_without_tensorflow(apart):
    tokenizer = Tokenizer.train([*JAPANESE, *FILLERS] * 3, vocabulary=80)
    network = build_classifier(
        Classifier(embedding=4, units=4, hidden=0), vocabulary=tokenizer.size, classes=2
    )
    assets = {"text.model": tokenizer.proto, "classes.json": b'["bad", "good"]'}
    served = ClassifyText(network, assets, CUT, apart=apart)
    texts = [*JAPANESE, *ODD, "売上\u2603\u2603は x\u2603 house", "\u2603"]
    outputs = tf.function(served.explain, autograph=False)({"text": tf.constant(texts)}, {})
    counts = outputs["words_lengths"].numpy()
    pieces = Pieces(tokenizer.proto)
    for text, row, count in zip(texts, outputs["words"].numpy(), counts, strict=True):
        said = text if isinstance(text, bytes) else text.encode()
        units, places = pieces.units(said, pieces.encode([said])[0], apart=apart)
        assert [unit.decode() for unit in row[:count]] == units
        assert sorted({*places}) == list(range(len(units)))
        words = normalise(said.decode("utf-8", "replace")).split()
        assert "".join(units) == "".join(words)
        assert (units == words) or (apart == "pieces" and len(units) > len(words))
    # Of the pieces of a sentence each has its importance; as one word it has one.
    assert (counts[0] > 1) == (apart == "pieces")
    read = outputs["importance"].numpy()[0, : counts[0]]
    assert np.isfinite(read).all()
    assert read.any()


def test_a_text_that_is_not_read_whole_says_so(answers, examples):
    whole, longer = "film " * CUT.most, "film " * (CUT.most + 1)
    assert [len(ids) for ids in examples.tokenizer.encode([whole, longer])] == [40, 41]
    found = answers[0]([longer, "", whole])
    assert [row["truncated"] for row in found] == [1, 0, 0]


@pytest.mark.parametrize(
    "text", [*ODD, "a " * 100_000], ids=lambda text: f"{len(text)}-{ascii(text[:12])}"
)
def test_any_text_is_classified_and_explained(answers, text):
    classify, explain = answers
    (found,), (why,) = classify([text]), explain([text])
    assert sorted(name.decode() for name in found["classes"]) == sorted(DECIDING)
    assert found["label"] == found["classes"][0] == why["label"]
    assert found["probabilities"] == sorted(found["probabilities"], reverse=True)
    assert sum(found["probabilities"]) == pytest.approx(1.0, abs=1e-6)
    assert why["probability"] == pytest.approx(found["probabilities"][0], abs=1e-6)
    string = text if isinstance(text, str) else text.decode("utf-8", "replace")
    words = [word.decode() for word in why["words"]]
    if isinstance(text, str):
        assert words == normalise(string).split()
    assert len(why["importance"]) == len(words)
    assert np.all(np.isfinite(why["importance"]))


def test_a_text_without_words_has_no_reasons(answers):
    for row in answers[1](["", " ", "\x00"]):
        assert row["words"] == row["importance"] == []


def test_batch_mates_and_padding_change_nothing(answers, examples):
    classify, explain = answers
    texts = [*examples.splits.test.texts[:8], *ODD]
    alone = [classify([text])[0] for text in texts]
    together = classify([*texts, "film " * 200])[:-1]
    for one, other in zip(alone, together, strict=True):
        assert one["classes"] == other["classes"]
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], rtol=0, atol=1e-5)
    for one, other in zip([explain([t])[0] for t in texts[:12]], explain(texts), strict=False):
        assert one["words"] == other["words"]
        np.testing.assert_allclose(one["importance"], other["importance"], rtol=0, atol=1e-4)


def log_odds(row, label):
    chance = dict(zip(row["classes"], row["probabilities"], strict=True))
    own = chance.pop(label)
    # As the importance has it: bounded softly.
    return 20.0 * np.tanh((np.log(own) - np.log(sum(chance.values()))) / 20.0)


def test_importance_is_what_the_label_loses_without_the_word(answers, examples):
    classify, explain = answers
    # A word twice, an unknown one, and more variants than are classified at once.
    texts = [*examples.splits.test.texts[:12], "good \u2603 film good bad", "great"]
    for text, why in zip(texts, explain(texts), strict=True):
        words, label = text.split(), why["label"]
        whole, *without = classify(
            [text, *(" ".join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
        )
        wanted = [log_odds(whole, label) - log_odds(row, label) for row in without]
        np.testing.assert_allclose(why["importance"], wanted, rtol=0, atol=2e-4)
        assert np.abs(wanted).max() > 0.01


@pytest.mark.parametrize(
    "keep",
    ["both", *(pytest.param(keep, marks=pytest.mark.long) for keep in ("head", "tail"))],
)
def test_words_that_are_cut_have_no_importance_at_all(network, examples, keep):
    """Each cut is traced anew: those of one end, which are halves of `both`, in the long tests."""
    cut = Cut(8, keep)
    explain = asked(network, examples, cut)[1]
    text = "good " + " ".join(FILLERS) + " great awful"
    (why,), words = explain([text]), text.split()
    pieces = [len(ids) for ids in examples.tokenizer.encode(words)]
    word_of = np.repeat(np.arange(len(words)), pieces)
    read = set(cut(word_of).tolist())
    assert 0 < len(read) < len(words)
    for place, importance in enumerate(why["importance"]):
        assert (importance != 0.0) == (place in read), place


def test_deleting_the_most_important_words_changes_more_than_deleting_random_ones(
    answers, examples
):
    classify, explain = answers
    chosen = [
        text
        for text, label in zip(examples.splits.test.texts, examples.splits.test.labels, strict=True)
        if label != "neutral"
    ]
    rng, reasons = np.random.default_rng(4), explain(chosen)

    def falls(place_of):
        shorter = []
        for text, why in zip(chosen, reasons, strict=True):
            words, place = text.split(), place_of(why)
            shorter.append(" ".join(words[:place] + words[place + 1 :]))
        return np.mean(
            [
                why["probability"] - row["probabilities"][row["classes"].index(why["label"])]
                for why, row in zip(reasons, classify(shorter), strict=True)
            ]
        )

    most = falls(lambda why: int(np.argmax(why["importance"])))
    random = falls(lambda why: rng.integers(len(why["importance"])))
    assert most > 0.5
    assert most > 2 * random
    # And the word is the one that decides.
    deciding = {b"good", b"great", b"bad", b"awful"}
    top = [why["words"][int(np.argmax(why["importance"]))] in deciding for why in reasons]
    assert np.mean(top) > 0.9


def test_calibration_changes_how_sure_and_never_which(network, examples):
    layer = network.get_layer(TEMPERATURE)
    layer.value.assign(3.0)
    try:
        temperature = calibrate(network, examples)
        scaled, labels = validation_logits(network, examples)
        assert temperature_of(network) == pytest.approx(temperature, rel=1e-6)
        layer.value.assign(1.0)
        plain, _ = validation_logits(network, examples)
    finally:
        layer.value.assign(1.0)
    np.testing.assert_allclose(scaled * temperature, plain, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scaled.argmax(1), plain.argmax(1))

    def likelihood(logits):
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return -log_p[np.arange(len(labels)), labels].mean()

    # Too sure by a good deal, as 3 labels in 10 were drawn anew.
    assert temperature > 1.5
    assert likelihood(scaled) < likelihood(plain) - 0.05
    for other in (0.8, 1.25):
        assert likelihood(plain / (other * temperature)) > likelihood(scaled)
    assert temperature == pytest.approx(fit_temperature(plain, labels), rel=1e-3)
    # Labels in the order of the logits: the network is right where they are.
    assert (plain.argmax(1) == labels).mean() > 0.65


def test_pairs_get_the_share_that_makes_validation_likeliest(examples):
    """Beside a recurrence that has learned nothing, the linear model decides."""
    keras.utils.set_random_seed(0)
    network = build_classifier(
        Classifier(embedding=8, units=4, hidden=0, pairs=4096),
        vocabulary=examples.tokenizer.size,
        classes=3,
    )
    before, labels = validation_logits(network, examples)
    lines = []
    calibrate(network, examples, lines.append)
    after, _ = validation_logits(network, examples)

    def likelihood(logits):
        return (logits - np.logaddexp.reduce(logits, 1, keepdims=True))[
            np.arange(len(labels)), labels
        ].mean()

    assert likelihood(after) > likelihood(before) + 0.1
    assert (after.argmax(1) == labels).mean() > 0.65
    share = network.get_layer("pairs").share
    fitted = float(share.value)
    for other in (0.8, 1.25):
        share.assign(fitted * other)
        assert likelihood(validation_logits(network, examples)[0]) < likelihood(after)
    share.assign(fitted)
    tried = [line.split()[4] for line in lines if line.startswith("linear part: C = ")]
    assert tried[:2] == ["10,", "3,"]
    assert "30," in tried
    # What it says of other texts is what it adds to their logits.
    texts = examples.splits.test.texts
    said = pairs_say(network, examples, texts)
    tokens = [examples.encoded([text])[0] for text in texts[:3]]
    for row, found in zip(tokens, said, strict=False):
        inputs = {"tokens": row[np.newaxis], "tokens_lengths": np.array([len(row)], np.int32)}
        full = network(inputs).numpy()[0] * temperature_of(network)
        share.assign(0.0)
        rest = network(inputs).numpy()[0] * temperature_of(network)
        share.assign(fitted)
        np.testing.assert_allclose(full - rest, found, atol=1e-4)
    uncalibrate(network)
    np.testing.assert_allclose(validation_logits(network, examples)[0], before, atol=1e-5)


def test_a_linear_part_that_adds_nothing_has_no_say(examples):
    """Labels that nothing in the texts tells."""
    rng = np.random.default_rng(5)
    texts = Texts(["good film", "bad house"] * 60, [str(k) for k in rng.permutation([0, 1] * 60)])
    chance = dataclasses.replace(
        examples, splits=LabelledSplits(texts, texts, texts), classes=["0", "1"]
    )
    network = build_classifier(
        Classifier(embedding=4, units=4, hidden=0, pairs=512, characters=2),
        vocabulary=examples.tokenizer.size,
        classes=2,
    )
    spelling(network, examples.tokenizer)
    lines = []
    calibrate(network, chance, lines.append)
    assert lines[-1] == "The linear part adds nothing here and has no say"
    assert share_of(network) == 0.0
    assert pairs_say(network, chance, texts.texts) is None


def test_labels_and_weights_of_the_classes(examples):
    splits = examples.splits
    assert examples.classes == sorted(DECIDING)
    numbers = examples.labels_of(splits.test)
    assert [examples.classes[i] for i in numbers] == splits.test.labels
    assert splits.test.labels.count("neutral") == 20


def test_batch_normalisation_knows_the_texts_after_few_updates():
    keras.utils.set_random_seed(0)
    network = build_classifier(Classifier(embedding=4, units=4, hidden=4), vocabulary=9, classes=2)
    batch = {
        "tokens": np.random.default_rng(0).integers(1, 9, (64, 6), dtype=np.int32),
        "tokens_lengths": np.full(64, 6, np.int32),
    }
    for _ in range(50):
        network(batch, training=True)
    norm = network.get_layer("norm")
    pooled = keras.Model(network.input, norm.input)(batch, training=False).numpy()
    # Of the variance of 1 with which it begins nothing is left: these features vary far less.
    assert pooled.var(0).max() < 0.1
    np.testing.assert_allclose(norm.moving_variance.numpy(), pooled.var(0), atol=0.02)
    np.testing.assert_allclose(norm.moving_mean.numpy(), pooled.mean(0), atol=0.02)
