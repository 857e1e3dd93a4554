"""Recordings to power spectra in NumPy: what `seqapps.audio` does in the graph."""

# N samples, B batch, T frames, F frequencies of the transform

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

STATUSES = (
    "ok",
    "truncated: shorter than its header says; what is there was used",
    "not finite: samples that are no numbers or beyond all measure counted as silence",
    "not a WAV file (no RIFF/WAVE header)",
    "no fmt chunk",
    "no data chunk",
    "encoding not supported (integer PCM of 8 to 32 bits and float of 32 or 64 bits are)",
    "no samples",
    "sample rate out of range (1,000 to 768,000 Hz are supported)",
)
"""What a status means, by its number. From `NOT_WAV` on there are no samples."""
OK, TRUNCATED, NOT_FINITE, NOT_WAV, NO_FORMAT, NO_DATA, UNSUPPORTED, EMPTY, BAD_RATE = range(9)

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
MOST_CHUNKS = 1_000
"""Chunks that are looked at."""
STREAMED = 0x7FFF_F000
"""A chunk that claims to be as long as this was written before its length was known."""
EXTENSIBLE = 0xFFFE

ZEROS, BETA, CUTOFF, PHASES = 56, 10.5, 0.93, 640
"""Of the resampling filter: zero crossings on either side, the Kaiser window, the middle of the
slope, and the most filters."""


class Header(NamedTuple):
    """What a WAV file says of its samples."""

    status: int
    """From `NOT_WAV` on there are none, and the rest is 0."""
    rate: int = 0
    """Hz."""
    frames: int = 0
    """Samples of each channel that are there."""
    start: int = 0
    """Where they begin, in bytes."""
    channels: int = 0
    tag: int = 0
    """Their encoding."""
    width: int = 0
    """Bytes of a sample."""


def parse_wav(file: bytes) -> tuple[Any, int, int]:
    """Reads one WAV file, or anything else.

    Returns:
        float32, (N,), the mean of all channels, between -1 and 1; the rate in Hz; and the status.
    """
    header = read_header(file)
    if header.status >= NOT_WAV:
        return np.zeros(0, np.float32), 0, header.status
    size = header.frames * header.channels * header.width
    samples = decoded(file[header.start : header.start + size], header.tag, header.width)
    mono, sane = only_numbers(samples.reshape(-1, header.channels).mean(1, dtype=np.float32))
    return within_range(mono), header.rate, header.status if sane else NOT_FINITE


def read_header(file: bytes) -> Header:
    """Reads where the samples of a WAV file are, and what they are."""
    size, head = len(file), (file[:12] + b"\0" * 12)[:12]
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE" or size < 12:
        return Header(NOT_WAV)
    chunks: dict[bytes, tuple[int, int]] = {}
    position = 12
    for _ in range(MOST_CHUNKS):
        if position + 8 > size or (b"fmt " in chunks and b"data" in chunks):
            break
        length = int.from_bytes(file[position + 4 : position + 8], "little")
        chunks.setdefault(file[position : position + 4], (position + 8, length))
        # Chunks begin at even places.
        position += 8 + length + length % 2
    start, length = chunks.get(b"fmt ", (0, 0))
    if length < 16:
        return Header(NO_FORMAT)
    header = (file[start : start + 40] + b"\0" * 40)[:40]
    tag, channels, rate, _, align, _ = np.frombuffer(
        header[:16], np.dtype("<u2,<u2,<u4,<u4,<u2,<u2")
    )[0].tolist()
    if tag == EXTENSIBLE and length >= 40:
        tag = int.from_bytes(header[24:26], "little")
    start, told = chunks.get(b"data", (0, 0))
    if not start:
        return Header(NO_DATA)
    width = align // max(channels, 1)
    whole = channels * width == align
    if (
        channels == 0
        or not whole
        or (tag, width) not in ((1, 1), (1, 2), (1, 3), (1, 4), (3, 4), (3, 8))
    ):
        return Header(UNSUPPORTED)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        return Header(BAD_RATE)
    there = max(0, size - start)
    riff = int.from_bytes(head[4:8], "little")
    streamed = told >= STREAMED or (told == 0 and (riff == 0 or riff >= STREAMED))
    frames = (there if streamed else min(there, told)) // align
    if not frames:
        return Header(EMPTY)
    status = TRUNCATED if not streamed and told > there else OK
    return Header(status, rate, frames, start, channels, tag, width)


