"""Fits the linear part of a text classifier: what tokens, pairs and n-grams of characters say."""

# N texts, M buckets, F of them that are used, K classes

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.layers.ngrams import HashedPairs

_TOLERANCE = 1e-4
"""Largest component of the gradient at the end of the fit."""
_SMALL = 100
"""With more training texts than this, buckets that a single text fills are left out: most are such,
and each only says by heart what its text was."""


class LinearFit:
    """Logistic regression on training texts, whose weights go into a layer.

    A bucket weighs idf · √r: the rarer it is among texts (idf, as scikit-learn smooths it), and the
    more it is a sign of one class (r, the largest absolute log-count ratio of a class against the
    others), the more.

    Args:
        layer: Built.
        texts: Tokens of each training text, int (tokens,).
        labels: int, (N,). Their classes.
        balance: Whether every class weighs the same, however many texts it has.

    Source: Wang and Manning 2012, "Baselines and Bigrams" (log-count ratios as weights); Salton and
    Buckley 1988 (idf).
    """

    def __init__(
        self,
        layer: HashedPairs,
        texts: Sequence[npt.NDArray[np.integer[Any]]],
        labels: npt.ArrayLike,
        *,
        balance: bool = False,
    ) -> None:
        from scipy.sparse import csr_matrix, diags

        self._layer, self._balance = layer, balance
        self._labels_N = np.asarray(labels)
        rows = layer.buckets_of(texts)
        ends = np.cumsum([0, *map(len, rows)])
        columns = np.concatenate(rows)
        counts_NM = csr_matrix(
            (np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), layer.buckets)
        )
        counts_NM.sum_duplicates()
        texts_M = np.bincount(counts_NM.indices, minlength=layer.buckets)
        self._used_F = np.flatnonzero(texts_M > (1 if len(rows) > _SMALL else 0))
        counts_NF = counts_NM[:, self._used_F]
        holds_NF = counts_NF.sign()
        holding_FK = np.stack(
            [np.asarray(holds_NF[self._labels_N == k].sum(0))[0] for k in range(layer.classes)], 1
        )
        texts_K = np.bincount(self._labels_N, minlength=layer.classes)
        self._weights_F = _weights(holding_FK, texts_K)
        scale_N = 1.0 / np.sqrt(np.maximum(counts_NF @ self._weights_F**2, 1e-12))
        self._inputs_NF = (diags(scale_N) @ counts_NF @ diags(self._weights_F)).tocsr()
        self._fitted: dict[float, Any] = {}

    def put(self, strength: float) -> None:
        """Fits once, and puts the weights into the layer.

        Args:
            strength: C, the inverse of the weight of the L2 penalty.
        """
        from sklearn.linear_model import LogisticRegression

        layer = self._layer
        if strength not in self._fitted:
            self._fitted[strength] = LogisticRegression(
                C=strength,
                tol=_TOLERANCE,
                max_iter=1000,
                class_weight="balanced" if self._balance else None,
            ).fit(self._inputs_NF, self._labels_N)
        model = self._fitted[strength]
        fitted_KF, fitted_K = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            # scikit-learn gives the log-odds of the second alone.
            fitted_KF = np.vstack([-fitted_KF, fitted_KF]) / 2
            fitted_K = np.append(-fitted_K, fitted_K) / 2
        coefficients_MK = np.zeros((layer.buckets, layer.classes), np.float32)
        coefficients_MK[np.ix_(self._used_F, model.classes_)] = fitted_KF.T
        weights_M = np.zeros(layer.buckets)
        weights_M[self._used_F] = self._weights_F
        # A class without training texts is as unlikely as the unlikeliest.
        bias_K = np.full(layer.classes, fitted_K.min())
        bias_K[model.classes_] = fitted_K
        layer.set(weights_M=weights_M, coefficients_MK=coefficients_MK, bias_K=bias_K)


def _weights(
    holding_FK: npt.NDArray[np.floating[Any]], texts_K: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float64]:
    """What each bucket weighs.

    Args:
        holding_FK: float, (F, classes). How many texts of each class hold it.
        texts_K: int, (classes,). How many texts each class has.

    Returns:
        float64, (F,).
    """
    texts = texts_K.sum()
    idf_F = np.log((1 + texts) / (1 + holding_FK.sum(1))) + 1
    # Each class as if it had one more text that holds the bucket and one that does not.
    inside_FK = (holding_FK + 1) / (texts_K + 2)
    others_FK = holding_FK.sum(1, keepdims=True) - holding_FK
    outside_FK = (others_FK + 1) / (texts - texts_K + 2)
    ratio_F = np.abs(np.log(inside_FK / outside_FK)).max(1)
    return np.asarray(idf_F * np.sqrt(ratio_F))
