"""Temperature: how sure, never which."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.layers.temperature import Temperature

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LOGITS = np.random.default_rng(0).normal(0.0, 3.0, (50, 4)).astype(np.float32)


def layer(value, **settings):
    found = Temperature(**settings)
    found.build((None, 4))
    found.value.assign(value)
    return found


def test_it_is_one_until_it_is_fitted():
    np.testing.assert_array_equal(Temperature()(LOGITS), LOGITS)


@pytest.mark.parametrize("value", [0.3, 2.5, 20.0])
def test_scales_logits_and_never_the_answer(value):
    found = layer(value)(LOGITS).numpy()
    np.testing.assert_allclose(found, LOGITS / value, rtol=1e-6)
    np.testing.assert_array_equal(found.argmax(1), LOGITS.argmax(1))
    sureness = [tf.nn.softmax(logits).numpy().max(1) for logits in (found, LOGITS)]
    assert np.all(sureness[0] > sureness[1]) == (value < 1.0)


def test_training_does_not_move_it():
    assert layer(2.0).trainable_variables == []
    assert len(layer(2.0).weights) == 1


def test_it_is_saved_with_the_model(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Temperature(name="temperature")(inputs))
    model.get_layer("temperature").value.assign(1.75)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.get_layer("temperature").value) == 1.75
    np.testing.assert_array_equal(loaded(LOGITS), LOGITS / np.float32(1.75))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_it_is_float32_under_a_mixed_policy(policy):
    # 1.0009765625 is 1 in bfloat16.
    found = layer(1.0009765625, dtype=policy)
    assert found.value.dtype == "float32"
    short = tf.cast(LOGITS, policy.removeprefix("mixed_"))
    scaled = found(short)
    assert scaled.dtype == tf.float32
    np.testing.assert_allclose(scaled, tf.cast(short, tf.float32) / 1.0009765625, rtol=1e-6)
    inputs = keras.Input((4,), dtype=short.dtype.name)
    model = keras.Model(inputs, Temperature(dtype=policy)(inputs))
    assert model.outputs[0].dtype == "float32"
    assert model(short).dtype == tf.float32
