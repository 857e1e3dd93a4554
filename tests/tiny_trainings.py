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
    run = subprocess.run(
        [sys.executable, "-m", f"seqapps.recipes.{recipe}", "train", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    return folder / run.stdout.strip()
