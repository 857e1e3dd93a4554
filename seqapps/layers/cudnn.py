"""When the fused cuDNN kernel is used, and how it is kept out of an exported model.

Keras 3.15 takes cuDNN while a layer is *traced*: `use_cudnn` is "auto" or True and a GPU is
visible. `use_cudnn` is not saved with a model, and a graph traced with cuDNN fails on a CPU: so
`reset_cudnn(model, False)` comes before each export, and `cudnn_operations` shows that it worked.
"""

from typing import Any

import keras
import tensorflow as tf


def gpu_visible() -> bool:
    """Whether TensorFlow sees a GPU: the question Keras itself asks when it traces an RNN."""
    return bool(tf.config.list_logical_devices("GPU"))


def reset_cudnn(model: keras.layers.Layer, use: str | bool) -> int:
    """Sets `use_cudnn` on every recurrent layer inside a model, however deep.

    Functions traced before this call keep what they were traced with: trace anew after it.

    Args:
        model: a model or layer; children of `Bidirectional`, of `RecurrentStack` and of nested
            models are found too.
        use: "auto" to train (cuDNN wherever Keras allows it), False to export.

    Returns:
        How many layers were set.

    Raises:
        ValueError: `use` is neither "auto" nor a boolean.
    """
    if use not in ("auto", True, False):
        raise ValueError(f'use must be "auto", True or False, got {use!r}; "auto" is for training.')
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "use_cudnn")]
    for layer in layers:
        layer.use_cudnn = use
    return len(layers)


def cudnn_operations(function: Any) -> list[str]:
    """Names the kinds of cuDNN operation in a traced function and all functions it calls.

    Args:
        function: a `tf.types.experimental.ConcreteFunction`.

    Returns:
        Sorted operation types; empty means that the graph runs on a CPU.
    """
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return sorted({node.op for node in nodes if node.op.startswith("Cudnn")})
