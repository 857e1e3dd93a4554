"""Prefix beam search over a CTC network's answers, in the graph, with a language model.

A hypothesis is a row of labels; the probability of all ways to say it with blanks between is kept
in two parts, those that end in a blank and those that do not. The blank is the last output.

Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs", algorithm 1; Graves and Jaitly 2014.
"""

# B batch, S steps, V outputs, C labels (V - 1), K hypotheses, L labels of the longest hypothesis,
# N contexts of the language model

from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.decoding.hot_words import MULTIPLIER, HotWords, grow

NEVER = -1e30
"""Log-probability of what cannot be: finite, so that no difference of two is undefined."""
_SURE = 1e-4
"""A step whose blank is surer than 1 less this, after another such step, changes nothing."""
_INCREMENT = 1442695040888963407


class Language(NamedTuple):
    """A language model as an automaton: for each context, each label's score and what follows."""

    scores: Any
    """float32, (N, C): log-probability, in nats."""
    following: Any
    """int32, (N, C): the context after the label."""
    start: Any
    """int32, (): the context before anything was said."""
    ending: Any
    """float32, (N,): log-probability that the text ends here."""


class Hypotheses(NamedTuple):
    """Rows of labels, best first."""

    labels: Any
    """int32, (B, K, L), padded with 0."""
    lengths: Any
    """int32, (B, K)."""
    scores: Any
    """float32, (B, K): log-probability of the network, plus what language model, label bonus and
    hot words add; `NEVER` where a row has fewer hypotheses."""
    log_probs: Any
    """float32, (B, K): log-probability of the network alone, over the ways that were searched."""


def surely_blank(log_probs: Any) -> Any:
    """Whether the blank is so likely that a second such step changes nothing."""
    return log_probs > tf.math.log1p(-_SURE)


def useful_steps(log_probs_BSV: Any, lengths_B: Any, *, sure_B: Any = None) -> tuple[Any, Any, Any]:
    """Leaves out steps in the middle of a silence, of which nothing can be learned.

    Args:
        log_probs_BSV: float32, (B, S, V).
        lengths_B: int32, (B,).
        sure_B: bool, (B,): whether there was such a step before the first; None: nowhere.

    Returns:
        float32 (B, U, V), the other steps; int32 (B,), how many there are; int32 (B, U), where each
        stood.
    """
    steps = tf.shape(log_probs_BSV)[1]
    sure_BS = surely_blank(log_probs_BSV[:, :, -1])
    before_BS = tf.pad(sure_BS[:, :-1], [[0, 0], [1, 0]])
    if sure_B is not None:
        before_BS |= sure_B[:, tf.newaxis] & (tf.range(steps) == 0)
    again_BS = sure_BS & before_BS
    kept_BS = ~again_BS & tf.sequence_mask(lengths_B, steps)
    counts_B = tf.reduce_sum(tf.cast(kept_BS, tf.int32), 1)
    most = tf.reduce_max(tf.concat([counts_B, [1]], 0))
    order_BS = tf.argsort(tf.cast(~kept_BS, tf.int32), axis=1, stable=True)[:, :most]
    order_BS = tf.pad(order_BS, [[0, 0], [0, most - tf.shape(order_BS)[1]]])
    return tf.gather(log_probs_BSV, order_BS, batch_dims=1), counts_B, order_BS


class Beam(NamedTuple):
    """The hypotheses of one moment, (B, K) each."""

    blank: Any
    """Log-probability of the ways that end in a blank."""
    label: Any
    """Of those that end in the last label."""
    last: Any
    """The last label; C, which is none, for the empty hypothesis."""
    name: Any
    """A hash of all labels."""
    parent: Any
    """A hash of all but the last."""
    context: Any
    """Of the language model."""
    extra: Any
    """What language model and bonus have added."""
    word: Any
    """A hash of the word that is being said."""
    boost: Any
    """What hot words have added that is settled."""
    pending: Any
    """What the word being said adds as long as it goes on as a hot word does."""
    complete: Any
    """Whether that word is a whole hot word."""


