"""Flags of `tune`."""

from dataclasses import dataclass
from pathlib import Path

from seqapps.errors import UsageError
from seqapps.tuning_space import Space, describe_space


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
