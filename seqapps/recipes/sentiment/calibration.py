"""What is fitted on validation texts once a text classifier's network has learned."""

# N texts, K classes, E classifiers

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.batching import evaluation_batches
from seqapps.layers.ngrams import HashedPairs
from seqapps.layers.temperature import Temperature
from seqapps.recipes.sentiment.examples import LabelledExamples
from seqapps.recipes.sentiment.linear import fit_pairs
from seqapps.recipes.sentiment.metrics import fit_shares, fit_temperature
from seqapps.recipes.sentiment.network import PAIRS, TEMPERATURE

_STRENGTHS = (1.0, 10.0, 100.0)
"""Values of C to choose from, for the linear model of tokens and pairs."""
_LEAST = 0.05
"""Share of the recurrence in the logits, at least: the inverse of the highest temperature."""

_TOKENS = 1 << 16
"""Budget of a batch for the linear model alone."""

Labelled = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def calibrate(
    network: keras.Model,
    examples: LabelledExamples,
    log: Callable[[str], None] = lambda _: None,
    *,
    doubt: float = 0.0,
) -> float:
    """Fits the network's temperature on the validation texts, and returns it.

    If the network has a linear model of tokens and pairs, that is fitted on the training texts
    first; its penalty, and its share beside the recurrence, are chosen with the temperature.

    Args:
        network: From `build_classifier`.
        examples: The texts.
        log: Takes lines for the user.
        doubt: How far validation labels are trusted without a linear model, see `fit_temperature`.
    """
    uncalibrate(network)
    layer: Temperature = network.get_layer(TEMPERATURE)
    pairs = pairs_of(network)
    logits_NK, labels_N = validation_logits(network, examples)
    if pairs is None:
        temperature = fit_temperature(logits_NK, labels_N, doubt=doubt)
    else:
        temperature = _weigh(pairs, logits_NK, labels_N, examples, log)
    layer.value.assign(temperature)
    return temperature


def uncalibrate(network: keras.Model) -> None:
    """Undoes `calibrate`: training is the recurrence's alone, and without a temperature.

    The linear model may know the training texts by heart; what it leaves over teaches nothing.
    """
    network.get_layer(TEMPERATURE).value.assign(1.0)
    if (pairs := pairs_of(network)) is not None:
        pairs.share.assign(0.0)


def _weigh(
    pairs: HashedPairs,
    logits_NK: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    examples: LabelledExamples,
    log: Callable[[str], None],
) -> float:
    """Fits the linear model and its share; returns the temperature of the sum."""
    texts, labels = examples.encoded_training, examples.labels_of(examples.splits.train)

    def loss(sum_NK: npt.NDArray[Any]) -> float:
        logs_NK = sum_NK - np.logaddexp.reduce(sum_NK, 1, keepdims=True)
        return -float(logs_NK[np.arange(len(labels_N)), labels_N].mean())

    def tried(strength: float) -> tuple[float, float, npt.NDArray[np.float64]]:
        fit_pairs(pairs, texts, labels, strength=strength, balance=examples.balance)
        said_NK, _ = _answers(pairs.alone, examples)
        shares_E = fit_shares([logits_NK, said_NK], labels_N)
        together = loss(shares_E[0] * logits_NK + shares_E[1] * said_NK)
        log(
            f"tokens and pairs: C = {strength:g}, validation loss {loss(said_NK):.4f} alone, "
            f"{together:.4f} beside the recurrence"
        )
        return together, strength, shares_E

    log("Fitting the linear model of tokens and pairs of neighbours")
    _, strength, (recurrence, share) = min((tried(c) for c in _STRENGTHS), key=lambda t: t[:2])
    fit_pairs(pairs, texts, labels, strength=strength, balance=examples.balance)
    temperature = 1.0 / max(float(recurrence), _LEAST)
    pairs.share.assign(share * temperature)
    return temperature


def validation_logits(network: keras.Model, examples: LabelledExamples) -> Labelled:
    """Logits, float32 (N, K), and classes, int (N,), of the validation texts, short ones first."""

    def classify(tokens_BT: Any, lengths_B: Any) -> Any:
        return network({"tokens": tokens_BT, "tokens_lengths": lengths_B}, training=False)

    return _answers(classify, examples)


def _answers(classify: Callable[[Any, Any], Any], examples: LabelledExamples) -> Labelled:
    # Traced anew at each call, so that it answers with the policy and weights of the moment.
    traced = tf.function(classify, reduce_retracing=True, autograph=False)
    logits, labels = [], []
    for batch in examples.validation_batches():
        logits.append(traced(batch["tokens"], batch["tokens_lengths"]))
        labels.append(batch["labels"][:, 0])
    return tf.concat(logits, 0).numpy(), tf.concat(labels, 0).numpy()


def temperature_of(network: keras.Model) -> float:
    """By which a network divides its logits."""
    return float(network.get_layer(TEMPERATURE).value)


def pairs_say(
    network: keras.Model, examples: LabelledExamples, texts: Sequence[str]
) -> npt.NDArray[np.float32] | None:
    """What the linear model adds to the logits of texts before the temperature.

    Returns:
        float32, (N, K); None if the network has no linear model.
    """
    layer = pairs_of(network)
    if layer is None:
        return None
    rows = examples.encoded(texts)
    said_NK = np.zeros((len(rows), layer.classes), np.float32)
    for chosen in evaluation_batches([len(ids) for ids in rows], tokens=_TOKENS):
        lengths = np.array([len(rows[i]) for i in chosen], np.int32)
        padded = np.zeros((len(chosen), lengths.max()), np.int32)
        for row, i in zip(padded, chosen, strict=True):
            row[: len(rows[i])] = rows[i]
        said_NK[chosen] = layer(padded, lengths)
    return said_NK


def pairs_of(network: keras.Model) -> HashedPairs | None:
    """The linear model of tokens and pairs in a network, if it has one."""
    layers = [layer for layer in network.layers if layer.name == PAIRS]
    return layers[0] if layers else None
