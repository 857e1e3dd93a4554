import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.text import normalise_graph
from seqapps.text.normalise import character_map, compositions, normalise

graph_normalise = tf.function(
    normalise_graph.normalise, input_signature=[tf.TensorSpec([None], tf.string)]
)
# Ordinary characters, marks that compose with some of them, Hangul jamo, spaces and controls.
BUSY = st.text(
    st.sampled_from(
        "aAeuαωиكかᄒㅎ\u1112\u1161\u11ab _\u2581\u0301\u0308\u0323\u0302"
        "\u0313\u0345\u3099\u0653\u09c7\u09be\u0dd9\u0dcf\u0dca"
        "\t\n\x00\x1f\x85\xa0\u200b\u200d\u2028\u3000\ufeff\ufffd\U0001f600"
    )
)


def in_graph(texts: list[str]) -> list[str]:
    return [text.decode() for text in graph_normalise([text.encode() for text in texts]).numpy()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  a \t\r\n b  ", "a b"),
        ("a\x00\x07b\x1cc", "abc"),
        ("a\xa0b\u3000c\u2028d\x85e", "a b c d e"),
        ("so\xadft ze\u200bro \ufefftext\u200e", "soft zero text"),
        ("u\u0308ber", "über"),
        ("a\u0323\u0302", "ậ"),
        ("\u1112\u1161\u11ab", "한"),
        ("\u212b", "Å"),
        ("u\x00\u0308", "ü"),
        (" \u0308", "\u0308"),
        # Stated limits: marks are neither reordered nor composed across one that stands between.
        ("a\u0301\u0323", "á\u0323"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u2581a_b", "_a_b"),
        ("\u2003\u200b\u2003", ""),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert normalise(text) == expected
    assert in_graph(["x", text, "y"]) == ["x", expected, "y"]


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert normalise("a\ud800\udfffb") == "a\ufffd\ufffdb"


def test_every_white_space_and_control_character_is_handled() -> None:
    separators = (
        {code for code in range(0x10000) if unicodedata.category(chr(code)) in ("Zs", "Zl", "Zp")}
        | set(range(0x09, 0x0E))
        | {0x85}
    )
    table = character_map()
    spaces = {code for code, mapped in table.items() if mapped == 0x20}
    assert spaces | {0x20} == separators
    controls = {code for code in range(0x10000) if unicodedata.category(chr(code)) == "Cc"}
    assert all(table[code] is None for code in controls - separators)


def test_composition_is_unambiguous() -> None:
    """No second character of a pair is a first or a composed one: the graph relies on it."""
    seconds = {second for _, second in compositions()}
    assert seconds.isdisjoint(first for first, _ in compositions())
    assert seconds.isdisjoint(compositions().values())
    assert seconds.isdisjoint(character_map())


def test_every_composed_character_comes_back_from_its_parts() -> None:
    chars = [chr(code) for code in compositions().values()]
    assert len(chars) > 12_000
    assert [normalise(unicodedata.normalize("NFD", char)) for char in chars] == chars
    decomposed = [unicodedata.normalize("NFD", char) for char in chars]
    assert in_graph(decomposed) == chars


def test_every_code_point_is_equal_in_graph() -> None:
    blocks = [
        "".join(f"x{chr(code)}" for code in range(start, start + 256))
        for start in range(0, 0x110000, 256)
        if not 0xD800 <= start < 0xE000
    ]
    assert in_graph(blocks) == [normalise(block) for block in blocks]


@settings(deadline=None)
@given(st.lists(st.text() | BUSY, max_size=5))
def test_text_is_equal_in_graph(texts: list[str]) -> None:
    assert in_graph(texts) == [normalise(text) for text in texts]


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=12)
        | st.lists(
            st.sampled_from(b"a \x00\x80\xa0\xbf\xc0\xc3\xcc\x88\xe2\xed\xef\xf0\xf4\xff")
        ).map(bytes),
        max_size=5,
    )
)
def test_any_bytes_are_equal_in_graph(texts: list[bytes]) -> None:
    expected = [normalise(text.decode("utf-8", "replace")) for text in texts]
    assert [text.decode() for text in graph_normalise(texts).numpy()] == expected


@settings(deadline=None)
@given(st.text() | BUSY)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x24F, exclude_categories=["C"])))
def test_latin_text_becomes_nfc(text: str) -> None:
    expected = unicodedata.normalize("NFC", text).replace("\xa0", " ").strip(" ")
    expected = " ".join(expected.split())
    assert normalise(unicodedata.normalize("NFD", text)) == expected
    assert normalise(text) == expected


def test_multi30k_becomes_nfc(multi30k_lines: list[str]) -> None:
    expected = [" ".join(unicodedata.normalize("NFC", line).split()) for line in multi30k_lines]
    assert [normalise(line) for line in multi30k_lines] == expected
    decomposed = [unicodedata.normalize("NFD", line) for line in multi30k_lines]
    assert decomposed != multi30k_lines
    assert [normalise(line) for line in decomposed] == expected
    assert in_graph(decomposed) == expected
