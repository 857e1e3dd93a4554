"""What notebooks and other projects leave behind breaks nothing."""

import json
import os
import subprocess
import sys
import types

import pytest

from seqapps import environment
from seqapps.errors import UserError
from seqapps.lazy import start_tensorflow

LEFT_BEHIND = """
import ctypes, os
import seqapps
from seqapps.lazy import start_tensorflow
start_tensorflow()
import keras
import matplotlib.figure
import tensorflow as tf
# What every model has it say, once.
library = ctypes.CDLL(os.path.dirname(tf.__file__) + "/libtensorflow_framework.so.2")
warn = library["_ZN10tensorflow26DataTypeUnsupportedWarningERKNS_8DataTypeE"]
warn(ctypes.byref(ctypes.c_int(3)))
print(keras.backend.backend(), os.environ["MPLBACKEND"])
"""


def test_backends_of_a_notebook_and_of_another_project_and_a_chatty_level(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    left = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(tmp_path),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND],
        env={**os.environ, **left},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "tensorflow agg\n", "")


def test_a_keras_that_somebody_imported_with_another_backend_is_refused(monkeypatch):
    config = types.SimpleNamespace(backend=lambda: "torch")
    monkeypatch.setitem(sys.modules, "keras.src.backend.config", config)
    with pytest.raises(UserError, match="was imported with the backend torch; import seqapps bef"):
        start_tensorflow()


def test_a_backend_that_is_there_stays_unless_nothing_is_shown(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    for name in ("module://json.tool", "QtAgg"):
        monkeypatch.setenv("MPLBACKEND", name)
        environment.choose_backends()
        assert os.environ["MPLBACKEND"] == name
    environment.choose_backends(files_alone=True)
    assert os.environ["MPLBACKEND"] == "agg"
    monkeypatch.delenv("MPLBACKEND")
    environment.choose_backends(files_alone=True)
    assert "MPLBACKEND" not in os.environ


def test_what_keras_json_says_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert environment.keras_configured() == ""
    (tmp_path / "keras.json").write_text("[]")
    assert environment.keras_configured() == ""
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert environment.keras_configured() == f"jax in {tmp_path / 'keras.json'}"
