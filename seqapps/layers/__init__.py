"""Layers that Keras lacks. Importing this package registers them for loading."""

from seqapps.layers import attention, mingru, recurrent

__all__ = ["attention", "mingru", "recurrent"]
