"""Layers that Keras lacks. Importing this package registers them for loading."""

from seqapps.layers import (
    attention,
    lookahead,
    mingru,
    pooling,
    recurrent,
    spectrogram,
    temperature,
)

__all__ = [
    "attention",
    "lookahead",
    "mingru",
    "pooling",
    "recurrent",
    "spectrogram",
    "temperature",
]
