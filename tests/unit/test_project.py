"""The files around the code agree with each other."""

import importlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from seqapps.commands.program import program

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(text: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9][^\s]*==\S+(?: ; [^\\\n]+[^\\\n ])?", text, re.MULTILINE))


def test_constraints_are_the_pins_of_the_lock() -> None:
    assert pins(read("constraints.txt")) == pins(read("requirements.lock"))


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    pinned = {pin.partition("==")[0] for pin in pins(read("constraints.txt"))}
    assert {re.split(r"[^\w-]", line)[0] for line in wanted} <= pinned


@pytest.mark.parametrize("file", ["requirements.lock", "constraints.txt"])
def test_pins_name_no_address(file: str) -> None:
    assert not re.search(r"://|--index|--find-links", read(file))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with the files that installing reads, and nothing installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(target: str, folder: Path) -> list[str]:
    """What `make target` would run."""
    # `make test` may run this test: its flags are not for the make that is started here.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    lines = subprocess.run(
        ["make", "--dry-run", target],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return lines.replace("\\\n", " ").splitlines()


def test_the_command_and_the_settings_of_real_trainings_are_installed() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    module, function = project["project"]["scripts"]["seqapps"].split(":")
    assert callable(getattr(importlib.import_module(module), function))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["seqapps", "recipes"]
    for name in ("translate", "sentiment", "generate", "transcribe"):
        recipe = importlib.import_module(f"seqapps.recipes.{name}").RECIPE
        installed, here = program(recipe).shipped
        assert installed.relative_to(ROOT) == Path(wheel["sources"]["recipes"], name)
        assert here == ROOT / "recipes" / name
        assert list(here.glob("*.toml"))


TESTS = ".venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder"


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("demo", ".venv/bin/python -m seqapps.recipes.translate train --overwrite"),
        ("test", TESTS),
        ("check", ".venv/bin/deptry ."),
    ],
)
def test_each_command_installs_what_it_needs(target: str, last: str, bare: Path) -> None:
    lines = planned(target, bare)
    assert lines[-1] == last
    assert any(
        line.endswith('-e ".[dev,onnx,serve,speech,tune]" -c constraints.txt') for line in lines
    )


def test_nothing_is_installed_twice(bare: Path) -> None:
    (bare / ".venv").mkdir()
    (bare / ".venv" / "installed").touch()
    assert planned("test", bare) == [TESTS]


def test_ci_runs_check_and_test() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100
    assert read(".ci/run").split("export CI=1\n")[1] == "make check\nmake test\n"


@pytest.mark.long
def test_demo_on_a_fresh_machine(tmp_path: Path) -> None:
    """`make demo` in a copy of the sources without an environment, twice."""
    names = ("seqapps", "Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE")
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    try:
        for _ in range(2):
            subprocess.run(["make", "demo"], cwd=tmp_path, check=True)
            assert (tmp_path / "saved_models/translate/demo/certificate.json").is_file()
    finally:
        # Two gigabytes; pytest keeps the folders of the last three runs.
        shutil.rmtree(tmp_path / ".venv", ignore_errors=True)
