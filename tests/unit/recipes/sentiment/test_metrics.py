"""Scores against values worked out by hand, and their signatures."""

import json
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from seqapps.recipes.sentiment.metrics import (
    classification_scores,
    commonest,
    confusion_matrix,
    fit_shares,
    fit_temperature,
    paired_bootstrap,
    reliability_bins,
    worst_mistakes,
)
from seqapps.recipes.sentiment.scores import _warnings


def softmax(logits_NK):
    exponents = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def classified(rows, classes, *, seed=0, signal=1.5):
    """Logits of a classifier that is right most of the time, and the labels."""
    random = np.random.default_rng(seed)
    labels_N = random.integers(0, classes, rows)
    logits_NK = random.normal(size=(rows, classes))
    logits_NK[np.arange(rows), labels_N] += signal
    return logits_NK, labels_N


# Answers 0, 0, 1, 1 with confidence 0.9, 0.6, 0.8, 0.7; the second and the last are wrong.
BY_HAND = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
LABELS = np.array([0, 1, 1, 0])


def test_classification_scores_by_hand():
    found = classification_scores(BY_HAND, LABELS)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(0.5)
    # Class 1 has 0.4 and 0.8, class 0 has 0.1 and 0.7: three of four pairs are in order.
    assert found["roc_auc"] == pytest.approx(0.75)
    assert found["negative_log_likelihood"] == pytest.approx(
        -(math.log(0.9) + math.log(0.4) + math.log(0.8) + math.log(0.3)) / 4
    )
    # Each row has a bin for itself.
    assert found["expected_calibration_error"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.7) / 4)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_classification_scores_are_those_of_scikit_learn(classes):
    logits_NK, labels_N = classified(300, classes)
    probabilities_NK = softmax(logits_NK)
    found = classification_scores(probabilities_NK.astype(np.float32), labels_N)
    answers_N = probabilities_NK.argmax(axis=1)
    assert found["accuracy"] == sklearn.metrics.accuracy_score(labels_N, answers_N)
    assert found["macro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(labels_N, answers_N, average="macro"), abs=1e-12
    )
    area = (
        sklearn.metrics.roc_auc_score(labels_N, probabilities_NK[:, 1])
        if classes == 2
        else sklearn.metrics.roc_auc_score(labels_N, probabilities_NK, multi_class="ovr")
    )
    assert found["roc_auc"] == pytest.approx(area, abs=1e-6)
    assert found["negative_log_likelihood"] == pytest.approx(
        sklearn.metrics.log_loss(labels_N, probabilities_NK), abs=1e-6
    )
    # Every value is one that `json` writes, and reads back.
    assert json.loads(json.dumps(found)) == found
    assert "roc_auc_reason" not in found


def test_a_class_absent_from_the_labels_leaves_no_roc_curve():
    probabilities_NK = np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]])
    found = classification_scores(probabilities_NK, [0, 1])
    assert found["roc_auc"] is None
    assert found["roc_auc_reason"].endswith("have none of 2, 3")
    # And takes no part in the F1, as it was never the answer either.
    assert found["macro_f1"] == 1.0
    assert classification_scores(BY_HAND, [1, 1, 1, 1])["roc_auc"] is None


def test_certain_and_wrong_costs_much_but_not_everything():
    found = classification_scores([[1.0, 0.0], [1.0, 0.0]], [0, 1])
    assert found["negative_log_likelihood"] == pytest.approx(-math.log(1e-12) / 2)


def test_accuracy_interval_is_that_of_the_binomial():
    logits_NK, labels_N = classified(2000, 4)
    found = classification_scores(softmax(logits_NK), labels_N, resamples=20000)
    exact = scipy.stats.binom(2000, found["accuracy"]).ppf([0.025, 0.975]) / 2000
    assert found["accuracy_interval"] == pytest.approx(exact.tolist(), abs=0.0015)


