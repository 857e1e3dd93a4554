"""Labelled texts: every kind of location, bad rows, classes, and splits that share no text."""

import gzip
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqapps.errors import UserError
from seqapps.recipes.sentiment.data import (
    LabelledData,
    LabelledSplits,
    class_weights,
    load_labelled,
)

Labelled = tuple[str, object]


def load(
    folder: Path, seed: int = 0, classes: list[str] | None = None, **changes: object
) -> tuple[LabelledSplits, list[str]]:
    log: list[str] = []
    data = LabelledData(folder=str(folder), **changes)  # type: ignore[arg-type]
    return load_labelled(data, seed=seed, log=log.append, classes=classes), log


def write(path: Path, rows: list[Labelled]) -> None:
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    path.write_text("".join(lines), encoding="utf-8")


def rows_of(*, bad: int, good: int) -> list[Labelled]:
    return [(f"bad film {i}", "bad") for i in range(bad)] + [
        (f"good film {i}", "good") for i in range(good)
    ]


def key(text: str) -> str:
    return " ".join(text.lower().split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three splits: 40, 3 and 2 texts."""
    write(tmp_path / "train.jsonl", rows_of(bad=20, good=20))
    write(tmp_path / "val.jsonl", [("dull", "bad"), ("nice", "good"), ("fine", "good")])
    write(tmp_path / "test.jsonl", [("boring", "bad"), ("great", "good")])
    return tmp_path


NAMED = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


def test_the_three_splits_and_what_the_log_says_of_them(folder: Path) -> None:
    splits, log = load(folder, **NAMED)
    assert splits.train.texts[:2] == ["bad film 0", "bad film 1"]
    assert splits.train.labels == ["bad"] * 20 + ["good"] * 20
    assert splits.validation.texts == ["dull", "nice", "fine"]
    assert splits.validation.labels == ["bad", "good", "good"]
    assert splits.test.texts == ["boring", "great"]
    assert splits.classes == ["bad", "good"]
    assert log == [
        "Read 40 train texts from train.jsonl",
        "Read 3 validation texts from val.jsonl",
        "Read 2 test texts from test.jsonl",
        "The training data is free of duplicates across splits: "
        "0 texts that are validation or test texts too were taken out of it.",
        "Train: 40 texts: 'bad' 20, 'good' 20",
        "Validation: 3 texts: 'bad' 1, 'good' 2. The largest class ('good', 2) has 2.0 times the "
        "texts of the smallest ('bad', 1)",
        "Test: 2 texts: 'bad' 1, 'good' 1",
    ]


def test_tables_are_read_by_column_packed_or_not(folder: Path) -> None:
    (folder / "a.tsv").write_text('stars\tid\tbody\n1\t7\tno, "never"\n5\t8\tyes\n')
    packed = gzip.compress(b'body,stars\n"one, two\nlines", 5\n')
    (folder / "v.csv.gz").write_bytes(packed)
    names = {"text_column": "body", "label_column": "stars"}
    (folder / "t.jsonl").write_text('{"body": "three", "stars": 1}\n')
    splits, _ = load(folder, train="a.tsv", validation="v.csv.gz", test="t.jsonl", **names)
    assert (splits.train.texts, splits.train.labels) == (['no, "never"', "yes"], ["1", "5"])
    assert (splits.validation.texts, splits.validation.labels) == (["one, two\nlines"], ["5"])
    assert (splits.test.texts, splits.test.labels) == (["three"], ["1"])


def test_labels_may_be_integers_or_booleans_and_lose_their_spaces(folder: Path) -> None:
    labels: list[object] = [3, -1, True, False, " two words\u00a0", "3"]
    write(folder / "a.jsonl", [(f"text {i}", label) for i, label in enumerate(labels)])
    write(folder / "b.jsonl", [("other", 3)])
    splits, _ = load(folder, train="a.jsonl", validation="b.jsonl", test="b.jsonl")
    assert splits.train.labels == ["3", "-1", "true", "false", "two words", "3"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([10, 9, -2, 1], ["-2", "1", "9", "10"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["b", "a", "C"], ["C", "a", "b"]),
    ],
)
def test_classes_are_those_of_the_training_data_in_their_natural_order(
    folder: Path, labels: list[object], expected: list[str]
) -> None:
    write(folder / "a.jsonl", [(f"text {i}", label) for i, label in enumerate(labels * 2)])
    write(folder / "b.jsonl", [("other", labels[0])])
    splits, _ = load(folder, train="a.jsonl", validation="b.jsonl", test="b.jsonl")
    assert splits.classes == expected


def test_classes_that_differ_in_case_alone_are_named(folder: Path) -> None:
    labels = ["Positive", "positive", "POSITIVE", "caf\u00e9", "cafe\u0301", "other"]
    write(folder / "a.jsonl", [(f"text {i}", label) for i, label in enumerate(labels)])
    write(folder / "b.jsonl", [("new", "other")])
    splits, log = load(folder, train="a.jsonl", validation="b.jsonl", test="b.jsonl")
    assert len(splits.classes) == 6
    told = [line for line in log if "differ in nothing but case" in line]
    assert [line.split()[0] for line in told] == ["3", "2"]
    assert "'POSITIVE', 'Positive', 'positive'; write them alike" in told[0]
    _, log = load(folder, **NAMED)
    assert not any("differ in nothing" in line for line in log)


def test_tables_of_another_form_are_told_and_read(folder: Path) -> None:
    rows = [f"caf\u00e9 {i};{'good' if i % 2 else 'bad'}\r\n" for i in range(30)]
    (folder / "a.csv").write_bytes("".join(["text;label\r\n", *rows]).encode("windows-1252"))
    with pytest.raises(UserError, match="--data.separator ';'"):
        load(folder, train="a.csv")
    with pytest.raises(UserError, match="not UTF-8(.|\n)*--data.encoding windows-1252"):
        load(folder, train="a.csv", separator=";")
    splits, _ = load(folder, train="a.csv", separator=";", encoding="windows-1252")
    assert "caf\u00e9 7" in splits.train.texts + splits.validation.texts + splits.test.texts
    (folder / "a.txt").write_text("".join(rows))
    splits, _ = load(folder, train="a.txt", separator=";", columns=("text", "label"))
    assert sum(map(len, splits)) == 30


def write_bad_table(path: Path) -> None:
    """A table of 40 rows; the texts of rows 3, 5 and 7 are bad, the label of 9, and row 11."""
    lines = [f"film {i}\t{'bad' if i % 2 else 'good'}".encode() for i in range(40)]
    lines[1] = b"\tbad"
    lines[3] = b"\x07 \xc2\xa0\tbad"
    lines[5] = b"caf\xe9\tbad"
    lines[7] = b"film 7\t \xc2\xa0"
    lines[9] = b"film 9"
    lines[11] = b"film 11\tb\xe4d"
    path.write_bytes(b"\n".join([b"text\tlabel", *lines]) + b"\n")


def test_bad_training_rows_are_left_out_named_and_counted(folder: Path) -> None:
    write_bad_table(folder / "bad.tsv")
    places = {**NAMED, "train": "bad.tsv"}
    splits, log = load(folder, **places, max_bad_share=0.15)
    assert splits.train.texts == [f"film {i}" for i in range(40) if i not in (1, 3, 5, 7, 9, 11)]
    assert [str(problem) for problem in splits.train.problems] == [
        f"{folder}/bad.tsv:3: the text is empty",
        f"{folder}/bad.tsv:5: the text is all spaces or control characters",
        f"{folder}/bad.tsv:7: the text is not UTF-8",
        f"{folder}/bad.tsv:9: the label is empty",
        f"{folder}/bad.tsv:11: the line has 1 columns, the header has 2",
        f"{folder}/bad.tsv:13: the label is not UTF-8",
    ]
    assert log[0] == "6 bad texts in the train data, their rows left out:"
    assert log[1] == f"  {folder}/bad.tsv:3: the text is empty"
    with pytest.raises(UserError, match=r"6 of 40 training rows .* bad, 15\.0%; at most 14\.0%"):
        load(folder, **places, max_bad_share=0.14)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_evaluation_set_keeps_every_text(folder: Path, split: str) -> None:
    rows = [b"text\tlabel", b"\tbad", b"caf\xe9\tgood", b"x" * 5000 + b"\tbad"]
    (folder / "odd.tsv").write_bytes(b"\n".join(rows))
    splits, log = load(folder, **{**NAMED, split: "odd.tsv"})
    texts = getattr(splits, split)
    assert texts.texts == ["", "caf\ufffd", "x" * 5000]
    assert texts.labels == ["bad", "good", "bad"]
    assert [problem.line for problem in texts.problems] == [2, 3]
    assert f"2 bad texts in the {split} data, their rows kept as they are:" in log


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", 'text,label\na,bad\n"b"\n', r"a\.csv:3: the line has 1 columns"),
        ("a.tsv", "text\tlabel\na\tbad\nb\n", r"a\.tsv:3: the line has 1 columns"),
        ("a.tsv", "text\tlabel\na\t \n", r"a\.tsv:2: the label is empty"),
        ("a.jsonl", '{"text": "a", "label": 1.5}\n', r"a\.jsonl:1: 'label' is not a string, int"),
    ],
)
def test_an_evaluation_row_without_text_or_label_stops(
    folder: Path, split: str, name: str, content: str, message: str
) -> None:
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=f"{message}.* A {split} set is never shortened"):
        load(folder, **{**NAMED, split: name})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": "gone.jsonl"}, r"There is no file .*gone\.jsonl"),
        ({"train": "trian.jsonl"}, r"no file .*trian\.jsonl\. Similar: train\.jsonl"),
        ({"train": "texts.txt"}, r"`reviews`, `tfds:NAME` or a table \(\.tsv, .*'texts\.txt'"),
        (
            {"train": "empty.tsv"},
            "no train texts in empty.tsv: .* another one with --data.train",
        ),
        ({"test": "empty.tsv"}, r"There are no test texts in empty\.tsv"),
        (
            {"label_column": "labels"},
            r"train\.jsonl:1: .*one column 'labels'; .*Did you mean 'label'\?",
        ),
        (
            {"text_column": "txt"},
            r"train\.jsonl:1: .*'txt'; the columns here are 'text', 'label'.*mean 'text'\?",
        ),
        ({"train": "one.jsonl"}, r"at least two classes, one\.jsonl has only 'bad'; add texts"),
        ({"train": "tfds:no_such_set"}, r"tfds:no_such_set is not prepared in .*\n  python -c"),
        (
            {"validation": "new.jsonl"},
            r"new\.jsonl:2: The label 'goood' is not among the 2 classes of the training: "
            r"'bad', 'good'\. Did you mean 'good'\? Mend the row",
        ),
        ({"test": "new.jsonl"}, r"new\.jsonl:2: The label 'goood'"),
        ({"test": "train.jsonl"}, r"Every training text of the class 'bad' is in the valid.* too"),
        ({"train": "pair.jsonl", "test": ""}, "at least 2 distinct training texts .* has 1; give"),
        (
            {"train": "pair.jsonl", "test": "", "validation": ""},
            "To hold out validation and test texts, .* at least 3 .* or name these splits",
        ),
    ],
)
def test_what_cannot_be_used_is_explained(
    folder: Path, changes: dict[str, str], message: str
) -> None:
    (folder / "empty.tsv").write_text("text\tlabel\n")
    write(folder / "one.jsonl", [("a", "bad"), ("b", "bad")])
    write(folder / "new.jsonl", [("a", "good"), ("b", "goood")])
    write(folder / "pair.jsonl", [("a", "bad"), ("b", "good")])
    with pytest.raises(UserError, match=message):
        load(folder, **{**NAMED, "tfds_folder": str(folder), **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": ""}, "train must name training texts, got ''; use 'reviews'"),
        ({"label_column": "text"}, "must differ, got 'text' for both"),
        ({"text_column": ""}, "must be names of columns, got '' and 'label'"),
        ({"max_bad_share": -0.5}, r"max_bad_share must be from 0 to 1, got -0\.5"),
        ({"held_out_share": 0.5}, r"held_out_share must be above 0 and at most 0\.4, got 0\.5"),
    ],
)
def test_settings_out_of_range_are_explained(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelledData(**changes)  # type: ignore[arg-type]


def test_the_classes_of_an_earlier_training_are_the_known_ones(folder: Path) -> None:
    write(folder / "mixed.jsonl", [("so la la", "mixed")])
    places = {**NAMED, "test": "mixed.jsonl"}
    with pytest.raises(UserError, match="'mixed' is not among the 2 classes"):
        load(folder, **places)
    splits, log = load(folder, **places, classes=["good", "mixed", "bad"])
    assert splits.test.labels == ["mixed"]
    assert log[-1].startswith("Test: 1 texts: 'bad' 0, 'good' 0, 'mixed' 1")
    with pytest.raises(UserError, match=r"train\.jsonl:1: The label 'bad' .*'good', 'mixed'\."):
        load(folder, **places, classes=["good", "mixed"])


def test_of_many_classes_a_message_lists_some(folder: Path) -> None:
    write(folder / "many.jsonl", [(f"text {i}", i) for i in range(90)])
    with pytest.raises(UserError, match="among the 90 classes .*'0', '1', .*'19' and 70 more"):
        load(folder, **{**NAMED, "train": "many.jsonl"})


def test_training_gives_up_the_texts_that_are_evaluated(folder: Path) -> None:
    write(folder / "train.jsonl", [*rows_of(bad=20, good=20), ("BAD film 3 ", "bad")])
    write(folder / "val.jsonl", [("Bad  film 3", "bad"), ("good film 4", "bad"), ("dull", "bad")])
    write(folder / "test.jsonl", [("bad film 3", "bad"), ("good film 5", "good")])
    splits, log = load(folder, **NAMED)
    gone = {"bad film 3", "good film 4", "good film 5"}
    assert splits.train.texts == [
        str(text) for text, _ in rows_of(bad=20, good=20) if text not in gone
    ]
    assert splits.train.labels == ["bad"] * 19 + ["good"] * 18
    assert len(splits.validation) == 3
    assert any("across splits: 4 texts that are" in line for line in log)
    assert "1 of 3 validation texts are test texts too; the scores count them." in log


def test_what_is_held_out_is_not_in_a_named_split(folder: Path) -> None:
    write(folder / "test.jsonl", rows_of(bad=20, good=20)[10:30])
    exact = {"held_out_share": 0.4, "held_out_by": "count"}
    splits, _ = load(folder, train="train.jsonl", test="test.jsonl", **exact)
    evaluated = set(splits.test.texts)
    assert len(splits.test) == 20
    assert Counter(splits.validation.labels) == {"bad": 4, "good": 4}
    assert Counter(splits.train.labels) == {"bad": 6, "good": 6}
    assert not evaluated & {*splits.validation.texts, *splits.train.texts}


def test_texts_with_contradictory_labels_are_counted_and_stay_in_training(folder: Path) -> None:
    twice: list[Labelled] = [(f"GOOD film  {i}", "bad") for i in range(15)]
    write(folder / "train.jsonl", [*rows_of(bad=20, good=20), *twice])
    splits, log = load(folder, train="train.jsonl", held_out_share=0.4, held_out_by="count")
    assert (
        "15 training texts stand there with several labels and stay so; "
        "the first: 'good film 0' as 'bad', 'good'"
    ) in log
    kept = {key(text) for text in splits.train.texts}
    assert {f"good film {i}" for i in range(15)} <= kept
    assert Counter(splits.test.labels) == {"bad": 8, "good": 2}


def test_uneven_classes_are_reported_with_a_hint(folder: Path) -> None:
    write(folder / "train.jsonl", rows_of(bad=30, good=20))
    _, log = load(folder, **NAMED)
    assert "Train: 50 texts: 'bad' 30, 'good' 20" in log
    write(folder / "train.jsonl", rows_of(bad=31, good=20))
    _, log = load(folder, **NAMED)
    assert (
        "Train: 51 texts: 'bad' 31, 'good' 20. The largest class ('bad', 31) has 1.6 times the "
        "texts of the smallest ('good', 20); balanced class weights, a setting of the training, "
        "can make up for it"
    ) in log


def test_the_seed_chooses_what_is_held_out(folder: Path) -> None:
    first, log = load(folder, train="train.jsonl")
    again, _ = load(folder, train="train.jsonl")
    other, _ = load(folder, train="train.jsonl", seed=1)
    assert first == again
    assert set(first.test.texts) != set(other.test.texts)
    held_out = f"{len(first.validation)} for validation, {len(first.test)} for test"
    assert f"Held out from the training texts: {held_out}" in log


def test_a_file_that_grows_keeps_every_text_in_its_split(folder: Path) -> None:
    write(folder / "train.jsonl", rows_of(bad=100, good=60))
    before, _ = load(folder, train="train.jsonl")
    write(folder / "train.jsonl", rows_of(bad=150, good=200)[::-1])
    after, _ = load(folder, train="train.jsonl")
    for small, large in zip(before, after, strict=True):
        assert set(small.texts) <= set(large.texts)
        assert set(small.labels) == {"bad", "good"}


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Rows of up to 40 distinct texts, some of them written twice or labelled twice."""
    labels = draw(st.lists(st.sampled_from("abc"), min_size=2, max_size=40))
    rows = [(f"text {i}", label) for i, label in enumerate(labels)]
    again = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(rows) - 1),
                st.sampled_from(["Text  {}", " TEXT {}\t", "text {}"]),
                st.one_of(st.none(), st.sampled_from("abc")),
            ),
            max_size=15,
        )
    )
    return rows + [(form.format(i), label or labels[i]) for i, form, label in again]


