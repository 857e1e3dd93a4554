"""Measures of the field: of texts, each with its signature, and of classifiers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# N rows (examples), K classes, M cells of a table that are not empty, R resamples.

_SMALLEST_PROBABILITY = 1e-12
"""Less counts as this much: one certain and wrong answer costs 27.6 nats, not infinity."""
_BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""
_TEMPERATURES = (0.05, 20.0)
"""Where a temperature is searched for."""


def classification_scores(
    probabilities_NK: npt.ArrayLike,
    labels_N: npt.ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Measures a classifier that gives a probability to each class.

    The answer is the class of the highest probability, the first of equals. The intervals are those
    of the percentile bootstrap over rows, at 95 %. Accuracy and F1 are functions of the confusion
    matrix, and the confusion matrix of N rows drawn with replacement is multinomial: drawing it is
    the bootstrap itself, without drawing rows.

    Source: Efron and Tibshirani 1993, ch. 13 (percentile bootstrap); Guo et al. 2017, eq. 3
    (expected calibration error).

    Args:
        probabilities_NK: float, (rows, classes). Rows sum to 1.
        labels_N: int, (rows,). The right class of each row.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        What `json` can write:

        - `accuracy`: share of right answers, with `accuracy_interval`: [low, high].
        - `macro_f1`: mean F1 of the classes that occur among labels or answers, with
          `macro_f1_interval`.
        - `roc_auc`: area under the ROC curve, of class 1 if there are two classes, else the mean
          over the classes of each against the rest. None where a class is absent from the labels;
          `roc_auc_reason` then says so.
        - `negative_log_likelihood`: mean over the rows, in nats; probabilities below 1e-12 count as
          1e-12.
        - `expected_calibration_error`: mean distance of confidence and accuracy, over 15 bins of
          equal width.

    Raises:
        ValueError: The two arrays do not fit each other, are empty, or are no probabilities and
            labels.
    """
    probabilities, labels = _probabilities_and_labels(probabilities_NK, labels_N)
    _check_resamples(resamples)
    classes = probabilities.shape[1]
    table_KK = confusion_matrix(labels, probabilities.argmax(axis=1), classes)
    # All resamples of all cells at once would be too much for many classes.
    accuracy_R, macro_f1_R = [], []
    for right_RK, true_RK, answered_RK in _resampled_margins(table_KK, seed, resamples):
        accuracy_R.append(right_RK.sum(axis=1) / len(labels))
        macro_f1_R.append(_macro_f1(right_RK, true_RK, answered_RK))
    truth = probabilities[np.arange(len(labels)), labels]
    return {
        "accuracy": float(np.trace(table_KK) / len(labels)),
        "accuracy_interval": _interval(np.concatenate(accuracy_R)),
        "macro_f1": float(
            _macro_f1(np.diagonal(table_KK), table_KK.sum(axis=1), table_KK.sum(axis=0))
        ),
        "macro_f1_interval": _interval(np.concatenate(macro_f1_R)),
        **_roc_auc(probabilities, labels),
        "negative_log_likelihood": float(
            -np.log(np.clip(truth, _SMALLEST_PROBABILITY, 1.0)).mean()
        ),
        "expected_calibration_error": reliability_bins(probabilities, labels).calibration_error,
    }


