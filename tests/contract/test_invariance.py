"""An answer does not change with padding, batch-mates, batch size or the form of the model."""

from pydoc_data.topics import topics

import numpy as np
import pytest
import tensorflow as tf

from seqapps.bundle.application import load, load_network
from seqapps.bundle.folder import read_assets, write_config
from seqapps.bundle.servable import write_servable
from seqapps.config import to_json
from seqapps.fields import MAIN
from seqapps.recipes.translate import phrasebook
from seqapps.recipes.translate import recipe as translate
from seqapps.recipes.translate.answer import Translate
from seqapps.recipes.translate.settings import Translator
from seqapps.text.tokenizer import Tokenizer

SOURCES = [
    "Where is the station?",
    "",
    "The two old men who were reading in the garden want to go home now, but it rains.",
    "Yes.",
    "A lambda has one argument",
    "Größe \u2603 unknown \u4f60\u597d",
    "The class statement defines a new class, and its body is executed in a new frame.",
]
# One for each source; the last two rows draw.
MIXED = {
    "beam_width": [4, 1, 8, 2, 4, 1, 3],
    "n_best": [2, 1, 3, 2, 1, 1, 1],
    "length_penalty": [1.0, 0.0, 0.5, 1.0, 2.0, 1.0, 0.0],
    "temperature": [0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 1.0],
    "top_k": [0, 0, 0, 0, 0, 20, 0],
    "top_p": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9],
    "seed": [0, 0, 0, 0, 0, 3, 2**40],
}


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """An untrained translator of the size that Multi30k trains: 512 units, 5,000 pieces."""
    # The help of Python has more words than the phrasebook.
    text = [line for page in topics.values() for line in page.splitlines() if line.strip()]
    pairs = phrasebook.pairs(train=2000, validation=10, test=10).train
    text += [sentence for pair in pairs for sentence in pair]
    proto = Tokenizer.train(text, vocabulary=5000).proto
    assets = {"source.model": proto, "target.model": proto}
    assert Tokenizer(proto).size == 5000
    network = translate.build_model(
        Translator(units=512, embedding=256), source_vocabulary=5000, target_vocabulary=5000
    )
    # An untrained network finds all tokens about equally likely; a trained one decides.
    table = network.get_layer("target_embedding").embeddings
    table.assign(10.0 * table)
    folder = tmp_path_factory.mktemp("full_size")
    config = translate.Config()
    interface = translate.interface(config)
    write_config(folder, recipe="translate", interface=interface, settings=to_json(config))
    answer = Translate(network, assets)
    write_servable(
        folder / "servable" / "1",
        answers={MAIN: answer},
        variables=network.variables,
        interface=interface,
    )
    return load(folder), answer


@pytest.fixture(scope="module")
def trained(tiny_bundle):
    """The bundle of the shared fixture."""
    return load(tiny_bundle), Translate(load_network(tiny_bundle), read_assets(tiny_bundle))


@pytest.fixture(params=["full_size", "trained"])
def model(request):
    return request.getfixturevalue(request.param)


def assert_same(found, wanted):
    """The same texts, and scores within 1e-5 (of themselves, where they are above 1)."""
    for name in ("translation", "alternatives"):
        assert [row[name] for row in found] == [row[name] for row in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        for name in ("score", "alternative_scores"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def alone(app, **options):
    return [
        app.answers([source], **{name: values[row] for name, values in options.items()})[0]
        for row, source in enumerate(SOURCES)
    ]


def test_batch_mates_and_padding_change_nothing(model):
    app, _ = model
    wanted = alone(app)
    assert_same(app.answers(SOURCES), wanted)
    # With a much longer row beside them, in another order, and in a larger batch.
    longer = [*reversed(SOURCES), "long " * 60, *SOURCES * 3]
    assert_same(app.answers(longer)[: len(SOURCES)], wanted[::-1])


def test_options_of_each_row_are_its_own(model):
    app, _ = model
    wanted = alone(app, **MIXED)
    assert_same(app.answers(SOURCES, **MIXED), wanted)
    assert [len(row["alternatives"]) for row in wanted] == MIXED["n_best"]
    back = {name: values[::-1] for name, values in MIXED.items()}
    assert_same(app.answers(SOURCES[::-1], **back), wanted[::-1])


def test_what_is_drawn_follows_the_seed_of_its_row(model):
    app, _ = model
    seeds = list(range(len(SOURCES)))
    drawn = app.answers(SOURCES, temperature=1.0, seed=seeds)
    assert_same(drawn, alone(app, temperature=[1.0] * len(SOURCES), seed=seeds))
    others = app.answers(SOURCES, temperature=1.0, seed=[seed + 100 for seed in seeds])
    assert [row["translation"] for row in drawn] != [row["translation"] for row in others]


def test_the_saved_model_answers_like_eager_keras(model):
    app, answer = model
    sources = ["", "Yes.", "A lambda"]
    options = {
        option.name: tf.constant([option.default], option.dtype) for option in app.interface.options
    }
    eager = answer({"source": tf.constant(sources)}, options)
    wanted = app.answers(sources)
    assert [t.decode() for t in eager["translation"].numpy()] == [
        row["translation"] for row in wanted
    ]
    scores = [row["score"] for row in wanted]
    np.testing.assert_allclose(eager["score"], scores, rtol=1e-5, atol=1e-5)
