"""A search in portions is the search of the whole."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.decoding.ctc_beam import Language, prefix_beam_search, useful_steps
from seqapps.decoding.ctc_stream import search_on, start_search

SYMBOLS = tf.constant([" ", "a", "bé"])
RNG = np.random.default_rng(0)
LANGUAGE = Language(
    scores=tf.constant(np.log(RNG.dirichlet(np.ones(3), 4)), tf.float32),
    following=tf.constant(RNG.integers(0, 4, (4, 3)), tf.int32),
    start=tf.constant(1),
    ending=tf.constant([-1.0, -2.0, -3.0, 0.0]),
)
STRATEGY = {"language": LANGUAGE, "language_weight": 0.7, "label_bonus": 0.5}


def network(steps, seed, sharpness=2.0):
    """Log-probabilities of three rows, with silences in them."""
    logits = np.random.default_rng(seed).normal(0.0, sharpness, (3, steps, 4))
    logits[0, steps // 3 : steps // 2, 3] = 20.0
    logits[1, : steps // 4, 3] = 20.0
    return tf.nn.log_softmax(tf.constant(logits, tf.float32))


@tf.function(reduce_retracing=True, autograph=False)
def whole(log_probs, lengths, width):
    useful, counts, _ = useful_steps(log_probs, lengths)
    found = prefix_beam_search(useful, counts, beam_width=width, **STRATEGY)
    real = tf.sequence_mask(found.lengths[:, 0], tf.shape(found.labels)[2])
    return tf.strings.reduce_join(tf.where(real, tf.gather(SYMBOLS, found.labels[:, 0]), ""), 1)


@tf.function(reduce_retracing=True, autograph=False)
def go(search, log_probs, lengths, width, pause):
    return search_on(
        search,
        log_probs,
        lengths,
        symbols_V=SYMBOLS,
        pause_B=pause,
        beam_width=width,
        last=False,
        **STRATEGY,
    )


@tf.function(reduce_retracing=True, autograph=False)
def end(search, width, pause):
    nothing = tf.zeros([3, 1, 4])
    return search_on(
        search,
        nothing,
        tf.zeros([3], tf.int32),
        symbols_V=SYMBOLS,
        pause_B=pause,
        beam_width=width,
        last=True,
        **STRATEGY,
    )


def streamed(log_probs, lengths, sizes, width, pause=0):
    search, texts, start = start_search(3), [b""] * 3, 0
    pause, number = tf.fill([3], pause), 0
    while start < log_probs.shape[1]:
        size = sizes[number % len(sizes)]
        part = tf.pad(log_probs[:, start : start + size], [[0, 0], [0, 1], [0, 0]])
        counts = tf.clip_by_value(lengths - start, 0, size)
        found = go(search, part, counts, width, pause)
        search = found.search
        texts = [text + new for text, new in zip(texts, found.final.numpy(), strict=True)]
        start, number = start + size, number + 1
    last = end(search, width, pause).final.numpy()
    return [text + new for text, new in zip(texts, last, strict=True)], search


@pytest.mark.parametrize("seed", range(4))
def test_portions_give_the_text_of_the_whole(seed):
    log_probs = network(24, seed)
    lengths, width = tf.constant([24, 17, 9]), tf.constant([6, 1, 3])
    want = whole(log_probs, lengths, width).numpy().tolist()
    assert any(want)
    for sizes in ([1], [5, 0, 2], [24]):
        assert streamed(log_probs, lengths, sizes, width)[0] == want


def test_a_pause_settles_what_was_said_wherever_the_portions_end():
    log_probs = network(30, 5, sharpness=1.0)
    lengths, width = tf.constant([15, 30, 0]), tf.constant([6, 6, 6])
    found = [streamed(log_probs, lengths, sizes, width, pause=3) for sizes in ([1], [7], [30])]
    assert found[0][0] == found[1][0] == found[2][0]
    _, waiting = streamed(log_probs, lengths, [7], width)
    # Row 0 ends in a silence of five steps.
    assert int(waiting.counts[0]) > 1
    assert int(waiting.quiet[0]) == 5
    for _, settled in found:
        assert int(settled.counts[0]) == 1
        assert settled.texts[0, 0] == b""
