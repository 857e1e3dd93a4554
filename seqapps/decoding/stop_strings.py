"""Stop strings in a text that is written token by token, and what is held back for them.

All is in bytes: a stop string may begin in one token and end in another, and a token may end within
a character.
"""

# B batch, K stop strings, E bytes of the longest token, H bytes that may be held back

from typing import Any

import tensorflow as tf

from seqapps.decoding.settings import LONGEST_STOP

TAIL = LONGEST_STOP
"""Bytes of the text so far that are remembered: no stop string may be longer."""


def last_bytes(text_B: Any) -> Any:
    """The last `TAIL` bytes of each text, or all of it."""
    size_B = tf.strings.length(text_B)
    kept_B = tf.minimum(size_B, TAIL)
    return tf.strings.substr(text_B, size_B - kept_B, kept_B)


def bytes_back(tail_B: Any, stop_BK: Any, *, width_B: Any, longest: int, there_B: Any) -> Any:
    """How many of a text's last bytes a stop string begins before the end, 0 where there is none.

    Args:
        tail_B: string, (B,). The last `TAIL + longest` bytes, the new token among them.
        stop_BK: string, (B, K).
        width_B: int32, (B,). Bytes of the new token: a stop string must end in it.
        longest: Bytes of the longest token.
        there_B: int32, (B,). Bytes of the tail that are text and not padding.

    Returns:
        int32, (B,).
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
    tails = tf.repeat(tail_B[:, tf.newaxis], flat[1], 1)
    pieces = tf.strings.substr(tails, starts, sizes)
    wanted = tf.reshape(tf.repeat(stop_BK[:, :, tf.newaxis], longest, 2), flat)
    hit = tf.equal(pieces, wanted) & tf.reshape(fits_BKE, flat)
    return tf.maximum(tf.reduce_max(tf.where(hit, within, 0), 1), 0)


def hand_out(
    tail_B: Any, held_B: Any, new_B: Any, *, cut_B: Any, done_B: Any, stop_BK: Any
) -> tuple[Any, Any]:
    """What of the text can be handed out, and how many bytes stay behind.

    Behind stays what may be the beginning of a stop string or of a character, unless nothing
    follows.

    Args:
        tail_B: string, (B,). The text's last bytes before the new ones.
        held_B: int32, (B,). How many of these were not handed out.
        new_B: string, (B,). The new bytes.
        cut_B: int32, (B,). Bytes to hand out because a stop string follows them, -1 if none does.
        done_B: bool, (B,). Whether nothing follows.
        stop_BK: string, (B, K).

    Returns:
        string, (B,), and int32, (B,).
    """
    size_B = tf.strings.length(tail_B)
    held_B = tf.clip_by_value(held_B, 0, size_B)
    text_B = tf.strings.join([tf.strings.substr(tail_B, size_B - held_B, held_B), new_B])
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
    begun_B = tf.where(third_B >= 0xF0, 3, 0)
    begun_B = tf.where(second_B >= 0xE0, 2, begun_B)
    begun_B = tf.where(first_B >= 0xC0, 1, begun_B)
    # After a byte that is no continuation, nothing before it is unfinished.
    begun_B = tf.where((first_B & 0xC0) == 0x80, begun_B, tf.where(first_B >= 0xC0, 1, 0))
    return tf.where((begun_B == 3) & ((second_B & 0xC0) != 0x80), 0, begun_B)


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
    endings = tf.strings.substr(
        tf.repeat(ends, most, 1), tf.repeat(tf.strings.length(ends), most, 1) - taken, taken
    )
    wanted = tf.strings.substr(
        tf.repeat(tf.reshape(stop_BK, [-1, 1]), most, 1), tf.zeros(flat, tf.int32), taken
    )
    hit = tf.where(tf.equal(endings, wanted), taken, 0)
    return tf.reduce_max(tf.pad(tf.reshape(hit, [batch, stops * most]), [[0, 0], [0, 1]]), 1)
