"""The language model as an automaton is the n-gram model."""

import numpy as np
import pytest

from seqapps.errors import UserError
from seqapps.recipes.transcribe import language as speech_language
from seqapps.recipes.transcribe.language import Weights
from seqapps.text.alphabet import Alphabet

TEXTS = ["one two", "two three one", "three three", "one one two"] * 3
ALPHABET = Alphabet.fit(TEXTS)
MODEL = speech_language.fit(TEXTS, ALPHABET, order=4)
TABLES = speech_language.tables(MODEL, ALPHABET)


def test_the_automaton_scores_as_the_model_does():
    space = ALPHABET.symbols.index(" ")
    for text in ("one two", "owt", "three one two two", ""):
        ids = ALPHABET.encode(text)
        expected = MODEL.log_probs(np.concatenate([[space], ids, [space]]))[1:]
        state, found = int(TABLES["start"]), []
        for symbol in ids:
            found.append(TABLES["scores"][state, symbol])
            state = TABLES["following"][state, symbol]
        found.append(TABLES["ending"][state])
        np.testing.assert_allclose(found, np.maximum(expected, -20.0), rtol=1e-5)


def test_what_follows_in_the_texts_is_likelier():
    def score(text):
        state, total = int(TABLES["start"]), 0.0
        for symbol in ALPHABET.encode(text):
            total += TABLES["scores"][state, symbol]
            state = TABLES["following"][state, symbol]
        return total + TABLES["ending"][state]

    assert score("one two") > score("one tow") > score("enw too")


def test_it_travels_with_a_model():
    model, weights = speech_language.from_assets(
        speech_language.to_assets(MODEL, Weights(language=0.5, bonus=1.0))
    )
    assert weights == Weights(language=0.5, bonus=1.0)
    again = speech_language.tables(model, ALPHABET)
    np.testing.assert_allclose(again["scores"], TABLES["scores"], atol=1e-5)
    assert speech_language.from_assets(speech_language.to_assets(None, Weights())) == (
        None,
        Weights(),
    )
    for broken in (
        {"language.npz": b"no"},
        {**speech_language.to_assets(MODEL, Weights()), "language.json": b'{"weight": 1}'},
    ):
        with pytest.raises(UserError, match="is damaged"):
            speech_language.from_assets(broken)
