"""Pairs from TensorFlow Datasets, prepared here by a builder of our own without network."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from seqapps.errors import UserError
from seqapps.recipes.translate.data import PairData, PairSplits, load_pairs

SIZES = {"train": 40, "validation": 3, "test": 2}


def prepare(
    data_dir: Path, name: str, config: str, sizes: dict[str, int], version: str = "1.0.0"
) -> None:
    """Prepares a translation set `name/config` whose sentences tell split and number."""

    class LocalSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self) -> tfds.core.DatasetInfo:
            languages = tfds.features.Translation(languages=("de", "en"))
            return tfds.core.DatasetInfo(builder=self, features=languages)

        def _split_generators(self, manager: Any) -> dict[str, Any]:
            return {split: self._generate_examples(split) for split in sizes}

        def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, str]]]:
            for i in range(sizes[split]):
                yield i, {"en": f"green {split} {i} {version}", "de": f"grün {split} {i}"}

    LocalSet.name = name
    LocalSet(data_dir=str(data_dir)).download_and_prepare()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    prepare(folder, "tiny", "en_de", SIZES)
    prepare(folder, "plain", "", {"train": 40, "dev": 3})
    prepare(folder, "plain", "", {"train": 30}, version="0.9.0")
    prepare(folder, "several", "en_de", {"test": 2})
    prepare(folder, "several", "de_en", {"test": 2})
    return folder


def load(folder: Path, **settings: str) -> PairSplits:
    return load_pairs(PairData(tfds_folder=str(folder), **settings), seed=0, log=lambda line: None)


def test_a_prepared_set_brings_its_own_splits(prepared: Path) -> None:
    splits = load(prepared, train="tfds:tiny/en_de")
    assert {split: len(getattr(splits, split)) for split in SIZES} == SIZES
    assert sorted(splits.train.sources) == sorted(f"green train {i} 1.0.0" for i in range(40))
    for source, target in zip(splits.train.sources, splits.train.targets, strict=True):
        assert target.split()[2] == source.split()[2]
    assert sorted(splits.test.targets) == ["grün test 0", "grün test 1"]
    assert splits == load(prepared, train="tfds:tiny/en_de")


def test_the_only_configuration_need_not_be_named(prepared: Path) -> None:
    splits = load(prepared, train="tfds:tiny", source="de", target="en")
    assert sorted(splits.test.sources) == ["grün test 0", "grün test 1"]
    assert sorted(splits.test.targets) == ["green test 0 1.0.0", "green test 1 1.0.0"]


def test_a_missing_split_is_held_out_and_the_highest_version_is_read(prepared: Path) -> None:
    splits = load(prepared, train="tfds:plain", held_out_by="count")
    assert sorted(splits.validation.targets) == [f"grün dev {i}" for i in range(3)]
    assert len(splits.test) == 2
    held_out = set(splits.test.sources)
    assert sorted(held_out | set(splits.train.sources)) == sorted(
        f"green train {i} 1.0.0" for i in range(40)
    )


def test_the_only_split_of_a_set_serves_for_what_it_is_named_as(prepared: Path) -> None:
    splits = load(prepared, train="tfds:tiny", validation="tfds:several/de_en")
    assert sorted(splits.validation.targets) == ["grün test 0", "grün test 1"]


def test_the_folder_comes_from_the_environment(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    splits = load_pairs(PairData(train="tfds:tiny"), seed=0, log=lambda line: None)
    assert len(splits.train) == 40


def test_the_language_most_like_a_missing_one_is_offered(prepared: Path) -> None:
    with pytest.raises(UserError, match=r"no text 'end'; it has 'de', 'en'\. Did you mean 'en'\?"):
        load(prepared, train="tfds:tiny", source="end")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": "tfds:tiny", "target": "fr"}, r"no text 'fr'; it has 'de', 'en'\."),
        ({"train": "tfds:tiny/x"}, r"tfds:tiny/x is not prepared in .*\n  python -c .*'tiny/x'"),
        ({"train": "tfds:a b"}, "named tfds:NAME or tfds:NAME/CONFIG, got 'tfds:a b'"),
        ({"train": "tfds:several"}, "name one: tfds:several/de_en, tfds:several/en_de"),
        ({"train": "tfds:tiny", "test": "tfds:plain"}, "no split 'test'; it has train, dev"),
    ],
)
def test_what_cannot_be_read_is_explained(
    prepared: Path, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load(prepared, **settings)


def test_an_unprepared_set_fails_at_once_with_a_command_that_runs(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        load(tmp_path, train="tfds:no_such_set/en_de")
    # Where TFDS looks for it on the network, it takes minutes.
    assert time.monotonic() - started < 30
    command = str(caught.value).splitlines()[1]
    code = command.split('"')[1]
    compile(code, "command", "exec")
    assert str(tmp_path) in code
    assert "no_such_set/en_de" in code


def test_the_package_is_not_loaded_for_other_data(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("en\tde\n" + "".join(f"a{i}\tb\n" for i in range(9)))
    code = (
        "import sys; from seqapps.recipes.translate.data import *; "
        f"load_pairs(PairData(train='a.tsv', folder={str(tmp_path)!r}), seed=0, log=print); "
        "assert not {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