def test_f1_interval_is_that_of_drawing_rows():
    logits_NK, labels_N = classified(200, 3)
    # A classifier with a favourite: precision and recall differ.
    probabilities_NK = softmax(logits_NK + [2.5, 0.0, 0.0])
    found = classification_scores(probabilities_NK, labels_N, resamples=4000)
    random = np.random.default_rng(1)
    answers_N = probabilities_NK.argmax(axis=1)
    values = [
        sklearn.metrics.f1_score(labels_N[rows], answers_N[rows], average="macro")
        for rows in random.integers(0, 200, (1000, 200))
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    # The standard error of each of these quantiles is about 0.003.
    assert found["macro_f1_interval"] == pytest.approx([low, high], abs=0.015)
    assert high - low > 0.08


def test_many_classes_are_drawn_in_parts_with_the_same_meaning():
    logits_NK, labels_N = classified(3000, 60)
    probabilities_NK = softmax(logits_NK)
    found = classification_scores(probabilities_NK, labels_N, resamples=2500)
    # More cells than one part may hold.
    table_KK = confusion_matrix(labels_N, probabilities_NK.argmax(axis=1), 60)
    assert np.count_nonzero(table_KK) * 2500 > 1_000_000
    exact = scipy.stats.binom(3000, found["accuracy"]).ppf([0.025, 0.975]) / 3000
    assert found["accuracy_interval"] == pytest.approx(exact.tolist(), abs=0.003)


def test_bootstrap_is_a_function_of_its_seed():
    logits_NK, labels_N = classified(500, 3)
    one, same, other = (
        classification_scores(softmax(logits_NK), labels_N, seed=seed) for seed in (3, 3, 4)
    )
    assert one == same
    assert one["macro_f1_interval"] != other["macro_f1_interval"]
    assert one["macro_f1"] == other["macro_f1"]


def test_paired_bootstrap_of_the_same_answers():
    correct_N = np.arange(50) % 3 > 0
    assert paired_bootstrap(correct_N, correct_N, seed=0) == {
        "difference": 0.0,
        "interval": [0.0, 0.0],
        "p_value": 1.0,
    }


def test_paired_bootstrap_is_that_of_drawing_rows():
    random = np.random.default_rng(0)
    b_N = random.random(400) < 0.7
    # a corrects 10 % of the rows and spoils 6 %.
    change_N = random.random(400)
    a_N = np.where(change_N < 0.10, True, np.where(change_N > 0.94, False, b_N))
    found = paired_bootstrap(a_N, b_N, seed=0, resamples=20000)
    difference_N = a_N.astype(float) - b_N
    drawn = 100 * difference_N[random.integers(0, 400, (10000, 400))].mean(axis=1)
    assert found["difference"] == pytest.approx(100 * (a_N.mean() - b_N.mean()))
    assert found["interval"] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.26)
    smaller = min((drawn <= 1e-9).mean(), (drawn >= -1e-9).mean())
    assert 0.02 < found["p_value"] < 0.98
    assert found["p_value"] == pytest.approx(2 * smaller, abs=0.03)


def test_paired_bootstrap_has_no_favourite():
    a_N, b_N = np.arange(90) % 5 > 0, np.arange(90) % 4 > 0
    one, other = paired_bootstrap(a_N, b_N, seed=0), paired_bootstrap(b_N, a_N, seed=0)
    assert one["difference"] == -other["difference"]
    assert one["p_value"] == pytest.approx(other["p_value"], abs=0.02)


def test_paired_bootstrap_of_a_plain_winner():
    found = paired_bootstrap(np.ones(300, bool), np.arange(300) % 2 == 0, seed=0, resamples=999)
    assert found["difference"] == 50.0
    # As small as this many resamples can show.
    assert found["p_value"] == pytest.approx(2 / 1000)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 0], [True, False], "correct_a_N must be bool"),
        ([True], [[True]], "correct_b_N must be bool"),
        ([], [], "correct_a_N must be bool"),
        ([True], [True, False], "same rows from both, got 1 and 2"),
    ],
)
def test_what_cannot_be_paired_is_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(a, b, seed=0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40), st.integers(5, 7))
def test_confusion_matrix_counts_pairs(pairs, classes):
    labels_N, predicted_N = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    table_KK = confusion_matrix(labels_N, predicted_N, classes)
    counted = Counter(pairs)
    assert table_KK.tolist() == [
        [counted[truth, answer] for answer in range(classes)] for truth in range(classes)
    ]


