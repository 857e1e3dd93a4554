"""What a person reads while a command works: progress on stderr, and the model card."""

import errno
import json
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from seqapps.errors import full
from seqapps.version import __version__

BOOKKEEPING = {"epoch", "steps", "seconds", "learning_rate", "gradient_norm"}
"""Columns of the history that say how training went, not how good the network is."""
_ACRONYMS = {"bleu": "BLEU", "chrf": "chrF", "wer": "WER", "cer": "CER"}
"""Names as the field writes them."""


class Reporter:
    """Writes lines and progress bars to stderr; stdout is for results alone."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self.began = time.monotonic()
        """When the work began."""
        self._stages: dict[str, float] = {}
        self._stage, self._since = "", self.began

    def stage(self, name: str) -> None:
        """Says what is done from now on, for `spent`."""
        now = time.monotonic()
        if self._stage:
            self._stages[self._stage] = self._stages.get(self._stage, 0.0) + now - self._since
            self._since = now
        self._stage = name

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each stage, in their order; the one that is under way ends here."""
        self.stage("")
        return dict(self._stages)

    def spent(self) -> None:
        """Writes where the time went."""
        parts = ", ".join(f"{name} {clock(seconds)}" for name, seconds in self.stages.items())
        if not parts:
            return
        self.log(f"\nTook {clock(time.monotonic() - self.began)}: {parts}")

    def log(self, text: str) -> None:
        """Writes one line."""
        _write(self._stream, text + "\n")

    def epoch(self, row: Mapping[str, float], *, best: bool, of: float) -> None:
        """Writes one line about a finished epoch, or about so many passes of a longer training."""
        scores = "  ".join(
            f"{label(name)} {value:.3f}" for name, value in row.items() if name not in BOOKKEEPING
        )
        width, places = len(str(of)), 0 if isinstance(of, int) else 2
        number = f"{row['epoch']:{width}.{places}f}/{of}"
        mark = "  (best)" if best else ""
        self.log(f"epoch {number}  {clock(row['seconds'])}  {scores}{mark}")

    def evaluation(
        self,
        metrics: Mapping[str, Any],
        samples: Sequence[Mapping[str, str]],
        on: str = "the test split",
        warnings: Sequence[str] = (),
    ) -> None:
        """Writes what was measured, and a few answers beside their references."""
        for row in samples:
            width = max(map(len, row))
            self.log("\n" + "\n".join(f"  {name:{width}}  {text}" for name, text in row.items()))
        self.log(f"\nMeasured on {on}:")
        width = max((len(label(name)) for name in metrics), default=0)
        for name, value in metrics.items():
            self.log(f"  {label(name):{width}}  {_number(value)}")
        for warning in warnings:
            self.log(f"warning: {warning}")

    def next_steps(self, command: str, output: Path) -> None:
        """Writes the commands that people want next."""
        bundle, servable = shlex.quote(str(output)), shlex.quote(str(output / "servable" / "1"))
        python = f"import seqapps; print(seqapps.load({_literal(output)}).metrics)"
        self.log(
            f"\nThe bundle is at {output}: read {output / 'CARD.md'}, look at "
            f"{output / 'plots'}, and try\n"
            f"  {command} predict {bundle}\n"
            f"  {command} evaluate {bundle}\n"
            f"  saved_model_cli show --all --dir {servable}\n"
            f"  python -c {shlex.quote(python)}"
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

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, amount: int, status: Callable[[], str] = lambda: "") -> None:
        """Counts `amount` more units; `status` is asked only when something is written."""
        self._done += amount
        now = time.monotonic()
        if now - self._shown < (0.5 if self._live else 15.0):
            return
        self._shown = now
        rate = (self._done - self._start) / max(now - self._began, 1e-9)
        left = clock((self._total - self._done) / max(rate, 1e-9))
        line = (
            f"{self._title}  {self._done / max(self._total, 1):4.0%}  "
            f"{rate:,.0f} {self._unit}/s  {left} left  {status()}"
        ).rstrip()
        if self._live:
            # A longer line would wrap, and its first part would stay on the screen.
            line = line[: shutil.get_terminal_size().columns - 1]
        _write(self._stream, f"\r\x1b[K{line}" if self._live else f"{line}\n")

    def close(self) -> None:
        """Removes the bar from a terminal."""
        if self._live:
            _write(self._stream, "\r\x1b[K")


