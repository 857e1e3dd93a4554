"""One hypothesis a row: greedy search, and sampling with temperature, top-k and top-p."""

# B batch, V vocabulary.

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from seqapps.decoding.loop import (
    Hypotheses,
    Step,
    banned_mask,
    batch_size,
    check_special,
    decode_single,
    per_row,
)
from seqapps.decoding.noise import gumbel


def greedy(
    step: Step,
    state: Any,
    memory: Any,
    *,
    bos: int,
    eos: int,
    max_steps: Any,
    banned: Sequence[int] = (),
) -> Hypotheses:
    """Takes the most probable token at every step; ties go to the lowest token.

    The text is that of `beam_search` with `beam_width=1`, without the cost of beams.

    Args:
        step: The network's step, see `seqapps.decoding.loop.Step`.
        state: Nest of tensors with leading axis (batch,), before the first step.
        memory: Nest of tensors with leading axis (batch,), the same at every step.
        bos: Token that starts every row.
        eos: Token that ends a row.
        max_steps: int32, (batch,), (1,) or a number. Tokens at most in each row; a row that
            reaches it is cut and not finished, and 0 gives an empty row.
        banned: Tokens that are never chosen. Log-probabilities stay the network's own.

    Returns:
        One hypothesis a row (K = 1) whose score is its log-probability.

    Raises:
        ValueError: If EOS is banned, or a token is negative.
    """
    check_special(bos=bos, eos=eos, banned=banned)

    def choose(logits_BV: Any, _: Any) -> Any:
        allowed_BV = logits_BV + banned_mask(logits_BV, banned)
        return tf.argmax(allowed_BV, axis=1, output_type=tf.int32)

    return decode_single(choose, step, state, memory, bos=bos, eos=eos, max_steps=max_steps)


def sample(
    step: Step,
    state: Any,
    memory: Any,
    *,
    bos: int,
    eos: int,
    max_steps: Any,
    seed: Any,
    temperature: Any = 1.0,
    top_k: Any = 0,
    top_p: Any = 1.0,
    banned: Sequence[int] = (),
) -> Hypotheses:
    """Draws one hypothesis a row; equal seeds give equal text, alone and in any batch.

    Logits are divided by the temperature, then cut to the `top_k` most probable tokens, then to
    the smallest set of most probable tokens that holds at least `top_p` of what is left (Holtzman
    et al. 2020); ties go to the lowest token. Every option is a number, (1,) or (batch,).

    Args:
        step: The network's step, see `seqapps.decoding.loop.Step`.
        state: Nest of tensors with leading axis (batch,), before the first step.
        memory: Nest of tensors with leading axis (batch,), the same at every step.
        bos: Token that starts every row.
        eos: Token that ends a row.
        max_steps: int32. Tokens at most in each row, see `greedy`.
        seed: int64. Rows with the same seed see the same noise.
        temperature: float32. Below 1 sharper, above 1 flatter; 0 (or less) is greedy search.
        top_k: int32. Most probable tokens to draw from; 0 (or less) for all.
        top_p: float32. Probability to draw from; 1 (or more) for all. The most probable token
            always stays.
        banned: Tokens that are never drawn. Log-probabilities stay the network's own.

    Returns:
        One hypothesis a row (K = 1). Scores and log-probabilities are the network's own, at
        temperature 1 and before any cut.

    Raises:
        ValueError: If EOS is banned, or a token is negative.
    """
    check_special(bos=bos, eos=eos, banned=banned)
    batch = batch_size(state, memory)
    seeds_B = per_row(seed, batch, tf.int64)
    heat_B = per_row(temperature, batch, tf.float32)
    top_k_B = per_row(top_k, batch, tf.int32)
    top_p_B = per_row(top_p, batch, tf.float32)
    cut = tf.reduce_any((top_k_B > 0) | (top_p_B < 1.0))

    def choose(logits_BV: Any, t: Any) -> Any:
        logits_BV = logits_BV + banned_mask(logits_BV, banned)
        # Shifted before the division: a tiny temperature then gives 0 and -inf, never NaN.
        shifted_BV = logits_BV - tf.reduce_max(logits_BV, axis=1, keepdims=True)
        hot_B = heat_B > 0.0
        scaled_BV = shifted_BV / tf.where(hot_B, heat_B, 1.0)[:, None]
        kept_BV = tf.cond(
            cut, lambda: keep_top(scaled_BV, top_k=top_k_B, top_p=top_p_B), lambda: scaled_BV
        )
        noise_BV = gumbel(seeds_B, t, tf.shape(logits_BV)[1])
        drawn_BV = tf.where(hot_B[:, None], kept_BV + noise_BV, logits_BV)
        return tf.argmax(drawn_BV, axis=1, output_type=tf.int32)

    return decode_single(choose, step, state, memory, bos=bos, eos=eos, max_steps=max_steps)


def keep_top(logits_BV: Any, *, top_k: Any, top_p: Any) -> Any:
    """Sets logits outside the top k, then outside the top p of the rest, to -inf.

    Args:
        logits_BV: float32, (batch, vocabulary).
        top_k: int32, (batch,). 0 or less keeps all.
        top_p: float32, (batch,). 1 or more keeps all; the most probable token always stays.

    Returns:
        float32, (batch, vocabulary).
    """
    vocabulary = tf.shape(logits_BV)[1]
    # The full order, so that a row's sums never depend on what its batch-mates ask for.
    sorted_BV, order_BV = tf.math.top_k(logits_BV, vocabulary)
    ranks_V = tf.range(vocabulary)
    in_k_BV = (top_k[:, None] <= 0) | (ranks_V < top_k[:, None])
    probs_BV = tf.nn.softmax(tf.where(in_k_BV, sorted_BV, float("-inf")))
    before_BV = tf.cumsum(probs_BV, axis=1, exclusive=True)
    in_p_BV = (top_p[:, None] >= 1.0) | (before_BV < top_p[:, None]) | (ranks_V == 0)
    kept_BV = in_k_BV & in_p_BV
    # Back from sorted order to token order.
    rows_BV = tf.broadcast_to(tf.range(tf.shape(order_BV)[0])[:, None], tf.shape(order_BV))
    stays_BV = tf.scatter_nd(tf.stack([rows_BV, order_BV], axis=2), kept_BV, tf.shape(order_BV))
    return tf.where(stays_BV, logits_BV, float("-inf"))
