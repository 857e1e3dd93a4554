"""The neural cache against the paper's sums, written out as loops."""

import functools
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.recipes.generate import cache as neural_cache
from seqapps.recipes.generate import scores as writing_scores
from seqapps.recipes.generate.cache import (
    LAMBDAS,
    THETAS,
    cache_losses,
    choose_cache,
    measure_cache,
    text_to_choose_on,
)
from seqapps.recipes.generate.data import TextData
from seqapps.recipes.generate.examples import RunningExamples
from seqapps.recipes.generate.network import (
    EMBEDDING,
    LOGITS,
    READOUT,
    build_recurrent_lm,
    state_size,
)
from seqapps.recipes.generate.scores import token_losses
from seqapps.recipes.generate.settings import Config, LanguageModel, WriterEvaluation
from seqapps.report import Reporter
from seqapps.text.settings import RunningText
from seqapps.text.vocabulary import Vocabulary
from seqapps.training.settings import Training

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 7
IDS = np.random.default_rng(5).integers(0, SIZE, 90).astype(np.int32)
IDS[60:80] = IDS[20:40]


def built(**settings):
    keras.utils.set_random_seed(2)
    return build_recurrent_lm(LanguageModel(embedding=4, **settings), vocabulary=SIZE)


@pytest.fixture(scope="module", params=["gru", "tied lstm"])
def network(request):
    kinds = {
        "gru": {"units": 16, "dropout": 0.4, "output_dropout": 0.4},
        "tied lstm": {"units": 6, "cell": "lstm", "depth": 2, "tie": True},
    }
    return built(**kinds[request.param])


