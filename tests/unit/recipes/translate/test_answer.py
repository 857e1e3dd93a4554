"""A trained translator as a function of strings: searching, drawing, looking at attention."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.decoding.settings import Decoding
from seqapps.recipes.translate import network as translator
from seqapps.recipes.translate.answer import GreedyTranslator, Translate, _limits, attention_maps
from seqapps.recipes.translate.data import PairData, Pairs, PairSplits
from seqapps.recipes.translate.examples import MEMORY, PairExamples
from seqapps.recipes.translate.memory import remember
from seqapps.recipes.translate.scores import scores, side_by_side
from seqapps.recipes.translate.settings import Config, Translator
from seqapps.text.settings import Text
from seqapps.text.tokenizer import BOS, EOS
from seqapps.training.settings import Training

SEARCH = {
    "beam_width": 4,
    "length_penalty": 1.0,
    "n_best": 1,
    "temperature": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 0,
}
DTYPES = {"length_penalty": "float32", "temperature": "float32", "top_p": "float32"}


@pytest.fixture(scope="module")
def examples(few_pairs):
    places = {"train": "train", "validation": "validation", "test": "test"}
    config = Config(
        data=PairData(folder=str(few_pairs), **places),
        text=Text(vocabulary=300),
        training=Training(batch_tokens=512),
    )
    return PairExamples.load(config, None, lambda line: None)


@pytest.fixture(scope="module")
def network(examples):
    """Trained with plain `fit` until its answers are sentences that end."""
    keras.utils.set_random_seed(0)
    network = translator.build_translator(
        Translator(units=48, embedding=24, dropout=0.0),
        source_vocabulary=examples.source.size,
        target_vocabulary=examples.target.size,
    )
    network.compile(
        optimizer=keras.optimizers.Adam(1e-2, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )

    def example(batch):
        weights = tf.sequence_mask(batch["labels_lengths"], tf.shape(batch["labels"])[1])
        inputs = {name: batch[name] for name in network.input}
        return inputs, batch["labels"], tf.cast(weights, tf.float32)

    for epoch in range(8):
        network.fit(examples.training_pass(epoch).dataset(0).map(example), shuffle=False, verbose=0)
    return network


@pytest.fixture(scope="module")
def quick(network, examples):
    """The greedy search of training, traced once."""
    return GreedyTranslator(network, examples.target)


@pytest.fixture(scope="module")
def translate(network, examples):
    """The servable's function, traced once: `translate(texts, **options) -> arrays`."""
    answer = Translate(network, examples.assets)
    specs = {
        name: tf.TensorSpec([None], DTYPES.get(name, "int64" if name == "seed" else "int32"))
        for name in SEARCH
    }
    traced = tf.function(
        lambda source, options: answer({"source": source}, options),
        input_signature=[tf.TensorSpec([None], tf.string), specs],
        autograph=False,
    )

    def call(texts, **options):
        values = {**SEARCH, **options}
        tensors = {
            name: tf.constant(np.reshape(values[name], [-1]), specs[name].dtype) for name in specs
        }
        texts = tf.constant(texts, tf.string, shape=[len(texts)])
        return {name: value.numpy() for name, value in traced(texts, tensors).items()}

    return call


def _texts(found, row=None):
    if row is None:
        return [text.decode() for text in found["translation"]]
    count = found["alternatives_lengths"][row]
    return [text.decode() for text in found["alternatives"][row, :count]]


def test_greedy_is_a_beam_of_one(quick, examples, translate):
    sources = examples.pairs.test.sources
    ids = [np.append(row, EOS).astype("int32") for row in examples.source.encode(sources)]
    found = quick(ids)
    assert found == _texts(translate(sources, beam_width=1))
    assert len(set(found)) > 5
    assert [quick([row])[0] for row in ids[:3]] == found[:3]
    assert quick([]) == []


def test_scores_are_the_networks_log_probabilities(network, quick, examples, translate):
    sources = examples.pairs.test.sources[:6]
    tokens = quick.tokens(
        [np.append(row, EOS).astype("int32") for row in examples.source.encode(sources)]
    )
    for penalty in (0.0, 1.0):
        found = translate(sources, beam_width=1, length_penalty=penalty)
        for row, (source, target) in enumerate(zip(sources, tokens, strict=True)):
            ids = np.append(examples.source.encode([source])[0], EOS)
            # A translation that was cut has no EOS to count.
            cut = len(target) == 2 * len(ids) + 10
            labels = target if cut else np.append(target, EOS)
            read = np.insert(labels[:-1], 0, BOS)
            logits = network(
                {
                    "source": tf.constant(ids[None], tf.int32),
                    "source_lengths": tf.constant([len(ids)]),
                    "target": tf.constant(read[None], tf.int32),
                    "target_lengths": tf.constant([len(read)]),
                }
            )
            log_probs = tf.nn.log_softmax(logits[0]).numpy()
            expected = log_probs[np.arange(len(labels)), labels].sum()
            expected /= ((5 + len(labels)) / 6) ** penalty
            assert found["score"][row] == pytest.approx(expected, abs=1e-4)


