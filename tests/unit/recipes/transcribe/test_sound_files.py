"""Sound files of every kind: whole, broken off, too loud, in parts; learned from and predicted."""

import io
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from seqapps.errors import UserError
from seqapps.portable.runtime.sound import STATUSES
from seqapps.recipes.transcribe import sound_files
from seqapps.recipes.transcribe.predict import LONGEST_S, find_cuts, transcribe
from seqapps.recipes.transcribe.sound_files import length, opened, read_audio

RATE = 8_000
SECONDS = 8.0
RNG = np.random.default_rng(0)
TIME = np.arange(int(SECONDS * RATE)) / RATE
# Noise, which no codec makes so small that a tenth of a file is a header.
SPOKEN = (0.4 * np.sin(2 * np.pi * 300 * TIME) + 0.02 * RNG.normal(size=len(TIME))).astype(
    "float32"
)
KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "GSM610"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def written(values, format="WAV", subtype="PCM_16", rate=RATE, **kwargs):
    buffer = io.BytesIO()
    soundfile.write(buffer, values, rate, format=format, subtype=subtype, **kwargs)
    return buffer.getvalue()


def read_sound(content):
    return sound_files.read_sound(io.BytesIO(content))


def loud(values):
    return float(np.sqrt(np.mean(np.asarray(values, np.float64) ** 2)))


@pytest.mark.parametrize(("format", "subtype"), KINDS)
def test_what_breaks_off_is_said_and_nothing_is_learned_from_it(tmp_path, format, subtype):
    content = written(SPOKEN, format, subtype)
    path = tmp_path / "x.sound"
    path.write_bytes(content)
    whole = read_sound(content)
    assert (STATUSES[whole.status], whole.rate_hz) == ("ok", RATE)
    # GSM has blocks of 320.
    assert len(SPOKEN) <= len(whole.samples) <= len(SPOKEN) + (320 if subtype == "GSM610" else 0)
    assert loud(whole.samples) == pytest.approx(loud(SPOKEN), rel=0.1)
    assert length(path) == (len(whole.samples) / RATE, RATE)
    # Training hears what is predicted from, in 16 bits.
    learned = read_audio(path, RATE) / 32768
    np.testing.assert_allclose(learned, whole.samples, atol=0.51 / 32768)
    half = content[: len(content) // 2]
    path.write_bytes(half)
    heard = read_sound(half)
    assert STATUSES[heard.status].startswith("truncated")
    assert 0.2 * len(SPOKEN) < len(heard.samples) < 0.8 * len(SPOKEN)
    with pytest.raises(UserError, match=r"x\.sound: truncated: shorter than its header says"):
        read_audio(path, RATE)
    # What lies before the break is as good as ever; a decoder that seeks may begin anew.
    before = read_audio(path, RATE, start_s=0.1, end_s=0.4) / 32768
    assert len(before) == 0.3 * RATE
    assert loud(before) == pytest.approx(loud(SPOKEN[800:3200]), rel=0.1)


@pytest.mark.parametrize("format", ["FLAC", "OGG"])
def test_what_breaks_off_before_its_first_samples(format):
    content = written(SPOKEN, format, {"FLAC": "PCM_16", "OGG": "VORBIS"}[format])
    with pytest.raises(UserError, match="truncated: it breaks off before its first samples"):
        read_sound(content[: len(content) // 20])


def test_an_mp3_file_that_does_not_say_its_length_is_not_called_truncated():
    content = written(SPOKEN, "MP3", "MPEG_LAYER_III", bitrate_mode="AVERAGE")
    # Without the first frame, which holds nothing but the number of the others.
    second = content.find(content[:2], 4)
    assert b"Xing" in content[:second]
    assert STATUSES[read_sound(content[second:]).status] == "ok"
    tagged = b"ID3\x04\0\0\0\0\x02\x00" + b"\0" * 256 + content
    assert STATUSES[read_sound(tagged).status] == "ok"
    assert STATUSES[read_sound(tagged[:-1_000]).status].startswith("truncated")


@pytest.mark.parametrize("unknown", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_length_that_was_not_known_when_the_header_was_written(tmp_path, unknown):
    content = bytearray(written(SPOKEN))
    content[4:8] = content[40:44] = unknown
    (tmp_path / "x.wav").write_bytes(content)
    (tmp_path / "y.wav").write_bytes(written(SPOKEN))
    np.testing.assert_array_equal(
        read_audio(tmp_path / "x.wav", RATE), read_audio(tmp_path / "y.wav", RATE)
    )
    assert length(tmp_path / "x.wav") == (SECONDS, RATE)


@pytest.mark.parametrize(("format", "subtype"), [("WAV", "FLOAT"), ("AU", "FLOAT")])
def test_what_is_louder_than_full_scale_keeps_its_shape(tmp_path, format, subtype):
    for factor in (3.0, 32768.0):
        content = written(factor * SPOKEN, format, subtype)
        (tmp_path / "x").write_bytes(content)
        expected = SPOKEN / np.abs(SPOKEN).max()
        np.testing.assert_allclose(read_sound(content).samples, expected, atol=1e-6)
        learned = read_audio(tmp_path / "x", RATE) / 32768
        np.testing.assert_allclose(learned, expected, atol=1.01 / 32768)


def test_samples_that_are_no_numbers(tmp_path):
    values = SPOKEN.copy()
    values[[5, 4_000]] = np.nan, np.inf
    (tmp_path / "x.wav").write_bytes(written(values, "WAV", "FLOAT"))
    found = read_sound(written(values, "WAV", "FLOAT"))
    assert STATUSES[found.status].startswith("not finite")
    assert found.samples[[5, 4_000]].tolist() == [0, 0]
    with pytest.raises(UserError, match="not finite: it has samples that are no numbers"):
        read_audio(tmp_path / "x.wav", RATE)
    assert len(read_audio(tmp_path / "x.wav", RATE, start_s=1.0)) == 7 * RATE


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "the file does not exist"),
        (b"", "the recording is empty"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + b"\0" * 99, "AU and W64 are read: convert it"),
        (b"<!DOCTYPE html>404", "cannot be read as audio"),
        (written(SPOKEN[:0]), "no samples"),
        (written(SPOKEN)[:44], "no samples"),
        (written(SPOKEN)[:30], "no data chunk"),
        (b"RIFF\0\0\0\0AVI LIST" + b"\0" * 40, r"not a WAV file \(no RIFF/WAVE header\)"),
    ],
)
def test_training_and_predict_say_the_same_of_what_cannot_be_read(tmp_path, content, reason):
    path = tmp_path / "x.m4a"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"x.m4a: .*{reason}") as learned:
        read_audio(path, RATE)
    transcript = transcribe(None, path, strategy={})
    assert transcript.status == f"error: {str(learned.value).removeprefix(f'{path}: ')}"
    assert "object at 0x" not in transcript.status
    with pytest.raises(UserError, match="the file cannot be read: Is a directory"):
        read_audio(tmp_path, RATE)


