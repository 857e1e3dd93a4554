"""Pictures of how training went and of what a model sees, as PNG."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
