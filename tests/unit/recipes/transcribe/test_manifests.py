"""Tables and folders of recordings, as people have them."""

import json

import numpy as np
import pytest
import soundfile

from seqapps.errors import UserError
from seqapps.recipes.transcribe.data import training_entries
from seqapps.recipes.transcribe.data_settings import SpeechData
from seqapps.recipes.transcribe.manifests import manifest

SAID = [("a/0.wav", 'Say, "zero"; it\'s 0%'), ("a/1.wav", "one | won")]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    for name, _ in SAID:
        soundfile.write(tmp_path / name, np.zeros(800), 8_000)
    return tmp_path


def entries(folder, location, **settings):
    """Recording, text and reason of each row of a location."""
    data = SpeechData(train=location, folder=str(folder), **settings)
    return [
        (entry.path.resolve().relative_to(folder.resolve()).as_posix(), entry.text, entry.reason)
        for entry in training_entries(data)
    ]


def written(folder, name, *lines):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


EXPECTED = [(name, text, "") for name, text in SAID]


def test_deepspeech(folder):
    rows = [f"{name},1644,{quoted(text)}" for name, text in SAID]
    written(folder, "m.csv", "wav_filename,wav_filesize,transcript", *rows)
    assert entries(folder, "m.csv") == EXPECTED


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_nemo(folder, ending):
    rows = [{"audio_filepath": name, "duration": 0.1, "text": text} for name, text in SAID]
    written(folder, f"m.{ending}", *map(json.dumps, rows))
    assert entries(folder, f"m.{ending}") == EXPECTED
    rows[0] |= {"offset": 0.02, "duration": 0.05}
    written(folder, f"m.{ending}", *map(json.dumps, rows))
    first, second = manifest(folder / f"m.{ending}")
    assert (first.start_s, first.end_s) == (0.02, pytest.approx(0.07))
    assert (second.start_s, second.end_s) == (0.0, float("inf"))


def test_one_list_of_json(folder):
    rows = [{"file_name": name, "transcription": text} for name, text in SAID]
    written(folder, "m.json", *json.dumps([*rows, 3], indent=1).splitlines())
    assert entries(folder, "m.json") == [*EXPECTED, ("m.json", "", "it is not a JSON object")]
    assert [entry.place[1] for entry in manifest(folder / "m.json")] == [1, 2, 3]


def test_ljspeech(folder):
    (folder / "a").rename(folder / "wavs")
    # The text as it is read is the last column.
    written(
        folder, "metadata.csv", '0|Dr. "X", 5|Doctor X, five', "1|one|one", "1|one", "2|two|two"
    )
    found = entries(folder, ".")
    assert found[:2] == [("wavs/0.wav", "Doctor X, five", ""), ("wavs/1.wav", "one", "")]
    assert found[2][2] == "the line has 2 columns, the first line has 3"
    assert "2 does not exist, nor a recording of that name" in found[3][2]
    assert entries(folder, "metadata.csv") == found
    asked = entries(folder, "metadata.csv", path_column="1", text_column="2")
    assert asked[0] == ("wavs/0.wav", 'Dr. "X", 5', "")
    (folder / "b").mkdir()
    soundfile.write(folder / "b" / "0.flac", np.zeros(800), 8_000)
    assert entries(folder, ".")[0][2].startswith("several recordings have the name 0: ")


def test_kaldi(folder):
    written(folder, "data/wav.scp", "u0 ../a/0.wav", "u1  a/1.wav", "u2 sox x.wav -t wav - |")
    lines = [f"u{i} {text}" for i, (_, text) in enumerate(SAID)]
    written(folder, "data/text", *lines, "u2 two", "u3 three")
    written(folder, "data/utt2spk", "u0 ann", "u1 bob")
    found = entries(folder, "data")
    # Names begin in the folder, or in one above it, where Kaldi's recipes run.
    assert found[:2] == EXPECTED
    assert "is a command; write what it gives to a file" in found[2][2]
    assert found[3][2] == "there is no recording u3 in wav.scp"
    assert entries(folder, "data/wav.scp") == found
    data = SpeechData(train="data", folder=str(folder))
    assert [entry.speaker for entry in training_entries(data)][:2] == ["ann", "bob"]
    written(folder, "data/segments", "v0 u0 0.0 0.04", "v1 u0 0.04 0.1")
    written(folder, "data/text", "v0 first", "v1 second", "v2 third")
    first, second, third = training_entries(data)
    assert first.path == second.path
    assert (second.text, second.start_s, second.end_s) == ("second", 0.04, 0.1)
    assert third.reason == "v2 has no recording, start and end in segments"


def test_columns_by_their_names_and_numbers(folder):
    rows = [f"{i}\t{name}\t{text}" for i, (name, text) in enumerate(SAID)]
    written(folder, "m.tsv", "id\twhere\twords", *rows)
    assert entries(folder, "m.tsv", path_column="where", text_column="words") == EXPECTED
    written(folder, "m.tsv", *rows)
    assert entries(folder, "m.tsv", path_column="2", text_column="3") == EXPECTED
    with pytest.raises(UserError, match="has 3 columns; .* must be from 1 to 3, .* got 2 and 4"):
        entries(folder, "m.tsv", path_column="2", text_column="4")
    with pytest.raises(UserError, match=r"one column 'path' or .* it has '0', 'a/0\.wav'"):
        entries(folder, "m.tsv", text_column="words")
    with pytest.raises(ValueError, match="both be names or both numbers, got '2' and ''"):
        SpeechData(path_column="2")
    (row,) = manifest_of(folder, "m.jsonl", json.dumps({"where": "a/0.wav", "words": "zero"}))
    assert row.reason.startswith("the line has no path and no text, only where, words; data.path_")
    row, *_ = manifest(folder / "m.jsonl", path_column="where", text_column="words")
    assert (row.text, row.reason) == ("zero", "")


def manifest_of(folder, name, *lines):
    written(folder, name, *lines)
    return manifest(folder / name)


def test_names_as_windows_writes_them(folder):
    rows = [f"{name}\t{text}".replace("/", "\\") for name, text in SAID]
    written(folder, "m.tsv", "path\ttext", *rows)
    assert entries(folder, "m.tsv") == EXPECTED


def test_what_is_not_there_is_said(folder):
    with pytest.raises(UserError, match=r"m\.csv does not exist\. Give"):
        entries(folder, "m.csv")
    with pytest.raises(UserError, match=r"0\.wav is neither a folder nor a manifest"):
        entries(folder, "a/0.wav")
    with pytest.raises(UserError, match=r"nor wav\.scp and text \(Kaldi\), metadata\.csv"):
        entries(folder, "a")