def test_a_pipe_is_a_file_too():
    reading, writing = os.pipe()
    content = written(SPOKEN)
    # More than a pipe holds.
    with ThreadPoolExecutor() as pool, os.fdopen(reading), os.fdopen(writing, "wb") as pipe:
        heard = pool.submit(read_audio, Path(f"/dev/fd/{reading}"), RATE)
        pipe.write(content)
        pipe.close()
        found = heard.result()
    np.testing.assert_array_equal(found, read_sound(content).samples * 32768)


@pytest.mark.parametrize(("format", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16")])
def test_a_long_recording_is_in_memory_about_twice(tmp_path, format, subtype):
    seconds = 600
    once = RNG.integers(-3_000, 3_000, (RATE, 2), np.int16)
    with soundfile.SoundFile(
        tmp_path / "x", "w", samplerate=RATE, channels=2, format=format, subtype=subtype
    ) as file:
        for _ in range(seconds):
            file.write(once)
    tracemalloc.start()
    try:
        with opened(tmp_path / "x") as file:
            samples = sound_files.read_sound(file).samples
        cuts = find_cuts(samples, RATE)
        part = read_audio(tmp_path / "x", RATE, start_s=500, end_s=501)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(samples) == seconds * RATE
    assert len(cuts) >= seconds / LONGEST_S - 1
    assert len(part) == RATE
    # Twice, and what is decoded at once: 2 ** 20 frames of two channels in 8 and in 4 bytes.
    assert peak < 2.2 * samples.nbytes + 2**20 * (2 * 8 + 2 * 4 + 4 * 3)
