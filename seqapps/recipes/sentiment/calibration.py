"""What is fitted on validation texts once a text classifier's network has learned."""

# N texts, K classes, E classifiers

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data.batching import evaluation_batches
from seqapps.layers.ngrams import HashedPairs, spelling_of
from seqapps.layers.temperature import Temperature
from seqapps.recipes.sentiment.examples import LabelledExamples
from seqapps.recipes.sentiment.linear import LinearFit
from seqapps.recipes.sentiment.metrics import fit_shares, fit_temperature
from seqapps.recipes.sentiment.network import PAIRS, TEMPERATURE
from seqapps.text.scripts import WORD_START
from seqapps.text.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer

_STRENGTH = 10.0
"""C of the linear model that is tried first; where it adds nothing, no other does."""
_OTHERS = ((3.0, 1.0), (30.0, 100.0))
"""Values that are tried then, each way as long as they are better."""
_WORTH = 0.02
"""By how much the linear model must lower the validation loss, as a share of it, to have a say."""
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

    If the network has a linear part, that is fitted on the training texts first; its penalty, and
    its share beside the recurrence, are chosen with the temperature.

    Args:
        network: From `build_classifier`.
        examples: The texts.
        log: Takes lines for the user.
        doubt: How far validation labels are not trusted where the recurrence stands alone, see
            `fit_temperature`.
    """
    uncalibrate(network)
    layer: Temperature = network.get_layer(TEMPERATURE)
    pairs = pairs_of(network)
    logits_NK, labels_N = validation_logits(network, examples)
    temperature = fit_temperature(logits_NK, labels_N, doubt=doubt)
    if pairs is not None:
        temperature = _weigh(pairs, logits_NK, labels_N, temperature, examples, log)
    layer.value.assign(temperature)
    return temperature


def uncalibrate(network: keras.Model) -> None:
    """Undoes `calibrate`: training is the recurrence's alone, and without a temperature.

    The linear model may know the training texts by heart; what it leaves over teaches nothing.
    """
    network.get_layer(TEMPERATURE).value.assign(1.0)
    if (pairs := pairs_of(network)) is not None:
        pairs.share.assign(0.0)


def spelling(network: keras.Model, tokenizer: Tokenizer) -> keras.Model:
    """Tells the linear part of a network, if it knows characters, what each token writes."""
    pairs = pairs_of(network)
    if pairs is None or not pairs.characters:
        return network
    surfaces = [piece.replace(WORD_START, " ") for piece in tokenizer.pieces]
    # The end of a text is the end of a word.
    surfaces[PAD], surfaces[UNKNOWN], surfaces[BOS], surfaces[EOS] = "", "\ufffd", "", " "
    pairs.spelling.assign(spelling_of(surfaces))
    return network


def _weigh(
    pairs: HashedPairs,
    logits_NK: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    temperature: float,
    examples: LabelledExamples,
    log: Callable[[str], None],
) -> float:
    """Fits the linear model and its share; returns the temperature of the sum.

    Args:
        pairs: The linear model.
        logits_NK: What the recurrence says of the validation texts.
        labels_N: Their classes.
        temperature: Of the recurrence alone.
        examples: The texts.
        log: Takes lines for the user.
    """
    log("Fitting the linear part, which stands beside the recurrence")
    labels = examples.labels_of(examples.splits.train)
    fit = LinearFit(pairs, examples.encoded_training, labels, balance=examples.balance)

    def tried(strength: float) -> tuple[float, float, npt.NDArray[np.float64]]:
        fit.put(strength)
        said_NK, _ = _answers(pairs.alone, examples)
        shares_E = fit_shares([logits_NK, said_NK], labels_N)
        together_NK = shares_E[0] * logits_NK + shares_E[1] * said_NK
        together = _loss(together_NK, labels_N)
        log(
            f"linear part: C = {strength:g}, validation loss {_loss(said_NK, labels_N):.4f} alone, "
            f"{together:.4f} beside the recurrence; accuracy {_right(said_NK, labels_N):.4f} "
            f"alone, {_right(together_NK, labels_N):.4f} beside it"
        )
        return together, strength, shares_E

    # With trust in the labels, as the sum is fitted: else it would win by trust alone.
    alone = _loss(logits_NK / fit_temperature(logits_NK, labels_N), labels_N)
    log(
        f"recurrence alone: validation loss {alone:.4f}, accuracy {_right(logits_NK, labels_N):.4f}"
    )
    best = tried(_STRENGTH)
    if best[0] < (1.0 - _WORTH / 4.0) * alone:
        for strengths in _OTHERS:
            for strength in strengths:
                found = tried(strength)
                if not found[0] < best[0]:
                    break
                best = found
    loss, strength, (recurrence, share) = best
    fit.put(strength)
    if not loss < (1.0 - _WORTH) * alone:
        log("The linear part adds nothing here and has no say")
        return temperature
    temperature = 1.0 / max(float(recurrence), _LEAST)
    pairs.share.assign(share * temperature)
    return temperature


def _loss(logits_NK: npt.NDArray[Any], labels_N: npt.NDArray[np.int64]) -> float:
    logs_NK = logits_NK - np.logaddexp.reduce(logits_NK, 1, keepdims=True)
    return -float(logs_NK[np.arange(len(labels_N)), labels_N].mean())


def _right(logits_NK: npt.NDArray[Any], labels_N: npt.NDArray[np.int64]) -> float:
    return float((logits_NK.argmax(1) == labels_N).mean())


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


def share_of(network: keras.Model) -> float | None:
    """What a logit of the linear part counts beside one of the recurrence; None without such."""
    layer = pairs_of(network)
    return None if layer is None else float(layer.share)


def pairs_say(
    network: keras.Model, examples: LabelledExamples, texts: Sequence[str]
) -> npt.NDArray[np.float32] | None:
    """What the linear model adds to the logits of texts before the temperature.

    Returns:
        float32, (N, K); None if the network has no linear part, or one that has no say.
    """
    layer = pairs_of(network)
    if layer is None or not float(layer.share):
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
    """The linear part of a network, if it has one."""
    layers = [layer for layer in network.layers if layer.name == PAIRS]
    return layers[0] if layers else None
