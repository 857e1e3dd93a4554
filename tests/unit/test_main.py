import subprocess
import sys
from pathlib import Path

import pytest

import seqapps.recipes
from seqapps import __main__ as main
from seqapps.arguments import run


def process(*argv, check=""):
    """Runs `python -m seqapps` in a process of its own, and then a statement in it."""
    code = (
        "import runpy, sys\n"
        "try: runpy.run_module('seqapps', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stop: code = stop.code\n"
        f"{check}\n"
        "sys.exit(code)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=60
    )


NO_TENSORFLOW = (
    "assert 'tensorflow.python' not in sys.modules\nassert 'keras.src' not in sys.modules"
)


@pytest.mark.parametrize("argv", [[], ["--help"], ["doctor", "--help"], ["--version"]])
def test_answers_do_not_load_tensorflow(argv):
    result = process(*argv, check=NO_TENSORFLOW)
    assert (result.returncode, result.stderr) == (0, "")
    assert "seqapps" in result.stdout


def test_recipes_are_found_and_described_without_being_imported(tmp_path, monkeypatch, capsys):
    (tmp_path / "reverse.py").write_text('"""Strings to reversed strings.\n\nMore."""\n1 / 0\n')
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text('"""A recipe of several files."""\n')
    (tmp_path / "_shared.py").write_text('"""No recipe."""\n')
    (tmp_path / "silent.py").write_text("x = 1\n")
    monkeypatch.setattr(seqapps.recipes, "__path__", [str(tmp_path)])
    assert main.recipes() == {
        "seqapps.recipes.package": "A recipe of several files.",
        "seqapps.recipes.reverse": "Strings to reversed strings.",
        "seqapps.recipes.silent": "",
    }
    assert run(main.PROGRAM, []) == 0
    out = capsys.readouterr().out
    assert "  Strings to reversed strings.\n    python -m seqapps.recipes.reverse\n" in out


def test_every_recipe_of_the_package_is_listed_with_a_summary():
    folder = Path(seqapps.recipes.__path__[0])
    names = {f"seqapps.recipes.{file.stem}" for file in folder.glob("[!_]*.py")}
    assert names <= main.recipes().keys()
    assert all(main.recipes().values())


@pytest.mark.usefixtures("warm")
def test_doctor(capsys, monkeypatch, tmp_path):
    (tmp_path / "multi30k").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(main, "PACKAGES", ("keras", "no-such-package"))
    assert run(main.PROGRAM, ["doctor"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["python"] == ".".join(map(str, sys.version_info[:3]))
    assert rows["keras"][0].isdigit()
    assert rows["no-such-package"] == "not installed (pip install no-such-package)"
    assert int(rows["cores"].split()[0]) >= 1
    assert rows["tfds"] == f"{tmp_path} (multi30k)"
    assert rows["gpu"]
    assert rows["onednn"].startswith("on, as TensorFlow chooses; a line 'oneDNN supports DT_INT32")
    assert rows["keras-backend"] == "tensorflow"
    assert rows["matplotlib-backend"] == "agg"
    assert rows["fresh-process"] == "finds TensorFlow; bundles can be certified"


def test_doctor_names_what_other_projects_left_and_what_is_wrong(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(main, "KERAS_ASKED", "torch")
    monkeypatch.setattr(main, "MATPLOTLIB_ASKED", "module://inline")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert run(main.PROGRAM, ["doctor"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    ours = "set by seqapps for its own processes (not"
    assert rows["onednn"] == "off (TF_ENABLE_ONEDNN_OPTS=0)"
    assert rows["keras-backend"] == f"tensorflow, {ours} KERAS_BACKEND=torch)"
    assert rows["matplotlib-backend"] == f"agg, {ours} MPLBACKEND=module://inline)"
    assert rows["fresh-process"].startswith("bundles cannot be certified here: no process of /now")
    monkeypatch.setattr(main, "KERAS_ASKED", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert main._keras() == f"tensorflow, {ours} jax in {tmp_path / 'keras.json'})"


def test_a_recipe_is_named_after_the_command(capsys, monkeypatch):
    for words, first in (
        (["translate", "--help"], "Usage: python -m seqapps.recipes.translate [COMMAND]"),
        (["doctor", "--help"], "Usage: python -m seqapps doctor"),
        ([], "seqapps "),
    ):
        monkeypatch.setattr(sys, "argv", ["seqapps", *words])
        assert main.main() == 0
        assert capsys.readouterr().out.startswith(first)


def test_doctor_says_where_data_would_be_prepared(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    assert main._tfds() == f"{tmp_path / 'none'} (absent; made when a data set is prepared)"


def test_wrong_commands(capsys):
    assert run(main.PROGRAM, ["docter"]) == 2
    assert "docter is not a command; did you mean doctor?" in capsys.readouterr().err
    assert process("docter").returncode == 2
    assert run(main.PROGRAM, ["doctor", "--gpu"]) == 2
    assert "--gpu is not an option of doctor." in capsys.readouterr().err
