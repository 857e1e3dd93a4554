"""Errors of transcripts."""

import pytest

from seqapps.errors import UserError
from seqapps.recipes.transcribe.scores import (
    constant_answer,
    error_rates,
    recognition_scores,
    warnings_of,
)

SAID = ["one two three", "four", "five six", "seven eight nine ten"]
HEARD = ["one two tree", "four", "five", "seven eight eight nine tin"]


def test_by_hand():
    found = recognition_scores(HEARD, SAID, speakers=["ann", "ann", "bob", ""], seed=0)
    # Two substitutions, one deletion, one insertion in ten words.
    assert found["wer"] == 40.0
    assert (found["substitutions"], found["deletions"], found["insertions"]) == (2, 1, 1)
    assert found["sentence_error_rate"] == 75.0
    assert found["wer_by_speaker"] == {"unknown": 50.0, "ann": 25.0, "bob": 50.0}
    assert found["wer_by_words"] == {"1": 0.0, "2 to 3": 40.0, "4 to 7": 50.0}
    # 1 + 4 + 7 of 48 characters.
    letters = sum(map(len, SAID))
    assert found["cer"] == pytest.approx(100 * (1 + 4 + 7) / letters, abs=1e-3)
    assert sorted(map(tuple, found["confused"])) == [
        ("", "eight", 1),
        ("six", "", 1),
        ("ten", "tin", 1),
        ("three", "tree", 1),
    ]
    assert found["recordings"] == 4
    low, high = found["wer_interval"]
    assert 0 <= low <= 40 <= high <= 60


def test_the_most_frequent_confusion_comes_first():
    found = recognition_scores(
        ["go", "no", "no", "so"], ["so", "so", "so", "so"], speakers=[""] * 4, seed=0
    )
    assert found["confused"] == [["so", "no", 2], ["so", "go", 1]]


def test_perfect_and_silent():
    found = recognition_scores(SAID, SAID, speakers=[""] * 4, seed=0)
    assert (found["wer"], found["wer_interval"], found["confused"]) == (0.0, [0.0, 0.0], [])
    assert recognition_scores([""] * 4, SAID, speakers=[""] * 4, seed=0)["wer"] == 100.0
    assert error_rates(["", "x"], ["", "y"]) == {"wer": 100.0, "cer": 100.0}


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match="one hypothesis and one speaker for each"):
        recognition_scores(["a"], ["a", "b"], speakers=[""], seed=0)
    for measure in (error_rates, lambda h, s: recognition_scores(h, s, speakers=["", ""], seed=0)):
        with pytest.raises(UserError, match="none of the 2 transcripts has a word"):
            measure(["a", "b"], ["", " "])


def test_recordings_in_which_nothing_is_said_are_left_out_and_counted():
    found = recognition_scores(
        [*HEARD, "noise"], [*SAID, " "], speakers=["ann", "ann", "bob", "", "eve"], seed=0
    )
    expected = recognition_scores(HEARD, SAID, speakers=["ann", "ann", "bob", ""], seed=0)
    assert found == {**expected, "without_words": 1}


def test_where_nobody_writes_words_apart_all_is_of_characters():
    found = recognition_scores(
        ["今日は雨", "明日"], ["今日は晴", "明日"], speakers=["", ""], seed=0, words=False
    )
    assert next(iter(found)) == "cer"
    assert found["cer"] == pytest.approx(100 / 6, abs=1e-3)
    assert found["cer_by_speaker"] == {"unknown": found["cer"]}
    assert found["confused"] == [["晴", "雨", 1]]
    assert not any(name.startswith("wer") for name in found)


def test_a_model_that_does_not_listen_is_told_of():
    constant = constant_answer(["four", "four", "one"], SAID)
    assert (constant["text"], constant["wer"]) == ("four", 90.0)

    def warned(hypotheses):
        metrics = recognition_scores(hypotheses, SAID, speakers=[""] * 4, seed=0)
        return warnings_of(hypotheses, metrics, constant)

    assert warned(HEARD) == []
    assert warned(SAID) == []
    (same,) = warned(["three"] * 4)
    assert "answers all 4 recordings with 'three'" in same
    (weak,) = warned(["", "four", "a b", ""])
    assert "no better than that of always answering 'four' or nothing, 90.0 %" in weak
