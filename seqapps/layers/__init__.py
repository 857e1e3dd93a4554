"""Layers that Keras lacks. Importing this package registers them for loading."""

from seqapps.layers import (
    attention,
    copying,
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
    "copying",
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
