"""What a writer shows: where a text surprised it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqapps.plots import new_figure, save_figure


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
                x + 0.5,
                y + 0.55,
                character,
                ha="center",
                va="center",
                fontsize=8,
                family="monospace",
                parse_math=False,
                color="white" if surprise > 0.65 * highest else "black",
            )
    axis.set_xlim(0, wide)
    axis.set_ylim(len(rows), 0)
    axis.set_axis_off()
    figure.colorbar(colours, ax=axis, label="surprise (bits)", fraction=0.02, pad=0.01)
    save_figure(figure, path)


def _cell_patch(x: float, y: float, colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1.0, 1.0, facecolor=colour, linewidth=0)
