"""What a request may hold: limits are on what a model will read."""

import struct

import numpy as np
import pytest

from seqapps.portable.runtime.sound import read_header
from seqapps.serving.contract import Contract, Tensor, check
from seqapps.serving.refusals import Refused
from seqapps.serving.settings import Serve

LIMITS = Serve(bundles=("bundle",))
HEAR = Contract(
    name="serving_default",
    inputs={"audio": Tensor(name="audio", dtype="string", shape=(None,), media="wav")},
    outputs={},
)


def wav(seconds, *, rate=16_000, channels=1, first=b""):
    align = 2 * channels
    data = bytes(int(seconds * rate) * align)
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * align, align, 16)
    return b"RIFF\0\0\0\0WAVE" + first + head + struct.pack("<4sI", b"data", len(data)) + data


def ask(*files):
    rows = np.empty(len(files), object)
    rows[:] = files
    return check(HEAR, {"audio": rows}, LIMITS)


@pytest.mark.parametrize(
    "file", [wav(119), wav(60, rate=44_100, channels=2), b"no WAV file", b""], ids=range(4)
)
def test_recordings_within_the_limit_are_taken(file):
    assert ask(file).rows == 1


def test_longer_ones_are_refused_whatever_stands_before_the_header():
    with pytest.raises(Refused, match="at most 120 s, got 121"):
        ask(wav(121))
    # A chunk that holds another header.
    other = b"LIST" + struct.pack("<I4sIHHIIHH", 24, b"fmt ", 16, 1, 1, 1000, 10**9, 2, 16)
    file = wav(121, first=other)
    assert read_header(file).rate == 16_000
    with pytest.raises(Refused, match="at most 120 s, got 121"):
        ask(file)
    with pytest.raises(Refused, match=r"the longest, 100\.0 s, and have at most 960 s together"):
        ask(wav(100), *[wav(0.1)] * 9)
