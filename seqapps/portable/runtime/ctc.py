"""CTC prefix beam search and alignment in NumPy: what `seqapps.decoding` does in the graph."""

# B batch, S steps, V outputs (C labels and the blank), K hypotheses, L labels, N contexts,
# P prefixes of hot words, Z places

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

IMPOSSIBLE = np.float32(-1e30)
SURE = np.float32(np.log1p(np.float32(-1e-4)))
"""A step whose blank is surer, after another such step, changes nothing."""
MULTIPLIER, INCREMENT = np.int64(6364136223846793005), np.int64(1442695040888963407)
LEAST = -20.0
"""Log-probability of what the language model holds impossible."""


class Automaton(NamedTuple):
    """A language model: for each context, each label's score and what follows."""

    scores: Any
    """float32, (N, C)."""
    following: Any
    """int64, (N, C)."""
    start: int
    ending: Any
    """float32, (N,)."""


def automaton(content: bytes, space: int) -> Automaton:
    """Reads the n-gram model of a bundle."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        table = {name: file[name] for name in file.files}
    keys, suffix, depth = table["keys"], table["suffix"], table["depth"]
    log_prob, log_backoff = (table[n].astype(np.float64) for n in ("log_prob", "log_backoff"))
    vocabulary, order = int(table["vocabulary"]), int(table["order"])
    contexts = int((depth < order).sum())
    nodes, tokens = np.broadcast_arrays(
        np.arange(contexts, dtype=np.int64)[:, None], np.arange(vocabulary)[None]
    )
    reached, total = np.zeros_like(nodes), np.zeros(nodes.shape)
    searching = np.ones(nodes.shape, bool)
    while searching.any():
        wanted = nodes * vocabulary + tokens
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        children = np.where(keys[places] == wanted, places + 1, 0)
        hit = searching & (children > 0)
        reached = np.where(hit, children, reached)
        total += np.where(hit, log_prob[children], 0.0)
        searching &= ~hit
        total += np.where(searching, log_backoff[nodes], 0.0)
        nodes = np.where(searching, suffix[nodes], nodes)
    # The longest n-grams are no contexts.
    following = np.where(depth[reached] == order, suffix[reached], reached)
    scores = np.maximum(total, LEAST).astype(np.float32)
    return Automaton(scores, following, int(following[0, space]), scores[:, space])


class Expected(NamedTuple):
    """Hot words: beginnings of them as hashes, (B, P), and what symbols do to a word's hash."""

    prefixes: Any
    whole: Any
    letters: Any
    weight: Any
    """float32, (B,)."""
    powers: Any
    """int64, (C,)."""
    hashes: Any
    begins: Any


def signed(value: int) -> int:
    """A whole number as 64 bits have it."""
    value %= 2**64
    return value - 2**64 if value >= 2**63 else value


def expected(words: Sequence[Sequence[str]], symbols: Sequence[str], weight: Any) -> Expected:
    """Prepares the hot words of each row."""
    rows = []
    for each in words:
        row = []
        for word in " ".join(each).split(" "):
            number = 0
            for place, letter in enumerate(word, 1):
                number = signed(number * int(MULTIPLIER) + ord(letter))
                row.append((number, place == len(word), place))
        rows.append(row)
    width = max(map(len, rows)) + 1
    rows = [[*row, *[(0, False, 0)] * (width - len(row))] for row in rows]
    hashes = []
    for symbol in symbols:
        number = 0
        for letter in symbol.strip():
            number = number * int(MULTIPLIER) + ord(letter)
        hashes.append(signed(number))
    return Expected(
        prefixes=np.array([[p for p, _, _ in row] for row in rows], np.int64),
        whole=np.array([[w for _, w, _ in row] for row in rows], bool),
        letters=np.array([[n for _, _, n in row] for row in rows], np.float32),
        weight=np.asarray(weight, np.float32),
        powers=np.array([signed(int(MULTIPLIER) ** len(s.strip())) for s in symbols], np.int64),
        hashes=np.array(hashes, np.int64),
        begins=np.array([s.startswith(" ") for s in symbols]),
    )


def useful_steps(log_probs_BSV: Any, lengths_B: Any) -> tuple[Any, Any, Any]:
    """Leaves out steps in the middle of a silence: the others, how many, and where each stood."""
    steps = log_probs_BSV.shape[1]
    sure_BS = log_probs_BSV[:, :, -1] > SURE
    again_BS = sure_BS & np.pad(sure_BS[:, :-1], [(0, 0), (1, 0)])
    kept_BS = ~again_BS & (np.arange(steps) < lengths_B[:, None])
    counts_B = kept_BS.sum(1)
    order_BS = np.argsort(~kept_BS, axis=1, kind="stable")[:, : max(1, int(counts_B.max()))]
    return np.take_along_axis(log_probs_BSV, order_BS[:, :, None], 1), counts_B, order_BS


