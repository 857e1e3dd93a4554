"""How many updates fit into the minutes that there are."""

import math
import time
from dataclasses import dataclass, field

FIRST = 0.08
"""Share of the time after which the updates so far say how many there will be."""

_MEASURING = 0.15
"""Share of the remaining time that measuring may take."""

_MOST = 20
"""Times that the network is measured, at most."""


@dataclass
class Stopwatch:
    """What an update takes, from the second one on: the first builds what the others use."""

    started: float = field(default_factory=lambda: time.monotonic())
    """When the first one was awaited."""
    since: float | None = None
    """When it ended."""
    first: int = 0
    """Real steps in it."""
    tokens: int = 0
    """Real steps in the updates since then."""

    def count(self, tokens: int) -> None:
        """Notes the end of an update."""
        if self.since is None:
            self.since, self.first = time.monotonic(), tokens
        else:
            self.tokens += tokens

    @property
    def running_s(self) -> float:
        """Seconds since the first update ended."""
        return 0.0 if self.since is None else time.monotonic() - self.since

    def seconds_a_token(self) -> float:
        """Seconds from one update to the next, for each real step in it."""
        if self.since is None or not self.tokens:
            return (time.monotonic() - self.started) / max(self.first, 1)
        return (time.monotonic() - self.since) / self.tokens


def lay_out(
    *, left_s: float, update_s: float, measuring_s: float, done: int, most: int = 0
) -> tuple[int, int]:
    """Lays a training out over the time that is left.

    Args:
        left_s: Seconds for updates and measuring.
        update_s: Seconds of one update.
        measuring_s: Seconds of one measuring on the validation split.
        done: Updates so far.
        most: Updates that there may be in all, 0 for no limit.

    Returns:
        Updates of the whole training, at least `done`, and how many there are from one measuring
        to the next, at least 1. The last update is measured.
    """
    affordable = _MEASURING * left_s / max(measuring_s, 1e-9)
    measurings = math.floor(min(max(affordable, 1.0), _MOST))
    updates = math.floor((left_s - measurings * measuring_s) / max(update_s, 1e-9))
    updates = max(updates, 0)
    if most:
        updates = min(updates, max(most - done, 0))
    return done + updates, max(1, math.ceil(updates / measurings))
