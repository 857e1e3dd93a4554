"""Settings that follow the recordings and the minutes."""

import pytest
from speech_data import RATE_HZ

from seqapps.automatic import auto
from seqapps.recipes.transcribe.data_settings import SpeechData, SyntheticVoices
from seqapps.recipes.transcribe.settings import Config, Sizes, settled
from seqapps.recipes.transcribe.sizes import training_sizes
from seqapps.text.settings import PYTHON_HELP, Transcripts
from seqapps.training.settings import Training

LITTLE = Sizes(minutes=20, rate_hz=22_050, language="en-us")


def test_little_speech_gets_voices_and_plain_words():
    config = settled(Config(training=Training(minutes=10)), LITTLE)
    assert (config.voices.language, config.text.language_text) == ("en-us", PYTHON_HELP)
    assert config.voices.share == 0.6
    # 50 minutes a pass, 1,440 heard: silent after 17 of 28.8 passes.
    assert (config.voices.passes, config.voices.minutes) == (17, 60)
    assert config.text.punctuation == "drop"
    assert (config.model.units, config.features.sample_rate_hz) == (192, 16_000)


def test_transcripts_are_in_the_lower_case_of_their_language():
    assert settled(Config(), Sizes(minutes=20, rate_hz=16_000, language="tr")).text.language == "tr"
    asked = Config(text=Transcripts(language="az"))
    assert settled(asked, LITTLE).text.language == "az"
    with pytest.raises(ValueError, match="language must be a code such as tr or en-us, got 'Turk"):
        Transcripts(language="Turkish")


def test_much_speech_and_an_unknown_language_get_none():
    much = settled(Config(), Sizes(minutes=60_000, rate_hz=8_000, language="en-us"))
    assert (much.voices.share, much.text.language_text, much.text.punctuation) == (0, "", "keep")
    assert (much.features.sample_rate_hz, much.training.minutes) == (8_000, 5)
    assert much.model.units == 128
    assert settled(Config(), Sizes(minutes=5, rate_hz=16_000)).voices.share == 0


def test_what_somebody_chose_stays():
    chosen = Config(
        voices=SyntheticVoices(share=0.2, language="es"), training=Training(epochs=50, minutes=0.0)
    )
    config = settled(chosen, LITTLE)
    assert (config.voices.share, config.voices.language) == (0.2, "es")
    assert config.text.language_text == ""
    assert (config.training.minutes, config.voices.passes) == (0, 30)
    assert settled(Config(training=Training(minutes=auto(0.0))), LITTLE).training.minutes == 5


def test_sizes_are_read_from_headers(few_recordings):
    found = training_sizes(SpeechData(train=str(few_recordings)))
    assert found.rate_hz == RATE_HZ
    assert 0 < found.minutes == pytest.approx(_minutes(few_recordings))
    assert training_sizes(SpeechData(train="spoken")) is None
    assert training_sizes(SpeechData(train="digits:somewhere")) is None


def _minutes(manifest):
    import soundfile

    lines = manifest.read_text().splitlines()[1:]
    files = {manifest.parent / line.split("\t")[0] for line in lines}
    return sum(soundfile.info(str(file)).duration for file in files) / 60
