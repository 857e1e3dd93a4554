"""Every registered layer comes back from a .keras file with its settings and its weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seqapps.layers  # noqa: F401  (registers the layers: what a user imports before loading)
from seqapps.layers.attention import AdditiveAttention, MultiplicativeAttention
from seqapps.layers.copying import Copying
from seqapps.layers.lookahead import Lookahead
from seqapps.layers.mingru import MinGRU
from seqapps.layers.ngrams import HashedPairs
from seqapps.layers.pooling import SequencePooling
from seqapps.layers.recurrent import RecurrentStack
from seqapps.layers.spectrogram import ConvolutionalFrontEnd, FeatureNormalisation
from seqapps.layers.spectrogram_views import (
    FeatureAugmentation,
    MeanView,
    TempoAugmentation,
    WarpedViews,
)
from seqapps.layers.temperature import Temperature
from seqapps.layers.token_dropout import TokenDropout
from seqapps.recipes.sentiment.teacher import NegativeSamples

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


def _copying(inputs, lengths):
    # As many steps as there are, each a source of itself.
    weights = keras.ops.softmax(keras.ops.matmul(inputs, keras.ops.transpose(inputs, (0, 2, 1))))
    source = keras.ops.cast(keras.ops.abs(inputs[:, :, 0]), "int32")
    return [Copying()(inputs, inputs, weights, source)]


def _pooling(**settings):
    return lambda inputs, lengths: [SequencePooling(**settings)(inputs, lengths)]


LAYERS = {
    **{
        f"{cell}-{bidirectional}": _recurrent(
            cell=cell, bidirectional=bidirectional, normalisation="layer", **STACK
        )
        for cell in ("gru", "lstm", "rnn", "mingru")
        for bidirectional in (False, True)
    },
    "defaults": _recurrent(),
    "independent": _recurrent(bidirectional=True, independent=True, **STACK),
    "weight-drop": _recurrent(weight_drop=0.4, **STACK),
    "TokenDropout": lambda inputs, lengths: [TokenDropout(5, 0.3, seed=2)(inputs, lengths)],
    "MinGRU": _min_gru,
    "AdditiveAttention": _attention(AdditiveAttention(3)),
    "MultiplicativeAttention": _attention(MultiplicativeAttention()),
    "Copying": _copying,
    "HashedPairs": lambda inputs, lengths: [
        HashedPairs(2, buckets=9)(keras.ops.cast(inputs[:, :, 0], "int32"), lengths)
    ],
    "SequencePooling": _pooling(),
    "SequencePooling-all": _pooling(
        pools=("last", "attention", "mean", "max"), units=3, bidirectional=False
    ),
    "SequencePooling-without-weights": _pooling(pools=["max", "last"]),
    "Lookahead": lambda inputs, lengths: [Lookahead(2)(inputs, lengths)],
    "FeatureNormalisation": lambda inputs, lengths: [FeatureNormalisation()(inputs, lengths)],
    "FeatureNormalisation-global": lambda inputs, lengths: [
        FeatureNormalisation("global")(inputs, lengths)
    ],
    "TempoAugmentation": lambda inputs, lengths: list(
        TempoAugmentation(0.1, seed=3)(inputs, lengths)
    ),
    "FeatureAugmentation": lambda inputs, lengths: [
        FeatureAugmentation(
            warp=0.1, channel_tilt_db=3.0, time_masks=1, time_share=0.2, highest_hz=4000.0, seed=3
        )(inputs, lengths)
    ],
    "WarpedViews": lambda inputs, lengths: list(
        WarpedViews([0.9, 1.1], highest_hz=4000.0)(inputs, lengths)
    ),
    "MeanView": lambda inputs, lengths: list(MeanView(1)(inputs, lengths)),
    "ConvolutionalFrontEnd": lambda inputs, lengths: list(
        ConvolutionalFrontEnd(4, time_strides=(2, 1), kernel=5, causal=True)(inputs, lengths)
    ),
    "Temperature": lambda inputs, lengths: [Temperature()(inputs)],
    "NegativeSamples": lambda inputs, lengths: [
        NegativeSamples([0.2, 0.5, 1.3], 7, seed=3)(inputs)
    ],
}


def test_no_registered_layer_is_forgotten():
    registered = {
        name
        for name in keras.saving.get_custom_objects()
        if name.startswith("seqapps>")
        and issubclass(keras.saving.get_custom_objects()[name], keras.layers.Layer)
    }
    assert registered == {
        "seqapps>AdditiveAttention",
        "seqapps>HashedPairs",
        "seqapps>ConvolutionalFrontEnd",
        "seqapps>Copying",
        "seqapps>FeatureAugmentation",
        "seqapps>FeatureNormalisation",
        "seqapps>Lookahead",
        "seqapps>MeanView",
        "seqapps>MinGRU",
        "seqapps>MultiplicativeAttention",
        "seqapps>NegativeSamples",
        "seqapps>RecurrentStack",
        "seqapps>SequencePooling",
        "seqapps>Temperature",
        "seqapps>TempoAugmentation",
        "seqapps>TokenDropout",
        "seqapps>WarpedViews",
    }


@pytest.mark.parametrize("name", LAYERS)
def test_round_trip(name, tmp_path):
    inputs, lengths = keras.Input((None, 4)), keras.Input((), dtype="int32")
    outputs = LAYERS[name](inputs, lengths)
    model = keras.Model([inputs, lengths], outputs)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    data = [rng.normal(size=(2, 5, 4)).astype("float32"), np.array([5, 2], "int32")]
    found = zip(outputs, *(tf.nest.flatten(m(data)) for m in (model, loaded)), strict=True)
    for symbolic, before, after in found:
        np.testing.assert_array_equal(before, after)
        assert tf.TensorShape(symbolic.shape).is_compatible_with(before.shape)
        assert symbolic.dtype == before.dtype.name
    for one, other in zip(model.layers, loaded.layers, strict=True):
        assert one.get_config() == other.get_config()