def prefix_beam_search(
    log_probs_BSV: Any,
    lengths_B: Any,
    *,
    beam_width: Any,
    language: Language | None = None,
    language_weight: Any = 0.0,
    label_bonus: Any = 0.0,
    hot: HotWords | None = None,
) -> Hypotheses:
    """Finds the rows of labels with the highest scores.

    Score: log-probability of the network + language_weight × log-probability of the language model
    + label_bonus × labels + what hot words add. The search is exact where the beam holds every
    hypothesis.

    Args:
        log_probs_BSV: float32, (B, S, V).
        lengths_B: int32, (B,). Real steps of each row.
        beam_width: int32, (B,), at least 1. Hypotheses that are kept.
        language: None for no language model.
        language_weight: float32, (B,) or ().
        label_bonus: float32, (B,) or (). Makes up for what the language model takes.
        hot: None for no hot words.
    """
    batch = tf.shape(log_probs_BSV)[0]
    width = tf.maximum(1, tf.reduce_max(tf.concat([beam_width, [1]], 0)))
    advanced = advance(
        start_beam(batch, width, language=language, outputs=log_probs_BSV.shape[-1]),
        log_probs_BSV,
        lengths_B,
        beam_width=beam_width,
        language=language,
        language_weight=language_weight,
        label_bonus=label_bonus,
        hot=hot,
    )
    beam = advanced.beam
    scores_BK = final_scores(beam, language=language, language_weight=language_weight)
    order_BK = tf.argsort(scores_BK, axis=1, direction="DESCENDING", stable=True)
    tokens_BKL, counts_BK, _ = trace(advanced, order_BK)
    return Hypotheses(
        labels=tokens_BKL,
        lengths=counts_BK,
        scores=tf.gather(scores_BK, order_BK, batch_dims=1),
        log_probs=tf.gather(_log_add(beam.blank, beam.label), order_BK, batch_dims=1),
    )


def start_beam(batch: Any, width: Any, *, language: Language | None, outputs: int) -> Beam:
    """The beam before anything was heard: nothing is said, for sure.

    Args:
        batch: int32, (). Rows.
        width: int32, (). Hypotheses there is room for.
        language: The language model of the search.
        outputs: V.
    """
    first_BK = tf.broadcast_to(tf.range(width) == 0, tf.stack([batch, width]))

    def full(value: Any, dtype: Any) -> Any:
        return tf.fill(tf.stack([batch, width]), tf.constant(value, dtype))

    return Beam(
        blank=tf.where(first_BK, 0.0, NEVER),
        label=full(NEVER, tf.float32),
        last=full(outputs - 1, tf.int32),
        name=full(1, tf.int64),
        parent=full(0, tf.int64),
        context=full(0, tf.int32)
        if language is None
        else tf.broadcast_to(language.start, tf.stack([batch, width])),
        extra=full(0.0, tf.float32),
        word=full(0, tf.int64),
        boost=full(0.0, tf.float32),
        pending=full(0.0, tf.float32),
        complete=full(False, tf.bool),
    )


class Advanced(NamedTuple):
    """A beam after some steps, and how it came there."""

    beam: Beam
    """The hypotheses now, the likeliest first where a row has gone a step."""
    parents: Any
    """TensorArray of int32, (B, K): of which hypothesis each came, step by step."""
    added: Any
    """TensorArray of int32, (B, K): the label that was added, -1 for none."""
    steps: Any
    """int32, (): how many of these there are."""


def final_scores(beam: Beam, *, language: Language | None, language_weight: Any) -> Any:
    """The score of each hypothesis if nothing follows: float32, (B, K)."""
    log_probs_BK = _log_add(beam.blank, beam.label)
    extra_BK = beam.extra + beam.boost + tf.where(beam.complete, beam.pending, 0.0)
    if language is not None:
        weight_B1 = tf.broadcast_to(language_weight, [tf.shape(extra_BK)[0]])[:, tf.newaxis]
        extra_BK += weight_B1 * tf.gather(language.ending, beam.context)
    return tf.where(log_probs_BK > NEVER / 2, log_probs_BK + extra_BK, NEVER)


def only_best(beam: Beam, rows_B: Any) -> Beam:
    """Settles for the likeliest hypothesis in some rows: bool, (B,)."""
    keep_BK = ~rows_B[:, tf.newaxis] | (tf.range(tf.shape(beam.last)[1]) == 0)
    return beam._replace(
        blank=tf.where(keep_BK, beam.blank, NEVER), label=tf.where(keep_BK, beam.label, NEVER)
    )


