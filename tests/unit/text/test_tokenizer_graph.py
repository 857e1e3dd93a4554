import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.text.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer
from seqapps.text.tokenizer_graph import GraphTokenizer


class Servable(tf.Module):
    """Both directions, as an exported model would use them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = GraphTokenizer(tokenizer)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def encode(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, lengths = self.tokenizer.encode(texts, bos=False, eos=False)
        return {"ids": ids, "lengths": lengths}

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )
    def decode(self, ids: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"texts": self.tokenizer.decode(ids, lengths)}


@pytest.fixture(scope="session")
def servable(toy: Tokenizer) -> Servable:
    return Servable(toy)


def check_equal(servable: Servable, tokenizer: Tokenizer, texts: list[str]) -> None:
    """Encoding and decoding of one batch equal the library's; padding is PAD."""
    answer = servable.encode(tf.constant([text.encode() for text in texts], tf.string))
    expected = tokenizer.encode(texts)
    lengths = [len(row) for row in expected]
    assert answer["lengths"].numpy().tolist() == lengths
    padded = np.full((len(texts), max(lengths, default=0)), PAD)
    for row, ids in zip(padded, expected, strict=True):
        row[: len(ids)] = ids
    assert np.array_equal(answer["ids"].numpy(), padded)
    decoded = servable.decode(answer["ids"], answer["lengths"])["texts"].numpy()
    assert [text.decode() for text in decoded] == tokenizer.decode(expected)


@settings(deadline=None)
@given(
    st.lists(
        st.text()
        | st.text(st.sampled_from("theca s üé0,f. 你好世界приветмир☃😀_\u0301\u0308\t\u2581\u200b"))
        | st.text(st.sampled_from("abft0 "), max_size=40),
        max_size=6,
    )
)
def test_equals_the_library_on_any_text(
    servable: Servable, toy: Tokenizer, texts: list[str]
) -> None:
    check_equal(servable, toy, texts)


def test_breaks_ties_like_the_library(servable: Servable, toy: Tokenizer) -> None:
    """Pieces such as `f`, `ff` spell a run in several equally probable orders."""
    runs = [char * n for char in "af0b" for n in range(1, 30)]
    check_equal(
        servable, toy, [f"{before} {run}" for run in runs for before in ("", "the", "cats")]
    )


def test_follows_any_number_of_pieces(servable: Servable, toy: Tokenizer) -> None:
    for repeats in range(1, 70):
        check_equal(servable, toy, ["☃a" * repeats])


def test_unknown_neighbours_are_one_piece(servable: Servable, toy: Tokenizer) -> None:
    answer = servable.encode(tf.constant(["☃☃a☃", "☃ ☃"]))["ids"].numpy()
    assert np.count_nonzero(answer[0] == UNKNOWN) == 2
    assert np.count_nonzero(answer[1] == UNKNOWN) == 2
    check_equal(servable, toy, ["☃☃a☃", "☃ ☃"])


@pytest.mark.parametrize("texts", [[], [""], ["", " ", "\x00"], ["", "cat", ""]])
def test_empty_batches_and_texts(servable: Servable, toy: Tokenizer, texts: list[str]) -> None:
    check_equal(servable, toy, texts)


def test_a_row_does_not_depend_on_its_batch(servable: Servable) -> None:
    texts = ["the cats", "", "café 000 ff", "привет мир", "☃", "a" * 100]
    together = servable.encode(tf.constant(texts))
    for row, text in enumerate(texts):
        alone = servable.encode(tf.constant([text]))["ids"].numpy()[0]
        length = together["lengths"].numpy()[row]
        assert together["ids"].numpy()[row, :length].tolist() == alone.tolist()


