"""Layers that Keras lacks. Importing this package registers them for loading."""

from seqapps.layers import (
    attention,
    mingru,
    ngrams,
    pooling,
    recurrent,
    temperature,
    token_dropout,
)

__all__ = [
    "attention",
    "mingru",
    "ngrams",
    "pooling",
    "recurrent",
    "temperature",
    "token_dropout",
]
