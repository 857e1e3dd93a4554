"""cuDNN is taken in training wherever Keras allows it, and never in an export."""

import keras
import pytest
import tensorflow as tf

from seqapps.layers.cudnn import cudnn_operations, reset_cudnn
from seqapps.layers.recurrent import RecurrentStack


def _model(cell, *, bidirectional=True):
    inputs, lengths = keras.Input((None, 4)), keras.Input((), dtype="int32")
    stack = RecurrentStack(3, cell=cell, depth=2, bidirectional=bidirectional, dropout=0.1)
    outputs, _ = stack(inputs, lengths)
    return keras.Model([inputs, lengths], keras.layers.Dense(2)(outputs))


def _trace(model, *, training):
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec((None, None, 4)), tf.TensorSpec((None,), tf.int32)],
    )
    def run(inputs, lengths):
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model([inputs, lengths], training=training))
        return tape.gradient(loss, variables) if training else loss

    return run.get_concrete_function()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.usefixtures("gpu")
def test_training_takes_cudnn_and_an_export_never_does(cell, bidirectional):
    model = _model(cell, bidirectional=bidirectional)
    assert cudnn_operations(_trace(model, training=True)) == [
        "CudnnRNNBackpropV3",
        "CudnnRNNV3",
    ]
    assert reset_cudnn(model, False) == (4 if bidirectional else 2)
    assert cudnn_operations(_trace(model, training=False)) == []
    reset_cudnn(model, "auto")
    assert "CudnnRNNV3" in cudnn_operations(_trace(model, training=False))


def test_without_a_gpu_nothing_is_cudnn():
    assert cudnn_operations(_trace(_model("gru"), training=True)) == []


def test_children_of_bidirectional_and_of_nested_models_are_reset():
    inner = keras.Sequential(
        [keras.Input((None, 4)), keras.layers.Bidirectional(keras.layers.LSTM(2))]
    )
    model = keras.Sequential([keras.Input((None, 4)), inner])
    assert reset_cudnn(model, False) >= 2
    wrapper = inner.layers[0]
    assert wrapper.forward_layer.use_cudnn is False
    assert wrapper.backward_layer.use_cudnn is False


def test_another_value_is_refused():
    with pytest.raises(ValueError, match="must be \"auto\", True or False, got 'never'"):
        reset_cudnn(_model("gru"), "never")
