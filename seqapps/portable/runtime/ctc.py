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
    found, total = np.zeros_like(nodes), np.zeros(nodes.shape)
    searching = np.ones(nodes.shape, bool)
    while searching.any():
        wanted = nodes * vocabulary + tokens
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        children = np.where(keys[places] == wanted, places + 1, 0)
        hit = searching & (children > 0)
        found = np.where(hit, children, found)
        total += np.where(hit, log_prob[children], 0.0)
        searching &= ~hit
        total += np.where(searching, log_backoff[nodes], 0.0)
        nodes = np.where(searching, suffix[nodes], nodes)
    # The longest n-grams are no contexts.
    following = np.where(depth[found] == order, suffix[found], found)
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
    batch, _, outputs = log_probs_BSV.shape
    labels, width = outputs - 1, max(1, int(beam_width.max()))
    shape = (batch, width)
    rows_B1, slots_K = np.arange(batch)[:, None], np.arange(width)
    blank = np.where(slots_K == 0, np.float32(0), IMPOSSIBLE) * np.ones(shape, np.float32)
    label = np.full(shape, IMPOSSIBLE)
    last = np.full(shape, labels)
    name, parent = np.ones(shape, np.int64), np.zeros(shape, np.int64)
    context = np.full(shape, language.start if language else 0, np.int64)
    extra, boost, pending = np.zeros((3, *shape), np.float32)
    word, complete = np.zeros(shape, np.int64), np.zeros(shape, bool)
    allowed_BK = slots_K < beam_width[:, None]
    weight_B11 = language_weight.astype(np.float32).reshape(-1, 1, 1)
    bonus_B11 = label_bonus.astype(np.float32).reshape(-1, 1, 1)
    past: list[tuple[Any, Any]] = []
    for t in range(int(lengths_B.max(initial=0))):
        now_BV = log_probs_BSV[:, t]
        total = log_add(blank, label)
        there = total > IMPOSSIBLE / 2
        stay_blank = total + now_BV[:, -1:]
        # The empty hypothesis has no last label to repeat.
        said_BV = np.concatenate([now_BV[:, :-1], np.full((batch, 1), IMPOSSIBLE)], 1)
        stay_label = np.maximum(label + np.take_along_axis(said_BV, last, 1), IMPOSSIBLE)
        repeats = last[:, :, None] == np.arange(labels)
        before = np.where(repeats, blank[:, :, None], total[:, :, None])
        extended = np.maximum(before + now_BV[:, None, :-1], IMPOSSIBLE)
        # An extension may be a hypothesis that is there already: it counts there.
        same_BQK = name[:, None, :] == parent[:, :, None]
        same_BQK &= there[:, None, :] & there[:, :, None]
        if same_BQK.any():
            row, q, k = np.nonzero(same_BQK)
            real = last[row, q] < labels
            row, q, k = row[real], q[real], k[real]
            joining = np.full(shape, IMPOSSIBLE)
            np.maximum.at(joining, (row, q), extended[row, k, last[row, q]])
            stay_label = log_add(stay_label, joining)
            extended[row, k, last[row, q]] = IMPOSSIBLE
        gained = np.zeros_like(extended) + bonus_B11
        if language:
            gained = gained + weight_B11 * language.scores[context]
        stay = log_add(stay_blank, stay_label) + extra + boost + pending
        grow = extended + extra[:, :, None] + gained
        if hot:
            carried = np.where(hot.begins, np.int64(0), word[:, :, None])
            with np.errstate(over="ignore"):
                word_BKC = carried * hot.powers + hot.hashes
            hits = word_BKC[..., None] == hot.prefixes[:, None, None]
            hits &= (word_BKC != 0)[..., None]
            letters = np.where(hits, hot.letters[:, None, None], np.float32(0)).max(3)
            whole_BKC = (hits & hot.whole[:, None, None]).any(3)
            settled = (boost + np.where(complete, pending, np.float32(0)))[:, :, None]
            boost_BKC = np.where(hot.begins, settled, boost[:, :, None])
            pending_BKC = letters * hot.weight[:, None, None]
            grow = grow + (boost_BKC + pending_BKC)
        values, chosen = best_k(np.concatenate([stay, grow.reshape(batch, -1)], 1), width)
        alive = allowed_BK & (values > IMPOSSIBLE / 2)
        grows = chosen >= width
        place = np.maximum(chosen - width, 0)
        origin = np.where(grows, place // labels, chosen)
        added = np.where(grows, place % labels, -1)
        going = (t < lengths_B)[:, None]

        def keep(new: Any, old: Any, going: Any = going) -> Any:
            return np.where(going, new, old)

        def old(values: Any, origin: Any = origin) -> Any:
            return np.take_along_axis(values, origin, 1)

        def new(values: Any, place: Any = place) -> Any:
            return np.take_along_axis(values.reshape(batch, -1), place, 1)

        after_context = old(context)
        if language:
            followed = language.following[after_context, np.maximum(added, 0)]
            after_context = np.where(grows, followed, after_context)
        with np.errstate(over="ignore"):
            grown_name = old(name) * MULTIPLIER + (added.astype(np.int64) + 1) * INCREMENT
        after_parent = np.where(grows, old(name), old(parent))
        after_label = np.where(grows, new(extended), old(stay_label))
        after_extra = old(extra) + np.where(grows, new(gained), np.float32(0))
        if hot:
            word = keep(np.where(grows, new(word_BKC), old(word)), word)
            boost = keep(np.where(grows, new(boost_BKC), old(boost)), boost)
            pending = keep(np.where(grows, new(pending_BKC), old(pending)), pending)
            complete = keep(np.where(grows, new(whole_BKC), old(complete)), complete)
        blank = keep(np.where(alive & ~grows, old(stay_blank), IMPOSSIBLE), blank)
        label = keep(np.where(alive, after_label, IMPOSSIBLE), label)
        last = keep(np.where(grows, added, old(last)), last)
        name, parent = (
            keep(np.where(grows, grown_name, old(name)), name),
            keep(after_parent, parent),
        )
        context, extra = keep(after_context, context), keep(after_extra, extra)
        past.append((keep(origin, slots_K), keep(added, -1)))
    log_probs = log_add(blank, label)
    more = extra + boost + np.where(complete, pending, np.float32(0))
    if language:
        more = more + weight_B11[:, :, 0] * language.ending[context]
    scores = np.where(log_probs > IMPOSSIBLE / 2, log_probs + more, IMPOSSIBLE)
    scores, slots = best_k(scores, width)
    found: list[list[list[int]]] = [[[] for _ in range(width)] for _ in range(batch)]
    for origin, added in reversed(past):
        new_BK = np.take_along_axis(added, slots, 1)
        for row, slot in zip(*np.nonzero(new_BK >= 0), strict=True):
            found[row][slot].append(int(new_BK[row, slot]))
        slots = origin[rows_B1, slots]
    return [[labels[::-1] for labels in row] for row in found], scores


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
