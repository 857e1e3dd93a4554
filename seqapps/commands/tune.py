"""The command `tune`: several processes work through the trials of one study."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqapps.config import Settings, show, to_json
from seqapps.errors import UsageError, UserError
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.recipe import Recipe, settle
from seqapps.report import Reporter
from seqapps.space import Space, describe_space
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.task import Task
from seqapps.tuning.worker import command_line

with lazy_imports():
    from seqapps.tuning import outcome, participant

if TYPE_CHECKING:
    from seqapps.tuning.study import Study


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """Flags of `tune`.

    Raises:
        UsageError: If a number is outside its range.
    """

    trials: int = 20
    """Trials in the study, those of earlier runs included."""
    output: Path | None = None
    """The study's folder. Default: saved_models/RECIPE/ and the configuration's name with
    `.tuning`."""
    processes: int = 1
    """Trials at a time, each in a process with its share of the cores. The same command with
    --resume, started once more, joins in too."""
    trial_minutes: float = 0.0
    """Longest training of a trial; what it reached counts. 0 for no limit."""
    resume: bool = False
    """Go on with the study at this output, or join the processes that work on it."""
    overwrite: bool = False
    """Discard a study that is there and start anew (unless --resume is given too)."""

    def __post_init__(self) -> None:
        for name in ("trials", "processes"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} must be at least 1, got {getattr(self, name)}.")
        if not self.trial_minutes >= 0:
            raise UsageError(
                f"--trial-minutes must be at least 0, got {self.trial_minutes:g}; 0 is no limit."
            )


def tune_notes(space: Space, config_class: type) -> str:
    """What the help of `tune` says about a recipe's space.

    Raises:
        ValueError: If the space does not fit the settings.
    """
    return (
        "Each trial trains with other values of these settings and is measured on the validation\n"
        "split; the test split is not used. The first trial has the values that are given. A flag\n"
        "takes its setting out of the search, what a TOML file says does not.\n"
        + (describe_space(space, config_class) or "  (this recipe declares none)")
    )


def tune(recipe: Recipe[Any, Any], options: TuneOptions, settings: Settings[Any]) -> None:
    """Tries settings and writes the best ones.

    Raises:
        UserError: If Optuna is missing, a study is in the way or is not there, the data cannot be
            used, or no trial has a value.
    """
    _check_optuna()
    reporter = Reporter()
    config, _ = settle(recipe, settings.resolve(), reporter)
    space = remaining_space(recipe.space, settings)
    if not space:
        raise UsageError(
            f"{recipe.name} leaves tune nothing to try: "
            + ("every setting of its space is given." if recipe.space else "it has no space.")
        )
    name = settings.file.stem if settings.file else "demo"
    output = options.output or Path("saved_models") / recipe.name / f"{name}.tuning"
    folder = StudyFolder(output)
    plan = {
        "recipe": recipe.name,
        "settings": to_json(config),
        "space": {path: str(choice) for path, choice in space.items()},
        "trial_minutes": options.trial_minutes,
    }
    if options.resume:
        folder.reopen(plan)
    else:
        folder.begin(plan, overwrite=options.overwrite)
    task = Task(trials=options.trials, minutes=options.trial_minutes, alone=options.processes == 1)
    try:
        with _helpers(recipe, folder, task, options.processes, reporter):
            start_tensorflow()
            study = participant.work(recipe, config, space, folder, task, reporter)
    except Exception:
        participant.discard_if_new(folder)
        raise
    try:
        _finish(recipe, config, study, folder, _typed(recipe, options, settings), reporter)
    finally:
        study.close()


def remaining_space(space: Space, settings: Settings[Any]) -> Space:
    """The settings to try: those of the space, but for those that were given as flags.

    What stands in a TOML file is where the search begins; a flag is somebody's decision.
    """
    return {
        path: choice
        for path, choice in space.items()
        if path not in settings.given or not settings.given[path].where.startswith("--")
    }


def _finish(
    recipe: Recipe[Any, Any],
    config: Any,
    study: "Study",
    folder: StudyFolder,
    typed: str,
    reporter: Reporter,
) -> None:
    if study.best() is None:
        rows = study.rows()
        reasons = [row.reason for row in rows if row.reason]
        raise UserError(
            f"none of the {len(rows)} trials has a value. The last one failed because: "
            f"{reasons[-1] if reasons else 'unknown'}"
        )
    with folder.lock():
        file = outcome.write_outcome(
            folder, study, base=config, command=recipe.command, tune=typed, reporter=reporter
        )
    sys.stdout.write(f"{file}\n")


@contextmanager
def _helpers(
    recipe: Recipe[Any, Any],
    folder: StudyFolder,
    task: Task,
    processes: int,
    reporter: Reporter,
) -> Iterator[None]:
    """Starts further processes on the same study; they end with this one, however it ends."""
    if processes > 1:
        threads = str(max(1, len(os.sched_getaffinity(0)) // processes))
        # What was set outside stays.
        for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(variable, threads)
    line = command_line(recipe, folder, task) if processes > 1 else []
    # Standard output is for the result alone.
    started = [
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=2) for _ in range(processes - 1)
    ]
    try:
        yield
        for number, process in enumerate(started, 2):
            if code := process.wait():
                reporter.log(f"process {number} of {processes} ended with exit code {code}")
    finally:
        for process in started:
            # The end of its standard input ends it.
            if process.stdin:
                process.stdin.close()
            process.wait()


def _check_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"tune needs Optuna ({error}); install it with: pip install 'seqapps[tune]', or "
            "pip install 'optuna>=5'."
        ) from None


def _typed(recipe: Recipe[Any, Any], options: TuneOptions, settings: Settings[Any]) -> str:
    """The command, as it can be typed once more."""
    words = ["tune", *(["--config", str(settings.file)] if settings.file else [])]
    words += ["--trials", str(options.trials)]
    if options.trial_minutes:
        words += ["--trial-minutes", f"{options.trial_minutes:g}"]
    if options.output:
        words += ["--output", str(options.output)]
    for path, given in settings.given.items():
        if given.where.startswith("--"):
            words += [f"--{path}", show(given.value)]
    return f"{recipe.command} {shlex.join(words)}"
