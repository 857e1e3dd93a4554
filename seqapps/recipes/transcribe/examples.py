"""Recordings as batches of log-mel features with their labels: what a recogniser learns from."""

# B batch, N samples of the longest row, T frames, M mel bands, L labels

import io
import wave
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.audio.augment import perturb
from seqapps.audio.mel import frames_of, log_mel
from seqapps.audio.settings import Augmentation, Features
from seqapps.data.batching import evaluation_batches, padding_share, token_batches
from seqapps.data.files import read_lines, repaired
from seqapps.data.pipeline import Batches
from seqapps.data.recordings import Recordings
from seqapps.data.splits import fewer
from seqapps.errors import UserError
from seqapps.recipes.transcribe import language as speech_language
from seqapps.recipes.transcribe import voices
from seqapps.recipes.transcribe.data import SpeechSplits, load_speech
from seqapps.recipes.transcribe.data_settings import SpeechData
from seqapps.recipes.transcribe.language import Weights
from seqapps.recipes.transcribe.lint import Finding, lint
from seqapps.recipes.transcribe.settings import Config
from seqapps.text.alphabet import Alphabet, alphabet_in
from seqapps.text.ngram import NGram
from seqapps.text.scripts import without_spaces
from seqapps.text.settings import PYTHON_HELP, Transcripts

Ids = npt.NDArray[np.int32]

VALIDATION_FRAMES = 12_000
"""Budget of a batch that is not trained on."""
_CHARACTERS = 10
"""Characters outside the alphabet that are named to the user."""
_SAMPLES = 40
_SPEAKERS = 8
"""Speakers who are named to the user."""
_COUNTED = 5
"""Times that transcripts count in the language model, where other text counts once."""
_STATISTICS = 500
"""Recordings from which mean and deviation of the bands are taken."""


