"""Tables and folders of recordings, as people and data sets have them: row by row, nothing heard.

Source: DeepSpeech (`wav_filename,wav_filesize,transcript`), NeMo (a JSON object a line), LJSpeech
(`ID|text|text as it is read`, no header), Kaldi (`wav.scp`, `text`, `segments`, `utt2spk`), Common
Voice, LibriSpeech.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqapps.data import files
from seqapps.data.splits import Split
from seqapps.errors import UserError
from seqapps.recipes.transcribe.sound_files import is_recording

ENDINGS = (".tsv", ".csv", ".jsonl", ".json")
"""Endings of the files that are manifests."""
PATHS = ("path", "wav_filename", "audio_filepath", "file_name")
"""Names of the column with the recording, the first that there is."""
TEXTS = ("text", "transcript", "sentence", "transcription")
"""Names of the column with what is said."""
_OTHERS = ("speaker", "start", "end")
"""Columns that may be there."""
_NAMES = "data.path_column and data.text_column name others"
_SEPARATORS = ",\t;|"

Cells = Mapping[str, Any]
"""A row's `path`, `text` and what else there is."""


@dataclass(frozen=True)
class Entry:
    """One row of a manifest, before its recording is read."""

    place: tuple[str, int]
    """File and line."""
    path: Path
    """The recording."""
    text: str = ""
    """What is said."""
    speaker: str = ""
    """By whom."""
    start_s: float = 0.0
    """Where it begins."""
    end_s: float = math.inf
    """Where it ends."""
    reason: str = ""
    """Why the row cannot be used, or empty."""


def manifest(path: Path, *, path_column: str = "", text_column: str = "") -> Iterator[Entry]:
    """Yields the rows of a manifest, a file that ends in one of `ENDINGS`.

    Columns: the recording, relative to the manifest's folder, and what is said in it; speaker,
    start and end (seconds) may be there. A row that cannot be used has a reason. A name without
    ending is that of a recording beside the manifest or in a folder there.

    Args:
        path: The file.
        path_column: The column with the recording. Empty: one of `PATHS`; a number: that column of
            a table without header, the first being 1.
        text_column: The column with what is said. Empty: one of `TEXTS`.

    Raises:
        UserError: If the file cannot be read or lacks a column.
    """
    read = _json_rows if path.suffix in (".json", ".jsonl") else _table_rows
    found = _Recordings(path.parent)
    for line, row in read(path, path_column, text_column):
        yield _entry((str(path), line), row, found)


def folder_entries(
    path: Path, split: Split, *, own: bool, path_column: str = "", text_column: str = ""
) -> Iterator[Entry] | None:
    """Yields the recordings of a folder as Common Voice, Kaldi, LJSpeech or LibriSpeech have it.

    Args:
        path: The folder.
        split: Which of its splits.
        own: Whether it may lack the split.
        path_column: As for `manifest`.
        text_column: As for `manifest`.

    Returns:
        None if `own` asks for a split that it lacks.

    Raises:
        UserError: If it is no such folder.
    """
    if (path / "clips").is_dir():
        name = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}[split]
        if (path / name).is_file():
            return _common_voice(path, name)
        if own:
            return None
        raise UserError(f"{path / name} is missing; a Common Voice folder has one for each split.")
    if own:
        return None
    if (path / "wav.scp").is_file():
        return _kaldi(path)
    for ending in ENDINGS:
        if (table := path / f"metadata{ending}").is_file():
            return manifest(table, path_column=path_column, text_column=text_column)
    transcripts = sorted(path.rglob("*.trans.txt"))
    if not transcripts:
        raise UserError(
            f"{path} has neither a folder clips with train.tsv beside it (Common Voice) nor "
            "wav.scp and text (Kaldi), metadata.csv (LJSpeech) or files *.trans.txt (LibriSpeech); "
            "name a manifest instead."
        )
    return _librispeech(transcripts)


