"""Strings of spoken digits, put together from recordings of single ones.

The recordings are WAV files named `{digit}_{speaker}_{index}.wav`, as in the Free Spoken Digit
Dataset. A string has 1 to 7 digits of one speaker with random gaps, levels and noise.
"""

# N samples of a recording

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqapps.data.recordings import Recordings, Samples, read_audio, resampled, to_int16
from seqapps.data.speech_settings import DigitStrings
from seqapps.errors import UserError

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

TEST_STRINGS = 1000
"""Strings of the test split; it is drawn with seed 0, whatever the seed of the training."""

_FILE = re.compile(r"([0-9])_(.+)_([0-9]+)\.wav")
_TEST, _VALIDATION = range(0, 5), range(5, 10)
"""Indices of recordings that are kept for the test and for validation, of each speaker and digit,
where the test speaker is known; else the test has a speaker and validation has both ranges."""
_GAP_S, _EDGE_S = (0.0, 0.25), (0.1, 0.3)
_LEVEL_DB = 6.0


Pool = Mapping[str, Sequence[Sequence[Samples]]]
"""Recordings by speaker and digit."""


@dataclass(frozen=True)
class Digits:
    """Single digits, dealt to the splits: no recording is in two of them."""

    train: Pool
    validation: Pool
    test: Pool
    settings: DigitStrings
    rate_hz: int
    synthetic: Pool = field(default_factory=dict)
    """Voices of eSpeak NG, for training alone."""

    @classmethod
    def read(cls, folder: Path, settings: DigitStrings, *, rate_hz: int) -> "Digits":
        """Reads a folder.

        Raises:
            UserError: If there are no such files, a file cannot be read, or a speaker is unknown.
        """
        found: dict[str, dict[int, dict[int, Samples]]] = {}
        for path in sorted(folder.glob("*.wav")) if folder.is_dir() else ():
            if name := _FILE.fullmatch(path.name):
                digit, speaker, index = int(name[1]), name[2], int(name[3])
                samples = read_audio(path, rate_hz)
                found.setdefault(speaker, {}).setdefault(digit, {})[index] = samples
        if not found:
            raise UserError(
                f"there are no recordings named DIGIT_SPEAKER_INDEX.wav (7_jackson_32.wav) in "
                f"{folder}; name the folder of a digit data set with digits:FOLDER."
            )
        for asked in (settings.held_out, settings.validation_speaker):
            if asked and asked not in found:
                raise UserError(
                    f"there is no speaker {asked!r} in {folder}; there are {', '.join(found)}."
                )

        def pool(speakers: Sequence[str], wanted: object = None, but: object = ()) -> Pool:
            chosen = {
                speaker: [
                    [
                        samples
                        for index, samples in found[speaker].get(digit, {}).items()
                        if (wanted is None or index in wanted) and index not in but  # type: ignore[operator]
                    ]
                    for digit in range(10)
                ]
                for speaker in speakers
            }
            for speaker, digits in chosen.items():
                if missing := [str(digit) for digit, rows in enumerate(digits) if not rows]:
                    raise UserError(
                        f"speaker {speaker} in {folder} has too few recordings of "
                        f"{', '.join(missing)}: every split needs one; those with the indices 0 "
                        "to 9 are kept for validation and test."
                    )
            return chosen

        out = (settings.held_out, settings.validation_speaker)
        known = [speaker for speaker in found if speaker not in out]
        if not known:
            raise UserError(f"no speaker is left for training in {folder}.")
        kept = {*_TEST, *_VALIDATION}
        synthetic = speak_digits(rate_hz) if settings.synthetic_share else {}
        test = pool([settings.held_out]) if settings.held_out else pool(known, _TEST)
        if settings.validation_speaker:
            return cls(
                pool(known, but=() if settings.held_out else _TEST),
                pool([settings.validation_speaker]), test, settings, rate_hz, synthetic,
            )  # fmt: skip
        validation = pool(known, kept if settings.held_out else _VALIDATION)
        return cls(pool(known, but=kept), validation, test, settings, rate_hz, synthetic)

    def training(self, epoch: int, *, seed: int) -> Recordings:
        """The strings of one training pass: a function of seed and epoch."""
        count, seeds = self.settings.strings, [seed, epoch + 1]
        spoken = round(self.settings.synthetic_share * count)
        mixed = self.settings.mixed_share
        found = self._strings(self.train, count - spoken, seed=seeds, mixed_share=mixed)
        if spoken:
            more = self._strings(self.synthetic, spoken, seed=[*seeds, 1], mixed_share=mixed)
            for row in range(spoken):
                found.add(
                    more.samples[row], more.texts[row],
                    speaker=more.speakers[row], place=more.places[row],
                )  # fmt: skip
        return found

    def validation_strings(self, *, seed: int) -> Recordings:
        """The strings of the validation split."""
        return self._strings(self.validation, self.settings.validation_strings, seed=[seed, 0])

    def test_strings(self) -> Recordings:
        """The strings of the test split, always the same."""
        return self._strings(self.test, TEST_STRINGS, seed=[0])

    def _strings(
        self, pool: Pool, count: int, *, seed: list[int], mixed_share: float = 0.0
    ) -> Recordings:
        rng = np.random.default_rng(seed)
        speakers = sorted(pool)
        found = Recordings()
        for number in range(count):
            speaker = speakers[rng.integers(len(speakers))]
            count_of = rng.integers(1, self.settings.longest + 1)
            digits = rng.integers(10, size=count_of).tolist()
            who = [speaker] * len(digits)
            if mixed_share and rng.uniform() < mixed_share:
                who = [speakers[i] for i in rng.integers(len(speakers), size=len(digits))]
                speaker = "mixed"
            chosen = [
                pool[by][digit][int(rng.integers(len(pool[by][digit])))]
                for by, digit in zip(who, digits, strict=True)
            ]
            snr_db = rng.uniform(self.settings.snr_low_db, self.settings.snr_high_db)
            found.add(
                join(chosen, snr_db=float(snr_db), rate_hz=self.rate_hz, rng=rng),
                " ".join(NAMES[digit] for digit in digits),
                speaker=speaker,
                place=("digit strings", number + 1),
            )
        return found


