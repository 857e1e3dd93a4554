"""Beam search and sampling in NumPy: line by line what `seqapps.decoding` does in the graph."""

# B batch, W widest beam, N rows of the loop (B × W), K hypotheses returned, C candidates (2W),
# E extensions of one hypothesis (2W), V vocabulary

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

NEVER = np.float32(-np.inf)

Extend = Callable[[Any, Any, int], tuple[Any, Any, Any]]
"""`extend(tokens_N, state, count) -> (log_probs_NE, tokens_NE, state)`: the likeliest `count`
next tokens of each row, best first."""
Logits = Callable[[Any, Any], tuple[Any, Any]]
"""`logits(tokens_N, state) -> (logits_NV, state)`."""


class Found(NamedTuple):
    """Hypotheses of each row, best first."""

    tokens: list[list[Any]]
    """int32, (length,) each, without BOS and EOS."""
    scores: Any
    """float32, (B, K): -inf where there is none."""


def best_of(values: Any, count: int) -> tuple[Any, Any]:
    """The `count` largest of each row and where they are; ties go to the first."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values, order, 1), order


def beam_search(
    extend: Extend,
    state: Any,
    *,
    bos: Any,
    eos: int,
    beam_width: Any,
    max_steps: Any,
    length_penalty: Any,
    n_best: Any,
) -> Found:
    """Finds the hypotheses of the highest score, log-probability by length penalty.

    Args:
        extend: The network's step.
        state: Its state by name, an array (B, ...) each.
        bos: Token that starts every hypothesis, or one for each row.
        eos: Token that ends one.
        beam_width: int32, (B,).
        max_steps: int32, (B,).
        length_penalty: float32, (B,).
        n_best: int32, (B,).
    """
    width_B = np.maximum(beam_width, 1)
    n_best_B = np.clip(n_best, 1, width_B)
    max_steps_B = np.maximum(max_steps, 0)
    alpha_B = length_penalty.astype(np.float32)
    batch, widest, most = len(width_B), int(width_B.max()), int(n_best_B.max())

    def penalty(length: Any) -> Any:
        return ((np.float32(5) + np.asarray(length, np.float32)) / np.float32(6)) ** alpha_B

    rows_N = np.repeat(np.arange(batch), widest)
    state = {name: value[rows_N] for name, value in state.items()}
    tokens_BW = np.broadcast_to(np.reshape(bos, (-1, 1)), (batch, widest)).astype(np.int32)
    live_BW = np.full((batch, widest), NEVER)
    live_BW[:, 0] = 0
    scores_BK = np.full((batch, most), NEVER)
    log_probs_BK = np.full((batch, most), NEVER)
    lengths_BK, ends_BK = np.zeros((2, batch, most), np.int32)
    open_B = max_steps_B > 0
    past: list[tuple[Any, Any]] = []
    t = 0
    while open_B.any():
        gains_NE, new_NE, state = extend(tokens_BW.reshape(-1), state, 2 * widest)
        extensions = gains_NE.shape[1]
        flat = (batch, widest * extensions)
        totals_BWE = live_BW[:, :, None] + gains_NE.reshape(batch, widest, extensions)
        totals_BC, chosen_BC = best_of(totals_BWE.reshape(flat), min(2 * widest, flat[1]))
        parents_BC = chosen_BC // extensions
        tokens_BC = np.take_along_axis(new_NE.reshape(flat), chosen_BC, 1)
        ends_BC = tokens_BC == eos
        ranks_C = np.arange(totals_BC.shape[1])
        finishing_BC = ends_BC & (ranks_C < width_B[:, None]) & open_B[:, None]
        done_BC = np.where(finishing_BC, totals_BC, NEVER)
        if finishing_BC.any():
            every = np.concatenate([scores_BK, done_BC / penalty(t + 1)[:, None]], 1)
            scores_BK, kept_BK = best_of(every, most)

            def keep(old_BK: Any, new_BC: Any, kept_BK: Any = kept_BK) -> Any:
                return np.take_along_axis(np.concatenate([old_BK, new_BC], 1), kept_BK, 1)

            log_probs_BK = keep(log_probs_BK, done_BC)
            lengths_BK = keep(lengths_BK, np.full_like(tokens_BC, t))
            ends_BK = keep(ends_BK, parents_BC)
        after_BW, picked_BW = best_of(np.where(ends_BC, NEVER, totals_BC), widest)
        after_BW = np.where(np.arange(widest) < width_B[:, None], after_BW, NEVER)
        parents_BW = np.take_along_axis(parents_BC, picked_BW, 1)
        tokens_BW = np.take_along_axis(tokens_BC, picked_BW, 1)
        # A closed row keeps its live hypotheses as they were when it closed.
        live_BW = np.where(open_B[:, None], after_BW, live_BW)
        rows_N = (np.arange(batch)[:, None] * widest + parents_BW).reshape(-1)
        state = {name: value[rows_N] for name, value in state.items()}
        past.append((tokens_BW, parents_BW))
        t += 1
        # Whether going on can change what is returned.
        worst_B = np.take_along_axis(scores_BK, n_best_B[:, None] - 1, 1)[:, 0]
        divisor_B = np.maximum(penalty(t + 1), penalty(max_steps_B))
        greedy_end_B = (width_B == 1) & (scores_BK[:, 0] > NEVER)
        open_B = open_B & (t < max_steps_B) & (worst_B < live_BW[:, 0] / divisor_B) & ~greedy_end_B
    tokens: list[list[Any]] = []
    final_BK = np.full((batch, most), NEVER)
    cut_BW = live_BW / penalty(max_steps_B)[:, None]
    for row in range(batch):
        ended = int((scores_BK[row] > NEVER).sum())
        tokens.append([])
        for slot in range(int(n_best_B[row])):
            if slot < ended:
                score, length, end = scores_BK[row, slot], lengths_BK[row, slot], ends_BK[row, slot]
            elif slot - ended < widest and live_BW[row, slot - ended] > NEVER:
                score, length, end = cut_BW[row, slot - ended], max_steps_B[row], slot - ended
            else:
                break
            final_BK[row, slot] = score
            tokens[-1].append(_trace(past[: int(length)], row, int(end)))
    return Found(tokens, final_BK)


def _trace(past: list[tuple[Any, Any]], row: int, slot: int) -> Any:
    """The tokens of the hypothesis that stood in `slot` after the last of some steps."""
    backwards = []
    for tokens_BW, parents_BW in reversed(past):
        backwards.append(tokens_BW[row, slot])
        slot = parents_BW[row, slot]
    return np.array(backwards[::-1], np.int32)


def sample(
    logits: Logits,
    state: Any,
    *,
    bos: int,
    eos: int,
    max_steps: Any,
    seed: Any,
    temperature: Any,
    top_k: Any,
    top_p: Any,
    banned: Any,
) -> Found:
    """Draws one hypothesis a row; equal seeds give the text that the SavedModel gives.

    Args:
        logits: The network's step.
        state: Its state by name, an array (B, ...) each.
        bos: Token that starts every row.
        eos: Token that ends a row.
        max_steps: int32, (B,).
        seed: int64, (B,).
        temperature: float32, (B,); 0 takes the likeliest token.
        top_k: int32, (B,).
        top_p: float32, (B,).
        banned: Tokens that are never drawn.
    """
    batch = len(max_steps)
    tokens_B = np.full(batch, bos, np.int32)
    score_B = np.zeros(batch, np.float32)
    open_B = max_steps > 0
    hot_B1 = temperature[:, None] > 0
    heat_B1 = np.where(hot_B1, temperature[:, None], np.float32(1))
    texts: list[list[int]] = [[] for _ in range(batch)]
    t = 0
    while open_B.any():
        logits_BV, state = logits(tokens_B, state)
        allowed_BV = logits_BV.copy()
        allowed_BV[:, list(banned)] = NEVER
        scaled_BV = (allowed_BV - allowed_BV.max(1, keepdims=True)) / heat_B1
        kept_BV = scaled_BV
        if ((top_k > 0) | (top_p < 1)).any():
            kept_BV = keep_top(scaled_BV, top_k, top_p)
        drawn_BV = np.where(hot_B1, kept_BV + gumbel(seed, t, logits_BV.shape[1]), allowed_BV)
        tokens_B = drawn_BV.argmax(1).astype(np.int32)
        gain_B = log_prob(logits_BV, tokens_B)
        score_B = score_B + np.where(open_B, gain_B, np.float32(0))
        t += 1
        for row in np.flatnonzero(open_B & (tokens_B != eos)):
            texts[row].append(int(tokens_B[row]))
        open_B = open_B & (tokens_B != eos) & (t < max_steps)
    return Found([[np.array(text, np.int32)] for text in texts], score_B[:, None])


def log_prob(logits_BV: Any, tokens_B: Any) -> Any:
    """The network's own log-probability of a token of each row: float32, (B,), at most 0."""
    largest_B = logits_BV.max(1)
    normaliser_B = largest_B + np.log(np.exp(logits_BV - largest_B[:, None]).sum(1))
    chosen_B = np.take_along_axis(logits_BV, tokens_B[:, None].astype(np.int64), 1)[:, 0]
    return np.minimum(chosen_B - normaliser_B, np.float32(0))


