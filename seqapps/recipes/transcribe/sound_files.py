"""Sound files of any kind as samples: what training reads and what `predict` reads, the same way.

WAV files that the graph reads are taken apart here as there, in NumPy; all others by soundfile.
"""

# N samples of a recording

import contextlib
import io
import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from seqapps.data.recordings import Samples, resampled, speech_package, to_int16
from seqapps.errors import UserError
from seqapps.portable.runtime import sound

ENDINGS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aiff", ".aif", ".aifc", ".au", ".w64", ".sph", ".caf"),  # codespell:ignore caf
)
"""Endings of the files that are taken for recordings when a folder is read."""
_OTHERS = (".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".webm", ".3gp", ".ape", ".wv")
"""Endings of recordings that cannot be read: in a folder they are named, not passed over."""
_READ = "WAV, FLAC, OGG, Opus, MP3, AIFF, AU and W64 are read"

_BLOCK, _LEAST_BLOCK = 1 << 20, 1 << 12
"""Frames that are decoded at once, or an hour in stereo would be in memory several times; and where
a decoder breaks off within so many, for what it loses is the whole block."""
_SLACK_BYTES = 8
"""Bytes that a header may promise too many, for some writers count themselves in."""
_SLACK_FRAMES = 2 * 1152
"""Frames that an MP3 file may promise too many: what encoders put before and behind."""
_PAGE_HEAD = 27
"""Bytes of an OGG page before its table of lengths, how many there are being the last of them."""

_NO_BEGINNING = "truncated: it breaks off before its first samples"
_SHORT = {
    sound.TRUNCATED: "truncated: shorter than its header says, so less is heard than was said",
    sound.NOT_FINITE: "not finite: it has samples that are no numbers or beyond all measure",
}
"""Why nothing is learned from a recording that `predict` answers with a status."""


class Sound(NamedTuple):
    """A recording as it was written."""

    samples: npt.NDArray[np.float32]
    """float32, (N,), between -1 and 1: the mean of all channels."""
    rate_hz: int
    status: int
    """`OK`, `TRUNCATED` or `NOT_FINITE`; what that means says `sound.STATUSES`."""


def is_recording(path: Path) -> bool:
    """Tells whether the name of a file is that of a recording, one that cannot be read included."""
    return path.suffix.lower() in (*ENDINGS, *_OTHERS)


def read_audio(
    path: Path, rate_hz: int, *, start_s: float = 0.0, end_s: float = math.inf
) -> Samples:
    """Reads a recording to learn from: WAV, FLAC, OGG, MP3 ... of any rate and channels.

    Args:
        path: The file.
        rate_hz: The rate wanted.
        start_s: Where to begin, in seconds.
        end_s: Where to end.

    Returns:
        int16, (N,): the mean of all channels.

    Raises:
        UserError: If the file cannot be read as audio, is truncated within the part or has samples
            that are no numbers, or the part lies outside of it.
    """
    try:
        with opened(path) as file:
            found = read_sound(file, start_s=start_s, end_s=end_s)
        if found.status != sound.OK:
            raise UserError(_SHORT[found.status])
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return to_int16(resampled(found.samples, found.rate_hz, rate_hz))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file, opened for reading.

    Raises:
        UserError: If it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            # A pipe is read as a whole.
            yield file if file.seekable() else io.BytesIO(file.read())
    except UnicodeEncodeError:
        raise UserError(f"{str(path)!r} is no name that a file can have") from None
    except FileNotFoundError:
        raise UserError("the file does not exist") from None
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror or error}") from None