def speak_digits(rate_hz: int) -> Pool:
    """Single digits of many voices of eSpeak NG, by voice and digit: always the same.

    Raises:
        UserError: If eSpeak NG is not installed.
    """
    from seqapps.data.spoken import synthesis
    from seqapps.data.spoken.splits import ACCENTS, VARIANTS

    rng = np.random.default_rng(0)
    pool: dict[str, list[list[Samples]]] = {}
    for accent in ACCENTS:
        for variant in VARIANTS["train"]:
            voice = f"{accent}+{variant}"
            pool[voice] = []
            for name in NAMES:
                spoken = synthesis.say(
                    name,
                    voice=voice,
                    rate=int(rng.integers(110, 211)),
                    pitch=int(rng.integers(20, 81)),
                )
                values = resampled(
                    spoken.astype(np.float32) / 32768.0, synthesis.native_rate_hz(), rate_hz
                )
                # The silence that it leaves around a word would be a gap of its own.
                loud = np.flatnonzero(np.abs(values) > 0.01)
                pool[voice].append([to_int16(values[loud[0] : loud[-1] + 1])])
    return pool


def join(
    recordings: Sequence[Samples], *, snr_db: float, rate_hz: int, rng: np.random.Generator
) -> Samples:
    """Puts recordings behind one another, in noise.

    Gaps last up to 0.25 s, 0.1 to 0.3 s at the edges; levels differ by up to 6 dB either way; the
    noise is between white and pink.

    Args:
        recordings: int16, (N,) each.
        snr_db: Mean power of the recordings, without the gaps, over that of the noise.
        rate_hz: Samples a second.
        rng: Draws what is random.

    Returns:
        int16, (N,).
    """

    def silence(low: float, high: float) -> npt.NDArray[np.float64]:
        return np.zeros(int(rng.uniform(low, high) * rate_hz))

    parts = [silence(*_EDGE_S)]
    for i, recording in enumerate(recordings):
        level = 10.0 ** (rng.uniform(-_LEVEL_DB, _LEVEL_DB) / 20.0)
        parts += [silence(*_GAP_S)] if i else []
        parts.append(level * recording.astype(np.float64) / 32768.0)
    values_N = np.concatenate([*parts, silence(*_EDGE_S)])
    speech = sum(float((part**2).sum()) for part in parts[1::2]) / max(
        1, sum(len(part) for part in parts[1::2])
    )
    # Of a power of two, for which the transform is quick.
    points = 1 << len(values_N).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(points))
    spectrum *= np.arange(1, len(spectrum) + 1) ** (-0.5 * rng.uniform())
    noise_N = np.fft.irfft(spectrum, points)[: len(values_N)]
    wanted = speech / 10.0 ** (snr_db / 10.0)
    values_N += noise_N * np.sqrt(wanted / max(float((noise_N**2).mean()), 1e-20))
    # Loud digits at their upper level would be clipped.
    return to_int16((values_N / max(1.0, np.abs(values_N).max())).astype(np.float32))
