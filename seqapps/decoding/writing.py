"""Writing text token by token, in portions of any size: the state goes in and comes out.

Drawing 100 tokens at once, or 40 and then 60, gives the same text: everything that the rest depends
on is in `Pen`, and the noise is a function of the row's seed and the token's position in its text.
"""

# B batch, V vocabulary, S width of the network's state, T tokens written now, K stop strings,
# N tokens whose noise is there, W bytes of a tail, E bytes of the longest token,
# H bytes that may be held back

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.decoding.choosing import Choice, Strategy
from seqapps.decoding.loop import log_sum_exp

TAIL = 256
"""Bytes of the text so far that are remembered: no stop string may be longer."""

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
    rows = tf.range(tf.shape(pen.token)[0])
    strategy = strategy._replace(
        stop=tf.where(tf.strings.length(strategy.stop) <= TAIL, strategy.stop, "")
    )
    stopping = tf.reduce_any(tf.strings.length(strategy.stop) > 0)
    vocabulary = tf.size(surfaces)
    choice = Choice(strategy, vocabulary=vocabulary, end=end, never=never)
    block = tf.clip_by_value(_NOISE // (tf.size(rows) * vocabulary), 1, tf.reduce_max(most))
    block = tf.clip_by_value(block, 1, _AHEAD)
    # A stop string that ends inside the last token reaches back further than its own length.
    reached = TAIL + longest
    with tf.device("/CPU:0"):
        widths_V = tf.strings.length(surfaces)
        padded_B = tf.strings.join([tf.constant("\0" * reached), pen.tail])

    def advance(
        t: Any, now: tuple[Any, ...], noise_BNV: Any, arrays: tuple[Any, Any]
    ) -> tuple[Any, ...]:
        noise_BNV = tf.cond(
            choice.drawing & (t % block == 0),
            lambda: choice.noise(pen.position + t, block),
            lambda: noise_BNV,
        )
        state_BS, token_B, position_B, counts_BV, tail_B, size_B, cut_B, done_B, open_B = now
        logits_BV, after_BS = step(token_B, state_BS)
        logits_BV = tf.cast(logits_BV, tf.float32)
        chosen_B = choice(logits_BV, counts_BV, position_B, noise_BNV[:, t % block])
        gain_B = tf.gather(logits_BV, chosen_B, batch_dims=1) - log_sum_exp(
            logits_BV, tf.reduce_max(logits_BV, axis=1)
        )
        # Rounding can lift the log-probability of a certain token above 0.
        gain_B = tf.where(open_B, tf.minimum(gain_B, 0.0), 0.0)
        written_B = tf.where(open_B, chosen_B, end)
        ended_B = open_B & (chosen_B == end)
        position_B += tf.cast(open_B, tf.int32)

        def match() -> tuple[Any, Any, Any]:
            with tf.device("/CPU:0"):
                wrote_B = tf.gather(surfaces, written_B)
                width_B = tf.gather(widths_V, written_B)
                later_B = tf.strings.substr(
                    tf.strings.join([tail_B, wrote_B]),
                    -reached * tf.ones_like(width_B),
                    reached * tf.ones_like(width_B),
                )
                reach_B = _stopped(
                    later_B,
                    strategy.stop,
                    width_B,
                    longest,
                    tf.strings.length(pen.tail) + size_B + width_B,
                )
            reach_B = tf.where(open_B & (position_B >= strategy.min_length), reach_B, 0)
            return later_B, size_B + width_B, reach_B

        tail_B, size_B, reach_B = tf.cond(
            stopping, match, lambda: (tail_B, size_B, tf.zeros_like(size_B))
        )
        stopped_B = reach_B > 0
        cut_B = tf.where(stopped_B, pen.held + size_B - reach_B, cut_B)
        counts_BV = tf.cond(
            choice.penalised,
            lambda: tf.tensor_scatter_nd_add(
                counts_BV, tf.stack([rows, written_B], 1), tf.cast(open_B, tf.int32)
            ),
            lambda: counts_BV,
        )
        # A row that is closed keeps its state.
        open_B1 = open_B[:, tf.newaxis]
        state_BS = tf.where(open_B1, after_BS, state_BS)
        token_B = tf.where(open_B, chosen_B, token_B)
        done_B |= ended_B | stopped_B
        open_B &= ~done_B & (t + 1 < most)
        now = (state_BS, token_B, position_B, counts_BV, tail_B, size_B, cut_B, done_B, open_B)
        arrays = (arrays[0].write(t, written_B), arrays[1].write(t, gain_B))
        return t + 1, now, noise_BNV, arrays

    most = tf.minimum(most, limit - pen.position)
    row = tf.TensorShape([None])
    steps = tf.maximum(tf.reduce_max(most), 0)
    start = (
        pen.state,
        pen.token,
        pen.position,
        pen.counts,
        padded_B,
        tf.zeros_like(pen.held),
        tf.fill(tf.shape(pen.held), -1),
        pen.done,
        ~pen.done & (most > 0),
    )
    shapes = (
        pen.state.shape,
        row,
        row,
        pen.counts.shape,
        row,
        row,
        row,
        row,
        row,
    )
    # Something is written before the loop, as what was never written could not be read after it.
    room = tf.maximum(steps, 1)
    kept: dict[str, Any] = {"element_shape": [None], "clear_after_read": False}
    arrays = (
        tf.TensorArray(tf.int32, room, **kept).write(0, tf.fill(tf.shape(pen.token), end)),
        tf.TensorArray(tf.float32, room, **kept).write(0, tf.zeros(tf.shape(pen.token))),
    )
    silence_BNV = tf.zeros(tf.stack([tf.size(rows), block, vocabulary]))
    taken, now, _, arrays = tf.while_loop(
        lambda t, now, noise_BNV, arrays: tf.reduce_any(now[-1]),
        advance,
        (tf.constant(0), start, silence_BNV, arrays),
        shape_invariants=(
            tf.TensorShape([]),
            shapes,
            tf.TensorShape([None, None, None]),
            (tf.TensorShape(None), tf.TensorShape(None)),
        ),
    )
    state, token, position, counts, _, _, cut_B, done, _ = now
    span = tf.range(tf.maximum(taken, 1))
    tokens_BT = tf.transpose(arrays[0].gather(span)[:taken])
    lengths_B = position - pen.position

    def count() -> Any:
        """Where nothing looks at the counts on the way, they are made at the end."""
        real_BT = tf.sequence_mask(lengths_B, taken)
        places_BT = tf.stack(
            [tf.broadcast_to(rows[:, tf.newaxis], tf.shape(tokens_BT)), tokens_BT], 2
        )
        return tf.tensor_scatter_nd_add(counts, places_BT, tf.cast(real_BT, tf.int32))

    counts = tf.cond(choice.penalised, lambda: counts, count)
    done |= position >= limit
    with tf.device("/CPU:0"):
        new_B = tf.strings.reduce_join(tf.gather(surfaces, tokens_BT), -1)
        text_B, held_B = _hand_out(pen, new_B, cut_B, done, strategy.stop)
        tail = _last_bytes(tf.strings.join([pen.tail, new_B]))
    return Written(
        pen=Pen(state, token, position, counts, tail, held_B, done),
        text=text_B,
        tokens=tokens_BT,
        lengths=lengths_B,
        log_probs=tf.transpose(arrays[1].gather(span)[:taken]),
    )


def _last_bytes(text_B: Any) -> Any:
    """The last `TAIL` bytes of each text, or all of it."""
    size_B = tf.strings.length(text_B)
    kept_B = tf.minimum(size_B, TAIL)
    return tf.strings.substr(text_B, size_B - kept_B, kept_B)


def _stopped(tail_B: Any, stop_BK: Any, width_B: Any, longest: int, there_B: Any) -> Any:
    """How many of a text's last bytes a stop string begins before the end, 0 where there is none.

    Args:
        tail_B: string, (B,). The last `TAIL + longest` bytes, the new token among them.
        stop_BK: string, (B, K).
        width_B: int32, (B,). Bytes of the new token: a stop string must end in it.
        longest: Bytes of the longest token.
        there_B: int32, (B,). Bytes of the tail that are text and not padding.
    """
    shape = tf.shape(stop_BK)
    after_E = tf.range(longest)
    sizes_BKE = tf.repeat(tf.strings.length(stop_BK)[:, :, tf.newaxis], longest, 2)
    reach_BKE = sizes_BKE + after_E
    fits_BKE = (
        (sizes_BKE > 0)
        & (reach_BKE <= tf.minimum(there_B, TAIL + longest)[:, tf.newaxis, tf.newaxis])
        & (after_E < tf.maximum(width_B, 1)[:, tf.newaxis, tf.newaxis])
    )
    flat = [shape[0], shape[1] * longest]
    within = tf.reshape(tf.where(fits_BKE, reach_BKE, 0), flat)
    sizes = tf.reshape(tf.where(fits_BKE, sizes_BKE, 0), flat)
    starts = TAIL + longest - within
    found = tf.strings.substr(tf.repeat(tail_B[:, tf.newaxis], flat[1], 1), starts, sizes)
    wanted = tf.reshape(tf.repeat(stop_BK[:, :, tf.newaxis], longest, 2), flat)
    hit = tf.equal(found, wanted) & tf.reshape(fits_BKE, flat)
    return tf.maximum(tf.reduce_max(tf.where(hit, within, 0), 1), 0)


def _hand_out(pen: Pen, new_B: Any, cut_B: Any, done_B: Any, stop_BK: Any) -> tuple[Any, Any]:
    """What of the text can be handed out, and how many bytes stay behind.

    Behind stays what may be the beginning of a stop string or of a character, unless nothing
    follows.
    """
    size_B = tf.strings.length(pen.tail)
    held_B = tf.clip_by_value(pen.held, 0, size_B)
    text_B = tf.strings.join([tf.strings.substr(pen.tail, size_B - held_B, held_B), new_B])
    total_B = tf.strings.length(text_B)
    padded_B = tf.strings.join([tf.constant("\0" * TAIL), text_B])
    waiting_B = tf.maximum(_unfinished_character(padded_B), _begun_stop(padded_B, total_B, stop_BK))
    behind_B = tf.where(done_B, 0, tf.minimum(waiting_B, total_B))
    kept_B = tf.where(cut_B >= 0, tf.minimum(cut_B, total_B), total_B - behind_B)
    return tf.strings.substr(text_B, tf.zeros_like(kept_B), kept_B), behind_B


def _unfinished_character(padded_B: Any) -> Any:
    """Bytes at the end of a text that are the first of a UTF-8 character whose last are missing."""
    size_B = tf.strings.length(padded_B)
    last_B3 = tf.cast(
        tf.io.decode_raw(
            tf.strings.substr(padded_B, size_B - 3, 3 * tf.ones_like(size_B)),
            tf.uint8,
            fixed_length=3,
        ),
        tf.int32,
    )
    third_B, second_B, first_B = (last_B3[:, i] for i in range(3))
    found_B = tf.where(third_B >= 0xF0, 3, 0)
    found_B = tf.where(second_B >= 0xE0, 2, found_B)
    found_B = tf.where(first_B >= 0xC0, 1, found_B)
    # After a byte that is no continuation, nothing before it is unfinished.
    found_B = tf.where((first_B & 0xC0) == 0x80, found_B, tf.where(first_B >= 0xC0, 1, 0))
    return tf.where((found_B == 3) & ((second_B & 0xC0) != 0x80), 0, found_B)


def _begun_stop(padded_B: Any, total_B: Any, stop_BK: Any) -> Any:
    """Bytes at the end of a text that are the first of a stop string."""
    sizes_BK = tf.strings.length(stop_BK)
    most = tf.clip_by_value(
        tf.reduce_max(tf.concat([[1], tf.reshape(sizes_BK, [-1])], 0)) - 1, 0, TAIL
    )
    counts_H = tf.range(1, most + 1)
    batch, stops = tf.unstack(tf.shape(stop_BK))
    flat = [batch * stops, most]
    sizes = tf.reshape(sizes_BK, [-1, 1])
    fits = (counts_H < sizes) & (counts_H <= tf.reshape(tf.repeat(total_B, stops), [-1, 1]))
    taken = tf.where(fits, tf.broadcast_to(counts_H, flat), 0)
    ends = tf.reshape(tf.repeat(padded_B, stops), [-1, 1])
    found = tf.strings.substr(
        tf.repeat(ends, most, 1), tf.repeat(tf.strings.length(ends), most, 1) - taken, taken
    )
    wanted = tf.strings.substr(
        tf.repeat(tf.reshape(stop_BK, [-1, 1]), most, 1), tf.zeros(flat, tf.int32), taken
    )
    hit = tf.where(tf.equal(found, wanted), taken, 0)
    return tf.reduce_max(tf.pad(tf.reshape(hit, [batch, stops * most]), [[0, 0], [0, 1]]), 1)
