"""What every decoder shares: the step it drives, the record it returns, rows of options.

A decoder asks a network for the next token's logits, one step at a time, inside the graph:

    logits_NV, state = step(tokens_N, state, memory)

`state` changes from step to step (an RNN's hidden state); `memory` does not (encoder outputs,
their lengths, projected attention keys). Both are nests of tensors with a leading row axis.
"""

# B batch, W beam width, N rows in the loop (B × W), V vocabulary, T target steps, K hypotheses.

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Step = Callable[[Any, Any, Any], tuple[Any, Any]]
"""`step(tokens_N int32, state, memory) -> (logits_NV, state)`, the state of the same nest, shapes
and dtypes; logits of any float dtype, decoded in float32. Row n of each result may depend on row n
of the arguments only."""


class Hypotheses(NamedTuple):
    """What a decoder gives, best first in every row.

    Finished hypotheses (those that ended with EOS) come before unfinished ones (cut at the row's
    `max_steps`), and each group is sorted by score. A slot without a hypothesis has length 0,
    score and log-probability -inf, and is not finished.
    """

    tokens: Any
    """int32, (batch, K, T): tokens without BOS and EOS, 0 past each length. T is the longest."""
    lengths: Any
    """int32, (batch, K): real tokens of each hypothesis, EOS not counted."""
    scores: Any
    """float32, (batch, K): log-probability divided by the length penalty, if there is one."""
    log_probs: Any
    """float32, (batch, K): the network's log-probability (nats) of the tokens and, where finished,
    of EOS after them."""
    finished: Any
    """bool, (batch, K): ended with EOS. False: cut at `max_steps`, or an unused slot."""


def check_special(*, bos: Any, eos: int, banned: Sequence[int]) -> None:
    """Checks the special tokens before anything is traced.

    Raises:
        ValueError: If an identifier is negative, or EOS is banned.
    """
    for name, value in (("bos", bos), ("eos", eos), *(("banned", token) for token in banned)):
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{name} must be a token of the vocabulary (0 or more), got {value}.")
    if eos in banned:
        raise ValueError(
            f"eos must not be banned, got eos={eos} and banned={tuple(banned)}; "
            "use max_steps to end hypotheses earlier."
        )


def batch_size(state: Any, memory: Any) -> Any:
    """Number of rows, int32 scalar, read from the first tensor of state and memory.

    Raises:
        ValueError: If neither holds a tensor.
    """
    tensors = tf.nest.flatten((state, memory))
    if not tensors:
        raise ValueError(
            "state and memory must hold at least one tensor with a leading batch axis, got none; "
            "pass any (batch,) tensor as memory."
        )
    return tf.shape(tensors[0])[0]


def per_row(value: Any, batch: Any, dtype: Any) -> Any:
    """An option with one value a row: a number or (1,) serves every row, (batch,) stays."""
    return tf.broadcast_to(tf.cast(value, dtype), [batch])


def invariants(state: Any) -> Any:
    """Shapes that the state keeps through a `tf.while_loop`: all but the number of rows."""
    return tf.nest.map_structure(lambda x: tf.TensorShape([None]).concatenate(x.shape[1:]), state)


def as_tensors(nest: Any) -> Any:
    """The nest with every leaf a tensor, so that NumPy arrays and Keras variables may be given."""
    return tf.nest.map_structure(tf.convert_to_tensor, nest)


def log_sum_exp(logits_NV: Any, largest_N: Any) -> Any:
    """The normaliser ln Σ exp(logits), float32, (N,), given each row's largest logit.

    A decoder reads few log-probabilities of each row, so it subtracts this from those few instead
    of computing them all.
    """
    return largest_N + tf.math.log(tf.reduce_sum(tf.exp(logits_NV - largest_N[:, None]), axis=1))


def log_probs_of(logits_BV: Any, tokens_B: Any, open_B: Any) -> Any:
    """The network's own log-probability of each token, float32, (B,); 0 where a row is not open."""
    total_B = log_sum_exp(logits_BV, tf.reduce_max(logits_BV, axis=1))
    log_probs_B = tf.gather(logits_BV, tokens_B, batch_dims=1) - total_B
    # Rounding can lift the log-probability of a certain token above 0.
    return tf.where(open_B, tf.minimum(log_probs_B, 0.0), 0.0)


