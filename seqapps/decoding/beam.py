"""Beam search in the graph: batched, every option a tensor with one value a row.

At each step the row's W live hypotheses are extended by every token and the best 2W extensions are
looked at. Those among the best W that end with EOS are finished and kept apart; the best W of the
others live on. 2W suffice because each live hypothesis has one EOS extension only.

Sources: Graves 2012 (beam search for transduction); Wu et al. 2016, eq. 14 (length penalty);
Huang et al. 2017 (a search may stop when no live hypothesis can still win).
"""

# B batch, W widest beam, N rows in the loop (B × W), V vocabulary, T target steps,
# K hypotheses returned, C candidates looked at (2W), E extensions of one hypothesis (2W),
# A rows that are still searched.

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.decoding.candidates import best_tokens
from seqapps.decoding.loop import (
    Hypotheses,
    Step,
    as_tensors,
    batch_size,
    check_special,
    invariants,
    per_row,
)

_NEVER = float("-inf")
_WORTHWHILE = 8
"""Fewer rows than these are not made fewer: a step's cost hardly depends on them any more."""


class _Options(NamedTuple):
    """The caller's options with one value a row, and the largest of them."""

    width_B: Any
    n_best_B: Any
    alpha_B: Any
    max_steps_B: Any
    widest: Any
    most: Any

    def of(self, rows_A: Any) -> "_Options":
        """Those of some rows alone."""
        return self._replace(
            width_B=tf.gather(self.width_B, rows_A),
            n_best_B=tf.gather(self.n_best_B, rows_A),
            alpha_B=tf.gather(self.alpha_B, rows_A),
            max_steps_B=tf.gather(self.max_steps_B, rows_A),
        )

    def penalty(self, length: Any) -> Any:
        """float32, (batch,) or (batch, 1): ((5 + length) / 6) ** alpha, the length with EOS."""
        return tf.pow((5.0 + tf.cast(length, tf.float32)) / 6.0, self.alpha_B)


class _Finished(NamedTuple):
    """Each row's best finished hypotheses so far, by score; -inf where there is none yet."""

    scores_BK: Any
    log_probs_BK: Any
    lengths_BK: Any
    ends_BK: Any
    """The slot in which the hypothesis lived when it ended: where the back-trace starts."""


class _Search(NamedTuple):
    """Everything that changes from step to step."""

    t: Any
    """Steps taken."""
    state: Any
    """Nest with leading axis (N,)."""
    tokens_BW: Any
    """The last token of each live hypothesis."""
    live_BW: Any
    """Log-probability of each live hypothesis, best first; -inf in slots that are not used."""
    finished: _Finished
    open_B: Any
    """Rows still searching. A closed row's results never change again."""
    past_tokens_TBW: Any
    past_parents_TBW: Any
    """Token of each slot after each step, and the slot it was extended from."""