def test_alternatives_are_sorted_and_as_many_as_asked_for(translate, examples):
    sources = examples.pairs.test.sources[:5]
    wanted = [1, 2, 3, 4, 4]
    found = translate(sources, n_best=wanted, beam_width=[1, 2, 4, 4, 6])
    assert found["alternatives_lengths"].tolist() == wanted
    assert found["alternative_scores_lengths"].tolist() == wanted
    for row, count in enumerate(wanted):
        ranked = found["alternative_scores"][row, :count]
        assert np.all(np.diff(ranked) <= 0)
        assert np.all(np.isfinite(ranked))
        assert found["score"][row] == ranked[0]
        assert _texts(found, row)[0] == _texts(found)[row]
    assert len(set(_texts(found, 3))) > 1


def test_every_row_has_its_own_options(translate, examples):
    sources = examples.pairs.test.sources[:6]
    options = {
        "beam_width": [1, 4, 6, 2, 4, 4],
        "length_penalty": [0.0, 1.0, 2.0, 0.5, 1.0, 1.0],
        "n_best": [1, 2, 3, 1, 1, 1],
        "temperature": [0.0, 0.0, 0.0, 0.0, 1.0, 0.7],
        "top_k": [0, 0, 0, 0, 5, 0],
        "top_p": [1.0, 1.0, 1.0, 1.0, 1.0, 0.9],
        "seed": [0, 0, 0, 0, 11, 12],
    }
    together = translate(sources, **options)
    for row, source in enumerate(sources):
        alone = translate([source], **{name: value[row] for name, value in options.items()})
        assert _texts(alone, 0) == _texts(together, row)
        count = alone["alternatives_lengths"][0]
        np.testing.assert_allclose(
            alone["alternative_scores"][0, :count],
            together["alternative_scores"][row, :count],
            rtol=0,
            atol=1e-5,
        )
    assert together["alternatives_lengths"].tolist() == [1, 2, 3, 1, 1, 1]


def test_drawing_follows_its_seed(translate, examples):
    source = examples.pairs.test.sources[0]
    seeds = np.arange(12)
    found = _texts(translate([source] * 12, temperature=1.5, seed=seeds))
    assert found == _texts(translate([source] * 12, temperature=1.5, seed=seeds))
    assert len(set(found)) > 6
    searched = _texts(translate([source], beam_width=1))
    assert _texts(translate([source], temperature=1.0, top_k=1)) == searched


def test_a_line_longer_than_training_showed_is_translated_in_its_sentences(translate, examples):
    sources = examples.pairs.test.sources[:8]
    line = " ".join(sources)
    within = max(examples.pairs.train.sources, key=lambda text: len(examples.source.encode([text])))
    found = translate([line, within, sources[0]], n_best=[2, 1, 2], beam_width=4)
    alone = translate(sources, beam_width=4)
    assert found["sentences"].tolist() == [8, 1, 1]
    assert _texts(found)[0] == " ".join(_texts(alone))
    assert found["score"][0] == pytest.approx(alone["score"].sum(), abs=1e-4)
    assert found["alternatives_lengths"].tolist() == [1, 1, 2]
    # Each part is drawn with a seed of its own.
    seeds = 5 + np.arange(8)
    drawn = translate(sources, temperature=1.0, seed=seeds)
    assert _texts(translate([line], temperature=1.0, seed=5)) == [" ".join(_texts(drawn))]
    # More parts than are translated at once.
    many = translate([" ".join([line] * 9)], beam_width=1)
    assert many["sentences"].tolist() == [72]
    assert _texts(many)[0] == " ".join(_texts(translate(sources, beam_width=1)) * 9)


def test_a_translation_that_comes_to_its_limit_is_told(translate, examples):
    source = examples.pairs.test.sources[0]
    assert translate([source, ""])["truncated"].tolist() == [0, 0]
    # So hot that the end is as likely as any other token.
    assert translate([source] * 12, temperature=50.0, seed=np.arange(12))["truncated"].sum() > 6


