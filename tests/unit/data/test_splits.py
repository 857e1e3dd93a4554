"""What is held out: by content, so that data that grows keeps its splits; and where data is."""

import hashlib
from pathlib import Path

import pytest

from seqapps.data.splits import hold_out
from seqapps.recipes.generate.data import TextData
from seqapps.recipes.sentiment.data import LabelledData
from seqapps.recipes.transcribe.data_settings import SpeechData
from seqapps.recipes.translate.data import PairData

BOTH = ("validation", "test")


def keys(count):
    return [f"text {number}" for number in range(count)]


def owners(count, splits=BOTH, share=0.1, seed=0, by="hash", **more):
    return hold_out(keys(count), splits, share=share, seed=seed, by=by, **more)


def test_data_that_grows_keeps_every_key_in_its_split():
    for seed in range(5):
        before, after = owners(1000, seed=seed), owners(3000, seed=seed)
        assert {key: after.get(key) for key in keys(1000)} == {
            key: before.get(key) for key in keys(1000)
        }
        for split in BOTH:
            # Within four standard deviations of a tenth.
            assert abs(list(after.values()).count(split) - 300) < 66
    assert owners(1000, seed=0) != owners(1000, seed=1)


def test_a_split_is_the_same_whichever_others_are_held_out():
    both = owners(500)
    for split in BOTH:
        alone = owners(500, splits=(split,))
        assert alone == {key: there for key, there in both.items() if there == split}


def test_small_data_never_moves_what_was_trained_on_into_a_held_out_split():
    for seed in range(100):
        before = owners(4, seed=seed, share=0.05)
        assert set(before.values()) == set(BOTH)
        for more in (5, 8, 20, 60):
            after = owners(more, seed=seed, share=0.05)
            assert set(after.values()) == set(BOTH)
            for key in keys(4):
                assert after.get(key) in (before.get(key), None)


@pytest.mark.parametrize("share", [0.01, 0.4])
def test_training_keeps_a_key_and_every_split_has_one(share):
    for seed in range(200):
        for count in range(1, 9):
            found = owners(count, share=share, seed=seed)
            assert len(found) < count
            assert count <= 2 or set(found.values()) == set(BOTH)


def test_of_many_keys_a_smaller_share_is_held_out():
    few, many = owners(400, most=50), owners(4000, most=50)
    assert 40 < list(few.values()).count("test") < 70
    # A tenth is halved until it is at most 50 of 4,000.
    assert 25 < list(many.values()).count("test") < 75
    for key in keys(400):
        assert many.get(key) in (few.get(key), None)


def test_the_rule_of_earlier_bundles_is_theirs():
    def position(key):
        return hashlib.blake2b(key.encode(), key=b"3", digest_size=8).digest()

    ordered = sorted(keys(95), key=position)
    found = owners(95, seed=3, by="count")
    assert found == {
        **dict.fromkeys(ordered[:10], "validation"),
        **dict.fromkeys(ordered[10:20], "test"),
    }
    assert len(owners(95, seed=3, by="count", most=4)) == 8


def test_the_rule_does_not_change():
    found = owners(40)
    assert sorted(key for key, split in found.items() if split == "test") == ["text 28", "text 5"]
    assert sorted(key for key, split in found.items() if split == "validation") == [
        "text 12",
        "text 21",
        "text 24",
        "text 31",
        "text 38",
    ]


def test_located_settings_name_the_same_files_everywhere(tmp_path):
    base = Path("/home/me")
    data = LabelledData(train="a.csv", test="/data/b.csv").located(base)
    assert (data.train, data.validation, data.test) == ("/home/me/a.csv", "", "/data/b.csv")
    assert data.folder == "."
    assert data.located(Path("/elsewhere")) == data
    data = TextData(train="in", folder="texts", tfds_folder="sets").located(base)
    assert (data.train, data.folder, data.tfds_folder) == (
        "/home/me/texts/in",
        "/home/me/texts",
        "/home/me/sets",
    )
    for same in (LabelledData(), PairData(), TextData(), SpeechData(), PairData(train="tfds:a/b")):
        assert same.located(base) == same
    speech = SpeechData(train="digits:fsdd", test="m.tsv").located(base)
    assert (speech.train, speech.test) == ("digits:/home/me/fsdd", "/home/me/m.tsv")


def test_located_pairs_keep_their_two_files(tmp_path):
    base = tmp_path / "a, b"
    base.mkdir()
    for name in ("x.en", "x.de"):
        (base / name).touch()
    pairs = PairData(train="x.en, x.de", test="x").located(base)
    assert pairs.train == f"{base}/x.en,{base}/x.de"
    assert pairs.test == f"{base}/x"