def advance(
    beam: Beam,
    log_probs_BSV: Any,
    lengths_B: Any,
    *,
    beam_width: Any,
    language: Language | None = None,
    language_weight: Any = 0.0,
    label_bonus: Any = 0.0,
    hot: HotWords | None = None,
    settled_BS: Any = None,
) -> Advanced:
    """Goes on with a search.

    Args:
        beam: From `start_beam` or the call before; its K is at least that of `beam_width`.
        log_probs_BSV: As `prefix_beam_search` has it.
        lengths_B: Likewise.
        beam_width: Likewise.
        language: Likewise.
        language_weight: Likewise.
        label_bonus: Likewise.
        hot: Likewise.
        settled_BS: bool, (B, S): before which steps the likeliest hypothesis alone goes on.
    """
    batch, steps = tf.shape(log_probs_BSV)[0], tf.shape(log_probs_BSV)[1]
    width = tf.shape(beam.last)[1]
    looks = _LooksAt(
        allowed_BK=tf.range(width) < beam_width[:, tf.newaxis],
        language=language,
        weight_B11=tf.reshape(tf.broadcast_to(language_weight, [batch]), [-1, 1, 1]),
        bonus_B11=tf.reshape(tf.broadcast_to(label_bonus, [batch]), [-1, 1, 1]),
        hot=hot,
    )
    parents = tf.TensorArray(tf.int32, steps, element_shape=[None, None])
    added = tf.TensorArray(tf.int32, steps, element_shape=[None, None])

    def step(t: Any, parents: Any, added: Any, *state: Any) -> tuple[Any, ...]:
        beam = Beam(*state)
        if settled_BS is not None:
            beam = only_best(beam, settled_BS[:, t])
        after, origin_BK, label_BK = _one_step(beam, log_probs_BSV[:, t], looks)
        # A row that has ended stays as it is.
        going_B1 = (t < lengths_B)[:, tf.newaxis]
        after = Beam(*(tf.where(going_B1, a, b) for a, b in zip(after, beam, strict=True)))
        parents = parents.write(t, tf.where(going_B1, origin_BK, tf.range(width)))
        added = added.write(t, tf.where(going_B1, label_BK, -1))
        return t + 1, parents, added, *after

    limit = tf.minimum(steps, tf.reduce_max(tf.concat([lengths_B, [0]], 0)))
    _, parents, added, *state = tf.while_loop(
        lambda t, *_: t < limit, step, (0, parents, added, *beam), parallel_iterations=1
    )
    return Advanced(Beam(*state), parents, added, limit)


class _LooksAt(NamedTuple):
    """What a search looks at besides the network."""

    allowed_BK: Any
    """bool: hypotheses that each row may keep."""
    language: Language | None
    weight_B11: Any
    """float32: how much it counts."""
    bonus_B11: Any
    """float32: what each label adds."""
    hot: HotWords | None


class _Kept(NamedTuple):
    """Which hypotheses one step keeps, the best first, (B, K) each."""

    alive: Any
    """bool: whether it is one at all."""
    grows: Any
    """bool: whether a label was added."""
    place: Any
    """int32: that hypothesis and label among all extensions, K × C."""
    origin: Any
    """int32: the hypothesis that it was."""
    label: Any
    """int32: the label that was added, -1 for none."""

    def old(self, values_BK: Any) -> Any:
        """Of each the value that its origin had."""
        return tf.gather(values_BK, self.origin, batch_dims=1)

    def new(self, values_BKC: Any) -> Any:
        """Of each that grows the value of its extension."""
        batch, width, labels = tf.unstack(tf.shape(values_BKC))
        flat_BX = tf.reshape(values_BKC, [batch, width * labels])
        return tf.gather(flat_BX, self.place, batch_dims=1)


