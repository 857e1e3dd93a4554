"""Sentence pairs: every kind of location, bad rows, and splits that share no source."""

import gzip
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqapps.errors import UserError
from seqapps.recipes.translate.data import PairData, PairSplits, load_pairs


def load(folder: Path, seed: int = 0, **settings: object) -> tuple[PairSplits, list[str]]:
    log: list[str] = []
    data = PairData(folder=str(folder), **settings)  # type: ignore[arg-type]
    return load_pairs(data, seed=seed, log=log.append), log


def write(path: Path, lines: list[str] | list[bytes]) -> None:
    raw = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three splits of aligned files: 40, 2 and 1 pairs."""
    write(tmp_path / "train.en", [f"house {i}" for i in range(40)])
    write(tmp_path / "train.de.gz", [f"Haus {i}" for i in range(40)])
    write(tmp_path / "val.en", ["a cat", "a dog"])
    write(tmp_path / "val.de", ["eine Katze", "ein Hund"])
    write(tmp_path / "test.en", ["a tree"])
    write(tmp_path / "test.de", ["ein Baum"])
    return tmp_path


def test_a_prefix_names_two_aligned_files(folder: Path) -> None:
    splits, log = load(folder, train="train", validation="val", test="test")
    assert splits.train.sources == [f"house {i}" for i in range(40)]
    assert splits.train.targets == [f"Haus {i}" for i in range(40)]
    assert splits.validation.sources == ["a cat", "a dog"]
    assert splits.validation.targets == ["eine Katze", "ein Hund"]
    assert (splits.test.sources, splits.test.targets) == (["a tree"], ["ein Baum"])
    assert log == [
        "Train: 40 pairs from train",
        "Validation: 2 pairs from val",
        "Test: 1 pairs from test",
    ]


def test_the_languages_give_the_direction(folder: Path) -> None:
    splits, _ = load(folder, train="train", validation="val", test="test", source="de", target="en")
    assert splits.test.sources == ["ein Baum"]
    assert splits.test.targets == ["a tree"]


def test_absolute_paths_ignore_the_folder(folder: Path, tmp_path: Path) -> None:
    there = {split: str(folder / split) for split in ("train", "test")}
    splits, _ = load(tmp_path / "elsewhere", validation=str(folder / "val"), **there)
    assert len(splits.train) == 40


def test_two_files_may_have_any_names(folder: Path) -> None:
    write(folder / "english text.txt", ["one", "two"])
    write(folder / "deutsch.gz", ["eins", "zwei"])
    splits, _ = load(folder, train="english text.txt, deutsch.gz", validation="val", test="test")
    assert splits.train.sources == ["one", "two"]
    assert splits.train.targets == ["eins", "zwei"]


def test_tables_are_read_by_column(folder: Path) -> None:
    write(folder / "a,b.tsv", ["de\ten", "eins\tone"])
    write(folder / "v.csv.gz", ["id,en,de", '7,"one, two","eins, zwei"'])
    write(folder / "t.jsonl", [json.dumps({"en": "three", "de": "drei"})])
    splits, _ = load(folder, train="a,b.tsv", validation="v.csv.gz", test="t.jsonl")
    assert (splits.train.sources, splits.train.targets) == (["one"], ["eins"])
    assert (splits.validation.sources, splits.validation.targets) == (["one, two"], ["eins, zwei"])
    assert (splits.test.sources, splits.test.targets) == (["three"], ["drei"])


def test_columns_and_file_endings_may_differ_from_the_languages(folder: Path) -> None:
    write(folder / "t.tsv", ["Deutsch\tEnglish", "eins\tone"])
    write(folder / "p.English", ["two"])
    write(folder / "p.Deutsch", ["zwei"])
    names = {"source_column": "English", "target_column": "Deutsch"}
    splits, _ = load(folder, train="p", validation="t.tsv", test="t.tsv", **names)
    assert splits.train.sources == ["two"]
    assert splits.validation.targets == ["eins"]


def test_pairs_as_anki_tatoeba_and_hugging_face_have_them(folder: Path) -> None:
    write(folder / "deu.txt", ["one\teins\tCC-BY 2.0"])
    write(folder / "tatoeba.tsv", ["7\tone\t90\teins"])
    write(folder / "hf.jsonl", ['{"id": 7, "translation": {"en": "one", "de": "eins"}}'])
    named = {"train": "deu.txt", "columns": ("en", "de", "")}
    splits, _ = load(folder, validation="hf.jsonl", test="deu.txt", **named)
    assert splits.train == splits.validation == splits.test
    splits, _ = load(
        folder,
        train="tatoeba.tsv",
        validation="hf.jsonl",
        test="hf.jsonl",
        columns=("", "en", "", "de"),
    )
    assert splits.train == splits.test
    assert (splits.train.sources, splits.train.targets) == (["one"], ["eins"])
    with pytest.raises(UserError, match="This file is read as a table if its columns are named"):
        load(folder, train="deu.txt")


def test_aligned_files_may_have_another_encoding(folder: Path) -> None:
    for ending, text in {"en": "green", "de": "gr\u00fcn"}.items():
        (folder / f"u.{ending}").write_bytes(f"{text}\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"u\.en is UTF-16, .*--data.encoding utf-16"):
        load(folder, train="u", validation="u", test="u")
    splits, _ = load(folder, train="u", validation="u", test="u", encoding="utf-16")
    assert splits.train.targets == ["gr\u00fcn"]


@pytest.fixture
def phrasebook(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Puts a phrasebook of three pairs in place of the real one; counts how often it is made."""
    made: list[int] = []

    def pairs() -> SimpleNamespace:
        made.append(1)
        return SimpleNamespace(
            train=[("one", "eins")], validation=[("two", "zwei")], test=[("three", "drei")]
        )

    monkeypatch.setattr(
        "seqapps.recipes.translate.phrasebook", SimpleNamespace(pairs=pairs), raising=False
    )
    return made


