"""The whole state of a training on disk, so that a killed run goes on as if nothing happened."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from seqapps.training.step import Trainee


@dataclass
class Progress:
    """How far a training has come: everything that is not a tensor."""

    epoch: int = 0
    """Finished passes."""
    epoch_start: int = 0
    """Value of the step counter when the current pass began."""
    best: float | None = None
    """Best value of what is monitored."""
    stale: int = 0
    """Epochs since the best value, for early stopping."""
    plateau: int = 0
    """Epochs since the best value or the last halving of the rate."""
    seconds: float = 0.0
    """Time spent in training and validation, over all sittings."""
    done: bool = False
    """Whether nothing is left to train."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row a finished epoch."""


class Checkpoints:
    """Writes and restores weights, optimizer, random states, averages, best weights, progress.

    `tf.train.CheckpointManager` writes beside the last checkpoint and renames, so a kill at any
    moment leaves a complete one. Stock `ModelCheckpoint` and `BackupAndRestore` leave out random
    states, averages and the early stopper, and a resumed run then differs.

    Args:
        trainee: The network in training, its optimizer built.
        folder: Where checkpoints go.
        extra: Further variables (the schedule's scale).
    """

    def __init__(self, trainee: Trainee, folder: Path, extra: list[tf.Variable]) -> None:
        self.best = [tf.Variable(v.value, trainable=False) for v in trainee.network.variables]
        self._trainee = trainee
        self._progress = tf.Variable("", dtype=tf.string, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            # A model's variables include the states of its SeedGenerators.
            network=[v.value for v in trainee.network.variables],
            optimizer=[v.value for v in _optimizer_variables(trainee.optimizer)],
            averages=list(trainee.averages),
            best=self.best,
            steps=trainee.step_count,
            running_loss=[v.value for metric in trainee.metrics for v in metric.variables],
            extra=extra,
            progress=self._progress,
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)

    @property
    def latest(self) -> str | None:
        """Path of the newest checkpoint, if there is one."""
        path: str | None = self._manager.latest_checkpoint
        return path

    def save(self, progress: Progress) -> None:
        """Writes everything under a new name."""
        self._progress.assign(json.dumps(asdict(progress)))
        self._manager.save(checkpoint_number=int(self._trainee.step_count))

    def restore(self) -> Progress:
        """Reads the newest checkpoint back."""
        self._checkpoint.restore(self.latest).assert_consumed()
        return Progress(**json.loads(self._progress.numpy()))

    def keep_best(self) -> None:
        """Remembers the network's weights as the best so far."""
        for kept, variable in zip(self.best, self._trainee.network.variables, strict=True):
            kept.assign(variable.value)

    def load_best(self) -> None:
        """Puts the best weights into the network."""
        for kept, variable in zip(self.best, self._trainee.network.variables, strict=True):
            variable.assign(kept)


def _optimizer_variables(optimizer: Any) -> list[Any]:
    inner = getattr(optimizer, "inner_optimizer", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and inner is not None:
        return [*optimizer.variables, *inner.variables]
    return list(optimizer.variables)
