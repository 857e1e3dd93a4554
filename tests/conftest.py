"""Fixtures shared by all tests."""

import atexit
import gc
import io
import os
import re
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from loaded_once import load_once
from tiny_trainings import (
    SHORTER,
    bundle_of,
    documented,
    heard_by_hand,
    settings_on,
    shared,
    write_reviews,
)
from warm_python import folder_of, warm_python

from seqapps.commands.program import run
from seqapps.lazy import start_tensorflow
from seqapps.recipes.sentiment.reviews import Review, reviews
from seqapps.recipes.translate import phrasebook

# The machine is shared, so no single example has a deadline; CI tries the same examples each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

DATA = Path(
    os.environ.get("SEQAPPS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
"""Data sets that are no part of the project: multi30k/, imdb/ ..."""

CHATTER = re.compile(r"^[IWEF]\d{4} |WARNING|Warning|\.cc:\d+|Traceback|^\s*warnings\.")

SHORT_TRAINING = (
    "--model.units",
    "32",
    "--model.embedding",
    "16",
    "--text.vocabulary",
    "150",
    "--training.max_steps",
    "3",
    "--training.epochs",
    "1",
)


def pytest_configure(config: pytest.Config) -> None:
    """Starts TensorFlow without a word, in each process that runs tests."""
    if config.getoption("dist", "no") != "no":
        # This one hands them out. It clears up, too, should what the others started be killed.
        config.option.testrunuid = config.option.testrunuid or uuid.uuid4().hex
        # Each process, and what it starts, has its share of the cores: threads that wait for the
        # cores of other processes take a tenth of all the time.
        processes = int(config.getoption("numprocesses", 0) or 1)
        threads = max(1, len(os.sched_getaffinity(0)) // processes)
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, str(threads))
        folder = folder_of(config.option.testrunuid)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return
    start_tensorflow()
    load_once()
    # What is imported stays, and tracing makes many objects that stay: looking through them as
    # often as Python does by itself takes a tenth of the time and finds little.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file share what they make and stay in one process; a page stands alone."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if "::test_shortened[" in nodeid else nodeid.partition("::")[0]

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def assert_only_ours():
    """Checks that nothing of TensorFlow, CUDA or Python's warnings is on the terminal."""

    def check(stderr):
        assert [line for line in stderr.splitlines() if CHATTER.search(line)] == []

    return check


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs a recipe's command in this process: exit code, standard output, standard error."""

    def call(recipe, *argv, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(recipe, [str(word) for word in argv])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what this process starts in a new interpreter run in a warm one."""
    monkeypatch.setattr(sys, "executable", warm_python())


@pytest.fixture(scope="session")
def multi30k() -> Path:
    """The folder of Multi30k sentence pairs; the test skips where it is absent."""
    folder = DATA / "multi30k"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}; SEQAPPS_DATA can name the folder that holds multi30k/")
    return folder


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes Keras (and us) believe that a GPU is there, for tracing only."""
    import tensorflow as tf

    devices = tf.config.list_logical_devices
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind=None: ["/GPU:0"] if kind == "GPU" else devices(kind),
    )


@pytest.fixture(scope="session")
def short_training() -> tuple[str, ...]:
    """Settings of `translate train` that make it end within seconds, having learned nothing."""
    return SHORT_TRAINING


@pytest.fixture(scope="session")
def few_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 400 + 20 + 20 aligned pairs: train, validation and test, each .en and .de."""

    def make(folder: Path) -> None:
        splits = phrasebook.pairs(train=400, validation=20, test=20)
        for split, pairs in splits._asdict().items():
            for language, sentences in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
                text = "".join(f"{sentence}\n" for sentence in sentences)
                (folder / f"{split}.{language}").write_text(text, encoding="utf-8")

    return shared(tmp_path_factory, "few_pairs", make)


@pytest.fixture(scope="session")
def few_reviews() -> list[Review]:
    """400 labelled reviews."""
    return reviews(train=400, validation=0, test=0).train


@pytest.fixture(scope="session")
def few_recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 60 recordings of "yes", "no" and "stop" in twelve voices, in tones."""
    from speech_data import write_recordings

    def make(folder: Path) -> None:
        write_recordings(folder / "speech", count=60)

    return shared(tmp_path_factory, "few_recordings", make) / "speech" / "manifest.tsv"


@pytest.fixture(scope="session")
def tiny_recogniser(few_recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network is right by construction; copy it before changing it."""
    return heard_by_hand(tmp_path_factory, "tiny_recogniser", few_recordings)


@pytest.fixture(scope="session")
def tiny_bundle(few_pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that `translate train` wrote after three updates; copy it before changing it."""

    def make(folder: Path) -> None:
        for language in ("en", "de"):
            shutil.copy(few_pairs / f"train.{language}", folder / f"pairs.{language}")
        documented("tiny_bundle", folder, *SHORT_TRAINING)

    return bundle_of(shared(tmp_path_factory, "tiny_bundle", make))


@pytest.fixture(scope="session")
def tiny_writer(few_pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that `generate train` wrote after three updates; copy it before changing it."""

    def make(folder: Path) -> None:
        shutil.copy(few_pairs / "train.en", folder / "story.txt")
        documented("tiny_writer", folder, *SHORT_TRAINING, *SHORTER["generate"])

    return bundle_of(shared(tmp_path_factory, "tiny_writer", make))


@pytest.fixture(scope="session")
def tiny_classifier(few_reviews: list[Review], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that `sentiment train` wrote after three updates; copy it before changing it."""

    def make(folder: Path) -> None:
        write_reviews(folder / "reviews.csv", few_reviews)
        page = Path(__file__).resolve().parents[1] / "docs" / "tutorials" / "sentiment.md"
        (folder / "mine.toml").write_text(settings_on(page), encoding="utf-8")
        documented("tiny_classifier", folder, *SHORT_TRAINING)

    return bundle_of(shared(tmp_path_factory, "tiny_classifier", make))
