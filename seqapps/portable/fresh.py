"""Programs in an interpreter of their own, which finds the packages that this one finds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from seqapps.errors import UserError

_BEGIN = """
import json, sys
sys.dont_write_bytecode = True
sys.path[:], absent = json.loads(sys.argv.pop(1))
sys.modules.update(dict.fromkeys(absent))
"""
"""What goes before each program. A module that is None cannot be imported, wherever it is."""
_TRIAL = "import tensorflow\n"
_TRIED: dict[tuple[str, ...], str] = {}
"""What a trial found, by interpreter and path."""


class NotRun(UserError):
    """No program runs in a process of its own: the machine's fault, and not the program's."""


def run(
    program: str,
    *words: str,
    told: Any = None,
    without: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Runs a Python program in a new interpreter.

    It has the path of this one, whatever that is made of: packages in the user's site, those that
    PYTHONPATH names, folders that were added by hand.

    Args:
        program: Its source; `json` and `sys` are imported.
        *words: Its arguments.
        told: What it reads as JSON from standard input.
        without: Modules that it shall not be able to import.
        environment: Further variables.

    Returns:
        What came of it.

    Raises:
        NotRun: If no process can be started, or the system ended it.
    """
    with _explained():
        done = subprocess.run(
            _line(program, *words, without=without),
            input=json.dumps(told),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(environment or {})},
            check=False,
        )
    if done.returncode == -signal.SIGKILL:
        raise NotRun("the fresh process was killed, as systems do that run out of memory")
    return done


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    """The JSON that a program wrote last; a package may have written something while it loaded."""
    return json.loads(done.stdout.rpartition("\n")[2])


def trial() -> str:
    """Tries whether TensorFlow can be imported in a fresh process: empty, or what is wrong."""
    _TRIED.pop(_key(), None)
    with trying() as found:
        return found()


@contextmanager
def trying() -> Iterator[Callable[[], str]]:
    """Does the same while the body goes on; once is enough for a process.

    Yields:
        Waits for what the trial found, and gives it.
    """
    key = _key()
    if key in _TRIED:
        yield lambda: _TRIED[key]
        return
    try:
        with _explained():
            process = subprocess.Popen(
                _line(_TRIAL),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **QUIET_CPU},
            )
    except NotRun as error:
        reason = str(error)
        yield lambda: reason
        return

    def found() -> str:
        if key not in _TRIED:
            said = process.communicate()[1].decode("utf-8", "replace").strip()
            last = said.rpartition("\n")[2] or f"exit code {process.returncode}"
            _TRIED[key] = (
                f"TensorFlow does not load in a fresh process of {sys.executable} ({last[:500]})"
                if process.returncode
                else ""
            )
        return _TRIED[key]

    with process:
        try:
            yield found
        finally:
            if process.poll() is None:
                process.kill()


QUIET_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
"""Variables of a process that sees no GPU, and whose TensorFlow says little."""


def _key() -> tuple[str, ...]:
    return (sys.executable, *sys.path)


def _line(program: str, *words: str, without: Sequence[str] = ()) -> list[str]:
    """The command. -I: nothing but what it is given decides what it finds."""
    path = [os.path.abspath(entry) for entry in sys.path]
    return [
        sys.executable,
        "-I",
        "-c",
        _BEGIN + program,
        json.dumps([path, list(without)]),
        *words,
    ]


@contextmanager
def _explained() -> Iterator[None]:
    """Turns the failure to start a process into a sentence."""
    try:
        yield
    except OSError as error:
        raise NotRun(
            f"no process of {sys.executable or 'Python'} can be started ({error.strerror or error})"
        ) from error
