"""Prefix beam search that goes on where it stopped: beam and text as tensors in and out.

A text is final as far as all hypotheses agree on it, for each of them can only grow.
"""

# B batch, S steps, V outputs, K hypotheses, L characters

from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.decoding.ctc_beam import (
    NEVER,
    Beam,
    Language,
    advance,
    final_scores,
    only_best,
    start_beam,
    surely_blank,
    trace,
    useful_steps,
)
from seqapps.decoding.settings import MARKS, SCORES

_HEARD = -0.6931
"""A step whose blank has a log-probability above this, ln 1/2, is one of silence."""


class Search(NamedTuple):
    """Where a search stands."""

    scores: Any
    """float32, (B, K, 5): of each hypothesis, the likeliest first."""
    marks: Any
    """int32, (B, K, 9): last label, context of the language model, hashes."""
    texts: Any
    """string, (B, K): what of each is not final."""
    counts: Any
    """int32, (B,): hypotheses of each row; 0 before anything was heard."""
    sure: Any
    """bool, (B,): whether the last step was surely a blank."""
    quiet: Any
    """int32, (B,): steps of silence since the last sound."""


class Step(NamedTuple):
    """What a portion adds."""

    search: Search
    """Where the search stands after it."""
    final: Any
    """string, (B,): text that will not change, spaces as the labels have them."""
    partial: Any
    """string, (B,): what the likeliest hypothesis has besides."""


def start_search(batch: Any) -> Search:
    """Before anything was heard: int32, (), rows."""

    def zeros(*shape: int, dtype: Any = tf.int32) -> Any:
        return tf.zeros(tf.stack([batch, *shape]), dtype)

    return Search(
        zeros(0, SCORES, dtype=tf.float32),
        zeros(0, MARKS),
        zeros(0, dtype=tf.string),
        zeros(),
        zeros(dtype=tf.bool),
        zeros(),
    )


def search_on(
    search: Search,
    log_probs_BSV: Any,
    lengths_B: Any,
    *,
    symbols_V: Any,
    pause_B: Any,
    beam_width: Any,
    language: Language | None,
    language_weight: Any,
    last: bool,
    **weights: Any,
) -> Step:
    """Goes on with a search.

    Args:
        search: From `start_search` or the portion before.
        log_probs_BSV: float32, (B, S, V), S at least 1.
        lengths_B: int32, (B,).
        symbols_V: string: what each label writes.
        pause_B: int32, (B,). After so many steps of silence the likeliest hypothesis counts as
            said; 0: never.
        beam_width: int32, (B,).
        language: As in `prefix_beam_search`.
        language_weight: Likewise.
        last: Whether nothing follows: then everything is final.
        **weights: Further arguments of `prefix_beam_search`: `label_bonus` and `hot`.

    Returns:
        The new search and text. Portions together give the text that the whole gives, where no
        pause is set.
    """
    outputs = log_probs_BSV.shape[-1]
    beam, texts_BK = _unpacked(
        search, tf.reduce_max(tf.concat([beam_width, [1]], 0)), language, outputs
    )
    useful_BUV, counts_B, places_BU = useful_steps(log_probs_BSV, lengths_B, sure_B=search.sure)
    settled_BS, quiet_B = _silence(log_probs_BSV, lengths_B, search.quiet, pause_B)
    advanced = advance(
        beam,
        useful_BUV,
        counts_B,
        beam_width=beam_width,
        language=language,
        language_weight=language_weight,
        settled_BS=tf.gather(settled_BS, places_BU, batch_dims=1),
        **weights,
    )
    beam = only_best(advanced.beam, (pause_B > 0) & (quiet_B >= pause_B))
    width = tf.shape(texts_BK)[1]
    everyone_BK = tf.broadcast_to(tf.range(width), tf.shape(texts_BK))
    labels_BKL, sizes_BK, origin_BK = trace(advanced, everyone_BK)
    real_BKL = tf.sequence_mask(sizes_BK, tf.shape(labels_BKL)[2])
    added_BK = tf.strings.reduce_join(tf.where(real_BKL, tf.gather(symbols_V, labels_BKL), ""), 2)
    alive_BK = tf.maximum(beam.blank, beam.label) > NEVER / 2
    texts_BK = tf.strings.join([tf.gather(texts_BK, origin_BK, batch_dims=1), added_BK])
    texts_BK = tf.where(alive_BK, texts_BK, "")
    if last:
        scores_BK = final_scores(beam, language=language, language_weight=language_weight)
        best_B = tf.argmax(scores_BK, 1, output_type=tf.int32)
        final_B = tf.gather(texts_BK, best_B, batch_dims=1)
        return Step(search, final_B, tf.fill(tf.shape(final_B), ""))
    final_B, rest_BK = _agreed(texts_BK, alive_BK)
    steps_B1 = tf.maximum(lengths_B - 1, 0)[:, tf.newaxis]
    blank_B = tf.gather(log_probs_BSV[:, :, -1], steps_B1, batch_dims=1)[:, 0]
    sure_B = tf.where(lengths_B > 0, surely_blank(blank_B), search.sure)
    scores, marks = _packed(_levelled(beam))
    counts_B = tf.reduce_sum(tf.cast(alive_BK, tf.int32), 1)
    return Step(Search(scores, marks, rest_BK, counts_B, sure_B, quiet_B), final_B, rest_BK[:, 0])


