"""A memory of training pairs, in NumPy and in the graph."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.recipes.translate.memory import Memory, remember
from seqapps.recipes.translate.memory_graph import GraphMemory
from seqapps.text.tokenizer import EOS

VOCABULARY = 30
LINES = [[4, 5, 6, 7], [4, 5, 6], [8, 9, 4, 8, 9], [10], [11, 12, 13, 14, 15, 16]]
TARGETS = ["one", "two", "three", "", "five"]


@pytest.fixture(scope="module")
def memory():
    return Memory(remember(LINES, TARGETS, vocabulary=VOCABULARY, threshold=0.6))


def test_a_line_finds_itself_and_what_is_nearly_it(memory):
    for number, line in enumerate(LINES[:2] + LINES[3:]):
        found, similarity = memory.nearest(line)
        assert LINES[found] == line, number
        assert similarity == pytest.approx(1.0, abs=0.01)
    assert memory.recall([4, 5, 6, 7, 7]) == "one"
    assert memory.recall([11, 12, 13, 14, 15]) == "five"
    # Terms that training does not have make a line unlike all others.
    assert memory.recall([4, 20, 21, 22]) is None
    assert memory.recall([]) is None


def test_the_graph_finds_what_numpy_finds(memory):
    rng = np.random.default_rng(0)
    rows = [*LINES, [], *(rng.integers(4, 20, rng.integers(1, 9)).tolist() for _ in range(60))]
    lengths = np.array([len(row) + 1 for row in rows], np.int32)
    ids = np.zeros((len(rows), lengths.max()), np.int32)
    for place, row in zip(ids, rows, strict=True):
        place[: len(row) + 1] = [*row, EOS]
    texts, near = tf.function(GraphMemory(memory).recall, autograph=False)(ids, lengths)
    found = [
        text.decode() if is_near else None
        for text, is_near in zip(texts.numpy(), near, strict=True)
    ]
    assert found == [memory.recall(row) for row in rows]
    assert None in found
    assert len(set(found)) > 4


def test_damage_is_an_error_of_value():
    content = remember(LINES, TARGETS, vocabulary=VOCABULARY, threshold=0.6)
    for damaged in (b"", b"abc", content[: len(content) // 2]):
        with pytest.raises(ValueError, match="."):
            Memory(damaged)
