"""The whole state of a training on disk, so that a killed run goes on as if nothing happened."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tensorflow as tf

from seqapps.errors import UserError, full
from seqapps.training.step import Trainee


@dataclass
class Progress:
    """How far a training has come: everything that is not a tensor."""

    epoch: int = 0
    """Finished passes."""
    epoch_start: int = 0
    """Value of the step counter when the current pass began."""
    measured: int = 0
    """Value of the step counter when the network was measured last."""
    total: int = 0
    """Updates of the whole training, where minutes decided; 0 while they have not."""
    every: int = 0
    """Updates from one measuring to the next, likewise."""
    best: float | None = None
    """Best value of what is monitored."""
    best_loss: float | None = None
    """The validation loss that came with it, which decides between equal ones."""
    stale: int = 0
    """Epochs since the best value, for early stopping."""
    plateau: int = 0
    """Epochs since the best value or the last halving of the rate."""
    update_s: float = field(default=0.0, compare=False)
    """Seconds from one update to the next, as timed last; a checkpoint does not keep it."""
    seconds: float = 0.0
    """Time spent in training and validation, over all sittings."""
    done: bool = False
    """Whether nothing is left to train."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row a measuring: after each pass, or as the minutes give."""


class _Stored(tf.train.experimental.PythonState):
    """Progress as an entry of a checkpoint."""

    def __init__(self) -> None:
        self.progress = Progress()

    def serialize(self) -> str:
        kept = asdict(self.progress)
        # Two runs that do the same take another time.
        del kept["update_s"]
        return json.dumps(kept)

    def deserialize(self, string_value: bytes) -> None:
        self.progress = Progress(**json.loads(string_value))


class Checkpoints:
    """Writes and restores weights, optimizer, random and carried states, averages, best, progress.

    `tf.train.CheckpointManager` writes each checkpoint under a new name and only then points to
    it, so a kill at any moment leaves a complete one. Stock `ModelCheckpoint` and
    `BackupAndRestore` leave out random states, averages and the early stopper, and a resumed run
    then differs.

    Args:
        trainee: The network in training, its optimizer built.
        folder: Where checkpoints go.
        extra: Further variables (the schedule's scale).
    """

    def __init__(self, trainee: Trainee, folder: Path, extra: list[tf.Variable]) -> None:
        self.best = [tf.Variable(v.value, trainable=False) for v in trainee.network.variables]
        self._trainee = trainee
        self._stored = _Stored()
        running = [*trainee.training_loss.variables, *trainee.gradient_norm.variables]
        self._checkpoint = tf.train.Checkpoint(
            # A model's variables include the states of its SeedGenerators.
            network=[v.value for v in trainee.network.variables],
            # An optimizer's include the loss scale of mixed float16.
            optimizer=[v.value for v in trainee.optimizer.variables],
            averages=list(trainee.averages),
            # Nothing at all for a network without state, as in checkpoints of earlier versions.
            **({"carried": list(trainee.carried)} if trainee.carried else {}),
            best=self.best,
            steps=trainee.step_count,
            running=[v.value for v in running],
            extra=extra,
            progress=self._stored,
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)

    @property
    def latest(self) -> str | None:
        """Path of the newest checkpoint, if there is one."""
        path: str | None = self._manager.latest_checkpoint
        return path

    def save(self, progress: Progress) -> None:
        """Writes everything under a new name.

        Raises:
            UserError: If the disk is full. The checkpoint before is whole.
        """
        self._stored.progress = progress
        # Not named after the step: two checkpoints of one step would overwrite each other, and
        # a kill meanwhile leave none.
        try:
            self._manager.save()
        except (OSError, tf.errors.OpError) as error:
            if not (reason := full(error)):
                raise
            self._sweep()
            raise UserError(
                f"{self._manager.directory} cannot be written: {reason} "
                f"({shutil.disk_usage(self._manager.directory).free / 1e6:,.0f} MB are free). "
                + (
                    "The checkpoint before is whole; free some space, and go on with --resume."
                    if self.latest
                    else "No checkpoint was written yet; free some space, and start again."
                )
            ) from error

    def _sweep(self) -> None:
        """Removes what there is of a checkpoint that was not finished."""
        whole = {Path(path).name for path in self._manager.checkpoints}
        for path in Path(self._manager.directory).glob("ckpt-*"):
            if path.name.split(".")[0] in whole:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def restore(self) -> Progress:
        """Reads the newest checkpoint back."""
        self._checkpoint.restore(self.latest).assert_consumed()
        return self._stored.progress

    def keep_best(self) -> None:
        """Remembers the network's weights as the best so far."""
        for kept, variable in zip(self.best, self._trainee.network.variables, strict=True):
            kept.assign(variable.value)

    def load_best(self) -> None:
        """Puts the best weights into the network."""
        for kept, variable in zip(self.best, self._trainee.network.variables, strict=True):
            variable.assign(kept)