def _write(stream: TextIO, text: str) -> None:
    """Writes at once. A log that takes no more is no reason to end the work that it tells of."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # A terminal that has ended says EIO.
        if not full(error) and error.errno != errno.EIO:
            raise


def _literal(path: Path) -> str:
    """A path as Python reads it, in double quotes, which need no escape inside a shell's."""
    return json.dumps(str(path), ensure_ascii=False)


def label(name: str) -> str:
    """A measure's name for people: `validation_bleu` is "validation BLEU"."""
    return " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))


def clock(seconds: float) -> str:
    """Minutes:seconds, with hours before them if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def card(
    *,
    title: str,
    command: str,
    typed: str,
    seed: int,
    cores: int,
    bundle: Path,
    followed: str = "",
    anew: str = "",
    metrics: Mapping[str, Any],
    warnings: Sequence[str] = (),
    samples: Sequence[Mapping[str, str]],
    title_of_samples: str = "Samples",
    on: str = "the test split",
    history: Sequence[Mapping[str, float]],
    settings: str,
    plots: Sequence[str],
) -> str:
    """Writes the model card: what it is, what was measured, how it was made (Markdown).

    Args:
        title: What the model is, in one line.
        command: How the recipe is started.
        typed: What followed it when the training began.
        seed: Of everything random in training.
        cores: Processor cores that it could use.
        bundle: Where the model is.
        followed: Settings that followed the data, with their values.
        anew: What it learned anew of the bundle that it began with.
        metrics: What was measured.
        warnings: What whoever uses the model must know.
        samples: A few answers, column → text.
        title_of_samples: What they are.
        on: What was measured on.
        history: A row for each epoch.
        settings: Every setting, as JSON.
        plots: Names of the pictures in `plots/`.
    """
    with_cores = "1 core" if cores == 1 else f"{cores} cores"
    made = f"Made by seqapps {__version__} with seed {seed} on {with_cores}:"
    lines = [f"# {title}", "", made, ""]
    lines += ["```sh", f"{command} {typed}".rstrip(), "```", ""]
    lines += [anew, ""] if anew else []
    lines += ["It answers", "", "```sh", f"{command} predict {shlex.quote(str(bundle))}", "```", ""]
    lines += ["```python", "import seqapps", ""]
    lines += [f"model = seqapps.load({_literal(bundle)})", "```", ""]
    lines += [line for warning in warnings for line in (f"**Warning:** {warning}", "")]
    lines += [f"## Measured on {on}", "", "| Measure | Value |", "|---|---|"]
    lines += [f"| {label(name)} | {_cell(_number(value))} |" for name, value in metrics.items()]
    if samples:
        columns = list(samples[0])
        lines += [
            "",
            f"## {title_of_samples}",
            "",
            f"| {' | '.join(columns)} |",
            "|---" * len(columns) + "|",
        ]
        lines += [f"| {' | '.join(_cell(row[name]) for name in columns)} |" for row in samples]
    if history:
        last = history[-1]
        epochs = "1 epoch" if last["epoch"] == 1 else f"{last['epoch']:g} epochs"
        lines += [
            "",
            "## Training",
            "",
            f"{epochs}, {last['steps']:,.0f} updates in {clock(last['seconds'])} (minutes and "
            "seconds). `history.csv` has a line for each epoch.",
        ]
    lines += ["", *(f"![{Path(name).stem.replace('_', ' ')}](plots/{name})\n" for name in plots)]
    lines += ["## Settings", ""]
    lines += [f"These followed the data: {followed}.", ""] if followed else []
    lines += ["```json", settings, "```", ""]
    return "\n".join(lines)


_UNCERTIFIED = "**Not certified:** "
"""How the line of a card begins that says so."""


def uncertified(card: str, reason: str) -> str:
    """A card that says, below its title, that the bundle is not certified."""
    title, rest = card.split("\n", 1)
    return f"{title}\n\n{_UNCERTIFIED}{' '.join(reason.split())}\n{rest}"


def certified(card: str) -> str:
    """The same card without that line."""
    return re.sub(rf"^{re.escape(_UNCERTIFIED)}.*\n\n?", "", card, count=1, flags=re.MULTILINE)


def _cell(text: str) -> str:
    """Text inside of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())