def test_the_phrasebook_has_splits_of_its_own(folder: Path, phrasebook: list[int]) -> None:
    splits, _ = load(folder)
    assert [pairs.sources for pairs in splits] == [["one"], ["two"], ["three"]]
    assert [pairs.targets for pairs in splits] == [["eins"], ["zwei"], ["drei"]]
    assert len(phrasebook) == 1


def test_the_phrasebook_works_backwards(folder: Path, phrasebook: list[int]) -> None:
    splits, _ = load(folder, train="train", test="phrasebook", source="de", target="en")
    assert (splits.test.sources, splits.test.targets) == (["drei"], ["three"])
    assert set(splits.train.sources) < {f"Haus {i}" for i in range(40)}


def test_bad_training_rows_are_left_out_and_named(folder: Path) -> None:
    english: list[bytes] = [f"house {i}".encode() for i in range(40)]
    german = [f"Haus {i}".encode() for i in range(40)]
    english[2] = b""
    german[4] = b"\x07 \xc2\xa0"
    english[6] = b"caf\xe9"
    german[8] = "ß".encode() * 31
    write(folder / "bad.en", english)
    write(folder / "bad.de", german)
    limits = {"max_characters": 30, "max_bad_share": 0.1}
    splits, log = load(folder, train="bad", validation="val", test="test", **limits)
    kept = [i for i in range(40) if i not in (2, 4, 6, 8)]
    assert splits.train.sources == [f"house {i}" for i in kept]
    assert splits.train.targets == [f"Haus {i}" for i in kept]
    assert [str(problem) for problem in splits.train.problems] == [
        f"{folder}/bad.en:3: the text (en) is empty",
        f"{folder}/bad.de:5: the text (de) is all spaces or control characters",
        f"{folder}/bad.en:7: the text (en) is not UTF-8",
        f"{folder}/bad.de:9: the text (de) has 31 characters, more than 30",
    ]
    assert log[0] == "4 bad texts in the train data, their rows left out:"
    assert log[1] == f"  {folder}/bad.en:3: the text (en) is empty"
    with pytest.raises(UserError, match=r"4 of 40 training rows .* are bad, 10\.0%; at most 9\.0%"):
        load(folder, train="bad", **{**limits, "max_bad_share": 0.09})


def test_the_log_shows_the_first_problems_only(folder: Path) -> None:
    write(folder / "bad.en", ["x"] * 20)
    write(folder / "bad.de", ["y"] * 12 + [""] * 8)
    _, log = load(folder, train="bad", validation="val", test="test", max_bad_share=0.5)
    assert log[0].startswith("8 bad texts")
    assert log[5].endswith("bad.de:17: the text (de) is empty")
    assert log[6] == "  and 3 more"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_evaluation_set_keeps_every_row(folder: Path, split: str) -> None:
    write(folder / "odd.en", [b"one", b"", b"caf\xe9", b"x" * 2000])
    write(folder / "odd.de", ["eins", "zwei", "drei", "vier"])
    others = {"train": "train", "validation": "val", "test": "test"}
    splits, log = load(folder, **{**others, split: "odd"})
    pairs = getattr(splits, split)
    assert pairs.sources == ["one", "", "caf\ufffd", "x" * 2000]
    assert pairs.targets == ["eins", "zwei", "drei", "vier"]
    assert [problem.line for problem in pairs.problems] == [2, 3, 4]
    assert any("kept as they are" in line for line in log)
    write(folder / "odd.tsv", ["en\tde", "one\teins", "two"])
    with pytest.raises(UserError, match=rf"odd\.tsv:3: .*A {split} set is never shortened"):
        load(folder, **{**others, split: "odd.tsv"})


@pytest.mark.parametrize(("english", "german"), [(3, 2), (2, 3)])
def test_misaligned_files_stop(folder: Path, english: int, german: int) -> None:
    write(folder / "off.en", ["x"] * english)
    write(folder / "off.de", ["y"] * german)
    with pytest.raises(
        UserError, match=rf"equally many lines: .*off\.en has {english}, .*off\.de has {german}"
    ):
        load(folder, train="off", validation="val", test="test")


