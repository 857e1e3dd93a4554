"""Vocabularies of a language model: there and back, and the same inside a graph."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqapps.errors import UserError
from seqapps.recipes.generate.data import pydoc_topics
from seqapps.text.vocabulary import MARK, UNKNOWN, Vocabulary
from seqapps.text.vocabulary_graph import GraphVocabulary

DOCUMENTS = pydoc_topics()[:12]
KINDS = ("characters", "bytes", "pieces")
HARD = ["", " ", "  a  b ", "a\nb\r\n\tc\n\n", "▁x", "é☃😀\U0010fffe", "�", "\0", "x" * 300]
ALPHABET = st.sampled_from("".join(map(chr, range(32, 127))) + "\n\t éß☃😀▁�")
texts = st.lists(st.one_of(st.text(ALPHABET, max_size=40), st.sampled_from(HARD)), max_size=5)


@pytest.fixture(scope="module", params=KINDS)
def vocabulary(request):
    return Vocabulary.fit(request.param, DOCUMENTS, size=500)


@pytest.fixture(scope="module")
def graph(vocabulary):
    made = GraphVocabulary(vocabulary)
    encode = tf.function(made.encode, input_signature=[tf.TensorSpec([None], tf.string)])
    specs = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
    return made, encode, tf.function(made.decode, input_signature=specs)


def test_the_training_text_comes_back_unchanged(vocabulary):
    for document in DOCUMENTS:
        ids = vocabulary.encode(document)
        assert vocabulary.decode(ids) == document
        assert ids.min() > UNKNOWN if vocabulary.kind != "bytes" else ids.min() > MARK
        assert ids.max() < vocabulary.size
    again = Vocabulary.from_assets(vocabulary.assets)
    assert again.surfaces == vocabulary.surfaces
    np.testing.assert_array_equal(again.encode(DOCUMENTS[0]), vocabulary.encode(DOCUMENTS[0]))


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_any_bytes_come_back_from_a_vocabulary_of_bytes(rows):
    vocabulary = Vocabulary.fit("bytes", [], size=0)
    graph = GraphVocabulary(vocabulary)
    ids, lengths = graph.encode(tf.constant(rows, tf.string))
    for row, found, length in zip(rows, ids.numpy(), lengths.numpy(), strict=True):
        assert vocabulary.decode(vocabulary.encode(row)) == row
        np.testing.assert_array_equal(found[:length], vocabulary.encode(row))
    assert graph.decode(ids, lengths).numpy().tolist() == rows


@settings(max_examples=40)
@given(texts)
@example(HARD)
@example([])
def test_the_graph_gives_the_same_tokens_and_texts(vocabulary, graph, rows):
    _, encode, decode = graph
    ids, lengths = encode(tf.constant([row.encode() for row in rows], tf.string))
    assert ids.shape[0] == len(rows)
    for row, found, length in zip(rows, ids.numpy(), lengths.numpy(), strict=True):
        wanted = vocabulary.encode(row.encode())
        np.testing.assert_array_equal(found[:length], wanted)
        assert not found[length:].any()
    written = decode(ids, lengths).numpy().tolist()
    for row, text in zip(rows, written, strict=True):
        assert text == vocabulary.decode(vocabulary.encode(row.encode()))
        if vocabulary.kind == "bytes" or (vocabulary.kind == "pieces" and "▁" not in row):
            assert text.decode() == row


@pytest.mark.parametrize("kind", ["characters", "pieces"])
def test_broken_utf8_is_read_as_a_replacement(kind):
    vocabulary = (
        Vocabulary.fit(kind, [b"abc \xef\xbf\xbd"], size=300)
        if kind != "pieces"
        else (Vocabulary.fit(kind, DOCUMENTS, size=500))
    )
    ids, lengths = GraphVocabulary(vocabulary).encode(tf.constant([b"a\xffb"]))
    wanted = vocabulary.encode(b"a\xffb")
    np.testing.assert_array_equal(ids.numpy()[0, : lengths.numpy()[0]], wanted)
    assert vocabulary.decode(wanted) == "a�b".encode()


def test_tokens_are_found_by_what_they_write(vocabulary, graph):
    made, _, _ = graph
    mask = made.mask(tf.constant([["e", "", "no such token"], ["", "", ""]])).numpy()
    assert [vocabulary.surfaces[i] for i in np.flatnonzero(mask[0])] == [b"e"] * mask[0].sum()
    assert mask[0].any()
    assert not mask[1].any()


def test_a_stream_has_a_mark_around_every_document():
    vocabulary = Vocabulary.fit("characters", [b"ab", b"c"], size=0)
    assert vocabulary.stream([b"ab", b"c"]).tolist() == [0, 2, 3, 0, 4, 0]
    assert vocabulary.encode(b"xc").tolist() == [UNKNOWN, 4]


def test_what_cannot_be_a_vocabulary_is_named():
    with pytest.raises(UserError, match="a vocabulary of 300 pieces cannot be made of this text"):
        Vocabulary.fit("pieces", [b"", b""], size=300)
    with pytest.raises(UserError, match=r"vocabulary.json is missing"):
        Vocabulary.from_assets({})
    for broken in (b"{", b'{"kind": "words"}', b'{"kind": "characters"}', b"[]"):
        with pytest.raises(UserError, match=r"vocabulary.json is damaged"):
            Vocabulary.from_assets({"vocabulary.json": broken})