@given(
    rows=tables(),
    share=st.floats(0.01, 0.4),
    seed=st.integers(0, 9),
    missing=st.integers(1, 2),
    by=st.sampled_from(["hash", "count"]),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_held_out_splits_divide_each_class_by_its_texts(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    share: float,
    seed: int,
    missing: int,
    by: str,
    order: random.Random,
) -> None:
    assume(len({label for _, label in rows}) > 1)
    labels: dict[str, set[str]] = {}
    for text, label in rows:
        labels.setdefault(key(text), set()).add(label)
    clear = Counter(min(there) for there in labels.values() if len(there) == 1)
    folder = tmp_path_factory.mktemp("held_out")
    write(folder / "test.jsonl", [("unlike the others", rows[0][1])])
    changes = {"seed": seed, "held_out_share": share, "test": "test.jsonl" * (missing == 1)}
    changes["held_out_by"] = by
    write(folder / "all.jsonl", list(rows))
    if max(clear.values(), default=0) <= missing:
        # By hash, each of several small classes may have one for a split of its own.
        assume(by == "count")
        with pytest.raises(UserError, match=f"at least {missing + 1} distinct training texts"):
            load(folder, train="all.jsonl", **changes)
        return
    splits, _ = load(folder, train="all.jsonl", **changes)
    parts = [splits.train, splits.validation, splits.test][: missing + 1]
    together = [pair for part in parts for pair in zip(part.texts, part.labels, strict=True)]
    assert sorted(together) == sorted(rows)
    keys = [{key(text) for text in part.texts} for part in parts]
    assert sum(map(len, keys)) == len(labels)
    for part in keys[1:]:
        held = Counter(label for text in part for label in labels[text])
        if by == "count":
            assert all(abs(held[label] - share * clear[label]) < 1 for label in "abc")
        else:
            assert all(held[label] for label in "abc" if clear[label] > missing)
    assert set(splits.train.labels) == {label for _, label in rows}

    order.shuffle(rows)
    write(folder / "all.jsonl", list(rows))
    shuffled, _ = load(folder, train="all.jsonl", **changes)
    for part, same in zip(splits, shuffled, strict=True):
        assert sorted(zip(part.texts, part.labels, strict=True)) == sorted(
            zip(same.texts, same.labels, strict=True)
        )


def test_class_weights_make_every_class_count_the_same() -> None:
    labels = ["a"] * 6 + ["b"] * 3 + ["c"]
    weights = class_weights(labels, ["c", "a", "b"])
    assert weights == pytest.approx([10 / 3, 10 / 18, 10 / 9])
    of = dict(zip(["c", "a", "b"], weights, strict=True))
    assert sum(of[label] for label in labels) == pytest.approx(10)
    assert class_weights(["a", "a", "b", "b"], ["a", "b", "none"]) == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="at least one label, got none"):
        class_weights([], ["a"])
    with pytest.raises(ValueError, match=r"among the classes \['a'\], got 'b'"):
        class_weights(["a", "b"], ["a"])