def write_held_out(folder: Path) -> list[tuple[str, str]]:
    pairs = [(f"source {i % 100}", f"target {i}") for i in range(200)]
    # Equal but for case and spacing: these belong together too.
    pairs += [(f"Source  {i}", f"other {i}") for i in range(100)]
    write(folder / "all.tsv", ["en\tde", *("\t".join(pair) for pair in pairs)])
    return pairs


def test_held_out_splits_share_no_source_with_training(folder: Path) -> None:
    pairs = write_held_out(folder)
    splits, log = load(folder, train="all.tsv", held_out_share=0.1, held_out_by="count")
    keys = [{" ".join(text.lower().split()) for text in pairs.sources} for pairs in splits]
    assert [len(part) for part in keys] == [80, 10, 10]
    assert len(set.union(*keys)) == 100
    together = [pair for part in splits for pair in zip(part.sources, part.targets, strict=True)]
    assert sorted(together) == sorted(pairs)
    assert log[-1] == "Held out from the training pairs: 30 for validation, 30 for test"


def test_what_is_held_out_depends_on_the_seed_and_not_on_the_order(folder: Path) -> None:
    pairs = write_held_out(folder)
    first, _ = load(folder, train="all.tsv")
    again, _ = load(folder, train="all.tsv")
    other, _ = load(folder, train="all.tsv", seed=1)
    assert first == again
    assert set(first.test.sources) != set(other.test.sources)
    random.Random(0).shuffle(pairs)
    write(folder / "shuffled.tsv", ["en\tde", *("\t".join(pair) for pair in pairs)])
    shuffled, _ = load(folder, train="shuffled.tsv")
    assert set(shuffled.test.sources) == set(first.test.sources)


def test_pairs_that_are_added_move_no_source(folder: Path) -> None:
    write(folder / "some.tsv", ["en\tde", *(f"source {i}\tZiel {i}" for i in range(300))])
    before, _ = load(folder, train="some.tsv")
    write(folder / "some.tsv", ["en\tde", *(f"source {i}\tZiel {i}" for i in range(900, 0, -1))])
    after, _ = load(folder, train="some.tsv")
    for small, large in zip(before, after, strict=True):
        assert set(small.sources) - {"source 0"} <= set(large.sources)


def test_only_the_missing_split_is_held_out(folder: Path) -> None:
    splits, _ = load(folder, train="train", test="test", held_out_by="count")
    assert splits.test.sources == ["a tree"]
    assert len(splits.validation) == 2
    assert len(splits.train) == 38
    assert not set(splits.validation.sources) & set(splits.train.sources)


def test_sources_seen_in_training_are_reported(folder: Path) -> None:
    write(folder / "seen.en", ["house 3", "new", "house 4"])
    write(folder / "seen.de", ["Haus 3", "neu", "Haus 4"])
    _, log = load(folder, train="train", validation="val", test="seen")
    assert log[-1].startswith("2 of 3 test sources are training sources too")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": "trian"}, r"neither .*trian\.en nor trian\.en\.gz exists\. Give `phrasebook`"),
        ({"train": "train", "target": "fr"}, r"neither .*train\.fr nor"),
        ({"train": "train.en,train.en"}, "names one file twice"),
        ({"train": "train.en,gone.de"}, r"There is no file .*gone\.de"),
        ({"train": "gone.tsv"}, r"There is no file .*gone\.tsv"),
        (
            {"train": "empty.tsv"},
            "no train pairs in empty.tsv: .* another one with --data.train",
        ),
        ({"train": "test"}, "1 distinct training sources are too few to hold out some for"),
        ({"source": "en", "target": "fr"}, "phrasebook is English and German"),
        ({"train": "train", "validation": "phrasebook", "target": "en", "source": "fr"}, "neither"),
    ],
)
def test_locations_that_lead_nowhere_are_explained(
    folder: Path, settings: dict[str, str], message: str
) -> None:
    write(folder / "empty.tsv", ["en\tde"])
    with pytest.raises(UserError, match=message):
        load(folder, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "de"}, "two languages, got 'de' for both"),
        ({"train": ""}, "train must name training pairs"),
        ({"max_characters": 0}, "max_characters must be at least 1, got 0"),
        ({"max_bad_share": 1.5}, r"max_bad_share must be from 0 to 1, got 1\.5"),
        ({"held_out_share": 0.0}, r"held_out_share must be above 0 and at most 0\.4, got 0\.0"),
    ],
)
def test_settings_out_of_range_are_explained(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairData(**settings)  # type: ignore[arg-type]


def test_multi30k_loads_whole(multi30k: Path) -> None:
    splits, _ = load(multi30k, train="train", validation="val", test="test_2016_flickr")
    assert [len(pairs) for pairs in splits] == [29_000, 1_014, 1_000]
    assert not any(pairs.problems for pairs in splits)
