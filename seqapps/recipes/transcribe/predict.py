"""The `predict` of a recogniser: recordings of any kind and length in, text or subtitles out."""

# N samples of a recording

import contextlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqapps.arguments import standard_input
from seqapps.bundle.application import Application
from seqapps.errors import UserError
from seqapps.lazy import lazy_imports
from seqapps.recipe import PredictOptions
from seqapps.recipes.transcribe.subtitles import Word, cues, srt, vtt

with lazy_imports():
    import numpy as np

    from seqapps.data import recordings
    from seqapps.portable.runtime import sound
    from seqapps.recipes.transcribe import sound_files

if TYPE_CHECKING:
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

LONGEST_S = 25.0
"""Longest part of a recording that is transcribed at once."""
_OVERLAP_S = 1.0
"""How far two parts reach into each other, to either side of the cut."""
_QUIET_S = 0.3
"""Length of the silences that cuts are looked for in."""
_TOGETHER = 16
"""Parts that are transcribed at once."""


@dataclass(frozen=True, kw_only=True)
class ListenOptions(PredictOptions):
    """Flags of `predict`."""

    format: Literal["text", "json", "srt", "vtt"] = "text"
    """What to write: the text, everything as JSON, or subtitles."""
    output: Path | None = None
    """Folder to write to, a file for each recording, in folders as the recordings are; standard
    output if it is not given."""


@dataclass(frozen=True)
class Transcript:
    """What was understood of one recording."""

    file: str
    """Its name; `-` for standard input."""
    text: str
    words: list[Word]
    seconds: float
    """Length of the recording."""
    confidence: float
    """Mean probability of its characters, 0 to 1."""
    status: str = "ok"
    """`ok`, or what is wrong with the recording."""
    alternatives: list[str] | None = None
    """The n best texts, where several were asked for and the recording was not cut."""


def listen(application: Application, options: ListenOptions, *, strategy: dict[str, Any]) -> None:
    """Transcribes files, folders or standard input, and writes each answer as it comes.

    Args:
        application: A recogniser's bundle.
        options: What to read and to write.
        strategy: Strategy values by name.

    Raises:
        UserError: If a recording cannot be read; the others are transcribed first.
    """
    style = "json" if options.json else options.format
    names = list(_recordings(options.files))
    paths = [path for path, _ in names]
    if len(paths) > 1 and style in ("srt", "vtt") and options.output is None:
        raise UserError(
            f"{len(paths)} recordings give as many files of subtitles: name a folder for them with "
            "--output."
        )
    targets: list[Path | None] = [None] * len(paths)
    if options.output is not None:
        targets = list(_targets(names, options.output, {"text": "txt"}.get(style, style)))
        # At once, so that a place that cannot be written costs no work.
        with _writing(options.output):
            options.output.mkdir(parents=True, exist_ok=True)
    failed = []
    for path, target in zip(paths, targets, strict=True):
        transcript = transcribe(application, path, strategy=strategy)
        if transcript.status != "ok":
            sys.stderr.write(f"{transcript.file}: {transcript.status}\n")
        if transcript.status.startswith("error"):
            failed.append(transcript.file)
            if style != "json":
                continue
        text = _written(transcript, style)
        if target is not None:
            with _writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            continue
        named = f"{transcript.file}\t" if style == "text" and len(paths) > 1 else ""
        sys.stdout.write(named + text)
        sys.stdout.flush()
    if failed:
        raise UserError(
            f"{len(failed)} of {len(paths)} recordings could not be read: {', '.join(failed[:5])}"
            + (" ..." if len(failed) > 5 else ".")
        )


def transcribe(
    application: Application, path: Path | None, *, strategy: dict[str, Any]
) -> Transcript:
    """Transcribes one recording of any length.

    Args:
        application: A recogniser's bundle.
        path: The file; None for standard input.
        strategy: Strategy values by name.
    """
    name = "-" if path is None else str(path)
    try:
        samples, rate_hz, status = _read(path)
    except UserError as error:
        return Transcript(name, "", [], 0.0, 0.0, f"error: {error}")
    seconds = len(samples) / rate_hz
    cuts = find_cuts(samples, rate_hz)
    parts = [
        (max(0.0, start - _OVERLAP_S), min(seconds, end + _OVERLAP_S))
        for start, end in zip([0.0, *cuts], [*cuts, seconds], strict=True)
    ]
    asked = [
        {"samples": samples[round(a * rate_hz) : round(b * rate_hz)], "rate_hz": rate_hz}
        for a, b in parts
    ]
    options = {key: value for key, value in strategy.items() if key != "n_best"}
    answers: list[dict[str, Any]] = []
    several = strategy.get("n_best", 1) > 1 and len(asked) == 1
    if several:
        answers, asked = application.answers([_wav(samples, rate_hz)], **strategy), []
    for first in range(0, len(asked), _TOGETHER):
        answers += application.ask("pcm", asked[first : first + _TOGETHER], **options)
    words = join(
        [
            [
                Word(text, begin + start, begin + end, confidence)
                for text, start, end, confidence in zip(
                    answer["words"],
                    answer["starts"],
                    answer["ends"],
                    answer["word_confidences"],
                    strict=True,
                )
            ]
            for answer, (begin, _) in zip(answers, parts, strict=True)
        ],
        cuts,
    )
    if len(answers) == 1:
        text, confidence = answers[0]["text"], answers[0]["confidence"]
    else:
        text = " ".join(word.text for word in words)
        letters = [len(word.text) for word in words]
        weighted = sum(w.confidence * n for w, n in zip(words, letters, strict=True))
        confidence = weighted / max(1, sum(letters))
    alternatives = answers[0]["alternatives"] if several else None
    return Transcript(name, text, words, seconds, confidence, status, alternatives)