def prepare(
    data_dir: Path, name: str, label: Any, splits: dict[str, list[tuple[str, Any]]]
) -> None:
    """Prepares a TFDS set of `text`, `label` and a number, as many sets of reviews are made."""

    class LocalSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> tfds.core.DatasetInfo:
            features = tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "label": label,
                    "stars": tfds.features.Scalar(np.int32),
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager: Any) -> dict[str, Any]:
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
            for i, (text, label) in enumerate(splits[split]):
                yield i, {"text": text, "label": label, "stars": i}

    LocalSet.name = name
    LocalSet(data_dir=str(data_dir)).download_and_prepare()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    names = tfds.features.ClassLabel(names=["neg", "pos"])
    train = [(f"film {i}", i % 2) for i in range(40)]
    test = [("weak", 0), ("strong", 1)]
    prepare(folder, "films", names, {"train": train, "test": test, "unsupervised": [("x", -1)]})
    prepare(folder, "hidden", names, {"train": train, "test": [("weak", 0), ("secret", -1)]})
    numbers = tfds.features.ClassLabel(num_classes=12)
    numbered = {"train": [(f"film {i}", i % 12) for i in range(60)]}
    prepare(folder, "numbered", numbers, numbered)
    spelt = {"train": [(f"film {i}", " pos" if i % 2 else "neg") for i in range(40)]}
    prepare(folder, "words", tfds.features.Text(), spelt)
    return folder


