"""A look over recordings before anything is trained on them."""

# N samples of a recording

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqapps.data.recordings import Recordings, Samples

_CLIPPED_SHARE = 0.01
"""Share of samples at the limit from which a recording counts as clipped."""
_SILENT_DB = -60.0
"""Level of the loudest 50 ms below which there is nothing to hear, dB of full scale."""


@dataclass(frozen=True)
class Finding:
    """Something wrong with one recording."""

    file: str
    """File as the user named it."""
    line: int
    """Line in it."""
    kind: str
    """What is wrong, the same words for all of a kind."""
    detail: str = ""
    """The numbers behind it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}" + (
            f" ({self.detail})" if self.detail else ""
        )


def lint(
    recordings: Recordings,
    *,
    rate_hz: int,
    labels: Callable[[str], npt.NDArray[np.int32]],
    unknown: Callable[[str], Sequence[str]],
    steps: Callable[[int], int],
    max_seconds: float,
) -> dict[int, list[Finding]]:
    """Finds recordings that nothing can be learned from.

    Args:
        recordings: Recordings of one split.
        rate_hz: Samples a second.
        labels: A transcript's labels.
        unknown: A transcript's characters that have no label.
        steps: Steps that a recording of so many samples gives the network.
        max_seconds: Longest recording.

    Returns:
        By row, what is wrong with it; rows without problems are absent.
    """
    problems: dict[int, list[Finding]] = {}
    for row in range(len(recordings)):
        samples, text = recordings.samples[row], recordings.texts[row]
        kinds = list(_sound_problems(samples, rate_hz, max_seconds))
        ids = labels(text)
        if strange := unknown(text):
            shown = " ".join(strange[:10])
            kinds.append(("characters outside the alphabet", f"{shown!r} in {text[:60]!r}"))
        needed = len(ids) + int((ids[1:] == ids[:-1]).sum())
        if not len(ids):
            kinds.append(("empty transcript", ""))
        elif needed > steps(len(samples)):
            numbers = f"{len(samples) / rate_hz:.2f} s give {steps(len(samples))} steps, "
            kinds.append(("too short for its transcript", f"{numbers}{text[:60]!r} needs {needed}"))
        if kinds:
            problems[row] = [Finding(*recordings.places[row], *kind) for kind in kinds]
    return problems


def _sound_problems(
    samples: Samples, rate_hz: int, max_seconds: float
) -> Sequence[tuple[str, str]]:
    kinds = []
    if len(samples) > max_seconds * rate_hz:
        kinds.append(("too long", f"{len(samples) / rate_hz:.1f} s, at most {max_seconds:g}"))
    values = np.abs(samples.astype(np.int32))
    share = float((values >= 32767).mean()) if len(values) else 0.0
    if share > _CLIPPED_SHARE:
        kinds.append(("clipped", f"{share:.1%} of the samples at the limit"))
    block = max(1, rate_hz // 20)
    usable = values[: len(values) // block * block] if len(values) >= block else values
    power = (usable.astype(np.float64) / 32768.0) ** 2
    loudest = (
        power.reshape(-1, min(block, max(1, len(usable)))).mean(1).max() if len(power) else 0.0
    )
    level = 10.0 * np.log10(max(float(loudest), 1e-12))
    if level < _SILENT_DB:
        kinds.append(("silence", f"{level:.0f} dB at its loudest"))
    return kinds
