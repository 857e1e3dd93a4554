"""WAV files as samples, in the graph: each row of a batch with its own format and its own status.

`tf.audio.decode_wav` reads 16 bits only, and one bad row fails its whole batch. Here a row that is
no WAV file becomes silence of no length and a status that says why.
"""

# B batch, N samples of a row

from typing import Any, NamedTuple

import tensorflow as tf

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
"""Chunks that are looked at: a file of nothing but headers would take minutes."""

_LOUDEST = 1e6
"""Samples beyond this (full scale is 1) are a mistake, and their power would not be finite."""
_STREAMED = 0x7FFF_F000
"""A chunk that claims to be as long as this was written before its length was known."""
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class Recording(NamedTuple):
    """One WAV file, read."""

    samples: Any
    """float32, (N,), between -1 and 1: the mean of all channels."""
    rate_hz: Any
    """int32, ()."""
    status: Any
    """int32, (), see `STATUSES`."""


class _Chunks(NamedTuple):
    """Where the chunks of a file are; int64, ()."""

    format_start: Any
    format_size: Any
    data_start: Any
    data_size: Any


def parse_wav(file: Any) -> Recording:
    """Reads one WAV file: integers of 8, 16, 24 or 32 bits and floats of 32 or 64.

    Chunks may come in any order. The length of a streamed file's data chunk (unknown when its
    header was written: 0 or the largest number) is what is there.

    Args:
        file: string, (). The bytes of a WAV file, or of anything else.

    Returns:
        Samples, rate and status; nothing raises.

    Source: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991), and
    the WAVEFORMATEXTENSIBLE structure.
    """
    size = tf.cast(tf.strings.length(file), tf.int64)
    # Reading past the end gives zeros, so that every branch is safe on every input.
    head = tf.strings.substr(tf.strings.join([file, tf.constant(b"\0" * 12)]), 0, 12)
    form, kind = tf.strings.substr(head, 0, 4), tf.strings.substr(head, 8, 4)
    is_wav = ((form == b"RIFF") | (form == b"RF64")) & (kind == b"WAVE") & (size >= 12)
    chunks = _find_chunks(file, _pick(~is_wav, 0, size))

    there = _pick(chunks.format_size < 16, 0, chunks.format_start)
    header = tf.strings.join(
        [tf.strings.substr(file, tf.minimum(there, size), tf.minimum(size - there, 40)), b"\0" * 40]
    )
    tag, channels = _u16(header, 0), _u16(header, 2)
    rate, align = _u32(header, 4), _u16(header, 12)
    tag = tf.where((tag == _EXTENSIBLE) & (chunks.format_size >= 40), _u16(header, 24), tag)
    width = align // tf.maximum(channels, 1)
    reader = _reader(tag, _pick(channels * width != align, 0, width))

    frames = tf.maximum(size - chunks.data_start, 0) // tf.maximum(align, 1)
    streamed = (chunks.data_size >= _STREAMED) | ((chunks.data_size == 0) & _is_open(_u32(head, 4)))
    told = chunks.data_size // tf.maximum(align, 1)
    cut_off = ~streamed & (chunks.data_size > size - chunks.data_start)
    frames = tf.where(streamed, frames, tf.minimum(frames, told))

    problems = (
        (~is_wav, NOT_WAV),
        (chunks.format_size < 16, NO_FORMAT),
        (chunks.data_start == 0, NO_DATA),
        ((reader < 0) | (channels == 0), UNSUPPORTED),
        ((rate < LOWEST_RATE) | (rate > HIGHEST_RATE), BAD_RATE),
        (frames == 0, EMPTY),
    )
    status = tf.where(cut_off, TRUNCATED, OK)
    for problem, number in reversed(problems):
        status = _pick(problem, number, status)
    good = status < NOT_WAV
    data = tf.strings.substr(
        file, _pick(~good, 0, chunks.data_start), _pick(~good, 0, frames * align)
    )
    samples = tf.switch_case(
        tf.cast(_pick(~good, 0, reader), tf.int32), [lambda r=r: r(data) for r in _READERS]
    )
    mono = tf.reduce_mean(
        tf.reshape(samples, [-1, tf.cast(_pick(~good, 1, channels), tf.int32)]), 1
    )
    # A file of floats may hold anything.
    mono, sane = only_numbers(mono)
    status = _pick(good & ~sane, NOT_FINITE, status)
    # What is louder than full scale is heard as loud as that, not cut off: training does the same.
    mono /= tf.maximum(tf.reduce_max(tf.abs(mono)), 1.0)
    return Recording(mono, tf.cast(_pick(~good, 0, rate), tf.int32), tf.cast(status, tf.int32))


