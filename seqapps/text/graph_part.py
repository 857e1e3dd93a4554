"""A part of a graph that is made once, however often it is used."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def graph_part(function: Callable[..., Any], *specs: tf.TensorSpec) -> Callable[..., Any]:
    """Makes a function of tensors one part of every graph that calls it.

    Without it each call is a copy in the graph, which takes its time when the graph is made, stored
    and loaded, and when it first runs: TensorFlow looks through all of it for what can be simpler.

    Args:
        function: Takes tensors and gives any structure of them, by core operations alone.
        *specs: Of its arguments; without any, what it is called with first decides.

    Returns:
        The same function; outside of graphs it runs operation by operation.
    """
    part = tf.function(
        function,
        **({"input_signature": specs} if specs else {"reduce_retracing": True}),
        autograph=False,
        experimental_attributes={"_noinline": True},
    )

    def call(*arguments: Any) -> Any:
        return (function if tf.executing_eagerly() else part)(*arguments)

    return call