def decoded(data: bytes, tag: int, width: int) -> Any:
    """Samples of one encoding: float32, between -1 and 1."""
    if tag == 3:
        with np.errstate(over="ignore"):
            return np.frombuffer(data, f"<f{width}").astype(np.float32)
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
        value = parts[:, 0] + 256 * parts[:, 1] + 65536 * parts[:, 2]
        value -= np.where(value >= 2**23, 2**24, 0).astype(np.int32)
        return value.astype(np.float32) / np.float32(2**23)
    whole = np.frombuffer(data, f"<i{width}")
    return (whole / 2.0 ** (8 * width - 1)).astype(np.float32)


def only_numbers(samples: Any) -> tuple[Any, bool]:
    """Samples with 0 for what is not finite or beyond 1e6, and whether all were fine."""
    fine = np.abs(samples) <= 1e6
    return np.where(fine, samples, np.float32(0)), bool(fine.all())


def within_range(samples: Any) -> Any:
    """Samples, float32, (N,), brought between -1 and 1 by one factor where they are louder."""
    if not len(samples):
        return samples
    loudest = max(samples.max(), -samples.min())
    return samples / loudest if loudest > 1 else samples


def checked(samples: Any, rate: int) -> tuple[Any, int, int]:
    """What `parse_wav` gives, of samples."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        return np.zeros(0, np.float32), 0, BAD_RATE
    mono, sane = only_numbers(np.asarray(samples, np.float32).reshape(-1))
    status = (OK if sane else NOT_FINITE) if len(mono) else EMPTY
    return mono, rate, status


def resample(samples_N: Any, rate: int, target_hz: int) -> Any:
    """Brings a recording to another sample rate, by polyphase filtering with a windowed sinc."""
    if rate == target_hz or not rate:
        return samples_N
    up_L = np.arange(1, PHASES + 1, dtype=np.float64)
    exact_L = up_L * rate / target_hz
    error_L = np.abs(np.round(exact_L) / exact_L - 1) + (np.round(exact_L) < 1)
    best = int(error_L.argmin())
    up, down = best + 1, int(np.round(exact_L[best]))
    stretch = max(down / up, 1.0) / CUTOFF
    half = math.ceil(ZEROS * stretch)
    times = -(-max(2 * half, 128) // down)
    up, down = up * times, down * times
    wanted = -(-len(samples_N) * target_hz // rate)
    blocks = -(-wanted // up)
    reach = 2 * half
    padded = np.concatenate([np.zeros(half, np.float32), samples_N])
    block_QM: Any = np.zeros((blocks + 1) * down, np.float32)
    block_QM[: len(padded)] = padded[: len(block_QM)]
    block_QM = block_QM.reshape(blocks + 1, down)
    read_QK = np.concatenate([block_QM[:-1], block_QM[1:, :reach]], 1)
    place_L = np.arange(up, dtype=np.float64) * down / up
    distance_KL = (np.arange(-half, down + half)[:, None] - place_L) / stretch
    inside_KL = 1 - (distance_KL / ZEROS) ** 2
    values_KL = np.sinc(distance_KL) * np.i0(BETA * np.sqrt(np.maximum(inside_KL, 0)))
    values_KL *= inside_KL > 0
    made_QL = read_QK.astype(np.float64) @ (values_KL / values_KL.sum(0))
    return made_QL.astype(np.float32).reshape(-1)[:wanted]


def power_spectra(rows: Sequence[Any], settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """Power of each frequency over time.

    Args:
        rows: float32, (N,) each, of the settings' sample rate.
        settings: `window`, `hop` and `fft` in samples, and `centre`.

    Returns:
        float32, (B, T, F), and int32, (B,), the frames of each row.
    """
    window, hop, centre = settings["window"], settings["hop"], settings["centre"]

    def frames_of(samples: int) -> int:
        return 1 + samples // hop if centre else max(1, 1 + (samples - window) // hop)

    longest = max(1, *(len(row) for row in rows))
    frames = frames_of(longest)
    before = window // 2 if centre else 0
    total = max((frames - 1) * hop + window, before + longest)
    padded_BN = np.zeros((len(rows), total), np.float32)
    for place, row in zip(padded_BN, rows, strict=True):
        place[before : before + len(row)] = row
    frames_BTW = np.lib.stride_tricks.sliding_window_view(padded_BN, window, 1)[:, ::hop][
        :, :frames
    ]
    hann_W = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    spectrum_BTF = np.fft.rfft(frames_BTW.astype(np.float64) * hann_W, settings["fft"])
    power_BTF = (spectrum_BTF.real**2 + spectrum_BTF.imag**2).astype(np.float32)
    return power_BTF, np.array([frames_of(len(row)) for row in rows], np.int32)
