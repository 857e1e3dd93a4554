"""What a person sees while a command works: progress on stderr, plots, the model card."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from seqapps import __version__

_BOOKKEEPING = {"epoch", "steps", "seconds", "learning_rate"}
"""Columns of the history that are not measures."""


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
            if name not in _BOOKKEEPING
        )
        star = "  *" if best else ""
        self.log(f"epoch {row['epoch']:.0f}/{of}  {_clock(row['seconds'])}  {scores}{star}")

    def evaluation(self, metrics: Mapping[str, Any], samples: Sequence[Mapping[str, str]]) -> None:
        """Writes what was measured, and a few answers beside their references."""
        self.log("")
        for row in samples:
            width = max(map(len, row))
            self.log("\n".join(f"  {name:{width}}  {text}" for name, text in row.items()) + "\n")
        width = max(map(len, metrics), default=0)
        for name, value in metrics.items():
            self.log(f"{name:{width}}  {_number(value)}")

    def next_steps(self, command: str, output: Path) -> None:
        """Writes the commands that people want next."""
        self.log(
            f"\nThe bundle is at {output}: read {output / 'CARD.md'}, look at "
            f"{output / 'plots'}, and try\n"
            f"  {command} predict {output}\n"
            f"  {command} evaluate {output}\n"
            f"  saved_model_cli show --all --dir {output / 'servable' / '1'}\n"
            f"  python -c 'import seqapps; print(seqapps.load(\"{output}\").metrics)'"
        )

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


def plot_learning_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws loss and task metrics over the epochs, as PNG."""
    names = [n for n in history[0] if n not in _BOOKKEEPING] if history else []
    losses = [name for name in names if name.endswith("loss")]
    scores = [name for name in names if name not in losses]
    figure = new_figure(width=9.0 if scores else 4.5, height=3.6)
    axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    epochs = [row["epoch"] for row in history]
    for axis, group in zip(axes, [losses, scores] if scores else [losses], strict=True):
        for name in group:
            label = {"loss": "training (with dropout)", "validation_loss": "validation"}
            axis.plot(
                epochs,
                [row[name] for row in history],
                marker="o",
                markersize=3,
                label=label.get(name, name.upper() if name == "bleu" else name),
            )
        axis.set_xlabel("epoch")
        axis.set_ylabel("loss (nats per token)" if group is losses else "validation score")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(path, dpi=120)


def plot_attention(
    weights_TS: Any, *, source: Sequence[str], target: Sequence[str], path: Path
) -> None:
    """Draws where each target token looked, as PNG.

    Args:
        weights_TS: float, (target tokens, source tokens), rows sum to 1.
        source: Source tokens.
        target: Target tokens.
        path: The file to write.
    """
    figure = new_figure(width=2.0 + 0.35 * len(source), height=1.6 + 0.3 * len(target))
    axis = figure.subplots()
    image = axis.imshow(weights_TS, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axis.set_xticks(range(len(source)), source, rotation=60, ha="right")
    axis.set_yticks(range(len(target)), target)
    axis.set_xlabel("source token")
    axis.set_ylabel("target token")
    figure.colorbar(image, label="attention weight")
    figure.savefig(path, dpi=120)


def new_figure(*, width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches, without a window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def card(
    *,
    title: str,
    command: str,
    metrics: Mapping[str, Any],
    samples: Sequence[Mapping[str, str]],
    history: Sequence[Mapping[str, float]],
    settings: str,
    plots: Sequence[str],
) -> str:
    """Writes the model card: what it is, what was measured, how it was made (Markdown)."""
    lines = [f"# {title}", "", f"Made with `{command}` (seqapps {__version__}).", ""]
    lines += ["## Measured on the test split", "", "| Measure | Value |", "|---|---|"]
    lines += [f"| {name} | {_number(value)} |" for name, value in metrics.items()]
    if samples:
        columns = list(samples[0])
        lines += ["", "## Samples", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [
            f"| {' | '.join(row[name].replace('|', chr(92) + '|') for name in columns)} |"
            for row in samples
        ]
    if history:
        last = history[-1]
        lines += [
            "",
            "## Training",
            "",
            f"{last['epoch']:.0f} epochs, {last['steps']:.0f} updates, "
            f"{_clock(last['seconds'])} minutes. `history.csv` has a line for each epoch.",
        ]
    lines += ["", *(f"![{Path(name).stem}](plots/{name})" for name in plots)]
    lines += ["", "## Settings", "", "```json", settings, "```", ""]
    return "\n".join(lines)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
