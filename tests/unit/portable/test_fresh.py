"""Programs in an interpreter of their own find what this one finds."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqapps.portable import fresh


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder on the path of this process alone, with a package in it."""
    (tmp_path / "only_here.py").write_text("print('loaded')\nanswer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_what_this_process_finds_is_found_there_and_what_it_shall_lack_is_not(packages):
    program = "import only_here\njson.dump([only_here.answer, json.load(sys.stdin)], sys.stdout)"
    done = fresh.run(program, told="Größe")
    # What a package prints while it loads is no part of the answer.
    assert fresh.answer(done) == [42, "Größe"], done.stderr
    done = fresh.run(program, without=["only_here"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: import of only_here halt")
    # Nor does it leave its own compiled files in folders that are for others.
    assert not (packages / "__pycache__").exists()


def test_folders_that_are_named_relatively_are_those_of_now(packages, monkeypatch):
    monkeypatch.chdir(packages)
    monkeypatch.setattr(sys, "path", ["", *sys.path[1:]])
    assert fresh.answer(fresh.run("import only_here\nprint(only_here.answer)\nprint(1, end='')"))


def test_a_machine_that_starts_or_keeps_no_process_is_told_of(monkeypatch):
    with pytest.raises(fresh.NotRun, match="was killed, as systems do that run out of memory"):
        fresh.run(f"import os\nos.kill(os.getpid(), {int(signal.SIGKILL)})")
    for python in ("/nowhere/python", ""):
        monkeypatch.setattr(sys, "executable", python)
        with pytest.raises(fresh.NotRun, match="no process of .*ython.* can be started"):
            fresh.run("")
        assert fresh.trial().startswith("no process of ")


def test_a_trial_tells_the_last_line_and_once_is_enough(tmp_path, monkeypatch):
    broken = tmp_path / "tensorflow.py"
    broken.write_text("raise ImportError('libfoo.so.6: cannot open')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    told = f"in a fresh process of {sys.executable} (ImportError: libfoo.so.6: cannot open)"
    assert fresh.trial() == f"TensorFlow does not load {told}"
    broken.write_text("")
    with fresh.trying() as found:
        assert found().endswith(told)
    assert fresh.trial() == ""
    # Nobody waits for a trial that nobody asks about.
    broken.write_text("import time\ntime.sleep(600)\n")
    fresh._TRIED.clear()
    with fresh.trying():
        pass


def test_tensorflow_that_only_pythonpath_names_is_found():
    """As `pip install --user`, or a module of a cluster: `python -I` alone does not find it."""
    site = Path(sys.modules["tensorflow"].__file__).parents[1]
    done = subprocess.run(
        [sys._base_executable, "-c", "from seqapps.portable import fresh\nprint([fresh.trial()])"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.getcwd()])},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout == "['']\n", done.stderr
