"""Logistic regression on words and pairs of words: what a text classifier has to beat."""

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqapps.errors import UserError

Labels: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
"""Numbers of classes, one for each text."""

_LARGE = 5000
"""With more training texts than this, terms that occur in a single text are left out."""
_ITERATIONS = 1000
"""Of the optimiser, for each strength."""
_TOLERANCE = 1e-6
"""Largest component of the gradient at the end. scikit-learn's default, 1e-4, is so wide that a fit
that begins at the solution for C = 10 counts as done for C = 100 before its first step."""


class BagOfWords:
    """TF-IDF of words and pairs of neighbouring words, and logistic regression on them.

    The order of words counts only within pairs. Words are two letters or digits and more, in lower
    case. In scripts without spaces each run of letters is one word, which is little to learn from.

    Source: Wang and Manning 2012 (linear models on pairs of words as a baseline that is hard to
    beat); Salton and Buckley 1988 (TF-IDF). Made of scikit-learn's `TfidfVectorizer` and
    `LogisticRegression`.

    Attributes:
        strength: C, the inverse of the weight of the L2 penalty, chosen on the validation data.
        features: How many words and pairs there are.
    """

    def __init__(
        self, vectorizer: Any, model: Any, *, classes: int, strength: float, features: int
    ) -> None:
        self._vectorizer = vectorizer
        self._model = model
        self._classes = classes
        self.strength = strength
        self.features = features

    @classmethod
    def fit(
        cls,
        train_texts: Sequence[str],
        train_labels: Labels,
        validation_texts: Sequence[str],
        validation_labels: Labels,
        *,
        strengths: Sequence[float] = (0.1, 1.0, 10.0, 100.0),
        log: Callable[[str], None],
    ) -> "BagOfWords":
        """Fits one model for each strength and keeps the best on the validation data.

        Best is the highest accuracy; of equals, the one that gives the labels the higher
        probability. Vocabulary and weights come from the training data alone. Where no text has
        words as they are written with spaces, n-grams of characters stand in for them.

        Args:
            train_texts: Texts to learn from.
            train_labels: Their classes, numbered from 0.
            validation_texts: Texts to choose the strength on.
            validation_labels: Their classes.
            strengths: Values of C to choose from.
            log: Called with a line for each strength, and with what a person should know.

        Returns:
            The fitted classifier.

        Raises:
            ValueError: Texts and labels differ in number or are empty, a label is negative, or a
                strength is not positive.
            UserError: The training texts are all of one class, or empty.
        """
        train = _labels("train", train_texts, train_labels)
        validation = _labels("validation", validation_texts, validation_labels)
        if not strengths or min(strengths) <= 0:
            raise ValueError(
                f"strengths must be positive numbers, at least one, got {list(strengths)}; "
                "0.1, 1, 10 and 100 are usual."
            )
        if (train == train[0]).all():
            raise UserError(
                "a classifier needs training texts of at least two classes, and all "
                f"{len(train)} have class {train[0]}; look at the column that the labels are "
                "read from."
            )
        vectorizer, train_NF = _vectorised(train_texts, log)
        best, classes = _best(
            train_NF,
            train,
            vectorizer.transform(validation_texts),
            validation,
            strengths=strengths,
            log=log,
        )
        return cls(
            vectorizer,
            best,
            classes=classes,
            strength=float(best.C),
            features=len(vectorizer.vocabulary_),
        )

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Classifies texts.

        Args:
            texts: The texts. An empty one gets what the model says of a text without known words.

        Returns:
            float64, (texts, classes). Rows sum to 1; a class without training texts has 0.
        """
        if not texts:
            return np.zeros((0, self._classes))
        return _widened(self._model, self._vectorizer.transform(texts), self._classes)

    def top_words(self, n: int) -> list[list[tuple[str, float]]]:
        """Lists the single words that speak most for each class.

        Args:
            n: How many for each class.

        Returns:
            For each class (word, weight), the highest weight first, equal weights in the order of
            the alphabet; only positive weights. The weight is what one unit of the word's TF-IDF
            adds to the log-odds of the class (two classes) or to its logit (more). Empty for a
            class without training texts.
        """
        weights_KF = self._model.coef_
        if len(weights_KF) == 1:
            weights_KF = np.concatenate([-weights_KF, weights_KF])
        singles = sorted(
            (term, column)
            for term, column in self._vectorizer.vocabulary_.items()
            if " " not in term
        )
        columns = [column for _, column in singles]
        strongest: list[list[tuple[str, float]]] = [[] for _ in range(self._classes)]
        for label, weights_F in zip(self._model.classes_, weights_KF, strict=True):
            weights = weights_F[columns]
            order = np.argsort(-weights, kind="stable")[:n]
            strongest[int(label)] = [
                (singles[i][0], float(weights[i])) for i in order if weights[i] > 0
            ]
        return strongest


def _vectorised(texts: Sequence[str], log: Callable[[str], None]) -> tuple[Any, Any]:
    """Fits words and pairs of words, or n-grams of characters where there are no words.

    Returns:
        The fitted vectorizer, and what it makes of the texts, (texts, features).

    Raises:
        UserError: If the texts hold no characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    few = {"sublinear_tf": True, "min_df": 2 if len(texts) > _LARGE else 1}
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), **few)
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError:  # No words, or none that two texts share.
        log("bag of words: no words of two letters and more; n-grams of 1 to 3 characters")
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **few)
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError as error:
        raise UserError(
            f"the training texts must hold characters, and there are none in {len(texts)} "
            f"texts; look at the column that the texts are read from ({error})."
        ) from error


