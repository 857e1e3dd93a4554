"""Pictures of how training went and of what a model sees, as PNG."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqapps.report import BOOKKEEPING, label

_FONT = "DejaVu Sans"
"""Matplotlib's own."""


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
    """Writes a figure as PNG.

    Characters that matplotlib's own font does not have are drawn with an installed font that has
    them; where there is none they are boxes, and the picture says so.
    """
    _find_glyphs(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(path, dpi=120)


def _find_glyphs(figure: Any) -> None:
    """Gives texts with characters that their font lacks further fonts, which are asked in turn."""
    from matplotlib import font_manager, get_data_path
    from matplotlib.text import Text

    for axis in figure.axes:
        # Labels of ticks get their text when they are asked for.
        axis.get_xticklabels(), axis.get_yticklabels()
    texts = figure.findobj(Text)
    signs = {ord(sign) for text in texts for sign in text.get_text() if not sign.isspace()}
    missing = signs - _charmap(font_manager.findfont(_FONT)).keys()
    families = [_FONT]
    # By name, so that the same fonts give the same picture.
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: str(font.name)):
        # Matplotlib's others are symbols for formulas, and one that has a box for everything.
        own = Path(font.fname).is_relative_to(get_data_path()) and font.name != "STIXGeneral"
        has = missing and not own and missing & _charmap(font.fname).keys()
        if has:
            families.append(font.name)
            missing -= has
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(families)
    if missing:
        figure.supxlabel(
            f"Boxes: no installed font has\n{len(missing)} of these characters.\n"
            "Fonts called Noto have them.",
            fontsize=7,
        )


def _charmap(path: str) -> Mapping[int, int]:
    """The characters that a font's file has; none if it cannot be drawn with."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        font.set_size(10, 120)
    # Fonts of coloured pictures, among others.
    except (OSError, RuntimeError):
        return {}
    charmap: Mapping[int, int] = font.get_charmap()
    return charmap
