"""What the tests of whole commands share."""

import io
import re
import sys

import pytest

from seqapps.recipe import run

CHATTER = re.compile(r"^[IWEF]\d{4} |WARNING|Warning|\.cc:\d+|Traceback|^\s*warnings\.")


@pytest.fixture(scope="session")
def assert_only_ours():
    """Checks that nothing of TensorFlow, CUDA or Python's warnings is on the terminal."""

    def check(stderr):
        assert [line for line in stderr.splitlines() if CHATTER.search(line)] == []

    return check


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs a recipe's command in this process: exit code, standard output, standard error."""

    def call(recipe, *argv, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(recipe, [str(word) for word in argv])
        return code, *capsys.readouterr()

    return call
