"""Applied sequence models on Keras and TensorFlow: train one, measure it, serve it."""

from pathlib import Path
from typing import TYPE_CHECKING

from seqapps.environment import choose_backends
from seqapps.version import __version__

if TYPE_CHECKING:
    from seqapps.bundle.application import Application

__all__ = ["__version__", "load"]

choose_backends()


def load(path: str | Path) -> "Application":
    """Loads a bundle that a recipe wrote.

    Example:
        translate = seqapps.load("saved_models/translate/multi30k")
        translate(["A man is reading."])

    Args:
        path: The bundle's folder.

    Returns:
        A function of a list of inputs that returns a list of outputs. It has `.model` (the Keras
        model), `.config` and `.metrics`.

    Raises:
        seqapps.errors.UserError: If `path` is not a bundle, or a newer major version wrote it.
    """
    from seqapps.bundle.application import load as load_bundle

    return load_bundle(path)
