"""Where recordings come from, and what is found wrong with them."""

import json

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from seqapps.audio.settings import Features
from seqapps.data.recordings import Recordings
from seqapps.errors import UserError
from seqapps.recipes.transcribe.data import load_speech
from seqapps.recipes.transcribe.data_settings import DigitStrings, SpeechData
from seqapps.recipes.transcribe.digits import Digits, join
from seqapps.recipes.transcribe.examples import SpeechExamples
from seqapps.recipes.transcribe.lint import lint
from seqapps.recipes.transcribe.manifests import manifest
from seqapps.recipes.transcribe.settings import Config, Recogniser
from seqapps.recipes.transcribe.sound_files import read_audio
from seqapps.recipes.transcribe.spoken import phrases, spoken
from seqapps.recipes.transcribe.spoken.splits import VARIANTS, split_of
from seqapps.text.settings import Transcripts
from seqapps.training.settings import Training

RATE = 8_000
RNG = np.random.default_rng(0)


def write(path, seconds=0.5, rate=RATE, level=0.1, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, level * RNG.normal(size=int(seconds * rate)), rate, **kwargs)
    return path


def load(train, tmp_path, **settings):
    log = []
    data = SpeechData(train=train, folder=str(tmp_path), **settings)
    return load_speech(data, DigitStrings(), rate_hz=RATE, seed=0, log=log.append), log


def examples(tmp_path, train, text=None, digits=None, strides=(2,), **settings):
    """What a recogniser learns from."""
    log = []
    config = Config(
        data=SpeechData(train=train, folder=str(tmp_path), **settings),
        digits=digits or DigitStrings(),
        features=Features(sample_rate_hz=RATE, mels=16),
        model=Recogniser(time_strides=strides),
        text=text or Transcripts(language_order=0),
        training=Training(batch_tokens=500),
    )
    return SpeechExamples.load(config, None, log.append), log


@pytest.fixture
def table(tmp_path):
    """A manifest of 20 recordings by two speakers."""
    rows = ["text\tpath\tspeaker"]
    for i in range(20):
        write(tmp_path / "a" / f"{i}.wav", seconds=0.3 + 0.01 * i)
        rows.append(f"text {i}\ta/{i}.wav\t{'ab'[i % 2]}")
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_files_of_every_kind_rate_and_number_of_channels(tmp_path, ending):
    time = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, np.stack([tone, 0 * tone], 1), 44_100)
    found = read_audio(path, RATE)
    assert found.dtype == np.int16
    assert abs(len(found) - RATE) <= 200  # MP3 adds some at its ends.
    spectrum = np.abs(np.fft.rfft(found[:RATE].astype(float)))
    assert abs(spectrum.argmax() * RATE / len(found[:RATE]) - 440) < 2
    assert 0.2 * 32768 < np.abs(found[2_000:6_000]).max() < 0.3 * 32768


def test_a_part_of_a_recording(tmp_path):
    path = write(tmp_path / "x.wav", seconds=1.0)
    whole = read_audio(path, RATE)
    np.testing.assert_array_equal(read_audio(path, RATE, start_s=0.25, end_s=0.5), whole[2000:4000])
    with pytest.raises(UserError, match="lies outside"):
        read_audio(path, RATE, start_s=2.0)
    with pytest.raises(UserError, match=r"none\.wav: the file does not exist"):
        read_audio(tmp_path / "none.wav", RATE)


