"""Recordings in memory: int16 samples of one rate, with what is said in them."""

# N samples of a recording

import importlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.data.files import Problem
from seqapps.errors import UserError

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Recordings:
    """Recordings of one sample rate with what is said in them."""

    samples: list[Samples] = field(default_factory=list)
    """int16, (N,) each: a minute at 16 kHz takes 1.9 MB."""
    texts: list[str] = field(default_factory=list)
    """What is said."""
    speakers: list[str] = field(default_factory=list)
    """By whom; empty where nobody knows."""
    places: list[tuple[str, int]] = field(default_factory=list)
    """File and line (or number) that each comes from."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with them, and with those that could not be read."""

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, samples: Samples, text: str, *, speaker: str, place: tuple[str, int]) -> None:
        """Adds one recording."""
        self.samples.append(samples)
        self.texts.append(text)
        self.speakers.append(speaker)
        self.places.append(place)

    def extend(self, others: "Recordings") -> None:
        """Adds recordings; their problems stay with them."""
        self.samples.extend(others.samples)
        self.texts.extend(others.texts)
        self.speakers.extend(others.speakers)
        self.places.extend(others.places)

    def take(self, rows: Sequence[int], problems: Sequence[Problem] = ()) -> "Recordings":
        """Some of the recordings, with other problems."""
        return Recordings(
            [self.samples[i] for i in rows],
            [self.texts[i] for i in rows],
            [self.speakers[i] for i in rows],
            [self.places[i] for i in rows],
            list(problems),
        )

    def hours(self, rate_hz: int) -> dict[str, float]:
        """Hours of each speaker, the most first."""
        hours: dict[str, float] = {}
        for samples, speaker in zip(self.samples, self.speakers, strict=True):
            hours[speaker] = hours.get(speaker, 0.0) + len(samples) / rate_hz / 3600
        return dict(sorted(hours.items(), key=lambda item: -item[1]))


def resampled(
    values_N: npt.NDArray[np.float32], rate_hz: int, wanted_hz: int
) -> npt.NDArray[np.float32]:
    """Brings samples, float32 (N,), to another rate."""
    if rate_hz == wanted_hz or not len(values_N):
        return values_N
    samples_N: npt.NDArray[np.float32] = speech_package("soxr").resample(
        values_N, rate_hz, wanted_hz
    )
    return samples_N


def to_int16(values_N: npt.NDArray[np.float32]) -> Samples:
    """Rounds samples between -1 and 1 to 16 bits; what is louder is clipped."""
    return np.clip(np.round(values_N * 32768.0), -32768, 32767).astype(np.int16)


def speech_package(name: str) -> Any:
    """Imports a package of the extra `speech`.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise UserError(
            f'recordings need the package {name} ({error}): pip install "seqapps[speech]".'
        ) from None


def riff(data: bytes, *, tag: int, channels: int, rate_hz: int, width: int) -> bytes:
    """A WAV file around encoded samples: format 1 is integer, 3 is float; `width` in bytes."""
    align = width * channels
    header = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * align, align, 8 * width)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data