def banned_mask(logits_NV: Any, banned: Sequence[int]) -> Any:
    """float32, (V,): -inf for banned tokens, else 0."""
    vocabulary = tf.shape(logits_NV)[1]
    if not banned:
        return tf.zeros([vocabulary])
    hit_V = tf.reduce_any(tf.range(vocabulary)[:, None] == list(banned), axis=1)
    return tf.where(hit_V, float("-inf"), 0.0)


class _Single(NamedTuple):
    """Everything that changes from step to step where each row has one hypothesis."""

    t: Any
    """Steps taken."""
    tokens_B: Any
    """The last token of each row."""
    state: Any
    """Nest with leading axis (batch,)."""
    log_probs_B: Any
    """Of the tokens so far."""
    finished_B: Any
    """Rows that ended with EOS."""
    open_B: Any
    """Rows that go on."""
    past_TB: Any
    """The tokens after each step."""


def decode_single(
    choose: Callable[[Any, Any], Any],
    step: Step,
    state: Any,
    memory: Any,
    *,
    bos: int,
    eos: int,
    max_steps: Any,
) -> Hypotheses:
    """Follows one hypothesis a row; greedy search and sampling differ in `choose` alone.

    Args:
        choose: `(logits_BV float32, steps_taken int32 scalar) -> tokens_B int32`.
        step: The network's step, see `Step`.
        state: Nest of tensors with leading axis (batch,), before the first step.
        memory: Nest of tensors with leading axis (batch,), the same at every step.
        bos: Token that starts every row.
        eos: Token that ends a row.
        max_steps: int32, (batch,), (1,) or a number. Tokens at most in each row.

    Returns:
        One hypothesis a row (K = 1) whose score is its log-probability.
    """
    state, memory = as_tensors(state), as_tensors(memory)
    batch = batch_size(state, memory)
    limits_B = per_row(max_steps, batch, tf.int32)

    def advance(now: _Single) -> tuple[_Single]:
        logits_BV, state = step(now.tokens_B, now.state, memory)
        logits_BV = tf.cast(logits_BV, tf.float32)
        tokens_B = choose(logits_BV, now.t)
        ended_B = now.open_B & (tokens_B == eos)
        # A closed row writes EOS, which marks its length when the loop is over.
        written_B = tf.where(now.open_B, tokens_B, eos)
        after = _Single(
            t=now.t + 1,
            tokens_B=tokens_B,
            state=state,
            log_probs_B=now.log_probs_B + log_probs_of(logits_BV, tokens_B, now.open_B),
            finished_B=now.finished_B | ended_B,
            open_B=now.open_B & ~ended_B & (now.t + 1 < limits_B),
            past_TB=tf.concat([now.past_TB, written_B[None]], axis=0),
        )
        return (after,)

    start = _Single(
        t=tf.constant(0),
        tokens_B=tf.fill([batch], bos),
        state=state,
        log_probs_B=tf.zeros([batch]),
        finished_B=tf.zeros([batch], tf.bool),
        open_B=limits_B > 0,
        past_TB=tf.zeros([0, batch], tf.int32),
    )
    row, past = tf.TensorShape([None]), tf.TensorShape([None, None])
    shapes = _Single(tf.TensorShape([]), row, invariants(state), row, row, row, past)
    (last,) = tf.while_loop(
        lambda now: tf.reduce_any(now.open_B), advance, (start,), shape_invariants=(shapes,)
    )
    past_BT = tf.transpose(last.past_TB)
    lengths_B = tf.reduce_sum(tf.cast(past_BT != eos, tf.int32), axis=1)
    past_BT = past_BT[:, : tf.maximum(tf.reduce_max(lengths_B), 0)]
    return Hypotheses(
        tokens=tf.where(past_BT == eos, 0, past_BT)[:, None],
        lengths=lengths_B[:, None],
        scores=last.log_probs_B[:, None],
        log_probs=last.log_probs_B[:, None],
        finished=last.finished_B[:, None],
    )
