"""Layers that Keras lacks. Importing this package registers them for loading."""

from seqapps.layers import (
    attention,
    lookahead,
    mingru,
    ngrams,
    pooling,
    recurrent,
    spectrogram,
    spectrogram_views,
    temperature,
    token_dropout,
)

__all__ = [
    "attention",
    "lookahead",
    "mingru",
    "ngrams",
    "pooling",
    "recurrent",
    "spectrogram",
    "spectrogram_views",
    "temperature",
    "token_dropout",
]
