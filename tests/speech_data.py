"""Few and short recordings with transcripts, spoken by eSpeak NG, and what is asked of them."""

from pathlib import Path

import numpy as np
import soundfile

from seqapps.bundle.application import Application
from seqapps.portable.certificate import compare
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.transcribe.spoken import synthesis
from seqapps.recipes.transcribe.spoken.splits import VARIANTS

TEXTS = ("yes", "no no", "stop", "yes stop", "no")


def write_recordings(folder: Path, *, count: int, seed: int = 0) -> Path:
    """Writes recordings and a manifest, `manifest.tsv`, and returns its path."""
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True)
    rows = ["path\ttext\tspeaker"]
    for i in range(count):
        text, variant = TEXTS[i % len(TEXTS)], VARIANTS["train"][i % 12]
        samples = synthesis.say(
            text,
            voice=f"en-us+{variant}",
            rate=int(rng.integers(120, 160)),
            pitch=int(rng.integers(30, 71)),
        )
        # Of several kinds: they are brought to one rate.
        ending = ("wav", "flac")[i % 2]
        path = folder / "audio" / f"{i}.{ending}"
        soundfile.write(path, samples, synthesis.native_rate_hz())
        rows.append(f"audio/{path.name}\t{text.title()}\t{variant}")
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
        found = compare(fields, want, exported.answers(recordings, **options))
        assert found["equal"], found
    return [answer["text"] for answer in want]
