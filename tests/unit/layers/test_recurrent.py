"""What RecurrentStack promises: by meaning, for every cell."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.recurrent import RecurrentStack

CELLS = ["gru", "lstm", "rnn", "mingru"]
LENGTHS = np.array([6, 1, 4], "int32")
every_cell = pytest.mark.parametrize("cell", CELLS)
both_ways = pytest.mark.parametrize("bidirectional", [False, True])


def _inputs(steps=6, width=4, rows=3):
    return np.random.default_rng(0).normal(size=(rows, steps, width)).astype("float32")


def _stack(units=5, **settings):
    stack = RecurrentStack(units, **settings)
    stack.build((None, None, 4))
    rng = np.random.default_rng(7)
    for variable in stack.trainable_variables:
        # Random biases too: zeros would hide one in the wrong place.
        variable.assign(rng.normal(scale=0.5, size=variable.shape))
    return stack


def _close(found, expected, tolerance=1e-6):
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@every_cell
@both_ways
def test_padding_and_batch_mates_change_nothing(cell, bidirectional):
    stack = _stack(cell=cell, bidirectional=bidirectional, depth=2, normalisation="layer")
    inputs = _inputs()
    outputs, state = stack(inputs, LENGTHS)
    dirty = np.pad(inputs, [(0, 0), (0, 5), (0, 0)], constant_values=9.0)
    for row, length in enumerate(LENGTHS):
        dirty[row, length:] = 9.0
        alone, alone_state = stack(inputs[row : row + 1, :length], LENGTHS[row : row + 1])
        _close(alone[0], outputs[row, :length])
        _close([tensor[0] for tensor in alone_state], [tensor[row] for tensor in state])
        assert np.all(outputs[row, length:] == 0.0)
    padded, padded_state = stack(dirty, LENGTHS)
    _close(padded[:, :6], outputs)
    _close(padded_state, state)
    assert np.all(padded[:, 6:] == 0.0)


@every_cell
def test_batch_mates_change_nothing_at_the_size_that_is_exported(cell):
    stack = RecurrentStack(320, cell=cell)
    inputs, lengths = (
        _inputs(steps=20, width=320, rows=32),
        np.arange(1, 33, dtype="int32") % 20 + 1,
    )
    outputs, state = stack(inputs, lengths)
    for row in (0, 13, 31):
        alone, last = stack(inputs[row : row + 1, : lengths[row]], lengths[row : row + 1])
        _close(alone[0], outputs[row, : lengths[row]], 5e-6)
        _close([tensor[0] for tensor in last], [tensor[row] for tensor in state], 5e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_each_row_equals_the_unpadded_stock_layer(cell):
    stack, inputs = _stack(cell=cell), _inputs()
    kind = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}
    stock = kind[cell](5, return_sequences=True, return_state=True)
    stock.build((None, None, 4))
    stock.set_weights(stack.recurrences[0].get_weights())
    outputs, state = stack(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS):
        expected, *last = stock(inputs[row : row + 1, :length])
        _close(outputs[row, :length], expected[0])
        _close([tensor[row] for tensor in state], [tensor[0] for tensor in last])


@every_cell
def test_backward_outputs_know_the_future_and_only_it(cell):
    stack, inputs = _stack(cell=cell, bidirectional=True), _inputs()
    outputs, _ = stack(inputs, LENGTHS)
    changed = inputs.copy()
    changed[0, 3] += 1.0
    moved = np.abs(stack(changed, LENGTHS)[0] - outputs).max(axis=0) > 1e-7
    forward, backward = moved[:, :5].any(axis=1), moved[:, 5:].any(axis=1)
    assert forward.tolist() == [False, False, False, True, True, True]
    assert backward.tolist() == [True, True, True, True, False, False]


@every_cell
def test_backward_half_is_the_forward_layer_on_the_reversed_row(cell):
    stack, inputs = _stack(cell=cell, bidirectional=True), _inputs()
    single = _stack(cell=cell)
    single.recurrences[0].set_weights(stack.recurrences[1].get_weights())
    outputs, state = stack(inputs, LENGTHS)
    per_direction = len(state) // 2
    for row, length in enumerate(LENGTHS):
        expected, last = single(inputs[row : row + 1, :length][:, ::-1], LENGTHS[row : row + 1])
        _close(outputs[row, :length, 5:], expected[0, ::-1])
        # After the row's first step: the last one that the backward layer reads.
        _close([t[row] for t in state[per_direction:]], [t[0] for t in last])


@every_cell
def test_steps_equal_the_whole_and_need_no_loop(cell):
    stack = _stack(units=4, cell=cell, depth=2, residual=True, normalisation="layer")
    inputs = _inputs()
    outputs, last = stack(inputs, np.full(3, 6, "int32"))
    step = tf.function(stack.step, autograph=False)
    state = stack.zero_state(3)
    for index in range(6):
        output, state = step(tf.constant(inputs[:, index]), state)
        _close(output, outputs[:, index], 1e-5)
    _close(state, last, 1e-5)
    graph = step.get_concrete_function(tf.constant(inputs[:, 0]), state).graph
    assert not [op.type for op in graph.get_operations() if "While" in op.type]


@every_cell
@both_ways
def test_going_on_from_a_state_equals_one_run(cell, bidirectional):
    stack, inputs = _stack(cell=cell, bidirectional=bidirectional), _inputs()
    outputs, last = stack(inputs, np.full(3, 6, "int32"))
    count = len(last) // (2 if bidirectional else 1)
    _, state = stack(inputs[:, :2], np.full(3, 2, "int32"))
    second, end = stack(inputs[:, 2:], np.full(3, 4, "int32"), initial_state=state)
    _close(second[..., :5], outputs[:, 2:, :5])
    _close(end[:count], last[:count])
    if bidirectional:
        # Going on backwards, the earlier steps come second.
        _, state = stack(inputs[:, 2:], np.full(3, 4, "int32"))
        first, end = stack(inputs[:, :2], np.full(3, 2, "int32"), initial_state=state)
        _close(first[..., 5:], outputs[:, :2, 5:])
        _close(end[count:], last[count:])


def test_residual_adds_the_input_where_widths_are_equal():
    plain, residual = _stack(units=4), _stack(units=4, residual=True)
    residual.set_weights(plain.get_weights())
    inputs, lengths = _inputs(), np.full(3, 6, "int32")
    _close(residual(inputs, lengths)[0], plain(inputs, lengths)[0] + inputs)
    _close(residual(inputs, lengths)[1], plain(inputs, lengths)[1])
    wider, wider_residual = _stack(), _stack(residual=True)
    wider_residual.set_weights(wider.get_weights())
    _close(wider_residual(inputs, lengths)[0], wider(inputs, lengths)[0])


def test_layer_normalisation_centres_every_real_step():
    stack = RecurrentStack(32, normalisation="layer")
    outputs, _ = stack(10.0 * _inputs(), LENGTHS)
    np.testing.assert_allclose(tf.reduce_mean(outputs, -1)[0], np.zeros(6), atol=1e-5)
    np.testing.assert_allclose(tf.math.reduce_std(outputs, -1)[0], np.ones(6), atol=0.05)
    assert np.all(outputs[1, 1:] == 0.0)


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_zeroes_inputs_in_training_only(locked):
    stack = RecurrentStack(5, dropout=0.5, locked_dropout=locked, seed=1)
    ones = tf.ones((64, 10, 30))
    dropped = stack._drop(ones, training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert abs(dropped.mean() - 1.0) < 0.05
    assert np.all(dropped == dropped[:, :1]) == locked
    assert np.abs(dropped[0] - dropped[1]).max() == 2.0
    inputs = _inputs()
    _close(stack(inputs, LENGTHS), stack(inputs, LENGTHS), 0.0)
    noisy = [stack(inputs, LENGTHS, training=True)[0].numpy() for _ in range(2)]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-3


def test_dropout_repeats_from_a_restored_seed_state():
    stack, inputs = RecurrentStack(5, depth=2, dropout=0.3), _inputs()
    stack(inputs, LENGTHS, training=True)
    saved = stack.seed_generator.state.numpy()
    first = [stack(inputs, LENGTHS, training=True) for _ in range(3)]
    stack.seed_generator.state.assign(saved)
    _close([stack(inputs, LENGTHS, training=True) for _ in range(3)], first, 0.0)


@every_cell
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_short_floats_stay_near_float32(cell, policy):
    settings = {"cell": cell, "depth": 2, "bidirectional": True, "normalisation": "layer"}
    exact, short = _stack(**settings), _stack(**settings, dtype=policy)
    short.set_weights(exact.get_weights())
    variables = [variable.value for variable in short.trainable_variables]
    with tf.GradientTape() as tape:
        outputs, state = short(_inputs(), LENGTHS, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
    assert {outputs.dtype, *(t.dtype for t in state)} == {tf.as_dtype(policy[6:])}
    _close(tf.cast(outputs, tf.float32), exact(_inputs(), LENGTHS)[0], 0.15)
    gradients = tape.gradient(loss, variables)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    assert {variable.dtype for variable in variables} == {tf.float32}


@every_cell
def test_one_trace_serves_all_shapes_and_every_weight_learns(cell):
    stack = _stack(cell=cell, bidirectional=True, depth=2)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, None, 4)), tf.TensorSpec([None], tf.int32)])
    def gradients(inputs, lengths):
        traces.append(1)
        variables = [variable.value for variable in stack.trainable_variables]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(stack(inputs, lengths, training=True)[0] ** 2)
        return tape.gradient(loss, variables)

    for rows, steps in ((3, 6), (1, 1), (2, 9)):
        found = gradients(_inputs(steps, rows=rows), np.full(rows, steps, "int32"))
    assert len(traces) == 1
    assert all(np.abs(gradient).max() > 0.0 for gradient in found)


@every_cell
def test_exported_graph_gives_the_same_numbers_at_any_size(cell, tmp_path):
    stack = _stack(cell=cell, bidirectional=True)

    class Served(tf.Module):
        def __init__(self):
            super().__init__()
            self.stack = stack

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec((None, None, 4)), tf.TensorSpec([None], tf.int32)],
        )
        def run(self, inputs, lengths):
            return self.stack(inputs, lengths)[0]

    tf.saved_model.save(Served(), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))
    for rows, steps in ((3, 6), (1, 2)):
        inputs, lengths = _inputs(steps, rows=rows), np.minimum(LENGTHS[:rows], steps)
        _close(served.run(inputs, lengths), stack(inputs, lengths)[0])


@every_cell
@pytest.mark.parametrize("residual", [False, True])
def test_independent_directions_have_not_seen_the_other_side(cell, residual):
    settings = {"units": 2, "cell": cell, "depth": 2, "bidirectional": True, "residual": residual}
    inputs, lengths = _inputs(rows=1), np.array([6], "int32")
    later, earlier = inputs.copy(), inputs.copy()
    later[:, 4:] += 1.0
    earlier[:, :3] += 1.0
    for independent in (True, False):
        stack = _stack(**settings, independent=independent)
        plain, *changed = (stack(x, lengths)[0].numpy()[0] for x in (inputs, later, earlier))
        # Of the forward half the steps before the change, of the backward half those after it.
        gaps = np.abs(changed[0] - plain)[:4, :2], np.abs(changed[1] - plain)[3:, 2:]
        for gap in gaps:
            assert np.all(gap == 0.0) == independent
        # And what each may see, it sees.
        assert np.all(np.abs(changed[0] - plain)[4:, :2].max(1) > 1e-3)
        assert np.all(np.abs(changed[1] - plain)[:3, 2:].max(1) > 1e-3)


@every_cell
def test_independent_directions_are_two_stacks(cell):
    inputs = _inputs()
    both = _stack(cell=cell, depth=2, bidirectional=True, independent=True)
    outputs, state = both(inputs, LENGTHS)
    names = ("forward", "backward")
    count = both.states_per_recurrence
    for place, name in enumerate(names):
        one = _stack(cell=cell, depth=2)
        for level in range(2):
            weights = both.recurrences[2 * level + place].get_weights()
            one.recurrences[level].set_weights(weights)
        # Reading backwards is reading the reversed row.
        turned = inputs if name == "forward" else tf.reverse_sequence(inputs, LENGTHS, seq_axis=1)
        half, last = one(turned, LENGTHS)
        if name == "backward":
            half = tf.reverse_sequence(half, LENGTHS, seq_axis=1)
        _close(outputs[..., 5 * place : 5 * place + 5], half)
        for level in range(2):
            start = (2 * level + place) * count
            _close(state[start : start + count], last[level * count : (level + 1) * count])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 0}, "units and depth must be at least 1, got 0 and 1"),
        ({"units": 2, "depth": 0}, "units and depth must be at least 1, got 2 and 0"),
        ({"units": 2, "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"units": 2, "cell": "qrnn"}, "cell must be one of gru, lstm, rnn, mingru, got 'qrnn'"),
        ({"units": 2, "normalisation": "batch"}, "normalisation must be one of none, layer"),
        ({"units": 2, "independent": True}, "independent directions need bidirectional=True"),
        (
            {"units": 2, "independent": True, "bidirectional": True, "normalisation": "layer"},
            "normalisation='none' .*, got True and 'layer'",
        ),
    ],
)
def test_bad_settings_say_what_is_allowed(settings, message):
    with pytest.raises(ValueError, match=message):
        RecurrentStack(**settings)


def test_a_bidirectional_stack_refuses_single_steps():
    stack = _stack(bidirectional=True)
    with pytest.raises(ValueError, match="got bidirectional=True"):
        stack.step(_inputs()[:, 0], stack.zero_state(3))


def test_a_state_of_the_wrong_length_is_refused():
    stack = _stack(cell="lstm")
    with pytest.raises(ValueError, match="state must hold 2 tensors .* got 1"):
        stack(_inputs(), LENGTHS, initial_state=stack.zero_state(3)[:1])
