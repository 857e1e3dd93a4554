"""Trainings that end within seconds, having learned nothing or little."""

import subprocess
import sys
from pathlib import Path

SHORTER = {
    # A network that has learned nothing ends no sentence, so a wide beam would take long.
    "translate": ("--decoding.beam_width", "1"),
    "generate": ("--decoding.max_length", "20"),
}
"""What shortens a recipe's trainings besides the settings of all."""

TINY_RECOGNISER = (
    "--features.sample_rate_hz",
    "8000",
    "--features.mels",
    "24",
    "--model.channels",
    "8",
    "--model.time_strides",
    "[2,2]",
    "--model.projection",
    "32",
    "--model.units",
    "32",
    "--model.depth",
    "1",
    "--model.dropout",
    "0",
    "--training.epochs",
    "6",
    "--training.batch_tokens",
    "400",
    "--training.learning_rate",
    "0.01",
    "--training.warmup_steps",
    "20",
    "--training.patience",
    "0",
    "--training.tensorboard",
    "false",
    "--training.average_decay",
    "0",
    "--training.monitor",
    "loss",
    "--augmentation.time_masks",
    "0",
    "--augmentation.band_masks",
    "0",
)
"""Settings of a recogniser that begins to learn its letters within seconds."""


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
