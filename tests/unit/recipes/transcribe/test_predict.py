"""Cutting long recordings and putting the answers together."""

import numpy as np
import pytest

from seqapps.recipes.transcribe.predict import LONGEST_S, find_cuts, join
from seqapps.recipes.transcribe.subtitles import Word

RATE = 8_000
RNG = np.random.default_rng(0)


def speech(seconds, silences):
    """Noise that is silent for 0.5 s at some times."""
    values = RNG.normal(size=int(seconds * RATE)).astype(np.float32) * 0.1
    for at in silences:
        values[int((at - 0.25) * RATE) : int((at + 0.25) * RATE)] *= 1e-3
    return values


def test_short_recordings_are_not_cut():
    assert find_cuts(speech(LONGEST_S, []), RATE) == []
    assert find_cuts(np.zeros(0, np.float32), RATE) == []


def test_cuts_are_in_silences():
    silences = [9.0, 20.0, 31.0, 44.0, 58.0]
    cuts = find_cuts(speech(70.0, silences), RATE)
    assert cuts == pytest.approx([20.0, 44.0, 58.0], abs=0.26)


def test_cuts_do_not_drift_where_the_rate_is_no_multiple_of_50():
    rate, seconds = 1_011, 400.0
    values = RNG.normal(size=int(seconds * rate)).astype(np.float32) * 0.1
    silences = np.arange(20.0, seconds, 20.0)
    for at in silences:
        values[int((at - 0.25) * rate) : int((at + 0.25) * rate)] *= 1e-3
    assert find_cuts(values, rate) == pytest.approx(silences[: len(silences)], abs=0.26)


@pytest.mark.parametrize("seconds", [26.0, 100.0, 601.3])
@pytest.mark.parametrize("kind", ["noise", "silence"])
def test_no_part_is_too_long_or_too_short(seconds, kind):
    values = speech(seconds, []) if kind == "noise" else np.zeros(int(seconds * RATE), np.float32)
    bounds = [0.0, *find_cuts(values, RATE), seconds]
    parts = np.diff(bounds)
    assert parts.max() <= LONGEST_S + 0.02
    assert parts[:-1].min() >= LONGEST_S / 3 - 0.02


def test_each_word_is_taken_from_the_part_that_its_middle_lies_in():
    left = [Word("one", 1.0, 1.4), Word("two", 9.6, 10.2), Word("thr", 10.7, 11.0)]
    right = [Word("wo", 9.0, 9.9), Word("two", 9.9, 10.3), Word("three", 10.8, 11.4)]
    words = join([left, right], [10.0])
    # "two" was heard from both sides.
    assert [word.text for word in words] == ["one", "two", "three"]
    assert join([[], [Word("x", 3.0, 4.0)]], [2.0]) == [Word("x", 3.0, 4.0)]
    assert join([[]], []) == []
    # Each side hears "two" beyond the cut: it is not lost.
    left = [Word("one", 9.0, 9.4), Word("two", 9.7, 10.5, 0.6), Word("th", 10.6, 10.9)]
    right = [Word("ne", 9.1, 9.4), Word("two", 9.6, 10.3, 0.9), Word("three", 10.6, 11.0)]
    assert [word.text for word in join([left, right], [10.0])] == ["one", "two", "three"]
    assert join([left, right], [10.0])[1].confidence == 0.9
    # Neighbours that touch are not one word.
    left = [Word("one", 9.4, 10.1), Word("two", 10.05, 10.6)]
    right = [Word("one", 9.4, 10.15), Word("two", 10.1, 10.6)]
    assert [word.text for word in join([left, right], [10.0])] == ["one", "two"]
    again = join([[Word("no", 8.0, 8.5)], [Word("no", 10.5, 11.0)]], [10.0])
    assert len(again) == 2
