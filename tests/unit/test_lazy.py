import logging
import os
import subprocess
import sys
import textwrap

import pytest

from seqapps import lazy
from seqapps.lazy import lazy_imports


def process(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | environment,
    )


@pytest.fixture
def loud(tmp_path, monkeypatch):
    """A module that leaves a file when it is loaded."""
    (tmp_path / "loud.py").write_text(
        f"open({str(tmp_path / 'loaded')!r}, 'w').close()\nanswer = 42\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "loud", raising=False)
    yield tmp_path / "loaded"
    sys.modules.pop("loud", None)


def test_a_lazy_module_is_loaded_when_it_is_used(loud):
    with lazy_imports():
        import loud as module
    assert not loud.exists()
    assert module.answer == 42
    assert loud.exists()


def test_imports_outside_the_block_are_ordinary(loud):
    with lazy_imports():
        pass
    import loud as module

    assert loud.exists()
    assert module.answer == 42


def test_a_module_that_does_not_exist_fails_at_once():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), lazy_imports():
        import no_such_module  # noqa: F401


def test_an_error_in_the_block_ends_laziness(loud):
    with pytest.raises(RuntimeError, match="stop"), lazy_imports():
        raise RuntimeError("stop")
    import loud as module

    assert loud.exists()
    assert module.answer == 42


# Keras imports TensorFlow, which looks for Keras: each may be the first to be used.
BOTH_LAZY = """
import os, sys
from seqapps.lazy import lazy_imports, start_tensorflow
with lazy_imports():
    import keras
    import tensorflow as tf
assert "tensorflow.python" not in sys.modules
assert "keras.src" not in sys.modules
"""


def test_keras_may_be_used_first():
    result = process(
        BOTH_LAZY + "assert keras.ops.shape(keras.layers.Dense(2)(tf.zeros((3, 4)))) == (3, 2)"
    )
    assert result.returncode == 0, result.stderr


def test_tensorflow_may_be_used_first_and_starts_without_a_word():
    result = process(
        BOTH_LAZY
        + "start_tensorflow()\n"
        + "assert int(tf.reduce_sum(tf.ones(3))) == 3\n"
        + "assert tf.keras.layers.GRU is keras.layers.GRU\n"
        # The terminal is given back: this is heard, and nothing else was.
        + "os.write(2, b'heard')\n",
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "heard")


def test_a_tensorflow_that_was_there_is_asked_once_for_what_it_says_once(monkeypatch, capfd):
    tensorflow = sys.modules["tensorflow"]
    level = tensorflow.get_logger().level

    def first_operation(module):
        assert module is tensorflow
        os.write(2, b"E0000 oneDNN supports ...\n")
        started.append("once")

    started = []
    monkeypatch.setattr(lazy, "_STARTED", started)
    monkeypatch.setattr(lazy, "first_operation", first_operation)
    tensorflow.get_logger().setLevel("INFO")
    try:
        lazy.start_tensorflow()
        lazy.start_tensorflow()
        # How much it says is up to who imported it.
        assert tensorflow.get_logger().level == logging.INFO
    finally:
        tensorflow.get_logger().setLevel(level)
    assert started.count("once") == 1
    assert capfd.readouterr().err == ""


def test_a_failed_start_shows_what_was_held_back(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'no AVX here\\n')\nraise ImportError('broken build')\n"
    )
    result = process(
        "from seqapps.lazy import start_tensorflow\nstart_tensorflow()",
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.getcwd()]),
    )
    assert result.returncode == 1
    assert "no AVX here\n" in result.stderr
    assert "ImportError: broken build" in result.stderr


def test_ctrl_c_while_tensorflow_starts_shows_nothing(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'chatter\\n')\nraise KeyboardInterrupt\n"
    )
    result = process(
        """
        from seqapps.lazy import start_tensorflow
        try:
            start_tensorflow()
        except KeyboardInterrupt:
            print("stopped")
        """,
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.getcwd()]),
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "stopped\n", "")


def test_a_second_lazy_import_does_not_load_a_module_either(loud):
    with lazy_imports():
        import loud as first
    with lazy_imports():
        import loud as second
    assert not loud.exists()
    assert first is second
    assert second.answer == 42
