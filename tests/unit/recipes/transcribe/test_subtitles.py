"""Subtitles are valid, whatever the words and times."""

import re

from hypothesis import given
from hypothesis import strategies as st

from seqapps.recipes.transcribe.subtitles import Cue, Word, cues, srt, vtt

CLOCK = r"(\d{2,}):([0-5]\d):([0-5]\d)[,.](\d{3})"


def seconds(parts):
    hours, minutes, second, thousandths = map(int, parts)
    return 3600 * hours + 60 * minutes + second + thousandths / 1000


def test_words_become_lines():
    words = [Word(f"word{i}", i * 0.5, i * 0.5 + 0.4) for i in range(12)]
    words.append(Word("late", 3_700.25, 3_700.5))
    lines = cues(words)
    assert [len(line.text) <= 42 for line in lines] == [True] * len(lines)
    assert " ".join(line.text for line in lines) == " ".join(word.text for word in words)
    assert lines[-1] == Cue("late", 3_700.25, 3_700.5)
    assert srt(lines[-1:]) == "1\n01:01:40,250 --> 01:01:40,500\nlate\n"
    assert vtt(lines[-1:]) == "WEBVTT\n\n01:01:40.250 --> 01:01:40.500\nlate\n"
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n"


WORDS = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60),
        st.floats(0.0, 3.0),
        st.floats(0.0, 9.0),
    ),
    max_size=25,
)


@given(WORDS)
def test_numbers_count_up_and_times_do_not_overlap(drawn):
    words, clock = [], 0.0
    for text, pause, length in drawn:
        words.append(Word(text, clock + pause, clock + pause + length))
        clock += pause + length
    lines = cues(words)
    blocks = [block.split("\n") for block in srt(lines).split("\n\n") if block]
    assert [block[0] for block in blocks] == [str(i + 1) for i in range(len(lines))]
    last = 0.0
    for block in blocks:
        found = re.fullmatch(f"{CLOCK} --> {CLOCK}", block[1])
        start, end = seconds(found.groups()[:4]), seconds(found.groups()[4:])
        assert start >= last - 0.0011
        assert end >= start
        last = end
        assert block[2]
        assert "-->" not in block[2]
    assert vtt(lines).startswith("WEBVTT\n")
    assert vtt(lines).count("-->") == len(lines)
