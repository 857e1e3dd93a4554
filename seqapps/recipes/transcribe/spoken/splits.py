"""Who says what: splits by voice and by combination of words, kept on disk once they are spoken."""

# N samples of a recording

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqapps.recipes.transcribe.spoken import synthesis
from seqapps.recipes.transcribe.spoken.phrases import Phrase, draw

RATE_HZ = 16_000
"""Samples a second."""
VERSION = 3
"""Of the recordings that are kept on disk; another number makes them anew."""

_SEED = 1
"""Of what is said and by whom."""
_SIZES = {"train": 4000, "validation": 250, "test": 500}
ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-us-nyc")
VARIANTS = {
    "train": (
        "m1 m2 m4 m5 m6 m8 f1 f3 f5 Alex Alicia Andrea Annie Denis Diogo Gene Hugo Jacky Lee Marco "
        "Michael Mike adam anika antonio aunty belinda benjamin boris david ed edward grandma "
        "grandpa ian iven john max norbert pablo paul quincy rob robert steph travis victor zac"
    ).split(),
    "validation": "Andy Gene2 linda pedro".split(),
    "test": "m3 m7 f2 f4 Mario Nguyen Reed caleb marcelo sandro shelby steph2".split(),
}
"""Variants of the accents above; a variant is in one split alone."""


@dataclass(frozen=True)
class Spoken:
    """Recordings of one split."""

    samples: list[npt.NDArray[np.int16]]
    """int16, (N,) each, `RATE_HZ`."""
    texts: list[str]
    """What is said."""
    voices: list[str]
    """By whom."""


class SpokenSplits(NamedTuple):
    """The recordings to learn from, to choose by, and to report on."""

    train: Spoken
    validation: Spoken
    test: Spoken


def cache_folder() -> Path:
    """Where recordings are kept: $XDG_CACHE_HOME/seqapps, else ~/.cache/seqapps."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "seqapps"


def spoken(
    *,
    log: Callable[[str], None] = lambda _: None,
    sizes: dict[str, int] | None = None,
    folder: Path | None = None,
) -> SpokenSplits:
    """The embedded recordings: spoken at the first call, read from disk afterwards.

    Args:
        log: Takes lines for the user.
        sizes: Recordings of each split; fewer than usual for a test.
        folder: Where they are kept; None: `cache_folder()`.

    Raises:
        UserError: If they have to be spoken and eSpeak NG is not installed.
    """
    sizes = sizes or _SIZES
    name = "-".join(str(sizes[split]) for split in _SIZES)
    path = (folder or cache_folder()) / f"spoken-v{VERSION}-{name}.npz"
    if (kept := _read(path)) is not None:
        return kept
    log("Speaking the embedded recordings with eSpeak NG, once; they are synthetic speech")
    splits = SpokenSplits(*(_speak(split, sizes[split]) for split in SpokenSplits._fields))
    try:
        _write(path, splits)
    except OSError as error:
        log(f"They are not kept: {path} cannot be written ({error.strerror})")
    else:
        log(f"They are kept in {path}")
    return splits


def split_of(combination: str) -> str:
    """The split that a combination of words belongs to: 80 % train, 5 % validation, 15 % test."""
    digest = hashlib.blake2b(combination.encode(), digest_size=4).digest()
    place = int.from_bytes(digest, "big") % 20
    return "test" if place < 3 else "validation" if place == 3 else "train"


def resampled(samples_N: npt.NDArray[np.int16], rate_hz: int) -> npt.NDArray[np.int16]:
    """Samples at `RATE_HZ`: always the same.

    In floating point, for whole numbers soxr would round with noise of its own choosing.
    """
    import soxr

    values_N = soxr.resample(samples_N.astype(np.float32), rate_hz, RATE_HZ)
    whole = np.iinfo(np.int16)
    return np.clip(np.rint(values_N), whole.min, whole.max).astype(np.int16)


def _speak(split: str, count: int) -> Spoken:
    rng = np.random.default_rng([_SEED, list(_SIZES).index(split)])
    recordings = Spoken([], [], [])
    for _ in range(count):
        phrase = _draw(split, rng)
        accent = ACCENTS[rng.integers(len(ACCENTS))]
        variant = VARIANTS[split][rng.integers(len(VARIANTS[split]))]
        samples = synthesis.say(
            phrase.text,
            voice=f"{accent}+{variant}",
            rate=int(rng.integers(130, 211)),
            pitch=int(rng.integers(25, 76)),
        )
        recordings.samples.append(resampled(samples, synthesis.native_rate_hz()))
        recordings.texts.append(phrase.text)
        recordings.voices.append(f"{accent}+{variant}")
    return recordings


def _draw(split: str, rng: np.random.Generator) -> Phrase:
    while split_of((phrase := draw(rng)).combination) != split:
        pass
    return phrase


def _write(path: Path, splits: SpokenSplits) -> None:
    arrays: dict[str, Any] = {}
    for split, recordings in splits._asdict().items():
        arrays[f"{split}_samples"] = np.concatenate(recordings.samples)
        arrays[f"{split}_lengths"] = np.array([len(samples) for samples in recordings.samples])
        arrays[f"{split}_texts"] = np.array(recordings.texts)
        arrays[f"{split}_voices"] = np.array(recordings.voices)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)
        # Whole or not at all.
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read(path: Path) -> SpokenSplits | None:
    """What an earlier call kept, None if there is nothing or it is damaged."""
    try:
        # Opened here: NumPy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            splits = []
            for split in SpokenSplits._fields:
                ends = np.cumsum(stored[f"{split}_lengths"])
                splits.append(
                    Spoken(
                        np.split(stored[f"{split}_samples"], ends[:-1]),
                        stored[f"{split}_texts"].tolist(),
                        stored[f"{split}_voices"].tolist(),
                    )
                )
            return SpokenSplits(*splits)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
