"""Settings of where recordings come from, synthetic ones too."""

from dataclasses import dataclass
from typing import ClassVar

from seqapps.automatic import auto
from seqapps.data.splits import HeldOutBy, Located, check_shares


@dataclass(frozen=True, kw_only=True)
class SpeechData(Located):
    """Where recordings come from.

    A location is `spoken` (embedded, synthetic); `digits:FOLDER` (single digits named
    DIGIT_SPEAKER_INDEX.wav); `tfds:NAME` or `tfds:NAME/CONFIG`; a manifest (.tsv, .csv, .jsonl or
    .json, with the columns path, text and, if there are, speaker, start and end in seconds; those
    of DeepSpeech and NeMo are known too); or a folder as LibriSpeech (`*.trans.txt` beside the
    recordings), Common Voice (`train.tsv` and `clips/`), LJSpeech (`metadata.csv` and `wavs/`) or
    Kaldi (`wav.scp` and `text`) have it.
    """

    of_paths: ClassVar[tuple[str, ...]] = ("digits:",)

    train: str = "spoken"
    """Location of the training recordings."""
    validation: str = ""
    """Location of the validation recordings. Empty: the own split of `train`, or a part held
    out."""
    test: str = ""
    """Location of the test recordings. Empty: the own split of `train`, or a part held out."""
    folder: str = "."
    """Folder in which relative paths of the locations begin."""
    tfds_folder: str = ""
    """Folder of prepared TensorFlow data sets. Empty: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    path_column: str = ""
    """Column of a manifest with the recording. Empty: path, wav_filename, audio_filepath or
    file_name; a number, with one for the text: that column of a table without header."""
    text_column: str = ""
    """Column of a manifest with what is said. Empty: text, transcript, sentence or
    transcription."""
    max_seconds: float = 30.0
    """Longest training recording; longer ones are left out."""
    max_bad_share: float = 0.05
    """Share of the training recordings that may be left out, from 0 to 1; with more the run
    stops."""
    held_out_share: float = 0.1
    """Share of the recordings held out for each missing split, to 0.4; of whole speakers where
    there are enough."""
    held_out_by: HeldOutBy = "hash"
    """Rule of holding out: `hash`, so that a speaker, a text or a recording stays in its split when
    others are added; or `count`, exactly the share, as bundles of earlier versions have it."""

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("train must name training recordings, got ''; use 'spoken'.")
        if self.path_column.isdecimal() != self.text_column.isdecimal():
            raise ValueError(
                "path_column and text_column must both be names or both numbers, got "
                f"{self.path_column!r} and {self.text_column!r}."
            )
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds must be above 0, got {self.max_seconds}.")
        check_shares(max_bad_share=self.max_bad_share, held_out_share=self.held_out_share)


@dataclass(frozen=True, kw_only=True)
class DigitStrings:
    """How digit strings are put together, for the location `digits:FOLDER`.

    Raises:
        ValueError: If a value is outside its range.
    """

    held_out: str = ""
    """Speaker who is heard in the test alone; empty: all speakers are known, and the test has
    recordings of theirs that are not in training."""
    validation_speaker: str = ""
    """Speaker who is heard in validation alone; empty: validation has recordings of the training
    speakers that are not in training."""
    strings: int = 2000
    """Strings of a training pass, which are put together anew for each."""
    validation_strings: int = 300
    """Strings of the validation split."""
    longest: int = 7
    """Digits of the longest training string; those of validation and test have 1 to 7."""
    snr_low_db: float = 10.0
    """Lowest signal-to-noise ratio of a training string; in validation and test 10 to 30 dB."""
    snr_high_db: float = 30.0
    """Highest; between the two every ratio is as likely."""
    synthetic_share: float = 0.0
    """Share of the training strings that synthetic voices of eSpeak NG speak, so that more
    speakers are heard than there are; validation and test have none."""
    mixed_share: float = 0.0
    """Share of the training strings whose digits are spoken by different speakers."""

    def __post_init__(self) -> None:
        for name in ("strings", "validation_strings", "longest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("synthetic_share", "mixed_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}.")
        if self.held_out and self.held_out == self.validation_speaker:
            raise ValueError(
                "held_out and validation_speaker must be different speakers, or choices are made "
                f"on the test; got {self.held_out!r} for both. Name another validation_speaker, or "
                "leave it empty."
            )
        if not self.snr_low_db <= self.snr_high_db:
            raise ValueError(
                f"snr_low_db must be at most snr_high_db, got {self.snr_low_db} and "
                f"{self.snr_high_db}."
            )


@dataclass(frozen=True, kw_only=True)
class SyntheticVoices:
    """Voices of eSpeak NG beside the training recordings, in the training alone.

    They speak the transcripts and other text of the kind: that of `text.language_text`, or what is
    made up from the transcripts. They show how letters sound in more words than there are
    recordings of.

    Raises:
        ValueError: If a value is outside its range.
    """

    share: float = auto(0.0)
    """Share of what the first pass hears that they speak, from 0 to 0.9; from pass to pass less,
    so that the end of the training hears recordings alone."""
    passes: int = auto(1)
    """Passes after which they are silent."""
    minutes: float = auto(60.0)
    """How much they speak, from which each pass has its part."""
    language: str = auto("")
    """Language that they speak, as eSpeak NG names it (`en-us`, `es`, `hi`); left to the rule, the
    one that script and commonest words of the transcripts tell."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 0.9:
            raise ValueError(
                f"share must be from 0 to 0.9, got {self.share}; 0 for no synthetic voices."
            )
        if self.passes < 1:
            raise ValueError(f"passes must be at least 1, got {self.passes}.")
        if not self.minutes > 0:
            raise ValueError(f"minutes must be above 0, got {self.minutes}.")
