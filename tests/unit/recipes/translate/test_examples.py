"""Sentence pairs as batches: order, sampled cuts, padding, vocabularies."""

import dataclasses
import gzip

import numpy as np
import pytest

from seqapps.recipes.translate.data import PairData
from seqapps.recipes.translate.examples import PairExamples, tokenizers
from seqapps.recipes.translate.settings import Config, Translator
from seqapps.text.settings import Text
from seqapps.text.tokenizer import BOS, EOS, UNKNOWN
from seqapps.training.settings import Training


def _examples(folder, assets=None, *, vocabulary=150, joint=False, sampling=0.0, seed=0, **data):
    places = {"train": "train", "validation": "validation", "test": "test", **data}
    config = Config(
        data=PairData(folder=str(folder), **places),
        text=Text(vocabulary=vocabulary, sampling=sampling),
        model=Translator(share_embeddings=joint),
        training=Training(batch_tokens=256),
        seed=seed,
    )
    return PairExamples.load(config, assets, lambda line: None)


def _batches(examples, epoch, skip=0):
    one = examples.training_pass(epoch)
    return [
        {name: value.numpy() for name, value in batch.items()} for batch in one.dataset(skip)
    ], one


def _equal(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a
    )


def _sentences(tokenizer, batches, name):
    return sorted(
        text
        for batch in batches
        for text in tokenizer.decode(
            [
                row[:length]
                for row, length in zip(batch[name], batch[f"{name}_lengths"], strict=True)
            ]
        )
    )


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_a_pass_is_a_function_of_seed_and_epoch(few_pairs, sampling):
    first = _examples(few_pairs, sampling=sampling)
    again = _examples(few_pairs, first.assets, sampling=sampling)
    third, _ = _batches(first, 2)
    # A resumed run begins with another pass than a run that made the earlier ones.
    second, _ = _batches(first, 1)
    resumed, one = _batches(again, 2)
    assert _equal(third, resumed)
    assert not _equal(third, second)
    assert _equal(third[3:], _batches(again, 2, skip=3)[0])
    assert not _equal(third, _batches(_examples(few_pairs, first.assets, seed=1), 2)[0])
    assert one.tokens.tolist() == [batch["labels_lengths"].sum() for batch in third]


def test_sampled_cuts_differ_but_say_the_same(few_pairs):
    examples = _examples(few_pairs, sampling=0.3)
    passes = [_batches(examples, epoch)[0] for epoch in (0, 1)]
    sides = {"source": examples.source, "target": examples.target, "labels": examples.target}
    for name, tokenizer in sides.items():
        side = name if name == "source" else "target"
        expected = sorted(
            tokenizer.decode(tokenizer.encode(getattr(examples.pairs.train, f"{side}s")))
        )
        for batches in passes:
            assert _sentences(tokenizer, batches, name) == expected
    rows = [
        {tuple(row) for batch in batches for row in batch["source"][:, :6]} for batches in passes
    ]
    assert len(rows[0] - rows[1]) > 100


def test_target_begins_with_bos_and_labels_are_one_step_ahead(few_pairs):
    for batch in [*_batches(_examples(few_pairs), 0)[0]]:
        for row in range(len(batch["labels"])):
            length = batch["labels_lengths"][row]
            assert length == batch["target_lengths"][row]
            target, labels = batch["target"][row, :length], batch["labels"][row, :length]
            assert target[0] == BOS
            assert labels[-1] == EOS
            np.testing.assert_array_equal(target[1:], labels[:-1])
            assert batch["source"][row, batch["source_lengths"][row] - 1] == EOS


def test_vocabularies_know_the_training_split_only(few_pairs, tmp_path):
    for path in few_pairs.iterdir():
        text = path.read_text(encoding="utf-8")
        if not path.name.startswith("train"):
            text = "".join(f"Щ{line}\n" for line in text.splitlines())
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    examples = _examples(tmp_path)
    for tokenizer in (examples.source, examples.target):
        assert not any("Щ" in piece for piece in tokenizer.pieces)
    for name in ("source", "labels"):
        assert all(UNKNOWN in ids for ids in examples.encoded_validation[name])
    assert not any(UNKNOWN in ids for ids in examples.source.encode(examples.pairs.train.sources))
    # Other validation and test sentences, the same vocabularies.
    assert _examples(few_pairs).assets == examples.assets