def paired_bootstrap(
    correct_a_N: npt.ArrayLike, correct_b_N: npt.ArrayLike, *, seed: int, resamples: int = 10000
) -> dict[str, Any]:
    """Compares the accuracies of two classifiers on the same rows.

    A row counts for a, for b or for neither. The three counts of N rows drawn with replacement are
    multinomial, so they are drawn and the rows are not.

    Source: Efron and Tibshirani 1993, ch. 13 (interval) and 15.4 (level at which it reaches zero);
    Koehn 2004 (paired resampling).

    Args:
        correct_a_N: bool, (rows,). Whether a was right.
        correct_b_N: bool, (rows,). Whether b was right, on the same rows.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        `difference`: accuracy of a minus accuracy of b, in percentage points.
        `interval`: [low, high] of it at 95 %.
        `p_value`: two-sided, at least 2 / (resamples + 1): twice the share of resamples in which
        the difference is zero or has the other sign.

    Raises:
        ValueError: The two arrays differ in shape, are empty or are not bool.
    """
    correct_a, correct_b = np.asarray(correct_a_N), np.asarray(correct_b_N)
    for name, array in (("correct_a_N", correct_a), ("correct_b_N", correct_b)):
        if array.dtype != np.bool_ or array.ndim != 1 or not array.size:
            raise ValueError(
                f"{name} must be bool, (rows,), with at least one row, got {array.dtype}, "
                f"{array.shape}; pass `predicted == labels`."
            )
    if correct_a.shape != correct_b.shape:
        raise ValueError(
            "a paired comparison needs the same rows from both, got "
            f"{len(correct_a)} and {len(correct_b)}; compare answers to one test set."
        )
    _check_resamples(resamples)
    rows = len(correct_a)
    for_a = int((correct_a & ~correct_b).sum())
    for_b = int((correct_b & ~correct_a).sum())
    counts_R3 = np.random.default_rng(seed).multinomial(
        rows, np.array([for_a, for_b, rows - for_a - for_b]) / rows, size=resamples
    )
    difference_R = counts_R3[:, 0] - counts_R3[:, 1]
    smaller = min((difference_R <= 0).sum(), (difference_R >= 0).sum())
    return {
        "difference": 100.0 * (for_a - for_b) / rows,
        "interval": _interval(100.0 * difference_R / rows),
        # The data themselves count as one resample, so that no finite number of them proves p = 0.
        "p_value": min(1.0, 2.0 * (1 + int(smaller)) / (resamples + 1)),
    }


def confusion_matrix(
    labels_N: npt.ArrayLike, predicted_N: npt.ArrayLike, classes: int
) -> npt.NDArray[np.int64]:
    """Counts which class was taken for which.

    Args:
        labels_N: int, (rows,). The right classes.
        predicted_N: int, (rows,). The answers.
        classes: How many classes there are.

    Returns:
        int64, (classes, classes): rows are the right class, columns the answer.

    Raises:
        ValueError: The two differ in shape, or hold a number that is no class.
    """
    labels = _labels("labels_N", labels_N, classes)
    predicted = _labels("predicted_N", predicted_N, classes)
    if labels.shape != predicted.shape:
        raise ValueError(
            "labels_N and predicted_N must have the same number of rows, got "
            f"{len(labels)} and {len(predicted)}; pass one answer for each row."
        )
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReliabilityBins:
    """How often answers of one confidence are right, in bins of equal width from 0 to 1."""

    counts: npt.NDArray[np.int64]
    """int64, (bins,). Rows in each bin; a bin holds its upper edge, not its lower."""
    confidence: npt.NDArray[np.float64]
    """float64, (bins,). Mean probability of the answers in it, NaN where there is none."""
    accuracy: npt.NDArray[np.float64]
    """float64, (bins,). Share of them that is right, NaN where there is none."""

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """float64, (bins + 1,): from 0 to 1."""
        return np.linspace(0.0, 1.0, len(self.counts) + 1)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean over the rows of their bin's |accuracy - confidence|.

        Source: Guo et al. 2017, eq. 3.
        """
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(gaps @ self.counts / self.counts.sum())


def reliability_bins(
    probabilities_NK: npt.ArrayLike, labels_N: npt.ArrayLike, bins: int = _BINS
) -> ReliabilityBins:
    """Sorts the answers by their confidence, the highest probability of the row.

    Source: Guo et al. 2017, section 2.

    Args:
        probabilities_NK: float, (rows, classes). Rows sum to 1.
        labels_N: int, (rows,). The right class of each row.
        bins: How many bins of equal width between 0 and 1.

    Returns:
        Count, mean confidence and accuracy of each bin.

    Raises:
        ValueError: The two arrays do not fit each other, are empty, or are no probabilities and
            labels; or there is no bin.
    """
    probabilities, labels = _probabilities_and_labels(probabilities_NK, labels_N)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}; 15 is usual.")
    top_N = probabilities.max(axis=1)
    right_N = probabilities.argmax(axis=1) == labels
    bin_N = np.digitize(top_N, np.linspace(0.0, 1.0, bins + 1)[1:-1], right=True)
    counts = np.bincount(bin_N, minlength=bins)
    with np.errstate(invalid="ignore"):
        return ReliabilityBins(
            counts=counts,
            confidence=np.bincount(bin_N, weights=top_N, minlength=bins) / counts,
            accuracy=np.bincount(bin_N, weights=right_N, minlength=bins) / counts,
        )


def commonest(labels_N: npt.NDArray[np.integer[Any]]) -> float:
    """Accuracy of the answer that is always the commonest class."""
    return float(np.bincount(labels_N).max() / len(labels_N))


def fit_temperature(
    logits_NK: npt.ArrayLike, labels_N: npt.ArrayLike, *, doubt: float = 0.0
) -> float:
    """Finds the T for which softmax(logits / T) is the best probability of the labels.

    Best is the lowest negative log-likelihood. The answers stay the same, their confidence changes.
    Fit it on validation data. The search goes from 0.05 to 20 and ends at a bound where the best T
    lies beyond: at 0.05 if every answer is right, for then more confidence is always better, and at
    20 if the logits say less than nothing. Where no T is better than 1, it is 1.

    Source: Guo et al. 2017, section 4.2.

    Args:
        logits_NK: float, (rows, classes).
        labels_N: int, (rows,). The right class of each row.
        doubt: Share of each row's target that is spread over all classes alike, from 0 up to, but
            not, 1: for rows that are easier than what is to come (Platt 2000 smooths targets
            likewise).

    Returns:
        The temperature.

    Raises:
        ValueError: The two arrays do not fit each other or are empty; a logit is not finite;
            doubt is outside its range.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if not 0.0 <= doubt < 1.0:
        raise ValueError(f"doubt must be at least 0 and below 1, got {doubt}; 0 trusts the labels.")
    logits, labels = _rows_and_labels("logits_NK", logits_NK, labels_N)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled_NK = log_softmax(logits / math.exp(log_temperature), axis=1)
        right = float(scaled_NK[rows, labels].mean())
        return -(1.0 - doubt) * right - (doubt * float(scaled_NK.mean()) if doubt else 0.0)

    # In 1 / T the loss is convex, so it has one valley in log T as well.
    low, high = (math.log(bound) for bound in _TEMPERATURES)
    lowest = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return math.exp(lowest.x) if lowest.fun < loss(0.0) else 1.0


