"""Every registered layer comes back from a .keras file with its settings and its weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seqapps.layers  # noqa: F401  (registers the layers: what a user imports before loading)
from seqapps.layers.attention import AdditiveAttention, MultiplicativeAttention
from seqapps.layers.mingru import MinGRU
from seqapps.layers.recurrent import RecurrentStack

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STACK = {"depth": 2, "residual": True, "dropout": 0.2, "locked_dropout": True, "seed": 4}


def _recurrent(**settings):
    def build(inputs, lengths):
        outputs, state = RecurrentStack(4, **settings)(inputs, lengths)
        return [outputs, *state]

    return build


def _min_gru(inputs, lengths):
    outputs = MinGRU(4)(inputs, inputs[:, 0])
    return [outputs, outputs[:, -1]]


def _attention(layer):
    return lambda inputs, lengths: list(layer(inputs, inputs, lengths))


LAYERS = {
    **{
        f"{cell}-{bidirectional}": _recurrent(
            cell=cell, bidirectional=bidirectional, normalisation="layer", **STACK
        )
        for cell in ("gru", "lstm", "rnn", "mingru")
        for bidirectional in (False, True)
    },
    "defaults": _recurrent(),
    "MinGRU": _min_gru,
    "AdditiveAttention": _attention(AdditiveAttention(3)),
    "MultiplicativeAttention": _attention(MultiplicativeAttention()),
}


def test_no_registered_layer_is_forgotten():
    registered = {
        name
        for name in keras.saving.get_custom_objects()
        if name.startswith("seqapps>")
        and keras.saving.get_custom_objects()[name].__module__.startswith("seqapps.layers")
    }
    assert registered == {
        "seqapps>AdditiveAttention",
        "seqapps>MinGRU",
        "seqapps>MultiplicativeAttention",
        "seqapps>RecurrentStack",
    }


@pytest.mark.parametrize("name", LAYERS)
def test_round_trip(name, tmp_path):
    inputs, lengths = keras.Input((None, 4)), keras.Input((), dtype="int32")
    outputs = LAYERS[name](inputs, lengths)
    model = keras.Model([inputs, lengths], outputs)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    data = [rng.normal(size=(2, 5, 4)).astype("float32"), np.array([5, 2], "int32")]
    for symbolic, before, after in zip(outputs, model(data), loaded(data), strict=True):
        np.testing.assert_array_equal(before, after)
        assert tf.TensorShape(symbolic.shape).is_compatible_with(before.shape)
        assert symbolic.dtype == before.dtype.name
    for one, other in zip(model.layers, loaded.layers, strict=True):
        assert one.get_config() == other.get_config()
