"""How much there is to learn from, looked up before anything is loaded: what the rule asks for."""

from seqapps.errors import UserError
from seqapps.recipes.transcribe import sound_files
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
    seconds, rates, texts = 0.0, [], []
    for entry in entries:
        if entry.reason:
            continue
        try:
            duration_s, rate_hz = sound_files.length(entry.path)
        except UserError:
            # Loading names it.
            continue
        seconds += max(0.0, min(duration_s, entry.end_s) - entry.start_s)
        rates.append(rate_hz)
        texts.append(entry.text)
    if not rates:
        return None
    return Sizes(
        minutes=seconds / 60.0,
        rate_hz=sorted(rates)[len(rates) // 10],
        language=language_of(texts),
    )
