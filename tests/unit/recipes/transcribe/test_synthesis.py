"""Speech is a function of what is asked: whatever was spoken before, and in whatever process."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soxr

from seqapps.errors import UserError
from seqapps.recipes.transcribe.spoken import synthesis
from seqapps.recipes.transcribe.spoken.splits import RATE_HZ, resampled

# m1 breathes and flutters; Reed is made by the engine that draws its noise from C's generator;
# antonio has an echo.
UTTERANCES = [
    ("turn on the kitchen light", "en-us+m1", 150, 50),
    ("seven", "en+Reed", 180, 30),
    ("stop, then go on!", "en-gb-x-rp+antonio", 120, 70),
    ("seven", "en+Reed", 181, 30),
    ("seven", "en+Reed", 180, 60),
    ("eight", "en+Reed", 180, 30),
    ("seven", "en-gb-scotland+Reed", 180, 30),
    ("seven", "en-us+f2", 200, 60),
]

DIGESTS = """
import sys
from seqapps.recipes.transcribe.spoken import synthesis
import hashlib
for text, voice, rate, pitch in eval(sys.argv[1]):
    samples = synthesis.say(text, voice=voice, rate=rate, pitch=pitch)
    print(hashlib.sha256(samples.tobytes()).hexdigest())
"""


def digest(utterance):
    text, voice, rate, pitch = utterance
    samples = synthesis.say(text, voice=voice, rate=rate, pitch=pitch)
    return hashlib.sha256(samples.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def digests():
    return {utterance: digest(utterance) for utterance in UTTERANCES}


def test_an_utterance_sounds_the_same_in_any_order(digests):
    order = np.random.default_rng(0).permutation(len(UTTERANCES))
    for again in (UTTERANCES[::-1], [UTTERANCES[i] for i in order]):
        assert {utterance: digest(utterance) for utterance in again} == digests
    for utterance in UTTERANCES[:3]:
        assert [digest(utterance) for _ in range(3)] == [digests[utterance]] * 3


def test_it_sounds_the_same_in_a_process_of_its_own(digests):
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, repr(UTTERANCES[::-1])],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [digests[utterance] for utterance in UTTERANCES[::-1]]


def test_threads_do_not_speak_into_each_other(digests):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(digest, UTTERANCES * 3)) == list(digests.values()) * 3


def test_text_voice_rate_and_pitch_are_all_heard(digests):
    assert len(set(digests.values())) == len(UTTERANCES)
    slow, fast = (synthesis.say("seven", voice="en-us+m1", rate=rate) for rate in (120, 200))
    assert len(slow) > 1.2 * len(fast) > 0.2 * synthesis.native_rate_hz()


def test_silence_and_a_voice_that_there_is_not(digests):
    assert not synthesis.say("", voice="en-us+m1").any()
    with pytest.raises(UserError, match="no voice 'nobody'"):
        synthesis.say("seven", voice="nobody")
    # What failed leaves nothing behind.
    assert digest(UTTERANCES[0]) == digests[UTTERANCES[0]]


def test_what_is_kept_is_the_same_each_time():
    rate_hz = synthesis.native_rate_hz()
    samples = synthesis.say("set a timer for seventy nine seconds", voice="en-gb-scotland+Alicia")
    again = [resampled(samples, rate_hz).tobytes() for _ in range(20)]
    assert len(set(again)) == 1
    loud = resampled(np.full(4000, 32767, np.int16), rate_hz)
    # Ringing at the edges stays within the type.
    assert loud.max() == 32767
    exact = soxr.resample(samples.astype(np.float64), rate_hz, RATE_HZ)
    assert np.abs(resampled(samples, rate_hz) - exact).max() < 1
