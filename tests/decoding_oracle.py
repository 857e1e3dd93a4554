"""A toy network whose logits depend on the whole prefix, and slow, obvious searches over it."""

import math

import numpy as np
import tensorflow as tf

BOS, EOS = 2, 3
BANNED = (0, 1, BOS)
HISTORIES = 101


class Tables:
    """Logits looked up by (row's table, hash of the tokens so far)."""

    def __init__(self, *, rows, vocabulary, seed, scale=2.0, dtype=tf.float32):
        rng = np.random.default_rng(seed)
        self.logits = rng.normal(0.0, scale, (rows, HISTORIES, vocabulary)).astype(np.float32)
        self.vocabulary = vocabulary
        self.dtype = dtype
        self.steps = 0

    def start(self, rows):
        """State and memory: nests of several ranks, so that repeats and gathers are all used."""
        rows = tf.constant(rows, tf.int32)
        state = {"history": tf.zeros_like(rows), "copy": (tf.zeros([len(rows), 2, 3]),)}
        return state, [tf.tile(rows[:, None, None], [1, 4, 2])]

    def step(self, tokens, state, memory):
        """One step; the history is read from two places that must have moved together."""
        self.steps += 1
        copied = tf.cast(state["copy"][0][:, 1, 2], tf.int32)
        history = (state["history"] * 7 + 13 * copied + tokens) % HISTORIES
        row = memory[0][:, 3, 1]
        logits = tf.gather_nd(tf.constant(self.logits), tf.stack([row, history], axis=1))
        copy = tf.tile(tf.cast(history, tf.float32)[:, None, None], [1, 2, 3])
        return tf.cast(logits, self.dtype), {"history": history, "copy": (copy,)}

    def log_probs(self, row, prefix):
        """Log-probabilities of the token after a prefix, float64."""
        history = 0
        for token in (BOS, *prefix):
            history = (history * 7 + 13 * history + token) % HISTORIES
        logits = self.logits[row, history].astype(np.float64)
        return logits - logits.max() - math.log(np.exp(logits - logits.max()).sum())

    def tokens(self):
        """Tokens that may be chosen, EOS apart."""
        return [token for token in range(self.vocabulary) if token not in (*BANNED, EOS)]


def penalty(length, alpha):
    return ((5 + length) / 6) ** alpha


def exhaustive(tables, row, *, max_steps, alpha):
    """Every hypothesis as (finished, score, tokens, log_prob), in the order of the contract."""
    found, open_prefixes = [], [((), 0.0)]
    for t in range(max_steps):
        longer = []
        for prefix, total in open_prefixes:
            gains = tables.log_probs(row, prefix)
            ended = total + gains[EOS]
            found.append((True, ended / penalty(t + 1, alpha), prefix, ended))
            longer += [((*prefix, token), total + gains[token]) for token in tables.tokens()]
        open_prefixes = longer
    found += [(False, total / penalty(max_steps, alpha), p, total) for p, total in open_prefixes]
    return sorted(found, key=lambda hypothesis: (-hypothesis[0], -hypothesis[1]))


def plain_beam(tables, row, *, width, max_steps, alpha, n_best):
    """Beam search over Python lists that goes on to `max_steps`, whatever it has found."""
    found, live = [], [((), 0.0)]
    for t in range(max_steps):
        candidates = []
        for prefix, total in live:
            gains = tables.log_probs(row, prefix)
            candidates += [((*prefix, x), total + gains[x]) for x in (EOS, *tables.tokens())]
        candidates.sort(key=lambda candidate: -candidate[1])
        for prefix, total in candidates[:width]:
            if prefix[-1] == EOS:
                found.append((True, total / penalty(t + 1, alpha), prefix[:-1], total))
        live = [(p, total) for p, total in candidates[: 2 * width] if p[-1] != EOS][:width]
        if width == 1 and found:
            live = []
            break
    found += [(False, total / penalty(max_steps, alpha), p, total) for p, total in live]
    return sorted(found, key=lambda hypothesis: (-hypothesis[0], -hypothesis[1]))[:n_best]


def rows_of(hypotheses):
    """Hypotheses as one list of (finished, score, tokens, log_prob) a row, unused slots left out.

    Checks on the way that padding is 0 and that unused slots are what the contract says.
    """
    tokens, lengths, scores, log_probs, finished = (x.numpy() for x in hypotheses)
    assert tokens.shape[2] == max(0, lengths.max(initial=0))
    rows = []
    for b in range(tokens.shape[0]):
        used = np.isfinite(log_probs[b])
        assert (np.sort(~used) == ~used).all(), "unused slots come last"
        assert (lengths[b, ~used] == 0).all()
        assert not finished[b, ~used].any()
        assert (scores[b, ~used] == -np.inf).all()
        assert not tokens[b][np.arange(tokens.shape[2]) >= lengths[b][:, None]].any()
        rows.append(
            [
                (bool(finished[b, k]), scores[b, k], tuple(tokens[b, k, : lengths[b, k]]), lp)
                for k, lp in enumerate(log_probs[b])
                if used[k]
            ]
        )
    return rows


def assert_same(found, expected):
    """The same hypotheses in the same order, scores within float32 rounding."""
    assert [(f, tokens) for f, _, tokens, _ in found] == [(f, t) for f, _, t, _ in expected]
    for column in (1, 3):
        np.testing.assert_allclose(
            [hypothesis[column] for hypothesis in found],
            [hypothesis[column] for hypothesis in expected],
            rtol=0,
            atol=2e-5,
        )
