"""Trials in Optuna's storage: which come next, how each ended, which is best.

A trial has a number from 1. Its suggestion is drawn from the study's seed and that number, so
that no two processes draw alike. What a killed process was at is marked as failed, and its number
goes to the next trial: the study ends with exactly as many trials as were asked for. If that is
killed too, the settings are to blame (most likely they need more memory than there is), and the
number counts as a failed trial.
"""

import math
import random
import sqlite3
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.trial import TrialState

from seqapps.space import Choice, Float, Space, Whole
from seqapps.tuning.folder import StudyFolder

_BUSY_S = 120.0
"""How long SQLite waits for other processes."""
_NAME = "tune"
_KILLED_MARK = "killed"
_ATTEMPTS = 2
"""Processes that may be killed at one trial; then it has failed."""
_KILLED = (
    f"its process was killed {_ATTEMPTS} times, most likely for want of memory; try smaller sizes "
    "or --training.batch_tokens"
)

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Row:
    """One trial."""

    number: int
    """From 1."""
    state: Literal["complete", "pruned", "failed"]
    """`pruned` was stopped because others were better at the same epoch."""
    value: float | None
    """Of its best epoch."""
    seconds: float
    """From its suggestion to its end."""
    settings: dict[str, Any]
    """What was tried."""
    reason: str = ""
    """Why it failed."""


