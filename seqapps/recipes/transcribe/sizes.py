"""How much there is to learn from, looked up before anything is loaded: what the rule asks for."""

from seqapps.data.recordings import speech_package
from seqapps.recipes.transcribe.data import training_entries
from seqapps.recipes.transcribe.data_settings import SpeechData
from seqapps.recipes.transcribe.settings import Sizes
from seqapps.recipes.transcribe.voices import language_of


def training_sizes(settings: SpeechData) -> Sizes | None:
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
    seconds, rates, texts = 0.0, [], []
    for entry in entries:
        if entry.reason:
            continue
        try:
            info = soundfile.info(str(entry.path))
        except (soundfile.SoundFileError, OSError, UnicodeEncodeError):
            # Loading names it.
            continue
        seconds += max(0.0, min(info.duration, entry.end_s) - entry.start_s)
        rates.append(int(info.samplerate))
        texts.append(entry.text)
    if not rates:
        return None
    return Sizes(
        minutes=seconds / 60.0,
        rate_hz=sorted(rates)[len(rates) // 10],
        language=language_of(texts),
    )
