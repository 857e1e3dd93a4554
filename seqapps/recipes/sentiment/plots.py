"""What a classifier shows: its mistakes, and how far it can be believed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqapps.plots import new_figure, save_figure
from seqapps.recipes.sentiment.metrics import ReliabilityBins
from seqapps.recipes.sentiment.scores import Measured


def draw(measured: Measured, classes: Sequence[str], folder: Path) -> None:
    """Draws `confusion_matrix.png` and `reliability.png`."""
    plot_confusion(measured.confusion, classes=classes, path=folder / "confusion_matrix.png")
    plot_reliability(measured.reliability, path=folder / "reliability.png")


def plot_confusion(matrix_KK: Any, *, classes: Sequence[str], path: Path) -> None:
    """Draws which class was taken for which, as PNG: a row for each right class.

    Cells hold their count and their share of the row, and are as dark as the share.

    Args:
        matrix_KK: int, (classes, classes). Rows are the right class, columns the answer.
        classes: Names of the classes; long ones are cut.
        path: The file to write.
    """
    size = len(classes)
    totals = [max(sum(row), 1) for row in matrix_KK]
    shares_KK = [
        [count / total for count in row] for row, total in zip(matrix_KK, totals, strict=True)
    ]
    names = [_shortened(name) for name in classes]
    # Few cells may be wide; of many, each must still hold its two lines.
    few = size <= 6
    cell, letters = (0.95, 9) if few else (0.62, 7.5)
    room = 0.085 * max(map(len, names))
    figure = new_figure(width=1.0 + room + cell * size, height=1.0 + 0.85 * room + cell * size)
    axis = figure.subplots()
    axis.imshow(shares_KK, cmap="Blues", vmin=0.0, vmax=1.0)
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    slanted = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
    axis.set_xticks(range(size), names, parse_math=False, **slanted)
    axis.set_yticks(range(size), names, parse_math=False)
    axis.tick_params(length=0)
    for i in range(size):
        for j in range(size):
            count, share = matrix_KK[i][j], shares_KK[i][j]
            if few:
                text = f"{count:,}\n{share:.1%}"
            else:
                text = f"{count}\n{share:.0%}" if share >= 0.005 else f"{count}\n<1%"
            # Of many cells most are empty; without their zeros the others stand out.
            if few or count:
                colour = "white" if share > 0.5 else "black"
                axis.text(j, i, text, ha="center", va="center", fontsize=letters, color=colour)
    axis.set_xticks([i - 0.5 for i in range(1, size)], minor=True)
    axis.set_yticks([i - 0.5 for i in range(1, size)], minor=True)
    axis.tick_params(which="minor", length=0)
    axis.grid(which="minor", color="white", linewidth=1.0)
    axis.set_xlabel("answer")
    axis.set_ylabel("right class")
    axis.annotate(
        "counts, and shares of the row",
        (0.5, 0.0),
        (0.0, -6.0),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=9,
    )
    save_figure(figure, path)


def plot_reliability(groups: Mapping[str, ReliabilityBins], path: Path) -> None:
    """Draws how often answers of one confidence are right, as PNG.

    On the diagonal, 80 of 100 answers with confidence 0.8 are right; below it the model is too sure
    of itself. Beneath stands how many answers have which confidence. ECE is the expected
    calibration error.

    Source: Guo et al. 2017, figure 1.

    Args:
        groups: For each line its name and its bins, such as before and after temperature scaling.
        path: The file to write.
    """
    figure = new_figure(width=5.0, height=5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1, label="perfect")
    lowest = 1.0
    for name, bins in groups.items():
        filled = bins.counts > 0
        title = f"{name} (ECE {bins.calibration_error:.3f})"
        upper.plot(
            bins.confidence[filled], bins.accuracy[filled], marker="o", markersize=3, label=title
        )
        lower.stairs(bins.counts / bins.counts.sum(), bins.edges, linewidth=1.5)
        lowest = min(lowest, float(bins.edges[:-1][filled].min()))
    # With few classes no answer has a low confidence.
    upper.set_xlim(lowest, 1.0)
    upper.set_ylim(-0.02, 1.02)
    upper.set_ylabel("accuracy")
    upper.legend(frameon=False)
    lower.set_ylim(bottom=0.0)
    lower.set_xlabel("confidence")
    lower.set_ylabel("share of answers")
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    save_figure(figure, path)


def _shortened(name: str) -> str:
    """A class's name on one line of a picture."""
    line = " ".join(name.split())
    return line if len(line) <= 20 else line[:19] + "…"
