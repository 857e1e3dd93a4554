"""Layers that Keras lacks. Importing this package registers them for loading."""

from seqapps.layers import attention, mingru, ngrams, pooling, recurrent, temperature

__all__ = ["attention", "mingru", "ngrams", "pooling", "recurrent", "temperature"]