def test_the_rows_of_a_confusion_matrix_are_the_truth():
    assert confusion_matrix([0, 0, 1], [1, 1, 1], 2).tolist() == [[0, 2], [0, 1]]


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([0, 2], [0, 1], "labels_N must lie between 0 and 1, .* got 2"),
        ([0, 1], [0, -1], "predicted_N must lie between 0 and 1, .* got -1"),
        ([0.0, 1.0], [0, 1], "labels_N must be integers, .* got float64"),
        ([[0, 1]], [0, 1], r"labels_N must be integers, .* \(1, 2\)"),
        ([0, 1], [0], "got 2 and 1"),
    ],
)
def test_a_confusion_of_what_are_no_classes_is_refused(labels, predicted, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(labels, predicted, 2)


def test_reliability_bins_by_hand():
    # Confidences 0.5 and 0.75 are upper edges of bins 2 and 3 of 4.
    probabilities_NK = [[0.5, 0.5], [0.75, 0.25], [0.3, 0.7], [0.0, 1.0]]
    found = reliability_bins(probabilities_NK, [0, 1, 1, 1], bins=4)
    assert found.edges.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert found.counts.tolist() == [0, 1, 2, 1]
    np.testing.assert_allclose(found.confidence, [np.nan, 0.5, 0.725, 1.0])
    np.testing.assert_allclose(found.accuracy, [np.nan, 1.0, 0.5, 1.0])
    assert found.calibration_error == pytest.approx((1 * 0.5 + 2 * 0.225) / 4)


@given(st.integers(1, 60), st.integers(2, 5), st.integers(1, 20), st.integers(0, 2**32))
def test_reliability_bins_lose_no_row(rows, classes, bins, seed):
    logits_NK, labels_N = classified(rows, classes, seed=seed)
    probabilities_NK = softmax(3 * logits_NK)
    found = reliability_bins(probabilities_NK, labels_N, bins)
    assert found.counts.sum() == rows
    filled = found.counts > 0
    assert np.isnan(found.accuracy).tolist() == (~filled).tolist()
    right_N = probabilities_NK.argmax(axis=1) == labels_N
    assert (found.counts * found.accuracy)[filled].sum() == pytest.approx(right_N.sum())
    # Confidences stand in their bins.
    low, high = found.edges[:-1][filled], found.edges[1:][filled]
    assert (found.confidence[filled] > low - 1e-9).all()
    assert (found.confidence[filled] < high + 1e-9).all()


def test_half_precision_is_a_probability():
    logits_NK, labels_N = classified(100, 20)
    found = reliability_bins(softmax(10 * logits_NK).astype(np.float16), labels_N)
    assert found.counts.sum() == 100
    assert found.counts[-1] > 0


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0, 8.0])
def test_temperature_is_found_again(temperature):
    random = np.random.default_rng(0)
    logits_NK = random.normal(scale=2.0, size=(20000, 5))
    # Labels drawn from the very probabilities of these logits: they are calibrated.
    labels_N = (random.gumbel(size=logits_NK.shape) + logits_NK).argmax(axis=1)
    found = fit_temperature(temperature * logits_NK, labels_N)
    assert found == pytest.approx(temperature, rel=0.03)


def test_temperature_is_the_best_and_keeps_the_answers():
    logits_NK, labels_N = classified(400, 4)
    logits_NK = 5 * logits_NK
    found = fit_temperature(logits_NK, labels_N)

    def loss(temperature):
        return sklearn.metrics.log_loss(labels_N, softmax(logits_NK / temperature))

    assert found > 1.5
    assert loss(found) <= min(map(loss, np.geomspace(0.05, 20, 500))) + 1e-9
    assert loss(found * 1.02) > loss(found) < loss(found / 1.02)
    assert ((logits_NK / found).argmax(axis=1) == logits_NK.argmax(axis=1)).all()
    scaled, plain = (
        reliability_bins(softmax(logits_NK / t), labels_N).calibration_error for t in (found, 1.0)
    )
    assert scaled < plain / 2


def test_temperature_at_its_bounds():
    sure = np.array([[0.2, 0.0], [0.0, 0.2]])
    assert fit_temperature(sure, [0, 1]) == pytest.approx(0.05, rel=1e-3)
    # Every answer is wrong.
    assert fit_temperature(100 * sure, [1, 0]) == pytest.approx(20.0, rel=1e-3)
    # Where it makes no difference it changes nothing.
    assert fit_temperature(np.zeros((3, 4)), [0, 1, 2]) == 1.0
    assert fit_temperature(1e6 * sure, [0, 1]) == 1.0
    # Doubted labels: of two classes the right one is wanted at 1 - doubt / 2, here 0.9.
    found = fit_temperature(sure, [0, 1], doubt=0.2)
    margin = float(np.ptp(sure[0]))
    assert 1.0 / (1.0 + np.exp(-margin / found)) == pytest.approx(0.9, abs=1e-4)
    with pytest.raises(ValueError, match="doubt must be at least 0 and below 1, got 1.0"):
        fit_temperature(sure, [0, 1], doubt=1.0)


