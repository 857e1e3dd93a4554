"""Python environments that have what a predictor needs, and neither TensorFlow nor seqapps."""

import subprocess
import venv
from pathlib import Path

import numpy

NEEDED = ("numpy", "onnxruntime", "sentencepiece", "flatbuffers", "google", "packaging")
"""What `pip install -r requirements.txt` brings, as far as it is imported."""


def linked_environment(folder: Path) -> Path:
    """Makes an environment of links to what is installed here, and returns its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = (folder / "lib").glob("python3*/site-packages")
    for path in Path(numpy.__file__).parents[1].iterdir():
        if path.name.partition("-")[0].partition(".")[0] in NEEDED:
            (packages / path.name).symlink_to(path)
    return checked(folder / "bin" / "python")


def checked(python: Path) -> Path:
    """The same Python, once it is seen that it cannot import what must not be needed."""
    for module in ("tensorflow", "seqapps", "keras"):
        gone = subprocess.run([python, "-Ic", f"import {module}"], capture_output=True)
        assert b"ModuleNotFoundError" in gone.stderr
    return python
