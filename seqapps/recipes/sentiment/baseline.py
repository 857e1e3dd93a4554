"""Logistic regression on words or characters: what a text classifier has to beat."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqapps.errors import UserError

Labels: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
"""Numbers of classes, one for each text."""

Kind: TypeAlias = Literal["words", "characters"]
"""What is counted: words and pairs of neighbours, or n-grams of 1 to 4 characters."""

_SMALL, _LARGE = 100, 20_000
"""With more training texts than this, n-grams of characters, and words, that occur in a single text
are left out."""
_CHARACTERS = 5_000_000
"""Characters of all training texts that n-grams are made of, at most: of longer texts the first
ones. They take some ten seconds."""
_ITERATIONS = 1000
"""Of the optimiser, for each strength."""


class BagOfWords:
    """TF-IDF of words and pairs of words, or of n-grams of characters, and logistic regression.

    The order of words counts only within pairs, that of characters within n-grams of up to four.
    Words are two letters or digits and more, in lower case. In scripts without spaces each run of
    letters is one word, which is little to learn from: there the characters win.

    Source: Wang and Manning 2012 (linear models on pairs of words as a baseline that is hard to
    beat); Cavnar and Trenkle 1994 (n-grams of characters); Salton and Buckley 1988 (TF-IDF). Made
    of scikit-learn's `TfidfVectorizer` and `LogisticRegression`.

    Attributes:
        kind: What is counted, chosen on the validation data.
        strength: C, the inverse of the weight of the L2 penalty, chosen likewise.
        features: How many terms there are.
    """

    def __init__(self, terms: "_Terms", model: Any, *, classes: int) -> None:
        self._terms = terms
        self._model = model
        self._classes = classes
        self.kind: Kind = terms.kind
        self.strength = float(model.C)
        self.features = len(terms.vectorizer.vocabulary_)

    @classmethod
    def fit(
        cls,
        train_texts: Sequence[str],
        train_labels: Labels,
        validation_texts: Sequence[str],
        validation_labels: Labels,
        *,
        strengths: Sequence[float] = (1.0, 10.0),
        log: Callable[[str], None],
    ) -> "BagOfWords":
        """Fits a model of each kind for each strength and keeps the best on the validation data.

        Best is the highest accuracy; of equals, the one that gives the labels the higher
        probability. Vocabulary and weights come from the training data alone.

        Args:
            train_texts: Texts to learn from.
            train_labels: Their classes, numbered from 0.
            validation_texts: Texts to choose on.
            validation_labels: Their classes.
            strengths: Values of C to choose from.
            log: Called with a line for each model, and with what a person should know.

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
                "1 and 10 are usual."
            )
        if (train == train[0]).all():
            raise UserError(
                "a classifier needs training texts of at least two classes, and all "
                f"{len(train)} have class {train[0]}; look at the column that the labels are "
                "read from."
            )
        classes = 1 + max(int(train.max()), int(validation.max()))
        best, best_key = None, (-1.0, 0.0)
        for terms, train_NF in _vectorised(train_texts):
            validation_NF = terms.of(validation_texts)
            for strength in sorted(strengths):
                model = _fitted(train_NF, train, strength, terms.kind, log)
                probabilities_NK = _widened(model, validation_NF, classes)
                accuracy = float((probabilities_NK.argmax(axis=1) == validation).mean())
                truth_N = probabilities_NK[np.arange(len(validation)), validation]
                likelihood = float(np.log(np.maximum(truth_N, 1e-12)).mean())
                log(f"{terms.kind}: C = {strength:g}, validation accuracy {accuracy:.4f}")
                if (accuracy, likelihood) > best_key:
                    best, best_key = cls(terms, model, classes=classes), (accuracy, likelihood)
        assert best is not None
        return best

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Classifies texts.

        Args:
            texts: The texts. An empty one gets what the model says of a text without known words.

        Returns:
            float64, (texts, classes). Rows sum to 1; a class without training texts has 0.
        """
        if not texts:
            return np.zeros((0, self._classes))
        return _widened(self._model, self._terms.of(texts), self._classes)


@dataclass(frozen=True)
class _Terms:
    """What is counted in a text."""

    kind: Kind
    vectorizer: Any
    """Fitted on training texts."""
    longest: int
    """Characters of a text that are looked at."""

    def of(self, texts: Sequence[str]) -> Any:
        """TF-IDF of texts, sparse (N, F)."""
        return self.vectorizer.transform(_firsts(texts, self.longest))


def _vectorised(texts: Sequence[str]) -> Iterator[tuple[_Terms, Any]]:
    """Yields words and pairs of words, and n-grams of characters, with TF-IDF of the texts (N, F).

    Raises:
        UserError: If the texts hold no characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    fewest = 2 if len(texts) > _LARGE else 1
    # Most n-grams of characters occur once, and say little that others do not.
    fewest_of_characters = 2 if len(texts) > _SMALL else 1
    kinds: dict[Kind, Any] = {
        "words": TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=fewest),
        "characters": TfidfVectorizer(
            analyzer="char", ngram_range=(1, 4), sublinear_tf=True, min_df=fewest_of_characters
        ),
    }
    several = False
    for kind, vectorizer in kinds.items():
        longest = max(1, _CHARACTERS // len(texts)) if kind == "characters" else sys.maxsize
        try:
            vectors_NF = vectorizer.fit_transform(_firsts(texts, longest))
        except ValueError as error:  # No words, or none that two texts share.
            if kind == "words" or several:
                continue
            raise UserError(
                f"the training texts must hold characters, and there are none in {len(texts)} "
                f"texts; look at the column that the texts are read from ({error})."
            ) from error
        several = True
        yield _Terms(kind, vectorizer, longest), vectors_NF


def _firsts(texts: Sequence[str], longest: int) -> list[str]:
    return [text[:longest] for text in texts]


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


def _fitted(
    train_NF: Any,
    labels_N: npt.NDArray[np.int64],
    strength: float,
    kind: Kind,
    log: Callable[[str], None],
) -> Any:
    """Fits; that the optimiser gave up is logged, other warnings go on."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(train_NF, labels_N)
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            log(
                f"{kind}: C = {strength:g} had not converged after {int(model.n_iter_[0])} "
                "iterations; the baseline may be better than measured."
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return model


def _widened(model: Any, texts_NF: Any, classes: int) -> npt.NDArray[np.float64]:
    """The model's probabilities, with a column for each class that it has not seen."""
    probabilities_NK = np.zeros((texts_NF.shape[0], classes))
    probabilities_NK[:, model.classes_] = model.predict_proba(texts_NF)
    return probabilities_NK