@pytest.mark.parametrize(("bos", "eos"), [(True, False), (False, True), (True, True)])
def test_frames_rows_with_bos_and_eos(toy: Tokenizer, *, bos: bool, eos: bool) -> None:
    graph = GraphTokenizer(toy)
    encode = tf.function(lambda texts: graph.encode(texts, bos=bos, eos=eos), autograph=False)
    texts = ["the cats", "", "a"]
    ids, lengths = encode(tf.constant(texts))
    for row, length, expected in zip(ids.numpy(), lengths.numpy(), toy.encode(texts), strict=True):
        framed = [BOS] * bos + expected.tolist() + [EOS] * eos
        assert row[:length].tolist() == framed
        assert not row[length:].any()
    assert encode(tf.constant([], tf.string))[0].shape[0] == 0


def test_decodes_any_rank_and_ignores_what_lies_past_each_length(toy: Tokenizer) -> None:
    (cats,) = toy.encode(["the cats"])
    ids = np.stack([cats, cats, np.flip(cats)])[np.newaxis]
    lengths = np.array([[len(cats), 0, 1]], np.int32)
    texts = GraphTokenizer(toy).decode(tf.constant(ids), tf.constant(lengths))
    expected = ["the cats", "", *toy.decode([[cats[-1]]])]
    assert [text.decode() for text in texts.numpy()[0]] == expected


@pytest.mark.parametrize(
    "every", [20, pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"]
)
def test_equals_the_library_on_multi30k(multi30k_lines: list[str], every: int) -> None:
    assert len(multi30k_lines) > 60_000
    lines = multi30k_lines[::every]
    tokenizer = Tokenizer.train(lines, vocabulary=4000 if every == 1 else 2000)
    servable = Servable(tokenizer)
    for start in range(0, len(lines), 4000):
        check_equal(servable, tokenizer, lines[start : start + 4000])


def run(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
    ).stdout


FRESH_LOAD = """
import json, sys
sys.modules["seqapps"] = sys.modules["sentencepiece"] = sys.modules["keras"] = None
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
answer = loaded.signatures["encode"](texts=tf.constant(json.loads(sys.argv[2])))
texts = loaded.signatures["decode"](**answer)["texts"].numpy()
print(json.dumps([answer["ids"].numpy().tolist(), [text.decode() for text in texts]]))
"""


def test_exported_it_needs_tensorflow_alone(
    servable: Servable, toy: Tokenizer, tmp_path: Path
) -> None:
    signatures = {"encode": servable.encode, "decode": servable.decode}
    tf.saved_model.save(servable, str(tmp_path), signatures)
    texts = ["the cafe\u0301", "", "☃ 你好", "x" * 300]
    ids, decoded = json.loads(run(FRESH_LOAD, str(tmp_path), json.dumps(texts)))
    expected = toy.encode(texts)
    assert [row[: len(e)] for row, e in zip(ids, expected, strict=True)] == [
        e.tolist() for e in expected
    ]
    assert decoded == toy.decode(expected)


LONG_WORD = """
import resource, sys
import tensorflow as tf
from seqapps.text.tokenizer import Tokenizer
from seqapps.text.tokenizer_graph import GraphTokenizer
tokenizer = Tokenizer.load(sys.argv[1])
graph = GraphTokenizer(tokenizer)
encode = tf.function(lambda texts: graph.encode(texts, bos=True, eos=True),
                     input_signature=[tf.TensorSpec([None], tf.string)])
encode(tf.constant(["the cats"] * 2000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
word = "ababacats☃" * 10_000
ids, lengths = encode(tf.constant([word]))
assert ids[0, 1:-1].numpy().tolist() == tokenizer.encode([word])[0].tolist()
encode(tf.constant(["the cats"] * 2000 + [word[:10_000]]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_endless_words_fit_in_200_megabytes(toy: Tokenizer, tmp_path: Path) -> None:
    """A word of 100,000 characters alone, and one of 10,000 among 2,000 short texts."""
    toy.save(tmp_path / "tokenizer.model")
    kilobytes = int(run(LONG_WORD, str(tmp_path / "tokenizer.model")))
    assert kilobytes < 200_000
