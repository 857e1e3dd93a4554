"""Which part of a long text is read: Python and graph, held equal."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqapps.text.cut import Cut

KEPT = {
    "head": [0, 1, 2, 3, 4, 5, 6, 7],
    "tail": [12, 13, 14, 15, 16, 17, 18, 19],
    "both": [0, 1, 14, 15, 16, 17, 18, 19],
}


@pytest.mark.parametrize("keep", KEPT)
def test_what_is_kept_of_a_long_text(keep):
    assert Cut(8, keep)(np.arange(20)).tolist() == KEPT[keep]


def test_the_text_itself_is_not_changed():
    tokens = np.arange(20)
    Cut(8, "both")(tokens)
    assert tokens.tolist() == list(range(20))


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6),
    st.integers(4, 24),
    st.sampled_from(["head", "tail", "both"]),
)
def test_python_and_graph_agree(lengths, most, keep):
    cut = Cut(most, keep)
    places, kept = (value.numpy() for value in cut.places(tf.constant(lengths, tf.int32)))
    assert places.shape == (len(lengths), min(max(lengths), most))
    for row, length in enumerate(lengths):
        found = places[row, : kept[row]].tolist()
        assert found == cut(np.arange(length)).tolist()
        assert len(found) == min(length, most)
        assert found == sorted(set(found))
        assert np.all(places[row, kept[row] :] == 0)
        # Where nothing has to go, nothing goes.
        assert length > most or found == list(range(length))