def read_sound(file: BinaryIO, *, start_s: float = 0.0, end_s: float = math.inf) -> Sound:
    """Reads a recording, or a part of it.

    What is louder than 1, as a file of floats may be, is brought to it by one factor for all.

    Args:
        file: An open file, or one in memory.
        start_s: Where to begin, in seconds.
        end_s: Where to end.

    Returns:
        Samples, rate and status. A recording that breaks off behind the part is not truncated.

    Raises:
        UserError: If it cannot be read as audio, has no samples, or the part lies outside of it.
    """
    with _bytes(file) as content:
        header = _wav_header(content)
        if header is not None and header.status < sound.NOT_WAV:
            found = _of_wav(content, header, start_s, end_s)
        else:
            found = _by_soundfile(file, content, header, start_s, end_s)
    return found._replace(samples=sound.within_range(found.samples))


def length(path: Path) -> tuple[float, int]:
    """Seconds and rate in Hz of a recording, by its header alone.

    Raises:
        UserError: If it cannot be read.
    """
    with opened(path) as file, _bytes(file) as content:
        header = _wav_header(content)
        if header is not None and header.status < sound.NOT_WAV:
            return header.frames / header.rate, header.rate
        with _decoder(file, content, header) as decoder:
            return decoder.frames / decoder.samplerate, int(decoder.samplerate)


@contextlib.contextmanager
def _bytes(file: BinaryIO) -> Iterator[Any]:
    """What is in a file, of which only what is looked at is read.

    Raises:
        UserError: If there is nothing.
    """
    if isinstance(file, io.BytesIO):
        content = file.getvalue()
        if not content:
            raise UserError("the recording is empty")
        yield content
        return
    # Nothing cannot be mapped.
    if not file.seek(0, io.SEEK_END):
        raise UserError("the recording is empty")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def _wav_header(content: Any) -> sound.Header | None:
    """The header of a WAV file; None of what is none.

    Raises:
        UserError: If it is a WAV file without samples, which soundfile could not read either.
    """
    if content[:4] != b"RIFF":
        return None
    header = sound.read_header(content)
    if header.status > sound.NOT_WAV and header.status != sound.UNSUPPORTED:
        raise UserError(sound.STATUSES[header.status])
    return header


def _part(start_s: float, end_s: float, rate_hz: int, frames: int) -> tuple[int, int]:
    """The first frame of a part and the one behind its last."""
    # Rounded, an infinite number of samples would be no number.
    first = round(min(start_s, 1e9) * rate_hz)
    last = min(frames, round(min(end_s, 1e9) * rate_hz))
    if not 0 <= first < max(last, 1):
        raise UserError(
            f"the part from {start_s:g} s to {end_s:g} s lies outside of the recording, which has "
            f"{frames / rate_hz:.3f} s"
        )
    return first, last


def _of_wav(content: Any, header: sound.Header, start_s: float, end_s: float) -> Sound:
    first, last = _part(start_s, end_s, header.rate, header.frames)
    samples = np.empty(last - first, np.float32)
    align, fine = header.channels * header.width, True
    for begin in range(first, last, _BLOCK):
        end = min(begin + _BLOCK, last)
        data = content[header.start + begin * align : header.start + end * align]
        block = sound.decoded(data, header.tag, header.width).reshape(-1, header.channels)
        samples[begin - first : end - first], numbers = _mono(block)
        fine &= numbers
    cut_off = header.status == sound.TRUNCATED and end_s * header.rate > header.frames
    return Sound(samples, header.rate, _status(cut_off, fine))