def _best(
    train_NF: Any,
    train: npt.NDArray[np.int64],
    validation_NF: Any,
    validation: npt.NDArray[np.int64],
    *,
    strengths: Sequence[float],
    log: Callable[[str], None],
) -> tuple[Any, int]:
    """The model of the best strength, and how many classes there are."""
    from sklearn.linear_model import LogisticRegression

    classes = 1 + max(int(train.max()), int(validation.max()))
    best, best_key = None, (-1.0, 0.0)
    # From strong to weak penalties, each fit begins where the last one ended.
    model = LogisticRegression(max_iter=_ITERATIONS, tol=_TOLERANCE, warm_start=True)
    for strength in sorted(strengths):
        model.C = strength
        _fit(model, train_NF, train, log)
        probabilities_NK = _widened(model, validation_NF, classes)
        accuracy = float((probabilities_NK.argmax(axis=1) == validation).mean())
        truth_N = probabilities_NK[np.arange(len(validation)), validation]
        likelihood = float(np.log(np.maximum(truth_N, 1e-12)).mean())
        log(f"bag of words: C = {strength:g}, validation accuracy {accuracy:.4f}")
        if best is None or (accuracy, likelihood) > best_key:
            best, best_key = copy.deepcopy(model), (accuracy, likelihood)
    assert best is not None
    return best, classes


def _labels(name: str, texts: Sequence[str], labels: Labels) -> npt.NDArray[np.int64]:
    if len(texts) != len(labels) or not len(texts):
        raise ValueError(
            f"{name}_texts and {name}_labels must have the same length and not be empty, got "
            f"{len(texts)} and {len(labels)}; pass one label for each text."
        )
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" or array.min() < 0:
        raise ValueError(
            f"{name}_labels must be integers and at least 0, got {array.min()} of {array.dtype}; "
            "number the classes from 0."
        )
    return array.astype(np.int64)


def _fit(
    model: Any, train_NF: Any, labels_N: npt.NDArray[np.int64], log: Callable[[str], None]
) -> None:
    """Fits; that the optimiser gave up is logged, other warnings go on."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(train_NF, labels_N)
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            log(
                f"bag of words: C = {model.C:g} had not converged after {int(model.n_iter_[0])} "
                "iterations; the baseline may be better than measured."
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def _widened(model: Any, texts_NF: Any, classes: int) -> npt.NDArray[np.float64]:
    """The model's probabilities, with a column for each class that it has not seen."""
    probabilities_NK = np.zeros((texts_NF.shape[0], classes))
    probabilities_NK[:, model.classes_] = model.predict_proba(texts_NF)
    return probabilities_NK
