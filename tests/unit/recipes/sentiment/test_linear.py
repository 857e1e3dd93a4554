"""The fit of tokens and pairs, against scikit-learn on the same texts as words."""

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression

from seqapps.layers.ngrams import HashedPairs
from seqapps.recipes.sentiment.linear import LinearFit


def drawn(classes, count=100):
    """Texts whose class likes some tokens and pairs."""
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, count)
    return [rng.integers(3, 12, rng.integers(1, 9)) + 2 * label for label in labels], labels


def fitted(texts, labels, classes, *, strength=10.0, **settings):
    layer = HashedPairs(classes, buckets=1 << 17)
    layer.build((None, None))
    LinearFit(layer, texts, labels, **settings).put(strength)
    lengths = np.array([len(text) for text in texts], np.int32)
    tokens = np.zeros((len(texts), lengths.max()), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = text
    return layer.alone(tokens, lengths).numpy()


@pytest.mark.parametrize("classes", [2, 3])
def test_equal_to_scikit_learn(classes):
    texts, labels = drawn(classes)
    words = [" ".join(f"t{token}" for token in text) for text in texts]
    counts = CountVectorizer(ngram_range=(1, 2)).fit_transform(words)
    idf = TfidfTransformer(smooth_idf=True).fit(counts).idf_
    held = counts.toarray() > 0

    def ratio(column, k):
        inside = (held[labels == k, column].sum() + 1) / ((labels == k).sum() + 2)
        outside = (held[labels != k, column].sum() + 1) / ((labels != k).sum() + 2)
        return abs(math.log(inside / outside))

    ratios = [max(ratio(m, k) for k in range(classes)) for m in range(counts.shape[1])]
    weights = idf * np.sqrt(ratios)
    rows = counts.toarray() * weights
    rows /= np.sqrt(counts.toarray() @ weights**2)[:, np.newaxis]
    model = LogisticRegression(C=3.0, tol=1e-6, max_iter=5000).fit(rows, labels)
    wanted = model.decision_function(rows)
    found = fitted(texts, labels, classes, strength=3.0)
    if classes == 2:
        np.testing.assert_allclose(found[:, 1] - found[:, 0], wanted, atol=0.02)
    else:
        centred = [x - x.mean(1, keepdims=True) for x in (found, wanted)]
        np.testing.assert_allclose(*centred, atol=0.02)


def test_a_class_without_texts_is_unlikely_and_no_error():
    texts, labels = drawn(2)
    found = fitted(texts, np.where(labels == 1, 2, 0), 3)
    assert set(found.argmax(1)) == {0, 2}
    assert np.isfinite(found).all()


def test_balanced_classes_weigh_the_same():
    """Of a class that is rare and has no sign of its own, balance says half."""
    texts, labels = [np.array([4, 5])] * 40, np.repeat([0, 1], [36, 4])
    plain, balanced = (fitted(texts, labels, 2, balance=on)[0] for on in (False, True))
    assert plain[0] - plain[1] == pytest.approx(math.log(9), abs=0.1)
    assert balanced[0] - balanced[1] == pytest.approx(0.0, abs=0.01)


def test_what_a_single_text_has_counts_only_where_there_are_few():
    for count, known in ((100, True), (102, False)):
        texts = [np.array([4, 5 + i % 2, 9 + i]) for i in range(count)]
        layer = HashedPairs(2, buckets=1 << 17)
        layer.build((None, None))
        LinearFit(layer, texts, np.arange(count) % 2).put(1.0)
        single, both = (layer.buckets_of([np.array([token])])[0] for token in (9, 5))
        assert (layer.squares.numpy()[single] > 0) == known
        assert layer.squares.numpy()[both] > 0