def keep_top(logits_BV: Any, top_k: Any, top_p: Any) -> Any:
    """Sets logits outside the top k, then outside the top p of the rest, to -inf."""
    vocabulary = logits_BV.shape[1]
    sorted_BV, order_BV = best_of(logits_BV, vocabulary)
    ranks_V = np.arange(vocabulary)
    in_k_BV = (top_k[:, None] <= 0) | (ranks_V < top_k[:, None])
    shares_BV = np.where(in_k_BV, np.exp(sorted_BV - sorted_BV[:, :1]), np.float32(0))
    shares_BV = shares_BV / shares_BV.sum(1, keepdims=True)
    before_BV = np.zeros_like(shares_BV)
    before_BV[:, 1:] = np.cumsum(shares_BV, 1, dtype=np.float32)[:, :-1]
    in_p_BV = (top_p[:, None] >= 1) | (before_BV < top_p[:, None]) | (ranks_V == 0)
    stays_BV = np.zeros(logits_BV.shape, bool)
    np.put_along_axis(stays_BV, order_BV, in_k_BV & in_p_BV, 1)
    return np.where(stays_BV, logits_BV, NEVER)


_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def _mix(x: Any) -> Any:
    """A bijection of uint64 in which every input bit moves every output bit (SplitMix64)."""
    for shift, factor in _FACTORS:
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))


def gumbel(seed: Any, step: Any, vocabulary: int) -> Any:
    """Standard Gumbel noise, float32, (B, vocabulary): a function of row seed, step and token."""
    with np.errstate(over="ignore"):
        rows_B = _mix(np.asarray(seed, np.int64).view(np.uint64) + _GAMMA)
        rows_B = _mix(rows_B + _GAMMA * (np.asarray(step, np.uint64) + np.uint64(1)))
        tokens_V = _GAMMA * np.arange(1, vocabulary + 1, dtype=np.uint64)
        bits_BV = _mix(rows_B[:, None] + tokens_V) >> np.uint64(1)
    units_BV = bits_BV.view(np.int64).astype(np.float32)
    uniform_BV = np.minimum(
        (units_BV + np.float32(0.5)) * np.float32(2.0**-63), np.float32(1 - 2.0**-24)
    )
    return -np.log(-np.log1p(-uniform_BV))