@pytest.fixture(scope="module", autouse=True)
def _traced_once():
    """Each network is traced once, not in every call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing_scores, "_reader", functools.cache(writing_scores._reader))
        yield


@pytest.fixture
def small_portions(monkeypatch):
    """Several portions are read, of several blocks each, none of them whole."""
    monkeypatch.setattr(writing_scores, "_WINDOW", 37)
    monkeypatch.setattr(neural_cache, "_BLOCK", 11)


def by_hand(network, ids, *, window, theta, weight):
    """Every probability of every place (N, V): equations 2 to 4, term by term."""
    found = network(
        {
            "tokens": tf.constant(ids[np.newaxis]),
            "tokens_lengths": tf.constant([len(ids)]),
            "state": tf.zeros([1, state_size(network)]),
        },
        training=False,
    )
    logits, hidden = found["logits"][0].numpy().astype(float), found["raw"][0]
    if any(layer.name == READOUT for layer in network.layers):
        hidden = network.get_layer(READOUT)(hidden)
    hidden = hidden.numpy().astype(float)
    rows = []
    for t in range(len(ids) - 1):
        own = np.exp(logits[t] - logits[t].max())
        own /= own.sum()
        cache = np.zeros(len(own))
        for i in range(max(0, t - window), t):
            cache[ids[i + 1]] += math.exp(theta * float(hidden[t] @ hidden[i]))
        rows.append((1 - weight) * own + weight * cache / cache.sum() if t else own)
    return np.array(rows)


@pytest.mark.parametrize(
    ("window", "theta", "weight"),
    [(1, 0.5, 0.3), (25, 0.0, 0.2), (25, 30.0, 0.9), (1000, 1.0, 0.3)],
)
def test_losses_are_those_of_the_paper(network, small_portions, window, theta, weight):
    advanced = []
    found = cache_losses(
        network, IDS, window=window, theta=theta, weight=weight, advance=advanced.append
    )
    rows = by_hand(network, IDS, window=window, theta=theta, weight=weight)
    wanted = -np.log(rows[np.arange(len(IDS) - 1), IDS[1:]])
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert sum(advanced) == len(IDS) - 1
    assert np.abs(found - token_losses(network, IDS)).max() > 0.05


def test_without_a_share_it_is_the_network_alone(network):
    found = cache_losses(network, IDS, window=20, theta=0.5, weight=0.0)
    np.testing.assert_array_equal(found, token_losses(network, IDS))
    # Before the second token there is nothing to remember.
    with_share = cache_losses(network, IDS, window=20, theta=0.5, weight=0.9)
    assert with_share[0] == pytest.approx(found[0], abs=1e-12)
    assert cache_losses(network, IDS[:1], window=20, theta=0.5, weight=0.9).shape == (0,)


def test_probabilities_of_all_tokens_sum_to_one(network, small_portions):
    for place in (1, 2, 12, 50):
        ends = [np.append(IDS[:place], token).astype(np.int32) for token in range(SIZE)]
        losses = [cache_losses(network, e, window=9, theta=1.0, weight=0.4)[-1] for e in ends]
        assert np.exp(-np.array(losses)).sum() == pytest.approx(1.0, abs=1e-5)


def test_scores_of_any_size_stay_finite():
    hidden = np.full((3, 2), 400.0, np.float32)
    hidden[2] = -400.0
    labels = np.array([1, 2, 1], np.int32)
    shares = neural_cache._block_shares(hidden, labels, hidden, labels, 5, [2.0])
    # Both moments that the last one sees are equally unlike it.
    np.testing.assert_allclose(shares, [[0.0, 0.0, 0.5]])


def test_what_is_chosen_is_the_best_of_all(network, monkeypatch):
    monkeypatch.setattr(neural_cache, "THETAS", (0.0, 0.5, 4.0))
    monkeypatch.setattr(neural_cache, "LAMBDAS", (0.0, 0.1, 0.3))
    advanced = []
    theta, weight = choose_cache(network, IDS, window=50, advance=advanced.append)
    mean = {
        (t, w): cache_losses(network, IDS, window=50, theta=t, weight=w).mean()
        for t in (0.0, 0.5, 4.0)
        for w in (0.0, 0.1, 0.3)
    }
    assert mean[theta, weight] == pytest.approx(min(mean.values()), abs=1e-9)
    assert sum(advanced) == len(IDS) - 1


def test_a_text_of_repeated_phrases_gets_better():
    network = built(units=64)
    # As far apart as a trained network keeps its moments.
    table = network.get_layer(EMBEDDING).embeddings
    table.assign(10.0 * table)
    rng = np.random.default_rng(0)
    phrases = np.concatenate([np.tile(rng.integers(0, SIZE, 20), 10) for _ in range(3)])
    phrases = phrases.astype(np.int32)
    alone = token_losses(network, phrases).mean()
    theta, weight = choose_cache(network, phrases[:200], window=50)
    rest = phrases[200:]
    cached = cache_losses(network, rest, window=50, theta=theta, weight=weight).mean()
    assert weight > 0
    assert cached < alone - 0.2
    # Nothing repeats itself in noise, and beside the right network there is nothing to gain.
    kernel = network.get_layer(LOGITS).kernel
    kernel.assign(tf.zeros_like(kernel))
    noise = rng.integers(0, SIZE, 4000).astype(np.int32)
    theta, weight = choose_cache(network, noise[:2000], window=50)
    cached = cache_losses(network, noise[2000:], window=50, theta=theta, weight=weight).mean()
    assert cached == pytest.approx(math.log(SIZE), abs=0.005)


def test_what_is_out_of_range_is_refused(network):
    for values, message in (
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"theta": -0.1}, r"theta must be at least 0 and finite, got -0\.1"),
        ({"theta": math.inf}, "theta must be at least 0 and finite, got inf"),
        ({"weight": 1.0}, r"weight must be at least 0 and below 1, got 1\.0"),
        ({"weight": math.nan}, "weight must be at least 0 and below 1, got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            cache_losses(network, IDS, **{"window": 5, "theta": 0.3, "weight": 0.1, **values})
    for window in (-1, 100_001):
        with pytest.raises(ValueError, match=f"cache_window must be from 0 to 100,000.*{window}"):
            WriterEvaluation(cache_window=window)


def examples_of(folder, **data):
    config = Config(
        data=TextData(folder=str(folder), **data),
        text=RunningText(window=20),
        training=Training(batch_tokens=160),
        seed=3,
    )
    assets = Vocabulary.fit("characters", [b"abcdef"], size=0).assets
    return RunningExamples.load(config, assets, lambda line: None)


def test_it_is_never_chosen_on_the_text_that_is_reported_on(tmp_path, capsys):
    rng = np.random.default_rng(1)
    texts = {name: "".join(rng.choice(list("abcdef"), 900)) for name in ("a", "b", "c")}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    one = examples_of(tmp_path, train="a.txt")
    name, ids = text_to_choose_on(one)
    assert name == "last tenth of the training text"
    np.testing.assert_array_equal(ids, one.training[int(0.9 * len(one.training)) :])
    both = examples_of(tmp_path, train="a.txt", validation="b.txt", test="c.txt")
    name, ids = text_to_choose_on(both)
    assert name == "validation text"
    np.testing.assert_array_equal(ids, both.validation)
    network = build_recurrent_lm(
        LanguageModel(embedding=4, units=6), vocabulary=both.vocabulary.size
    )
    found = measure_cache(network, both, window=30, reporter=Reporter())
    chosen = found["cache_theta"], found["cache_lambda"]
    assert chosen == choose_cache(network, both.validation, window=30)
    assert chosen[0] in THETAS
    assert chosen[1] in LAMBDAS
    losses = cache_losses(network, both.test, window=30, theta=chosen[0], weight=chosen[1])
    assert found["loss_with_cache"] == pytest.approx(losses.mean(), abs=1e-4)
    assert found["bits_per_character_with_cache"] == pytest.approx(
        losses.sum() / 900 / math.log(2), abs=1e-4
    )
    assert found["cache_window"] == 30
    assert found["cache_chosen_on"] == "validation text"
    assert measure_cache(network, both, window=0, reporter=Reporter()) == {}
    capsys.readouterr()
    alone = examples_of(tmp_path, train="gone.txt", test="c.txt")
    assert measure_cache(network, alone, window=30, reporter=Reporter()) == {}
    assert "Measured without the cache" in capsys.readouterr().err


def test_a_long_text_to_choose_on_is_used_in_part(monkeypatch):
    monkeypatch.setattr(neural_cache, "_CHOSEN_ON", 10)
    ids = np.arange(400, dtype=np.int32)
    splits = SimpleNamespace(test=object(), validation=object())
    long = SimpleNamespace(
        splits=splits, validation=ids, training=ids, head_and_tail=(ids[:360], ids[360:])
    )
    assert text_to_choose_on(long)[1].tolist() == list(range(10))
    splits.test = splits.validation
    assert text_to_choose_on(long)[1].tolist() == list(range(390, 400))
