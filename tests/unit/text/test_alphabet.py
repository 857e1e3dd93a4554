"""Transcripts as numbers and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.errors import UserError
from seqapps.text.alphabet import Alphabet, alphabet_in
from seqapps.text.lower_case import lowered

TEXTS = ["The light is on", "turn the lights off", "light  the\tother light"]
LETTERS = Alphabet.fit(TEXTS)
PIECES = Alphabet.fit(TEXTS * 5, pieces=40)


def test_characters_are_those_of_training_in_lower_case():
    assert LETTERS.symbols == tuple(" efghilnorstu")
    assert LETTERS.decode(LETTERS.encode("The  LIGHT ")) == "the light"
    assert LETTERS.unknown("Light a lamp") == ["a", "m", "p"]
    assert LETTERS.decode(LETTERS.encode("light a lamp")) == "light  l"
    assert Alphabet.fit(["Ab"], lower=False).symbols == (" ", "A", "b")


def test_pieces_write_every_training_text_with_fewer_symbols():
    assert PIECES.has_pieces
    assert not LETTERS.has_pieces
    for text in TEXTS:
        ids = PIECES.encode(text)
        assert PIECES.decode(ids) == PIECES.clean(text)
        assert len(ids) < len(LETTERS.encode(text))


@given(st.text("thelig nofrsu", max_size=30))
def test_what_the_symbols_can_write_comes_back(text):
    for alphabet in (LETTERS, PIECES):
        assert alphabet.decode(alphabet.encode(text)) == alphabet.clean(text)
        assert not alphabet.unknown(text)


@given(st.text(max_size=30))
def test_any_text_can_be_encoded(text):
    for alphabet in (LETTERS, PIECES):
        ids = alphabet.encode(text)
        assert all(0 <= i < len(alphabet.symbols) for i in ids)


def test_it_travels_with_a_model():
    assert alphabet_in(LETTERS.assets) == LETTERS
    assert alphabet_in(PIECES.assets) == PIECES
    for broken in (
        b"{}",
        b"[",
        b'{"symbols": ["a", "a", " "], "lower": true}',
        b'{"symbols": ["a"], "lower": true}',
    ):
        with pytest.raises(UserError, match=r"alphabet\.json is damaged"):
            alphabet_in({"alphabet.json": broken})
    with pytest.raises(UserError, match="missing"):
        alphabet_in({})


def test_punctuation_is_left_out_but_not_apostrophes_and_what_is_said():
    plain = Alphabet.fit(
        ["Don’t stop, 'twas 5% -- \"Mr. X's\" corn-chandler; उसके।"], punctuation=False
    )
    text = "Don’t stop, 'twas 5% -- \"Mr. X's\" corn-chandler; उसके।"
    assert plain.clean(text) == "don't stop twas 5% mr x's corn chandler उसके"
    assert not plain.unknown(text)
    assert alphabet_in(plain.assets) == plain
    # What earlier versions wrote says nothing of it.
    assert alphabet_in({"alphabet.json": b'{"symbols": [" ", "."], "lower": true}'}).punctuation


def test_lower_case_is_that_of_a_language():
    assert lowered("İSTANBUL IŞIK Iğdır", "tr") == "istanbul ışık ığdır"
    assert lowered("İI", "az-Latn") == "iı"
    # Elsewhere I is i, and no i gets a second dot.
    assert lowered("İSTANBUL IŞIK", "en-us") == lowered("İSTANBUL IŞIK") == "İstanbul işik"
    turkish = Alphabet.fit(["IŞIK İL"], language="tr")
    assert turkish.symbols == (" ", "i", "k", "l", "ı", "ş")
    assert alphabet_in(turkish.assets) == turkish


def test_characters_are_left_out_or_written_otherwise():
    strip = ('"', "É=e", "&= and ", "==equals", "...=…")
    rules = Alphabet.fit(['Café "R&B" = x...'], strip=strip)
    assert rules.clean('Café "R&B" = x...') == "cafe r and b equals x…"
    assert alphabet_in(rules.assets) == rules
    # As it is written where case is kept.
    kept = Alphabet.fit(["a"], lower=False, strip=("É=E",))
    assert kept.clean("ÉCOLE école") == "ECOLE école"
