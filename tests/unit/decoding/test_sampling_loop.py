"""Writing against exact probabilities, a NumPy reference, and itself in portions."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seqapps.decoding.choosing import Strategy
from seqapps.decoding.sampling_loop import Pen, write

# A chain: the logits of the next token depend on the last one and on the steps so far.
SURFACES = ["", "�", "a", "b", "ab", "ca\n", "é", "x"]
BYTES = [surface.encode() for surface in SURFACES]
END, V = 0, len(SURFACES)
LOGITS = np.random.default_rng(7).normal(0.0, 1.5, (V, V)).astype(np.float32)
LOGITS[:, END] -= 2.0

DEFAULTS = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "min_length": 0,
}


def step(tokens, state):
    return tf.gather(tf.constant(LOGITS), tokens) + 0.1 * state[:, :1], state + 1.0


def spec(dtype, *shape):
    return tf.TensorSpec([None, *shape], dtype)


PEN = Pen(
    spec(tf.float32, 1),
    spec(tf.int32),
    spec(tf.int32),
    spec(tf.int32, V),
    spec(tf.string),
    spec(tf.int32),
    spec(tf.bool),
)
STRATEGY = Strategy(
    spec(tf.float32),
    spec(tf.int32),
    spec(tf.float32),
    spec(tf.float32),
    spec(tf.float32),
    spec(tf.int32),
    spec(tf.int64),
    spec(tf.string, None),
    spec(tf.bool, V),
    spec(tf.int32, None),
    spec(tf.int32),
)


@cache
def traced(never):
    """One graph for all calls."""

    def call(pen, strategy, most, limit):
        return write(
            step,
            pen,
            strategy,
            most=most,
            limit=limit,
            surfaces=tf.constant(BYTES),
            longest=3,
            end=END,
            never=(1,) if never else (),
        )

    specs = [PEN, STRATEGY, spec(tf.int32), spec(tf.int32)]
    return tf.function(call, input_signature=specs, autograph=False)


def fresh(rows, token=2):
    zeros = tf.zeros([rows], tf.int32)
    return Pen(
        state=tf.zeros([rows, 1]),
        token=zeros + token,
        position=zeros,
        counts=tf.zeros([rows, V], tf.int32),
        tail=tf.fill([rows], ""),
        held=zeros,
        done=tf.zeros([rows], tf.bool),
    )


def plan(seeds, *, stop=(), banned=(), forced=(), **options):
    rows = len(seeds)
    given_ = {**DEFAULTS, **options}
    dtypes = {"top_k": tf.int32, "min_length": tf.int32}
    values = {
        name: tf.constant(np.broadcast_to(value, [rows]), dtypes.get(name, tf.float32))
        for name, value in given_.items()
    }
    mask = np.zeros((rows, V), bool)
    mask[:, list(banned)] = True
    stops = np.full((rows, max(1, len(stop))), "", object)
    stops[:, : len(stop)] = list(stop)
    return Strategy(
        **values,
        seed=tf.constant(seeds, tf.int64),
        stop=tf.constant(stops),
        banned=tf.constant(mask),
        forced=tf.constant(np.tile(np.array(forced, np.int32), (rows, 1)).reshape(rows, -1)),
        forced_lengths=tf.fill([rows], len(forced)),
    )


def written(seeds, most, *, limit=None, pen=None, never=False, **options):
    """Writes up to `most` tokens now, of texts of at most `limit` (else `most`)."""
    most = tf.constant(np.broadcast_to(most, [len(seeds)]), tf.int32)
    limit = most if limit is None else tf.fill([len(seeds)], limit)
    return traced(never)(pen or fresh(len(seeds)), plan(seeds, **options), most, limit)


def reference(logits, counts, *, temperature, top_k, top_p, min_p, repetition_penalty, banned=()):
    """Probabilities of the next token, by the definitions."""
    logits = logits.astype(np.float64)
    seen = counts > 0
    logits[seen] = np.where(
        logits[seen] > 0, logits[seen] / repetition_penalty, logits[seen] * repetition_penalty
    )
    logits[list(banned)] = -np.inf
    if temperature == 0:
        return np.eye(len(logits))[np.argmax(logits)]
    p = np.exp((logits - logits.max()) / temperature)
    p /= p.sum()
    floor = min_p * p.max()
    order = np.argsort(-p, kind="stable")
    kept = np.zeros(len(p), bool)
    kept[order[: top_k or None]] = True
    inside = np.where(kept, p, 0.0) / p[kept].sum()
    before = np.cumsum(inside[order]) - inside[order]
    if top_p < 1:
        kept[order[(before >= top_p) & (np.arange(len(p)) > 0)]] = False
    kept &= p >= floor
    return np.where(kept, p, 0.0) / p[kept].sum()


CASES = [
    {},
    {"temperature": 0.6},
    {"temperature": 2.0, "top_k": 3},
    {"top_p": 0.7},
    {"temperature": 1.3, "top_k": 6, "top_p": 0.8},
    {"min_p": 0.2},
    {"temperature": 1.5, "min_p": 0.1, "top_p": 0.95},
    {"repetition_penalty": 2.0},
    {"repetition_penalty": 1.5, "temperature": 0.8, "top_k": 4, "banned": (3,)},
    {"banned": (2, 5)},
    {"temperature": 0.0},
    {"temperature": 0.0, "repetition_penalty": 5.0},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_draws_follow_the_exact_probabilities(case):
    seeds = np.arange(3000) * 7919 + 13
    pen = fresh(len(seeds))
    counts = np.zeros(V, np.int32)
    counts[[4, 6]] = (1, 3)
    pen = pen._replace(counts=tf.tile(counts[np.newaxis], [len(seeds), 1]))
    found = written(seeds, 1, pen=pen, **case).tokens.numpy()[:, 0]
    wanted = reference(
        LOGITS[2].copy(),
        counts,
        **{
            **{k: v for k, v in DEFAULTS.items() if k != "min_length"},
            **case,
        },
    )
    drawn = np.bincount(found, minlength=V)
    assert drawn[wanted == 0].sum() == 0
    likely = wanted > 0
    if likely.sum() > 1:
        expected = wanted[likely] / wanted[likely].sum() * len(seeds)
        assert stats.chisquare(drawn[likely], expected).pvalue > 1e-3


def test_a_row_is_the_same_alone_and_in_any_batch():
    seeds = [5, -3, 2**40, 5]
    together = written(
        seeds, [30, 12, 25, 30], temperature=[1.0, 0.5, 2.0, 1.0], top_k=[0, 3, 0, 0]
    )
    assert together.text[0] == together.text[3]
    for row, (most, heat, top_k) in enumerate([(30, 1.0, 0), (12, 0.5, 3), (25, 2.0, 0)]):
        alone = written([seeds[row]], most, temperature=heat, top_k=top_k)
        assert alone.text.numpy()[0] == together.text.numpy()[row]
        size = int(alone.lengths[0])
        np.testing.assert_allclose(
            alone.log_probs.numpy()[0, :size], together.log_probs.numpy()[row, :size], atol=1e-6
        )
    other = written(np.arange(50), 30)
    assert len(set(other.text.numpy().tolist())) > 45


@pytest.mark.parametrize("penalty", [1.0, 1.2])
def test_tokens_are_counted_in_every_row(penalty):
    found = written([1, 2, 3], [20, 3, 0], repetition_penalty=penalty)
    for row in range(3):
        tokens = found.tokens.numpy()[row, : int(found.lengths[row])]
        np.testing.assert_array_equal(
            found.pen.counts.numpy()[row], np.bincount(tokens, minlength=V)
        )


def test_log_probabilities_are_the_networks_own():
    found = written([3], 20, temperature=0.5, top_k=2, repetition_penalty=1.7, min_length=20)
    token, total = 2, []
    for t, chosen in enumerate(found.tokens.numpy()[0]):
        logits = LOGITS[token].astype(np.float64) + 0.1 * t
        total.append(logits[chosen] - np.log(np.exp(logits).sum()))
        token = chosen
    np.testing.assert_allclose(found.log_probs.numpy()[0], total, atol=1e-5)


def test_lengths_ends_bans_and_forced_tokens():
    seeds = np.arange(200)
    short = written(seeds, 40, min_length=0)
    lengths = short.lengths.numpy()
    assert lengths.min() < 10
    ended = short.tokens.numpy()[np.arange(200), lengths - 1] == END
    assert ended[lengths < 40].all()
    assert short.pen.done.numpy().all()
    # With room for more, those are done that ended.
    roomy = written(seeds, 40, limit=99)
    np.testing.assert_array_equal(roomy.pen.done.numpy(), ended)
    assert (written(seeds, 40, limit=7).lengths.numpy() <= 7).all()
    long = written(seeds, 40, min_length=15)
    assert long.lengths.numpy().min() >= 15
    assert END not in written(seeds, 40, banned=(END,)).tokens.numpy()
    assert (written(seeds, 40, banned=(END,)).lengths.numpy() == 40).all()
    assert 1 not in written(seeds, 40, never=True).tokens.numpy()
    assert 1 in short.tokens.numpy()
    forced = written(seeds, 6, forced=(7, 4), banned=(END,)).tokens.numpy()
    assert (forced[:, :2] == [7, 4]).all()
    assert len(set(forced[:, 2])) > 3
    nothing = written(seeds, 0)
    assert nothing.lengths.numpy().max() == 0
    assert set(nothing.text.numpy()) == {b""}


def simulate(tokens, stops):
    """The text before the first stop string that is complete, token by token."""
    text = ""
    for token in tokens:
        if token == END:
            break
        before = len(text)
        text += SURFACES[token]
        ends = [(text.find(stop, max(0, before - len(stop) + 1)), stop) for stop in stops if stop]
        hits = [place for place, _ in ends if place >= 0]
        if hits:
            return text[: min(hits)], True
    return text, False


STOPS = [("ab",), ("bc",), ("a\nab", "xx"), ("éa", "", "b\n"), ("a", "ab"), ("nothing",)]


@pytest.mark.parametrize("stops", STOPS, ids=str)
def test_stop_strings_end_the_text_wherever_tokens_begin(stops):
    seeds = np.arange(60)
    free = written(seeds, 25, banned=(END,))
    found = written(seeds, 25, banned=(END,), stop=stops)
    roomy = written(seeds, 25, limit=26, banned=(END,), stop=stops)
    ended = 0
    for row in range(len(seeds)):
        text, stopped = simulate(free.tokens.numpy()[row], stops)
        assert found.text.numpy()[row].decode() == text
        assert bool(roomy.pen.done[row]) == stopped
        ended += stopped
    assert ended > 3 or stops == ("nothing",)


@cache
def counting_down():
    """Writes b as often as the state says, and then the token `ca\n`."""

    def walk(tokens, state):
        wanted = tf.where(state[:, 0] > 0.0, 3, 5)
        return 9.0 * tf.one_hot(wanted, V), state - 1.0

    def call(pen, strategy, most, limit):
        return write(
            walk,
            pen,
            strategy,
            most=most,
            limit=limit,
            surfaces=tf.constant(BYTES),
            longest=3,
            end=END,
        )

    specs = [PEN, STRATEGY, spec(tf.int32), spec(tf.int32)]
    return tf.function(call, input_signature=specs, autograph=False)


@pytest.mark.parametrize("length", [2, 254, 256, 257])
def test_the_longest_stop_strings_end_a_text_inside_a_token(length):
    strategy = plan([0], temperature=0.0, stop=("b" * (length - 2) + "ca",))
    for before, portion in ((0, 500), (2, 500), (100, 500), (3, 50)):
        repeats = before + length - 2
        pen, text = fresh(1)._replace(state=tf.constant([[float(repeats)]])), b""
        while not pen.done.numpy()[0]:
            found = counting_down()(
                pen, strategy, tf.constant([portion]), tf.constant([repeats + 1])
            )
            pen, text = found.pen, text + found.text.numpy()[0]
        # One that is too long stands for nothing.
        assert text.decode() == ("b" * repeats + "ca\n" if length > 256 else "b" * before)


@pytest.mark.parametrize(
    ("strange", "same"),
    [
        ({"repetition_penalty": 0.0}, {}),
        ({"repetition_penalty": float("nan")}, {}),
        ({"temperature": 1e-40}, {"temperature": 0.0}),
        ({"temperature": float("nan")}, {"temperature": 0.0}),
        ({"temperature": float("inf"), "banned": (3,)}, {"temperature": 1e30, "banned": (3,)}),
    ],
    ids=str,
)
def test_strange_values_never_make_nonsense(strange, same):
    found, wanted = (written(np.arange(20), 12, **given_) for given_ in (strange, same))
    np.testing.assert_array_equal(found.tokens, wanted.tokens)
    assert np.isfinite(found.log_probs.numpy()).all()
    assert (found.lengths.numpy() > 0).all()


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.sampled_from([(), *STOPS]),
    st.integers(0, 10**6),
)
def test_any_portions_give_the_text_of_one_call(portions, stops, seed):
    options = {
        "temperature": 0.9,
        "top_p": 0.95,
        "repetition_penalty": 1.2,
        "stop": stops,
        "min_length": 3,
    }
    whole = written([seed], sum(portions), **options)
    pen, text, tokens, log_probs = fresh(1), b"", [], []
    for portion in portions:
        found = written([seed], portion, limit=sum(portions), pen=pen, **options)
        piece = found.text.numpy()[0]
        piece.decode()  # never a part of a character
        text += piece
        size = int(found.lengths[0])
        tokens += found.tokens.numpy()[0, :size].tolist()
        log_probs += found.log_probs.numpy()[0, :size].tolist()
        pen = found.pen
    assert text == whole.text.numpy()[0]
    assert tokens == whole.tokens.numpy()[0].tolist()
    np.testing.assert_allclose(log_probs, whole.log_probs.numpy()[0], atol=1e-6)


def test_bytes_are_held_back_until_a_character_is_whole():
    table = [bytes([value]) for value in (0, *range(0x80, 0x100))]
    text = "aé☃😀".encode()[1:]

    def walk(tokens, state):
        places = tf.cast(state[:, 0], tf.int32)
        wanted = tf.gather(tf.constant([table.index(bytes([b])) for b in text]), places)
        return 50.0 * tf.one_hot(wanted, len(table)), state + 1.0

    pen = fresh(1)._replace(counts=tf.zeros([1, len(table)], tf.int32))
    strategy = plan([0], temperature=0.0)._replace(banned=tf.zeros([1, len(table)], tf.bool))
    pieces = []
    for _ in text:
        found = write(
            walk,
            pen,
            strategy,
            most=tf.constant([1]),
            limit=tf.constant([99]),
            surfaces=tf.constant(table),
            longest=1,
            end=0,
        )
        pen = found.pen
        pieces.append(found.text.numpy()[0].decode())
    assert pieces == ["", "é", "", "", "☃", "", "", "", "😀"]
