"""What a person sees while a command works: progress on stderr, plots, the model card."""

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Reporter:
    """Writes lines and progress bars to stderr; stdout is for results alone."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()

    def log(self, text: str) -> None:
        """Writes one line."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def epoch(self, row: dict[str, float], *, best: bool, of: int) -> None:
        """Writes one line about a finished epoch."""
        scores = "  ".join(
            f"{name.replace('_', ' ')} {value:.3f}"
            for name, value in row.items()
            if name not in {"epoch", "steps", "seconds", "learning_rate"}
        )
        star = "  *" if best else ""
        self.log(f"epoch {row['epoch']:.0f}/{of}  {_clock(row['seconds'])}  {scores}{star}")

    def bar(self, title: str, *, total: int, unit: str, start: int = 0) -> "Bar":
        """Starts a bar over `total` units, `start` of which were done before."""
        return Bar(self._stream, self._live, title, total, start, unit)


class Bar:
    """Share done, rate and remaining time: redrawn on a terminal, a line now and then in a pipe."""

    def __init__(
        self, stream: TextIO, live: bool, title: str, total: int, start: int, unit: str
    ) -> None:
        self._stream, self._live, self._title, self._unit = stream, live, title, unit
        self._total, self._start, self._done = total, start, start
        self._began = self._shown = time.monotonic()

    def advance(self, amount: int, status: Callable[[], str] = lambda: "") -> None:
        """Counts `amount` more units; `status` is asked only when something is written."""
        self._done += amount
        now = time.monotonic()
        if now - self._shown < (0.5 if self._live else 15.0):
            return
        self._shown = now
        rate = (self._done - self._start) / max(now - self._began, 1e-9)
        left = _clock((self._total - self._done) / max(rate, 1e-9))
        line = (
            f"{self._title}  {self._done / max(self._total, 1):4.0%}  "
            f"{rate:,.0f} {self._unit}/s  {left} left  {status()}"
        )
        self._stream.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Removes the bar from a terminal."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