def _one_step(beam: Beam, log_probs_BV: Any, looks: _LooksAt) -> tuple[Beam, Any, Any]:
    """The best hypotheses after one more step, of which each came, and what label was added."""
    stay_blank_BK, stay_label_BK, extended_BKC = _heard(beam, log_probs_BV)
    gained_BKC = tf.zeros_like(extended_BKC) + looks.bonus_B11
    if looks.language is not None:
        gained_BKC += looks.weight_B11 * tf.gather(looks.language.scores, beam.context)
    stay_BK = _log_add(stay_blank_BK, stay_label_BK) + beam.extra + beam.boost + beam.pending
    grow_BKC = extended_BKC + beam.extra[:, :, tf.newaxis] + gained_BKC
    grown = None
    if looks.hot is not None:
        grown = grow(
            looks.hot,
            word=beam.word,
            boost=beam.boost,
            pending=beam.pending,
            complete=beam.complete,
        )
        grow_BKC += grown.boost + grown.pending
    kept = _best(stay_BK, grow_BKC, looks.allowed_BK)
    label_BK = tf.where(kept.grows, kept.new(extended_BKC), kept.old(stay_label_BK))
    after = Beam(
        blank=tf.where(kept.alive & ~kept.grows, kept.old(stay_blank_BK), NEVER),
        label=tf.where(kept.alive, label_BK, NEVER),
        last=tf.where(kept.grows, kept.label, kept.old(beam.last)),
        name=_names(beam, kept),
        parent=tf.where(kept.grows, kept.old(beam.name), kept.old(beam.parent)),
        context=_contexts(beam, kept, looks.language),
        extra=kept.old(beam.extra) + tf.where(kept.grows, kept.new(gained_BKC), 0.0),
        word=kept.old(beam.word),
        boost=kept.old(beam.boost),
        pending=kept.old(beam.pending),
        complete=kept.old(beam.complete),
    )
    if grown is not None:
        after = after._replace(
            word=tf.where(kept.grows, kept.new(grown.word), after.word),
            boost=tf.where(kept.grows, kept.new(grown.boost), after.boost),
            pending=tf.where(kept.grows, kept.new(grown.pending), after.pending),
            complete=tf.where(kept.grows, kept.new(grown.complete), after.complete),
        )
    return after, kept.origin, kept.label


