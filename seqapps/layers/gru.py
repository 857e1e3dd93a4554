"""The GRU recurrence on a CPU: the numbers of `keras.layers.GRU`, in less time.

Keras multiplies inputs and weights inside its loop, adds to the weights' gradients at every step,
and in bfloat16 computes the gates in bfloat16, which a CPU must emulate. Here the input products
are one large product before the loop, the weights' gradients one large product after it, and the
gates are float32. Padding needs no reversal: the state stands still wherever a row has no step.
"""

# B batch, T time steps, D input width, U units; z update gate, r reset gate, c candidate

from typing import Any, NamedTuple

import tensorflow as tf

# Added to the update gate's input it gives z = 1 and 1 - z = 0 exactly: the state is kept.
_KEEP = 1e4


class _Trace(NamedTuple):
    """What the backward loop reads again, one (batch, units) float32 tensor for each step."""

    update: tf.TensorArray
    reset: tf.TensorArray
    candidate: tf.TensorArray
    inner: tf.TensorArray
    """The recurrent product for the candidate, before the reset gate."""


def _array(steps: tf.Tensor, shape_BU: Any, dtype: tf.DType = tf.float32) -> tf.TensorArray:
    return tf.TensorArray(dtype, size=steps, element_shape=shape_BU, clear_after_read=False)


def _unstack(values_TBU: tf.Tensor) -> tf.TensorArray:
    return _array(tf.shape(values_TBU)[0], values_TBU.shape[1:], values_TBU.dtype).unstack(
        values_TBU
    )


def _flat(values_TBU: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values_TBU, (-1, values_TBU.shape[-1]))


def _matmul(values_BU: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Multiplies in the weights' dtype and answers in float32."""
    return tf.cast(tf.matmul(tf.cast(values_BU, weights.dtype), weights), tf.float32)


def _forward(
    inputs: list[tf.Tensor],
    weights: list[tf.Tensor],
    bias_U: tf.Tensor,
    initial_BU: tf.Tensor,
    keep_TB1: tf.Tensor,
    *,
    backwards: bool,
    trace: bool,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.TensorArray]]:
    """Runs the loop.

    Returns:
        All states, (time, batch, units); the last; and the fields of `_Trace`, if asked for.
    """
    steps = tf.shape(keep_TB1)[0]
    update, reset, candidate = (_unstack(values_TBU) for values_TBU in inputs)
    keep = _unstack(keep_TB1)

    def step(
        count: tf.Tensor, before_BU: tf.Tensor, states: tf.TensorArray, *traced: tf.TensorArray
    ) -> tuple[Any, ...]:
        t = steps - 1 - count if backwards else count
        # Three products, not one: splitting its result would copy more than this costs, and
        # the gates' element-wise work overlaps with the next product.
        inner_z, inner_r, inner_c = (_matmul(before_BU, weight) for weight in weights)
        z = tf.sigmoid(inner_z + tf.cast(update.read(t), tf.float32) + keep.read(t))
        r = tf.sigmoid(inner_r + tf.cast(reset.read(t), tf.float32))
        inner_c += bias_U
        c = tf.tanh(r * inner_c + tf.cast(candidate.read(t), tf.float32))
        after_BU = z * before_BU + (1.0 - z) * c
        kept = (z, r, c, inner_c) if trace else ()
        traced = tuple(array.write(t, value) for array, value in zip(traced, kept, strict=True))
        return count + 1, after_BU, states.write(t, after_BU), *traced

    arrays = [_array(steps, initial_BU.shape) for _ in range(5 if trace else 1)]
    _, last_BU, states, *traced = tf.while_loop(
        lambda count, *_: count < steps, step, (0, initial_BU, *arrays)
    )
    return states.stack(), last_BU, traced