def _by_soundfile(
    file: BinaryIO, content: Any, header: sound.Header | None, start_s: float, end_s: float
) -> Sound:
    soundfile = speech_package("soundfile")

    def read(size: int, *, seek: bool) -> Sound:
        blocks, fine, place, broken = [np.zeros(0, np.float32)], True, 0, False
        with _decoder(file, content, header) as decoder:
            rate = int(decoder.samplerate)
            first, last = _part(start_s, end_s, rate, decoder.frames)
            if seek and first and decoder.seekable():
                place = decoder.seek(first)
            while place < last:
                try:
                    block = decoder.read(min(size, last - place), dtype="float32", always_2d=True)
                except soundfile.SoundFileError:
                    if seek:
                        raise
                    broken = True
                    break
                if not len(block):
                    break
                mono, numbers = _mono(block[max(0, first - place) :])
                blocks.append(mono)
                fine &= numbers
                place += len(block)
            # The decoder guesses how long an MP3 file is that does not say it.
            told = decoder.format != "MP3" or _counts_frames(content)
            cut_off = broken or (told and place + _SLACK_FRAMES < last)
            cut_off |= _breaks_off(content) and end_s * rate > decoder.frames
        return Sound(np.concatenate(blocks), rate, _status(cut_off, fine))

    try:
        found = read(_BLOCK, seek=True)
    except soundfile.SoundFileError:
        # FLAC, in the middle of a frame: nothing can be looked for any more.
        found = read(_LEAST_BLOCK, seek=False)
    if not len(found.samples):
        raise UserError(
            _NO_BEGINNING if found.status == sound.TRUNCATED else sound.STATUSES[sound.EMPTY]
        )
    return found


@contextlib.contextmanager
def _decoder(file: BinaryIO, content: Any, header: sound.Header | None) -> Iterator[Any]:
    """A recording opened by soundfile; a WAV file has a header."""
    soundfile = speech_package("soundfile")
    file.seek(0)
    try:
        decoder = soundfile.SoundFile(file)
    except soundfile.SoundFileError as error:
        if header is not None:
            raise UserError(sound.STATUSES[header.status]) from None
        if _breaks_off(content):
            raise UserError(_NO_BEGINNING) from None
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        raise UserError(
            f"cannot be read as audio ({reason}); {_READ}: convert it, such as with ffmpeg -i OLD "
            "NEW.flac"
        ) from None
    with decoder:
        yield decoder


def _mono(block_NC: Any) -> tuple[Any, bool]:
    """The mean of all channels, and whether all samples were numbers."""
    # Infinite samples of two channels have no mean.
    with np.errstate(invalid="ignore", over="ignore"):
        return sound.only_numbers(block_NC.mean(1, dtype=np.float32))


def _status(cut_off: bool, fine: bool) -> int:
    if not fine:
        return sound.NOT_FINITE
    return sound.TRUNCATED if cut_off else sound.OK


def _breaks_off(content: Any) -> bool:
    """Whether a file is shorter than its header says, of kinds whose decoder says nothing of it."""
    if content[:4] != b"OggS":
        return _promised_bytes(content) > len(content) + _SLACK_BYTES
    # The last page says how long its parts are.
    page = content.rfind(b"OggS", 0, len(content))
    lengths = content[page + _PAGE_HEAD - 1 : page + _PAGE_HEAD + 255]
    parts = lengths[0] if lengths else 0
    return page + _PAGE_HEAD + parts + sum(lengths[1 : 1 + parts]) > len(content)


def _counts_frames(content: Any) -> bool:
    """Whether the first frame of an MP3 file says how many there are."""
    start = 0
    if content[:3] == b"ID3":
        sizes = content[6:10]
        # Seven bits of each byte.
        start = 10 + sum((value & 127) << (7 * place) for place, value in enumerate(sizes[::-1]))
    first = content[start : start + 256]
    return any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


def _promised_bytes(content: Any) -> int:
    """How long a file is by its own header; 0 where that does not say."""

    def number(start: int, size: int, order: Any = "little") -> int:
        value = int.from_bytes(content[start : start + size], order)
        # Written before the length was known.
        return 0 if value >= (sound.STREAMED if size == 4 else 1 << 62) else value

    kind = content[:4]
    if kind in (b"RIFF", b"RIFX", b"FORM"):
        return 8 + number(4, 4, "little" if kind == b"RIFF" else "big")
    if kind == b"RF64" and content[12:16] == b"ds64":
        return 8 + number(20, 8)
    if kind == b"riff":
        return number(16, 8)
    if kind == b".snd":
        return number(4, 4, "big") + number(8, 4, "big")
    return 0
