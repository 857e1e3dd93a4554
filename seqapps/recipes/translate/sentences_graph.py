"""`sentences` in core TensorFlow operations: the same rule, the same parts."""

# B lines, P parts of all lines together, U units that parts are made of

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from seqapps.recipes.translate.sentences import CUT, FILLED, JOINS, LEVELS, Rule
from seqapps.text.normalise_graph import normalise


def parts(texts_B: Any, count: Callable[[Any], Any], longest: int) -> tuple[Any, Any]:
    """Cuts texts that are too long.

    Args:
        texts_B: string, (batch,).
        count: Gives the pieces of each of some texts, int32.
        longest: Pieces of a text that need not be cut, at most.

    Returns:
        texts_P: string, (parts,). Each text in parts, or itself normalised.
        rows_P: int32, (parts,). The text to which each belongs, ascending.
    """
    with tf.device("/CPU:0"):
        texts_P, rows_P = normalise(texts_B), tf.range(tf.size(texts_B))
        for rule, together in LEVELS:
            over_P = count(texts_P) > longest
            marked_P = tf.where(over_P, _rewritten(texts_P, rule), texts_P)
            ragged = tf.strings.split(marked_P, CUT)
            texts_U, owners_U = ragged.values, tf.cast(ragged.value_rowids(), tf.int32)
            kept = tf.where(tf.not_equal(texts_U, "") | ~tf.gather(over_P, owners_U))[:, 0]
            texts_U, owners_U = tf.gather(texts_U, kept), tf.gather(owners_U, kept)
            if together:
                texts_U, owners_U = _evened(texts_U, owners_U, count, over_P, longest)
            texts_P, rows_P = texts_U, tf.gather(rows_P, owners_U)
        return texts_P, rows_P


def join(texts_P: Any, rows_P: Any, rows: Any) -> Any:
    """Joins the translations of parts: string, (rows,)."""
    with tf.device("/CPU:0"):
        return _rewritten(tf.strings.unsorted_segment_join(texts_P, rows_P, rows, CUT), JOINS)


def _rewritten(texts: Any, rule: Rule) -> Any:
    for pattern, replacement in rule:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


def _evened(
    texts_U: Any, owners_U: Any, count: Callable[[Any], Any], over_P: Any, longest: int
) -> tuple[Any, Any]:
    """Puts neighbours together to as few parts as fill their share, about equally long."""
    sizes_U = tf.cast(count(texts_U), tf.int64)
    totals_P = tf.math.unsorted_segment_sum(sizes_U, owners_U, tf.size(over_P))
    starts_P = tf.cumsum(totals_P, exclusive=True)
    share, whole = FILLED
    totals_P = tf.maximum(totals_P, 1)
    wanted_P = tf.where(over_P, -(-totals_P * whole // (share * longest)), 1)
    done_U = tf.cumsum(sizes_U, exclusive=True) - tf.gather(starts_P, owners_U)
    places_U = (2 * done_U + sizes_U) * tf.gather(wanted_P, owners_U)
    places_U //= 2 * tf.gather(totals_P, owners_U)
    first_U = tf.concat(
        [
            tf.ones_like(owners_U[:1], tf.bool),
            (places_U[1:] != places_U[:-1]) | (owners_U[1:] != owners_U[:-1]),
        ],
        0,
    )
    groups_U = tf.cumsum(tf.cast(first_U, tf.int32)) - 1
    firsts = tf.where(first_U)[:, 0]
    joined = tf.strings.unsorted_segment_join(texts_U, groups_U, tf.size(firsts))
    return joined, tf.gather(owners_U, firsts)
