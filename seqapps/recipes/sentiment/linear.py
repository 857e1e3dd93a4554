"""Fits the linear part of a text classifier: what tokens and pairs of neighbours say."""

# N texts, M buckets, K classes

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.layers.ngrams import HashedPairs, buckets_of

_TOLERANCE = 1e-4
"""Largest component of the gradient at the end of the fit."""


def fit_pairs(
    layer: HashedPairs,
    texts: Sequence[npt.NDArray[np.integer[Any]]],
    labels: npt.ArrayLike,
    *,
    strength: float = 10.0,
    balance: bool = False,
) -> None:
    """Fits logistic regression on training texts, and puts it into the layer.

    A bucket weighs idf · √r: the rarer it is among texts (idf, as scikit-learn smooths it), and the
    more it is a sign of one class (r, the largest absolute log-count ratio of a class against the
    others), the more.

    Args:
        layer: Built.
        texts: Tokens of each training text, int (tokens,).
        labels: int, (N,). Their classes.
        strength: C, the inverse of the weight of the L2 penalty.
        balance: Whether every class weighs the same, however many texts it has.

    Source: Wang and Manning 2012, "Baselines and Bigrams" (log-count ratios as weights); Salton and
    Buckley 1988 (idf).
    """
    from scipy.sparse import csr_matrix, diags
    from sklearn.linear_model import LogisticRegression

    labels_N = np.asarray(labels)
    rows = [buckets_of(tokens, layer.buckets) for tokens in texts]
    ends = np.cumsum([0, *map(len, rows)])
    columns = np.concatenate(rows)
    counts_NM = csr_matrix(
        (np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), layer.buckets)
    )
    counts_NM.sum_duplicates()
    holds_NM = counts_NM.sign()
    holding_MK = np.stack(
        [np.asarray(holds_NM[labels_N == k].sum(0))[0] for k in range(layer.classes)], 1
    )
    weights_M = _weights(holding_MK, np.bincount(labels_N, minlength=layer.classes))
    scale_N = 1.0 / np.sqrt(np.maximum(counts_NM @ weights_M**2, 1e-12))
    inputs_NM = (diags(scale_N) @ counts_NM @ diags(weights_M)).tocsr()
    model = LogisticRegression(
        C=strength,
        tol=_TOLERANCE,
        max_iter=1000,
        class_weight="balanced" if balance else None,
    ).fit(inputs_NM, labels_N)
    fitted_KM, fitted_K = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # scikit-learn gives the log-odds of the second alone.
        fitted_KM = np.vstack([-fitted_KM, fitted_KM]) / 2
        fitted_K = np.append(-fitted_K, fitted_K) / 2
    coefficients_MK = np.zeros((layer.buckets, layer.classes))
    coefficients_MK[:, model.classes_] = fitted_KM.T
    # A class without training texts is as unlikely as the unlikeliest.
    bias_K = np.full(layer.classes, fitted_K.min())
    bias_K[model.classes_] = fitted_K
    layer.set(weights_M=weights_M, coefficients_MK=coefficients_MK, bias_K=bias_K)


def _weights(
    holding_MK: npt.NDArray[np.floating[Any]], texts_K: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float64]:
    """What each bucket weighs.

    Args:
        holding_MK: float, (buckets, classes). How many texts of each class hold it.
        texts_K: int, (classes,). How many texts each class has.

    Returns:
        float64, (buckets,).
    """
    texts = texts_K.sum()
    idf_M = np.log((1 + texts) / (1 + holding_MK.sum(1))) + 1
    # Each class as if it had one more text that holds the bucket and one that does not.
    inside_MK = (holding_MK + 1) / (texts_K + 2)
    others_MK = holding_MK.sum(1, keepdims=True) - holding_MK
    outside_MK = (others_MK + 1) / (texts - texts_K + 2)
    ratio_M = np.abs(np.log(inside_MK / outside_MK)).max(1)
    return np.asarray(idf_M * np.sqrt(ratio_M))
