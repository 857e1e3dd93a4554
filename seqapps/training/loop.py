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
from seqapps.report import Bar, Reporter, clock, label
from seqapps.training.checkpoint import Checkpoints, Progress
from seqapps.training.optimizer import GroupedAdamW, LayerGroup
from seqapps.training.schedule import Schedule
from seqapps.training.settings import Training
from seqapps.training.step import NOT_FINITE, Loss, Trainee
from seqapps.training.timing import FIRST, Stopwatch, lay_out

__all__ = ["Goal", "Pass", "fit"]


_FORETELLS_S = 3.0
"""Seconds of updates after which a training says how long it will take."""


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
    floor: float | None = None
    """The value of a network that knows nothing: 100 for an error rate, 0 for BLEU, the share of
    the commonest label. Nothing is concluded from it, or from what is worse."""


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
    limit_minutes: float = 0.0,
    began: float | None = None,
    rest: Callable[[float], float] = lambda _: 0.0,
    finish: bool = False,
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
        limit_minutes: Stop after this time, validate and be done; 0 for no limit. The schedule
            does not know of it.
        began: `time.monotonic()` when `settings.minutes` began; None for now.
        rest: `rest(seconds)`: how long what follows takes if measuring on the validation split
            takes so many seconds; `settings.minutes` include it.
        finish: Train no more; measure what there is if it was not yet.

    Returns:
        What happened; `history` has a row for each epoch: `epoch` (passes so far), `steps`
        (updates so far),
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
        run.seconds_before = run.progress.seconds
        if run.progress.total:
            run.schedule.lay_out(run.progress.total)
        reporter.log(f"resuming at step {run.steps}, epoch {run.progress.epoch + 1}")
    run.limit_s = limit_minutes * 60.0
    run.ends = (time.monotonic() if began is None else began) + settings.minutes * 60.0
    run.rest = rest
    if finish:
        run.finish()
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
        self.timed = settings.minutes > 0
        limits = (settings.epochs * len(self.next_pass.tokens), settings.max_steps)
        self.most_steps = min((limit for limit in limits if limit), default=0)
        self.schedule = Schedule(
            peak=settings.learning_rate,
            # Minutes may decide later.
            steps=self.most_steps,
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
        self.limit_s, self.ends = 0.0, 0.0
        self.rest: Callable[[float], float] = lambda _: 0.0
        self.stopwatch = Stopwatch()
        self.foretold = False
        self._bar: Bar | None = None
        self.board = (
            tf.summary.create_file_writer(str(folder / "logs")) if settings.tensorboard else None
        )

    def train(self, watch: Callable[[Mapping[str, float]], None] | None) -> None:
        while not self.progress.done:
            try:
                self._train_pass(self.progress.epoch)
            except KeyboardInterrupt:
                self.checkpoint()
                raise
            finally:
                if self._bar and (not self.timed or self.due):
                    self._bar.close()
                    self._bar = None
            if not self.due:
                self._turn()
                continue
            self._finish_epoch()
            # Of what minutes decided, too.
            if self.progress.done or (self.timed and len(self.progress.history) == 1):
                self.checkpoint()
            if watch:
                watch(self.progress.history[-1])
        if self.board:
            self.board.close()

    def finish(self) -> None:
        """Measures what is not measured yet, and is done."""
        self.progress.total = self.progress.total or self.steps
        if self.steps > self.progress.measured:
            self.current = self.examples.training_pass(self.progress.epoch)
            self._finish_epoch()
        self.progress.done = True
        self.checkpoint()

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

    @property
    def complete(self) -> bool:
        """Whether all updates were made."""
        settings, progress = self.settings, self.progress
        total = progress.total or settings.max_steps
        passes = 0 < settings.epochs <= progress.epoch
        return 0 < total <= self.steps or passes or self.out_of_time

    @property
    def due(self) -> bool:
        """Whether to measure now: after a pass, or after the updates that the minutes give."""
        progress = self.progress
        if not self.timed or self.complete:
            return True
        if progress.total:
            return self.steps >= progress.measured + progress.every
        # Of few passes none is long enough to be timed, and each is worth measuring.
        passed = self.settings.epochs and self.steps - progress.epoch_start >= self._batches
        timed = self.stopwatch.running_s >= FIRST * self.settings.minutes * 60.0
        return bool(self.stopwatch.tokens and (passed or timed))

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.sitting_start

    def _train_pass(self, epoch: int) -> None:
        """Trains to the end of a pass, or until there is something to measure."""
        steps = self.steps
        self.current = self.examples.training_pass(epoch) if epoch else self.next_pass
        skip = steps - self.progress.epoch_start
        if epoch == 0 and skip == 0:
            self.reporter.log(
                f"{len(self.current.tokens)} batches a pass, "
                f"{int(self.current.tokens.sum())} tokens, {self.current.padding:.1%} padding"
            )
            if self.timed:
                self.reporter.log(
                    f"timing updates for {FIRST * self.settings.minutes * 60.0:.0f} s; they count"
                )
        measured = self.timed and self.progress.total and self.due
        if skip >= len(self.current.tokens) or self.complete or measured:
            return
        self._bar = self._bar or self._open_bar(skip)
        try:
            self.trainee.fit(
                self.current.dataset(skip),
                epochs=epoch + 1,
                initial_epoch=epoch,
                shuffle=False,
                verbose=0,
                callbacks=[_Watcher(self, skip, self._bar)],
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
        if not self.timed or self.due:
            # A run that is stopped while it validates goes on from here, and validates again.
            self.checkpoint()

    @property
    def _batches(self) -> int:
        """Batches of this pass."""
        return len(self.current.tokens)

    def _turn(self) -> None:
        """Goes on to the next pass, if this one is at its end."""
        if self.steps - self.progress.epoch_start >= self._batches:
            self.progress.epoch += 1
            self.progress.epoch_start = self.steps

    def _finish_epoch(self) -> None:
        update_s = self.stopwatch.seconds_a_token() * float(np.mean(self.current.tokens))
        self.progress.update_s = update_s
        begun = time.monotonic()
        self.trainee.swap_averages()
        try:
            row = self._measure()
        finally:
            self.trainee.swap_averages()
        if self.timed and not self.progress.total:
            self._lay_out(update_s, time.monotonic() - begun)
        progress = self.progress
        out_of_patience = self.settings.patience and progress.stale >= self.settings.patience
        progress.done = bool(self.complete or out_of_patience)
        of = self._passes(progress.total) if self.timed else self.settings.epochs
        self.reporter.epoch(row, best=progress.stale == 0, of=of)
        if out_of_patience and not self.complete:
            self.reporter.log(f"stopped early: no improvement for {progress.stale} epochs")
        if self.board:
            with self.board.as_default():
                for name, value in row.items():
                    tf.summary.scalar(name, value, step=row["steps"])
                self.board.flush()

    def _lay_out(self, update_s: float, measuring_s: float) -> None:
        """Fixes the number of updates, once, by what they and measuring took so far."""
        progress = self.progress
        left_s = self.ends - time.monotonic() - self.rest(measuring_s)
        progress.total, progress.every = lay_out(
            left_s=left_s,
            update_s=update_s,
            measuring_s=measuring_s,
            done=self.steps,
            most=self.most_steps,
        )
        self.schedule.lay_out(progress.total)
        self.reporter.log(
            f"{self.settings.minutes:g} minutes: {progress.total:,} updates, "
            f"{self._passes(progress.total):.1f} passes"
            f"{' (no more are wanted)' if progress.total == self.most_steps else ''}, "
            f"measured every {progress.every:,}; "
            f"about {clock((progress.total - self.steps) * update_s)} of updates to come, then the "
            "test split and the certificate"
        )

    def foretell(self) -> None:
        """Says once how long the updates of a training over passes take."""
        watch = self.stopwatch
        if self.timed or self.foretold or watch.running_s < _FORETELLS_S:
            return
        self.foretold = True
        update_s = watch.seconds_a_token() * float(np.mean(self.current.tokens))
        left = clock((self.most_steps - self.steps) * update_s)
        self.reporter.log(
            f"about {left} of updates to come, and measuring after each pass; then the test split "
            "and the certificate"
        )

    def _passes(self, steps: int) -> float:
        """Passes after so many updates, as far as one can tell from this one."""
        progress = self.progress
        more = (steps - progress.epoch_start) / len(self.current.tokens)
        return round(progress.epoch + more, 2)

    def _measure(self) -> dict[str, float]:
        """Validates, keeps the best weights, and adds a row to the history."""
        progress, trainee = self.progress, self.trainee
        trainee.validation_loss.reset_state()
        trainee.evaluate(self.examples.validation_batches(), verbose=0)
        loss = float(trainee.validation_loss.result())
        scores = {**self.goal.score(), **self.goal.of_loss(loss)}
        steps = progress.measured = self.steps
        if self.timed:
            self._turn()
        else:
            progress.epoch += 1
            progress.epoch_start = steps
        row = {
            "epoch": self._passes(steps) if self.timed else progress.epoch,
            "steps": steps,
            "seconds": round(self._seconds(), 1),
            "learning_rate": float(self.schedule(steps)),
            "gradient_norm": round(float(trainee.gradient_norm.result()), 6),
            "loss": round(float(trainee.training_loss.result()), 6),
            "validation_loss": round(loss, 6),
            **{name: round(float(value), 4) for name, value in scores.items()},
        }
        # The next row's are of what comes now.
        trainee.training_loss.reset_state()
        trainee.gradient_norm.reset_state()
        progress.history.append(row)
        self._judge(scores[self.goal.name] if self._by_score else loss, loss)
        return row

    @property
    def _by_score(self) -> bool:
        """Whether the task's metric says what is best, and not the loss."""
        return self.settings.monitor == "metric"

    def _judge(self, value: float, loss: float) -> None:
        """Compares with the best epoch; of equal ones the lower loss is better."""
        progress = self.progress
        sign = 1.0 if self._by_score and self.goal.highest else -1.0
        if math.isnan(value):
            value = -sign * math.inf
        loss = math.inf if math.isnan(loss) else loss
        before = math.inf if progress.best_loss is None else progress.best_loss
        if (
            progress.best is None
            or sign * value > sign * progress.best
            or (value == progress.best and loss < before)
        ):
            progress.best, progress.best_loss = value, loss
            progress.stale, progress.plateau = 0, 0
            self.checkpoints.keep_best()
            return
        floor = self.goal.floor
        if self._by_score and floor is not None and sign * value <= sign * floor:
            self.reporter.log(
                f"{label(self.goal.name)} says nothing yet; the validation loss is {loss:.3f}, "
                f"{before:.3f} at its best"
            )
            return
        progress.stale += 1
        progress.plateau += 1
        if self.settings.schedule == "plateau" and progress.plateau >= self.settings.plateau_epochs:
            self.schedule.scale.assign(self.schedule.scale * 0.5)
            progress.plateau = 0

    def _open_bar(self, skip: int) -> Bar | None:
        """A bar over this pass, or over all updates where minutes decide; None before they do."""
        if not self.timed:
            return self.reporter.bar(
                f"epoch {self.progress.epoch + 1}/{self.settings.epochs}",
                total=int(self.current.tokens.sum()),
                start=int(self.current.tokens[:skip].sum()),
                unit="tok",
            )
        total = self.progress.total
        if not total:
            return None
        return self.reporter.bar("training", total=total, start=self.steps, unit="updates")


class _Watcher(keras.callbacks.Callback):
    """Shows progress and writes a checkpoint every few minutes."""

    def __init__(self, run: _Run, skip: int, bar: Bar | None) -> None:
        super().__init__()
        self._run, self._batch, self._bar = run, skip, bar
        self._interval = run.settings.checkpoint_minutes * 60.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        run, logs = self._run, logs or {}
        tokens = int(run.current.tokens[self._batch])
        self._batch += 1
        run.stopwatch.count(tokens)
        run.foretell()
        if self._bar:
            amount = 1 if run.timed else tokens
            self._bar.advance(amount, lambda: f"loss {float(logs['loss']):.3f}")
        if time.monotonic() - run.last_saved > self._interval:
            run.checkpoint()
        if run.complete or (run.timed and run.due):
            self.model.stop_training = True
