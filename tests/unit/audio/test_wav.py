"""The RIFF parser against soundfile, and on files that are none."""

import io
import struct
import wave

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqapps.audio.read import read_pcm, read_wav
from seqapps.audio.wav import (
    BAD_RATE,
    EMPTY,
    NO_DATA,
    NO_FORMAT,
    NOT_WAV,
    OK,
    STATUSES,
    TRUNCATED,
    UNSUPPORTED,
    parse_wav,
)

PARSE = tf.function(parse_wav, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
READ = tf.function(
    lambda files: read_wav(files, 16_000),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
)
RNG = np.random.default_rng(0)
MONO = (0.5 * RNG.uniform(-1, 1, 400)).astype(np.float32)
STEREO = (0.5 * RNG.uniform(-1, 1, (300, 2))).astype(np.float32)


def written(values, subtype="PCM_16", rate=16_000, format="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, values, rate, subtype=subtype, format=format)
    return buffer.getvalue()


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
SAMPLES = struct.pack("<4h", 0, 16384, -16384, 32767)
DATA = chunk(b"data", SAMPLES)
EXPECTED = np.array([0, 0.5, -0.5, 32767 / 32768], np.float32)


@pytest.mark.parametrize("values", [MONO, STEREO], ids=["mono", "stereo"])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_encoding_is_read_as_soundfile_reads_it(subtype, format, values):
    file = written(values, subtype, rate=22_050, format=format)
    found = PARSE(file)
    expected, _ = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    assert int(found.status) == OK
    assert int(found.rate_hz) == 22_050
    np.testing.assert_allclose(found.samples, expected.mean(1), atol=1e-7)


@pytest.mark.parametrize(
    ("file", "status"),
    [
        (riff(FORMAT, DATA), OK),
        (riff(DATA, FORMAT), OK),
        (riff(FORMAT, chunk(b"junk", b"") * 998, DATA), OK),
        (riff(chunk(b"LIST", b"odd"), FORMAT, chunk(b"fact", b"1234"), DATA), OK),
        (riff(FORMAT, DATA, chunk(b"LIST", b"after it")), OK),
        # Lengths that were unknown when the header was written.
        (riff(FORMAT, b"data" + b"\xff" * 4 + SAMPLES, size=0xFFFFFFFF), OK),
        (riff(FORMAT, b"data" + b"\0" * 4 + SAMPLES, size=0), OK),
        (riff(FORMAT, DATA[:4] + struct.pack("<I", 800) + SAMPLES), TRUNCATED),
        # A sample that was cut in two is left out.
        (riff(FORMAT, DATA[:4] + struct.pack("<I", 800) + SAMPLES + b"\1"), TRUNCATED),
    ],
)
def test_chunks_in_any_order_and_of_unknown_length(file, status):
    found = PARSE(file)
    assert int(found.status) == status
    np.testing.assert_array_equal(found.samples, EXPECTED)


def header(tag=1, channels=1, rate=16_000, bits=16):
    align = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits))


BAD = {
    "nothing": (b"", NOT_WAV),
    "text": (b"hello, I am no recording at all, whatever my name may say", NOT_WAV),
    "flac": (b"fLaC" + b"\0" * 100, NOT_WAV),
    "head alone": (b"RIFF\x24\0\0\0WAV", NOT_WAV),
    "no fmt": (riff(DATA), NO_FORMAT),
    "short fmt": (riff(chunk(b"fmt ", b"\1\0\1\0"), DATA), NO_FORMAT),
    "no data": (riff(FORMAT), NO_DATA),
    "mu-law": (riff(header(tag=7, bits=8), DATA), UNSUPPORTED),
    "40 bits": (riff(header(bits=40), DATA), UNSUPPORTED),
    "no channels": (riff(header(channels=0), DATA), UNSUPPORTED),
    "rate": (riff(header(rate=0), DATA), BAD_RATE),
    "empty": (riff(FORMAT, chunk(b"data", b"")), EMPTY),
    "headers alone": (riff(FORMAT, chunk(b"junk", b"") * 1_000, DATA), NO_DATA),
    "endless chunk": (riff(b"LIST" + b"\xff" * 4), NO_FORMAT),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_wav_file_has_a_status_and_no_samples(name):
    file, status = BAD[name]
    found = PARSE(file)
    assert STATUSES[int(found.status)] == STATUSES[status]
    assert found.samples.shape == (0,)


def test_bad_rows_leave_their_batch_alone():
    files = [file for file, _ in BAD.values()]
    good = written(MONO)
    found = READ([files[0], good, *files[1:], good, written(STEREO, rate=8_000)])
    assert found.status.numpy().tolist() == [
        NOT_WAV,
        OK,
        *(status for _, status in [*BAD.values()][1:]),
        OK,
        OK,
    ]
    np.testing.assert_array_equal(found.values[1], found.values[len(files) + 1])
    np.testing.assert_allclose(found.values[1, :400], MONO, atol=1e-4)
    assert found.lengths.numpy().tolist() == [0, 400, *[0] * (len(files) - 1), 400, 600]
    assert not found.values.numpy()[:, 600:].any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_number_is_silence_with_a_status(wrong):
    values = np.full(400, 0.5, np.float32)
    values[[7, 100]] = wrong
    buffer = io.BytesIO()
    soundfile.write(buffer, values, 16_000, subtype="FLOAT", format="WAV")
    expected = np.where(values == 0.5, 0.5, 0.0)
    pcm = read_pcm(values[np.newaxis], tf.constant([400]), tf.constant([16_000]), 16_000)
    for found in (READ([buffer.getvalue()]), pcm):
        assert STATUSES[int(found.status[0])].startswith("not finite")
        np.testing.assert_array_equal(found.values[0], expected)


@pytest.mark.parametrize("factor", [3.0, 32_767.0])
def test_what_is_louder_than_full_scale_is_brought_to_it(factor):
    found = PARSE(written(factor * MONO, "FLOAT"))
    assert int(found.status) == OK
    np.testing.assert_allclose(found.samples, MONO / np.abs(MONO).max(), rtol=1e-6)


def test_no_rows():
    found = READ(tf.zeros([0], tf.string))
    assert found.values.shape == (0, 1)


def test_a_file_of_the_standard_library():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(SAMPLES)
    np.testing.assert_array_equal(PARSE(buffer.getvalue()).samples, EXPECTED)


@given(st.binary(max_size=80))
def test_no_bytes_raise(tail):
    for file in (tail, b"RIFF\0\0\0\0WAVE" + tail, riff(FORMAT, tail), riff(chunk(b"fmt ", tail))):
        found = PARSE(file)
        assert 0 <= int(found.status) < len(STATUSES)
        assert np.isfinite(found.samples.numpy()).all()
