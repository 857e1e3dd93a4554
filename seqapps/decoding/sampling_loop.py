"""The sampling loop: a text token by token, in portions of any size; the state goes in and out.

Drawing 100 tokens at once, or 40 and then 60, gives the same text: everything that the rest depends
on is in `Pen`, and the noise is a function of the row's seed and the token's position in its text.
"""

# B batch, V vocabulary, S width of the network's state, T tokens written now,
# N tokens whose noise is there

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.decoding.choosing import Choice, Strategy
from seqapps.decoding.loop import log_probs_of
from seqapps.decoding.stop_strings import TAIL, bytes_back, hand_out, last_bytes

_NOISE, _AHEAD = 1 << 18, 64
"""Numbers, and tokens of a row, for which noise is made at once, at most."""

Step = Callable[[Any, Any], tuple[Any, Any]]
"""`step(tokens_B int32, state_BS float32) -> (logits_BV, state_BS)`."""


class Pen(NamedTuple):
    """Where a text stands: all that its continuation depends on."""

    state: Any
    """float32, (B, S): the network's, before it reads `token`."""
    token: Any
    """int32, (B,): the last token of the text, not yet read."""
    position: Any
    """int32, (B,): tokens written so far."""
    counts: Any
    """int32, (B, V): how often each token occurs, in prompt and text."""
    tail: Any
    """string, (B,): the text's last bytes, at most `TAIL`."""
    held: Any
    """int32, (B,): how many of these were not handed out: they may begin a stop string, or are a
    part of a character."""
    done: Any
    """bool, (B,): nothing follows."""


class Written(NamedTuple):
    """What was written."""

    pen: Pen
    """Where the text stands now."""
    text: Any
    """string, (B,): what can be handed out of it, in bytes."""
    tokens: Any
    """int32, (B, T): right-padded with the end token, which is not counted unless it was chosen."""
    lengths: Any
    """int32, (B,): tokens chosen now, the end included."""
    log_probs: Any
    """float32, (B, T): the network's own log-probability (nats) of each, 0 past the length."""
    truncated: Any
    """bool, (B,): the whole text came to its limit now, before its end or a stop string."""


def write(
    step: Step,
    pen: Pen,
    strategy: Strategy,
    *,
    most: Any,
    limit: Any,
    surfaces: Any,
    longest: int,
    end: int,
    never: Sequence[int] = (),
) -> Written:
    """Writes up to `most` tokens in each row.

    Args:
        step: The network's step.
        pen: Where the text stands.
        strategy: How tokens are chosen, see `Choice`.
        most: int32, (B,). Tokens to write at most now.
        limit: int32, (B,). Tokens of the whole text at most: with them it is done.
        surfaces: string, (V,). What each token writes.
        longest: Bytes of the longest of them.
        end: The token that ends a text.
        never: Tokens that are never chosen.

    Returns:
        What was written. Once a row is done nothing of it is held back.
    """
    strategy = strategy._replace(
        stop=tf.where(tf.strings.length(strategy.stop) <= TAIL, strategy.stop, "")
    )
    choice = Choice(strategy, vocabulary=tf.size(surfaces), end=end, never=never)
    block = _noise_block(tf.size(pen.token) * tf.size(surfaces), tf.reduce_max(most))
    loop = _Loop(
        step,
        pen,
        strategy,
        choice,
        most=tf.minimum(most, limit - pen.position),
        block=block,
        surfaces=surfaces,
        longest=longest,
        end=end,
    )
    last, tokens_BT, log_probs_BT = loop.run()
    lengths_B = last.position - pen.position
    # Where nothing looks at the counts on the way, they are made at the end.
    counts_BV = tf.cond(
        choice.penalised,
        lambda: last.counts,
        lambda: _counted(last.counts, tokens_BT, lengths_B),
    )
    truncated_B = ~last.done & (last.position >= limit)
    done_B = last.done | truncated_B
    with tf.device("/CPU:0"):
        new_B = tf.strings.reduce_join(tf.gather(surfaces, tokens_BT), -1)
        text_B, held_B = hand_out(
            pen.tail, pen.held, new_B, cut_B=last.cut, done_B=done_B, stop_BK=strategy.stop
        )
        tail_B = last_bytes(tf.strings.join([pen.tail, new_B]))
    return Written(
        pen=Pen(last.state, last.token, last.position, counts_BV, tail_B, held_B, done_B),
        text=text_B,
        tokens=tokens_BT,
        lengths=lengths_B,
        log_probs=log_probs_BT,
        truncated=truncated_B,
    )


