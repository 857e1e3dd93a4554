"""One of the processes that work on a study: takes trials until there are enough."""

import itertools
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from seqapps.errors import UserError
from seqapps.recipe import Recipe
from seqapps.report import Reporter, label
from seqapps.space import Space
from seqapps.training import run as training_run
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.memory import released
from seqapps.tuning.outcome import short_names, shown
from seqapps.tuning.study import Study
from seqapps.tuning.task import Task
from seqapps.tuning.trial import Loader, Quiet, goal_of, train_trial, with_tried

_WAIT_S = 0.3
"""Between two looks at what other processes do."""


def work(
    recipe: Recipe[Any, Any],
    config: Any,
    space: Space,
    folder: StudyFolder,
    task: Task,
    reporter: Reporter,
) -> Study:
    """Takes trials until as many as are asked for have ended, in this process or others.

    Returns:
        The study, to be closed.

    Raises:
        UserError: If the settings as they were given do not work, or the data cannot be used.
    """
    loader = Loader(recipe, space, folder, Quiet(reporter) if task.helper else reporter)
    with folder.presence() as place:
        study = _open(recipe, config, space, folder, task, loader)
        participant = _Participant(recipe, config, space, study, loader, task, place, reporter)
        waiting = False
        while True:
            with folder.lock():
                claimed = study.claim(place.name, trials=task.trials, first=_first(space, config))
                if claimed is None and study.ended >= task.trials:
                    return study
            if claimed:
                participant.try_out(*claimed)
                continue
            # A process that is killed meanwhile leaves its trial to us.
            if not (waiting or task.helper):
                reporter.log("waiting for trials of other processes")
            waiting = True
            time.sleep(_WAIT_S)


def _open(
    recipe: Recipe[Any, Any],
    config: Any,
    space: Space,
    folder: StudyFolder,
    task: Task,
    loader: Loader,
) -> Study:
    """Opens the study; the first process finds out what its value is."""
    while True:
        with folder.lock():
            study = Study(folder, space=space, seed=config.seed)
            # A helper leaves that to the process that started it, and its errors too.
            if not (study.is_new and task.helper):
                training_run.start(config)
                examples = loader.base(config)
                if study.is_new:
                    with released():
                        goal, highest = goal_of(recipe, config, examples)
                    study.create(goal=goal, highest=highest)
                return study
        study.close()
        time.sleep(_WAIT_S)


def discard_if_new(folder: StudyFolder) -> None:
    """Removes a study without a trial, so that it is not in the way of the next run.

    It stays where another process is at work on it, which may be about to begin.
    """
    with folder.lock():
        study = Study(folder, space={}, seed=0)
        new = study.is_new
        study.close()
        if new and not folder.in_use:
            shutil.rmtree(folder.path, ignore_errors=True)


@dataclass(frozen=True)
class _Participant:
    """This process at work."""

    recipe: Recipe[Any, Any]
    config: Any
    space: Space
    study: Study
    loader: Loader
    task: Task
    place: Path
    reporter: Reporter

    def try_out(self, number: int, trial: optuna.Trial) -> None:
        """Trains a trial and says how it ended."""
        title = f"trial {number}/{self.task.trials}"
        tried = dict(trial.params)
        names = short_names(list(tried))
        values = "  ".join(f"{names[path]} {shown(value)}" for path, value in tried.items())
        self.reporter.log(f"{title}  {values}")
        began = time.monotonic()
        value, failed = None, ""
        try:
            with released():
                value = self._train(title, trial, tried)
        except optuna.TrialPruned:
            pass
        except UserError as error:
            failed = str(error)
        self.study.finish(trial, value, failed=failed)
        took = f"{time.monotonic() - began:.1f} s"
        if failed:
            self.reporter.log(f"{title}  failed after {took}: {failed}")
            return
        if value is None:
            self.reporter.log(f"{title}  stopped after {took}: others were better by then")
            return
        best = self.study.best()
        mark = "  (best)" if best and best.number == number else ""
        self.reporter.log(f"{title}  {label(self.study.goal)} {value:.4g}  {took}{mark}")

    def _train(self, title: str, trial: optuna.Trial, tried: Mapping[str, Any]) -> float:
        config = with_tried(self.config, tried)

        measurings = itertools.count(1)

        def watch(row: Mapping[str, float]) -> None:
            trial.report(row[self.study.goal], next(measurings))
            # After the last epoch there is nothing to save.
            last = 0 < config.training.epochs <= row["epoch"]
            if not last and trial.should_prune():
                raise optuna.TrialPruned

        return train_trial(
            self.recipe,
            config,
            self.loader,
            folder=self.place / "trial",
            reporter=Quiet(self.reporter, f"{title}, ", bars=self.task.alone),
            minutes=self.task.minutes,
            watch=watch,
        )


def _first(space: Space, config: Any) -> dict[str, Any]:
    """The settings as they were given, as far as they are in the space."""
    values: dict[str, Any] = {}
    for path, choice in space.items():
        value = config
        for name in path.split("."):
            value = getattr(value, name)
        if choice.contains(value):
            values[path] = value
    return values