def test_shares_are_found_again():
    random = np.random.default_rng(1)
    experts_ENK = random.normal(size=(3, 20000, 4))
    shares = np.array([1.5, 0.0, 0.4])
    sum_NK = np.tensordot(shares, experts_ENK, 1)
    labels_N = (random.gumbel(size=sum_NK.shape) + sum_NK).argmax(axis=1)
    found = fit_shares(experts_ENK, labels_N)
    np.testing.assert_allclose(found, shares, atol=0.05)
    # Alone it is the inverse of the temperature.
    assert fit_shares(experts_ENK[:1], labels_N)[0] == pytest.approx(
        1 / fit_temperature(experts_ENK[0], labels_N), rel=1e-3
    )
    with pytest.raises(ValueError, match="experts_ENK"):
        fit_shares([[[np.inf, 0.0]]], [0])


def test_a_model_that_is_no_better_than_the_commonest_class_says_so():
    constant = commonest(np.array([0, 2, 2, 1]))
    assert constant == 0.5
    assert _warnings(0.51, constant) == []
    (warning,) = _warnings(0.5, constant)
    assert "50.0% of the answers are right, and 50.0% would be" in warning


def test_worst_mistakes_are_the_most_confident_ones():
    probabilities_NK = np.array(
        [[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.99, 0.01], [0.9, 0.1], [0.4, 0.6]]
    )
    labels_N = np.array([1, 0, 0, 0, 1, 1])
    assert worst_mistakes(probabilities_NK, labels_N, 3).tolist() == [1, 4, 2]
    assert worst_mistakes(probabilities_NK, labels_N, 9).tolist() == [1, 4, 2, 0]
    assert worst_mistakes(probabilities_NK, labels_N, 0).tolist() == []
    assert worst_mistakes(probabilities_NK, probabilities_NK.argmax(axis=1), 5).tolist() == []


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([0.5, 0.5], [0], r"shape \(rows, classes\) .* got \(2,\)"),
        ([[0.9], [0.1]], [0, 1], r"two classes, got \(2, 1\); of two classes, pass both"),
        (np.zeros((0, 2)), np.zeros(0, int), r"at least one row .* got \(0, 2\)"),
        ([[0.5, 0.5]], [0, 1], "got 1 and 2"),
        ([[0.5, 0.5]], [2], "labels_N must lie between 0 and 1, .* got 2"),
        ([[1.0, 0.0], [2.0, -1.0]], [0, 1], r"sum to 1 .* got \[2.0, -1.0\] in row 1"),
        ([[1.0, 0.0], [3.0, 1.0]], [0, 1], r"got \[3.0, 1.0\] in row 1; .* softmax"),
        ([[float("nan"), 0.5]], [0], r"must be finite, got \[nan, 0.5\] in row 0"),
    ],
)
def test_what_are_no_probabilities_is_refused(probabilities, labels, message):
    for measure in (
        classification_scores,
        reliability_bins,
        lambda p, y: worst_mistakes(p, y, 1),
    ):
        with pytest.raises(ValueError, match=message):
            measure(probabilities, labels)


def test_numbers_that_ask_for_nothing_are_refused():
    with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
        classification_scores(BY_HAND, LABELS, resamples=0)
    with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
        paired_bootstrap([True], [False], seed=0, resamples=0)
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        reliability_bins(BY_HAND, LABELS, bins=0)
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        worst_mistakes(BY_HAND, LABELS, -1)
    with pytest.raises(ValueError, match="logits_NK must be finite"):
        fit_temperature([[np.inf, 0.0]], [0])


def test_importing_measures_loads_no_other_library():
    command = (
        "import sys, seqapps.recipes.sentiment.metrics; "
        "print([m for m in ('sklearn', 'scipy', 'sacrebleu', 'tensorflow') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", command], text=True) == "[]\n"
