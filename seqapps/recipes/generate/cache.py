"""Neural cache: what followed the moments most like this one, mixed into a language model.

Of the last tokens a cache keeps the vector that the softmax saw before each of them. A token is the
likelier the more the moments before its last occurrences were like the present one. Nothing is
trained; a text that repeats itself is predicted better.

Source: Grave, Joulin and Usunier 2017, "Improving Neural Language Models with a Continuous Cache".
"""

# T tokens that are predicted, C moments in reach of any of them, H width of the softmax's input,
# K values of θ

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from seqapps.recipes.generate.examples import RunningExamples
from seqapps.recipes.generate.mixture import Losses, Mixture
from seqapps.recipes.generate.scores import read_whole
from seqapps.text.ngram import interpolated
from seqapps.text.vocabulary import Ids

THETAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0)
"""What θ is chosen from."""
LAMBDAS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4)
"""What λ is chosen from; at 0 the cache is not used."""
_CHOSEN_ON = 50_000
"""Tokens on which they are chosen, at most."""
_BLOCK = 256
"""Tokens that are compared with the cache at once: of more, most products would be out of reach."""


class Reporting(Protocol):
    """What is needed of a `report.Reporter`."""

    def log(self, text: str) -> None:
        """Writes one line."""

    def bar(self, title: str, *, total: int, unit: str) -> Any:
        """Starts a bar: a context that gives an object with `advance(amount)`."""


