"""Python environments that have what a predictor needs, and neither TensorFlow nor seqapps."""

import subprocess
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def linked_environment(folder: Path, requirements: Iterable[str]) -> Path:
    """Makes an environment of links to what is installed here, and returns its Python.

    Args:
        folder: Where to.
        requirements: What `pip install` would be given; what these require comes with them.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = (folder / "lib").glob("python3*/site-packages")
    for name in _closure(requirements):
        found = metadata.distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            place = packages / top
            # Two distributions may share a folder.
            if not place.is_symlink():
                place.symlink_to(Path(str(found.locate_file(top))))
    return checked(folder / "bin" / "python")


def _closure(requirements: Iterable[str]) -> set[str]:
    """The distributions that these lines ask for, and all that those ask for in turn."""
    waiting, known = [Requirement(line) for line in requirements], set()
    while waiting:
        wanted = waiting.pop()
        if wanted.name in known or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        known.add(wanted.name)
        waiting += [Requirement(line) for line in metadata.requires(wanted.name) or ()]
    return known


def checked(python: Path) -> Path:
    """The same Python, once it is seen that it cannot import what must not be needed."""
    code = "import importlib.util as u; print([n for n in {!r} if u.find_spec(n)])"
    unwanted = ("tensorflow", "seqapps", "keras")
    found = subprocess.run([python, "-Ic", code.format(unwanted)], capture_output=True, check=True)
    assert found.stdout == b"[]\n"
    return python
