import random
import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from seqapps.errors import UserError
from seqapps.recipes.sentiment import baseline as bag_of_words
from seqapps.recipes.sentiment.baseline import BagOfWords

GOOD = "wonderful lovely superb delightful".split()
BAD = "dreadful boring awful tedious".split()
FAIR = "average ordinary usual middling".split()
FILLER = "the film was story actor with this that scene music".split()


def reviews(rows, *, seed, kinds=(BAD, GOOD), noise=0.0):
    """Texts with one word that tells the class among others; some labels are wrong."""
    source = random.Random(seed)
    texts, labels = [], []
    for _ in range(rows):
        label = source.randrange(len(kinds))
        words = [source.choice(FILLER) for _ in range(6)]
        words[source.randrange(6)] = source.choice(kinds[label])
        texts.append(" ".join(words))
        labels.append(source.randrange(len(kinds)) if source.random() < noise else label)
    return texts, labels


def fit(*, kinds=(BAD, GOOD), rows=200, noise=0.0, log=lambda text: None, **options):
    return BagOfWords.fit(
        *reviews(rows, seed=0, kinds=kinds, noise=noise),
        *reviews(60, seed=1, kinds=kinds),
        log=log,
        **options,
    )


@pytest.mark.parametrize("kinds", [(BAD, GOOD), (BAD, GOOD, FAIR)])
def test_words_tell_the_class(kinds):
    texts, labels = reviews(100, seed=2, kinds=kinds)
    probabilities_NK = fit(kinds=kinds).probabilities(texts)
    assert probabilities_NK.dtype == np.float64
    assert probabilities_NK.shape == (100, len(kinds))
    np.testing.assert_allclose(probabilities_NK.sum(axis=1), 1.0)
    assert (probabilities_NK.argmax(axis=1) == labels).all()


@pytest.mark.parametrize("kinds", [(BAD, GOOD), (BAD, GOOD, FAIR)])
def test_it_is_scikit_learn_fitted_on_train_with_the_chosen_strength(kinds):
    train_texts, train_labels = reviews(200, seed=0, kinds=kinds, noise=0.3)
    texts, _ = reviews(50, seed=2, kinds=kinds)
    model = fit(kinds=kinds, noise=0.3)
    of_kind = {
        "words": {"ngram_range": (1, 2)},
        "characters": {"ngram_range": (1, 4), "analyzer": "char", "min_df": 2},
    }
    vectorizer = TfidfVectorizer(**of_kind[model.kind], sublinear_tf=True)
    train_NF = vectorizer.fit_transform(train_texts)
    plain = LogisticRegression(C=model.strength, tol=1e-8, max_iter=5000)
    expected_NK = plain.fit(train_NF, train_labels).predict_proba(vectorizer.transform(texts))
    assert model.features == train_NF.shape[1]
    np.testing.assert_allclose(model.probabilities(texts), expected_NK, atol=2e-3)


def test_kind_and_strength_are_chosen_on_validation():
    lines = []
    train, validation = reviews(200, seed=0, noise=0.3), reviews(60, seed=1)
    chosen = BagOfWords.fit(*train, *validation, strengths=(10.0, 0.1), log=lines.append)
    scores = {}
    for line in lines:
        kind, strength, accuracy = re.fullmatch(
            r"(\w+): C = (.+), validation accuracy (.+)", line
        ).groups()
        scores[kind, float(strength)] = float(accuracy)
    assert list(scores) == [(k, c) for k in ("words", "characters") for c in (0.1, 10.0)]
    assert len(set(scores.values())) > 1
    assert scores[chosen.kind, chosen.strength] == max(scores.values())
    right = chosen.probabilities(validation[0]).argmax(1) == validation[1]
    assert right.mean() == pytest.approx(max(scores.values()), abs=1e-4)


def test_characters_see_into_words_and_words_past_four_characters():
    # Endings tell the class, in words that training never shows.
    stems = [a + b for a in "bdfgklm" for b in ("ura", "ile", "opa")]
    endings = ([f"{s}zx{e}" for s in stems for e in ("q", "w")], [0, 1] * len(stems))
    new = (["tovezxq", "tovezxw"], [0, 1])
    assert BagOfWords.fit(*endings, *new, log=print).kind == "characters"


def test_equal_accuracies_go_to_the_likelier():
    # Without noise every strength is always right, and the weakest penalty is surest.
    assert fit(strengths=(1.0, 10.0, 100.0)).strength == 100.0


def test_words_of_validation_are_unknown():
    train = (["good film", "bad film"], [1, 0])
    model = BagOfWords.fit(*train, ["novel thing", "bad thing"], [1, 0], log=lambda text: None)
    # No more than good, bad, film and two pairs, or what is in them.
    assert model.features <= 40
    unknown, empty = model.probabilities(["yyyy", ""])
    np.testing.assert_array_equal(unknown, empty)