def _noise_block(row_numbers: Any, most: Any) -> Any:
    """Tokens of each row whose noise is made at once, at least 1.

    Args:
        row_numbers: int32, (). Numbers of noise for one token of every row.
        most: int32, (). Tokens that a row is written at most.
    """
    block = tf.clip_by_value(_NOISE // row_numbers, 1, most)
    return tf.clip_by_value(block, 1, _AHEAD)


def _counted(counts_BV: Any, tokens_BT: Any, lengths_B: Any) -> Any:
    """The counts with those of tokens that were written."""
    taken = tf.shape(tokens_BT)[1]
    real_BT = tf.sequence_mask(lengths_B, taken)
    rows_B1 = tf.range(tf.shape(tokens_BT)[0])[:, tf.newaxis]
    places_BT = tf.stack([tf.broadcast_to(rows_B1, tf.shape(tokens_BT)), tokens_BT], 2)
    return tf.tensor_scatter_nd_add(counts_BV, places_BT, tf.cast(real_BT, tf.int32))


class _Moment(NamedTuple):
    """Where the texts stand between two tokens."""

    state: Any
    """float32, (B, S): the network's, before it reads `token`."""
    token: Any
    """int32, (B,): the last token of the text, not yet read."""
    position: Any
    """int32, (B,): tokens written so far."""
    counts: Any
    """int32, (B, V): how often each token occurs, kept up to date where a penalty asks for it."""
    tail: Any
    """string, (B,): the last `TAIL + longest` bytes, padded in front; as at the start where no row
    has a stop string."""
    size: Any
    """int32, (B,): bytes written now; 0 where no row has a stop string."""
    cut: Any
    """int32, (B,): bytes to hand out before a stop string, those held included; -1 without one."""
    done: Any
    """bool, (B,): nothing follows."""
    open: Any
    """bool, (B,): the next token is written in this loop."""


class _Loop:
    """The loop itself, and what stays the same in it; for the arguments see `write`.

    Args:
        step: The network's step.
        pen: Where the text stands before it.
        strategy: With stop strings of at most `TAIL` bytes.
        choice: Of the strategy.
        most: int32, (B,). Tokens to write now.
        block: int32, (). N.
        surfaces: string, (V,). What each token writes.
        longest: Bytes of the longest of them.
        end: The token that ends a text.
    """

    def __init__(
        self,
        step: Step,
        pen: Pen,
        strategy: Strategy,
        choice: Choice,
        *,
        most: Any,
        block: Any,
        surfaces: Any,
        longest: int,
        end: int,
    ) -> None:
        self._step, self._pen, self._strategy, self._choice = step, pen, strategy, choice
        self._most, self._block, self._end = most, block, end
        self._surfaces, self._longest = surfaces, longest
        self._stopping = tf.reduce_any(tf.strings.length(strategy.stop) > 0)
        # A stop string that ends inside the last token reaches back further than its own length.
        self._reached = TAIL + longest
        with tf.device("/CPU:0"):
            self._widths_V = tf.strings.length(surfaces)
            self._start_tail_B = tf.strings.join([tf.constant("\0" * self._reached), pen.tail])

    def run(self) -> tuple[_Moment, Any, Any]:
        """Writes until no row is open.

        Returns:
            Where the texts stand then; the tokens, int32, (B, T), and their log-probabilities,
            float32, (B, T), with the end token and 0 past each row's own.
        """
        pen = self._pen
        start, shapes = self._start()
        # Something is written before the loop, as what was never written could not be read after.
        room = tf.maximum(tf.reduce_max(self._most), 1)
        kept: dict[str, Any] = {"element_shape": [None], "clear_after_read": False}
        arrays = (
            tf.TensorArray(tf.int32, room, **kept).write(
                0, tf.fill(tf.shape(pen.token), self._end)
            ),
            tf.TensorArray(tf.float32, room, **kept).write(0, tf.zeros(tf.shape(pen.token))),
        )
        silence_BNV = tf.zeros(tf.stack([tf.size(pen.token), self._block, tf.size(self._surfaces)]))
        taken, last, _, (tokens_T, log_probs_T) = tf.while_loop(
            lambda t, now, noise_BNV, arrays: tf.reduce_any(now.open),
            self._advance,
            (tf.constant(0), start, silence_BNV, arrays),
            shape_invariants=(
                tf.TensorShape([]),
                shapes,
                tf.TensorShape([None, None, None]),
                (tf.TensorShape(None), tf.TensorShape(None)),
            ),
        )
        span = tf.range(tf.maximum(taken, 1))
        tokens_BT = tf.transpose(tokens_T.gather(span)[:taken])
        log_probs_BT = tf.transpose(log_probs_T.gather(span)[:taken])
        return last, tokens_BT, log_probs_BT

    def _start(self) -> tuple[_Moment, _Moment]:
        """Where the texts stand before the loop, and the shapes that hold all through it."""
        pen, row = self._pen, tf.TensorShape([None])
        start = _Moment(
            state=pen.state,
            token=pen.token,
            position=pen.position,
            counts=pen.counts,
            tail=self._start_tail_B,
            size=tf.zeros_like(pen.held),
            cut=tf.fill(tf.shape(pen.held), -1),
            done=pen.done,
            open=~pen.done & (self._most > 0),
        )
        shapes = _Moment(*[row] * len(start))._replace(
            state=pen.state.shape, counts=pen.counts.shape
        )
        return start, shapes

    def _advance(
        self, t: Any, now: _Moment, noise_BNV: Any, arrays: tuple[Any, Any]
    ) -> tuple[Any, _Moment, Any, tuple[Any, Any]]:
        """Writes one token in each open row."""
        noise_BNV = self._noise(t, noise_BNV)
        logits_BV, after_BS = self._step(now.token, now.state)
        logits_BV = tf.cast(logits_BV, tf.float32)
        noise_BV = noise_BNV[:, t % self._block]
        chosen_B = self._choice(logits_BV, now.counts, now.position, noise_BV)
        written_B = tf.where(now.open, chosen_B, self._end)
        position_B = now.position + tf.cast(now.open, tf.int32)
        tail_B, size_B, reach_B = self._stopped(now, written_B, position_B)
        stopped_B = reach_B > 0
        done_B = now.done | (now.open & (chosen_B == self._end)) | stopped_B
        after = _Moment(
            # A row that is closed keeps its state.
            state=tf.where(now.open[:, tf.newaxis], after_BS, now.state),
            token=tf.where(now.open, chosen_B, now.token),
            position=position_B,
            counts=self._penalised(now, written_B),
            tail=tail_B,
            size=size_B,
            cut=tf.where(stopped_B, self._pen.held + size_B - reach_B, now.cut),
            done=done_B,
            open=now.open & ~done_B & (t + 1 < self._most),
        )
        tokens_T, log_probs_T = arrays
        log_prob_B = log_probs_of(logits_BV, chosen_B, now.open)
        return (
            t + 1,
            after,
            noise_BNV,
            (tokens_T.write(t, written_B), log_probs_T.write(t, log_prob_B)),
        )

    def _noise(self, t: Any, noise_BNV: Any) -> Any:
        """The noise of token `t` and those after it, made again where it is used up."""
        choice, block = self._choice, self._block
        return tf.cond(
            choice.drawing & (t % block == 0),
            lambda: choice.noise(self._pen.position + t, block),
            lambda: noise_BNV,
        )

    def _penalised(self, now: _Moment, written_B: Any) -> Any:
        """The counts, with the token of each open row where a penalty asks for them."""
        rows_B = tf.range(tf.size(written_B))
        return tf.cond(
            self._choice.penalised,
            lambda: tf.tensor_scatter_nd_add(
                now.counts, tf.stack([rows_B, written_B], 1), tf.cast(now.open, tf.int32)
            ),
            lambda: now.counts,
        )

    def _stopped(self, now: _Moment, written_B: Any, position_B: Any) -> tuple[Any, Any, Any]:
        """Tail and size with the new tokens, and the bytes back to where a stop string begins.

        Where no row has a stop string, tail and size stay as they are: nothing looks at them.
        """

        def match() -> tuple[Any, Any, Any]:
            with tf.device("/CPU:0"):
                width_B = tf.gather(self._widths_V, written_B)
                reached_B = self._reached * tf.ones_like(width_B)
                tail_B = tf.strings.substr(
                    tf.strings.join([now.tail, tf.gather(self._surfaces, written_B)]),
                    -reached_B,
                    reached_B,
                )
                size_B = now.size + width_B
                reach_B = bytes_back(
                    tail_B,
                    self._strategy.stop,
                    width_B=width_B,
                    longest=self._longest,
                    there_B=tf.strings.length(self._pen.tail) + size_B,
                )
            counts_B = now.open & (position_B >= self._strategy.min_length)
            return tail_B, size_B, tf.where(counts_B, reach_B, 0)

        return tf.cond(self._stopping, match, lambda: (now.tail, now.size, tf.zeros_like(now.size)))
