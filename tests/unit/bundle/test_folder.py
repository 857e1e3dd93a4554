import errno
import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import seqapps
from seqapps.bundle import folder as bundle_folder
from seqapps.bundle.folder import (
    read_assets,
    read_config,
    read_metrics,
    staging,
    write_assets,
    write_config,
    write_history,
    write_json,
)
from seqapps.errors import UserError
from seqapps.fields import Field, Interface, Option

TEXT = Interface(inputs=(Field(name="text"),), outputs=(Field(name="label"),))


def make_bundle(place, content="old"):
    with staging(place, overwrite=True) as folder:
        write_config(folder, recipe="r", interface=TEXT, settings={"model": {"units": 3}})
        (folder / "model").write_text(content)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_appears_whole_and_nothing_else_stays(tmp_path):
    place = tmp_path / "deep" / "er" / "bundle"
    with staging(place, overwrite=False) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        assert not place.exists()
    assert (place / "sub" / "file").read_text() == "x"
    assert names(place.parent) == ["bundle"]


def test_a_failure_leaves_what_was_there(tmp_path):
    make_bundle(tmp_path / "b")
    with pytest.raises(ZeroDivisionError), staging(tmp_path / "b", overwrite=True) as folder:
        (folder / "model").write_text(str(1 // 0))
    assert (tmp_path / "b" / "model").read_text() == "old"
    assert names(tmp_path) == ["b"]


def test_nothing_is_overwritten_unasked(tmp_path):
    make_bundle(tmp_path / "b")
    message = "b exists and nothing is overwritten unasked; give --overwrite, or another place"
    with pytest.raises(UserError, match=message), staging(tmp_path / "b", overwrite=False):
        pytest.fail("the body must not run")
    make_bundle(tmp_path / "b", "new")
    assert (tmp_path / "b" / "model").read_text() == "new"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_overwrite_replaces_bundles_alone(tmp_path, kind):
    precious = tmp_path / "thesis"
    if kind == "folder":
        precious.mkdir()
        (precious / "chapter1").write_text("words")
    else:
        precious.write_text("words")
    with pytest.raises(UserError, match="thesis is not a bundle .*--overwrite replaces bundles"):
        make_bundle(precious)
    assert precious.exists()


def test_what_may_be_replaced_is_known_by_its_mark(tmp_path):
    make_bundle(tmp_path / "b")
    message = r"is not a SavedModel \(it has no saved_model.pb\), and --overwrite replaces SavedM"
    with (
        pytest.raises(UserError, match=message),
        staging(tmp_path / "b", overwrite=True, mark="saved_model.pb"),
    ):
        pytest.fail("the body must not run")
    (tmp_path / "b" / "saved_model.pb").write_text("")
    with staging(tmp_path / "b", overwrite=True, mark="saved_model.pb") as folder:
        (folder / "saved_model.pb").write_text("new")
    assert names(tmp_path / "b") == ["saved_model.pb"]


def test_an_empty_folder_is_replaced_when_asked(tmp_path):
    (tmp_path / "b").mkdir()
    make_bundle(tmp_path / "b")
    assert (tmp_path / "b" / "model").read_text() == "old"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    make_bundle(tmp_path / "disk" / "b")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "b")
    make_bundle(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "b" / "model").read_text() == "new"
    assert names(tmp_path / "disk") == ["b"]


def test_a_system_that_cannot_exchange_folders_moves_them_twice(tmp_path, monkeypatch):
    make_bundle(tmp_path / "b")
    monkeypatch.setattr(bundle_folder.ctypes, "CDLL", lambda *_, **__: object())
    make_bundle(tmp_path / "b", "new")
    assert (tmp_path / "b" / "model").read_text() == "new"
    assert names(tmp_path) == ["b"]


def test_leftovers_of_killed_runs_are_swept_and_a_folder_moved_aside_comes_back(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f".b.partial-{ended.pid}", f".b.old-{ended.pid}", ".b.partial-1", ".c.partial-1"):
        (tmp_path / name).mkdir()
    (tmp_path / f".b.old-{ended.pid}" / "config.json").write_text("{}")
    bundle_folder.sweep(tmp_path / "b")
    # Process 1 runs, and c is somebody else's.
    assert names(tmp_path) == [".b.partial-1", ".c.partial-1", "b"]
    assert (tmp_path / "b" / "config.json").exists()


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/b cannot be written: File exists .*--output"):
        make_bundle(tmp_path / "file" / "b")
    with pytest.raises(UserError, match=r"/proc/b cannot be written: .*--output"):
        make_bundle(Path("/proc/b"))

    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"b cannot be written: Permission denied \(.*--output"):
        make_bundle(tmp_path / "b")


