"""Strings of spoken digits, put together from recordings of single ones.

The recordings are WAV files named `{digit}_{speaker}_{index}.wav`, as in the Free Spoken Digit
Dataset. A string has 1 to 7 digits of one speaker with random gaps, levels and noise. It is a
function of its split, the seed and its number alone.
"""

# N samples of a recording

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from seqapps.data.recordings import Recordings, Samples, resampled, to_int16
from seqapps.errors import UserError
from seqapps.recipes.transcribe.data_settings import DigitStrings
from seqapps.recipes.transcribe.sound_files import read_audio

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

TEST_STRINGS = 1000
"""Strings of the test split; it is drawn with seed 0, whatever the seed of the training."""
LONGEST, SNR_DB = 7, (10.0, 30.0)
"""Digits of the longest string and signal-to-noise ratios of validation and test, whatever the
settings of the training."""
RATE_HZ = 8000
"""Rate at which recordings are put together, before they are brought to the rate wanted."""

_FILE = re.compile(r"([0-9])_(.+)_([0-9]+)\.wav")
_TEST, _VALIDATION = range(0, 5), range(5, 10)
"""Indices of recordings that are kept for the test and for validation, of each speaker and digit,
where the test speaker is known; else the test has a speaker and validation has both ranges."""
_FOR_TEST, _FOR_VALIDATION, _FOR_TRAINING, _FOR_SYNTHETIC = range(1, 5)
"""First numbers of the seeds. Not 0: trailing zeros of a seed do not count."""
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
    """Rate of the strings; that of the recordings is `RATE_HZ`."""

    @classmethod
    def read(cls, folder: Path, settings: DigitStrings, *, rate_hz: int) -> "Digits":
        """Reads a folder.

        Raises:
            UserError: If there are no such files, a file cannot be read, or a speaker is unknown.
        """
        recordings: dict[str, dict[int, dict[int, Samples]]] = {}
        for path in sorted(folder.glob("*.wav")) if folder.is_dir() else ():
            if name := _FILE.fullmatch(path.name):
                digit, speaker, index = int(name[1]), name[2], int(name[3])
                samples = read_audio(path, RATE_HZ)
                recordings.setdefault(speaker, {}).setdefault(digit, {})[index] = samples
        if not recordings:
            raise UserError(
                f"there are no recordings named DIGIT_SPEAKER_INDEX.wav (7_jackson_32.wav) in "
                f"{folder}; name the folder of a digit data set with digits:FOLDER."
            )
        for asked in (settings.held_out, settings.validation_speaker):
            if asked and asked not in recordings:
                raise UserError(
                    f"there is no speaker {asked!r} in {folder}; there are {', '.join(recordings)}."
                )

        def pool(speakers: Sequence[str], wanted: object = None, but: object = ()) -> Pool:
            chosen = {
                speaker: [
                    [
                        samples
                        for index, samples in recordings[speaker].get(digit, {}).items()
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
        known = [speaker for speaker in recordings if speaker not in out]
        if not known:
            raise UserError(f"no speaker is left for training in {folder}.")
        kept = {*_TEST, *_VALIDATION}
        test = pool([settings.held_out]) if settings.held_out else pool(known, _TEST)
        if settings.validation_speaker:
            return cls(
                pool(known, but=() if settings.held_out else _TEST),
                pool([settings.validation_speaker]),
                test,
                settings,
                rate_hz,
            )
        validation = pool(known, kept if settings.held_out else _VALIDATION)
        return cls(pool(known, but=kept), validation, test, settings, rate_hz)

    def training(self, epoch: int, *, seed: int) -> Recordings:
        """The strings of one training pass: a function of seed and epoch."""
        count = self.settings.strings
        spoken = round(self.settings.synthetic_share * count)
        strings = self._training(self.train, count - spoken, [_FOR_TRAINING, seed, epoch])
        if spoken:
            strings.extend(self._training(speak_digits(), spoken, [_FOR_SYNTHETIC, seed, epoch]))
        return strings

    def validation_strings(self, *, seed: int) -> Recordings:
        """The strings of the validation split, made as those of the test are."""
        count = self.settings.validation_strings
        return self._strings(self.validation, count, [_FOR_VALIDATION, seed])

    def test_strings(self) -> Recordings:
        """The strings of the test split, always the same."""
        return self._strings(self.test, TEST_STRINGS, [_FOR_TEST, 0])

    def _training(self, pool: Pool, count: int, seed: Sequence[int]) -> Recordings:
        settings = self.settings
        return self._strings(
            pool,
            count,
            seed,
            longest=settings.longest,
            mixed_share=settings.mixed_share,
            snr_db=(settings.snr_low_db, settings.snr_high_db),
        )

    def _strings(
        self,
        pool: Pool,
        count: int,
        seed: Sequence[int],
        *,
        longest: int = LONGEST,
        snr_db: tuple[float, float] = SNR_DB,
        mixed_share: float = 0.0,
    ) -> Recordings:
        speakers = sorted(pool)
        strings = Recordings()
        for number in range(count):
            rng = np.random.default_rng([*seed, number])
            speaker = speakers[rng.integers(len(speakers))]
            digits = rng.integers(10, size=rng.integers(1, longest + 1)).tolist()
            who = [speaker] * len(digits)
            if mixed_share and rng.uniform() < mixed_share:
                who = [speakers[i] for i in rng.integers(len(speakers), size=len(digits))]
                speaker = "mixed"
            chosen = [
                pool[by][digit][int(rng.integers(len(pool[by][digit])))]
                for by, digit in zip(who, digits, strict=True)
            ]
            joined = join(chosen, snr_db=float(rng.uniform(*snr_db)), rate_hz=RATE_HZ, rng=rng)
            if self.rate_hz != RATE_HZ:
                values = joined.astype(np.float32) / 32768.0
                joined = to_int16(resampled(values, RATE_HZ, self.rate_hz))
            strings.add(
                joined,
                " ".join(NAMES[digit] for digit in digits),
                speaker=speaker,
                place=("digit strings", number + 1),
            )
        return strings


@cache
def speak_digits() -> Pool:
    """Single digits of many voices of eSpeak NG at `RATE_HZ`, by voice and digit: always the same.

    Raises:
        UserError: If eSpeak NG is not installed.
    """
    from seqapps.recipes.transcribe.spoken import synthesis
    from seqapps.recipes.transcribe.spoken.splits import ACCENTS, VARIANTS

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
                    spoken.astype(np.float32) / 32768.0, synthesis.native_rate_hz(), RATE_HZ
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
    # Everything else is drawn before the noise, whose share of the numbers depends on the rest.
    edges_s = rng.uniform(*_EDGE_S, size=2)
    gaps_s = rng.uniform(*_GAP_S, size=len(recordings) - 1)
    levels = 10.0 ** (rng.uniform(-_LEVEL_DB, _LEVEL_DB, size=len(recordings)) / 20.0)
    colour = rng.uniform()
    spoken = [
        level * recording.astype(np.float64) / 32768.0
        for level, recording in zip(levels, recordings, strict=True)
    ]
    silences = [np.zeros(int(s * rate_hz)) for s in (edges_s[0], *gaps_s, edges_s[1])]
    parts = [silences[0]]
    for part, silence in zip(spoken, silences[1:], strict=True):
        parts += [part, silence]
    values_N = np.concatenate(parts)
    speech = sum(float((part**2).sum()) for part in spoken) / max(1, sum(map(len, spoken)))
    # Of a power of two, for which the transform is quick.
    points = 1 << len(values_N).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(points))
    spectrum *= np.arange(1, len(spectrum) + 1) ** (-0.5 * colour)
    noise_N = np.fft.irfft(spectrum, points)[: len(values_N)]
    wanted = speech / 10.0 ** (snr_db / 10.0)
    values_N += noise_N * np.sqrt(wanted / max(float((noise_N**2).mean()), 1e-20))
    # Loud digits at their upper level would be clipped.
    return to_int16((values_N / max(1.0, np.abs(values_N).max())).astype(np.float32))
