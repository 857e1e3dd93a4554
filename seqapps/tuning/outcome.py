"""What a study leaves: the best settings as TOML, all trials as a table, two pictures."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqapps.config import show
from seqapps.plots import new_figure, save_figure
from seqapps.report import Reporter, label
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.study import Row, Study
from seqapps.tuning.toml import to_toml
from seqapps.tuning.trial import with_tried
from seqapps.version import __version__

_COLOURS = {"complete": "tab:blue", "pruned": "tab:gray", "failed": "tab:red"}


def write_outcome(
    folder: StudyFolder, study: Study, *, base: Any, command: str, tune: str, reporter: Reporter
) -> Path:
    """Writes everything that people look at; only under the folder's lock.

    Args:
        folder: Where it goes.
        study: With at least one complete trial.
        base: The settings of the study.
        command: How the recipe is started.
        tune: How the study was started.
        reporter: Gets the table, and where things are.

    Returns:
        The file of the best settings.
    """
    rows, best = study.rows(), study.best()
    if best is None:
        raise RuntimeError("there is no complete trial.")
    measure = label(study.goal)
    reporter.log(f"\n{table(rows, best, measure)}\n")
    (folder.path / "trials.csv").write_text(trials_csv(rows), "utf-8", newline="")
    plot_history(rows, measure, folder.path / "history.png", highest=study.highest)
    picture = folder.path / "importance.png"
    if shares := _importances(study, rows, reporter):
        plot_importances(shares, measure, picture)
    else:
        # One of fewer trials, from before they went on.
        picture.unlink(missing_ok=True)
    if len(rows) > 1 and len({row.value for row in rows if row.state == "complete"}) == 1:
        reporter.log(
            f"Every trial has the same {measure}, so the first counts as best: let trials train "
            "longer, or compare them by --training.monitor loss."
        )
    file = folder.path / "best.toml"
    train = f"{command} train --config {file}"
    text = (
        f"# {measure} {best.value:.6g} on the validation split: trial {best.number} of "
        f"{len(rows)} (seqapps {__version__}).\n# Found by:   {_one_line(tune)}\n"
        f"# Train with: {_one_line(train)}\n\n"
    )
    partial = folder.path / "best.toml.partial"
    partial.write_text(text + best_toml(base, best), "utf-8")
    partial.replace(file)
    pictures = " and ".join(str(path) for path in sorted(folder.path.glob("*.png")))
    reporter.log(f"Best: trial {best.number}, {measure} {best.value:.4g}. Look at {pictures}.")
    reporter.log(f"Train with these settings:\n  {train}")
    return file


def best_toml(base: Any, best: Row) -> str:
    """The settings of a trial as TOML: those that differ from the recipe's defaults."""
    return to_toml(with_tried(base, best.settings), base=type(base)())


def trials_csv(rows: Sequence[Row]) -> str:
    """All trials as CSV: number, value, state, seconds, a column for each setting, reason."""
    settings = _settings(rows)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["trial", "value", "state", "seconds", *settings, "reason"])
    for row in rows:
        value = "" if row.value is None else repr(row.value)
        tried = ["" if row.settings.get(n) is None else row.settings[n] for n in settings]
        writer.writerow(
            [row.number, value, row.state, f"{row.seconds:.1f}", *tried, _one_line(row.reason)]
        )
    return file.getvalue()


def table(rows: Sequence[Row], best: Row, measure: str) -> str:
    """All trials as text, the best one marked, then why others failed."""
    settings = _settings(rows)
    head = ["trial", measure, "state", "seconds", *short_names(settings).values()]
    lines = [head]
    for row in rows:
        value = "-" if row.value is None else f"{row.value:.4g}"
        state = "best" if row.number == best.number else row.state
        tried = [shown(row.settings[name]) if name in row.settings else "-" for name in settings]
        lines.append([str(row.number), value, state, f"{row.seconds:.1f}", *tried])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    failed = [f"trial {r.number} failed: {_one_line(r.reason)}" for r in rows if r.reason]
    return "\n".join(text + failed)


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Returns path → its last part, or the whole where two end alike."""
    ends = [path.rpartition(".")[2] for path in paths]
    return {
        path: end if ends.count(end) == 1 else path for path, end in zip(paths, ends, strict=True)
    }


def shown(value: Any) -> str:
    """A tried value for people: numbers to three digits."""
    return f"{value:.3g}" if isinstance(value, float) else show(value)


def plot_history(rows: Sequence[Row], measure: str, path: Path, *, highest: bool) -> None:
    """Draws the value of each trial and the best so far, as PNG."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(width=7.0, height=3.6)
    axis = figure.subplots()
    best: list[float] = []
    numbers: list[int] = []
    for row in rows:
        if row.state == "complete" and row.value is not None:
            better = max if highest else min
            best.append(better([*best[-1:], row.value]))
            numbers.append(row.number)
    last = max(row.number for row in rows)
    axis.step(
        [*numbers, last],
        [*best, best[-1]],
        where="post",
        color="tab:orange",
        label="best so far",
        zorder=1,
    )
    for state, marker in {"complete": "o", "pruned": "x"}.items():
        points = [(r.number, r.value) for r in rows if r.state == state and r.value is not None]
        if points:
            colour = _COLOURS[state]
            axis.scatter(*zip(*points, strict=True), marker=marker, s=30, color=colour, label=state)
    if failed := [row.number for row in rows if row.state == "failed"]:
        # They have no value: a mark on the frame.
        axis.scatter(
            failed,
            [0.0] * len(failed),
            marker="^",
            s=40,
            color=_COLOURS["failed"],
            clip_on=False,
            transform=axis.get_xaxis_transform(),
            label="failed",
            zorder=3,
        )
    axis.set_xlabel("trial")
    axis.set_ylabel(f"{measure} (validation)" if "validation" not in measure else measure)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    save_figure(figure, path)


def plot_importances(shares: Mapping[str, float], measure: str, path: Path) -> None:
    """Draws how much each setting mattered, as PNG: bars, the longest on top."""
    figure = new_figure(width=7.0, height=1.2 + 0.32 * len(shares))
    axis = figure.subplots()
    names = list(shares)[::-1]
    bars = axis.barh(names, [shares[name] for name in names], height=0.7)
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.set_xlim(0.0, 1.1 * max(shares.values()))
    axis.set_xlabel(f"share in what made {measure} good (PED-ANOVA)")
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _importances(study: Study, rows: Sequence[Row], reporter: Reporter) -> dict[str, float]:
    """Share of each setting, empty where that cannot be told; says why."""
    complete = sum(row.state == "complete" for row in rows)
    if complete < 2:
        reporter.log("No picture of importances: it needs two complete trials or more.")
        return {}
    try:
        shares = study.importances()
    except (ValueError, RuntimeError) as error:
        reporter.log(f"No picture of importances: {error}")
        return {}
    except UserWarning:
        shares = {}
    if not sum(shares.values()) > 0:
        reporter.log("No picture of importances: these trials do not tell the settings apart.")
        return {}
    return shares


def _settings(rows: Sequence[Row]) -> list[str]:
    """Paths of all settings that were tried, in order of appearance."""
    return list(dict.fromkeys(path for row in rows for path in row.settings))


def _one_line(text: str) -> str:
    return " ".join(text.split())
