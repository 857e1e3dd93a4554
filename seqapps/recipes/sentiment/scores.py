"""How a text classifier's answers are measured, beside what needs no network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.data.splits import spread
from seqapps.fields import Rating
from seqapps.recipes.sentiment import metrics
from seqapps.recipes.sentiment.baseline import BagOfWords
from seqapps.recipes.sentiment.examples import LabelledExamples
from seqapps.recipes.sentiment.metrics import ReliabilityBins

_RATED = 2000
"""Texts of which `rating` measures the labels, at most."""
_MISTAKES = 10
_SHOWN = 300
"""Characters of a mistaken text that are shown."""


@dataclass(frozen=True)
class Measured:
    """What was measured on the test split."""

    metrics: dict[str, Any]
    """For metrics.json."""
    mistakes: list[dict[str, str]]
    """The wrong answers that were given with the highest confidence."""
    confusion: npt.NDArray[np.int64]
    """(K, K): how often each class, by row, was given each label."""
    warnings: list[str]
    """What whoever uses the model must know."""
    reliability: dict[str, ReliabilityBins]
    """How often answers of one confidence are right, before and after scaling."""


def measure(
    answers: Sequence[Mapping[str, Any]],
    examples: LabelledExamples,
    *,
    temperature: float,
    share: float | None = None,
    pairs_NK: npt.NDArray[np.float32] | None = None,
    seed: int,
    log: Callable[[str], None],
) -> Measured:
    """Measures answers on the test split, beside a linear model of words or of characters.

    Args:
        answers: What the application gave for each test text.
        examples: The splits; the linear model learns from the training split and chooses its
            penalty on the validation split.
        temperature: By which the answers' logits were divided.
        share: What a logit of the network's linear part counts beside one of the recurrence, if
            there is such a part.
        pairs_NK: float32, (N, K). What that part added to the logits before, if it has a say: the
            recurrence is measured without it too.
        seed: Of the bootstrap.
        log: Takes lines for the user.
    """
    splits, classes = examples.splits, examples.classes
    labels_N = examples.labels_of(splits.test)
    scaled_NK = _by_class(answers, classes)
    logits_NK = temperature * np.log(np.maximum(scaled_NK, 1e-38))
    plain_NK = _probabilities(logits_NK)
    scores = metrics.classification_scores(scaled_NK, labels_N, seed=seed)
    bins = {
        "before scaling": metrics.reliability_bins(plain_NK, labels_N),
        "after scaling": metrics.reliability_bins(scaled_NK, labels_N),
    }
    log("Fitting the baseline: logistic regression on words and pairs, and on characters")
    baseline = BagOfWords.fit(
        splits.train.texts,
        examples.labels_of(splits.train),
        splits.validation.texts,
        examples.labels_of(splits.validation),
        log=log,
    )
    baseline_NK = baseline.probabilities(splits.test.texts)
    beside = metrics.classification_scores(baseline_NK, labels_N, seed=seed)
    right_N = scaled_NK.argmax(1) == labels_N
    compared = metrics.paired_bootstrap(right_N, baseline_NK.argmax(1) == labels_N, seed=seed)
    worst = metrics.worst_mistakes(scaled_NK, labels_N, _MISTAKES)
    return Measured(
        metrics={
            **_rounded(scores),
            "calibration_error_before_scaling": round(bins["before scaling"].calibration_error, 4),
            "temperature": round(temperature, 4),
            **({} if share is None else {"linear_share": round(share, 4)}),
            **(_without(logits_NK, pairs_NK, labels_N) if pairs_NK is not None else {}),
            **{f"baseline_{name}": value for name, value in _rounded(beside).items()},
            "baseline_kind": baseline.kind,
            "baseline_strength": baseline.strength,
            "baseline_features": baseline.features,
            "points_above_baseline": round(compared["difference"], 2),
            "points_above_baseline_interval": compared["interval"],
            "points_above_baseline_p_value": compared["p_value"],
            "texts": len(labels_N),
        },
        mistakes=[
            {
                "text": _short(splits.test.texts[i]),
                "label": splits.test.labels[i],
                "answer": classes[int(scaled_NK[i].argmax())],
                "probability": f"{scaled_NK[i].max():.3f}",
            }
            for i in worst
        ],
        warnings=_warnings(float(right_N.mean()), metrics.commonest(labels_N)),
        confusion=metrics.confusion_matrix(labels_N, scaled_NK.argmax(1), len(classes)),
        reliability=bins,
    )


def _warnings(accuracy: float, constant: float) -> list[str]:
    if accuracy > constant:
        return []
    return [
        f"The model is no better than always answering the commonest class: {accuracy:.1%} of the "
        f"answers are right, and {constant:.1%} would be. Give more texts, or other settings."
    ]


def rating(examples: LabelledExamples) -> Rating:
    """Accuracy, F1, likelihood and calibration of some thousand texts of the test split."""
    texts = examples.splits.test.texts
    rows = spread(len(texts), _RATED)
    labels_N = examples.labels_of(examples.splits.test)[rows]
    names = ("accuracy", "macro_f1", "negative_log_likelihood", "expected_calibration_error")

    def score(answers: list[dict[str, Any]]) -> dict[str, Any]:
        scores = metrics.classification_scores(_by_class(answers, examples.classes), labels_N)
        return _rounded({name: scores[name] for name in names})

    return Rating(
        questions=[texts[i] for i in rows],
        score=score,
        on=f"{len(rows):,} of {len(texts):,} texts of the test split",
    )


def _by_class(
    answers: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Probabilities in the order of the classes, (N, K)."""
    number = {name: i for i, name in enumerate(classes)}
    probabilities_NK = np.zeros((len(answers), len(classes)))
    for row, answer in zip(probabilities_NK, answers, strict=True):
        row[[number[name] for name in answer["classes"]]] = answer["probabilities"]
    return probabilities_NK


def _without(
    logits_NK: npt.NDArray[np.float64],
    pairs_NK: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.integer[Any]],
) -> dict[str, float]:
    """The accuracy of the recurrence and of the linear model, each alone."""
    return {
        "accuracy_without_pairs": _accuracy(logits_NK - pairs_NK, labels_N),
        "accuracy_of_pairs_alone": _accuracy(np.asarray(pairs_NK, np.float64), labels_N),
    }


def _accuracy(logits_NK: npt.NDArray[np.float64], labels_N: npt.NDArray[np.integer[Any]]) -> float:
    return round(float((logits_NK.argmax(1) == labels_N).mean()), 4)


def _probabilities(logits_NK: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
    return np.asarray(powers_NK / powers_NK.sum(1, keepdims=True))


def _rounded(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [round(part, 4) for part in value]
        if isinstance(value, list)
        else round(value, 4)
        if isinstance(value, float)
        else value
        for name, value in scores.items()
    }


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} […] {text[-_SHOWN // 2 :]}"
