"""What a translator shows: where it looked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqapps.plots import new_figure, save_figure
from seqapps.recipes.translate.answer import attention_maps
from seqapps.recipes.translate.examples import PairExamples


def draw_attention(network: Any, examples: PairExamples, folder: Path) -> None:
    """Draws where the decoder looked in three validation sentences.

    Args:
        network: From `build_translator`, trained.
        examples: The pairs.
        folder: Gets `attention_1.png` ...
    """
    for number, attention in enumerate(attention_maps(network, examples, count=3), 1):
        path = folder / f"attention_{number}.png"
        plot_attention(
            attention.weights_TS, source=attention.source, target=attention.target, path=path
        )


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


def _shown(tokens: Sequence[str]) -> list[str]:
    """SentencePiece's mark of a word's beginning is wide and black; an underscore is enough."""
    return [token.replace("▁", "_") for token in tokens]
