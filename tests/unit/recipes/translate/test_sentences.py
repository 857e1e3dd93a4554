"""Where lines are cut that are too long, in Python and in the graph."""

import pytest
import tensorflow as tf

from seqapps.recipes.translate import sentences_graph
from seqapps.recipes.translate.sentences import join, parts
from seqapps.text.normalise import normalise

# Each line in the sentences that a person sees in it.
LINES = [
    ["Dr. Smith met J. K. Rowling, e.g. Tuesday at 3.5 Mio. ", "Then he left! ", "Who? ", "He."],
    ["Das ist z. B. Berlin. ", "Am 3. Oktober kam Hr. Müller an. ", "Österreich ist schön."],
    ["He said „No.“ ", "“Why?” ", "See No. 5 of the U.S. Army. ", "Ça va."],
    ["Yahoo! is a name. ", "At www.example.com 1.000,50 € or more... ", "1990. ", "Oh."],
    ["今日は。", "元気？", "「はい。」と言った。", "彼は「行く。」", "终了！", "3.5倍。"],
    ["他来了。", "“你好吗？”", "他问。"],
    ["यह घर है। ", "वह आया।"],
    ["هل جاء؟ ", "نعم. ", "جاء."],
    ["Он пришёл. ", "Это т. е. дом. ", "Да!"],
]
EDGES = [
    "",
    " ",
    ".",
    "。",
    "a",
    "...",
    "。。 。",
    "\x1f.\x1e A",
    "No mark but many words",
    "a," * 9,
]


def characters(texts):
    return [len(text.replace(" ", "")) for text in texts]


def characters_in_graph(texts):
    return tf.strings.length(tf.strings.regex_replace(texts, " ", ""), unit="UTF8_CHAR")


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_a_long_line_becomes_its_sentences(line):
    longest = max(characters(line))
    assert parts("".join(line), characters, longest) == line
    # What is short enough is never cut.
    assert parts("".join(line), characters, sum(characters(line))) == ["".join(line)]


def test_a_long_sentence_is_cut_at_commas_and_then_at_spaces_evenly():
    line = "One two three four, five six seven eight, nine ten eleven twelve, thirteen."
    words = lambda texts: [len(text.split()) for text in texts]  # noqa: E731
    found = parts(line, words, 10)
    assert found == [
        "One two three four, five six seven eight, ",
        "nine ten eleven twelve, thirteen.",
    ]
    counts = words(parts(line, words, 3))
    assert sum(counts) == 13
    assert max(counts) <= 3
    # There is no place to cut one word.
    assert parts("x" * 50, characters, 9) == ["x" * 50]


def test_the_graph_cuts_as_python_does():
    texts = [*("".join(line) for line in LINES), *EDGES]
    cut = tf.function(sentences_graph.parts, autograph=False)
    for longest in (1, 4, 9, 20, 1000):
        found, rows = cut(tf.constant(texts), characters_in_graph, longest)
        wanted = [parts(normalise(text), characters, longest) for text in texts]
        assert rows.numpy().tolist() == [i for i, some in enumerate(wanted) for _ in some]
        assert [text.decode() for text in found.numpy()] == [t for some in wanted for t in some]


JOINED = [
    (["Er kam.", "Sie ging."], "Er kam. Sie ging."),
    (["彼は来た。", "はい！", "OK.", "そう"], "彼は来た。はい！OK. そう"),
    (["", "Ja.", "", ""], "Ja."),
    ([""], ""),
]


def test_translations_are_joined_as_their_script_is_written():
    for texts, wanted in JOINED:
        assert join(texts) == wanted
        rows = tf.zeros(len(texts), tf.int32)
        assert sentences_graph.join(tf.constant(texts), rows, 1).numpy()[0].decode() == wanted
