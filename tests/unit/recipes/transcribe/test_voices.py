"""Synthetic voices beside recordings: which language, what they say, how much of it."""

import numpy as np
import pytest

from seqapps.data.recordings import Recordings
from seqapps.recipes.transcribe.data_settings import SyntheticVoices
from seqapps.recipes.transcribe.voices import (
    english,
    language_of,
    made_up,
    mixed,
    spoken,
)
from seqapps.text.alphabet import Alphabet

SPANISH = ["la conferencia es de las nueve", "por favor marque el número de la tarde"]


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (SPANISH, "es"),
        (
            ["The prisoners were kept in the yard.", "It is said that he was there for years."],
            "en-us",
        ),
        (["उसके भीतर का सत्व जग गया"], "hi"),
        (["Это было в начале июля"], "ru"),
        (["Der Wagen steht vor dem Haus und die Tür ist offen"], "de"),
        (["BU İÇİN BİR ŞEY DEĞİL", "Ve İki Kadar Daha", "ÇOK İYİ AMA BU KADAR"], "tr"),
        (["kxq zzt wrrp", "qqq"], ""),
        (["今日は天気がいい"], ""),
        (["yes", "no", "no", "stop"], ""),
        (["12 34"], ""),
    ],
)
def test_the_language_is_found_by_script_and_common_words(texts, language):
    assert language_of(texts) == language


def test_made_up_text_is_new_and_of_the_same_letters():
    alphabet = Alphabet.fit(SPANISH)
    made = made_up(SPANISH, alphabet, count=30, rng=np.random.default_rng(0))
    assert not any(alphabet.unknown(text) for text in made)
    assert set(made) - set(SPANISH)
    known = {word for text in SPANISH for word in text.split()}
    words = [word for text in made for word in text.split()]
    assert sum(word in known for word in words) > 0.5 * len(words)


def test_english_is_pythons_help_without_code():
    sentences = english()
    assert len(sentences) > 1000
    assert not any("_" in sentence or "()" in sentence for sentence in sentences)


def recordings(count, seconds, name):
    made = Recordings()
    for number in range(count):
        made.add(np.zeros(int(8000 * seconds), np.int16), name, speaker="", place=(name, number))
    return made


def test_each_pass_is_as_long_and_the_voices_fall_silent():
    real, voices = recordings(20, 1.0, "real"), recordings(50, 0.5, "voice")
    settings = SyntheticVoices(share=0.6, passes=4, language="es")
    heard = []
    for epoch in range(6):
        chosen = mixed(real, voices, settings, seed=1, epoch=epoch)
        assert sum(map(len, chosen.samples)) / 8000 == pytest.approx(50, abs=2)
        assert {place[1] for place in chosen.places if place[0] == "real"} == set(range(20))
        heard.append(sum(text == "voice" for text in chosen.texts) * 0.5 / 50)
    assert heard == pytest.approx([0.6, 0.45, 0.3, 0.15, 0, 0], abs=0.02)
    again = mixed(real, voices, settings, seed=1, epoch=1)
    assert again.places == mixed(real, voices, settings, seed=1, epoch=1).places


def test_they_speak_transcripts_and_other_text_alike_each_time():
    settings = SyntheticVoices(share=0.5, minutes=0.2, language="es")
    alphabet = Alphabet.fit(SPANISH)

    def said(others):
        return spoken(SPANISH, alphabet, settings, others=others, rate_hz=8000, seed=3)

    first, second = said([]), said([])
    assert first.texts == second.texts
    np.testing.assert_array_equal(np.concatenate(first.samples), np.concatenate(second.samples))
    assert 12 <= sum(map(len, first.samples)) / 8000 < 30
    assert set(SPANISH) < set(first.texts)
    assert all(voice.startswith("es+") for voice in first.speakers)
    # 'w' is no letter of the transcripts.
    assert set(said(["la tarde", "what", " "]).texts) == {*SPANISH, "la tarde"}