class _Recordings:
    """The recordings that a manifest names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_stem: dict[str, list[Path]] | None = None

    def find(self, name: str) -> tuple[Path, str]:
        """The file of a name, and why there is none, or nothing."""
        path = self._folder / name
        if "\\" in name and not path.exists():
            path = self._folder / name.replace("\\", "/")
        if is_recording(path) or path.exists():
            return path, ""
        if self._by_stem is None:
            self._by_stem = {}
            folders = [f for f in sorted(self._folder.iterdir()) if f.is_dir()]
            for folder in (self._folder, *folders):
                for file in filter(is_recording, folder.iterdir()):
                    self._by_stem.setdefault(file.stem, []).append(file)
        there = self._by_stem.get(name, [])
        if len(there) > 1:
            return path, f"several recordings have the name {name}: {there[0]}, {there[1]}"
        if not there:
            return (
                path,
                f"{path} does not exist, nor a recording of that name in a folder beside it",
            )
        return there[0], ""


def _entry(place: tuple[str, int], row: Cells | str, recordings: _Recordings) -> Entry:
    if isinstance(row, str):
        return Entry(place, Path(place[0]), reason=row)
    path, reason = recordings.find(row["path"])
    speaker = "" if row.get("speaker") is None else str(row["speaker"])
    entry = Entry(place, path, row["text"], speaker, reason=reason)
    try:
        start_s, end_s = _seconds(row.get("start"), 0.0), _seconds(row.get("end"), math.inf)
    except (TypeError, ValueError, OverflowError):
        return replace(entry, reason="start and end must be seconds, numbers")
    if not 0.0 <= start_s < end_s:
        return replace(entry, reason=f"start {start_s:g} s is not before its end")
    return replace(entry, start_s=start_s, end_s=end_s)


def _seconds(value: Any, otherwise: float) -> float:
    """A time; what is empty or absent is not 0."""
    return otherwise if value is None or value == "" else float(value)


def _table_rows(
    path: Path, path_column: str, text_column: str
) -> Iterator[tuple[int, Cells | str]]:
    """Rows of a table with their numbers, or why one cannot be used."""
    first = next(files.read_lines(path), "")
    asked = ((path_column,) if path_column else PATHS, (text_column,) if text_column else TEXTS)
    if path_column.isdecimal() and text_column.isdecimal():
        yield from _headless(path, first, int(path_column), int(text_column))
        return
    separators = "\t" if path.suffix == ".tsv" else _SEPARATORS
    headers = {s: [name.strip() for name in _split(first, s)] for s in separators}
    right = [s for s, names in headers.items() if all(set(names) & set(one) for one in asked)]
    if not right and "|" in first and path.suffix == ".csv" and not path_column + text_column:
        yield from _headless(path, first, 1, -1)
        return
    separator = right[0] if right else _separator(first, separators)
    header = headers[separator]
    places = {
        key: _place(path, header, names) for key, names in zip(("path", "text"), asked, strict=True)
    } | {key: header.index(key) for key in _OTHERS if key in header}
    if separator == ",":
        columns = [header[place] for place in places.values()]
        for row in files.read_table(path, columns):
            # A row with a reason has no cells.
            texts = map(files.repaired, row.cells)
            yield row.line, row.reason or dict(zip(places, texts, strict=False))
        return
    for number, cells, reason in _lines(path, separator, len(header), start=2):
        yield number, reason or {key: cells[place] for key, place in places.items()}


def _headless(
    path: Path, first: str, path_place: int, text_place: int
) -> Iterator[tuple[int, Cells | str]]:
    """Rows of a table without header; the first column is 1, the last -1."""
    separator = _separator(first, "\t" if path.suffix == ".tsv" else _SEPARATORS)
    width = len(_split(first, separator))
    if not all(place < 0 or 1 <= place <= width for place in (path_place, text_place)):
        raise UserError(
            f"{path} has {width} columns; data.path_column and data.text_column must be from 1 to "
            f"{width}, or names of its header, got {path_place} and {text_place}."
        )
    for number, cells, reason in _lines(path, separator, width, start=1):
        names = {"path": path_place, "text": text_place}
        yield (
            number,
            reason or {key: cells[place - (place > 0)].strip() for key, place in names.items()},
        )


def _lines(
    path: Path, separator: str, width: int, *, start: int
) -> Iterator[tuple[int, list[str], str]]:
    """Numbers and cells of the lines that are not empty, from one on, or why there are none."""
    for number, line in enumerate(files.read_lines(path), start=1):
        if not line or number < start:
            continue
        cells = [files.repaired(cell) for cell in _split(line, separator)]
        what = "first line" if start == 1 else "header"
        wrong = f"the line has {len(cells)} columns, the {what} has {width}"
        yield number, cells, wrong if len(cells) != width else ""


def _separator(line: str, separators: str) -> str:
    """The first one that occurs in a line: names of recordings have none."""
    return min(separators, key=lambda one: line.find(one) % (len(line) + 1))


def _split(line: str, separator: str) -> list[str]:
    """The cells of a line; quotation marks mean something between commas alone."""
    return next(csv.reader([line]), []) if separator == "," else line.split(separator)


def _place(path: Path, header: list[str], names: Sequence[str]) -> int:
    """Where the first of the names stands in a header."""
    name = next((name for name in names if name in header), names[0])
    if header.count(name) != 1:
        raise UserError(
            f"{path} must have exactly one column {' or '.join(map(repr, names))} in its first "
            f"line, it has {', '.join(map(repr, header))[:300]}; {_NAMES}, and tabs separate the "
            "columns of a .tsv."
        )
    return header.index(name)


def _json_rows(path: Path, path_column: str, text_column: str) -> Iterator[tuple[int, Cells | str]]:
    """JSON objects, one a line or in a list, with their numbers, or why one cannot be used."""
    asked = {
        "path": (path_column,) if path_column else PATHS,
        "text": (text_column,) if text_column else TEXTS,
    }
    for number, row in _json_objects(path):
        if not isinstance(row, dict):
            yield number, row if isinstance(row, str) else "it is not a JSON object"
            continue
        cells: dict[str, Any] = {key: row[key] for key in _OTHERS if key in row}
        if row.get("offset") is not None and "start" not in row:
            cells |= _stretch(row)
        missing = []
        for key, names in asked.items():
            name = next((name for name in names if name in row), None)
            if name is None:
                missing.append(names[0])
            else:
                cells[key] = row[name]
        wrong = [key for key in asked if key in cells and type(cells[key]) is not str]
        if missing:
            there = ", ".join(map(str, row))[:100] or "nothing"
            yield number, f"the line has no {' and no '.join(missing)}, only {there}; {_NAMES}"
        elif wrong:
            shown = json.dumps(cells[wrong[0]])[:60]
            yield number, f"{wrong[0]} must be a string in quotation marks, it is {shown}"
        else:
            yield number, cells


def _stretch(row: Mapping[str, Any]) -> dict[str, Any]:
    """Start and end of NeMo's offset and duration."""
    start, lasts = row["offset"], row.get("duration")
    numbers = all(isinstance(value, int | float) for value in (start, lasts))
    return {"start": start, "end": start + lasts} if numbers else {"start": start}


