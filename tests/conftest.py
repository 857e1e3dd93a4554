"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

from seqapps.lazy import start_tensorflow

start_tensorflow()


@pytest.fixture(scope="session")
def multi30k() -> Path:
    """The folder of Multi30k sentence pairs; the test skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "multi30k"
    if not folder.is_dir():
        pytest.skip("the Multi30k files are not on this machine")
    return folder