def test_the_same_data_give_the_same_model():
    texts, _ = reviews(20, seed=2)
    one, other = fit(noise=0.2), fit(noise=0.2)
    np.testing.assert_array_equal(one.probabilities(texts), other.probabilities(texts))


def test_classes_without_training_texts():
    train = (["good film", "bad film"], [2, 0])
    model = BagOfWords.fit(*train, ["fair film", "good"], [3, 2], log=lambda text: None)
    probabilities_NK = model.probabilities(["good", "bad", "other"])
    assert probabilities_NK.shape == (3, 4)
    assert probabilities_NK[:, [1, 3]].tolist() == [[0.0, 0.0]] * 3
    assert probabilities_NK.argmax(axis=1)[:2].tolist() == [2, 0]


def test_no_texts_have_no_probabilities():
    assert fit().probabilities([]).shape == (0, 2)


def test_single_occurrences_count_in_small_data_only(monkeypatch):
    texts = [f"{word} film" for word in GOOD + BAD]

    def features():
        return {terms.kind: rows.shape[1] for terms, rows in bag_of_words._vectorised(texts)}

    small = features()
    monkeypatch.setattr(bag_of_words, "_SMALL", 7)
    monkeypatch.setattr(bag_of_words, "_LARGE", 7)
    large = features()
    # The words are eight, each once, and film; each makes a pair with it.
    assert (small["words"], large["words"]) == (17, 1)
    assert 0 < large["characters"] < small["characters"]


def test_of_long_texts_the_first_characters_are_read(monkeypatch):
    """Of all training texts together at most so many, so that it does not take long."""
    texts = ["喜 " + "x " * 50, "怒 " + "x " * 50] * 4, [1, 0] * 4
    monkeypatch.setattr(bag_of_words, "_CHARACTERS", 8 * 3)
    found = BagOfWords.fit(*texts, *texts, log=print)
    # "喜 x" and "怒 x" have four characters, three pairs and two triples.
    assert (found.kind, found.features) == ("characters", 9)
    assert found.probabilities(["怒" + "x" * 90, "喜"]).argmax(1).tolist() == [0, 1]


def test_an_optimiser_that_gives_up_says_so(monkeypatch):
    monkeypatch.setattr(bag_of_words, "_ITERATIONS", 2)
    lines = []
    model = fit(noise=0.3, strengths=(100.0,), log=lines.append)
    assert lines[0].startswith("words: C = 100 had not converged after 2 iterations")
    assert model.probabilities(["wonderful"]).shape == (1, 2)


def test_other_warnings_go_on(monkeypatch):
    fit_before = LogisticRegression.fit

    def noisy(self, *arguments):
        bag_of_words.warnings.warn("something else", RuntimeWarning, stacklevel=1)
        return fit_before(self, *arguments)

    monkeypatch.setattr(LogisticRegression, "fit", noisy)
    with pytest.warns(RuntimeWarning, match="something else"):
        fit(strengths=(1.0,))


def test_texts_without_words_are_read_by_characters():
    texts, lines = ["我 喜 欢", "喜 欢 👍", "不 好 👎", "我 不"], []
    found = BagOfWords.fit(texts, [1, 1, 0, 0], texts, [1, 1, 0, 0], log=lines.append)
    assert found.probabilities(["喜 欢", "不"]).argmax(1).tolist() == [1, 0]
    assert found.kind == "characters"
    assert all(line.startswith("characters: C = ") for line in lines)


TWO = (["good film", "bad film"], [1, 0])


@pytest.mark.parametrize(
    ("train", "validation", "options", "error", "message"),
    [
        ((["a b"], [0, 1]), TWO, {}, ValueError, "train_texts .* got 1 and 2"),
        (TWO, ([], []), {}, ValueError, "validation_texts .* got 0 and 0"),
        (TWO, (["x"], [-1]), {}, ValueError, "validation_labels must be .* at least 0, got -1"),
        ((TWO[0], [0.5, 1.0]), TWO, {}, ValueError, "train_labels must be integers .* got 0.5"),
        (TWO, TWO, {"strengths": ()}, ValueError, r"strengths must be positive .* got \[\]"),
        (TWO, TWO, {"strengths": (1.0, 0.0)}, ValueError, r"got \[1.0, 0.0\]"),
        ((["one", "two"], [1, 1]), TWO, {}, UserError, "all 2 have class 1; look at"),
        ((["", ""], [0, 1]), TWO, {}, UserError, "there are none in 2 texts; look at"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(train, validation, options, error, message):
    with pytest.raises(error, match=message):
        BagOfWords.fit(*train, *validation, log=lambda text: None, **options)