def _json_objects(path: Path) -> Iterator[tuple[int, Any]]:
    """What each line holds, or each part of one list; why a line is no JSON, as a text."""
    lines = enumerate(files.read_lines(path), start=1)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            if path.suffix == ".json" and line.lstrip().startswith("["):
                whole = "\n".join([line, *(more for _, more in lines)])
                yield from enumerate(json.loads(whole), start=1)
                return
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"the line is not valid JSON: {error}"


def _kaldi(folder: Path) -> Iterator[Entry]:
    """The utterances of `text`, whose recordings `wav.scp` names."""
    recordings = dict(_pairs(folder / "wav.scp"))
    speakers = dict(_pairs(folder / "utt2spk")) if (folder / "utt2spk").is_file() else {}
    segments = None
    if (folder / "segments").is_file():
        segments = {name: rest.split() for name, rest in _pairs(folder / "segments")}
    for number, line in enumerate(files.read_lines(folder / "text"), start=1):
        name, _, text = line.strip().partition(" ")
        if not name:
            continue
        entry = Entry((str(folder / "text"), number), folder / "wav.scp", files.repaired(text))
        entry = replace(entry, speaker=speakers.get(name, ""))
        segment = (segments or {}).get(name, [])
        if segments is not None and len(segment) != 3:
            yield replace(entry, reason=f"{name} has no recording, start and end in segments")
            continue
        recording = recordings.get(segment[0] if segment else name, "")
        if not recording:
            yield replace(entry, reason=f"there is no recording {name} in wav.scp")
        elif recording.endswith("|"):
            yield replace(
                entry, reason=f"{recording!r} is a command; write what it gives to a file"
            )
        else:
            row = {"path": recording, "text": entry.text, "speaker": entry.speaker}
            if segment:
                row |= {"start": segment[1], "end": segment[2]}
            yield _entry(entry.place, row, _Recordings(_base(folder, recording)))


def _base(folder: Path, name: str) -> Path:
    """The folder that a name begins in: Kaldi's recipes run in one above that of the data."""
    bases = (folder, *folder.absolute().parents)
    return next((base for base in bases if (base / name).exists()), folder)


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """The first word of each line, and the rest."""
    for line in files.read_lines(path):
        name, *rest = line.split(maxsplit=1)[:2] or [""]
        if name:
            yield name, rest[0].strip() if rest else ""


def _librispeech(transcripts: list[Path]) -> Iterator[Entry]:
    for transcript in transcripts:
        there = {file.stem: file for file in transcript.parent.iterdir() if is_recording(file)}
        for number, line in enumerate(files.read_lines(transcript), start=1):
            name, _, text = line.partition(" ")
            place = (str(transcript), number)
            if name in there:
                yield Entry(place, there[name], text, speaker=name.partition("-")[0])
            elif name:
                yield Entry(place, transcript, reason=f"there is no recording {name}")


def _common_voice(path: Path, name: str) -> Iterator[Entry]:
    table = path / name
    header = next(files.read_lines(table), "").split("\t")
    places = {key: _place(table, header, (key,)) for key in ("path", "sentence")}
    client = header.index("client_id") if "client_id" in header else None
    for number, cells, reason in _lines(table, "\t", len(header), start=2):
        place = (str(table), number)
        if reason:
            yield Entry(place, table, reason=reason)
        else:
            who = "" if client is None else cells[client]
            file = path / "clips" / cells[places["path"]]
            yield Entry(place, file, cells[places["sentence"]], who)