def beam_search(
    step: Step,
    state: Any,
    memory: Any,
    *,
    bos: Any,
    eos: int,
    beam_width: Any,
    max_steps: Any,
    length_penalty: Any = 0.0,
    n_best: Any = None,
    banned: Sequence[int] = (),
) -> Hypotheses:
    """Finds the hypotheses of the highest score, `log_prob / ((5 + length) / 6) ** penalty`.

    The length counts EOS. Every option is a number, (1,) or (batch,), and a row's result is what
    it would be alone. Ties go to the better-ranked (lower) beam, then to the lower token; among
    finished hypotheses to the one that ended first.

    A row stops when it holds `n_best` finished hypotheses that no live one can still beat,
    however it goes on: the bound takes the live one's log-probability (it can only fall) and the
    most favourable length it can still reach, up to `max_steps`. So stopping never changes
    the result, and asking for fewer hypotheses or a tighter `max_steps` is faster. A row of width 1
    stops at its first EOS: it is greedy search.

    At `max_steps` tokens (EOS counts) a row is cut. Its unfinished hypotheses are returned only
    after the finished ones, and only if fewer finished than `n_best`; their length for the penalty
    is `max_steps`. `max_steps=0` gives the empty, unfinished hypothesis of log-probability 0.

    Args:
        step: The network's step, see `seqapps.decoding.loop.Step`.
        state: Nest of tensors with leading axis (batch,), before the first step.
        memory: Nest of tensors with leading axis (batch,), the same at every step; it is repeated
            once for the beams, and gathered again only when closed rows leave.
        bos: Token that starts every hypothesis; int32, (batch,), where rows differ.
        eos: Token that ends one.
        beam_width: int32, at least 1. Live hypotheses a row; below 1 counts as 1.
        max_steps: int32. Tokens at most in each hypothesis, EOS included.
        length_penalty: float32. 0 compares log-probabilities; 1 nearly their means per token.
        n_best: int32. Hypotheses to return for each row, from 1 to its beam width (clipped to
            that); None for the beam width.
        banned: Tokens that are never chosen. Log-probabilities stay the network's own.

    Returns:
        K = the largest `n_best` hypotheses a row.

    Raises:
        ValueError: If EOS is banned, or a token is negative.
    """
    check_special(bos=bos, eos=eos, banned=banned)
    state, memory = as_tensors(state), as_tensors(memory)
    batch = batch_size(state, memory)
    width_B = tf.maximum(per_row(beam_width, batch, tf.int32), 1)
    asked_B = width_B if n_best is None else per_row(n_best, batch, tf.int32)
    n_best_B = tf.clip_by_value(asked_B, 1, width_B)
    options = _Options(
        width_B=width_B,
        n_best_B=n_best_B,
        alpha_B=per_row(length_penalty, batch, tf.float32),
        max_steps_B=tf.maximum(per_row(max_steps, batch, tf.int32), 0),
        # At least 1, for an empty batch has no largest value.
        widest=tf.maximum(tf.reduce_max(width_B), 1),
        most=tf.maximum(tf.reduce_max(n_best_B), 1),
    )
    beams_N = tf.repeat(tf.range(batch), options.widest)
    memory_N = tf.nest.map_structure(lambda x: tf.gather(x, beams_N), memory)
    state_N = tf.nest.map_structure(lambda x: tf.gather(x, beams_N), state)
    banned = sorted(set(banned))

    def advance(search: _Search, memory_N: Any, options: _Options) -> _Search:
        return _advance(search, step, memory_N, options, eos=eos, banned=banned)

    start = _start(state_N, batch, options, bos=bos)
    return _closed_put_aside(start, memory_N, options, advance)


def _closed_put_aside(
    start: _Search,
    memory_N: Any,
    options: _Options,
    advance: Callable[[_Search, Any, _Options], _Search],
) -> Hypotheses:
    """Steps until every row is closed, in ever smaller batches: closed rows leave it."""

    def until_fewer(
        rows_A: Any,
        search: _Search,
        memory_N: Any,
        options: _Options,
        done: Any,
        results: Hypotheses,
    ) -> tuple[Any, ...]:
        (search,) = tf.while_loop(
            lambda search: tf.reduce_any(search.open_B) & ~_few_open(search.open_B),
            lambda search: (advance(search, memory_N, options),),
            (search,),
            shape_invariants=(_shapes(search.state),),
        )
        ended = _results(search, options)
        open_A, closed_A = (
            tf.cast(tf.where(which)[:, 0], tf.int32) for which in (search.open_B, ~search.open_B)
        )
        slots_N = tf.reshape(open_A[:, None] * options.widest + tf.range(options.widest), [-1])
        return (
            tf.gather(rows_A, open_A),
            _of_rows(search, open_A, slots_N),
            tf.nest.map_structure(lambda x: tf.gather(x, slots_N), memory_N),
            options.of(open_A),
            tf.concat([done, tf.gather(rows_A, closed_A)], 0),
            _joined(results, Hypotheses(*(tf.gather(x, closed_A) for x in ended))),
        )

    rows_B = tf.range(tf.shape(start.open_B)[0])
    row, matrix = tf.TensorShape([None]), tf.TensorShape([None, None])
    *_, done, results = tf.while_loop(
        lambda rows_A, *_: tf.size(rows_A) > 0,
        until_fewer,
        (rows_B, start, memory_N, options, rows_B[:0], _none(options.most)),
        shape_invariants=(
            row,
            _shapes(start.state),
            invariants(memory_N),
            _Options(row, row, row, row, tf.TensorShape([]), tf.TensorShape([])),
            row,
            Hypotheses(tf.TensorShape([None, None, None]), matrix, matrix, matrix, matrix),
        ),
    )
    order = tf.argsort(done)
    return Hypotheses(*(tf.gather(x, order) for x in results))


