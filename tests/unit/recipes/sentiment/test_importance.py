import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.recipes.sentiment.importance import Explanation, for_html, for_terminal, visible

REVIEW = Explanation(
    words=["a", "dull", "start", "but", "a", "wonderful", "end"],
    importance=[0.0, -1.0, -0.001, 0.25, 0.0, 2.0, 0.004],
    label="positive",
    probability=0.9312,
)
HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "line\nbreak\r\ttab\x00",
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' style='x",
    "</p></article></body>",
    "&lt;&amp;&#x1b;",
    "\u202eevil\u2066",
    "\u2028\u2029\x85",
    "\ud800\uffff\ufdd0\U0001ffff",
    "<!-- texts -->",
]


def explain(words, *, label="x"):
    importance = [(-1) ** i * (i + 1.0) for i in range(len(words))]
    return Explanation(words=words, importance=importance, label=label, probability=0.5)


def plain(text):
    """Without the colours that `for_terminal` writes, and only those."""
    return re.sub(r"\x1b\[38;5;\d+;48;5;\d+(;4)?m|\x1b\[0m", "", text)


def test_without_colours_the_strongest_words_are_listed():
    assert for_terminal(REVIEW, colour=False) == (
        "positive  93.1%\n"
        "a dull start but a wonderful end\n"
        "  supports: wonderful +2.00, but +0.25, end +4.0e-03\n"
        "  opposes:  dull -1.00, start -1.0e-03"
    )


def test_five_words_are_listed_the_earlier_of_equals_first():
    explanation = Explanation(
        words=list("abcdefg"), importance=[1, 3, 1, 1, 1, 1, 2], label="x", probability=1.0
    )
    listed = for_terminal(explanation, colour=False).splitlines()[2]
    assert re.findall("[a-g](?= )", listed) == ["b", "g", "a", "c", "d"]


def test_colours_show_direction_and_strength():
    head, text = for_terminal(REVIEW, colour=True).splitlines()
    assert head == "positive  93.1%"
    assert plain(text) == "a dull start but a wonderful end"
    # Bright green, dark green, red with an underline; what hardly matters is left alone.
    assert "\x1b[38;5;16;48;5;40mwonderful\x1b[0m" in text
    assert "\x1b[38;5;231;48;5;22mbut\x1b[0m" in text
    assert "\x1b[38;5;231;48;5;124;4mdull\x1b[0m" in text
    assert text.count("\x1b[0m") == 3


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_colours_are_relative_to_the_strongest_word(importance, factor):
    def shown(numbers):
        return for_terminal(
            Explanation(words=["w"] * len(numbers), importance=numbers, label="x", probability=0.1),
            colour=True,
        )

    # Powers of two scale without rounding.
    assert shown(importance) == shown([4.0 * number for number in importance])
    if any(importance):
        assert "\x1b[" in shown(importance)
    assert "\x1b[" not in shown([0.0 * factor] * len(importance))


def test_texts_in_which_no_word_matters():
    zeros = Explanation(words=["so", "so"], importance=[0, 0], label="x", probability=0.5)
    assert for_terminal(zeros, colour=False) == "x  50.0%\nso so\n  no single word matters"
    assert for_terminal(zeros, colour=True) == "x  50.0%\nso so"
    nothing = explain([])
    for colour in (False, True):
        assert for_terminal(nothing, colour=colour) == "x  50.0%\n(no words)"
    assert "(no words)" in for_html([nothing])


