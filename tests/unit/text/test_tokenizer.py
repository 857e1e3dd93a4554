import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sentencepiece as spm
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.errors import UserError
from seqapps.text.normalise import normalise
from seqapps.text.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer, tokenizer_in


def library(tokenizer: Tokenizer) -> spm.SentencePieceProcessor:
    return spm.SentencePieceProcessor(model_proto=tokenizer.proto)


def test_encodes_and_decodes_like_the_library(toy: Tokenizer) -> None:
    texts = ["the cats", "  u\u0308ber\tStraße ☃☃ x☃y ", "", "你好世界!", "\u2581a"]
    model = library(toy)
    encoded = toy.encode(texts)
    assert [row.tolist() for row in encoded] == model.encode([normalise(t) for t in texts])
    assert all(row.dtype == np.int32 for row in encoded)
    assert toy.decode(encoded) == [model.decode(row.tolist()) for row in encoded]
    assert toy.decode(toy.encode(["the café"])) == ["the café"]


def test_special_pieces_are_silent_and_unknown_is_shown(toy: Tokenizer) -> None:
    (cat,) = toy.encode(["cat"])
    assert toy.decode([[BOS, *cat, EOS, PAD, PAD], [], [UNKNOWN]]) == ["cat", "", " ⁇ "]


@settings(deadline=None)
@given(st.text(st.sampled_from("thecat séü0f你привет ")))
def test_known_characters_survive(toy: Tokenizer, text: str) -> None:
    known = {char for piece in toy.pieces for char in piece}
    kept = normalise("".join(char for char in text if char in known or char == " "))
    assert toy.decode(toy.encode([kept])) == [kept]


def test_training_is_deterministic_and_reads_any_line() -> None:
    lines = ["the cat sees the dog", "a" * 5000 + " q", "zebra \u2585 crossing", "", "\x00"]
    first = Tokenizer.train(iter(lines), vocabulary=60)
    assert Tokenizer.train(lines, vocabulary=60).proto == first.proto
    # The library would have skipped the over-long line and the one with its reserved character.
    assert UNKNOWN not in first.encode(["q zebra"])[0]
    assert first.pieces[:4] == ["<pad>", "<unk>", "<s>", "</s>"]
    assert first.size == len(first.pieces) <= 60


def test_rare_characters_fall_outside_the_coverage() -> None:
    lines = ["the cat sees the dog"] * 99 + ["ж"]
    assert UNKNOWN not in Tokenizer.train(lines, vocabulary=40).encode(["ж"])[0]
    narrow = Tokenizer.train(lines, vocabulary=40, character_coverage=0.99)
    assert UNKNOWN in narrow.encode(["ж"])[0]


def test_saves_and_loads(toy: Tokenizer, tmp_path: Path) -> None:
    toy.save(tmp_path / "tokenizer.model")
    loaded = Tokenizer.load(tmp_path / "tokenizer.model")
    assert loaded.proto == toy.proto
    assert np.array_equal(loaded.encode(["the cats"])[0], toy.encode(["the cats"])[0])


@pytest.mark.parametrize(
    ("lines", "vocabulary"), [([], 100), (["", " "], 100), (["abcdefghij"], 8)]
)
def test_impossible_training_says_what_to_do(lines: list[str], vocabulary: int) -> None:
    with pytest.raises(UserError, match=f"vocabulary of {vocabulary}.*enlarge the vocabulary"):
        Tokenizer.train(lines, vocabulary=vocabulary)


def test_foreign_models_are_refused() -> None:
    with pytest.raises(UserError, match="Tokenizer.train"):
        Tokenizer(b"not a model")
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d"] * 9),
        model_writer=model,
        vocab_size=8,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    with pytest.raises(UserError, match="0, 1, 2, 3; this SentencePiece model numbers them"):
        Tokenizer(model.getvalue())


def test_a_model_whose_pieces_cross_words_is_refused_for_that() -> None:
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["ab cd ab cd"] * 9),
        model_writer=model,
        vocab_size=20,
        minloglevel=2,
        hard_vocab_limit=False,
        split_by_whitespace=False,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
    )
    with pytest.raises(UserError, match="keep its pieces within words; this .* does not"):
        Tokenizer(model.getvalue())


def test_a_tokenizer_among_assets_is_named_when_it_is_unfit(toy: Tokenizer) -> None:
    assets = {"a.model": toy.proto, "empty.model": b"", "cut.model": toy.proto[:100]}
    assert tokenizer_in(assets, "a.model").proto == toy.proto
    with pytest.raises(UserError, match="^assets/b.model is missing; train or copy the bundle"):
        tokenizer_in(assets, "b.model")
    for name in ("empty.model", "cut.model"):
        message = rf"^assets/{name} is damaged \(.*these bytes are none\); train or copy the bundle"
        with pytest.raises(UserError, match=message):
            tokenizer_in(assets, name)


def test_samples_in_proportion_to_powered_probability(toy: Tokenizer) -> None:
    alpha, candidates, draws = 0.5, 4, 4000
    found = library(toy).nbest_encode_as_ids("theatre", candidates)
    weights = np.exp([alpha * sum(float(toy.scores[i]) for i in ids) for ids in found])
    expected = draws * weights / weights.sum()
    rng = np.random.default_rng(0)
    rows = toy.sample(["theatre"] * draws, alpha=alpha, candidates=candidates, rng=rng)
    counts = np.array([sum(row.tolist() == ids for row in rows) for ids in found])
    assert counts.sum() == draws
    # 99.9 % of the chi-square distribution with three degrees of freedom.
    assert ((counts - expected) ** 2 / expected).sum() < 16.27


def test_samples_are_reproducible_and_spell_the_text(toy: Tokenizer) -> None:
    texts = ["the theatre", "", "你好世界 ☃ cats", "x" * 200, " "]

    def draw(seed: int) -> list[list[int]]:
        rng = np.random.default_rng(seed)
        rows = toy.sample(texts, alpha=0.1, candidates=8, rng=rng)
        assert all(row.dtype == np.int32 for row in rows)
        return [row.tolist() for row in rows]

    assert draw(1) == draw(1)
    assert len({str(draw(seed)) for seed in range(20)}) > 5
    encoded = toy.encode(texts)
    assert toy.decode(draw(2)) == toy.decode(encoded)
    rng = np.random.default_rng(0)
    best = toy.sample(texts, alpha=1.0, candidates=1, rng=rng)
    assert [row.tolist() for row in best] == [row.tolist() for row in encoded]
    assert toy.sample([], alpha=1.0, candidates=2, rng=rng) == []
    with pytest.raises(ValueError, match="at least 1, got 0"):
        toy.sample(texts, alpha=1.0, candidates=0, rng=rng)


def test_equals_the_library_on_multi30k(multi30k_lines: list[str]) -> None:
    tokenizer = Tokenizer.train(multi30k_lines[:20_000], vocabulary=2000)
    encoded = tokenizer.encode(multi30k_lines)
    assert [row.tolist() for row in encoded] == library(tokenizer).encode(
        [" ".join(line.split()) for line in multi30k_lines]
    )


def test_needs_no_tensorflow() -> None:
    code = "import sys, seqapps.text.tokenizer; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
