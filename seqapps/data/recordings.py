"""Recordings in memory, and how audio files of any kind become them."""

# N samples of a recording

import importlib
import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.data.files import Problem
from seqapps.errors import UserError

Samples = npt.NDArray[np.int16]

ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au")
"""Endings of the files that are taken for recordings when a folder is read."""


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


def read_audio(
    path: Path, rate_hz: int, *, start_s: float = 0.0, end_s: float = math.inf
) -> Samples:
    """Reads a recording: WAV, FLAC, OGG, MP3 ... of any rate and number of channels.

    Args:
        path: The file.
        rate_hz: The rate wanted.
        start_s: Where to begin, in seconds.
        end_s: Where to end.

    Returns:
        int16, (N,): the mean of all channels.

    Raises:
        UserError: If the file cannot be read as audio, or the part lies outside of it.
    """
    soundfile = speech_package("soundfile")
    try:
        with soundfile.SoundFile(str(path)) as file:
            # Rounded, an infinite number of samples would be no number.
            first = round(min(start_s, 1e9) * file.samplerate)
            last = min(file.frames, round(min(end_s, 1e9) * file.samplerate))
            if not 0 <= first < max(last, 1):
                raise UserError(
                    f"{path}: the part from {start_s:g} s to {end_s:g} s lies outside of the "
                    f"recording, which has {file.frames / file.samplerate:.3f} s."
                )
            file.seek(first)
            values = file.read(last - first, dtype="float32", always_2d=True).mean(axis=1)
            rate = file.samplerate
    except UnicodeEncodeError:
        raise UserError(f"{str(path)!r} is no name that a file can have.") from None
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path} cannot be read as audio: {error}") from None
    return to_int16(resampled(_numbers(values), rate, rate_hz))


def decode_audio(content: bytes, name: str) -> tuple[npt.NDArray[np.float32], int]:
    """Decodes a recording in memory: FLAC, OGG, MP3 ...

    Args:
        content: The bytes of a file.
        name: What to call it in an error.

    Returns:
        float32, (N,), the mean of all channels, and its rate in Hz.

    Raises:
        UserError: If it cannot be read as audio.
    """
    soundfile = speech_package("soundfile")
    try:
        values, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{name} cannot be read as audio: {error}") from None
    return _numbers(values.mean(axis=1)), int(rate)


def _numbers(values_N: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Silence for what is no number or beyond all measure, as `audio.wav.only_numbers` has it."""
    return np.where(np.abs(values_N) <= 1e6, values_N, np.float32(0.0))


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
