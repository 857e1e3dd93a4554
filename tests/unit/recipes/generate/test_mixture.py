"""A network and n-grams mixed: the share, the numbers in the graph, and what is written."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.errors import UserError
from seqapps.recipes.generate.answer import GenerateText
from seqapps.recipes.generate.mixture import NONE, Mixture
from seqapps.recipes.generate.network import build_recurrent_lm
from seqapps.recipes.generate.scores import token_losses
from seqapps.recipes.generate.settings import LanguageModel
from seqapps.text.ngram import NGram
from seqapps.text.vocabulary import Vocabulary

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TEXT = b"the cat sat on the mat. " * 40
VOCABULARY = Vocabulary.fit("characters", [TEXT], size=0)
NGRAM = NGram.fit([VOCABULARY.stream([TEXT])], order=5, vocabulary=VOCABULARY.size)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(2)
    return build_recurrent_lm(LanguageModel(embedding=4, units=6), vocabulary=VOCABULARY.size)


def test_the_share_is_the_one_that_is_best_on_other_text(network):
    ids = VOCABULARY.stream([b"the cat on the mat sat. "])
    losses = token_losses(network, ids)
    mixture = Mixture.choose(NGRAM, losses, ids)
    # The network has learned nothing.
    share = mixture.weight
    assert 0.8 <= share < 1
    beside = NGRAM.log_probs(ids)[1:]
    wanted = -np.log((1 - share) * np.exp(-losses) + share * np.exp(beside))
    np.testing.assert_allclose(mixture.losses(losses, ids), wanted)
    np.testing.assert_allclose(
        mixture.losses(np.stack([losses] * 2), np.stack([ids] * 2)), np.stack([wanted] * 2)
    )
    # A network that knows everything needs no help.
    assert Mixture.choose(NGRAM, np.zeros(len(ids) - 1), ids) is None


def test_it_travels_and_damage_is_named():
    again = Mixture.from_assets(Mixture(NGRAM, 0.25).assets)
    assert again.weight == 0.25
    np.testing.assert_array_equal(again.model.keys, NGRAM.keys)
    assert Mixture.from_assets({}) is None
    assert Mixture.from_assets(NONE) is None
    with pytest.raises(UserError, match=r"ngram\.npz is missing"):
        Mixture.from_assets({"mixture.json": b'{"weight": 0.25}'})
    with pytest.raises(UserError, match=r"ngram\.npz is damaged"):
        Mixture.from_assets({"mixture.json": b'{"weight": 0.25}', "ngram.npz": b"x"})
    with pytest.raises(UserError, match=r"mixture\.json is damaged \(the weight is 1.5\)"):
        Mixture.from_assets({"mixture.json": b'{"weight": 1.5}'})


def test_what_is_served_is_the_mixture(network):
    mixture = Mixture(NGRAM, 0.6)
    served = GenerateText(network, {**VOCABULARY.assets, **mixture.assets})
    texts = [b"the mat", b"", b"cat on a dog " * 200]
    found = served.score({"text": tf.constant(texts)}, {})
    for row, text in enumerate(texts):
        ids = VOCABULARY.stream([text])[:-1]
        wanted = -mixture.losses(token_losses(network, ids), ids)
        gains = found["token_log_probabilities"][row, : len(ids) - 1]
        np.testing.assert_allclose(gains, wanted, atol=2e-5)
        # Reading in two portions leaves the state that reading at once does.
        whole = served.init({"prompt": tf.constant([text])}, {})
        pen = served.init({"prompt": tf.constant([text[:5]])}, {})
        pen = served.read({**pen, "text": tf.constant([text[5:]])}, {})
        for name in ("state", "token", "counts"):
            np.testing.assert_allclose(pen[name], whole[name], atol=1e-5)


def test_without_n_grams_there_is_room_for_none_or_for_a_context(network):
    for assets, width in ((VOCABULARY.assets, 6), ({**VOCABULARY.assets, **NONE}, 7)):
        pen = GenerateText(network, assets).init({"prompt": tf.constant([b"the"])}, {})
        assert pen["state"].shape == (1, width)