def _of_rows(search: _Search, rows_A: Any, slots_N: Any) -> _Search:
    """The search of some rows alone, whose hypotheses stand in `slots_N` of the state."""
    return _Search(
        t=search.t,
        state=tf.nest.map_structure(lambda x: tf.gather(x, slots_N), search.state),
        tokens_BW=tf.gather(search.tokens_BW, rows_A),
        live_BW=tf.gather(search.live_BW, rows_A),
        finished=_Finished(*(tf.gather(x, rows_A) for x in search.finished)),
        open_B=tf.gather(search.open_B, rows_A),
        past_tokens_TBW=tf.gather(search.past_tokens_TBW, rows_A, axis=1),
        past_parents_TBW=tf.gather(search.past_parents_TBW, rows_A, axis=1),
    )


def _none(most: Any) -> Hypotheses:
    """The hypotheses of no row, K = `most`."""
    nothing = tf.zeros([0, most])
    return Hypotheses(
        tokens=tf.zeros([0, most, 0], tf.int32),
        lengths=tf.cast(nothing, tf.int32),
        scores=nothing,
        log_probs=nothing,
        finished=tf.cast(nothing, tf.bool),
    )


def _few_open(open_B: Any) -> Any:
    """bool, (): whether so many rows are closed that leaving them out pays."""
    rows = tf.size(open_B)
    going = tf.reduce_sum(tf.cast(open_B, tf.int32))
    return (rows >= _WORTHWHILE) & (4 * going <= 3 * rows)


def _joined(some: Hypotheses, more: Hypotheses) -> Hypotheses:
    """Rows of both, one after the other."""
    counts = [tf.shape(x.tokens)[2] for x in (some, more)]
    longest = tf.maximum(*counts)
    some, more = (
        x._replace(tokens=tf.pad(x.tokens, [[0, 0], [0, 0], [0, longest - count]]))
        for x, count in zip((some, more), counts, strict=True)
    )
    return Hypotheses(*(tf.concat(pair, 0) for pair in zip(some, more, strict=True)))


def _start(state_N: Any, batch: Any, options: _Options, *, bos: Any) -> _Search:
    """One live hypothesis a row, the empty one, in the first slot."""
    shape_BW = [batch, options.widest]
    shape_BK = [batch, options.most]
    return _Search(
        t=tf.constant(0),
        state=state_N,
        tokens_BW=tf.broadcast_to(tf.reshape(tf.cast(bos, tf.int32), [-1, 1]), shape_BW),
        live_BW=tf.where(tf.range(options.widest) > 0, _NEVER, tf.zeros(shape_BW)),
        finished=_Finished(
            scores_BK=tf.fill(shape_BK, _NEVER),
            log_probs_BK=tf.fill(shape_BK, _NEVER),
            lengths_BK=tf.zeros(shape_BK, tf.int32),
            ends_BK=tf.zeros(shape_BK, tf.int32),
        ),
        open_B=options.max_steps_B > 0,
        past_tokens_TBW=tf.zeros([0, *shape_BW], tf.int32),
        past_parents_TBW=tf.zeros([0, *shape_BW], tf.int32),
    )