def test_class_labels_of_tfds_become_their_names(prepared: Path) -> None:
    splits, _ = load(prepared, train="tfds:films", tfds_folder=str(prepared))
    assert splits.classes == ["neg", "pos"]
    assert sorted(zip(splits.test.texts, splits.test.labels, strict=True)) == [
        ("strong", "pos"),
        ("weak", "neg"),
    ]
    # The set has no validation split: two texts of each class come from the training split.
    assert Counter(splits.validation.labels) == {"neg": 2, "pos": 2}
    together = [splits.train, splits.validation]
    pairs = [pair for part in together for pair in zip(part.texts, part.labels, strict=True)]
    assert sorted(pairs) == sorted((f"film {i}", ["neg", "pos"][i % 2]) for i in range(40))


def test_class_labels_without_names_are_numbers_and_texts_are_labels_too(prepared: Path) -> None:
    splits, _ = load(prepared, train="tfds:numbered", tfds_folder=str(prepared))
    assert splits.classes == [str(i) for i in range(12)]
    splits, _ = load(prepared, train="tfds:words", tfds_folder=str(prepared))
    assert splits.classes == ["neg", "pos"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": "tfds:hidden"}, r"tfds:hidden test:\d: the class label is not given\. A test"),
        ({"label_column": "labels"}, r"no class label or text 'labels'; .*mean 'label'\?"),
        ({"label_column": "stars"}, r"no class label or text 'stars'; it has 'text', 'label'"),
        ({"text_column": "txt"}, r"no text 'txt'; it has 'text'\. Did you mean 'text'\?"),
        ({"validation": "tfds:films/x"}, "tfds:films/x is not prepared"),
        ({"validation": "tfds:hidden"}, "tfds:hidden has no split 'validation'; it has "),
        ({"test": "tfds:numbered"}, r"tfds:numbered train:1: The label '\d+' is not among"),
    ],
)
def test_tfds_sets_that_cannot_be_used_are_explained(
    prepared: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load(prepared, **{"train": "tfds:films", "tfds_folder": str(prepared), **changes})


def test_the_embedded_reviews_have_splits_of_their_own(folder: Path) -> None:
    from seqapps.recipes.sentiment.harder_reviews import harder_reviews

    made = harder_reviews()
    splits, log = load(folder)
    assert splits.classes == sorted({review.label for review in made.train})
    for part, own in zip(splits, made, strict=True):
        assert part.texts == [review.text for review in own]
        assert part.labels == [review.label for review in own]
        assert not part.problems
    assert any("across splits: 0 texts" in line for line in log)
    assert not any("test texts too;" in line or "several labels" in line for line in log)


def test_tensorflow_is_not_loaded_for_tables(folder: Path) -> None:
    code = (
        "import sys; from seqapps.recipes.sentiment.data import *; "
        f"load_labelled(LabelledData(train='train.jsonl', folder={str(folder)!r}), seed=0, "
        "log=print); assert not {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
