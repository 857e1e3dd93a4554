"""What notebooks, modules of a cluster and other projects leave in the environment.

Keras and matplotlib read some of it when they are imported, and refuse to be imported or compute
with something else than TensorFlow.
"""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from seqapps.errors import UserError

KERAS_ASKED = os.environ.get("KERAS_BACKEND", "")
"""What KERAS_BACKEND was before we set it."""
MATPLOTLIB_ASKED = os.environ.get("MPLBACKEND", "")
"""The same of MPLBACKEND."""


def choose_backends(*, files_alone: bool = False) -> None:
    """Says what Keras and matplotlib shall stand on, before they are imported.

    Args:
        files_alone: Whether this process draws into files and never on a screen.
    """
    if "keras.src" not in sys.modules:
        # It wins over keras.json.
        os.environ["KERAS_BACKEND"] = "tensorflow"
    drawn = os.environ.get("MPLBACKEND")
    if drawn and "matplotlib" not in sys.modules and (files_alone or not _is_there(drawn)):
        os.environ["MPLBACKEND"] = "agg"


def check_keras() -> None:
    """Checks that a Keras that somebody else imported computes with TensorFlow.

    Raises:
        UserError: If it does not.
    """
    config = sys.modules.get("keras.src.backend.config")
    backend = config.backend() if config else "tensorflow"
    if backend != "tensorflow":
        raise UserError(
            f"seqapps computes with TensorFlow, and Keras was imported with the backend {backend}; "
            "import seqapps before Keras, or set KERAS_BACKEND=tensorflow."
        )


def keras_configured() -> str:
    """What keras.json says the backend is, with the file's name; empty if it says nothing."""
    home = os.environ.get("KERAS_HOME")
    base = os.path.expanduser("~")
    file = Path(home or (Path(base if os.access(base, os.W_OK) else "/tmp") / ".keras"))
    try:
        table = json.loads((file.expanduser() / "keras.json").read_text(encoding="utf-8"))
        return f"{table['backend']} in {file / 'keras.json'}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _is_there(backend: str) -> bool:
    """Whether the module of a backend of matplotlib is installed: that of a notebook may not be."""
    package = backend.removeprefix("module://").partition(".")[0]
    return not backend.startswith("module://") or find_spec(package) is not None
