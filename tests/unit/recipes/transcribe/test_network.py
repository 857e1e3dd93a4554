"""The network of a recogniser: what its settings do to it."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.audio.settings import Augmentation, Features
from seqapps.layers.spectrogram_views import WarpedViews
from seqapps.recipes.transcribe.network import build_recogniser
from seqapps.recipes.transcribe.settings import Recogniser, recogniser_settings

TINY = {"time_strides": (2, 2), "channels": 2, "projection": 4, "units": 4, "depth": 1}


def test_augmentation_is_for_training_and_lengths_follow_the_tempo():
    features = Features(sample_rate_hz=8000, mels=16)
    settings = Augmentation(tempo=0.3, channel_tilt_db=6.0, time_masks=0, band_masks=0)
    network = build_recogniser(
        Recogniser(**TINY), outputs=3, features=features, augmentation=settings
    )
    assert network.get_layer("tempo").tempo == 0.3
    layer = network.get_layer("augmentation")
    assert (layer.channel_tilt_db, layer.highest_hz) == (6.0, 4000.0)
    rng = np.random.default_rng(0)
    inputs = {
        "features": rng.normal(size=(8, 80, 16)).astype(np.float32),
        "features_lengths": np.full(8, 80, np.int32),
    }
    still = network(inputs, training=False)
    assert still["logits_lengths"].numpy().tolist() == [20] * 8
    varied = network(inputs, training=True)
    steps = varied["logits_lengths"].numpy()
    assert 14 <= steps.min() < 20 < steps.max() <= 26
    assert varied["logits"].shape[1] == steps.max()


def test_what_is_heard_through_several_warps_is_the_mean_of_what_each_alone_gives():
    features = Features(sample_rate_hz=8000, mels=16, normalise="global")
    factors = (0.9, 1.0, 1.15)
    once = build_recogniser(Recogniser(**TINY), outputs=3, features=features)
    often = build_recogniser(Recogniser(**TINY, heard_warps=factors), outputs=3, features=features)
    often.set_weights(once.get_weights())
    rng = np.random.default_rng(0)
    lengths = np.array([40, 23], np.int32)
    values = rng.normal(size=(2, 40, 16)).astype(np.float32)
    values[1, 23:] = 0.0
    found = often({"features": values, "features_lengths": lengths}, training=False)
    layer = often.get_layer("views")
    each = []
    for factor in factors:
        warped, _ = WarpedViews([factor], lowest_hz=20.0, highest_hz=4000.0)(values, lengths)
        heard = once({"features": warped.numpy(), "features_lengths": lengths}, training=False)
        each.append(tf.nn.log_softmax(heard["logits"]).numpy())
    assert layer.highest_hz == 4000.0
    np.testing.assert_allclose(found["logits"], np.mean(each, 0), atol=1e-5)
    assert found["logits_lengths"].numpy().tolist() == heard["logits_lengths"].numpy().tolist()
    taught = often({"features": values, "features_lengths": lengths}, training=True)
    assert taught["logits"].shape == found["logits"].shape


def test_a_stream_is_heard_once():
    with pytest.raises(ValueError, match="heard_warps empty"):
        recogniser_settings(
            Recogniser(streaming=True, bidirectional=False, heard_warps=(0.9, 1.0)),
            Features(normalise="global", centre=False),
        )
    with pytest.raises(ValueError, match=r"factors from 0.5 to 2, got \[0.3\]"):
        Recogniser(heard_warps=(0.3,))


@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_kernels_have_a_middle(kernel):
    with pytest.raises(ValueError, match=f"odd and at least 3, got {kernel}"):
        Recogniser(kernel=kernel)


def test_what_reads_forward_does_not_look_back_before_the_start():
    forward = Recogniser(bidirectional=False)
    with pytest.raises(ValueError, match=r"features\.normalise"):
        recogniser_settings(forward, Features())
    with pytest.raises(ValueError, match=r"features\.centre"):
        recogniser_settings(forward, Features(normalise="global"))
    recogniser_settings(forward, Features(normalise="global", centre=False))


@pytest.mark.parametrize("name", ["tempo", "channel_tilt_db"])
def test_augmentation_settings_have_ranges(name):
    with pytest.raises(ValueError, match=name):
        Augmentation(**{name: -0.1})
