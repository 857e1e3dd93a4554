"""An n-gram model beside the network: their probabilities mixed, by a share that is chosen.

Networks that were trained for minutes on a small text know its long phrases less well than a table
of them does, and the table knows nothing of what it has not seen. Their mean is better than either.

Source: Mikolov et al. 2011, "Empirical Evaluation and Combination of Advanced Language Modeling
Techniques" (linear interpolation).
"""

# T tokens

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqapps.fields import Assets, asset, damaged_asset
from seqapps.text.ngram import NGram, interpolated
from seqapps.text.vocabulary import Ids

Losses = npt.NDArray[np.float64]

WEIGHTS = (0.0, 0.02, 0.05, *(share / 20 for share in range(2, 20)), 0.98, 0.995)
"""What the n-gram model's share is chosen from; at 0 it is left out. With the largest the mixture
is at most about 0.005 nats worse than n-grams alone, whatever the network is."""
_MODEL, _WEIGHT = "ngram.npz", "mixture.json"


def _table(weight: float) -> bytes:
    return json.dumps({"weight": weight}).encode()


@dataclass(frozen=True)
class Mixture:
    """An n-gram model and its share."""

    model: NGram
    """Of the network's tokens."""
    weight: float
    """λ, above 0 and below 1."""

    @classmethod
    def choose(cls, model: NGram, losses: Losses, ids: Ids) -> "Mixture | None":
        """Finds the share of `WEIGHTS` with which a text's loss is lowest.

        Args:
            model: Fitted on the training text.
            losses: float64, (T - 1,): the network's, in nats, of each token after the first.
            ids: int32, (T,). The validation text.

        Returns:
            None where the network is best alone.
        """
        beside = model.log_probs(ids)[1:]
        weight = max(WEIGHTS, key=lambda w: float(interpolated(-losses, beside, w).sum()))
        return cls(model, weight) if weight else None

    @property
    def assets(self) -> dict[str, bytes]:
        """Files from which `from_assets` makes it again."""
        return {_MODEL: self.model.to_bytes(), _WEIGHT: _table(self.weight)}

    @classmethod
    def from_assets(cls, assets: Assets) -> "Mixture | None":
        """Reads what `assets` gave; None where there is no such file, or the share is 0.

        Raises:
            UserError: If one is missing or damaged.
        """
        if not has_room(assets):
            return None
        try:
            weight = float(json.loads(assets[_WEIGHT])["weight"])
            if not weight:
                return None
            if not 0 < weight < 1:
                raise ValueError(f"the weight is {weight}")
        except (ValueError, KeyError, TypeError) as error:
            raise damaged_asset(_WEIGHT, error) from None
        try:
            return cls(NGram.from_bytes(asset(assets, _MODEL)), weight)
        except (ValueError, KeyError, OSError) as error:
            raise damaged_asset(_MODEL, error) from None

    def losses(self, losses: Losses, ids: Ids) -> Losses:
        """Losses of the mixture, in nats.

        Args:
            losses: float64, (..., T - 1): the network's, of each token after the first.
            ids: int32, (..., T).
        """
        rows = np.reshape(ids, (-1, ids.shape[-1]))
        beside = np.stack([self.model.log_probs(row)[1:] for row in rows])
        return np.asarray(-interpolated(-losses, beside.reshape(losses.shape), self.weight))


NONE = {_WEIGHT: _table(0.0)}
"""The files of a network that is best alone."""


def has_room(assets: Assets) -> bool:
    """Whether the served state has a place for an n-gram model's context."""
    return _WEIGHT in assets
