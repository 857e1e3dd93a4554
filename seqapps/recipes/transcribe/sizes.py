"""How much there is to learn from, looked up before anything is loaded: what the rule asks for."""

from dataclasses import dataclass

from seqapps.data.recordings import speech_package
from seqapps.data.splits import text_key
from seqapps.recipes.transcribe.data import training_entries
from seqapps.recipes.transcribe.data_settings import SpeechData


@dataclass(frozen=True)
class Sizes:
    """Sizes of a set of training recordings."""

    minutes: float
    """Sound in all."""
    recordings: int
    """How many."""
    texts: int
    """Different ones."""
    rate_hz: int
    """Samples a second that nine in ten recordings have at least."""


def sizes(settings: SpeechData) -> Sizes | None:
    """Reads the headers of the training recordings.

    Returns:
        None for embedded recordings, digits and TensorFlow Datasets, whose settings are known or
        whose size is not, and where no header can be read.

    Raises:
        UserError: If there is no such manifest or folder.
    """
    entries = training_entries(settings)
    if entries is None:
        return None
    soundfile = speech_package("soundfile")
    seconds, rates, texts = 0.0, [], set()
    for entry in entries:
        if entry.reason:
            continue
        try:
            info = soundfile.info(str(entry.path))
        except (soundfile.SoundFileError, OSError, UnicodeEncodeError):
            continue
        seconds += max(0.0, min(info.duration, entry.end_s) - entry.start_s)
        rates.append(int(info.samplerate))
        texts.add(text_key(entry.text))
    if not rates:
        return None
    return Sizes(seconds / 60.0, len(rates), len(texts), sorted(rates)[len(rates) // 10])
