"""`seqapps.text.normalise` in core TensorFlow operations: the same tables, the same rule.

N code points of a whole batch lie one after the other in one vector: work and memory grow with
the text itself, however unequal its rows are.
"""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from seqapps.text.normalise import PLANE, REPLACEMENT, SPACE, character_map, compositions

_VANISHES = -1


def constant(value: Any, dtype: Any = None) -> tf.Tensor:
    """Makes a constant outside any graph: all functions that use it share it, also on export."""
    with tf.init_scope(), tf.device("/CPU:0"):
        return tf.constant(value, dtype)


@cache
def _character_table() -> tf.Tensor:
    """Step 2's table. int32, (PLANE,): code point to code point or _VANISHES."""
    table = np.arange(PLANE, dtype=np.int32)
    for code, mapped in character_map().items():
        table[code] = _VANISHES if mapped is None else mapped
    return constant(table)


@cache
def _second_table() -> tf.Tensor:
    """Which code points can be the second of a composed pair. bool, (PLANE,)."""
    table = np.zeros(PLANE, bool)
    table[[second for _, second in compositions()]] = True
    return constant(table)


@cache
def _composition_tables() -> tuple[tf.Tensor, tf.Tensor]:
    """Step 3's table: sorted keys, int64, (pairs,), and composed characters, int32, (pairs,)."""
    pairs = sorted(compositions().items())
    keys = [first * PLANE + second for (first, second), _ in pairs]
    return constant(keys, tf.int64), constant([char for _, char in pairs], tf.int32)


def normalise(texts_B: tf.Tensor) -> tf.Tensor:
    """Normalises texts as `seqapps.text.normalise` says.

    Args:
        texts_B: string, (batch,). UTF-8; each invalid part counts as U+FFFD, as in Python's
            `bytes.decode("utf-8", "replace")`.

    Returns:
        string, (batch,).
    """
    with tf.device("/CPU:0"):
        codes_N, rows_N = code_points(texts_B)
        lengths_B = tf.math.unsorted_segment_sum(tf.ones_like(rows_N), rows_N, tf.size(texts_B))
        spaced_B = tf.raw_ops.UnicodeEncode(
            input_values=codes_N,
            input_splits=tf.concat([[0], tf.cumsum(lengths_B)], 0),
            output_encoding="UTF-8",
        )
        return tf.ensure_shape(tf.strings.strip(spaced_B), texts_B.shape)


def code_points(texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives the normalised code points of all texts in one vector, each word led by one space.

    A text thus begins with a space too, unless nothing of it remains.

    Args:
        texts_B: string, (batch,). As for `normalise`.

    Returns:
        codes_N: int32, (code points,).
        rows_N: int32, (code points,). The text to which each belongs, ascending.
    """
    # The space before each text keeps texts apart below: no pair composes across it.
    decoded = tf.raw_ops.UnicodeDecode(
        input=tf.strings.join([" ", texts_B]),
        input_encoding="UTF-8",
        errors="replace",
        replacement_char=REPLACEMENT,
        Tsplits=tf.int32,
    )
    codes_N = decoded.char_values
    rows_N = tf.searchsorted(decoded.row_splits[1:], tf.range(tf.size(codes_N)), side="right")
    mapped_N = tf.gather(_character_table(), tf.minimum(codes_N, PLANE - 1))
    codes_N = tf.where(codes_N < PLANE, mapped_N, codes_N)
    codes_N, rows_N = _select(tf.not_equal(codes_N, _VANISHES), codes_N, rows_N)
    codes_N, rows_N = tf.cond(
        tf.reduce_any(_can_be_second(codes_N)),
        lambda: _compose(codes_N, rows_N),
        lambda: (codes_N, rows_N),
    )
    # Of a run of spaces the last stays, and only before a word: each text starts with a space,
    # so the end of a text is followed by one as well.
    spaces_N = tf.equal(codes_N, SPACE)
    before_space_N = tf.concat([spaces_N[1:], [True]], 0)
    return _select(tf.logical_not(spaces_N & before_space_N), codes_N, rows_N)


def _select(
    keep_N: tf.Tensor, codes_N: tf.Tensor, rows_N: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    kept = tf.where(keep_N)[:, 0]
    return tf.gather(codes_N, kept), tf.gather(rows_N, kept)


def _can_be_second(codes_N: tf.Tensor) -> tf.Tensor:
    return tf.gather(_second_table(), tf.minimum(codes_N, PLANE - 1)) & (codes_N < PLANE)


def _compose(codes_N: tf.Tensor, rows_N: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Composes pairs until none is left: at most three rounds, for a base with three marks.

    Equal to Python's scan from left to right, because no character is the second of one pair and
    the first of another.
    """
    keys, composed = _composition_tables()

    def composed_with_next(codes_N: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Whether each code point forms a pair with the next one, and what comes of it."""
        firsts_N = tf.cast(codes_N, tf.int64)
        seconds_N = tf.concat([firsts_N[1:], [0]], 0)
        pairs_N = firsts_N * PLANE + seconds_N
        places_N = tf.minimum(tf.searchsorted(keys, pairs_N), tf.size(keys) - 1)
        # A key of two characters outside the plane could equal another pair's.
        known_N = tf.equal(tf.gather(keys, places_N), pairs_N) & _can_be_second(
            tf.cast(seconds_N, tf.int32)
        )
        return known_N, tf.gather(composed, places_N)

    def any_pair(codes_N: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(composed_with_next(codes_N)[0])

    def compose_pairs(codes_N: tf.Tensor, rows_N: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pair_N, char_N = composed_with_next(codes_N)
        consumed_N = tf.concat([[False], pair_N[:-1]], 0)
        return _select(tf.logical_not(consumed_N), tf.where(pair_N, char_N, codes_N), rows_N)

    unknown_length = tf.TensorShape([None])
    composed_N, rows_N = tf.while_loop(
        any_pair, compose_pairs, (codes_N, rows_N), (unknown_length, unknown_length)
    )
    return composed_N, rows_N
