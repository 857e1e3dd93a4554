"""What forms of a model are asked: values at the edge of each type, and real ones."""

# N samples of a recording, H height, W width of a picture

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from seqapps.bundle.values import row_of, size
from seqapps.data.recordings import riff
from seqapps.fields import Field
from seqapps.portable.runtime.sound import parse_wav

_SIZES = ((1, 1), (5, 8), (24, 17), (9, 32))
"""Heights and widths of drawn pictures."""


def alike(fields: Sequence[Field], others: Sequence[Field]) -> bool:
    """Whether real inputs of the one are real inputs of the other, their names aside."""
    kinds = [[(f.dtype, f.rank, f.width, f.media) for f in each] for each in (fields, others)]
    return kinds[0] == kinds[1] and (len(fields) == 1 or fields == others)


def probes(fields: Sequence[Field], samples: Sequence[Any]) -> list[dict[str, Any]]:
    """Inputs that are easy to get wrong, and real ones from shortest to longest.

    Args:
        fields: What is taken.
        samples: Real inputs: values, or dicts by field name where there are several fields.

    Returns:
        Rows, as `row_of` gives them.
    """
    edges = [_edges(field) for field in fields]
    rows = [_row(fields, edges, i) for i in range(max(map(len, edges)))]
    real = sorted((row_of(fields, sample) for sample in samples), key=size)
    middle, last = len(real) // 2, len(real) - 1
    chosen = {0, 1, middle - 1, middle, middle + 1, last - 1, last} & set(range(len(real)))
    return [*rows, *(real[i] for i in sorted(chosen))]


def input_of(fields: Sequence[Field], row: dict[str, Any]) -> Any:
    """A row as a person has it: the value itself where there is one field."""
    return row[fields[0].name] if len(fields) == 1 else row


def _row(fields: Sequence[Field], values: Sequence[list[Any]], number: int) -> dict[str, Any]:
    """One row of the values of each field, which begin again where there are too few."""
    row = {f.name: each[number % len(each)] for f, each in zip(fields, values, strict=True)}
    return row_of(fields, input_of(fields, row))


def _edges(field: Field) -> list[Any]:
    """Values at the edge of what a field allows."""
    if field.media == "image":
        drawn = pictures()
        return [drawn[0], b"", b"no picture", *drawn[1:], drawn[1][:-20], drawn[2][:-20]]
    if field.dtype == "string":
        texts = ["", " ", "a", "☃ \u4f60\u597d \x07", b"\xff\xfe broken", "long " * 40]
        return texts if field.rank == 0 else [[], texts]
    numbers = np.array([0, 1, -1], field.dtype)
    if not field.varies:
        return [np.full(field.width, number) for number in numbers]
    ones = np.ones((50, *field.width), field.dtype)
    # Unlike in every step and channel, so that nothing can change places unseen.
    unlike = np.sin(np.arange(7 * ones[0].size)).reshape(7, *field.width)
    mixed = unlike > 0 if field.dtype == "int32" else unlike
    return [ones[:0], 0 * ones[:1], mixed.astype(field.dtype), ones]


def heard(fields: Sequence[Field]) -> list[dict[str, Any]]:
    """Rows with recordings, where a field is one: as a file, or as samples with their rate."""
    if not any(field.media in ("wav", "sound") for field in fields):
        return []
    files = recordings()
    read = [parse_wav(file) for file in files]

    def values(field: Field) -> list[Any]:
        if field.media == "wav":
            return files
        if field.media == "sound":
            return [samples for samples, _, _ in read]
        # The only number beside samples that is one of Hz is their rate.
        return [rate for _, rate, _ in read] if field.unit == "Hz" else _edges(field)

    every = [values(field) for field in fields]
    return [_row(fields, every, number) for number in range(len(files))]


def pictures() -> list[bytes]:
    """PNG and JPEG files of some sizes and kinds of colour: soft shapes on a gradient."""
    files = []
    kinds = (("RGB", "PNG"), ("RGB", "JPEG"), ("RGBA", "PNG"), ("L", "JPEG"), ("P", "PNG"))
    for number, (colours, kind) in enumerate(kinds):
        height, width = _SIZES[number % len(_SIZES)]
        y_HW, x_HW = np.mgrid[0:height, 0:width] / max(height, width)
        waves = [np.sin(9 * x_HW + number + c) * np.cos(7 * y_HW - c) for c in range(3)]
        pixels_HW3 = (127.5 * (1 + np.stack(waves, axis=2))).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels_HW3).convert(colours).save(file, kind)
        files.append(file.getvalue())
    return files


def recordings() -> list[bytes]:
    """WAV files of some encodings and rates: a voice-like sound that glides and pauses."""
    files = []
    for number, (rate, tag, width, channels) in enumerate(
        [
            (8000, 1, 2, 1),
            (16_000, 1, 2, 2),
            (22_050, 3, 4, 1),
            (44_100, 1, 3, 1),
            (11_025, 1, 1, 1),
        ]
    ):
        time_N = np.arange(int(rate * (0.6 + 0.4 * number))) / rate
        pitch_N = 110 + 40 * np.sin(2 * np.pi * (0.7 + 0.2 * number) * time_N)
        phase_N = 2 * np.pi * np.cumsum(pitch_N) / rate
        formant_N = 900 + 600 * np.sin(2 * np.pi * 1.3 * time_N + number)
        voice_N = np.zeros_like(time_N)
        for harmonic in range(1, 25):
            near_N = np.exp(-(((harmonic * pitch_N - formant_N) / 400) ** 2))
            voice_N += (near_N + 0.05) * np.sin(harmonic * phase_N)
        noise_N = np.random.default_rng(number).normal(0, 0.01, len(time_N))
        loud_N = np.maximum(0, np.sin(2 * np.pi * 2.1 * time_N))
        wave_N = np.clip(0.15 * voice_N * loud_N + noise_N, -0.99, 0.99)
        data = _encoded(np.repeat(wave_N, channels), tag, width)
        files.append(riff(data, tag=tag, channels=channels, rate_hz=rate, width=width))
    return [*files, files[0][: len(files[0]) // 2]]


def _encoded(wave_N: Any, tag: int, width: int) -> bytes:
    """Samples as a WAV file holds them."""
    if tag == 3:
        return bytes(wave_N.astype("<f4").tobytes())
    if width == 1:
        return bytes((wave_N * 127 + 128).astype(np.uint8).tobytes())
    whole_N = (wave_N * (2 ** (8 * width - 1) - 1)).astype("<i4")
    return bytes(whole_N[:, np.newaxis].view(np.uint8)[:, :width].tobytes())
