"""A program with made-up settings, which the tests of the command line run."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqapps.arguments import Command, Program, positional, run
from seqapps.config import Settings, to_json
from seqapps.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Data:
    source: str = "en"
    """Language code
    of the input."""
    share: float | None = None
    """Held-out share."""
    widths: tuple[int, ...] = (1, 2)
    """Some widths."""
    folder: Path = Path(".")
    """Where relative paths start."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    peak: float = 0.002
    """Highest learning rate."""


@dataclass(frozen=True, kw_only=True)
class Training:
    epochs: int = 10
    """Passes over the training split."""
    average: bool = False
    """Average the last checkpoints."""
    cell: Literal["gru", "lstm"] = "gru"
    """Recurrent cell."""
    schedule: Schedule = Schedule(peak=0.004)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}; use 1 to try.")


@dataclass(frozen=True, kw_only=True)
class Config:
    data: Data = Data()
    training: Training = Training()
    seed: int = 0
    """Start of all randomness."""

    def __post_init__(self) -> None:
        if self.data.source == "xx" and self.seed == 1:
            raise ValueError("language xx cannot have seed 1.")


@dataclass(frozen=True, kw_only=True)
class Train:
    resume: bool = False
    """Continue an interrupted run."""
    from_: Path | None = None
    """Bundle to start from."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    bundle: Path = positional()
    """Folder that `train` wrote."""
    files: tuple[Path, ...] = positional(())
    """Files to read; standard input if there are none."""
    n_best: int = 1
    """Answers for each input."""


def train(options: Train, settings: Settings[Config]) -> None:
    config = settings.resolve()
    if options.from_ == Path("missing"):
        raise UserError("there is no bundle missing; train one first.")
    if options.from_ == Path("bug"):
        raise RuntimeError("a bug")
    if options.from_ == Path("interrupt"):
        raise KeyboardInterrupt
    result = {
        "config": to_json(config),
        "resume": options.resume,
        "file": str(settings.file),
        "given": sorted(settings.given),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def predict(options: Predict, settings: Settings[Config]) -> int:
    config = settings.resolve(Config(data=Data(source="fr", folder=Path("base"))))
    result = {
        "bundle": str(options.bundle),
        "files": [str(file) for file in options.files],
        "n_best": options.n_best,
        "config": to_json(config),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    if options.n_best == 1000:
        for _ in range(100_000):
            sys.stdout.write("an answer\n")
    return 0


PROGRAM = Program(
    name="python -m sample",
    description="Trains a sample.",
    config=Config,
    commands=(
        Command(
            name="train",
            help="Train a model",
            handler=train,
            options=Train,
            sections="all",
            examples=("train --config sample.toml",),
        ),
        Command(
            name="predict", help="Answer", handler=predict, options=Predict, sections=("data",)
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