def test_a_full_disk_is_a_clear_error_and_leaves_what_was_there(tmp_path):
    make_bundle(tmp_path / "b")
    full = Path("/dev/full")
    message = "b cannot be written: No space left on device .* free that place"
    with pytest.raises(UserError, match=message), staging(tmp_path / "b", overwrite=True):
        full.write_text("new")
    assert (tmp_path / "b" / "model").read_text() == "old"
    assert names(tmp_path) == ["b"]


def test_errors_of_the_program_itself_are_not_hidden(tmp_path):
    with pytest.raises(FileNotFoundError), staging(tmp_path / "b", overwrite=False) as folder:
        (folder / "no_such_file").read_text()


WRITER = """
import pathlib, sys
from seqapps.bundle.folder import staging, write_config, write_json
from seqapps.fields import Field, Interface
import hashlib, os
place, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
interface = Interface(inputs=(Field(name="x"),), outputs=(Field(name="y"),))
print("begin", flush=True)
while True:
    number += 1
    with staging(place, overwrite=True) as folder:
        write_config(folder, recipe="r", interface=interface, settings={"n": number})
        files = {}
        for name in "abcd":
            content = os.urandom(300_000)
            (folder / name).write_bytes(content)
            files[name] = hashlib.sha256(content).hexdigest()
        write_json(folder / "certificate.json", files)
"""


def test_a_kill_at_any_moment_leaves_a_whole_bundle(tmp_path):
    place, rng, written = tmp_path / "b", random.Random(0), set()
    for number in range(8):
        command = [sys.executable, "-c", WRITER, str(place), str(number * 10_000)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "begin\n"
        deadline = time.monotonic() + 60
        while not place.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.15))
        writer.kill()
        writer.wait()
        writer.stdout.close()
        written.add(read_config(place).settings["n"])
        for name, digest in json.loads((place / "certificate.json").read_text()).items():
            assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest
    # Kills fell at different moments, and some left something to sweep.
    assert len(written) > 1
    make_bundle(place)
    assert names(tmp_path) == ["b"]


def test_settings_and_interface_come_back(tmp_path):
    interface = Interface(
        inputs=(Field(name="frames", dtype="float32", rank=2, width=(80,), unit="dB"),),
        outputs=(Field(name="text"),),
        details=(Field(name="times", dtype="float32", rank=1),),
        options=(Option(name="beam", dtype="int32", default=4, description="Width."),),
    )
    write_config(tmp_path, recipe="transcribe", interface=interface, settings={"a": {"b": 1}})
    stored = read_config(tmp_path)
    assert (stored.recipe, stored.interface) == ("transcribe", interface)
    assert (stored.settings, stored.version) == ({"a": {"b": 1}}, seqapps.__version__)


def edited(tmp_path, **changes):
    write_config(tmp_path, recipe="r", interface=TEXT, settings={})
    config = json.loads((tmp_path / "config.json").read_text()) | changes
    write_json(tmp_path / "config.json", {k: v for k, v in config.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seqapps": "99.1.0"}, r"written by seqapps 99.1.0 and this is .*; install seqapps 99 or"),
        ({"seqapps": "new"}, r"config.json is damaged \(invalid literal"),
        ({"seqapps": None}, r"config.json is damaged \('seqapps' is missing\); train or copy"),
        ({"recipe": None}, r"config.json is damaged \('recipe' is missing\)"),
        ({"interface": {}}, r"config.json is damaged \('inputs' is missing\)"),
        ({"interface": 3}, r"config.json is damaged"),
        ({"settings": 3}, r"config.json is damaged"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(tmp_path, changes, message):
    edited(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        read_config(tmp_path)


def test_a_newer_version_of_the_same_generation_is_read(tmp_path):
    generation = seqapps.__version__.split(".")[0]
    edited(tmp_path, seqapps=f"{generation}.999.0")
    assert read_config(tmp_path).recipe == "r"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_config_is_a_clear_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config.json is damaged \(.*\); train or copy the bundle"):
        read_config(tmp_path)


@pytest.mark.parametrize("place", ["missing", "file", "."])
def test_what_is_not_a_bundle_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a bundle: it has no config.json; give the folder"):
        seqapps.load(tmp_path / place)


def test_small_files(tmp_path):
    write_assets(tmp_path, {"b.model": b"\x00\xff", "a": b""})
    assert read_assets(tmp_path) == {"a": b"", "b.model": b"\x00\xff"}
    write_history(tmp_path / "history.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert (tmp_path / "history.csv").read_text() == "epoch,loss\n1,0.5\n2,0.25\n"
    write_json(tmp_path / "metrics.json", {"größe": 1.5})
    assert read_metrics(tmp_path) == {"größe": 1.5}
    assert "größe" in (tmp_path / "metrics.json").read_text(encoding="utf-8")


def test_missing_parts_of_a_bundle_are_clear_errors(tmp_path):
    with pytest.raises(UserError, match="is damaged: assets/ is missing; train or copy"):
        read_assets(tmp_path)
    with pytest.raises(UserError, match="metrics.json cannot be read"):
        read_metrics(tmp_path)
