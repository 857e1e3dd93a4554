"""Training from the first batch to the best weights, resumable after a kill at any moment."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.errors import UserError, interrupted
from seqapps.report import Reporter
from seqapps.training.checkpoint import Checkpoints, Progress
from seqapps.training.optimizer import GroupedAdamW, LayerGroup
from seqapps.training.schedule import Schedule
from seqapps.training.settings import Training
from seqapps.training.step import NOT_FINITE, Loss, Trainee

__all__ = ["Goal", "Pass", "fit"]


class Pass(Protocol):
    """One pass over the training split, in batches."""

    @property
    def dataset(self) -> Callable[[int], Any]:
        """`dataset(skip)`: a tf.data.Dataset of the batches after the first `skip`."""

    @property
    def tokens(self) -> npt.NDArray[np.int64]:
        """Real steps in each batch: (batches,)."""

    @property
    def padding(self) -> float:
        """Share of all steps that is padding."""


class Examples(Protocol):
    """What `fit` needs of the data. A pass depends on the seed and its number alone."""

    def training_pass(self, epoch: int) -> Pass:
        """The batches of pass `epoch`, counted from 0."""

    def validation_batches(self) -> Any:
        """A tf.data.Dataset over the validation split."""


@dataclass(frozen=True)
class Goal:
    """The task's own metric on the validation split."""

    name: str
    """Its key in what `score` returns."""
    score: Callable[[], dict[str, float]]
    """Measures the network as it is now."""
    highest: bool = True
    """Whether more is better."""
    of_loss: Callable[[float], dict[str, float]] = lambda _: {}
    """`of_loss(loss)`: what follows from the validation loss, beside what `score` measures."""


def fit(
    network: keras.Model,
    examples: Examples,
    *,
    loss: Loss,
    goal: Goal,
    settings: Training,
    folder: Path,
    reporter: Reporter,
    resume: bool = False,
    groups: Sequence[LayerGroup] = (),
    watch: Callable[[Mapping[str, float]], None] | None = None,
    minutes: float = 0.0,
) -> Progress:
    """Trains a network and leaves its best weights in it.

    Args:
        network: A built Keras model that takes a batch (a dict of tensors); one with an input and
            an output `state` carries state from batch to batch, see `training.step.Trainee`.
        examples: Training passes and validation batches.
        loss: `loss(outputs, batch, training) -> (sum, count)`.
        goal: The task's metric on the validation split.
        settings: Epochs, rates, stopping.
        folder: Checkpoints and TensorBoard logs go here.
        reporter: Shows progress.
        resume: Go on from the newest checkpoint of `folder`, if there is one.
        groups: Layers that learn at rates of their own, or later than others.
        watch: Gets the history's row of each epoch; what it raises ends the training.
        minutes: Stop after this time, validate and be done; 0 for no limit. The schedule does not
            know of it.

    Returns:
        What happened; `history` has a row for each epoch: `epoch`, `steps` (updates so far),
        `seconds`, `learning_rate`, `gradient_norm` (mean of the pass, before clipping), `loss` and
        `validation_loss` (per token), and what `goal` measures.

    Raises:
        UserError: If a gradient is not finite. Checkpoints and weights are intact then.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint was written (one from before validation
            if it came in the middle of that).
    """
    run = _Run(network, examples, loss, goal, settings, folder, reporter, groups)
    if resume and run.checkpoints.latest:
        run.progress = run.checkpoints.restore()
        reporter.log(f"resuming at step {run.steps}, epoch {run.progress.epoch + 1}")
    run.limit_s = minutes * 60.0
    run.train(watch)
    run.checkpoints.load_best()
    return run.progress