def test_a_line_that_is_nearly_a_training_line_is_remembered(network, examples):
    sources, targets = ["The old man is reading.", "We need it."], ["EINS", "ZWEI"]
    content = remember(
        examples.source.encode(sources), targets, vocabulary=examples.source.size, threshold=0.7
    )
    plain, knows = (
        Translate(network, examples.assets | added) for added in ({}, {MEMORY: content})
    )
    asked = {"source": tf.constant(["The old man is reading!", "It is cheap.", ""])}
    options = {
        name: tf.constant([value], DTYPES.get(name, "int64" if name == "seed" else "int32"))
        for name, value in {**SEARCH, "n_best": 2}.items()
    }
    without, found = plain(asked, options), knows(asked, options)
    assert found["remembered"].numpy().tolist() == [1, 0, 0]
    assert found["alternatives"][0, 0] == found["translation"][0] == b"EINS"
    assert found["score"][0] == 0.0
    assert found["alternatives"][0, 1] == without["alternatives"][0, 1]
    for name in ("translation", "score"):
        np.testing.assert_array_equal(found[name][1:], without[name][1:])
    # What is drawn is the network's.
    drawn = options | {"temperature": tf.constant([0.5])}
    assert knows(asked, drawn)["remembered"].numpy().tolist() == [0, 0, 0]


def test_nothing_translates_to_nothing(translate):
    found = translate(["", " \t ", "a"], beam_width=[3, 1, 3], temperature=[0.0, 0.9, 0.0])
    assert found["translation"][:2].tolist() == [b"", b""]
    assert found["score"][:2].tolist() == [0.0, 0.0]


def test_any_input_is_answered(translate):
    nothing = translate([])
    assert nothing["translation"].shape == (0,)
    assert nothing["alternatives"].shape[0] == 0
    odd = ["", "  ", "漢字 \x00 Щ", b"\xff\xfe", "word " * 60]
    found = translate(odd)
    assert np.all(np.isfinite(found["score"]))
    assert _texts(found) == [_texts(translate([text]))[0] for text in odd]
    # U+2047 is how an unknown token would read.
    assert not any("⁇" in text for text in _texts(found))


def test_attention_maps_show_what_was_written(network, quick, examples):
    maps = attention_maps(network, examples, count=3)
    assert len(maps) == 3
    for found in maps:
        assert found.weights_TS.shape == (len(found.target), len(found.source))
        np.testing.assert_allclose(found.weights_TS.sum(axis=1), 1.0, atol=1e-5)
        assert found.source[-1] == found.target[-1] == "</s>"
    sources = [ids for ids in examples.encoded_validation["source"] if 4 <= len(ids) <= 20]
    written = quick(sources[:3])
    assert ["".join(m.target[:-1]).replace("▁", " ").strip() for m in maps] == written
    read = examples.source.decode([ids[:-1] for ids in sources[:3]])
    assert ["".join(m.source[:-1]).replace("▁", " ").strip() for m in maps] == read


def test_scores_stand_beside_those_of_the_nearest_training_sentence():
    train = Pairs(
        ["a man reads", "two dogs play"], ["ein Mann liest hier", "zwei Hunde spielen da"]
    )
    test = Pairs(["a man reads now"], ["ein Mann liest hier"])
    found = scores(["zwei Hunde spielen da"], PairSplits(train, test, test))
    assert found["bleu_of_nearest_training_sentence"] == 100.0
    assert found["bleu"] < 1.0
    assert found["chrf"] < 20.0
    assert found["sentences"] == 1
    assert found["bleu_signature"].startswith("nrefs:1|case:mixed")


def test_samples_come_from_all_over_the_split():
    pairs = Pairs([f"s{i}" for i in range(100)], [f"r{i}" for i in range(100)])
    rows = side_by_side([f"t{i}" for i in range(100)], pairs, count=5)
    assert rows[1] == {"source": "s20", "translation": "t20", "reference": "r20"}
    assert [row["source"] for row in rows] == ["s0", "s20", "s40", "s60", "s80"]
    few = side_by_side(["t0", "t1"], Pairs(["s0", "s1"], ["r0", "r1"]), count=5)
    assert [row["translation"] for row in few] == ["t0", "t1"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam_width": 0}, "beam_width must be from 1 to 1000, got 0; use 1 for greedy search"),
        ({"n_best": 5}, r"n_best must be from 1 to beam_width \(4\), got 5"),
        ({"temperature": -1.0}, "temperature must be at least 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature must be at least 0, got nan"),
        ({"top_k": -1}, "top_k must be from 0 to 2147483647, got -1"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
        ({"beam_width": 3_000_000_000}, "beam_width must be from 1 to 1000, got 3000000000"),
        ({"top_k": 2**31}, "top_k must be from 0 to 2147483647, got 2147483648; use 0"),
        ({"seed": 2**63}, "seed must be from .*, got 9223372036854775808"),
    ],
)
def test_decoding_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Decoding(**settings)


def test_a_translation_has_a_longest_length():
    limits = _limits(tf.constant([1, 2, 100, 495, 496, 12_000]))
    # A source of EOS alone, then twice the source and ten.
    assert limits.numpy().tolist() == [0, 14, 210, 1000, 1000, 1000]


def test_defaults_of_decoding_are_a_beam_search():
    assert vars(Decoding()) == SEARCH
