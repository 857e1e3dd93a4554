"""GRUs and LSTMs as the operations that ONNX has for them.

TensorFlow's operation of that kind is cuDNN's. It stands in the traced graph for one recurrence, is
never run, and becomes ONNX's `GRU` or `LSTM`, which knows lengths, runs either way, and is several
times faster than a loop.
"""

# B batch, T steps, D width of the input, U units, G gates

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_GATES = {"gru": 3, "lstm": 4}
# Keras has input, forget, cell, output; ONNX has input, output, forget, cell.
_ORDER = {"gru": (0, 1, 2), "lstm": (0, 3, 1, 2)}


def trace_recurrence(
    layer: Any, inputs_BTD: Any, lengths_B: Any, before: list[Any], *, backwards: bool
) -> tuple[Any, list[Any]]:
    """Puts one operation for a recurrence into the graph.

    Args:
        layer: `keras.layers.GRU` or `LSTM`.
        inputs_BTD: float32, (B, T, D), right-padded.
        lengths_B: int32, (B,).
        before: The state: float32, (B, U) each.
        backwards: Whether it reads each row from its last real step to its first.

    Returns:
        float32, (B, T, U), zero past each length, and the state after the last step.
    """
    cell, kind = layer.cell, "lstm" if isinstance(layer, keras.layers.LSTM) else "gru"
    with tf.init_scope():
        weights = [np.asarray(each) for each in (cell.kernel, cell.recurrent_kernel, cell.bias)]
    if weights[2].ndim == 1:
        weights[2] = np.stack([weights[2], np.zeros_like(weights[2])])
    state = [tf.cast(value, tf.float32)[tf.newaxis] for value in before]
    output = tf.raw_ops.CudnnRNNV3(
        input=tf.transpose(tf.cast(inputs_BTD, tf.float32), (1, 0, 2)),
        input_h=state[0],
        input_c=state[-1],
        params=tf.constant(np.concatenate([part.ravel() for part in weights]), tf.float32),
        sequence_lengths=lengths_B,
        rnn_mode=kind,
        # `write_recurrence` reads its direction and its width from these two.
        seed=int(backwards),
        seed2=int(layer.units),
        is_training=False,
    )
    units = int(layer.units)
    steps_TBU = tf.ensure_shape(output.output, [None, None, units])
    after = [output.output_h, output.output_c][: len(state)]
    return tf.transpose(steps_TBU, (1, 0, 2)), [
        tf.ensure_shape(value[0], [None, units]) for value in after
    ]


def write_recurrence(context: Any, node: Any, name: str, args: Any) -> None:
    """Replaces the operation by ONNX's; the arguments are those of tf2onnx's handlers."""
    kind = node.get_attr_str("rnn_mode")
    backwards, units = node.get_attr_int("seed"), node.get_attr_int("seed2")
    gates, order = _GATES[kind], _ORDER[kind]
    flat = node.inputs[3].get_tensor_value(as_list=False)
    side = gates * units
    width = len(flat) // side - units - 2
    kernel, recurrent, bias = np.split(flat, [width * side, (width + units) * side])

    def by_gate(values: Any, rows: int) -> Any:
        """(rows, G × U) as Keras has it → (1, G × U, rows) in ONNX's order."""
        parts = values.reshape(rows, gates, units)[:, list(order)]
        return np.ascontiguousarray(parts.reshape(rows, side).T[np.newaxis])

    constants = {
        "kernel": by_gate(kernel, width),
        "recurrent": by_gate(recurrent, units),
        "bias": by_gate(bias, 2).transpose(0, 2, 1).reshape(1, 2 * side),
    }
    weights = [
        context.make_const(f"{node.name}_{key}", value).output[0]
        for key, value in constants.items()
    ]
    steps, first_h, first_c, _, lengths = node.input
    outputs = list(node.output)
    attributes: dict[str, Any] = {
        "direction": "reverse" if backwards else "forward",
        "hidden_size": units,
    }
    if kind == "gru":
        attributes["linear_before_reset"] = 1
    start = [first_h] if kind == "gru" else [first_h, first_c]
    shapes = [context.get_shape(each) for each in outputs[:3]]
    dtype = context.get_dtype(outputs[0])
    context.remove_node(node.name)
    made = context.make_node(
        kind.upper(),
        [steps, *weights, lengths, *start],
        attr=attributes,
        output_count=1 + len(start),
        dtypes=[dtype] * (1 + len(start)),
        shapes=[None] * (1 + len(start)),
    )
    axes = context.make_const(f"{node.name}_axes", np.array([1], np.int64)).output[0]
    context.make_node(
        "Squeeze", [made.output[0], axes], outputs=outputs[:1], dtypes=[dtype], shapes=shapes[:1]
    )
    for number in range(1, len(start) + 1):
        context.make_node(
            "Identity",
            [made.output[number]],
            outputs=[outputs[number]],
            dtypes=[dtype],
            shapes=[shapes[number]],
        )