def fit_shares(experts_ENK: npt.ArrayLike, labels_N: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Finds how much each of several classifiers should say in their sum.

    Best is the lowest negative log-likelihood of softmax(Σ share · logits), with shares from 0 to
    20. Fit it on validation data.

    Source: Hinton 2002, "Training Products of Experts by Minimizing Contrastive Divergence"
    (section 1); Wolpert 1992, "Stacked generalization".

    Args:
        experts_ENK: float, (classifiers, rows, classes). Logits.
        labels_N: int, (rows,). The right class of each row.

    Returns:
        float64, (classifiers,).

    Raises:
        ValueError: The two arrays do not fit each other or are empty; a logit is not finite.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    pairs = [
        _rows_and_labels("experts_ENK", logits, labels_N) for logits in np.asarray(experts_ENK)
    ]
    logits_ENK = np.stack([logits for logits, _ in pairs])
    labels = pairs[0][1]
    rows = np.arange(len(labels))

    def loss(shares_E: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        sum_NK = np.tensordot(shares_E, logits_ENK, 1)
        error_NK = softmax(sum_NK, axis=1)
        error_NK[rows, labels] -= 1.0
        slope_E = (logits_ENK * error_NK).sum((1, 2)) / len(rows)
        return -float(log_softmax(sum_NK, axis=1)[rows, labels].mean()), slope_E

    # The loss is convex, so where it starts does not matter.
    start = np.full(len(logits_ENK), 1.0 / len(logits_ENK))
    bounds = [(0.0, 1.0 / _TEMPERATURES[0])] * len(start)
    return np.asarray(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x)


def worst_mistakes(
    probabilities_NK: npt.ArrayLike, labels_N: npt.ArrayLike, n: int
) -> npt.NDArray[np.int64]:
    """Finds the wrong answers that were given with the highest confidence.

    Args:
        probabilities_NK: float, (rows, classes). Rows sum to 1.
        labels_N: int, (rows,). The right class of each row.
        n: How many are wanted.

    Returns:
        int64, (mistakes,): their rows, the most confident first, the earlier of equals first. Fewer
        than n if fewer answers are wrong.

    Raises:
        ValueError: The two arrays do not fit each other, are empty, or are no probabilities and
            labels; n is negative.
    """
    probabilities, labels = _probabilities_and_labels(probabilities_NK, labels_N)
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}; say how many mistakes to show.")
    (wrong,) = np.nonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:n]]