def log_add(a: Any, b: Any) -> Any:
    """Log of the sum of two probabilities, at least `IMPOSSIBLE`."""
    return np.maximum(np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b))), IMPOSSIBLE)


def best_k(values: Any, count: int) -> tuple[Any, Any]:
    """The `count` largest of each row and where they are; ties go to the first."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values, order, 1), order


class Beam(NamedTuple):
    """The hypotheses of one moment, (B, K) each; see `seqapps.decoding.ctc_beam.Beam`."""

    blank: Any
    label: Any
    last: Any
    name: Any
    parent: Any
    context: Any
    extra: Any
    word: Any
    boost: Any
    pending: Any
    complete: Any


class LooksAt(NamedTuple):
    """What a search looks at besides the network."""

    allowed: Any
    """bool, (B, K): hypotheses that each row may keep."""
    language: Automaton | None
    weight: Any
    """float32, (B, 1, 1)."""
    bonus: Any
    """float32, (B, 1, 1)."""
    hot: Expected | None


class Grown(NamedTuple):
    """What hot words make of each extension, (B, K, C) each."""

    word: Any
    boost: Any
    pending: Any
    complete: Any


class Kept(NamedTuple):
    """Which hypotheses one step keeps, the best first, (B, K) each."""

    alive: Any
    """bool: whether it is one at all."""
    grows: Any
    """bool: whether a label was added."""
    place: Any
    """int64: that hypothesis and label among all extensions, K × C."""
    origin: Any
    """int64: the hypothesis that it was."""
    added: Any
    """int64: the label that was added, -1 for none."""

    def old(self, values_BK: Any) -> Any:
        """Of each the value that its origin had."""
        return np.take_along_axis(values_BK, self.origin, 1)

    def new(self, values_BKC: Any) -> Any:
        """Of each that grows the value of its extension."""
        return np.take_along_axis(values_BKC.reshape(len(values_BKC), -1), self.place, 1)


def prefix_beam_search(
    log_probs_BSV: Any,
    lengths_B: Any,
    *,
    beam_width: Any,
    language: Automaton | None,
    language_weight: Any,
    label_bonus: Any,
    hot: Expected | None,
) -> tuple[list[list[list[int]]], Any]:
    """Finds the rows of labels with the highest scores.

    Args:
        log_probs_BSV: float32, (B, S, V).
        lengths_B: int, (B,).
        beam_width: int, (B,).
        language: None for no language model.
        language_weight: float32, (B,).
        label_bonus: float32, (B,).
        hot: None for no hot words.

    Returns:
        Labels of K hypotheses of each row, best first, and their scores, float32 (B, K).

    Source: Hannun et al. 2014, algorithm 1.
    """
    beam = start_beam(log_probs_BSV.shape, beam_width, language)
    looks = LooksAt(
        allowed=np.arange(beam.last.shape[1]) < beam_width[:, None],
        language=language,
        weight=language_weight.astype(np.float32).reshape(-1, 1, 1),
        bonus=label_bonus.astype(np.float32).reshape(-1, 1, 1),
        hot=hot,
    )
    past: list[tuple[Any, Any]] = []
    for t in range(int(lengths_B.max(initial=0))):
        after, origin, added = one_step(beam, log_probs_BSV[:, t], looks)
        # A row that has ended stays as it is.
        going = (t < lengths_B)[:, None]
        beam = Beam(*(np.where(going, new, old) for new, old in zip(after, beam, strict=True)))
        past.append(
            (np.where(going, origin, np.arange(origin.shape[1])), np.where(going, added, -1))
        )
    scores, slots = best_k(final_scores(beam, looks), beam.last.shape[1])
    return labels_of(past, slots), scores


def start_beam(shape_BSV: tuple[int, ...], beam_width: Any, language: Automaton | None) -> Beam:
    """The beam before anything was heard: nothing is said, for sure."""
    batch, _, outputs = shape_BSV
    width = max(1, int(beam_width.max()))
    shape = (batch, width)
    extra, boost, pending = np.zeros((3, *shape), np.float32)
    sure = np.where(np.arange(width) == 0, np.float32(0), IMPOSSIBLE)
    return Beam(
        blank=sure * np.ones(shape, np.float32),
        label=np.full(shape, IMPOSSIBLE),
        last=np.full(shape, outputs - 1),
        name=np.ones(shape, np.int64),
        parent=np.zeros(shape, np.int64),
        context=np.full(shape, language.start if language else 0, np.int64),
        extra=extra,
        word=np.zeros(shape, np.int64),
        boost=boost,
        pending=pending,
        complete=np.zeros(shape, bool),
    )


def one_step(beam: Beam, log_probs_BV: Any, looks: LooksAt) -> tuple[Beam, Any, Any]:
    """The best hypotheses after one more step, of which each came, and what label was added."""
    stay_blank, stay_label, extended = heard_by(beam, log_probs_BV)
    gained = np.zeros_like(extended) + looks.bonus
    if looks.language:
        gained = gained + looks.weight * looks.language.scores[beam.context]
    stay = log_add(stay_blank, stay_label) + beam.extra + beam.boost + beam.pending
    grow = extended + beam.extra[:, :, None] + gained
    grown = grown_words(beam, looks.hot) if looks.hot else None
    if grown:
        grow = grow + (grown.boost + grown.pending)
    kept = best_kept(stay, grow, looks.allowed)
    after_label = np.where(kept.grows, kept.new(extended), kept.old(stay_label))
    with np.errstate(over="ignore"):
        grown_name = (
            kept.old(beam.name) * MULTIPLIER + (kept.added.astype(np.int64) + 1) * INCREMENT
        )
    context = kept.old(beam.context)
    if looks.language:
        followed = looks.language.following[context, np.maximum(kept.added, 0)]
        context = np.where(kept.grows, followed, context)
    after = beam._replace(
        blank=np.where(kept.alive & ~kept.grows, kept.old(stay_blank), IMPOSSIBLE),
        label=np.where(kept.alive, after_label, IMPOSSIBLE),
        last=np.where(kept.grows, kept.added, kept.old(beam.last)),
        name=np.where(kept.grows, grown_name, kept.old(beam.name)),
        parent=np.where(kept.grows, kept.old(beam.name), kept.old(beam.parent)),
        context=context,
        extra=kept.old(beam.extra) + np.where(kept.grows, kept.new(gained), np.float32(0)),
    )
    if grown:
        after = after._replace(
            word=np.where(kept.grows, kept.new(grown.word), kept.old(beam.word)),
            boost=np.where(kept.grows, kept.new(grown.boost), kept.old(beam.boost)),
            pending=np.where(kept.grows, kept.new(grown.pending), kept.old(beam.pending)),
            complete=np.where(kept.grows, kept.new(grown.complete), kept.old(beam.complete)),
        )
    return after, kept.origin, kept.added


def heard_by(beam: Beam, log_probs_BV: Any) -> tuple[Any, Any, Any]:
    """What one step makes of each hypothesis, as the network alone has it.

    Returns:
        Log-probabilities: (B, K), of the ways to stay as it is that end in a blank; likewise, of
        those that end in its last label; and (B, K, C), extended by each label.
    """
    labels = log_probs_BV.shape[1] - 1
    total = log_add(beam.blank, beam.label)
    there = total > IMPOSSIBLE / 2
    stay_blank = total + log_probs_BV[:, -1:]
    # The empty hypothesis has no last label to repeat.
    nothing_B1 = np.full((len(total), 1), IMPOSSIBLE)
    said_BV = np.concatenate([log_probs_BV[:, :-1], nothing_B1], 1)
    stay_label = np.maximum(beam.label + np.take_along_axis(said_BV, beam.last, 1), IMPOSSIBLE)
    repeats = beam.last[:, :, None] == np.arange(labels)
    before = np.where(repeats, beam.blank[:, :, None], total[:, :, None])
    extended = np.maximum(before + log_probs_BV[:, None, :-1], IMPOSSIBLE)
    # An extension may be a hypothesis that is there already: it counts there.
    same_BQK = beam.name[:, None, :] == beam.parent[:, :, None]
    same_BQK &= there[:, None, :] & there[:, :, None]
    if same_BQK.any():
        row, q, k = np.nonzero(same_BQK)
        real = beam.last[row, q] < labels
        row, q, k = row[real], q[real], k[real]
        joining = np.full(total.shape, IMPOSSIBLE)
        np.maximum.at(joining, (row, q), extended[row, k, beam.last[row, q]])
        stay_label = log_add(stay_label, joining)
        extended[row, k, beam.last[row, q]] = IMPOSSIBLE
    return stay_blank, stay_label, extended


def grown_words(beam: Beam, hot: Expected) -> Grown:
    """Follows the word that is being said through the hot words."""
    carried = np.where(hot.begins, np.int64(0), beam.word[:, :, None])
    with np.errstate(over="ignore"):
        word_BKC = carried * hot.powers + hot.hashes
    hits = word_BKC[..., None] == hot.prefixes[:, None, None]
    hits &= (word_BKC != 0)[..., None]
    letters = np.where(hits, hot.letters[:, None, None], np.float32(0)).max(3)
    settled = (beam.boost + np.where(beam.complete, beam.pending, np.float32(0)))[:, :, None]
    return Grown(
        word=word_BKC,
        boost=np.where(hot.begins, settled, beam.boost[:, :, None]),
        pending=letters * hot.weight[:, None, None],
        complete=(hits & hot.whole[:, None, None]).any(3),
    )


def best_kept(stay_BK: Any, grow_BKC: Any, allowed_BK: Any) -> Kept:
    """Chooses as many as there were, by score: hypotheses that stay as they are, or grow."""
    (batch, width), labels = stay_BK.shape, grow_BKC.shape[2]
    values, chosen = best_k(np.concatenate([stay_BK, grow_BKC.reshape(batch, -1)], 1), width)
    grows = chosen >= width
    place = np.maximum(chosen - width, 0)
    return Kept(
        alive=allowed_BK & (values > IMPOSSIBLE / 2),
        grows=grows,
        place=place,
        origin=np.where(grows, place // labels, chosen),
        added=np.where(grows, place % labels, -1),
    )


def final_scores(beam: Beam, looks: LooksAt) -> Any:
    """The score of each hypothesis if nothing follows: float32, (B, K)."""
    log_probs = log_add(beam.blank, beam.label)
    more = beam.extra + beam.boost + np.where(beam.complete, beam.pending, np.float32(0))
    if looks.language:
        more = more + looks.weight[:, :, 0] * looks.language.ending[beam.context]
    return np.where(log_probs > IMPOSSIBLE / 2, log_probs + more, IMPOSSIBLE)


def labels_of(past: Sequence[tuple[Any, Any]], slots_BK: Any) -> list[list[list[int]]]:
    """Walks back from hypotheses of the end: the labels of each.

    Args:
        past: For each step, (B, K) each, of which hypothesis each came and what label was added.
        slots_BK: Places of the hypotheses.
    """
    batch, width = slots_BK.shape
    backwards: list[list[list[int]]] = [[[] for _ in range(width)] for _ in range(batch)]
    for origin, added in reversed(past):
        new_BK = np.take_along_axis(added, slots_BK, 1)
        for row, slot in zip(*np.nonzero(new_BK >= 0), strict=True):
            backwards[row][slot].append(int(new_BK[row, slot]))
        slots_BK = origin[np.arange(batch)[:, None], slots_BK]
    return [[labels[::-1] for labels in row] for row in backwards]


def align(log_probs_SV: Any, labels_L: Sequence[int]) -> tuple[Any, Any, Any]:
    """Finds the likeliest way to say given labels (Viterbi), of one row.

    Returns:
        First step of each label, the step after its last, and its highest log-probability.
    """
    count, blank = len(labels_L), log_probs_SV.shape[1] - 1
    place_Z = np.full(2 * count + 1, blank)
    place_Z[1::2] = labels_L
    skip_Z = np.zeros(len(place_Z), bool)
    skip_Z[2:] = (place_Z[2:] != blank) & (place_Z[2:] != place_Z[:-2])
    # What stands before the first place is a blank.
    skip_Z[:2] = place_Z[:2] != blank
    score_Z = np.where(np.arange(len(place_Z)) == 0, np.float32(0), IMPOSSIBLE)
    origins = []
    for now_V in log_probs_SV:
        moved = np.full((3, len(place_Z)), IMPOSSIBLE)
        moved[0] = score_Z
        moved[1, 1:] = score_Z[:-1]
        moved[2, 2:] = np.where(skip_Z[2:], score_Z[:-2], IMPOSSIBLE)
        origins.append(moved.argmax(0))
        score_Z = np.maximum(moved.max(0) + now_V[place_Z], IMPOSSIBLE)
    place = 2 * count
    if count and score_Z[place - 1] > score_Z[place]:
        place -= 1
    starts, ends = np.zeros((2, count), np.int64)
    log_probs = np.full(count, IMPOSSIBLE)
    for t in range(len(log_probs_SV) - 1, -1, -1):
        if place % 2:
            number = place // 2
            starts[number], ends[number] = t, max(ends[number], t + 1)
            log_probs[number] = max(log_probs[number], log_probs_SV[t, labels_L[number]])
        place -= origins[t][place]
    return starts, ends, log_probs