def find_cuts(samples_N: "Samples", rate_hz: int) -> list[float]:
    """Where to cut a long recording, in seconds: in the quietest moments, none for a short one.

    Parts are between a third of `LONGEST_S` and `LONGEST_S` long.
    """
    seconds = len(samples_N) / rate_hz
    if seconds <= LONGEST_S:
        return []
    block = max(1, rate_hz // 50)
    # Not 50 at every rate.
    blocks_a_second = rate_hz / block
    blocks = samples_N[: len(samples_N) // block * block].reshape(-1, block)
    # Not as a whole in float64: of an hour that alone would be half a gigabyte.
    power = np.einsum("bn,bn->b", blocks, blocks, dtype=np.float64) / block
    width = max(1, round(_QUIET_S * blocks_a_second))
    # The loudest block of a stretch says how quiet it is.
    padded = np.pad(power, (width // 2, width - 1 - width // 2), mode="edge")
    loudest = np.lib.stride_tricks.sliding_window_view(padded, width).max(1)
    cuts: list[float] = []
    start = 0.0
    while seconds - start > LONGEST_S:
        low = round((start + LONGEST_S / 3) * blocks_a_second)
        high = round((start + LONGEST_S) * blocks_a_second)
        window = loudest[low:high]
        # Of the quiet moments (within 3 dB) the last one: long parts have more context.
        quietest = np.flatnonzero(window <= window.min() * 2.0)
        start = (low + int(quietest[-1])) / blocks_a_second
        cuts.append(start)
    return cuts


def join(parts: Sequence[Sequence[Word]], cuts: Sequence[float]) -> list[Word]:
    """Puts the words of overlapping parts together: each counts where its middle lies.

    A word whose middle both parts hear on the other's side of the cut is taken from the surer one.

    Args:
        parts: Words of each part, with their times in the whole recording.
        cuts: Seconds between the parts, one fewer.
    """
    bounds = [-np.inf, *cuts, np.inf]
    joined: list[Word] = []
    before: Sequence[Word] = ()
    for words, low, high in zip(parts, bounds[:-1], bounds[1:], strict=True):
        kept = [word for word in words if low <= _middle(word) < high]
        late = [word for word in before if _middle(word) >= low]
        early = [word for word in words if _middle(word) < low]
        if late and early:
            left, right = late[0], early[-1]
            if (
                max(left.start_s, right.start_s) < min(left.end_s, right.end_s)
                and not any(w.start_s <= _middle(right) < w.end_s for w in joined[-1:])
                and not any(w.start_s <= _middle(left) < w.end_s for w in kept[:1])
            ):
                joined.append(max(left, right, key=lambda word: word.confidence))
        before = words
        # Heard twice, once from either side of the cut, at slightly different times.
        if (
            joined
            and kept
            and joined[-1].text == kept[0].text
            and joined[-1].end_s > kept[0].start_s
        ):
            kept = kept[1:]
        joined += kept
    return joined


def _middle(word: Word) -> float:
    return (word.start_s + word.end_s) / 2


def _recordings(files: Sequence[Path]) -> Iterator[tuple[Path | None, Path]]:
    """The files that are named, and those in folders, None being standard input; and their names.

    A name is what the answer's file is called after: that of a file in a folder begins there.
    """
    if not files:
        yield None, Path("recording")
    for path in files:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        there = sorted(file for file in path.rglob("*") if sound_files.is_recording(file))
        if not there:
            kinds = ", ".join(sound_files.ENDINGS)
            raise UserError(f"there are no recordings in {path} ({kinds}).")
        yield from ((file, file.relative_to(path)) for file in there)


def _targets(
    names: Sequence[tuple[Path | None, Path]], output: Path, ending: str
) -> Iterator[Path]:
    """The file of each answer.

    Raises:
        UserError: If two answers would be in the same file.
    """
    owners: dict[Path, Path | None] = {}
    for path, name in names:
        target = output / name.with_suffix(f".{ending}")
        if target in owners:
            raise UserError(
                f"the answers to {owners[target]} and {path} would both be written to {target}; "
                "name the folder that holds both, or write them to different folders."
            )
        owners[target] = path
        yield target


def _read(path: Path | None) -> "tuple[Samples, int, str]":
    """Samples, rate and status of a recording.

    Raises:
        UserError: If it cannot be read.
    """
    if path is None:
        found = sound_files.read_sound(io.BytesIO(standard_input().read()))
    else:
        with sound_files.opened(path) as file:
            found = sound_files.read_sound(file)
    return found.samples, found.rate_hz, sound.STATUSES[found.status]


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """What the system says of a place that cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{place} cannot be written: {error.strerror or error}; give another folder with "
            "--output."
        ) from None


def _wav(samples: "Samples", rate_hz: int) -> bytes:
    data = np.asarray(samples, "<f4").tobytes()
    return recordings.riff(data, tag=3, channels=1, rate_hz=rate_hz, width=4)


def _written(transcript: Transcript, style: str) -> str:
    if style == "srt":
        return srt(cues(transcript.words))
    if style == "vtt":
        return vtt(cues(transcript.words))
    if style == "text":
        return transcript.text + "\n"
    table = {key: value for key, value in asdict(transcript).items() if value is not None}
    return json.dumps(_rounded(table), ensure_ascii=False) + "\n"


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as they are good for."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
