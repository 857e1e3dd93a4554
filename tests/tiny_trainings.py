"""Trainings that end within seconds, having learned nothing."""

import subprocess
import sys
from pathlib import Path

SHORTER = {
    # A network that has learned nothing ends no sentence, so a wide beam would take long.
    "translate": ("--decoding.beam_width", "1"),
    "generate": ("--decoding.max_length", "20"),
}
"""What shortens a recipe's trainings besides the settings of all."""


def trained(recipe: str, folder: Path, *arguments: str) -> Path:
    """The bundle that `train` of a recipe writes in a folder."""
    return _bundle(folder, "-m", f"seqapps.recipes.{recipe}", "train", *arguments)


def heard_by_hand(folder: Path, manifest: Path, *arguments: str) -> Path:
    """The bundle of a recogniser whose weights are set by hand, see `tone_recogniser`."""
    program = str(Path(__file__).with_name("tone_recogniser.py"))
    return _bundle(folder, program, "train", "--data.train", str(manifest), *arguments)


def _bundle(folder: Path, *program: str) -> Path:
    run = subprocess.run(
        [sys.executable, *program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    return folder / run.stdout.strip()
