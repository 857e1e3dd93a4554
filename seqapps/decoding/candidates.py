"""The few most probable tokens of each row, without a log-softmax of the whole vocabulary."""

# N rows, V vocabulary, E tokens wanted, G groups of neighbouring tokens.

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from seqapps.decoding.loop import log_sum_exp

_GROUP = 32


def best_tokens(logits_NV: Any, *, count: Any, banned: Sequence[int] = ()) -> tuple[Any, Any]:
    """The most probable tokens of each row with their log-probabilities, best first.

    Ties go to the lower token.

    Args:
        logits_NV: (N, vocabulary), any float dtype.
        count: int32 scalar. Tokens wanted; fewer are returned where the vocabulary is smaller.
        banned: Distinct tokens that get -inf; they still count in the normaliser.

    Returns:
        float32 and int32, (N, count).
    """
    logits_NV = tf.cast(logits_NV, tf.float32)
    # More tokens than asked for, so that enough are left without the banned ones: no mask of
    # size (N, V) is ever added.
    most = tf.minimum(count + len(banned), tf.shape(logits_NV)[1])
    top_NE, tokens_NE = top_logits(logits_NV, most)
    # Rounding can lift the log-probability of a certain token above 0.
    log_probs_NE = tf.minimum(top_NE - log_sum_exp(logits_NV, top_NE[:, 0])[:, None], 0.0)
    if not banned:
        return log_probs_NE, tokens_NE
    hit_NE = tf.reduce_any(tokens_NE[:, :, None] == list(banned), axis=2)
    log_probs_NE, kept_NE = tf.math.top_k(
        tf.where(hit_NE, float("-inf"), log_probs_NE), tf.minimum(count, most)
    )
    return log_probs_NE, tf.gather(tokens_NE, kept_NE, batch_dims=1)


def top_logits(logits_NV: Any, count: Any) -> tuple[Any, Any]:
    """`tf.math.top_k` for few of many: the same answer, ties included, several times faster.

    The largest values lie in the groups with the largest maxima, and maxima are vectorised where
    `top_k` compares one value after the other.

    Args:
        logits_NV: float32, (N, vocabulary).
        count: int32 scalar, at most the vocabulary.

    Returns:
        float32 and int32, (N, count): values and their positions.
    """
    vocabulary = tf.shape(logits_NV)[1]
    rest = -vocabulary % _GROUP
    if logits_NV.shape[1] is None or logits_NV.shape[1] % _GROUP:
        logits_NV = tf.pad(logits_NV, [[0, 0], [0, rest]], constant_values=float("-inf"))
    groups = (vocabulary + rest) // _GROUP
    logits_NGe = tf.reshape(logits_NV, [tf.shape(logits_NV)[0], groups, _GROUP])
    _, best_NG = tf.math.top_k(tf.reduce_max(logits_NGe, axis=2), tf.minimum(count, groups))
    # In the vocabulary's order again, so that equal logits stay in the order of their tokens.
    best_NG = tf.sort(best_NG, axis=1)
    few_NGe = tf.gather(logits_NGe, best_NG, batch_dims=1)
    tokens_NGe = best_NG[:, :, None] * _GROUP + tf.range(_GROUP)
    flat = [tf.shape(few_NGe)[0], tf.shape(few_NGe)[1] * _GROUP]
    top_NE, picked_NE = tf.math.top_k(tf.reshape(few_NGe, flat), count)
    return top_NE, tf.gather(tf.reshape(tokens_NGe, flat), picked_NE, batch_dims=1)