def test_a_joint_vocabulary_is_one_for_both_languages(few_pairs):
    examples = _examples(few_pairs, joint=True)
    assert examples.source is examples.target
    assert examples.assets["source.model"] == examples.assets["target.model"]
    for texts in (examples.pairs.train.sources, examples.pairs.train.targets):
        ids = examples.source.encode(texts)
        assert not any(UNKNOWN in row for row in ids)
    source, target = tokenizers(examples.assets)
    assert source is target
    separate = _examples(few_pairs)
    source, target = tokenizers(separate.assets)
    assert source.pieces == separate.source.pieces != target.pieces == separate.target.pieces
    reloaded = _examples(few_pairs, examples.assets, joint=True, sampling=0.3)
    drawn = _examples(few_pairs, joint=True, sampling=0.3)
    assert _equal(_batches(reloaded, 1)[0], _batches(drawn, 1)[0])


def test_either_direction_and_any_languages(few_pairs, tmp_path):
    there, back = _examples(few_pairs), _examples(few_pairs, source="de", target="en")
    assert back.pairs.train.sources == there.pairs.train.targets
    assert back.pairs.test.targets == there.pairs.test.sources
    assert back.source.pieces == there.target.pieces
    for split in ("train", "validation", "test"):
        for count, language in enumerate(("en", "fr")):
            lines = (f"{'Bonjour' if count else 'Hello'} {i} {split}\n" for i in range(40))
            (tmp_path / f"{split}.{language}").write_text("".join(lines), encoding="utf-8")
    french = _examples(tmp_path, vocabulary=60, target="fr")
    assert french.pairs.train.sources[3] == "Hello 3 train"
    assert french.pairs.train.targets[3] == "Bonjour 3 train"
    assert "Bonjour 7 train" in _sentences(french.target, _batches(french, 0)[0], "labels")


def test_padding_is_at_most_8_percent_on_real_sentences(multi30k, tmp_path):
    for split, count in (("train", 8000), ("val", 100), ("test_2016_flickr", 100)):
        for language in ("en", "de"):
            plain, packed = (multi30k / f"{split}.{language}{end}" for end in ("", ".gz"))
            raw = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
            lines = raw.splitlines(keepends=True)[:count]
            (tmp_path / f"{split}.{language}").write_bytes(b"".join(lines))
    examples = _examples(
        tmp_path, vocabulary=1000, joint=True, validation="val", test="test_2016_flickr"
    )
    examples = dataclasses.replace(examples, batch_tokens=1536)
    for epoch in (0, 5):
        one = examples.training_pass(epoch)
        assert one.padding <= 0.08
        real = steps = 0
        for batch in one.dataset(0):
            for name in ("source", "labels"):
                real += int(batch[f"{name}_lengths"].numpy().sum())
                size = int(np.prod(batch[name].shape))
                assert size <= 1536
                steps += size
        assert one.padding == pytest.approx(1 - real / steps, abs=1e-6)


def test_validation_is_whole_and_from_short_to_long(few_pairs):
    examples = _examples(few_pairs)
    found = [batch["labels"].numpy() for batch in examples.validation_batches()]
    assert sum(len(batch) for batch in found) == len(examples.pairs.validation) == 20
    widths = [batch.shape[1] for batch in found]
    assert widths == sorted(widths)


def test_a_few_to_measure_on_are_from_all_over_the_splits(few_pairs):
    examples = _examples(few_pairs)
    few, left_out = examples.few(4)
    assert (few.pairs.train, left_out) == (examples.pairs.train, 16)
    assert few.pairs.test.sources == examples.pairs.test.sources[::5]
    assert few.pairs.validation.targets == examples.pairs.validation.targets[::5]
    assert examples.few(99)[1] == 0