def _best(stay_BK: Any, grow_BKC: Any, allowed_BK: Any) -> _Kept:
    """Chooses as many as there were, by score: hypotheses that stay as they are, or grow."""
    batch, width, labels = tf.shape(stay_BK)[0], tf.shape(stay_BK)[1], grow_BKC.shape[-1]
    flat_BX = tf.concat([stay_BK, tf.reshape(grow_BKC, [batch, width * labels])], 1)
    values_BK, chosen_BK = tf.math.top_k(flat_BX, width)
    grows_BK = chosen_BK >= width
    place_BK = tf.maximum(chosen_BK - width, 0)
    return _Kept(
        alive=allowed_BK & (values_BK > NEVER / 2),
        grows=grows_BK,
        place=place_BK,
        origin=tf.where(grows_BK, place_BK // labels, chosen_BK),
        label=tf.where(grows_BK, place_BK % labels, -1),
    )


def _names(beam: Beam, kept: _Kept) -> Any:
    """The hash of all labels of each: int64, (B, K)."""
    before_BK = kept.old(beam.name)
    grown_BK = before_BK * MULTIPLIER + (tf.cast(kept.label, tf.int64) + 1) * _INCREMENT
    return tf.where(kept.grows, grown_BK, before_BK)


def _contexts(beam: Beam, kept: _Kept, language: Language | None) -> Any:
    """Where each stands in the language model: int32, (B, K)."""
    context_BK = kept.old(beam.context)
    if language is None:
        return context_BK
    asked_BK2 = tf.stack([context_BK, tf.maximum(kept.label, 0)], 2)
    return tf.where(kept.grows, tf.gather_nd(language.following, asked_BK2), context_BK)


def _heard(beam: Beam, log_probs_BV: Any) -> tuple[Any, Any, Any]:
    """What one step makes of each hypothesis, as the network alone has it.

    Args:
        beam: The hypotheses before it.
        log_probs_BV: float32, (B, V).

    Returns:
        Log-probabilities: float32 (B, K), of the ways to stay as it is that end in a blank;
        likewise, of those that end in its last label; and (B, K, C), extended by each label,
        `NEVER` where that is a hypothesis of the beam already, in whose ways it then counts.
    """
    labels = log_probs_BV.shape[-1] - 1
    p_label_BC, p_blank_B1 = log_probs_BV[:, :-1], log_probs_BV[:, -1:]
    total_BK = _log_add(beam.blank, beam.label)
    stay_blank_BK = total_BK + p_blank_B1
    # The empty hypothesis has no last label to repeat.
    p_last_BK = tf.gather(
        tf.pad(p_label_BC, [[0, 0], [0, 1]], constant_values=NEVER), beam.last, batch_dims=1
    )
    stay_label_BK = tf.maximum(beam.label + p_last_BK, NEVER)
    repeats_BKC = beam.last[:, :, tf.newaxis] == tf.range(labels)
    before_BKC = tf.where(repeats_BKC, beam.blank[:, :, tf.newaxis], total_BK[:, :, tf.newaxis])
    extended_BKC = tf.maximum(before_BKC + p_label_BC[:, tf.newaxis], NEVER)
    # An extension may be a hypothesis that is there already: it counts there.
    same_BQK = beam.name[:, tf.newaxis, :] == beam.parent[:, :, tf.newaxis]
    there_BK = total_BK > NEVER / 2
    same_BQK &= there_BK[:, tf.newaxis, :] & there_BK[:, :, tf.newaxis]
    padded_BKC = tf.pad(extended_BKC, [[0, 0], [0, 0], [0, 1]], constant_values=NEVER)
    joining_BQK = tf.gather(
        tf.transpose(padded_BKC, [0, 2, 1]), beam.last, batch_dims=1
    )  # for each hypothesis q, each k extended by q's last label
    joining_BQ = tf.reduce_max(tf.where(same_BQK, joining_BQK, NEVER), 2)
    stay_label_BK = _log_add(stay_label_BK, joining_BQ)
    taken_BKC = tf.einsum(
        "bqk,bqc->bkc",
        tf.cast(same_BQK, tf.float32),
        tf.one_hot(beam.last, labels),
    )
    extended_BKC = tf.where(taken_BKC > 0.5, NEVER, extended_BKC)
    return stay_blank_BK, stay_label_BK, extended_BKC


def _log_add(a: Any, b: Any) -> Any:
    """Log of the sum of two probabilities, at least `NEVER`."""
    high = tf.maximum(a, b)
    return tf.maximum(high + tf.math.log1p(tf.exp(-tf.abs(a - b))), NEVER)


def trace(advanced: Advanced, order_BK: Any) -> tuple[Any, Any, Any]:
    """Walks back from some hypotheses of the end to the beginning.

    Args:
        advanced: From `advance`.
        order_BK: int32, (B, K). Their places.

    Returns:
        int32: the labels that were added, (B, K, L), how many they are, (B, K), and the places of
        those hypotheses of the beginning from which they come, (B, K).
    """
    parents, added, steps = advanced.parents, advanced.added, advanced.steps
    written = tf.TensorArray(tf.int32, steps, element_shape=[None, None])

    def step(t: Any, place_BK: Any, written: Any) -> tuple[Any, ...]:
        written = written.write(t, tf.gather(added.read(t), place_BK, batch_dims=1))
        return t - 1, tf.gather(parents.read(t), place_BK, batch_dims=1), written

    _, origin_BK, written = tf.while_loop(
        lambda t, *_: t >= 0, step, (steps - 1, order_BK, written), parallel_iterations=1
    )
    shape = tf.shape(order_BK)
    labels_SBK = tf.cond(steps > 0, written.stack, lambda: tf.fill([0, shape[0], shape[1]], -1))
    labels_BKS = tf.transpose(labels_SBK, [1, 2, 0])
    real_BKS = labels_BKS >= 0
    counts_BK = tf.reduce_sum(tf.cast(real_BKS, tf.int32), 2)
    most = tf.reduce_max(tf.concat([tf.reshape(counts_BK, [-1]), [0]], 0))
    written_N3 = tf.where(real_BKS)
    place = tf.gather_nd(tf.cumsum(tf.cast(real_BKS, tf.int64), axis=2) - 1, written_N3)
    target = tf.concat([written_N3[:, :2], place[:, tf.newaxis]], 1)
    size = tf.cast(tf.stack([shape[0], shape[1], most]), tf.int64)
    labels_BKL = tf.scatter_nd(target, tf.gather_nd(labels_BKS, written_N3), size)
    return labels_BKL, counts_BK, origin_BK