def test_manifests_name_bad_rows(tmp_path, table):
    rows = table.read_text()
    table.write_text(rows + "only one column\nx\ta/none.wav\ta\n")
    splits, log = load("train.tsv", tmp_path, max_bad_share=0.2)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 20
    assert [problem.line for problem in splits.train.problems] == [22, 23]
    assert any("Held out by text" in line for line in log)
    with pytest.raises(UserError, match=r"2 of 22 training recordings .*max_bad_share"):
        load("train.tsv", tmp_path)
    # A row of another split is never left out in silence.
    with pytest.raises(UserError, match="never shortened in silence"):
        load("train.tsv", tmp_path, max_bad_share=0.2, test="train.tsv")
    (tmp_path / "bad.tsv").write_text("path\twords\n")
    with pytest.raises(UserError, match="exactly one column 'text' or 'transcript'"):
        list(manifest(tmp_path / "bad.tsv"))
    with pytest.raises(UserError, match="does not exist"):
        load("nothing.tsv", tmp_path)


def test_jsonl_manifests_with_parts(tmp_path):
    write(tmp_path / "x.wav", seconds=1.0)
    rows = [
        {"path": "x.wav", "text": "first", "start": 0.0, "end": 0.25, "speaker": "s"},
        {"path": "x.wav", "text": "second", "start": 0.25},
        {"path": "x.wav", "text": "third", "start": 0.5, "end": 0.25},
        {"path": "x.wav"},
        {"path": "x.wav", "text": None},
        {"path": "x.wav", "text": "nothing", "start": 0, "end": 0},
        {"path": "x.wav", "text": "fourth", "end": "", "speaker": 0},
        {"path": "x.wav", "text": "huge", "start": 10**400},
        {"path": "x.wav", "text": "far", "start": 1e308, "end": 1.1e308},
        {"path": "\ud800.wav", "text": "no name"},
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\nnot json\n")
    found = list(manifest(path))
    assert [entry.reason for entry in found[:2]] == ["", ""]
    assert found[0].end_s == 0.25
    assert "not before its end" in found[2].reason
    assert found[3].reason.startswith("the line has no text, only path; ")
    assert found[4].reason == "text must be a string in quotation marks, it is null"
    assert "start 0 s is not before its end" in found[5].reason
    assert (found[6].reason, found[6].end_s, found[6].speaker) == ("", float("inf"), "0")
    assert found[7].reason == "start and end must be seconds, numbers"
    assert "not valid JSON" in found[10].reason
    for entry, message in ((found[8], "lies outside"), (found[9], "no name that a file can have")):
        with pytest.raises(UserError, match=message):
            read_audio(entry.path, RATE, start_s=entry.start_s, end_s=entry.end_s)


def test_folders_as_librispeech_and_common_voice_have_them(tmp_path):
    chapter = tmp_path / "LibriSpeech" / "dev" / "84" / "121"
    lines = []
    for i in range(3):
        write(chapter / f"84-121-{i:04d}.flac", rate=16_000)
        lines.append(f"84-121-{i:04d} HELLO {i}")
    (chapter / "84-121.trans.txt").write_text("\n".join(lines) + "\n")
    clips = tmp_path / "cv" / "clips"
    for name, count in (("train", 4), ("dev", 2), ("test", 1)):
        rows = ["client_id\tpath\tsentence"]
        for i in range(count):
            write(clips / f"{name}{i}.mp3", rate=32_000)
            rows.append(f'w{i}\t{name}{i}.mp3\tSay "{i}"')
        (tmp_path / "cv" / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    splits, _ = load("cv", tmp_path, test="LibriSpeech/dev")
    assert len(splits.train) == 4
    assert len(splits.validation) == 2
    assert splits.train.texts[0] == 'Say "0"'
    assert splits.test.texts == ["HELLO 0", "HELLO 1", "HELLO 2"]
    assert splits.test.speakers == ["84"] * 3
    with pytest.raises(UserError, match="neither a folder clips"):
        load("clips", tmp_path / "cv")


def test_labels_that_are_no_words_are_left_out(tmp_path):
    names = ["yes", "no", "_silence_", "_unknown_"]

    class Commands(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "commands"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            audio = tfds.features.Audio(sample_rate=RATE, dtype=np.int16)
            label = tfds.features.ClassLabel(names=names)
            features = tfds.features.FeaturesDict({"audio": audio, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {split: self._generate_examples() for split in ("train", "validation", "test")}

        def _generate_examples(self):
            for i in range(8):
                yield i, {"audio": np.full(400, i, np.int16), "label": i % 4}

    Commands(data_dir=str(tmp_path)).download_and_prepare()
    splits, log = load("tfds:commands", tmp_path, tfds_folder=str(tmp_path))
    found = {
        int(x[0]): text for x, text in zip(splits.train.samples, splits.train.texts, strict=True)
    }
    assert found == {0: "yes", 1: "no", 4: "yes", 5: "no"}
    assert sum("4 recordings of" in line and "no word" in line for line in log) == 3


def test_short_and_long_lines_of_common_voice_are_problems(tmp_path):
    write(tmp_path / "cv" / "clips" / "a.wav")
    rows = ["client_id\tpath\tsentence", "w\ta.wav\tfine", "w", "w\ta.wav\tone\ttoo many"]
    for name in ("train", "dev", "test"):
        (tmp_path / "cv" / f"{name}.tsv").write_text("\n".join(rows[: 4 if name == "train" else 2]))
    splits, log = load("cv", tmp_path, max_bad_share=0.7)
    assert splits.train.texts == ["fine"]
    assert [problem.line for problem in splits.train.problems] == [3, 4]
    assert any("the line has 4 columns, the header has 3" in line for line in log)


def test_digit_strings_too_short_for_their_words_are_left_out_of_every_pass(tmp_path):
    for digit in range(10):
        for index in range(12):
            write(tmp_path / f"{digit}_me_{index}.wav", seconds=0.06)
    digits = DigitStrings(strings=60, validation_strings=20)
    found, log = examples(tmp_path, "digits:.", digits=digits, strides=(4, 2), max_bad_share=0.9)
    (line,) = (line for line in log if "train recordings have problems" in line)
    assert "they are left out" in line
    passes = [found.splits.renew(epoch) for epoch in (0, 1)]
    assert passes[0].texts == found.splits.train.texts
    assert passes[0].texts != passes[1].texts
    for made in passes:
        assert 0 < len(made) < 60
        for samples, text in zip(made.samples, made.texts, strict=True):
            # A step is 80 ms, and the fastest speed leaves a tenth less.
            assert len(text) <= len(samples) / RATE / 0.08 / 1.1 + 1


def test_few_texts_that_many_say_are_on_both_sides(tmp_path):
    rows = ["path\ttext\tspeaker"]
    for i in range(40):
        write(tmp_path / f"{i}.wav", seconds=0.1)
        rows.append(f"{i}.wav\t{['yes', 'No', 'no '][i % 3]}\t{i % 4}")
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    splits, log = load("m.tsv", tmp_path, held_out_by="count")
    assert any("Held out by recording: 4 recordings for validation, 4" in line for line in log)
    splits, log = load("m.tsv", tmp_path)
    assert any("Held out by recording: " in line for line in log)
    places = [set(found.places) for found in (splits.train, splits.validation, splits.test)]
    assert len(set.union(*places)) == sum(map(len, places)) == 40
    # Wherever it stands, a recording is in its split.
    (tmp_path / "n.tsv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
    again, _ = load("n.tsv", tmp_path)
    for split in ("train", "validation", "test"):
        found, other = getattr(splits, split), getattr(again, split)
        assert {made.tobytes() for made in found.samples} == {
            made.tobytes() for made in other.samples
        }


def test_bad_recordings_are_left_out_before_others_are_held_out(tmp_path, table):
    log = []

    def sift(found):
        return found.take([i for i, text in enumerate(found.texts) if text != "text 3"])

    data = SpeechData(train="train.tsv", folder=str(tmp_path), held_out_share=0.4)
    splits = load_speech(data, DigitStrings(), rate_hz=RATE, seed=0, log=log.append, sift=sift)
    assert "text 3" not in [*splits.train.texts, *splits.validation.texts, *splits.test.texts]


@pytest.mark.parametrize(
    ("bad", "error"), [(2, None), (3, "3 of 24 training recordings cannot be used")]
)
def test_no_recording_without_a_word_is_held_out(tmp_path, bad, error):
    rows = ["path\ttext"]
    for i in range(24):
        write(tmp_path / f"{i}.wav")
        rows.append(f"{i}.wav\t{'' if i < bad else f'say {i}'}")
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    if error:
        with pytest.raises(UserError, match=error):
            examples(tmp_path, "m.tsv", max_bad_share=0.1)
        return
    found, log = examples(tmp_path, "m.tsv", max_bad_share=0.1, held_out_by="count")
    splits = found.splits
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 22
    assert all([*splits.train.texts, *splits.validation.texts, *splits.test.texts])
    assert sum("2 × empty transcript" in line for line in log) == 1
    # A test set of the user's own in which nothing is said.
    (tmp_path / "none.tsv").write_text("path\ttext\n5.wav\t\n6.wav\t \n")
    with pytest.raises(UserError, match="none of the 2 test transcripts has a word"):
        examples(tmp_path, "m.tsv", max_bad_share=0.1, test="none.tsv")


def test_characters_outside_of_the_alphabet_that_is_asked_for(tmp_path):
    rows = ["path\ttext"]
    for i in range(20):
        write(tmp_path / f"{i}.wav")
        rows.append(
            f"{i}.wav\t{'naïïvezyxwtsrqp' if i == 7 else 'AB' * (1 + i % 2) + 'abc'[i % 3]}"
        )
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    evaluation = {"validation": "m.tsv", "test": "m.tsv", "max_bad_share": 0.05}
    found, log = examples(tmp_path, "m.tsv", Transcripts(alphabet="abc"), **evaluation)
    assert found.alphabet.symbols == (" ", "a", "b", "c")
    assert len(found.splits.train) == 19
    assert any("1 × characters outside the alphabet, such as" in line for line in log)
    # Without one, whatever training says can be written.
    found, _ = examples(tmp_path, "m.tsv", **evaluation)
    assert "ï" in found.alphabet.symbols
    strict = Transcripts(alphabet="abc", language_order=0)
    # The ten commonest, in the order in which they came.
    counted = ", ".join(f"'{c}' [(]{1 + (c == 'ï')}[)]" for c in "ïnvezyxwts")
    message = f"1 of 20 training .* be used, .*Outside .*, {counted}; --text.strip leaves"
    with pytest.raises(UserError, match=message):
        examples(tmp_path, "m.tsv", strict, **(evaluation | {"max_bad_share": 0.01}))
    # Mapped and stripped, it can be learned from.
    mapped = Transcripts(
        alphabet="abc", strip=("n", "ï=b", *"vezyxwtsrqp"), language_order=0, punctuation="drop"
    )
    found, log = examples(tmp_path, "m.tsv", mapped, **evaluation)
    assert found.alphabet.clean("Naïve") == "ab"
    assert len(found.splits.train) == 20
    assert not any("outside the alphabet" in line.lower() for line in log)
    with pytest.raises(ValueError, match="alphabet is for single characters"):
        Transcripts(alphabet="abc", pieces=50)


def test_test_recordings_alone_are_measured(tmp_path, table):
    found, _ = examples(tmp_path, "train.tsv")
    (tmp_path / "test.tsv").write_text("path\ttext\na/3.wav\ttext 3\n")

    def again(**settings):
        log = []
        config = Config(
            data=SpeechData(folder=str(tmp_path), **settings),
            features=Features(sample_rate_hz=RATE, mels=16),
        )
        return SpeechExamples.load(config, found.assets, log.append), log

    alone, log = again(train="gone.tsv", test="test.tsv")
    assert (alone.splits.test.texts, alone.alphabet) == (["text 3"], found.alphabet)
    assert any("Measured without the training recordings: " in line for line in log)
    assert alone.headline == "wer"
    for learn in (lambda: alone.training_pass(0), alone.statistics):
        with pytest.raises(UserError, match=r"gone\.tsv does not exist"):
            learn()
    # Too few are left to hold any out.
    (tmp_path / "few.tsv").write_text("path\ttext\na/1.wav\ttext 1\n")
    alone, log = again(train="few.tsv", test="test.tsv")
    assert len(alone.splits.train) == len(alone.splits.validation) == 0
    with pytest.raises(UserError, match="too few to hold out"):
        alone.training_pass(0)
    # Without test recordings of their own, or with bad ones, there is nothing to measure.
    with pytest.raises(UserError, match=r"gone\.tsv does not exist"):
        again(train="gone.tsv")
    with pytest.raises(UserError, match=r"none\.tsv does not exist"):
        again(train="train.tsv", test="none.tsv")


def test_turkish_transcripts_are_in_the_lower_case_of_their_language(tmp_path):
    rows = ["path\ttext"]
    for i in range(20):
        write(tmp_path / f"{i}.wav", seconds=1.0)
        rows.append(
            f"{i}.wav\t{'İSTANBUL IŞIK' if i % 2 else 'istanbul ışık'} {'abcdefghij'[i // 2]}"
        )
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    turkish = Transcripts(language="tr", language_order=0)
    found, log = examples(tmp_path, "m.tsv", turkish)
    assert found.alphabet.clean("İSTANBUL IŞIK") == "istanbul ışık"
    assert not {"İ", "I", "\u0307"} & set(found.alphabet.symbols)
    assert not any("--text.language" in line for line in log)
    # Nobody says what it is: no character is made that no text has.
    found, log = examples(tmp_path, "m.tsv")
    assert "\u0307" not in found.alphabet.symbols
    assert "İ stays as it is in lower case; of Turkish transcripts say --text.language tr" in log


def test_a_part_of_the_validation_split_is_drawn_from_all_lengths(tmp_path):
    rows = ["path\ttext"]
    for i in range(40):
        write(tmp_path / f"{i}.wav", seconds=0.3 + 0.02 * i)
        rows.append(f"{i}.wav\ta b")
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    found, _ = examples(tmp_path, "m.tsv", validation="m.tsv", test="m.tsv")
    rows = np.concatenate([rows for rows, _ in found.validation_part(10)])
    again = np.concatenate([rows for rows, _ in found.validation_part(10)])
    np.testing.assert_array_equal(rows, again)
    assert len(set(rows.tolist())) == 10
    # Not the shortest.
    assert rows.max() > 25
    for rows, batch in found.validation_part(40):
        frames = [1 + len(found.splits.validation.samples[i]) // 80 for i in rows]
        assert batch["features_lengths"].numpy().tolist() == frames


def test_the_linter_finds_what_cannot_be_learned_from():
    def sound(level, seconds=1.0):
        values = np.clip(RNG.normal(size=int(seconds * RATE)) * level, -1, 1)
        return np.round(values * 32767).astype(np.int16)

    found = Recordings()
    for samples, text in (
        (sound(0.1), "fine"),
        (sound(1e-5), "silent"),
        (sound(3.0), "clipped"),
        (sound(0.1, 0.1), "too much to say in it"),
        (sound(0.1), ""),
        (sound(0.1), "naïve"),
        (sound(0.1, 3.0), "long"),
        # Two equal letters need a step between them.
        (sound(0.1, 0.05), "lll"),
        (sound(0.1, 0.05), "lal"),
    ):
        found.add(samples, text, speaker="", place=("m.tsv", len(found) + 2))
    problems = lint(
        found,
        rate_hz=RATE,
        labels=lambda text: np.array([ord(c) for c in text], np.int32),
        unknown=lambda text: [c for c in text if ord(c) > 127],
        steps=lambda samples: samples * 100 // RATE - 1,
        max_seconds=2.0,
    )
    assert {row: [each.kind for each in kinds] for row, kinds in problems.items()} == {
        1: ["silence"],
        2: ["clipped"],
        3: ["too short for its transcript"],
        4: ["empty transcript"],
        5: ["characters outside the alphabet"],
        6: ["too long"],
        7: ["too short for its transcript"],
    }
    assert str(problems[3][0]).startswith("m.tsv:5: too short for its transcript (0.10 s give 9")


def write_digits(folder, speakers=("ann", "bob", "cid"), each=12):
    for s, speaker in enumerate(speakers):
        for digit in range(10):
            for index in range(each):
                # Constant levels say which recording it is.
                level = (1 + s * 1000 + digit * 100 + index) / 32768
                path = folder / f"{digit}_{speaker}_{index}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, np.full(80, level), RATE)
    return folder


def levels(pool):
    return {int(x[0]) for digits in pool.values() for rows in digits for x in rows}


def test_digits_are_dealt_without_overlap(tmp_path):
    folder = write_digits(tmp_path / "digits")
    known = Digits.read(folder, DigitStrings(), rate_hz=RATE)
    apart = Digits.read(folder, DigitStrings(held_out="bob"), rate_hz=RATE)
    chosen = Digits.read(
        folder, DigitStrings(held_out="bob", validation_speaker="ann"), rate_hz=RATE
    )
    for found in (known, apart, chosen):
        splits = [levels(pool) for pool in (found.train, found.validation, found.test)]
        assert not splits[0] & splits[1]
        assert not splits[0] & splits[2]
        assert not splits[1] & splits[2]
    assert set(known.test) == {"ann", "bob", "cid"}
    assert (set(apart.train), set(apart.test)) == ({"ann", "cid"}, {"bob"})
    assert len(levels(apart.test)) == 120
    assert (set(chosen.train), set(chosen.validation)) == ({"cid"}, {"ann"})
    with pytest.raises(UserError, match="no speaker 'eve'"):
        Digits.read(folder, DigitStrings(held_out="eve"), rate_hz=RATE)
    with pytest.raises(UserError, match="no recordings named"):
        Digits.read(tmp_path, DigitStrings(), rate_hz=RATE)


def test_digit_strings(tmp_path):
    folder = write_digits(tmp_path / "digits")
    settings = DigitStrings(strings=60, validation_strings=5, mixed_share=0.5)
    found = Digits.read(folder, settings, rate_hz=RATE)
    first, again, other = (found.training(epoch, seed=3) for epoch in (0, 0, 1))
    assert first.texts == again.texts
    np.testing.assert_array_equal(first.samples[0], again.samples[0])
    assert first.texts != other.texts
    assert {len(text.split()) for text in first.texts} == set(range(1, 8))
    assert 10 < first.speakers.count("mixed") < 50
    test = found.test_strings()
    assert len(test) == 1000
    assert test.texts == found.test_strings().texts
    assert "mixed" not in test.speakers


def test_the_digits_test_is_defined_once(tmp_path):
    folder = write_digits(tmp_path / "digits")
    found = Digits.read(folder, DigitStrings(validation_strings=20), rate_hz=RATE)
    other = DigitStrings(
        validation_strings=20, longest=2, snr_low_db=0, snr_high_db=5, mixed_share=0.5
    )
    same = Digits.read(folder, other, rate_hz=RATE)
    at_16k = Digits.read(folder, other, rate_hz=2 * RATE)
    test, again, higher = (digits.test_strings() for digits in (found, same, at_16k))
    assert test.texts == again.texts == higher.texts
    assert test.speakers == again.speakers == higher.speakers
    for one, two, three in zip(test.samples, again.samples, higher.samples, strict=True):
        np.testing.assert_array_equal(one, two)
        assert len(three) == 2 * len(one)
    # The settings are those of training; each string depends on its number alone.
    assert {len(text.split()) for text in same.training(0, seed=0).texts} == {1, 2}
    assert {len(text.split()) for text in same.validation_strings(seed=0).texts} > {1, 2}
    fewer = Digits.read(folder, DigitStrings(validation_strings=5), rate_hz=RATE)
    few, many = (digits.validation_strings(seed=0) for digits in (fewer, found))
    np.testing.assert_array_equal(few.samples[4], many.samples[4])


def test_no_two_splits_draw_the_same_strings(tmp_path):
    folder = write_digits(tmp_path / "digits")
    settings = DigitStrings(strings=100, validation_strings=100)
    found = Digits.read(folder, settings, rate_hz=RATE)
    drawn = [
        found.training(0, seed=0),
        found.training(1, seed=0),
        found.training(0, seed=1),
        found.validation_strings(seed=0),
        found.validation_strings(seed=1),
        found.test_strings().take(range(100)),
    ]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert sum(a == b for a, b in zip(one.texts, other.texts, strict=True)) < 15


def test_the_speakers_of_validation_and_test_differ():
    with pytest.raises(ValueError, match="must be different speakers, .*'ann' for both"):
        DigitStrings(held_out="ann", validation_speaker="ann")


def test_noise_has_the_level_that_is_stated():
    tone = np.round(1_000 * np.sin(np.arange(RATE) * 0.3)).astype(np.int16)
    for snr in (0.0, 20.0):
        noisy, clean = (
            join([tone], snr_db=snr_db, rate_hz=RATE, rng=np.random.default_rng(5)) / 32768.0
            for snr_db in (snr, 200.0)
        )
        noise = noisy - clean
        power = (clean[clean != 0] ** 2).mean()
        # Measured over all of the string, gaps included, as it was made.
        assert 10 * np.log10(power / (noise**2).mean()) == pytest.approx(snr, abs=0.7)


def test_numbers_are_said_as_people_say_them():
    said = {
        0: "zero",
        13: "thirteen",
        40: "forty",
        99: "ninety nine",
        100: "one hundred",
        305: "three hundred and five",
        2_310: "two thousand three hundred and ten",
        9_007: "nine thousand and seven",
    }
    for number, words in said.items():
        assert phrases.number_words(number) == words
    assert len({phrases.number_words(n) for n in range(10_000)}) == 10_000
    with pytest.raises(ValueError, match="from 0 to 9999"):
        phrases.number_words(10_000)


def test_embedded_splits_share_neither_voices_nor_combinations(tmp_path):
    sizes = {"train": 30, "validation": 10, "test": 10}
    log = []
    first = spoken(sizes=sizes, folder=tmp_path, log=log.append)
    assert "synthetic" in log[0]
    kept = spoken(sizes=sizes, folder=tmp_path, log=log.append)
    assert len(log) == 2
    assert kept.train.texts == first.train.texts
    np.testing.assert_array_equal(kept.test.samples[3], first.test.samples[3])
    voices = [{v.split("+")[1] for v in split.voices} for split in first]
    assert not voices[0] & voices[2]
    assert not voices[1] & voices[2]
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not set(VARIANTS[one]) & set(VARIANTS[other])
    rng = np.random.default_rng(1)
    drawn = [phrases.draw(rng) for _ in range(3_000)]
    dealt = [split_of(phrase.combination) for phrase in drawn]
    assert 0.7 < dealt.count("train") / 3_000 < 0.9
    train = {p.text for p, split in zip(drawn, dealt, strict=True) if split == "train"}
    test = {p.text for p, split in zip(drawn, dealt, strict=True) if split == "test"}
    assert not train & test
    # What is kept is damaged: it is spoken again.
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:1_000])
    assert spoken(sizes=sizes, folder=tmp_path).train.texts == first.train.texts
