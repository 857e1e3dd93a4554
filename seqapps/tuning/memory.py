"""Gives back the memory of a network that is not needed any more."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import keras
from tensorflow.python.framework import ops


@contextmanager
def released() -> Iterator[None]:
    """Frees what was built and traced in the body, once nothing else refers to it.

    TensorFlow registers every custom gradient of every graph for the life of the process, and each
    of them holds its graph and thereby the weights (tensorflow#97697); `clear_session` does not
    look there.
    """
    # Private, and without a public way to it. Where it is not, memory is all that is lost.
    registry = getattr(ops.gradient_registry, "_registry", {})
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
        keras.backend.clear_session()
        gc.collect()
