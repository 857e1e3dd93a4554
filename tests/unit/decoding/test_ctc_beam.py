"""CTC decoding against exhaustive search over all rows of labels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqapps.decoding.ctc import align, greedy_path
from seqapps.decoding.ctc_beam import NEVER, Language, prefix_beam_search, useful_steps
from seqapps.decoding.hot_words import hot_words

SYMBOLS = ("a", "b", " ")
V = len(SYMBOLS) + 1
ALIGN = tf.function(
    align,
    input_signature=[
        tf.TensorSpec([None, None, V], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, None], tf.int32),
        tf.TensorSpec([None], tf.int32),
    ],
    autograph=False,
)


def collapse(path):
    """Labels of one way: equal neighbours joined, blanks left out."""
    return tuple(k for k, _ in itertools.groupby(path) if k != V - 1)


def exhaustive(log_probs_SV):
    """Log-probability of every row of labels, summed over all of its ways."""
    totals = {}
    for path in itertools.product(range(V), repeat=len(log_probs_SV)):
        score = sum(log_probs_SV[t, k] for t, k in enumerate(path))
        labels = collapse(path)
        totals[labels] = np.logaddexp(totals.get(labels, -np.inf), score)
    return totals


def random_log_probs(seed, rows, steps, sharpness=1.5):
    logits = np.random.default_rng(seed).normal(size=(rows, steps, V)) * sharpness
    return tf.nn.log_softmax(logits.astype(np.float32)).numpy()


class ToyLanguage:
    """A bigram model; the last context is the start."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        labels = len(SYMBOLS)
        table = rng.normal(size=(labels + 1, labels + 1)) * 2.0
        table -= np.log(np.exp(table).sum(1, keepdims=True))
        self.scores, self.ending = table[:, :-1], table[:, -1]

    def score(self, labels):
        context, total = len(SYMBOLS), 0.0
        for label in labels:
            total += self.scores[context, label]
            context = label
        return total + self.ending[context]

    @property
    def automaton(self):
        labels = len(SYMBOLS)
        return Language(
            tf.constant(self.scores, tf.float32),
            tf.constant(np.tile(np.arange(labels), (labels + 1, 1)), tf.int32),
            tf.constant(labels, tf.int32),
            tf.constant(self.ending, tf.float32),
        )


def boost(labels, words, weight):
    """What hot words add: their characters, in words that are said whole."""
    said = "".join(SYMBOLS[k] for k in labels).split(" ")
    return weight * sum(len(word) for word in said if word in words)


def rows_of(found, row):
    return [
        (tuple(ids[:count].tolist()), score, log_prob)
        for ids, count, score, log_prob in zip(
            found.labels[row].numpy(),
            found.lengths[row].numpy(),
            found.scores[row].numpy(),
            found.log_probs[row].numpy(),
            strict=True,
        )
        if score > NEVER / 2
    ]


@tf.function(reduce_retracing=True, autograph=False)
def search(log_probs, lengths, width):
    return prefix_beam_search(log_probs, lengths, beam_width=width)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_wide_beam_is_exhaustive_search(steps):
    log_probs = random_log_probs(steps, 3, steps)
    found = search(log_probs, np.full(3, steps, np.int32), np.full(3, 400, np.int32))
    for row in range(3):
        totals = exhaustive(log_probs[row])
        answers = rows_of(found, row)
        assert [labels for labels, *_ in answers] == sorted(totals, key=lambda k: -totals[k])
        for labels, score, log_prob in answers:
            assert score == pytest.approx(totals[labels], abs=1e-4)
            assert log_prob == score


@pytest.mark.parametrize("hot", [(), ("ab", "b")])
@pytest.mark.parametrize("seed", range(3))
def test_with_language_model_bonus_and_hot_words_too(seed, hot):
    language, steps = ToyLanguage(seed), 5
    log_probs = random_log_probs(10 + seed, 2, steps)
    # The second row has no hot words of its own.
    words = [" ".join(hot), ""]
    found = prefix_beam_search(
        log_probs,
        tf.constant([steps, steps]),
        beam_width=tf.constant([400, 400]),
        language=language.automaton,
        language_weight=0.7,
        label_bonus=0.3,
        hot=hot_words([[word, ""] for word in words], SYMBOLS, tf.constant([1.5, 1.5])),
    )
    for row in range(2):
        expected = {
            labels: log_prob
            + 0.7 * language.score(labels)
            + 0.3 * len(labels)
            + boost(labels, words[row].split(), 1.5)
            for labels, log_prob in exhaustive(log_probs[row]).items()
        }
        answers = rows_of(found, row)
        assert len(answers) == len(expected)
        for labels, score, _ in answers:
            assert score == pytest.approx(expected[labels], abs=1e-4), labels
        assert [s for _, s, _ in answers] == sorted((s for _, s, _ in answers), reverse=True)


