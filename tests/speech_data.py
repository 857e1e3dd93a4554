"""Few and short recordings with transcripts, and what is asked of them.

Nobody speaks in them: each letter is a pure tone of its own, the space too, with silence after it.
That is speech enough for whatever cuts, reads and joins recordings, and a network whose weights are
set by hand hears it without a mistake (`tone_recogniser`).
"""

from pathlib import Path

import numpy as np
import soundfile

from seqapps.audio.mel import hz_to_mel, mel_to_hz
from seqapps.audio.settings import Features
from seqapps.bundle.application import Application
from seqapps.portable.certificate import compare
from seqapps.portable.onnx_application import OnnxApplication

TEXTS = ("yes", "no no", "stop", "yes stop", "no")
LETTERS = " enopsty"
FEATURES = Features(sample_rate_hz=8_000, mels=24, normalise="global")
RATE_HZ = 22_050
"""Of the recordings, which are brought to that of the features."""
VOICES = ("ada", "ben", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "jo", "kim", "lou")

# Several frames of each, whichever frame the network looks at.
_TONE_S, _SILENCE_S, _EDGE_S = 0.11, 0.09, 0.015


def band_of(letter: str) -> int:
    """The mel band of a letter's tone: two bands of silence lie between those of two letters."""
    return 1 + 3 * LETTERS.index(letter)


def tones(text: str, *, rate_hz: int = RATE_HZ, level: float = 0.3, tempo: float = 1.0):
    """A text as a recording: float32, between -1 and 1.

    Args:
        text: Of `LETTERS`.
        rate_hz: Samples a second.
        level: The tones' amplitude.
        tempo: How much faster than usual.
    """
    low, high = hz_to_mel([FEATURES.lowest_hz, FEATURES.top_hz])
    edges_hz = mel_to_hz(np.linspace(low, high, FEATURES.mels + 2))
    time_s = np.arange(int(_TONE_S / tempo * rate_hz)) / rate_hz
    # It swells and fades: a tone that is switched on is heard at every frequency.
    loud = np.clip(np.minimum(time_s, time_s[::-1]) / _EDGE_S, 0.0, 1.0)
    silence = np.zeros(int(_SILENCE_S / tempo * rate_hz))
    parts = [silence]
    for letter in text:
        hz = edges_hz[1 + band_of(letter)]
        parts += [level * np.sin(np.pi / 2 * loud) ** 2 * np.sin(2 * np.pi * hz * time_s), silence]
    return np.concatenate(parts).astype(np.float32)


def write_recordings(folder: Path, *, count: int, seed: int = 0) -> Path:
    """Writes recordings and a manifest, `manifest.tsv`, and returns its path."""
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True)
    rows = ["path\ttext\tspeaker"]
    for i in range(count):
        text, voice = TEXTS[i % len(TEXTS)], VOICES[i % len(VOICES)]
        samples = tones(text, level=rng.uniform(0.1, 0.5), tempo=rng.uniform(0.85, 1.15))
        samples += rng.normal(scale=1e-4, size=len(samples))
        # Of several kinds: they are brought to one rate.
        ending = ("wav", "flac")[i % 2]
        path = folder / "audio" / f"{i}.{ending}"
        soundfile.write(path, samples, RATE_HZ)
        rows.append(f"audio/{path.name}\t{text.title()}\t{voice}")
    manifest = folder / "manifest.tsv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest


def same_in_onnx(
    application: Application, exported: OnnxApplication, recordings: list[bytes]
) -> list[str]:
    """Texts of a recogniser with hot words; its ONNX form must answer as it does, so and else."""
    fields, want = application.interface.outputs_of("options"), []
    for options in ({}, {"beam_width": 20, "n_best": 4}, {"hot_words": ["yes", "stop"]}):
        want = application.answers(recordings, **options)
        comparison = compare(fields, want, exported.answers(recordings, **options))
        assert comparison["equal"], comparison
    return [answer["text"] for answer in want]
