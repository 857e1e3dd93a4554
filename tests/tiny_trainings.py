"""Trainings that end within seconds, having learned nothing."""

import csv
import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from warm_python import warm_python

from seqapps.recipes.sentiment.reviews import Review

SHORTER = {
    # A network that has learned nothing ends no sentence, so a wide beam would take long.
    "translate": ("--decoding.beam_width", "1"),
    "generate": ("--decoding.max_length", "20", "--ngrams.order", "2"),
}
"""What shortens a recipe's trainings besides the settings of all."""


DOCUMENTED = {
    # Not the first that the other pages ask for: two processes begin with one each.
    "tiny_writer": (
        "python -m seqapps.recipes.generate train --data.train story.txt "
        "--output saved_models/generate/story"
    ),
    "tiny_bundle": (
        "python -m seqapps.recipes.translate train --data.train pairs "
        "--data.source en --data.target de --output saved_models/translate/mine"
    ),
    "tiny_classifier": (
        "python -m seqapps.recipes.sentiment train --config mine.toml --training.max_steps 10 "
        "--output saved_models/sentiment/trial"
    ),
}
"""Trainings of the documents whose bundles the fixtures of these names are; each runs once."""


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once for all processes of a test run; copy before changing it.

    Args:
        factory: pytest's.
        name: The folder's, unlike any other's.
        make: Fills the empty folder; called by the process that asks first, while others wait.
    """
    root = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # The folder above is of the run, this one of one of its processes.
        root = root.parent
    folder = root / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    whole = folder.with_name(f"{name}.whole")
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            # Of an attempt that failed.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


def write_reviews(path: Path, reviews: list[Review]) -> None:
    """Writes reviews as a table, `text,label`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((review.text, review.label) for review in reviews)


def train(folder: Path, *words: str) -> None:
    """Runs a training, `python WORDS`, in a folder, which then has the link `bundle` to its bundle.

    `log.txt` is what it told on the way.
    """
    run = subprocess.run(
        [warm_python(), *words], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    (folder / "log.txt").write_text(run.stderr, encoding="utf-8")
    (folder / "bundle").symlink_to(run.stdout.strip())


def documented(fixture: str, folder: Path, *settings: str) -> None:
    """Runs a training of the documents in a folder that holds its data."""
    command = shlex.split(DOCUMENTED[fixture])
    # From any other folder too its data are to be found.
    train(folder, *command[1:], *settings, "--data.folder", str(folder))


def settings_on(page: Path) -> str:
    """The TOML that a page has its reader write to `mine.toml`."""
    written = page.read_text(encoding="utf-8").partition("cat > mine.toml <<'TOML'\n")[2]
    assert written, page
    return written.partition("TOML\n```")[0]


def heard_by_hand(
    factory: pytest.TempPathFactory, name: str, manifest: Path, *arguments: str
) -> Path:
    """The bundle of a recogniser whose weights are set by hand, see `tone_recogniser`."""
    program = str(Path(__file__).with_name("tone_recogniser.py"))
    words = (program, "train", "--data.train", str(manifest), *arguments)
    return bundle_of(shared(factory, name, lambda folder: train(folder, *words)))


def bundle_of(folder: Path) -> Path:
    """The bundle that a training wrote in a folder."""
    return (folder / "bundle").resolve()
