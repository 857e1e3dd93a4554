"""What a recogniser shows: what it heard when."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqapps.audio.settings import Features
from seqapps.bundle.application import Application
from seqapps.bundle.folder import read_assets
from seqapps.plots import new_figure, save_figure
from seqapps.recipes.transcribe.answer import Transcribe, heard


def draw_hearing(
    application: Application,
    recordings: Sequence[Any],
    folder: Path,
    *,
    features: Features,
    stride: int,
) -> None:
    """Draws spectrograms with what was heard when.

    Args:
        application: A loaded bundle.
        recordings: int16 samples at the rate of the features.
        folder: Gets `hearing_1.png` ...
        features: How recordings become features.
        stride: Frames of one output.
    """
    served = Transcribe(
        application.model, read_assets(application.path), features=features, stride=stride
    )
    for number, samples in enumerate(recordings, 1):
        plot_hearing(**heard(served, samples), path=folder / f"hearing_{number}.png")


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
            (start + end) / 2,
            1.02 * features_TM.shape[1],
            text,
            ha="center",
            va="bottom",
            fontsize=9,
            parse_math=False,
        )
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
                    times[step],
                    peak + 0.02,
                    name.replace(" ", "_"),
                    ha="center",
                    fontsize=8,
                    color=line.get_color(),
                    parse_math=False,
                )
    lower.set_ylim(0.0, 1.15)
    lower.set_xlim(0.0, end_s)
    lower.set_ylabel("probability")
    lower.set_xlabel("seconds")
    lower.legend(frameon=False, loc="center right")
    save_figure(figure, path)