def _silence(log_probs_BSV: Any, lengths_B: Any, quiet_B: Any, pause_B: Any) -> tuple[Any, Any]:
    """Before which steps there was a pause, bool (B, S), and steps of silence at the end, (B,)."""
    steps = tf.shape(log_probs_BSV)[1]
    place_S = tf.range(steps)
    silent_BS = log_probs_BSV[:, :, -1] > _HEARD
    # Silent steps before each: of the last ones all, where there was a pause.
    before_BS = tf.pad(tf.cumsum(tf.cast(silent_BS, tf.int32), axis=1)[:, :-1], [[0, 0], [1, 0]])
    pause_B1, quiet_B1 = pause_B[:, tf.newaxis], quiet_B[:, tf.newaxis]
    earlier_BS = tf.clip_by_value(place_S - pause_B1, 0, steps - 1)
    within_BS = before_BS - tf.gather(before_BS, earlier_BS, batch_dims=1) >= pause_B1
    reaching_BS = (before_BS >= place_S) & (quiet_B1 + place_S >= pause_B1)
    settled_BS = tf.where(place_S >= pause_B1, within_BS, reaching_BS) & (pause_B1 > 0)
    real_BS = tf.sequence_mask(lengths_B, steps)
    sound_B = tf.reduce_max(tf.where(real_BS & ~silent_BS, place_S, -1), 1)
    after_B = tf.where(sound_B < 0, quiet_B + lengths_B, lengths_B - 1 - sound_B)
    # Of an endless silence no more is counted than matters.
    return settled_BS, tf.minimum(after_B, 1 << 20)


def _agreed(texts_BK: Any, alive_BK: Any) -> tuple[Any, Any]:
    """What all living hypotheses begin with, string (B,), and the rest of each, (B, K)."""
    shape = tf.shape(texts_BK)
    ragged = tf.strings.unicode_split(tf.reshape(texts_BK, [-1]), "UTF-8")
    letters = ragged.to_tensor("")
    letters_BKL = tf.reshape(letters, [shape[0], shape[1], tf.shape(letters)[1]])
    first_B1L = letters_BKL[:, :1]
    same_BL = tf.reduce_all((letters_BKL == first_B1L) | ~alive_BK[:, :, tf.newaxis], 1)
    same_BL &= first_B1L[:, 0] != ""
    agreed_BL = tf.math.cumprod(tf.cast(same_BL, tf.int32), axis=1) > 0
    final_B = tf.strings.reduce_join(tf.where(agreed_BL, first_B1L[:, 0], ""), 1)
    left_BKL = tf.where(agreed_BL[:, tf.newaxis], "", letters_BKL)
    return final_B, tf.where(alive_BK, tf.strings.reduce_join(left_BKL, 2), "")


def _levelled(beam: Beam) -> Beam:
    """The same hypotheses with the likeliest at 0, so that numbers stay small for hours."""

    def level(values_BK: Any, by_B1: Any) -> Any:
        return tf.where(values_BK > NEVER / 2, values_BK - by_B1, NEVER)

    highest_BK = tf.maximum(beam.blank, beam.label)
    by_B1 = tf.reduce_max(highest_BK, 1, keepdims=True)
    return beam._replace(
        blank=level(beam.blank, by_B1),
        label=level(beam.label, by_B1),
        extra=beam.extra - beam.extra[:, :1],
        boost=beam.boost - beam.boost[:, :1],
    )


def _packed(beam: Beam) -> tuple[Any, Any]:
    scores = tf.stack([beam.blank, beam.label, beam.extra, beam.boost, beam.pending], 2)
    whole = tf.stack([beam.last, beam.context, tf.cast(beam.complete, tf.int32)], 2)
    hashes = [tf.bitcast(each, tf.int32) for each in (beam.name, beam.parent, beam.word)]
    return scores, tf.concat([whole, *hashes], 2)


def _unpacked(
    search: Search, width: Any, language: Language | None, outputs: int
) -> tuple[Beam, Any]:
    """Beam and texts with room for `width` hypotheses. Callers may send anything."""
    batch = tf.shape(search.counts)[0]
    there = tf.shape(search.scores)[1]
    room = tf.maximum(width, there)

    def padded(values: Any) -> Any:
        more = [[0, 0], [0, room - there], *[[0, 0]] * (values.shape.rank - 2)]
        return tf.pad(values, more)

    scores, marks = padded(search.scores), padded(search.marks)
    scores = tf.where(tf.math.is_finite(scores), tf.maximum(scores, NEVER), NEVER)
    blank, label, extra, boost, pending = tf.unstack(scores, SCORES, 2)
    contexts = 1 if language is None else tf.shape(language.ending)[0]
    real_BK = tf.sequence_mask(search.counts, room)
    stored = Beam(
        blank=tf.where(real_BK, blank, NEVER),
        label=tf.where(real_BK, label, NEVER),
        last=tf.clip_by_value(marks[:, :, 0], 0, outputs - 1),
        name=tf.bitcast(marks[:, :, 3:5], tf.int64),
        parent=tf.bitcast(marks[:, :, 5:7], tf.int64),
        context=tf.clip_by_value(marks[:, :, 1], 0, contexts - 1),
        extra=extra,
        word=tf.bitcast(marks[:, :, 7:9], tf.int64),
        boost=boost,
        pending=pending,
        complete=marks[:, :, 2] != 0,
    )
    fresh_B1 = (search.counts == 0)[:, tf.newaxis]
    start = start_beam(batch, room, language=language, outputs=outputs)
    beam = Beam(*(tf.where(fresh_B1, a, b) for a, b in zip(start, stored, strict=True)))
    blank_BK = tf.fill(tf.stack([batch, room - there]), "")
    return beam, tf.where(real_BK, tf.concat([search.texts, blank_BK], 1), "")
