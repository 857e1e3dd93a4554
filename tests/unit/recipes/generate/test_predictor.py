"""What a predictor hands out of a text that is being written."""

from hypothesis import given
from hypothesis import strategies as st

from seqapps.recipes.generate.predictor import _open, _stopped

AB = st.text("ab", min_size=1, max_size=4).map(str.encode)


def test_what_may_begin_a_stop_string_is_held_back():
    assert _open(b"the do", [b"dog", b"cat"]) == 2
    assert _open(b"the dog", [b"dog", b"cat"]) == 0
    assert _open(b"aab", [b"aabx", b"b?"]) == 3
    assert _open(b"abc", []) == 0
    assert _open(b"", [b"a"]) == 0


@given(st.lists(AB, max_size=12), st.lists(AB, max_size=3), st.integers(0, 6))
def test_nothing_that_is_handed_out_is_cut_off_later(tokens, stops, begin):
    text, given_out = b"", 0
    for number, token in enumerate(tokens):
        text += token
        # Stop strings count from a certain token on.
        if number >= begin and (reach := _stopped(text, stops, len(token))):
            assert len(text) - reach >= given_out
            return
        given_out = len(text) - _open(text, stops)