class Study:
    """A study in a folder. Methods that change it are called under the folder's lock.

    Args:
        folder: Where it is.
        space: What is tried.
        seed: Of all suggestions.
    """

    def __init__(self, folder: StudyFolder, *, space: Space, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._space = {path: _distribution(choice) for path, choice in space.items()}
        # By a function, not by its address: a path may hold what means something in an address.
        self._storage = optuna.storages.RDBStorage(
            "sqlite:///study.db", engine_kwargs={"creator": self._connect}
        )
        names = optuna.get_all_study_names(self._storage)
        self._study = self._load() if _NAME in names else None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._folder.database, timeout=_BUSY_S, check_same_thread=False)

    def _load(self) -> optuna.Study:
        # At the first epoch the learning rate is still rising.
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        return optuna.load_study(study_name=_NAME, storage=self._storage, pruner=pruner)

    def close(self) -> None:
        """Lets go of the storage."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @property
    def is_new(self) -> bool:
        """Whether nothing is known about its goal yet."""
        return self._study is None

    def create(self, *, goal: str, highest: bool) -> None:
        """Says what the values of trials are."""
        optuna.create_study(
            study_name=_NAME,
            storage=self._storage,
            direction="maximize" if highest else "minimize",
            load_if_exists=True,
        )
        self._study = self._load()
        self._study.set_user_attr("goal", goal)

    @property
    def handle(self) -> optuna.Study:
        """Optuna's object.

        Raises:
            RuntimeError: If the study has no goal yet.
        """
        if self._study is None:
            raise RuntimeError("the study has no goal yet; call create first.")
        return self._study

    @property
    def goal(self) -> str:
        """Name of the value: a metric, or `validation_loss`."""
        return str(self.handle.user_attrs.get("goal", "value"))

    @property
    def highest(self) -> bool:
        """Whether more is better."""
        return self.handle.direction == optuna.study.StudyDirection.MAXIMIZE

    def claim(
        self, worker: str, *, trials: int, first: dict[str, Any]
    ) -> tuple[int, optuna.Trial] | None:
        """Takes the next trial, unless as many as are asked for have ended or are running.

        Args:
            worker: Name of this process in the folder.
            trials: How many are asked for.
            first: What to try first, as far as it is given.

        Returns:
            Its number and Optuna's trial, whose parameters are what to try.
        """
        self._release()
        taken = {trial.user_attrs["trial"] for trial in self._alive()}
        if len(taken) >= trials:
            return None
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        waiting = self.handle.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if number == 1 and not waiting:
            self.handle.enqueue_trial(first)
        self.handle.sampler = optuna.samplers.TPESampler(
            n_startup_trials=min(10, max(5, trials // 3)),
            seed=random.Random(f"{self._seed} {number}").getrandbits(31),
        )
        trial = self.handle.ask(self._space)
        trial.set_user_attr("worker", worker)
        trial.set_user_attr("trial", number)
        return number, trial

    def finish(self, trial: optuna.Trial, value: float | None, *, failed: str = "") -> None:
        """Says how a trial ended.

        Args:
            trial: From `claim`.
            value: Of its best epoch; None if it was stopped early or failed.
            failed: The reason.
        """
        if failed:
            trial.set_user_attr("reason", failed)
        # A failure of the settings is stored as pruned: the sampler learns from those, and keeps
        # away from what cannot work; from Optuna's failed ones it does not.
        state = TrialState.COMPLETE if value is not None else TrialState.PRUNED
        self.handle.tell(trial, value, state)

    @property
    def running(self) -> int:
        """How many trials are at work now."""
        return sum(trial.state == TrialState.RUNNING for trial in self._alive())

    @property
    def ended(self) -> int:
        """How many trials came to an end of their own."""
        return len(self._alive()) - self.running

    def rows(self) -> list[Row]:
        """The trials that ended, by number."""
        ended = [_row(t, self.highest) for t in self._alive() if t.state != TrialState.RUNNING]
        return sorted(ended, key=lambda row: row.number)

    def best(self) -> Row | None:
        """The complete trial with the best value; of equals, the first."""
        choose: Callable[..., Row | None] = max if self.highest else min
        complete = [row for row in self.rows() if row.state == "complete"]
        return choose(complete, key=lambda row: row.value, default=None)

    def importances(self) -> dict[str, float]:
        """Share of each setting in what made values good, the largest first.

        Raises:
            ValueError, RuntimeError or UserWarning: If the trials do not tell.
        """
        with warnings.catch_warnings():
            # It would give each setting the same share.
            warnings.filterwarnings("error", "Target and region quantiles", UserWarning)
            shares = optuna.importance.get_param_importances(self.handle)
        return {path: float(share) for path, share in shares.items()}

    def _alive(self) -> list[optuna.trial.FrozenTrial]:
        """Trials but for those whose process was killed."""
        wanted = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        trials = self.handle.get_trials(deepcopy=False, states=wanted)
        return [trial for trial in trials if "trial" in trial.user_attrs]

    def _release(self) -> None:
        """Fails the trials of processes that are gone."""
        for trial in self.handle.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Killed between its suggestion and its attributes if it has none.
            complete = "trial" in trial.user_attrs
            if complete and self._folder.is_alive(trial.user_attrs["worker"]):
                continue
            state = TrialState.FAIL
            if complete and self._folder.was_killed(trial.user_attrs["worker"]):
                state = self._killed(trial)
            self.handle.tell(trial.number, state=state)
        self._folder.sweep()

    def _killed(self, trial: optuna.trial.FrozenTrial) -> TrialState:
        """Notes that a process was killed at a trial; returns how that ends the trial."""
        number = trial.user_attrs["trial"]
        before = sum(
            other.user_attrs.get("trial") == number and _KILLED_MARK in other.user_attrs
            for other in self.handle.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        )
        handle = optuna.Trial(self.handle, trial._trial_id)
        handle.set_user_attr(_KILLED_MARK, True)
        if before + 1 < _ATTEMPTS:
            return TrialState.FAIL
        # As in `finish`: the sampler is to keep away from there.
        handle.set_user_attr("reason", _KILLED)
        return TrialState.PRUNED


def _distribution(choice: Choice) -> optuna.distributions.BaseDistribution:
    if isinstance(choice, Float):
        return optuna.distributions.FloatDistribution(choice.low, choice.high, log=choice.log)
    if isinstance(choice, Whole):
        return optuna.distributions.IntDistribution(
            choice.low, choice.high, log=choice.log, step=choice.step
        )
    return optuna.distributions.CategoricalDistribution(choice.values)


def _row(trial: optuna.trial.FrozenTrial, highest: bool) -> Row:
    reason = str(trial.user_attrs.get("reason", ""))
    state: Literal["complete", "pruned", "failed"]
    if trial.state == TrialState.COMPLETE:
        state, value = "complete", trial.value
    elif reason:
        state, value = "failed", None
    else:
        epochs = [v for v in trial.intermediate_values.values() if not math.isnan(v)]
        state, value = "pruned", (max if highest else min)(epochs, default=None)
    return Row(
        number=int(trial.user_attrs["trial"]),
        state=state,
        value=value,
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
        settings=dict(trial.params),
        reason=reason,
    )
