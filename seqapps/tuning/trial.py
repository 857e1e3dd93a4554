"""One trial: a network trained with some settings and measured on the validation split."""

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.config import Given, Settings
from seqapps.errors import UserError
from seqapps.recipe import Examples, Recipe
from seqapps.report import Bar, Reporter
from seqapps.space import Space, needs_assets, needs_examples
from seqapps.training import run as training_run
from seqapps.tuning.folder import StudyFolder


class Loader:
    """Gives the examples of each trial, the same ones where that is right.

    Args:
        recipe: The application.
        space: What is tried.
        folder: Keeps what was fitted, for all processes.
        reporter: Gets what loading says, once.
    """

    def __init__(
        self, recipe: Recipe[Any, Any], space: Space, folder: StudyFolder, reporter: Reporter
    ) -> None:
        self._recipe, self._folder, self._reporter = recipe, folder, reporter
        self._anew, self._fit_anew = needs_examples(space), needs_assets(space)
        self._examples: Examples | None = None

    def base(self, config: Any) -> Examples:
        """Loads for the settings as they were given; only under the folder's lock."""
        if self._examples is None:
            assets = None if self._fit_anew else self._folder.assets
            self._examples = self._recipe.load(config, assets, self._reporter)
            if assets is None and not self._fit_anew:
                self._folder.keep_assets(self._examples.assets)
        return self._examples

    def __call__(self, config: Any) -> Examples:
        """The examples for a trial's settings; `base` comes before the first."""
        if self._examples is not None and not self._anew:
            return self._examples
        assets = None if self._fit_anew else self._folder.assets
        return self._recipe.load(config, assets, Quiet(self._reporter))


class Quiet(Reporter):
    """Shows progress bars under a title, and keeps everything else to itself."""

    def __init__(self, outer: Reporter, title: str = "", *, bars: bool = True) -> None:
        super().__init__()
        self._outer, self._title, self._bars = outer, title, bars

    def log(self, text: str) -> None:
        """Writes nothing."""

    def bar(self, title: str, *, total: int, unit: str, start: int = 0) -> Bar:
        """Starts a bar."""
        if not self._bars:
            return Silent()
        return self._outer.bar(f"{self._title}{title}", total=total, unit=unit, start=start)


class Silent(Bar):
    """A bar that nobody sees."""

    def __init__(self) -> None:
        pass

    def advance(self, amount: int, status: Callable[[], str] = str) -> None:
        """Writes nothing."""

    def close(self) -> None:
        """Writes nothing."""


def goal_of(recipe: Recipe[Any, Any], config: Any, examples: Examples) -> tuple[str, bool]:
    """Name of what a trial's value is, and whether more is better.

    A network is built to ask for it, so that settings that do not work are known before the first
    trial.
    """
    if config.training.monitor == "loss":
        return "validation_loss", False
    goal = recipe.goal(config, recipe.build(config, examples), examples)
    return goal.name, goal.highest


def with_tried(base: Any, tried: Mapping[str, Any]) -> Any:
    """Settings with other values in them.

    Raises:
        UserError: If they refuse the values.
    """
    given = {path: Given(value, path) for path, value in tried.items()}
    return Settings(type(base), given).resolve(base)


def train_trial(
    recipe: Recipe[Any, Any],
    config: Any,
    loader: Loader,
    *,
    folder: Path,
    reporter: Reporter,
    minutes: float,
    watch: Callable[[Mapping[str, float]], None],
) -> float:
    """Trains with some settings and leaves nothing behind.

    Args:
        recipe: The application.
        config: The trial's settings.
        loader: Gives its examples.
        folder: For checkpoints; removed afterwards.
        reporter: Shows progress.
        minutes: Longest training; 0 for no limit.
        watch: Gets the history's row of each epoch; what it raises ends the trial.

    Returns:
        The value of the best epoch.

    Raises:
        UserError: If the settings do not work: together, with these data, or on this machine.
    """
    quick = with_tried(config, {"training.tensorboard": False})
    training_run.start(quick)
    try:
        progress = training_run.learn(
            recipe,
            quick,
            loader(quick),
            folder=folder,
            reporter=reporter,
            watch=watch,
            limit_minutes=minutes,
        ).progress
    except (UserError, ValueError) as error:
        raise UserError(str(error)) from error
    except tf.errors.ResourceExhaustedError as error:
        raise UserError("out of memory; try smaller sizes or --training.batch_tokens") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if progress.best is None or not math.isfinite(progress.best):
        raise UserError(f"no epoch had a finite value, got {progress.best}")
    return float(progress.best)
