"""What is served of a recogniser, with a network that hears what it is told."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.audio.read import Samples
from seqapps.audio.settings import Features
from seqapps.decoding.settings import Transcription
from seqapps.recipes.transcribe.answer import Transcribe, lower_case
from seqapps.recipes.transcribe.scores import real_time_factor
from seqapps.text.alphabet import Alphabet
from seqapps.text.lower_case import lowered


def served(path, *, centre=True):
    """Answers the symbols of a path, one for each step of 40 ms; `_` is the blank."""
    alphabet = Alphabet((" ", "a", "b"))
    places = [(*alphabet.symbols, "_").index(symbol) for symbol in path]
    logits = np.where(np.arange(4) == np.array(places)[:, None], 20.0, 0.0).astype(np.float32)

    def network(inputs, training):
        return {"logits": logits[np.newaxis], "logits_lengths": tf.constant([len(path)])}

    features = Features(sample_rate_hz=8000, mels=16, centre=centre)
    return Transcribe(network, alphabet.assets, features=features, stride=4)


def answer(found, samples):
    options = {
        name: tf.constant([value])
        for name, value in vars(Transcription()).items()
        if name != "hot_words"
    }
    options["hot_words"] = tf.zeros([1, 0], tf.string)
    read = Samples(tf.zeros([1, samples]), tf.constant([samples]), tf.constant([0]))
    return found.answer(read, options)


@pytest.mark.parametrize("centre", [True, False])
def test_a_step_stands_around_its_time_and_no_word_ends_after_the_recording(centre):
    # Ten steps: 0.36 s are 37 centred frames.
    found = answer(served("a___b_ a_b", centre=centre), 2880)
    assert found["words"][0].numpy().tolist() == [b"ab", b"ab"]
    early = 0.02 if centre else 0.0
    starts, ends = found["starts"][0].numpy(), found["ends"][0].numpy()
    np.testing.assert_allclose(starts, [0.0, 0.28 - early], atol=1e-6)
    np.testing.assert_allclose(ends, [0.20 - early, 0.36], atol=1e-6)


def test_the_speed_is_measured_after_calls_of_the_same_shape():
    calls = []

    class Application:
        def answers(self, recordings):
            calls.append(len(recordings))
            return [{"seconds": 1.0} for _ in recordings]

    found = real_time_factor(Application(), [b""] * 5)
    assert calls == [1] * 8
    assert 0 <= found["real_time_factor"] < 0.1


@pytest.mark.parametrize("language", ["", "tr", "en-us"])
def test_expected_words_are_put_in_the_lower_case_of_the_transcripts(language):
    words = ["İSTANBUL IŞIK", "Straße ÄÖÜ", "", "ΣΟΦΟΣ"[:4]]
    found = lower_case(tf.constant(words), language).numpy()
    assert [word.decode() for word in found] == [lowered(word, language) for word in words]
