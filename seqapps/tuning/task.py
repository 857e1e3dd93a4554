"""What a process that works on a study is told."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a process that works on a study is to do."""

    trials: int
    """In the study at its end."""
    minutes: float = 0.0
    """Longest training of a trial; 0 for no limit."""
    alone: bool = True
    """Whether the terminal belongs to this process, for bars."""
    helper: bool = False
    """Whether another process started this one and says what both have in common."""