class _Run:
    """One sitting of one training."""

    def __init__(
        self,
        network: keras.Model,
        examples: Examples,
        loss: Loss,
        goal: Goal,
        settings: Training,
        folder: Path,
        reporter: Reporter,
        groups: Sequence[LayerGroup],
    ) -> None:
        self.examples, self.goal, self.settings = examples, goal, settings
        self.reporter = reporter
        self.next_pass = examples.training_pass(0)
        total = settings.epochs * len(self.next_pass.tokens)
        self.total_steps = min(total, settings.max_steps) if settings.max_steps else total
        self.schedule = Schedule(
            peak=settings.learning_rate,
            steps=self.total_steps,
            warmup=settings.warmup_steps,
            cosine=settings.schedule == "cosine",
        )
        optimizer = GroupedAdamW(
            self.schedule,
            beta_2=settings.adam_beta2,
            weight_decay=settings.weight_decay,
            epsilon=1e-9,
        )
        if settings.weight_decay:
            optimizer.exclude_from_weight_decay(var_names=["bias", "embeddings", "gamma", "beta"])
        self.trainee = Trainee(
            network,
            loss=loss,
            clip_norm=settings.clip_norm,
            average_decay=settings.average_decay,
        )
        # XLA would compile anew for every new shape of a batch.
        self.trainee.compile(optimizer=optimizer, jit_compile=False)
        self.trainee.optimizer.build(network.trainable_variables)
        passes = len(self.next_pass.tokens)
        optimizer.set_groups(
            network.trainable_variables,
            [(group, round(group.first_epoch * passes)) for group in groups],
        )
        self.checkpoints = Checkpoints(self.trainee, folder / "checkpoints", [self.schedule.scale])
        self.progress = Progress()
        self.sitting_start, self.seconds_before = time.monotonic(), 0.0
        self.last_saved = time.monotonic()
        self.limit_s = 0.0
        self.board = (
            tf.summary.create_file_writer(str(folder / "logs")) if settings.tensorboard else None
        )

    def train(self, watch: Callable[[Mapping[str, float]], None] | None) -> None:
        self.sitting_start, self.seconds_before = time.monotonic(), self.progress.seconds
        while not self.progress.done:
            try:
                self._train_pass(self.progress.epoch)
            except KeyboardInterrupt:
                self.checkpoint()
                raise
            self._finish_epoch()
            if self.progress.done:
                self.checkpoint()
            if watch:
                watch(self.progress.history[-1])
        if self.board:
            self.board.close()

    def checkpoint(self) -> None:
        self.progress.seconds = self._seconds()
        self.checkpoints.save(self.progress)
        self.last_saved = time.monotonic()

    @property
    def steps(self) -> int:
        """Updates so far."""
        return int(self.trainee.step_count.numpy())

    @property
    def out_of_time(self) -> bool:
        """Whether the training took as long as it may."""
        return 0.0 < self.limit_s <= self._seconds()

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.sitting_start

    def _train_pass(self, epoch: int) -> None:
        steps = self.steps
        self.current = self.examples.training_pass(epoch) if epoch else self.next_pass
        skip = steps - self.progress.epoch_start
        if epoch == 0 and skip == 0:
            self.reporter.log(
                f"{len(self.current.tokens)} batches a pass, "
                f"{int(self.current.tokens.sum())} tokens, {self.current.padding:.1%} padding"
            )
        limit = self.settings.max_steps
        if skip >= len(self.current.tokens) or (limit and steps >= limit):
            return
        if not skip:
            self.trainee.training_loss.reset_state()
            self.trainee.gradient_norm.reset_state()
        watcher = _Watcher(self, skip)
        try:
            self.trainee.fit(
                self.current.dataset(skip),
                epochs=epoch + 1,
                initial_epoch=epoch,
                shuffle=False,
                verbose=0,
                callbacks=[watcher],
            )
        except SystemError as error:
            if not interrupted(error):
                raise
            raise KeyboardInterrupt from error
        except tf.errors.InvalidArgumentError as error:
            if not (match := NOT_FINITE.search(str(error))):
                raise
            done = self.steps - self.progress.epoch_start
            intact = " and the last checkpoint is intact" if self.checkpoints.latest else ""
            raise UserError(
                f"epoch {epoch + 1}, batch {done + 1} of {len(self.current.tokens)}: gradient norm "
                f"and loss must be finite, got {float(match[1])} and {float(match[2])}. The update "
                f"was not applied{intact}. Look for broken numbers in that batch, or lower "
                f"--training.learning_rate (now {self.settings.learning_rate:g})."
            ) from error
        finally:
            watcher.close()
        # A run that is stopped while it validates goes on from here, and validates again.
        self.checkpoint()

    def _finish_epoch(self) -> None:
        self.trainee.swap_averages()
        try:
            row = self._measure()
        finally:
            self.trainee.swap_averages()
        progress, limit = self.progress, self.settings.max_steps
        out_of_patience = self.settings.patience and progress.stale >= self.settings.patience
        progress.done = bool(
            progress.epoch >= self.settings.epochs
            or (limit and progress.epoch_start >= limit)
            or self.out_of_time
            or out_of_patience
        )
        self.reporter.epoch(row, best=progress.stale == 0, of=self.settings.epochs)
        if out_of_patience and progress.epoch < self.settings.epochs:
            self.reporter.log(f"stopped early: no improvement for {progress.stale} epochs")
        if self.board:
            with self.board.as_default():
                for name, value in row.items():
                    tf.summary.scalar(name, value, step=progress.epoch_start)
                self.board.flush()

    def _measure(self) -> dict[str, float]:
        """Validates, keeps the best weights, and adds a row to the history."""
        progress, trainee = self.progress, self.trainee
        trainee.validation_loss.reset_state()
        trainee.evaluate(self.examples.validation_batches(), verbose=0)
        loss = float(trainee.validation_loss.result())
        scores = {**self.goal.score(), **self.goal.of_loss(loss)}
        progress.epoch += 1
        progress.epoch_start = self.steps
        row = {
            "epoch": progress.epoch,
            "steps": progress.epoch_start,
            "seconds": round(self._seconds(), 1),
            "learning_rate": float(self.schedule(progress.epoch_start)),
            "gradient_norm": round(float(trainee.gradient_norm.result()), 6),
            "loss": round(float(trainee.training_loss.result()), 6),
            "validation_loss": round(loss, 6),
            **{name: round(float(value), 4) for name, value in scores.items()},
        }
        progress.history.append(row)
        self._judge(scores[self.goal.name] if self.settings.monitor == "metric" else loss)
        return row

    def _judge(self, value: float) -> None:
        """Compares with the best epoch; a tie goes to the earlier one."""
        progress = self.progress
        sign = 1.0 if self.settings.monitor == "metric" and self.goal.highest else -1.0
        if math.isnan(value):
            value = -sign * math.inf
        if progress.best is None or sign * value > sign * progress.best:
            progress.best, progress.stale, progress.plateau = value, 0, 0
            self.checkpoints.keep_best()
            return
        progress.stale += 1
        progress.plateau += 1
        if self.settings.schedule == "plateau" and progress.plateau >= self.settings.plateau_epochs:
            self.schedule.scale.assign(self.schedule.scale * 0.5)
            progress.plateau = 0


class _Watcher(keras.callbacks.Callback):
    """Shows progress and writes a checkpoint every few minutes."""

    def __init__(self, run: _Run, skip: int) -> None:
        super().__init__()
        self._run, self._batch = run, skip
        self._interval = run.settings.checkpoint_minutes * 60.0
        self._bar = run.reporter.bar(
            f"epoch {run.progress.epoch + 1}/{run.settings.epochs}",
            total=int(run.current.tokens.sum()),
            start=int(run.current.tokens[:skip].sum()),
            unit="tok",
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        run, logs = self._run, logs or {}
        tokens = int(run.current.tokens[self._batch])
        self._batch += 1
        self._bar.advance(tokens, lambda: f"loss {float(logs['loss']):.3f}")
        if time.monotonic() - run.last_saved > self._interval:
            run.checkpoint()
        limit = run.settings.max_steps
        if (limit and run.steps >= limit) or run.out_of_time:
            self.model.stop_training = True

    def close(self) -> None:
        self._bar.close()
