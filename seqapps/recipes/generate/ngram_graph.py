"""An n-gram model as look-up tables of a graph: the numbers of `text.ngram.NGram`."""

# B batch, T tokens, V vocabulary, K contexts of a row, N nodes, C children of all contexts

from typing import Any

import numpy as np
import tensorflow as tf

from seqapps.text.graph_part import graph_part
from seqapps.text.ngram import NGram
from seqapps.text.normalise_graph import constant


class GraphNGram:
    """An n-gram model in core operations.

    A context is a node's number, int32: the root, 0, where a text begins.

    Args:
        model: What was fitted, of less than 2^31 nodes.

    Attributes:
        read: See `_read`.
        distribution: See `_distribution`.
    """

    def __init__(self, model: NGram) -> None:
        nodes = np.arange(len(model.log_prob) + 1, dtype=np.int64)
        with tf.device("/CPU:0"):
            self._keys = constant(model.keys, tf.int64)
            self._log_prob = constant(model.log_prob, tf.float32)
            self._backoff = constant(model.log_backoff, tf.float32)
            self._suffix = constant(model.suffix, tf.int32)
            # The children of a node stand side by side: where they begin, and where the next's do.
            first = np.searchsorted(model.keys, nodes * model.vocabulary) + 1
            self._first = constant(first, tf.int32)
        self._vocabulary, self._order = model.vocabulary, model.order
        nodes_B = tf.TensorSpec([None], tf.int32)
        self.read = graph_part(self._read, tf.TensorSpec([None, None], tf.int32), nodes_B)
        self.distribution = graph_part(self._distribution, nodes_B)

    def _read(self, tokens_BT: Any, nodes_B: Any) -> tuple[Any, Any]:
        """Reads tokens.

        Args:
            tokens_BT: int32, (B, T), T at least 1.
            nodes_B: int32, (B,). Contexts of the first.

        Returns:
            The log-probability, in nats, of each token after those before it, float32 (B, T); and
            the contexts after each, int32 (B, T).
        """
        chain_BK = self._chain(nodes_B)
        # Before the first token, the context of 0 tokens, of 1, 2 ...; -1 where it was never seen.
        depth_BK = tf.reduce_sum(tf.cast(chain_BK > 0, tf.int32), 1, keepdims=True)
        places_BK = depth_BK - tf.range(self._order)
        before_BK = tf.where(
            places_BK >= 0, tf.gather(chain_BK, tf.maximum(places_BK, 0), batch_dims=1), -1
        )
        context_BT = tf.zeros_like(tokens_BT)
        total_BT = tf.zeros_like(tokens_BT, tf.float32)
        reached_BT = tf.zeros_like(tokens_BT)
        for length in range(1, self._order + 1):
            known_BT = context_BT >= 0
            context_BT = tf.maximum(context_BT, 0)
            child_BT = tf.where(known_BT, self._child(context_BT, tokens_BT), 0)
            hit_BT = child_BT > 0
            backoff_BT = tf.where(known_BT, tf.gather(self._backoff, context_BT), 0.0)
            total_BT = tf.where(hit_BT, tf.gather(self._log_prob, child_BT), total_BT + backoff_BT)
            if length < self._order:
                reached_BT = tf.where(hit_BT, child_BT, reached_BT)
                child_BT = tf.where(hit_BT, child_BT, -1)
                context_BT = tf.concat([before_BK[:, length, tf.newaxis], child_BT[:, :-1]], 1)
        return total_BT, reached_BT

    def _distribution(self, nodes_B: Any) -> Any:
        """Log-probability, in nats, of every token after contexts int32 (B,): float32, (B, V)."""
        chain_BK = self._chain(nodes_B)
        shape = tf.shape(chain_BK)
        contexts_R = tf.reshape(chain_BK, [-1])
        first_R = tf.gather(self._first, contexts_R)
        counts_R = tf.gather(self._first, contexts_R + 1) - first_R
        rows_C = tf.repeat(tf.range(tf.size(counts_R)), counts_R)
        skipped_R = tf.cumsum(counts_R, exclusive=True)
        children_C = tf.range(tf.size(rows_C)) - tf.gather(skipped_R - first_R, rows_C)
        keys_C = tf.gather(self._keys, children_C - 1)
        tokens_C = tf.cast(keys_C % self._vocabulary, tf.int32)
        # 0 where a context has no child for a token: what it has is never as likely as that.
        children_RV = tf.scatter_nd(
            tf.stack([rows_C, tokens_C], 1),
            children_C,
            tf.stack([tf.size(counts_R), self._vocabulary]),
        )
        children_BKV = tf.reshape(children_RV, tf.concat([shape, [self._vocabulary]], 0))
        log_probs_BKV = tf.gather(self._log_prob, children_BKV)
        backoff_BK = tf.gather(self._backoff, chain_BK)
        # The root, which has every token, is the last of each chain.
        total_BV = log_probs_BKV[:, -1]
        for place in reversed(range(self._order - 1)):
            backed_BV = backoff_BK[:, place, tf.newaxis] + total_BV
            total_BV = tf.where(children_BKV[:, place] > 0, log_probs_BKV[:, place], backed_BV)
        return total_BV

    def _chain(self, nodes_B: Any) -> Any:
        """Each context and, one after another, those without its first token: int32, (B, K).

        The root comes last, and as often as it takes for K = the order.
        """
        chain = [nodes_B]
        for _ in range(self._order - 1):
            chain.append(tf.gather(self._suffix, chain[-1]))
        return tf.stack(chain, 1)

    def _child(self, nodes: Any, tokens: Any) -> Any:
        """The children for these tokens, 0 where there is none; int32 of any shape."""
        wanted = tf.cast(nodes, tf.int64) * self._vocabulary + tf.cast(tokens, tf.int64)
        places = tf.searchsorted(self._keys, tf.reshape(wanted, [-1]))
        places = tf.reshape(tf.minimum(places, tf.size(self._keys) - 1), tf.shape(wanted))
        return tf.where(tf.gather(self._keys, places) == wanted, places + 1, 0)
