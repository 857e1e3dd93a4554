"""A SavedModel is loaded once in a process that runs tests."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KEPT = 12
"""So many, those that were asked for last: each holds some hundred megabytes."""


def load_once() -> None:
    """Makes `tf.saved_model.load` give what it gave before, if every file is as it was.

    Loading and the first calls, in which TensorFlow optimises each function, take seconds, and
    tests ask one bundle, or copies of it, many times. What is loaded has no state that a call
    changes. Other processes, those of the command line among them, load for themselves.
    """
    import tensorflow as tf

    load: Callable[..., Any] = tf.saved_model.load
    loaded: dict[bytes, Any] = {}

    def loaded_before(folder: Any, *given: Any, **named: Any) -> Any:
        if given or named:
            return load(folder, *given, **named)
        key = _content(Path(folder))
        found = loaded.pop(key, None) or load(folder)
        # A damaged one is not kept: it raises.
        loaded[key] = found
        if len(loaded) > _KEPT:
            del loaded[next(iter(loaded))]
        return found

    tf.saved_model.load = loaded_before


def _content(folder: Path) -> bytes:
    """A hash of all files in a folder, with their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\n{len(data)}\n".encode())
            digest.update(data)
    return digest.digest()