def cache_losses(
    network: keras.Model,
    ids: Ids,
    *,
    window: int,
    theta: float,
    weight: float,
    mixture: Mixture | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Losses:
    """Loss of each token after the first, in nats, with a cache: `token_losses` in a mixture.

    The probability of token w after t tokens is (1 - λ) p(w) + λ q(w), where p is the network's and
    q(w) is proportional to the sum of exp(θ h_t·h_i) over the moments i of the window that w
    followed. Before the second token there is no such moment, and the network's stands alone.

    Args:
        network: From `build_recurrent_lm`.
        ids: int32, (tokens,).
        window: Moments that the cache holds, at least 1.
        theta: θ, at least 0: the higher, the more similar ones count beside others.
        weight: λ, from 0 to below 1: the cache's share.
        mixture: An n-gram model that is mixed into p before.
        advance: Called with the number of further tokens that are read.

    Returns:
        float64, (tokens - 1,).

    Raises:
        ValueError: If a value is outside its range.

    Source: Grave et al. 2017, equations 2 to 4.
    """
    if not 0.0 <= theta < math.inf:
        raise ValueError(f"theta must be at least 0 and finite, got {theta}.")
    if not 0.0 <= weight < 1.0:
        raise ValueError(
            f"weight must be at least 0 and below 1, got {weight}: a token that the cache does not "
            "hold has its probability from the network."
        )
    losses = [
        _mixed(losses_T, shares_KT[0], weight)
        for losses_T, shares_KT in _shares(network, ids, window, [theta], mixture, advance)
    ]
    return np.concatenate([np.zeros(0), *losses])


def choose_cache(
    network: keras.Model,
    ids: Ids,
    *,
    window: int,
    mixture: Mixture | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[float, float]:
    """Finds θ and λ of `THETAS` and `LAMBDAS` with which a text's loss is lowest.

    Args:
        network: From `build_recurrent_lm`.
        ids: int32, (tokens,), at least 2. Never the text that is reported on.
        window: Moments that the cache holds, at least 1.
        mixture: As in `cache_losses`.
        advance: Called with the number of further tokens that are read.

    Returns:
        θ and λ, the first of equally good ones.
    """
    total_KL = np.zeros((len(THETAS), len(LAMBDAS)))
    for losses_T, shares_KT in _shares(network, ids, window, THETAS, mixture, advance):
        for place, weight in enumerate(LAMBDAS):
            total_KL[:, place] += _mixed(losses_T, shares_KT, weight).sum(1)
    best_theta, best_lambda = divmod(int(total_KL.argmin()), len(LAMBDAS))
    return THETAS[best_theta], LAMBDAS[best_lambda]


def text_to_choose_on(examples: RunningExamples) -> tuple[str, Ids]:
    """The text for `choose_cache`, which is not the one that is reported on, and its name.

    That is the beginning of the validation text where another one is reported on, else the last
    tenth of the training text, as for the n-gram model; without either, no tokens.
    """
    separate = examples.splits.test is not examples.splits.validation
    if separate and len(examples.validation) > 1:
        return "validation text", examples.validation[:_CHOSEN_ON]
    if len(examples.training) > 1:
        return "last tenth of the training text", examples.head_and_tail[1][-_CHOSEN_ON:]
    return "", examples.training[:0]


def measure_cache(
    network: keras.Model,
    examples: RunningExamples,
    *,
    window: int,
    mixture: Mixture | None = None,
    reporter: Reporting,
) -> dict[str, Any]:
    """Measures a model with a cache on the text that is reported on.

    Args:
        network: From `build_recurrent_lm`.
        examples: The text, and those to choose θ and λ on.
        window: Moments that the cache holds; 0 for no cache.
        mixture: As in `cache_losses`.
        reporter: Tells the user how far it is.

    Returns:
        For metrics.json; nothing without a cache, or without a text to choose θ and λ on.
    """
    if not window:
        return {}
    name, ids = text_to_choose_on(examples)
    if len(ids) < 2:
        reporter.log(
            "Measured without the cache: θ and λ are chosen on the validation text or the training "
            "text, and neither is there; name one with --data.validation"
        )
        return {}
    title = f"Choosing a cache on the {name}"
    with reporter.bar(title, total=len(ids) - 1, unit="tokens") as shown:
        theta, weight = choose_cache(
            network, ids, window=window, mixture=mixture, advance=shown.advance
        )
    total = len(examples.test) - 1
    with reporter.bar("Reading the text with the cache", total=total, unit="tokens") as shown:
        losses_N = cache_losses(
            network,
            examples.test,
            window=window,
            theta=theta,
            weight=weight,
            mixture=mixture,
            advance=shown.advance,
        )
    loss, characters = float(losses_N.sum()), max(1, examples.splits.test.characters)
    return {
        "loss_with_cache": round(loss / len(losses_N), 4),
        "bits_per_character_with_cache": round(loss / characters / math.log(2), 4),
        "cache_window": window,
        "cache_theta": theta,
        "cache_lambda": weight,
        "cache_chosen_on": name,
    }


def _shares(
    network: keras.Model,
    ids: Ids,
    window: int,
    thetas: Sequence[float],
    mixture: Mixture | None,
    advance: Callable[[int], None],
) -> Iterator[tuple[Losses, Losses]]:
    """Of each block of a text the losses without a cache (T,) and its probabilities (K, T).

    The probabilities are of the right tokens, as the losses are. Where the cache is empty they are
    the network's.

    Raises:
        ValueError: If the window is below 1.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}: it is what the cache holds.")
    seen_CH = followed_C = None
    start = 1
    beside_N = mixture.model.log_probs(ids) if mixture else np.zeros(0)
    for portion_T, portion_TH in read_whole(network, ids, advance=advance):
        losses_N, hidden_NH = portion_T.numpy().astype(np.float64), portion_TH.numpy()
        if mixture:
            own_N = beside_N[start : start + len(losses_N)]
            losses_N = -interpolated(-losses_N, own_N, mixture.weight)
        for first in range(0, len(losses_N), _BLOCK):
            block = slice(first, first + _BLOCK)
            losses_T, hidden_TH = losses_N[block], hidden_NH[block]
            labels_T = ids[start : start + len(losses_T)]
            start += len(losses_T)
            if seen_CH is None or followed_C is None:
                seen_CH, followed_C = hidden_TH[:0], labels_T[:0]
            seen_CH = np.concatenate([seen_CH, hidden_TH])
            followed_C = np.concatenate([followed_C, labels_T])
            shares_KT = _block_shares(hidden_TH, labels_T, seen_CH, followed_C, window, thetas)
            if start == 1 + len(losses_T):
                shares_KT[:, 0] = math.exp(-losses_T[0])
            yield losses_T, shares_KT
            seen_CH, followed_C = seen_CH[-window:], followed_C[-window:]


def _block_shares(
    hidden_TH: npt.NDArray[np.float32],
    labels_T: Ids,
    seen_CH: npt.NDArray[np.float32],
    followed_C: Ids,
    window: int,
    thetas: Sequence[float],
) -> Losses:
    """The cache's probability of each label: float64, (K, T); 0 where nothing is in reach.

    Args:
        hidden_TH: Moments before the labels.
        labels_T: The tokens that came.
        seen_CH: The moments before, as far as a window reaches, and `hidden_TH` itself at the end.
        followed_C: What came after each of these.
        window: How many moments before its own each label sees.
        thetas: θ, K values.
    """
    # A moment is no part of its own cache: what followed it is what is to be predicted.
    places_T = np.arange(len(seen_CH) - len(hidden_TH), len(seen_CH))[:, np.newaxis]
    places_C = np.arange(len(seen_CH))
    reach_TC = (places_C < places_T) & (places_C >= places_T - window)
    scores_TC = hidden_TH @ seen_CH.T
    highest_T1 = np.where(reach_TC, scores_TC, -np.inf).max(1, keepdims=True)
    # Relative to the highest in reach, so that no exponential overflows and each sum is at least 1.
    scores_TC = np.where(reach_TC, scores_TC - highest_T1, np.float32(0.0))
    right_TC = (followed_C == labels_T[:, np.newaxis]).astype(np.float32)
    held_TC = reach_TC.astype(np.float32)
    shares = []
    for theta in thetas:
        weights_TC = np.exp(np.float32(theta) * scores_TC) * held_TC
        right_T, total_T = (weights_TC * right_TC).sum(1), weights_TC.sum(1)
        shares.append(right_T.astype(np.float64) / np.maximum(total_T, 1.0))
    return np.stack(shares)


def _mixed(losses: Losses, shares: Losses, weight: float) -> Losses:
    """Losses of (1 - λ) p + λ q, from those of p and from q; of any shape."""
    with np.errstate(divide="ignore"):
        return np.asarray(-interpolated(-losses, np.log(shares), weight))