def test_pieces_of_several_characters_make_hot_words():
    symbols = (" a", "b", " ab", " ")
    hot = hot_words([["ab"]], symbols, tf.constant([1.0]))
    log_probs = tf.math.log(tf.constant([[[0.3, 0.1, 0.3, 0.1, 0.2], [0.1, 0.4, 0.1, 0.1, 0.3]]]))
    found = prefix_beam_search(log_probs, tf.constant([2]), beam_width=tf.constant([50]), hot=hot)
    scores = {
        tuple(ids[:n].tolist()): score - log_prob
        for ids, n, score, log_prob in zip(
            found.labels[0].numpy(),
            found.lengths[0].numpy(),
            found.scores[0].numpy(),
            found.log_probs[0].numpy(),
            strict=True,
        )
        if score > NEVER / 2
    }
    assert scores[(0, 1)] == pytest.approx(2.0, abs=1e-5)
    assert scores[(2,)] == pytest.approx(2.0, abs=1e-5)
    assert scores[(2, 1)] == pytest.approx(0.0, abs=1e-5)
    assert scores[(0,)] == pytest.approx(0.0, abs=1e-5)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5))
def test_a_row_is_searched_as_if_alone(seed, steps, width):
    log_probs = random_log_probs(seed, 3, 8)
    lengths = np.array([steps, 8, 0], np.int32)
    widths = np.array([width, 7, 3], np.int32)
    together = search(log_probs, lengths, widths)
    for row in range(3):
        alone = search(
            log_probs[row : row + 1, : max(1, lengths[row])],
            lengths[row : row + 1],
            widths[row : row + 1],
        )
        for (labels, score, _), (wanted, expected, _) in zip(
            rows_of(together, row), rows_of(alone, 0), strict=True
        ):
            assert labels == wanted
            assert score == pytest.approx(expected, abs=1e-5)
    assert rows_of(together, 2)[0][0] == ()


def test_steps_amid_silence_are_left_out_without_changing_the_answer():
    steps = 40
    logits = np.random.default_rng(1).normal(size=(1, steps, V)).astype(np.float32) * 2
    logits[0, 10:30, -1] = 40.0
    log_probs = tf.nn.log_softmax(logits)
    kept, counts, places = useful_steps(log_probs, tf.constant([steps]))
    assert counts.numpy().tolist() == [21]
    assert places.numpy()[0].tolist() == [*range(11), *range(30, 40)]
    wide = np.array([30], np.int32)
    every, fewer = search(log_probs, tf.constant([steps]), wide), search(kept, counts, wide)
    np.testing.assert_array_equal(every.labels[0, 0], fewer.labels[0, 0])
    np.testing.assert_allclose(every.scores[0, 0], fewer.scores[0, 0], atol=1e-4)


def test_greedy_labels_and_their_steps():
    ways = [[3, 0, 0, 3, 0, 1, 1, 3], [2, 2, 3, 3, 3, 3, 3, 3], [3] * 8]
    log_probs = np.log(np.full((3, 8, V), 0.1, np.float32))
    for row, way in enumerate(ways):
        log_probs[row, np.arange(8), way] = np.log(0.7)
    path = greedy_path(log_probs, tf.constant([8, 1, 8]))
    assert path.lengths.numpy().tolist() == [3, 1, 0]
    assert path.labels.numpy()[0].tolist() == [0, 0, 1]
    assert path.starts.numpy()[0].tolist() == [1, 4, 5]
    assert path.ends.numpy()[0].tolist() == [3, 5, 7]
    assert path.ends.numpy()[1, 0] == 1
    np.testing.assert_allclose(path.log_probs[0], np.log(0.7), rtol=1e-6)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 2), max_size=3))
def test_the_likeliest_way_to_say_labels_is_found(seed, labels):
    steps = 5
    log_probs = random_log_probs(seed, 1, steps)
    ways = {
        way: sum(log_probs[0, t, k] for t, k in enumerate(way))
        for way in itertools.product(range(V), repeat=steps)
        if collapse(way) == tuple(labels)
    }
    if not ways:
        return
    best = max(ways, key=ways.get)
    path = ALIGN(log_probs, [steps], np.array([labels], np.int32).reshape(1, -1), [len(labels)])
    places = [
        [t for t, _ in group]
        for k, group in itertools.groupby(enumerate(best), key=lambda item: item[1])
        if k != V - 1
    ]
    assert path.starts.numpy()[0].tolist() == [group[0] for group in places]
    assert path.ends.numpy()[0].tolist() == [group[-1] + 1 for group in places]
    for value, group, label in zip(path.log_probs.numpy()[0], places, labels, strict=True):
        assert value == pytest.approx(max(log_probs[0, t, label] for t in group))


def test_rows_are_aligned_as_if_alone():
    log_probs = random_log_probs(3, 3, 12)
    labels = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0]], np.int32)
    lengths, counts = np.array([12, 4, 0], np.int32), np.array([3, 1, 0], np.int32)
    together = ALIGN(log_probs, lengths, labels, counts)
    for row in range(2):
        alone = ALIGN(
            log_probs[row : row + 1, : lengths[row]],
            lengths[row : row + 1],
            labels[row : row + 1, : counts[row]],
            counts[row : row + 1],
        )
        np.testing.assert_array_equal(together.starts[row, : counts[row]], alone.starts[0])
        np.testing.assert_array_equal(together.ends[row, : counts[row]], alone.ends[0])
    assert together.lengths.numpy().tolist() == [3, 1, 0]
    assert not together.starts.numpy()[2].any()
