import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqapps.bundle.folder import staging, write_config, write_json
from seqapps.bundle.unfinished import Start, Unfinished
from seqapps.data.fingerprint import DataRecord, fingerprint
from seqapps.errors import UserError
from seqapps.fields import Field, Interface

TEXT = Interface(inputs=(Field(name="text"),), outputs=(Field(name="label"),))


def make_bundle(place, content="old"):
    with staging(place, overwrite=True) as folder:
        write_config(folder, recipe="r", interface=TEXT, settings={"model": {"units": 3}})
        (folder / "model").write_text(content)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def work(tmp_path):
    return Unfinished(tmp_path / "b")


def begin(work, overwrite=False, start=None, **settings):
    work.begin(recipe="r", interface=TEXT, settings=settings, overwrite=overwrite, start=start)


def test_a_training_goes_on_with_its_settings_alone(work):
    begin(work, training={"epochs": 3, "rate": 0.1}, seed=0)
    work.reopen(settings={"training": {"epochs": 3, "rate": 0.1}, "seed": 0}, overwrite=False)
    message = (
        "began with other settings: seed was 0 and is 7; training.epochs was 3 and is 4. Resume"
    )
    with pytest.raises(UserError, match=message):
        work.reopen(settings={"training": {"epochs": 4, "rate": 0.1}, "seed": 7}, overwrite=False)


def test_a_training_goes_on_with_its_data_alone(work):
    begin(work)
    first = DataRecord("/home/me", fingerprint({"train": [("a",), ("b",)], "test": [("c",)]}))
    assert work.check_data(first) == first
    elsewhere = DataRecord("", first.splits)
    assert work.check_data(elsewhere) == first
    shrunk = DataRecord("", fingerprint({"train": [("a",)], "test": [("b",)]}))
    message = r"not what the training .* train had 2 rows and has 1; test has 1 other rows.*back"
    with pytest.raises(UserError, match=message):
        work.check_data(shrunk)


def test_a_training_is_not_discarded_unasked(work):
    begin(work)
    (work.folder / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"training is at .*b.training; go on with --resume"):
        begin(work)
    assert names(work.folder) == ["checkpoints", "config.json"]
    begin(work, overwrite=True)
    assert names(work.folder) == ["config.json"]


def test_a_training_that_would_replace_a_bundle_says_so_before_it_begins(work):
    make_bundle(work.output)
    with pytest.raises(UserError, match="nothing is overwritten unasked"):
        begin(work)
    begin(work, overwrite=True)
    with pytest.raises(UserError, match="nothing is overwritten unasked"):
        work.reopen(settings={}, overwrite=False)
    work.reopen(settings={}, overwrite=True)


def test_there_is_nothing_to_resume(work):
    with pytest.raises(UserError, match=r"no unfinished training at .*b.training; start one"):
        work.reopen(settings={}, overwrite=False)


def test_a_bundle_that_was_moved_just_before_the_kill_is_known(work):
    begin(work)
    make_bundle(work.output)
    assert not work.written
    write_json(work.output / "certificate.json", {"files": {"a": "1"}})
    work.note(work.output / "certificate.json")
    assert work.written
    work.reopen(settings={}, overwrite=False)
    write_json(work.output / "certificate.json", {"files": {"a": "2"}})
    assert not work.written


def test_how_a_training_was_started_is_remembered(work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin(work)
    assert work.start is None
    with pytest.raises(UserError, match="began without --from; resume without --from"):
        work.reopen(settings={}, overwrite=False, trained=Path("old"))
    begin(work, overwrite=True, start=Start("train --from old", Path("old")))
    assert work.start == Start("train --from old", tmp_path / "old")
    assert work.assets is None
    work.reopen(settings={}, overwrite=False)
    work.reopen(settings={}, overwrite=False, trained=tmp_path / "old")
    with pytest.raises(UserError, match=r"began from .*/old, not from new; resume without --from"):
        work.reopen(settings={}, overwrite=False, trained=Path("new"))


@pytest.mark.parametrize("phase", ["", "pretraining"])
def test_a_folder_without_a_checkpoint_has_learned_nothing(work, phase):
    begin(work)
    place = work.folder / phase / "checkpoints"
    place.mkdir(parents=True)
    assert not work.learned
    (place / "checkpoint").write_text("")
    assert work.learned


HOLD = """
import sys
from pathlib import Path
from seqapps.bundle.unfinished import Unfinished
with Unfinished(Path(sys.argv[1])).alone():
    print("alone", flush=True)
    sys.stdin.read()
"""


def test_two_trainings_never_share_an_output(work, tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(work.output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "alone\n"
    message = rf"process {other.pid} is training for .*/b; wait for it or stop it, or give another"
    with pytest.raises(UserError, match=message), work.alone():
        pytest.fail("the body must not run")
    # Another output is free meanwhile.
    with Unfinished(tmp_path / "c").alone():
        pass
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with work.alone():
        assert names(tmp_path) == [".b.lock"]
        assert (tmp_path / ".b.lock").read_text() == f"{os.getpid()}\n"
    assert names(tmp_path) == []


def test_a_lock_ends_with_a_failure(work, tmp_path):
    with pytest.raises(ZeroDivisionError), work.alone():
        _ = 1 // 0
    with work.alone():
        pass
    assert names(tmp_path) == []


def test_a_file_system_without_locks_is_no_obstacle(work, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with work.alone():
        begin(work)
    assert work.folder.is_dir()


def test_a_place_that_cannot_be_written_is_a_clear_error():
    with (
        pytest.raises(UserError, match=r"/proc/x.training cannot be written: .*--output"),
        Unfinished(Path("/proc/x")).alone(),
    ):
        pytest.fail("the body must not run")


def test_the_folder_lies_beside_the_output_even_if_that_is_the_current_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert Unfinished(Path("a/b")).folder == Path("a/b.training")
    assert Unfinished(Path()).folder == tmp_path.with_name(f"{tmp_path.name}.training")
