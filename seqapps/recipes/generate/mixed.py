"""The network as it is served: by itself, or mixed with an n-gram model."""

# B batch, T tokens, S width of the state, V vocabulary

import math
from typing import Any

import keras
import tensorflow as tf

from seqapps.recipes.generate.mixture import Mixture
from seqapps.recipes.generate.network import read, state_size, step
from seqapps.recipes.generate.ngram_graph import GraphNGram


class MixedNetwork:
    """What reads tokens and says how likely the next ones are.

    Its state is the network's, and the n-gram model's context behind it: a number below 2^24, which
    a float32 holds exactly.

    Args:
        network: From `build_recurrent_lm`.
        mixture: The n-gram model; None for the network alone.
        room: Whether the state has a place for a context, also where there is no n-gram model.
    """

    def __init__(self, network: keras.Model, mixture: Mixture | None, *, room: bool) -> None:
        self._network, self._own = network, state_size(network)
        self._beside = GraphNGram(mixture.model) if mixture else None
        self._contexts = len(mixture.model.log_prob) if mixture else 0
        self._weight = mixture.weight if mixture else 0.0
        self.state_size = self._own + int(room)

    def judge(self, tokens_BT: Any, lengths_B: Any, state_BS: Any) -> tuple[Any, Any]:
        """Reads all but the last of some tokens.

        Args:
            tokens_BT: int32, (B, 1 + T), T at least 1.
            lengths_B: int32, (B,). Real tokens of T; 0 allowed.
            state_BS: float32, (B, S).

        Returns:
            The log-probability of each token after the first, float32 (B, T), 0 past the length;
            and the state before each row's last real token is read.
        """
        own_BS, rest = state_BS[:, : self._own], state_BS[:, self._own :]
        logits_BTV, own_BS = read(self._network, tokens_BT[:, :-1], lengths_B, own_BS)
        gains_BT = -tf.nn.sparse_softmax_cross_entropy_with_logits(tokens_BT[:, 1:], logits_BTV)
        if self._beside:
            before_B = self._context(rest)
            beside_BT, nodes_BT = self._beside.read(tokens_BT, before_B)
            gains_BT = self._mean(gains_BT, beside_BT[:, 1:])
            contexts_BT = tf.concat([before_B[:, tf.newaxis], nodes_BT], 1)
            rest = tf.cast(tf.gather(contexts_BT, lengths_B, batch_dims=1), tf.float32)
            rest = rest[:, tf.newaxis]
        real_BT = tf.sequence_mask(lengths_B, tf.shape(gains_BT)[1])
        return tf.where(real_BT, gains_BT, 0.0), tf.concat([own_BS, rest], 1)

    def step(self, tokens_B: Any, state_BS: Any) -> tuple[Any, Any]:
        """Reads one token in each row.

        Args:
            tokens_B: int32, (B,).
            state_BS: float32, (B, S).

        Returns:
            Logits of the token after it, float32 (B, V), and the state.
        """
        own_BS, rest = state_BS[:, : self._own], state_BS[:, self._own :]
        logits_BV, own_BS = step(self._network, tokens_B, own_BS)
        if self._beside:
            _, nodes_BT = self._beside.read(tokens_B[:, tf.newaxis], self._context(rest))
            log_probs_BV = tf.nn.log_softmax(tf.cast(logits_BV, tf.float32))
            logits_BV = self._mean(log_probs_BV, self._beside.distribution(nodes_BT[:, 0]))
            rest = tf.cast(nodes_BT, tf.float32)
        return logits_BV, tf.concat([own_BS, rest], 1)

    def _context(self, rest_B1: Any) -> Any:
        # A caller may send anything; nothing may be read outside of a table.
        return tf.clip_by_value(tf.cast(rest_B1[:, 0], tf.int32), 0, self._contexts - 1)

    def _mean(self, own: Any, beside: Any) -> Any:
        """Log-probabilities of the mixture."""
        own, beside = own + math.log1p(-self._weight), beside + math.log(self._weight)
        highest = tf.maximum(own, beside)
        # Both are finite: the n-gram model holds nothing impossible, and λ is below 1.
        return highest + tf.math.log1p(tf.exp(-tf.abs(own - beside)))
