"""Tensors that a network takes, each with its name."""

from typing import Any

import tensorflow as tf


def numbers(name: str, *shape: int | None) -> Any:
    """float32, (rows, *shape); None for an axis that varies."""
    return tf.TensorSpec([None, *shape], tf.float32, name=name)


def whole(name: str, *shape: int | None) -> Any:
    """int32, (rows, *shape); None for an axis that varies."""
    return tf.TensorSpec([None, *shape], tf.int32, name=name)