def _shapes(state_N: Any) -> _Search:
    """Static shapes in the loop: batch and widest beam stay unknown."""
    matrix = tf.TensorShape([None, None])
    past = tf.TensorShape([None, None, None])
    return _Search(
        t=tf.TensorShape([]),
        state=invariants(state_N),
        tokens_BW=matrix,
        live_BW=matrix,
        finished=_Finished(matrix, matrix, matrix, matrix),
        open_B=tf.TensorShape([None]),
        past_tokens_TBW=past,
        past_parents_TBW=past,
    )


def _advance(
    search: _Search,
    step: Step,
    memory_N: Any,
    options: _Options,
    *,
    eos: int,
    banned: Sequence[int],
) -> _Search:
    """One step of every row."""
    batch, widest = tf.shape(search.live_BW)[0], options.widest
    logits_NV, state = step(tf.reshape(search.tokens_BW, [-1]), search.state, memory_N)
    gains_NE, tokens_NE = best_tokens(logits_NV, count=2 * widest, banned=banned)
    extensions = tf.shape(gains_NE)[1]
    flat = [batch, widest * extensions]
    totals_BWE = search.live_BW[:, :, None] + tf.reshape(gains_NE, [batch, widest, extensions])
    totals_BC, chosen_BC = tf.math.top_k(
        tf.reshape(totals_BWE, flat), tf.minimum(2 * widest, flat[1])
    )
    parents_BC = chosen_BC // extensions
    tokens_BC = tf.gather(tf.reshape(tokens_NE, flat), chosen_BC, batch_dims=1)

    ranks_C = tf.range(tf.shape(totals_BC)[1])
    width_B1 = options.width_B[:, None]
    ends_BC = tokens_BC == eos
    finishing_BC = ends_BC & (ranks_C < width_B1) & search.open_B[:, None]
    finished = _keep_best(
        search.finished, tf.where(finishing_BC, totals_BC, _NEVER), parents_BC, search.t, options
    )

    live_BW, picked_BW = tf.math.top_k(tf.where(ends_BC, _NEVER, totals_BC), widest)
    live_BW = tf.where(tf.range(widest) < width_B1, live_BW, _NEVER)
    parents_BW = tf.gather(parents_BC, picked_BW, batch_dims=1)
    tokens_BW = tf.gather(tokens_BC, picked_BW, batch_dims=1)
    rows_N = tf.reshape(tf.range(batch)[:, None] * widest + parents_BW, [-1])
    # A closed row keeps its live hypotheses as they were when it closed: they may be returned.
    live_BW = tf.where(search.open_B[:, None], live_BW, search.live_BW)
    return _Search(
        t=search.t + 1,
        state=tf.nest.map_structure(lambda x: tf.gather(x, rows_N), state),
        tokens_BW=tokens_BW,
        live_BW=live_BW,
        finished=finished,
        open_B=search.open_B & _can_improve(finished, live_BW, search.t + 1, options),
        past_tokens_TBW=tf.concat([search.past_tokens_TBW, tokens_BW[None]], axis=0),
        past_parents_TBW=tf.concat([search.past_parents_TBW, parents_BW[None]], axis=0),
    )


def _keep_best(
    finished: _Finished, log_probs_BC: Any, ends_BC: Any, length: Any, options: _Options
) -> _Finished:
    """Merges hypotheses of `length` tokens and EOS, -inf where there is none, into the best."""
    # The earlier ones stand first: they win ties.
    scores = tf.concat(
        [finished.scores_BK, log_probs_BC / options.penalty(length + 1)[:, None]], axis=1
    )
    scores_BK, kept_BK = tf.math.top_k(scores, options.most)

    def keep(old_BK: Any, new_BC: Any) -> Any:
        return tf.gather(tf.concat([old_BK, new_BC], axis=1), kept_BK, batch_dims=1)

    return _Finished(
        scores_BK=scores_BK,
        log_probs_BK=keep(finished.log_probs_BK, log_probs_BC),
        lengths_BK=keep(finished.lengths_BK, tf.fill(tf.shape(ends_BC), length)),
        ends_BK=keep(finished.ends_BK, ends_BC),
    )