@pytest.mark.parametrize("colour", [False, True])
def test_nothing_in_a_text_steers_the_terminal(colour):
    text = plain(for_terminal(explain(HOSTILE, label="\x1b[2Jlabel\n"), colour=colour))
    assert len(text.splitlines()) == (2 if colour else 4)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)
    assert "␛[2J␛]0;owned␇" in text
    assert text.startswith("␛[2Jlabel␊  50.0%\n")
    # A terminal can be written to.
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.text(st.characters()))
def test_visible_text_keeps_its_length_and_is_one_line_of_utf8(text):
    shown = visible(text)
    assert len(shown) == len(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


def test_visible_text_keeps_what_scripts_need():
    # Joiners of Persian, Hindi and emoji; a mark of direction; combining accents.
    for text in ("می\u200cخواهم", "क्\u200dष", "👩\u200d🚀", "\u200fשלום\u200e", "e\u0301"):
        assert visible(text) == text


class Page(HTMLParser):
    """Reads a page back: elements must be closed in their order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words, self.paragraphs = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag != "meta":
            self.open.append(tag)
        if tag == "article":
            self.words.append([])
            self.paragraphs.append("")
        if tag == "span" and "article" in self.open:
            self.words[-1].append([dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "article" in self.open:
            self.paragraphs[-1] += data
            if "span" in self.open:
                self.words[-1][-1][1] += data


def test_a_page_gives_words_their_numbers_and_colours():
    text = for_html([REVIEW, explain(["one"], label="negative")])
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    page = Page(text)
    first, second = page.words
    assert [word for _, word in first] == list(REVIEW.words)
    assert [attributes["title"] for attributes, _ in first] == (
        ["0", "-1.00", "-1.0e-03", "+0.25", "0", "+2.00", "+4.0e-03"]
    )
    assert [attributes.get("class") for attributes, _ in first] == (
        [None, "against", None, "for", None, "for", None]
    )
    # Half and all of the deepest colour.
    assert first[1][0]["style"] == "--depth: 0.30"
    assert first[5][0]["style"] == "--depth: 0.60"
    assert [word for _, word in second] == ["one"]
    assert page.paragraphs[0].split("\n")[1:3] == [
        "positive 93.1%",
        "a dull start but a wonderful end",
    ]


def test_a_page_needs_nothing_else_and_suits_light_and_dark():
    text = for_html([REVIEW])
    names = {tag for tag, _ in Page(text).tags}
    assert names == set("html head meta title style body h1 p article h2 bdi small span".split())
    assert not re.search(r"https?:|url\(|@import|src=|href=", text)
    assert "color-scheme: light dark" in text
    # Letters have the page's own colour in both.
    assert not re.search(r"[{;]\s*color:", text)


def test_a_page_runs_in_the_direction_of_its_scripts():
    page = Page(for_html([explain(["שלום", "עולם"])]))
    paragraph = next(
        attributes for tag, attributes in page.tags if tag == "p" and "dir" in attributes
    )
    # An empty language says that it is unknown, not that it is English.
    assert paragraph == {"dir": "auto", "lang": ""}


def test_no_text_becomes_markup():
    harmless = for_html([explain(["word"] * len(HOSTILE), label="word")])
    text = for_html([explain(HOSTILE, label="<b>\x1b</b>&"), explain(HOSTILE)])
    page = Page(text)
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in Page(harmless).tags}
    allowed = {"title", "class", "style"}
    for words in page.words:
        assert [word for _, word in words] == [visible(word) for word in HOSTILE]
        assert all(set(attributes) <= allowed for attributes, _ in words)
    assert page.paragraphs[0].split("\n")[1] == "<b>␛</b>& 50.0%"
    # Forbidden in HTML, or impossible in UTF-8.
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\uffff]", text)
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.lists(st.text(st.characters(), min_size=1), max_size=5), st.text(st.characters()))
def test_any_words_are_read_back_from_a_page(words, label):
    (found,) = Page(for_html([explain(words, label=label)])).words
    assert [word for _, word in found] == [visible(word) for word in words]


def test_a_page_of_nothing():
    assert Page(for_html([])).words == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"importance": [1.0]}, "same length, got 2 and 1"),
        ({"importance": [1.0, float("nan")]}, "must be finite, got nan"),
        ({"probability": float("inf")}, "must be finite, got inf"),
    ],
)
def test_an_explanation_that_cannot_be_drawn_is_refused(changes, message):
    right = {"words": ["a", "b"], "importance": [1.0, 2.0], "label": "x", "probability": 0.5}
    assert for_terminal(Explanation(**right), colour=True)
    with pytest.raises(ValueError, match=message):
        Explanation(**{**right, **changes})