def _backward(
    upstream_TBU: tf.Tensor,
    upstream_last_BU: tf.Tensor,
    before_TBU: tf.Tensor,
    trace: _Trace,
    weights: list[tf.Tensor],
    *,
    backwards: bool,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Runs the loop in the other direction.

    Returns:
        The gradients of the inputs of z, r and c and of `inner`, (time, batch, units) each in
        the weights' dtype; and the gradient of the initial state.
    """
    steps, shape_BU = tf.shape(upstream_TBU)[0], upstream_TBU.shape[1:]
    upstream, before = _unstack(upstream_TBU), _unstack(before_TBU)
    dtype, transposed = weights[0].dtype, [tf.transpose(weight) for weight in weights]

    def step(count: tf.Tensor, carried_BU: tf.Tensor, *arrays: tf.TensorArray) -> tuple[Any, ...]:
        t = count if backwards else steps - 1 - count
        state_grad = carried_BU + upstream.read(t)
        z, r = trace.update.read(t), trace.reset.read(t)
        c, inner = trace.candidate.read(t), trace.inner.read(t)
        c_grad = state_grad * ((1.0 - z) * (1.0 - c * c))
        z_grad = state_grad * ((before.read(t) - c) * (z * (1.0 - z)))
        r_grad = c_grad * (inner * (r * (1.0 - r)))
        grads = [tf.cast(grad, dtype) for grad in (z_grad, r_grad, c_grad, c_grad * r)]
        products = [_matmul(grads[i], transposed[j]) for i, j in ((0, 0), (1, 1), (3, 2))]
        carried_BU = tf.add_n([state_grad * z, *products])
        arrays = tuple(array.write(t, grad) for array, grad in zip(arrays, grads, strict=True))
        return count + 1, carried_BU, *arrays

    arrays = [_array(steps, shape_BU, dtype) for _ in range(4)]
    _, initial_grad_BU, *arrays = tf.while_loop(
        lambda count, *_: count < steps, step, (0, upstream_last_BU, *arrays)
    )
    return [array.stack() for array in arrays], initial_grad_BU


def _trained_loop(keep_TB1: tf.Tensor, backwards: bool) -> Any:
    """The loop with its own gradient, as a function of what has one."""

    def loop(
        update_TBU: tf.Tensor,
        reset_TBU: tf.Tensor,
        candidate_TBU: tf.Tensor,
        weight_z: tf.Tensor,
        weight_r: tf.Tensor,
        weight_c: tf.Tensor,
        bias_U: tf.Tensor,
        initial_BU: tf.Tensor,
    ) -> Any:
        inputs, weights = [update_TBU, reset_TBU, candidate_TBU], [weight_z, weight_r, weight_c]
        states_TBU, last_BU, traced = _forward(
            inputs, weights, bias_U, initial_BU, keep_TB1, backwards=backwards, trace=True
        )

        def gradient(upstream_TBU: tf.Tensor, upstream_last_BU: tf.Tensor) -> list[tf.Tensor]:
            first_1BU = initial_BU[tf.newaxis]
            before = [states_TBU[1:], first_1BU] if backwards else [first_1BU, states_TBU[:-1]]
            before_TBU = tf.concat(before, axis=0)
            (z, r, c, inner), initial_grad = _backward(
                upstream_TBU,
                upstream_last_BU,
                before_TBU,
                _Trace(*traced),
                weights,
                backwards=backwards,
            )
            before_NU = tf.cast(_flat(before_TBU), z.dtype)
            weight_grads = [
                tf.matmul(before_NU, _flat(grad), transpose_a=True) for grad in (z, r, inner)
            ]
            bias_grad = tf.reduce_sum(tf.cast(_flat(inner), tf.float32), axis=0)
            return [z, r, c, *weight_grads, bias_grad, initial_grad]

        return (states_TBU, last_BU), gradient

    return tf.custom_gradient(loop)


def gru(
    inputs_BTD: tf.Tensor,
    lengths_B: tf.Tensor,
    initial_BU: tf.Tensor,
    *,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    backwards: bool,
    training: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs a GRU with `reset_after=True` over right-padded rows.

    Args:
        inputs_BTD: float, (batch, time, width). Products are made in its dtype, all else in
            float32.
        lengths_B: int32, (batch,). Real steps in each row.
        initial_BU: float, (batch, units).
        kernel: float, (width, 3 × units), as in `keras.layers.GRU`: z, r, c.
        recurrent_kernel: float, (units, 3 × units).
        bias: float, (2, 3 × units): for the input and for the recurrent product.
        backwards: read each row from its last real step to its first.
        training: take the gradient from the second loop here, faster than TensorFlow's own; the
            numbers are the same, and a graph for inference stays free of it.

    Returns:
        In the inputs' dtype: the state after each step, (batch, time, units), past a row's length
        some finite value; and the state at the end of each row, (batch, units).

    Source: Cho et al. 2014; gradients as in Appleyard et al. 2016, "Optimizing Performance of
    Recurrent Neural Networks on GPUs", section 3.
    """
    dtype, units = inputs_BTD.dtype, initial_BU.shape[-1]
    inputs_TBD = tf.transpose(inputs_BTD, (1, 0, 2))
    steps, batch = tf.shape(inputs_TBD)[0], tf.shape(inputs_TBD)[1]
    input_bias, recurrent_bias = tf.unstack(tf.cast(bias, tf.float32))
    bias_z, bias_r, bias_c = tf.split(recurrent_bias, 3)
    # The recurrent bias of z and r may as well be added with the input's; that of c is gated.
    input_bias += tf.concat([bias_z, bias_r, tf.zeros_like(bias_c)], axis=0)
    projected = [
        tf.reshape(
            tf.nn.bias_add(tf.matmul(_flat(inputs_TBD), weight), part), (steps, batch, units)
        )
        for weight, part in zip(
            tf.split(tf.cast(kernel, dtype), 3, axis=1),
            tf.split(tf.cast(input_bias, dtype), 3),
            strict=True,
        )
    ]
    weights = tf.split(tf.cast(recurrent_kernel, dtype), 3, axis=1)
    past_TB1 = tf.range(steps)[:, tf.newaxis, tf.newaxis] >= lengths_B[:, tf.newaxis]
    keep_TB1, initial_BU = _KEEP * tf.cast(past_TB1, tf.float32), tf.cast(initial_BU, tf.float32)
    if training:
        loop = _trained_loop(keep_TB1, backwards)
        states_TBU, last_BU = loop(*projected, *weights, bias_c, initial_BU)
    else:
        states_TBU, last_BU, _ = _forward(
            projected, weights, bias_c, initial_BU, keep_TB1, backwards=backwards, trace=False
        )
    return tf.cast(tf.transpose(states_TBU, (1, 0, 2)), dtype), tf.cast(last_BU, dtype)