def _labels(name: str, labels: npt.ArrayLike, classes: int) -> npt.NDArray[np.int64]:
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be integers, (rows,), got {array.dtype}, {array.shape}; pass the number "
            "of each row's class."
        )
    outside = array[(array < 0) | (array >= classes)]
    if outside.size:
        raise ValueError(
            f"{name} must lie between 0 and {classes - 1}, the {classes} classes' numbers, got "
            f"{outside[0]}; number the classes from 0."
        )
    return array.astype(np.int64)


def _rows_and_labels(
    name: str, values_NK: npt.ArrayLike, labels_N: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    values = np.asarray(values_NK, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise ValueError(
            f"{name} must have the shape (rows, classes) with at least one row and two classes, "
            f"got {values.shape}; of two classes, pass both."
        )
    if not np.isfinite(values).all():
        row = int(np.nonzero(~np.isfinite(values).all(axis=1))[0][0])
        raise ValueError(
            f"{name} must be finite, got {values[row].tolist()} in row {row}; look for the step "
            "that divides by zero or overflows."
        )
    labels = _labels("labels_N", labels_N, values.shape[1])
    if len(labels) != len(values):
        raise ValueError(
            f"{name} and labels_N must have the same number of rows, got {len(values)} and "
            f"{len(labels)}; pass one label for each row."
        )
    return values, labels


def _probabilities_and_labels(
    probabilities_NK: npt.ArrayLike, labels_N: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    probabilities, labels = _rows_and_labels("probabilities_NK", probabilities_NK, labels_N)
    # As wide as half precision needs.
    bad = (np.abs(probabilities.sum(axis=1) - 1.0) > 1e-2) | (probabilities.min(axis=1) < 0.0)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            "probabilities_NK must be at least 0 and sum to 1 in every row, got "
            f"{probabilities[row].tolist()} in row {row}; put logits through a softmax first."
        )
    return probabilities, labels


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}; 1000 is usual.")


def _interval(values_R: npt.NDArray[np.float64]) -> list[float]:
    """The middle 95 % of these values."""
    return [float(value) for value in np.quantile(values_R, [0.025, 0.975])]


def _resampled_margins(
    table_KK: npt.NDArray[np.int64], seed: int, resamples: int
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]:
    """Draws confusion matrices; yields their diagonals, row sums and column sums, part by part."""
    from scipy.sparse import csr_array

    truth_M, answer_M = np.nonzero(table_KK)
    counts_M = table_KK[truth_M, answer_M]
    cells, classes, rows = len(counts_M), len(table_KK), int(counts_M.sum())
    ones, index = np.ones(cells, dtype=np.int64), np.arange(cells)
    by_truth = csr_array((ones, (index, truth_M)), shape=(cells, classes))
    by_answer = csr_array((ones, (index, answer_M)), shape=(cells, classes))
    diagonal = csr_array(((truth_M == answer_M).astype(np.int64), (index, truth_M)), by_truth.shape)
    generator = np.random.default_rng(seed)
    part = max(1, 1_000_000 // max(cells, classes))
    for start in range(0, resamples, part):
        drawn_RM = generator.multinomial(rows, counts_M / rows, size=min(part, resamples - start))
        yield drawn_RM @ diagonal, drawn_RM @ by_truth, drawn_RM @ by_answer


def _macro_f1(
    right: npt.NDArray[Any], true: npt.NDArray[Any], answered: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Mean F1 over the last axis, of the classes that occur at all."""
    size = true + answered
    f1 = 2.0 * right / np.maximum(size, 1)
    return f1.sum(axis=-1) / (size > 0).sum(axis=-1)


def _roc_auc(
    probabilities_NK: npt.NDArray[np.float64], labels_N: npt.NDArray[np.int64]
) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    classes = probabilities_NK.shape[1]
    absent = np.nonzero(np.bincount(labels_N, minlength=classes) == 0)[0].tolist()
    if absent:
        return {
            "roc_auc": None,
            "roc_auc_reason": (
                "an ROC curve needs rows of every class, and the labels have none of "
                f"{', '.join(map(str, absent))}"
            ),
        }
    areas = [
        roc_auc_score(labels_N == k, probabilities_NK[:, k])
        for k in ([1] if classes == 2 else range(classes))
    ]
    return {"roc_auc": float(np.mean(areas))}