@dataclass
class SpeechExamples:
    """Recordings with labels, put into batches of features."""

    splits: SpeechSplits
    """The recordings."""
    alphabet: Alphabet
    """Fitted on the training transcripts."""
    features: Features
    augmentation: Augmentation
    stride: int
    """Frames of one output."""
    batch_frames: int
    """Budget of a training batch."""
    seed: int
    """Of batches and of augmentation."""
    language: NGram | None = None
    """Learned from the training transcripts."""
    weights: Weights = field(default_factory=Weights)
    """How much it counts."""

    @classmethod
    def load(
        cls,
        config: Config,
        assets: Mapping[str, bytes] | None,
        log: Callable[[str], None],
    ) -> "SpeechExamples":
        """Reads the recordings and looks them over; fits the alphabet unless `assets` have one.

        With `assets` and test recordings of their own, the training recordings may be gone, to
        measure alone: then `training_pass` raises what is wrong with them.

        Raises:
            UserError: If the data cannot be used, see `load_speech` and `lint`.
        """
        rate_hz = config.features.sample_rate_hz
        left_out: list[list[Finding]] = []
        splits = load_speech(
            config.data,
            config.digits,
            rate_hz=rate_hz,
            seed=config.seed,
            log=log,
            sift=lambda recordings: _sifted(recordings, config, left_out, log),
            test_alone=assets is not None,
        )
        texts = splits.train.texts
        alphabet = _alphabet(texts, config.text) if assets is None else alphabet_in(assets)
        log(f"Alphabet: {len(alphabet.symbols)} symbols")
        if alphabet.lower and "İ" in alphabet.symbols:
            log("İ stays as it is in lower case; of Turkish transcripts say --text.language tr")
        splits = _looked_over(splits, alphabet, config, left_out, log)
        _name_speakers(splits.train.hours(rate_hz), log)
        _name_shared(splits, alphabet, log)
        if config.voices.share and splits.renew is None and not splits.missing:
            splits = _with_voices(splits, alphabet, config, log)
        language, weights = (
            (_language(splits.train.texts, alphabet, config.text, log), Weights())
            if assets is None
            else speech_language.from_assets(assets)
        )
        return cls(
            splits=splits,
            alphabet=alphabet,
            features=config.features,
            augmentation=config.augmentation,
            stride=config.model.stride,
            batch_frames=config.training.batch_tokens,
            seed=config.seed,
            language=language,
            weights=weights,
        )

    @property
    def assets(self) -> dict[str, bytes]:
        """Alphabet and language model."""
        return self.assets_with(self.weights)

    def assets_with(self, weights: Weights) -> dict[str, bytes]:
        """The same, with a language model that counts this much."""
        return self.alphabet.assets | speech_language.to_assets(self.language, weights)

    @cached_property
    def words(self) -> bool:
        """Whether the training transcripts are written with spaces between words."""
        texts = self.splits.train.texts or self.splits.test.texts
        letters = [c for text in texts for c in text if c.isalpha()]
        return 2 * sum(map(without_spaces, letters)) <= len(letters)

    @property
    def headline(self) -> str:
        """The rate that choices are made by: `wer`, or `cer` where nobody writes words apart."""
        return "wer" if self.words else "cer"

    @property
    def rows(self) -> dict[str, Iterable[tuple[str, int]]]:
        """The texts of each split and how many samples they have: decoders differ in their bits."""
        parts = {"train": self.splits.train, "validation": self.splits.validation}
        parts["test"] = self.splits.test
        return {
            split: zip(part.texts, map(len, part.samples), strict=True)
            for split, part in parts.items()
        }

    @property
    def samples(self) -> list[bytes]:
        """Validation recordings as WAV files, for the certificate."""
        return [self.wav(samples) for samples in self.splits.validation.samples[:_SAMPLES]]

    def wav(self, samples: npt.NDArray[np.int16]) -> bytes:
        """A recording as the bytes of a WAV file."""
        return wav_bytes(samples, self.features.sample_rate_hz)

    def training_pass(self, epoch: int) -> Batches:
        """The batches of pass `epoch`: a function of the seed and the epoch alone."""
        self._need_training()
        renew = self.splits.renew
        train = renew(epoch) if renew else self.splits.train
        labels = [self.alphabet.encode(text) for text in train.texts]
        frames = self._frames(train)
        order = token_batches(frames, tokens=self.batch_frames, seed=self.seed, epoch=epoch)
        return Batches(
            dataset=lambda skip: self._batches(train, labels, order, skip=skip, epoch=epoch),
            tokens=np.array([frames[rows].sum() for rows in order]),
            padding=padding_share(frames, order),
        )

    def validation_batches(self) -> tf.data.Dataset:
        """The validation recordings, from short to long, as they are."""
        recordings = self.splits.validation
        return self._batches(recordings, self.validation_labels, self.validation_order, epoch=None)

    def few(self, most: int) -> "tuple[SpeechExamples, int]":
        """The same with few recordings to measure on."""
        validation, test, left = fewer(self.splits.validation, self.splits.test, most)
        few = replace(self.splits, validation=validation, test=test)
        return replace(self, splits=few), left

    @cached_property
    def validation_order(self) -> list[npt.NDArray[np.int64]]:
        """Rows of each batch of `validation_batches`."""
        return evaluation_batches(self._frames(self.splits.validation), tokens=VALIDATION_FRAMES)

    @cached_property
    def validation_labels(self) -> list[Ids]:
        """The labels of the validation recordings."""
        return [self.alphabet.encode(text) for text in self.splits.validation.texts]

    def validation_part(
        self, most: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, tf.Tensor]]]:
        """Rows and batch of so many validation recordings, drawn by the seed, or of all."""
        recordings = self.splits.validation
        chosen = np.random.default_rng(self.seed).permutation(len(recordings))[:most]
        frames = self._frames(recordings)[chosen]
        order = [chosen[part] for part in evaluation_batches(frames, tokens=VALIDATION_FRAMES)]
        dataset = self._batches(recordings, self.validation_labels, order, epoch=None)
        return zip(order, dataset, strict=True)

    def statistics(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and deviation of each band over training recordings: float64, (M,) each."""
        self._need_training()
        samples = self.splits.train.samples
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(len(samples))[:_STATISTICS]
        frames = [
            log_mel(tf.constant(samples[i][None] / 32768.0, tf.float32), self.features)[0].numpy()
            for i in chosen
        ]
        every = np.concatenate(frames).astype(np.float64)
        return every.mean(0), every.std(0)

    def _need_training(self) -> None:
        """Raises what is wrong with the training recordings, if they are gone."""
        if self.splits.missing:
            raise UserError(self.splits.missing)

    def _frames(self, recordings: Recordings) -> npt.NDArray[np.int64]:
        lengths = np.array([len(samples) for samples in recordings.samples], np.int32)
        return np.asarray(frames_of(lengths, self.features), np.int64)

    def _batches(
        self,
        recordings: Recordings,
        labels: Sequence[Ids],
        order: Sequence[npt.NDArray[np.int64]],
        *,
        epoch: int | None,
        skip: int = 0,
    ) -> tf.data.Dataset:
        """Batches of features; of a training pass (one with a number), augmented."""
        rows = np.concatenate([np.zeros(0, np.int64), *order])
        bounds = np.cumsum([0, *(len(batch) for batch in order)])
        counts = np.array([len(samples) for samples in recordings.samples], np.int64)
        sizes = np.array([len(ids) for ids in labels], np.int64)
        with tf.device("/CPU:0"):
            # 16 bits each: as float32 an hour would take 230 MB.
            sound = tf.constant(np.concatenate([*recordings.samples, np.zeros(1, np.int16)]))
            written = tf.constant(np.concatenate([*labels, np.zeros(1, np.int32)]), tf.int32)
            rows_all, ends = tf.constant(rows), tf.constant(bounds)
            counts_all, sizes_all = tf.constant(counts), tf.constant(sizes)
            sound_starts = tf.constant(np.cumsum(counts) - counts)
            label_starts = tf.constant(np.cumsum(sizes) - sizes)

        def gather(flat: Any, starts: Any, lengths: Any, rows_B: Any) -> tuple[Any, Any]:
            lengths_B = tf.gather(lengths, rows_B)
            steps = tf.range(tf.maximum(tf.reduce_max(lengths_B), 1))
            real = steps < lengths_B[:, tf.newaxis]
            places = tf.gather(starts, rows_B)[:, tf.newaxis] + steps
            last = tf.shape(flat, tf.int64)[0] - 1
            return tf.gather(flat, tf.where(real, places, last)), tf.cast(lengths_B, tf.int32)

        def make(batch: Any) -> dict[str, Any]:
            rows_B = rows_all[ends[batch] : ends[batch + 1]]
            sound_BN, lengths_B = gather(sound, sound_starts, counts_all, rows_B)
            samples_BN = tf.cast(sound_BN, tf.float32) / 32768.0
            if epoch is not None:
                number = tf.cast(epoch, tf.int64) * 1_000_003 + batch
                samples_BN, lengths_B = perturb(
                    samples_BN,
                    lengths_B,
                    tf.stack([tf.constant(self.seed, tf.int64), number]),
                    settings=self.augmentation,
                    rate_hz=self.features.sample_rate_hz,
                )
            labels_BL, labels_lengths_B = gather(written, label_starts, sizes_all, rows_B)
            return {
                "features": log_mel(samples_BN, self.features),
                "features_lengths": frames_of(lengths_B, self.features),
                "labels": labels_BL,
                "labels_lengths": labels_lengths_B,
            }

        dataset = tf.data.Dataset.range(skip, max(skip, len(order)))
        return dataset.map(make).prefetch(2)


def _sifted(
    recordings: Recordings,
    config: Config,
    left_out: list[list[Finding]],
    log: Callable[[str], None],
) -> Recordings:
    """The training recordings without those that nothing could be learned from.

    Looked at is what is wrong with them whatever the alphabet, which is fitted on the rest.

    Args:
        recordings: All of them.
        config: All settings.
        left_out: Grows by the problems of those that are left out.
        log: Takes lines for the user.
    """
    problems = lint(
        recordings,
        rate_hz=config.features.sample_rate_hz,
        labels=lambda line: np.arange(len(line.strip()), dtype=np.int32),
        unknown=lambda line: (),
        steps=lambda samples: 2**31,
        max_seconds=config.data.max_seconds,
    )
    report(problems, recordings, "train", log)
    left_out.extend(problems.values())
    _check_share(left_out, len(recordings), config.data)
    return _without(recordings, problems, recordings.problems)


def _looked_over(
    splits: SpeechSplits,
    alphabet: Alphabet,
    config: Config,
    left_out: Sequence[list[Finding]],
    log: Callable[[str], None],
) -> SpeechSplits:
    """The splits, training without recordings that have problems; the others keep theirs.

    Raises:
        UserError: If too many of training have, or another split says nothing at all.
    """

    def problems_in(recordings: Recordings, *, max_seconds: float) -> dict[int, list[Finding]]:
        return lint(
            recordings,
            rate_hz=config.features.sample_rate_hz,
            labels=alphabet.encode,
            unknown=alphabet.unknown,
            steps=lambda samples: _fewest_steps(samples, config),
            max_seconds=max_seconds,
        )

    most_s = config.data.max_seconds
    for split in ("train", "validation", "test"):
        recordings: Recordings = getattr(splits, split)
        problems = problems_in(recordings, max_seconds=most_s if split == "train" else float("inf"))
        report(problems, recordings, split, log)
        if strange := _strange(recordings.take([*problems]), alphabet):
            log(f"  {strange}")
        if not len(recordings) and splits.missing:
            continue
        if split == "train":
            count = len(recordings) + len(left_out)
            _check_share([*left_out, *problems.values()], count, config.data, more=strange)
            splits = replace(splits, train=_without(recordings, problems))
        elif not any(map(alphabet.clean, recordings.texts)):
            raise UserError(
                f"none of the {len(recordings):,} {split} transcripts has a word; give recordings "
                f"in which something is said (data.{split})."
            )
    if renew := splits.renew:

        def sound_ones(epoch: int) -> Recordings:
            made = renew(epoch)
            return _without(made, problems_in(made, max_seconds=most_s))

        splits = replace(splits, renew=sound_ones)
    return splits


def _fewest_steps(samples: int, config: Config) -> int:
    """Outputs of so many samples, as few as the fastest speed and tempo of augmentation leave."""
    augmentation = config.augmentation
    frames = int(frames_of(int(samples / (1.0 + augmentation.speed)), config.features))
    return -(-max(1, int(frames * (1.0 - augmentation.tempo))) // config.model.stride)


def _without(recordings: Recordings, problems: Mapping[int, Any], *kept: Any) -> Recordings:
    """The recordings but for those rows; `kept` is for `Recordings.take`."""
    if not problems and not kept:
        return recordings
    return recordings.take([i for i in range(len(recordings)) if i not in problems], *kept)


def _with_voices(
    splits: SpeechSplits, alphabet: Alphabet, config: Config, log: Callable[[str], None]
) -> SpeechSplits:
    """The splits, with synthetic voices in the passes; they speak when the first pass is asked for.

    Only training asks: nothing that is measured has synthetic voices.

    Raises:
        UserError: If nobody says in which language.
    """
    train, rate_hz = splits.train, config.features.sample_rate_hz
    if not config.voices.language:
        raise UserError(
            f"voices with a share of {config.voices.share:g} need a language, and the transcripts "
            "do not tell it: give --voices.language, such as en-us, es or hi."
        )

    @cache
    def spoken() -> Recordings:
        made = voices.spoken(
            train.texts,
            alphabet,
            config.voices,
            others=_other_text(config.text),
            rate_hz=rate_hz,
            seed=config.seed,
        )
        minutes = sum(map(len, made.samples)) / rate_hz / 60
        log(
            f"{minutes:.0f} minutes of synthetic voices (eSpeak NG, {config.voices.language}) "
            f"beside the recordings: {config.voices.share:.0%} of what is heard at first, nothing "
            f"after {config.voices.passes} passes"
        )
        return made

    def renew(epoch: int) -> Recordings:
        return voices.mixed(train, spoken(), config.voices, seed=config.seed, epoch=epoch)

    return replace(splits, renew=renew)


def _other_text(settings: Transcripts) -> list[str]:
    """Text that is like the transcripts, if any is named."""
    if not settings.language_text:
        return []
    if settings.language_text == PYTHON_HELP:
        return voices.english()
    path = Path(settings.language_text).expanduser()
    return [repaired(line) for line in read_lines(path) if line.strip()]


def _name_shared(splits: SpeechSplits, alphabet: Alphabet, log: Callable[[str], None]) -> None:
    """Says how many texts of validation and test are in training too."""
    known = set(map(alphabet.clean, splits.train.texts))
    for split in ("validation", "test"):
        recordings: Recordings = getattr(splits, split)
        shared = sum(alphabet.clean(text) in known for text in recordings.texts)
        if shared:
            log(
                f"{shared:,} of {len(recordings):,} {split} recordings say what a training "
                "recording says: of new texts expect more errors than are measured"
            )


def _name_speakers(hours: Mapping[str, float], log: Callable[[str], None]) -> None:
    """Says who speaks in training, and for how long."""
    if not hours:
        return
    first = [*hours.items()][:_SPEAKERS]
    shown = ", ".join(f"{who or 'unknown'} {60 * h:.1f} min" for who, h in first)
    more = f" and {len(hours) - _SPEAKERS} more" if len(hours) > _SPEAKERS else ""
    log(f"{len(hours)} training speakers: {shown}{more}")


def _strange(recordings: Recordings, alphabet: Alphabet) -> str:
    """The commonest characters outside the alphabet and how often there are such, or nothing."""
    counts = Counter[str]()
    for text in recordings.texts:
        unknown = alphabet.unknown(text)
        counts.update(c for c in alphabet.clean(text) if c in unknown)
    shown = ", ".join(f"{c!r} ({count:,})" for c, count in counts.most_common(_CHARACTERS))
    if not shown:
        return ""
    return (
        f"Outside the alphabet are, most of all, {shown}; --text.strip leaves characters out or "
        "writes them otherwise."
    )


def _check_share(problems: Sequence[Any], count: int, data: SpeechData, *, more: str = "") -> None:
    """Stops if too many of so many training recordings are left out."""
    if len(problems) > data.max_bad_share * count:
        raise UserError(
            f"{len(problems):,} of {count:,} training recordings cannot be used, "
            f"{len(problems) / count:.1%}; at most {data.max_bad_share:.1%} may be "
            f"(data.max_bad_share). The first: {problems[0][0]}" + (f". {more}" if more else "")
        )


def _alphabet(texts: Sequence[str], settings: Transcripts) -> Alphabet:
    """The symbols that are asked for, or those of the training transcripts."""
    return Alphabet.fit(
        [settings.alphabet] if settings.alphabet else texts,
        pieces=settings.pieces,
        lower=settings.lower,
        punctuation=settings.punctuation == "keep",
        language=settings.language,
        strip=settings.strip,
    )


def _language(
    texts: list[str], alphabet: Alphabet, settings: Transcripts, log: Callable[[str], None]
) -> NGram | None:
    """Learns the language model, if there is to be one."""
    if not settings.language_order:
        return None
    others = _other_text(settings)
    # The transcripts are nearer to what will be said than text from elsewhere.
    every = [*texts * (_COUNTED if others else 1), *others]
    model = speech_language.fit(every, alphabet, order=settings.language_order)
    log(f"Language model: {len(model.keys):,} n-grams of up to {model.order} symbols")
    return model


def report(
    problems: Mapping[int, list[Any]],
    recordings: Recordings,
    split: str,
    log: Callable[[str], None],
) -> None:
    """Writes how many recordings of a split have problems, by kind, and the first of them."""
    if not problems:
        return
    fate = "left out" if split == "train" else "kept as they are"
    count = len(recordings)
    log(f"{len(problems):,} of {count:,} {split} recordings have problems; they are {fate}:")
    every = [problem for row in problems.values() for problem in row]
    kinds: dict[str, int] = {}
    for problem in every:
        kinds[problem.kind] = kinds.get(problem.kind, 0) + 1
    for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
        first = next(problem for problem in every if problem.kind == kind)
        log(f"  {count:,} × {kind}, such as {first}")


def wav_bytes(samples: npt.NDArray[np.int16], rate_hz: int) -> bytes:
    """A mono WAV file of 16 bits: int16, (N,) → its bytes."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
