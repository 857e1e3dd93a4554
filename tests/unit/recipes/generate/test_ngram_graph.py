"""The tables of a graph say what the n-gram model says."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.recipes.generate.ngram_graph import GraphNGram
from seqapps.text.ngram import NGram

RNG = np.random.default_rng(3)
TEXT = np.concatenate([np.tile([1, 2, 3, 2, 4], 30), RNG.integers(0, 6, 200)])
NEW = np.stack([TEXT[100:140], RNG.integers(0, 8, 40)]).astype(np.int32)


@pytest.fixture(scope="module", params=[1, 2, 5])
def model(request):
    # Two tokens more than the text has.
    return NGram.fit([TEXT], order=request.param, vocabulary=8)


def test_reading_in_portions_is_reading_at_once(model):
    graph = GraphNGram(model)
    nodes, found = tf.zeros([2], tf.int32), []
    for first, last in ((0, 1), (1, 3), (3, 40)):
        log_probs, reached = graph.read(tf.constant(NEW[:, first:last]), nodes)
        found.append(log_probs.numpy())
        nodes = reached[:, -1]
    wanted = np.stack([model.log_probs(row) for row in NEW])
    np.testing.assert_allclose(np.concatenate(found, 1), wanted, atol=1e-5)
    context = np.zeros(2, np.int64)
    for tokens in NEW.T:
        _, context = model.advance(context, tokens)
    np.testing.assert_array_equal(nodes, context)


def test_the_probabilities_of_all_tokens_are_those_of_each(model):
    graph = GraphNGram(model)
    _, reached = graph.read(tf.constant(NEW), tf.zeros([2], tf.int32))
    for step in range(0, NEW.shape[1] - 1, 7):
        log_probs = graph.distribution(reached[:, step]).numpy()
        assert np.exp(log_probs).sum(1) == pytest.approx([1.0, 1.0], abs=1e-5)
        following = NEW[:, step + 1]
        wanted, _ = model.advance(reached[:, step].numpy(), following)
        np.testing.assert_allclose(log_probs[[0, 1], following], wanted, atol=1e-5)
