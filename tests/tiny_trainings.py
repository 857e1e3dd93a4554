"""Trainings that end within seconds, having learned nothing."""

import csv
import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from warm_python import warm_python

from seqapps.recipes.sentiment.reviews import Review

SHORTER = {
    # A network that has learned nothing ends no sentence, so a wide beam would take long.
    "translate": ("--decoding.beam_width", "1"),
    "generate": ("--decoding.max_length", "20"),
}
"""What shortens a recipe's trainings besides the settings of all."""


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
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_name(f"{name}.partial")
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder


def write_reviews(path: Path, found: list[Review]) -> None:
    """Writes reviews as a table, `text,label`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((review.text, review.label) for review in found)


def train(recipe: str, folder: Path, *arguments: str, output: str = "bundle") -> None:
    """Writes a bundle by `train` of a recipe; `log.txt` beside it is what it told on the way."""
    _train(folder, "-m", f"seqapps.recipes.{recipe}", "train", *arguments, output=output)


def heard_by_hand(
    factory: pytest.TempPathFactory, name: str, manifest: Path, *arguments: str
) -> Path:
    """The bundle of a recogniser whose weights are set by hand, see `tone_recogniser`."""
    program = str(Path(__file__).with_name("tone_recogniser.py"))
    command = (program, "train", "--data.train", str(manifest), *arguments)
    folder = shared(factory, name, lambda folder: _train(folder, *command, output="bundle"))
    return folder / "bundle"


def _train(folder: Path, *program: str, output: str) -> None:
    run = subprocess.run(
        [warm_python(), *program, "--output", output],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{output}\n"
    (folder / "log.txt").write_text(run.stderr, encoding="utf-8")


def trained(factory: pytest.TempPathFactory, name: str, recipe: str, *arguments: str) -> Path:
    """The bundle that `train` of a recipe writes, once for all processes of a test run."""
    folder = shared(factory, name, lambda folder: train(recipe, folder, *arguments))
    return folder / "bundle"