def _can_improve(finished: _Finished, live_BW: Any, t: Any, options: _Options) -> Any:
    """bool, (batch,): whether going on after `t` steps can change the row's `n_best` results."""
    worst_B = tf.gather(finished.scores_BK, options.n_best_B - 1, batch_dims=1)
    # Log-probabilities are at most 0, so the largest divisor a live hypothesis can still get is
    # the most favourable: that of max_steps, or of the next step when the penalty is negative.
    divisor_B = tf.maximum(options.penalty(t + 1), options.penalty(options.max_steps_B))
    beatable_B = worst_B < live_BW[:, 0] / divisor_B
    # The runner-up of a token that ended the only hypothesis is no longer greedy search.
    greedy_end_B = (options.width_B == 1) & (finished.scores_BK[:, 0] > _NEVER)
    return (t < options.max_steps_B) & beatable_B & ~greedy_end_B


def _results(search: _Search, options: _Options) -> Hypotheses:
    """Finished hypotheses, then the row's live ones as far as there is room; none of open rows."""
    finished, (batch, widest) = search.finished, tf.unstack(tf.shape(search.live_BW))
    ended_B1 = tf.reduce_sum(tf.cast(finished.scores_BK > _NEVER, tf.int32), axis=1, keepdims=True)
    slots_K = tf.range(options.most)
    is_finished_BK = slots_K < ended_B1
    source_BK = tf.where(is_finished_BK, slots_K, options.most + slots_K - ended_B1)
    cut_BW = tf.broadcast_to(options.max_steps_B[:, None], [batch, widest])

    def select(finished_BK: Any, live_BW: Any) -> Any:
        return tf.gather(tf.concat([finished_BK, live_BW], axis=1), source_BK, batch_dims=1)

    log_probs_BK = select(finished.log_probs_BK, search.live_BW)
    used_BK = (slots_K < options.n_best_B[:, None]) & (log_probs_BK > _NEVER)
    used_BK &= ~search.open_B[:, None]
    cut_scores_BW = search.live_BW / options.penalty(options.max_steps_B)[:, None]
    lengths_BK = tf.where(used_BK, select(finished.lengths_BK, cut_BW), 0)
    ends_BK = select(finished.ends_BK, tf.zeros_like(cut_BW) + tf.range(widest))
    return Hypotheses(
        tokens=_trace_back(search, ends_BK, lengths_BK),
        lengths=lengths_BK,
        scores=tf.where(used_BK, select(finished.scores_BK, cut_scores_BW), _NEVER),
        log_probs=tf.where(used_BK, log_probs_BK, _NEVER),
        finished=used_BK & is_finished_BK,
    )


def _trace_back(search: _Search, ends_BK: Any, lengths_BK: Any) -> Any:
    """int32, (batch, K, T): the tokens of hypotheses that ended in slot `ends_BK`."""
    longest = tf.maximum(tf.reduce_max(lengths_BK), 0)

    def back(t: Any, slots_BK: Any, tokens_TBK: Any) -> tuple[Any, Any, Any]:
        inside_BK = t < lengths_BK
        tokens_BK = tf.gather(search.past_tokens_TBW[t], slots_BK, batch_dims=1)
        parents_BK = tf.gather(search.past_parents_TBW[t], slots_BK, batch_dims=1)
        tokens_TBK = tf.concat([tf.where(inside_BK, tokens_BK, 0)[None], tokens_TBK], axis=0)
        return t - 1, tf.where(inside_BK, parents_BK, slots_BK), tokens_TBK

    shape_BK = tf.shape(ends_BK)
    _, _, tokens_TBK = tf.while_loop(
        lambda t, slots, tokens: t >= 0,
        back,
        (longest - 1, ends_BK, tf.zeros([0, shape_BK[0], shape_BK[1]], tf.int32)),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None, None]),
            tf.TensorShape([None, None, None]),
        ),
    )
    return tf.transpose(tokens_TBK, [1, 2, 0])