def only_numbers(samples: Any) -> tuple[Any, Any]:
    """Samples, float32, with 0 for what is not finite or beyond 1e6, and whether all were fine."""
    fine = tf.abs(samples) <= _LOUDEST
    return tf.where(fine, samples, 0.0), tf.reduce_all(fine)


def _pick(condition: Any, number: int, otherwise: Any) -> Any:
    """A number where a condition holds, in the type of what is there otherwise."""
    return tf.where(condition, tf.constant(number, otherwise.dtype), otherwise)


def _is_open(riff_size: Any) -> Any:
    """Whether the length of the whole file was unknown when its header was written."""
    return (riff_size == 0) | (riff_size >= _STREAMED)


def _find_chunks(file: Any, size: Any) -> _Chunks:
    """Walks over the first chunks until both are found; of several of a kind the first counts."""
    zero = tf.constant(0, tf.int64)

    def goes_on(number: Any, position: Any, *state: Any) -> Any:
        chunks = _Chunks(*state)
        missing = (chunks.format_start == 0) | (chunks.data_start == 0)
        return missing & (position + 8 <= size) & (number < MOST_CHUNKS)

    def step(number: Any, position: Any, *state: Any) -> tuple[Any, ...]:
        head = tf.strings.substr(file, position, 8)
        name, length = tf.strings.substr(head, 0, 4), _u32(head, 4)
        start = position + 8
        chunks = _Chunks(*state)
        is_format = (name == b"fmt ") & (chunks.format_start == 0)
        is_data = (name == b"data") & (chunks.data_start == 0)
        # Chunks begin at even places.
        return (
            number + 1,
            start + length + length % 2,
            tf.where(is_format, start, chunks.format_start),
            tf.where(is_format, length, chunks.format_size),
            tf.where(is_data, start, chunks.data_start),
            tf.where(is_data, length, chunks.data_size),
        )

    _, _, *state = tf.while_loop(
        goes_on,
        step,
        (0, tf.constant(12, tf.int64), zero, zero, zero, zero),
        parallel_iterations=1,
    )
    return _Chunks(*state)


def _bytes(text: Any) -> Any:
    return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)


def _u16(text: Any, start: int) -> Any:
    low, high = tf.unstack(_bytes(tf.strings.substr(text, start, 2)), num=2)
    return low + 256 * high


def _u32(text: Any, start: int) -> Any:
    return _u16(text, start) + 65536 * _u16(text, start + 2)


def _unsigned(data: Any) -> Any:
    return (tf.cast(tf.io.decode_raw(data, tf.uint8), tf.float32) - 128.0) / 128.0


def _int16(data: Any) -> Any:
    return tf.cast(tf.io.decode_raw(data, tf.int16), tf.float32) / 2.0**15


def _int24(data: Any) -> Any:
    parts = tf.cast(tf.reshape(tf.io.decode_raw(data, tf.uint8), [-1, 3]), tf.int32)
    value = parts[:, 0] + 256 * parts[:, 1] + 65536 * parts[:, 2]
    return tf.cast(value - tf.where(value >= 2**23, 2**24, 0), tf.float32) / 2.0**23


def _int32(data: Any) -> Any:
    return tf.cast(tf.cast(tf.io.decode_raw(data, tf.int32), tf.float64) / 2.0**31, tf.float32)


def _float32(data: Any) -> Any:
    return tf.io.decode_raw(data, tf.float32)


def _float64(data: Any) -> Any:
    return tf.cast(tf.io.decode_raw(data, tf.float64), tf.float32)


_READERS = (_unsigned, _int16, _int24, _int32, _float32, _float64)


def _reader(tag: Any, width: Any) -> Any:
    """The number of the function that reads samples of so many bytes; -1 if there is none."""
    code = tf.constant(-1, tf.int64)
    kinds = ((_PCM, 1), (_PCM, 2), (_PCM, 3), (_PCM, 4), (_FLOAT, 4), (_FLOAT, 8))
    for number, (kind, bytes_) in enumerate(kinds):
        code = _pick((tag == kind) & (width == bytes_), number, code)
    return code
