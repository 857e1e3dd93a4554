"""Pictures of how training went and of what a model sees, as PNG."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqapps.metrics import ReliabilityBins
from seqapps.report import BOOKKEEPING, label


def plot_learning_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws loss and task metrics over the epochs, as PNG."""
    from matplotlib.ticker import MaxNLocator

    names = [n for n in history[0] if n not in BOOKKEEPING] if history else []
    losses = [name for name in names if name.endswith("loss")]
    scores = [name for name in names if name not in losses]
    figure = new_figure(width=9.0 if scores else 4.5, height=3.6)
    axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    # Dropout and label smoothing raise the one and not the other.
    labels = {"loss": "training (regularised)", "validation_loss": "validation"}
    for axis, group in zip(axes, [losses, scores] if scores else [losses], strict=True):
        for name in group:
            axis.plot(
                [row["epoch"] for row in history],
                [row[name] for row in history],
                marker="o",
                markersize=3,
                label=labels.get(name, label(name)),
            )
        axis.set_xlabel("epoch")
        only = label(scores[0]) if len(scores) == 1 else "score"
        axis.set_ylabel("loss" if group is losses else f"validation {only}")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
        if len(group) > 1:
            axis.legend(frameon=False)
    save_figure(figure, path)


def plot_attention(
    weights_TS: Any, *, source: Sequence[str], target: Sequence[str], path: Path
) -> None:
    """Draws where each target token looked, as PNG: a row for each, dark where it looked.

    Args:
        weights_TS: float, (target tokens, source tokens), rows sum to 1.
        source: Source tokens.
        target: Target tokens.
        path: The file to write.
    """
    figure = new_figure(width=2.2 + 0.36 * len(source), height=1.5 + 0.3 * len(target))
    axis = figure.subplots()
    image = axis.imshow(weights_TS, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    # The source on top, so that the picture reads like a table. A token may hold a $ sign, which
    # would begin a formula.
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    slanted = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
    axis.set_xticks(range(len(source)), _shown(source), parse_math=False, **slanted)
    axis.set_yticks(range(len(target)), _shown(target), parse_math=False)
    axis.tick_params(length=0)
    # White lines between the cells lead the eye from a weight to its two tokens.
    axis.set_xticks([i - 0.5 for i in range(1, len(source))], minor=True)
    axis.set_yticks([i - 0.5 for i in range(1, len(target))], minor=True)
    axis.tick_params(which="minor", length=0)
    axis.grid(which="minor", color="white", linewidth=1.0)
    axis.set_xlabel("source")
    axis.set_ylabel("target")
    figure.colorbar(image, label="attention weight")
    save_figure(figure, path)


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


def plot_surprise(text: str, bits: Sequence[float], path: Path) -> None:
    """Draws a passage whose characters are the darker the less they were expected, as PNG.

    Args:
        text: The passage.
        bits: Surprise of each character, -log2 of its probability.
        path: The file to write.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    wide, highest = 80, 8.0
    rows: list[list[tuple[str, float]]] = [[]]
    for character, surprise in zip(text, bits, strict=True):
        # The end of a line is drawn too: it was more or less expected like any other character.
        rows[-1].append(("⏎" if character == "\n" else character, surprise))
        if character == "\n" or len(rows[-1]) == wide:
            rows.append([])
    rows = [row for row in rows if row]
    figure = new_figure(width=9.6, height=0.9 + 0.24 * len(rows))
    axis = figure.subplots()
    colours: Any = ScalarMappable(Normalize(0.0, highest), "Reds")
    for y, row in enumerate(rows):
        for x, (character, surprise) in enumerate(row):
            axis.add_patch(_cell_patch(x, y, colours.cmap(colours.norm(surprise))))
            axis.text(
                x + 0.5, y + 0.55, character, ha="center", va="center", fontsize=8,
                family="monospace", parse_math=False,
                color="white" if surprise > 0.65 * highest else "black",
            )  # fmt: skip
    axis.set_xlim(0, wide)
    axis.set_ylim(len(rows), 0)
    axis.set_axis_off()
    figure.colorbar(colours, ax=axis, label="surprise (bits)", fraction=0.02, pad=0.01)
    save_figure(figure, path)


def _cell_patch(x: float, y: float, colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1.0, 1.0, facecolor=colour, linewidth=0)


def plot_hearing(
    *,
    features_TM: Any,
    hop_s: float,
    probabilities_SV: Any,
    step_s: float,
    symbols: Sequence[str],
    words: Sequence[tuple[str, float, float]],
    path: Path,
) -> None:
    """Draws what a speech recogniser heard, as PNG: spectrogram, symbols over time, words.

    Args:
        features_TM: float, (frames, bands). Log-mel features.
        hop_s: Seconds from one frame to the next.
        probabilities_SV: float, (steps, symbols and blank); the blank is the last.
        step_s: Seconds from one step to the next.
        symbols: What each output writes, but for the blank.
        words: Word, start and end in seconds.
        path: The file to write.
    """
    end_s = len(features_TM) * hop_s
    figure = new_figure(width=max(6.0, 1.5 + 3.2 * end_s), height=5.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    upper.imshow(
        features_TM.T,
        origin="lower",
        aspect="auto",
        extent=(0.0, end_s, 0, features_TM.shape[1]),
        cmap="magma",
    )
    upper.set_ylabel("mel band")
    for text, start, end in words:
        upper.axvspan(start, end, ymin=0.93, color="white", alpha=0.85, linewidth=0)
        upper.text(
            (start + end) / 2, 1.02 * features_TM.shape[1], text, ha="center", va="bottom",
            fontsize=9, parse_math=False,
        )  # fmt: skip
        for moment in (start, end):
            for axis in (upper, lower):
                axis.axvline(moment, color="grey", linewidth=0.5, alpha=0.6)
    times = [(i + 0.5) * step_s for i in range(len(probabilities_SV))]
    lower.plot(times, probabilities_SV[:, -1], color="lightgrey", linewidth=1, label="blank")
    best = probabilities_SV[:, :-1].max(0)
    for symbol, name in enumerate(symbols):
        if best[symbol] < 0.1:
            continue
        (line,) = lower.plot(times, probabilities_SV[:, symbol], linewidth=1)
        for step, value in enumerate(probabilities_SV[:, symbol]):
            before = probabilities_SV[step - 1, symbol] if step else 0.0
            after = probabilities_SV[step + 1, symbol] if step + 1 < len(probabilities_SV) else 0.0
            peak = float(value)
            if peak >= 0.3 and value >= before and value > after:
                lower.text(
                    times[step], peak + 0.02, name.replace(" ", "_"), ha="center", fontsize=8,
                    color=line.get_color(), parse_math=False,
                )  # fmt: skip
    lower.set_ylim(0.0, 1.15)
    lower.set_xlim(0.0, end_s)
    lower.set_ylabel("probability")
    lower.set_xlabel("seconds")
    lower.legend(frameon=False, loc="center right")
    save_figure(figure, path)


def _shortened(name: str) -> str:
    """A class's name on one line of a picture."""
    line = " ".join(name.split())
    return line if len(line) <= 20 else line[:19] + "…"


def _shown(tokens: Sequence[str]) -> list[str]:
    """SentencePiece's mark of a word's beginning is wide and black; an underscore is enough."""
    return [token.replace("▁", "_") for token in tokens]


def new_figure(*, width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches, without a window."""
    # It announces its first look at the machine's fonts.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure as PNG."""
    with warnings.catch_warnings():
        # Scripts that the font does not have are drawn as boxes; nothing can be done about it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(path, dpi=120)
