"""Recordings with transcripts: embedded speech, manifests, folders, digits, TensorFlow Datasets.

A recording that cannot be used is named by file and line. Training recordings are then left out,
up to a stated share; those of a validation or test set stay, and one that cannot be read stops.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seqapps.data.files import Problem
from seqapps.data.recordings import Recordings, Samples, resampled, to_int16
from seqapps.data.splits import Split, check_held_out, find_tfds, hold_out, load_each, text_key
from seqapps.errors import UserError
from seqapps.portable.runtime.sound import within_range
from seqapps.recipes.transcribe.data_settings import DigitStrings, SpeechData
from seqapps.recipes.transcribe.digits import Digits
from seqapps.recipes.transcribe.manifests import ENDINGS, Entry, folder_entries, manifest
from seqapps.recipes.transcribe.sound_files import read_audio

_HELD_OUT_MOST = 2000
_SHOWN = 5
_REPEATED = 5
"""Recordings of a text on average from which on texts are on both sides of a split."""
_NO_TEXT = re.compile("_[a-z_]+_")
"""Labels of a data set that are no words: `_silence_`, `_unknown_`."""


@dataclass(frozen=True)
class SpeechSplits:
    """The recordings to learn from, to choose by, and to report on."""

    train: Recordings
    validation: Recordings
    test: Recordings
    renew: Callable[[int], Recordings] | None = field(default=None, compare=False)
    """`renew(epoch)`: the training recordings of a pass, where each pass has its own."""
    missing: str = ""
    """Why there are none to train or to choose on, where a test alone is enough, or nothing."""


def load_speech(
    settings: SpeechData,
    digits: DigitStrings,
    *,
    rate_hz: int,
    seed: int,
    log: Callable[[str], None],
    sift: Callable[[Recordings], Recordings] | None = None,
    test_alone: bool = False,
) -> SpeechSplits:
    """Loads the three splits.

    Splits that are missing are held out from the training recordings: whole speakers where there
    are at least ten; else recordings by a hash of their text, so that no text is on both sides; or
    single recordings where a text is said five times and more on average.

    Args:
        settings: Where the recordings come from.
        digits: How digit strings are made, if they are.
        rate_hz: The sample rate wanted.
        seed: Chooses what is held out, and the digit strings of training and validation.
        log: Takes lines for the user.
        sift: Leaves out bad training recordings before others are held out.
        test_alone: Whether test recordings that the settings name are enough: what is wrong with
            the others is then no error, and they are empty.

    Raises:
        UserError: If a location has no recordings, or too many cannot be read.
    """
    renewed: list[Callable[[int], Recordings]] = []
    single: dict[str, Digits] = {}
    enough = test_alone and bool(settings.test)
    wrong: dict[Split, str] = {}

    def without(split: Split, error: UserError) -> Recordings:
        if not enough or split == "test":
            raise error
        wrong[split] = str(error)
        what = "training" if split == "train" else split
        log(f"Measured without the {what} recordings: {error}")
        return Recordings()

    def load(location: str, split: Split, own: bool) -> Recordings | None:
        if own and "train" in wrong:
            return Recordings()
        try:
            return read(location, split, own)
        except UserError as error:
            return without(split, error)

    def read(location: str, split: Split, own: bool) -> Recordings | None:
        if location.startswith("digits:"):
            if location not in single:
                place = Path(settings.folder).expanduser() / location.removeprefix("digits:")
                single[location] = Digits.read(place, digits, rate_hz=rate_hz)
            source = single[location]
            if split == "train":
                renewed.append(lambda epoch: source.training(epoch, seed=seed))
                recordings = renewed[0](0)
            elif split == "validation":
                recordings = source.validation_strings(seed=seed)
            else:
                recordings = source.test_strings()
        else:
            loaded = _load(settings, location, split, own=own, rate_hz=rate_hz, log=log)
            if loaded is None:
                return None
            recordings = loaded
        _check(recordings, location, split, settings, log)
        minutes = sum(map(len, recordings.samples)) / rate_hz / 60
        log(f"{split.capitalize()}: {len(recordings):,} recordings, {minutes:.1f} minutes")
        return recordings

    splits, missing = load_each(settings, load)
    if missing:
        try:
            if sift is not None:
                splits["train"] = sift(splits["train"])
            splits |= _hold_out(splits["train"], missing, settings, seed, log)
        except UserError as error:
            splits["train"] = splits["validation"] = without("train", error)
    return SpeechSplits(
        **splits,
        renew=renewed[0] if renewed and not wrong else None,
        missing=" ".join(wrong.values()),
    )


def _check(
    recordings: Recordings,
    location: str,
    split: Split,
    settings: SpeechData,
    log: Callable[[str], None],
) -> None:
    """Writes which recordings could not be read, and stops if there are too many."""
    bad, count = len(recordings.problems), len(recordings.problems) + len(recordings)
    if not bad and len(recordings):
        return
    for problem in recordings.problems[:_SHOWN]:
        log(f"  {problem}")
    if bad > _SHOWN:
        log(f"  and {bad - _SHOWN:,} more")
    if split != "train" and bad:
        raise UserError(
            f"{recordings.problems[0]}. A {split} set is never shortened in silence; mend the row "
            "or take it out."
        )
    if bad > settings.max_bad_share * count:
        raise UserError(
            f"{bad:,} of {count:,} training recordings in {location} cannot be used, "
            f"{bad / count:.1%}; at most {settings.max_bad_share:.1%} may be (max_bad_share). The "
            f"first: {recordings.problems[0]}"
        )
    if not len(recordings):
        raise UserError(
            f"there are no {split} recordings in {location}; name others with --data.{split}."
        )


def _load(
    settings: SpeechData,
    location: str,
    split: Split,
    *,
    own: bool,
    rate_hz: int,
    log: Callable[[str], None],
) -> Recordings | None:
    """Loads one split, or returns None if `own` asks for a split that the location lacks."""
    if location == "spoken":
        return _spoken(split, rate_hz, log)
    if location.startswith("tfds:"):
        place = find_tfds(location, settings.tfds_folder, split, own=own)
        return None if place is None else _from_tfds(*place, rate_hz=rate_hz, log=log)
    entries = _entries(settings, location, split, own=own)
    return None if entries is None else _read(entries, rate_hz, log)


def training_entries(settings: SpeechData) -> Iterator[Entry] | None:
    """The rows of a manifest or a folder of training recordings, none of them read yet.

    Returns:
        None where the location is neither.

    Raises:
        UserError: If there is no such manifest or folder.
    """
    if settings.train == "spoken" or settings.train.startswith(("digits:", "tfds:")):
        return None
    return _entries(settings, settings.train, "train", own=False)


def _entries(
    settings: SpeechData, location: str, split: Split, *, own: bool
) -> Iterator[Entry] | None:
    """Rows of a manifest or a folder, or None if `own` asks for a split that it lacks."""
    path = Path(settings.folder).expanduser() / Path(location).expanduser()
    columns = {
        "path_column": settings.path_column,
        "text_column": settings.text_column,
        "encoding": settings.encoding,
    }
    if path.name == "wav.scp" and path.is_file():
        path = path.parent
    if path.is_dir():
        return folder_entries(path, split, own=own, **columns)
    if own:
        return None
    if path.suffix not in ENDINGS or not path.is_file():
        what = "is neither a folder nor a manifest" if path.exists() else "does not exist"
        raise UserError(
            f"there are no recordings at {location!r}: {path} {what}. Give `spoken`, "
            f"`digits:FOLDER`, `tfds:NAME`, a manifest ({', '.join(ENDINGS)}) or a folder."
        )
    return manifest(path, **columns)


def _spoken(split: Split, rate_hz: int, log: Callable[[str], None]) -> Recordings:
    from seqapps.recipes.transcribe import spoken

    embedded: spoken.Spoken = getattr(spoken.spoken(log=log), split)
    samples = embedded.samples
    if rate_hz != spoken.RATE_HZ:
        samples = [
            to_int16(resampled((part / 32768.0).astype(np.float32), spoken.RATE_HZ, rate_hz))
            for part in samples
        ]
    places = [("embedded recordings", i + 1) for i in range(len(samples))]
    return Recordings(samples, embedded.texts, embedded.voices, places)


def _read(entries: Iterator[Entry], rate_hz: int, log: Callable[[str], None]) -> Recordings:
    """Reads the recordings of a manifest; those that cannot be read become problems."""
    import time

    recordings = Recordings()
    shown = time.monotonic()
    for entry in entries:
        if entry.reason:
            recordings.problems.append(Problem(*entry.place, entry.reason))
            continue
        try:
            samples = read_audio(entry.path, rate_hz, start_s=entry.start_s, end_s=entry.end_s)
        except UserError as error:
            recordings.problems.append(Problem(*entry.place, str(error)))
            continue
        recordings.add(samples, entry.text, speaker=entry.speaker, place=entry.place)
        if time.monotonic() - shown > 10.0:
            shown = time.monotonic()
            log(f"{len(recordings):,} recordings read")
    return recordings


def _from_tfds(path: Path, split: str, *, rate_hz: int, log: Callable[[str], None]) -> Recordings:
    """Reads a prepared data set with a feature `audio` or `speech` and a text or label.

    Recordings whose label is no word (`_silence_`, `_unknown_`) are left out.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(path))
    features = builder.info.features
    sound = next((n for n in features if isinstance(features[n], tfds.features.Audio)), None)
    said = next((n for n in ("text", "sentence", "transcript", "label") if n in features), None)
    if sound is None or said is None:
        raise UserError(
            f"the data set in {path} must have audio and a text or label; it has "
            f"{', '.join(features)}."
        )
    rate = getattr(features[sound], "sample_rate", None) or 16_000
    speaker = next((n for n in ("speaker_id", "speaker") if n in features), None)
    names = getattr(features[said], "names", None)
    recordings, left_out = Recordings(), 0
    for number, row in enumerate(tfds.as_numpy(builder.as_dataset(split=split)), start=1):
        if names and _NO_TEXT.fullmatch(names[row[said]]):
            left_out += 1
            continue
        values = row[sound]
        scale = 32768.0 if values.dtype.kind == "i" else 1.0
        values = values.reshape(len(values), -1).mean(1).astype("float32") / scale
        text = names[row[said]] if names else row[said].decode("utf-8", "replace")
        who = "" if speaker is None else _plain(row[speaker])
        recordings.add(
            to_int16(resampled(within_range(values), rate, rate_hz)),
            text,
            speaker=who,
            place=(f"{path} {split}", number),
        )
    if left_out:
        log(f"{left_out:,} recordings of {split} have a label that is no word; they are left out")
    return recordings


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _hold_out(
    train: Recordings,
    splits: list[Split],
    settings: SpeechData,
    seed: int,
    log: Callable[[str], None],
) -> dict[Split, Recordings]:
    """Takes whole speakers (ten and more), texts, or recordings from the training recordings."""
    texts = list(map(text_key, train.texts))
    if len(set(train.speakers)) >= 10:
        by, keys = "speaker", train.speakers
    elif len(texts) < _REPEATED * len(set(texts)):
        by, keys = "text", texts
    elif settings.held_out_by == "hash":
        by, keys = "recording", list(map(_content, train.samples))
    else:
        by, keys = "recording", [f"{file}:{line}" for file, line in train.places]
    owners = hold_out(
        keys,
        splits,
        share=settings.held_out_share,
        seed=seed,
        by=settings.held_out_by,
        most=_HELD_OUT_MOST,
    )
    check_held_out(owners, keys, splits, kind=f"different {by}s", needs="recordings")
    result = {
        split: train.take([i for i, key in enumerate(keys) if owners.get(key) == split])
        for split in splits
    }
    rest = [i for i, key in enumerate(keys) if key not in owners]
    result["train"] = train.take(rest, train.problems)
    log(
        f"Held out by {by}: "
        + ", ".join(f"{len(result[split]):,} recordings for {split}" for split in splits)
    )
    return result


def _content(samples: Samples) -> str:
    """What tells a recording from others, wherever it stands."""
    return hashlib.blake2b(samples.tobytes(), digest_size=16).hexdigest()
