"""AdamW whose learning rate and weight decay can differ between groups of layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True)
class LayerGroup:
    """Variables that learn at a rate of their own.

    Source: Howard and Ruder 2018 (discriminative fine-tuning, gradual unfreezing).
    """

    variables: Sequence[keras.Variable]
    """Of the network."""
    share: float = 1.0
    """Their learning rate and decay, as a share of the schedule's."""
    first_epoch: float = 0.0
    """When they begin to learn; before, neither gradient nor decay moves them."""


@keras.saving.register_keras_serializable("seqapps")
class GroupedAdamW(keras.optimizers.AdamW):
    """AdamW with a share of the learning rate for each variable.

    Stock AdamW takes its decay from one rate for all, so a layer whose gradient is scaled or
    stopped is decayed in full. Here both follow the variable's own rate. Moments of a variable are
    kept up to date while it stands still.

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    shares: Sequence[tuple[float, int]] = ()
    """For each variable its share of the rate and its first step; empty: all in full."""

    def set_groups(
        self, variables: Sequence[keras.Variable], groups: Sequence[tuple[LayerGroup, int]]
    ) -> None:
        """Says at which share of the rate each variable learns, and from which step.

        Args:
            variables: All that the optimizer was built with, in that order.
            groups: (group, step at which it begins to learn); other variables learn in full from
                the first step.

        Raises:
            ValueError: If a variable is in two groups, or none of these.
        """
        places = {id(variable): i for i, variable in enumerate(variables)}
        shares = [(1.0, 0)] * len(variables)
        seen: set[int] = set()
        for group, first_step in groups:
            for variable in group.variables:
                if id(variable) not in places or id(variable) in seen:
                    raise ValueError(
                        f"groups must hold variables of the network, each once; {variable.path} "
                        "is not one, or is in two groups."
                    )
                seen.add(id(variable))
                shares[places[id(variable)]] = (group.share, first_step)
        self.shares = shares

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decays and updates one variable."""
        place = self._get_variable_index(variable)
        share, first_step = self.shares[place] if self.shares else (1.0, 0)
        rate = learning_rate
        if share != 1.0:
            rate = rate * share
        if first_step:
            rate = tf.where(self.iterations.value >= first_step, rate, 0.0)
        if self.weight_decay and self._use_weight_decay(variable):
            decay = tf.cast(self.weight_decay, variable.dtype)
            variable.assign_sub(variable * decay * tf.cast(rate, variable.dtype))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Done in `update_step`, at each variable's own rate."""
