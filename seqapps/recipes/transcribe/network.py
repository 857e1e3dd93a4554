"""A speech recogniser: convolutions, recurrent layers, and one distribution for each step (CTC).

Source: Graves et al. 2006 (connectionist temporal classification); Amodei et al. 2016, "Deep
Speech 2" (convolutions with strides below recurrent layers; row convolution for streaming).
"""

# B batch, T frames, S output steps, M mel bands, V outputs: characters or pieces, and the blank

from typing import Any

import keras

from seqapps.audio.settings import Augmentation, Features
from seqapps.layers.lookahead import Lookahead
from seqapps.layers.recurrent import RecurrentStack
from seqapps.layers.spectrogram import ConvolutionalFrontEnd, FeatureNormalisation
from seqapps.layers.spectrogram_views import (
    FeatureAugmentation,
    MeanView,
    TempoAugmentation,
    WarpedViews,
)
from seqapps.recipes.transcribe.settings import Recogniser, recogniser_settings

NORMALISATION, FRONT_END, STACK = "normalisation", "front_end", "stack"
LOOKAHEAD, PROJECTION, OUTPUT = "lookahead", "projection", "output"
"""Names of the layers."""

_NOTHING = Augmentation(
    speed=0, gain_db=0, noise_db=0, shift_ms=0, warp=0, time_masks=0, band_masks=0
)
"""Varies nothing."""


def build_recogniser(
    settings: Recogniser,
    *,
    outputs: int,
    features: Features | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> keras.Model:
    """Builds the network: log-mel features → log-odds of each output at each step.

    Args:
        settings: Size and kind.
        outputs: Characters or pieces, ids 0 to outputs - 1; the blank has the id `outputs`.
        features: How many bands there are, and how they are normalised.
        augmentation: What varies features in training; None for nothing.
        seed: Of dropout and augmentation; the first weights follow
            `keras.utils.set_random_seed`.

    Returns:
        A model of the inputs `features` float32 (B, T, M), right-padded, and `features_lengths`
        int32 (B,), at least 1. It gives a dict: `logits` float32 (B, S, V), whatever the policy,
        S = ceil(T / stride), V = outputs + 1; and `logits_lengths` int32 (B,), ceil(length /
        stride).

    Raises:
        ValueError: If a model that reads forward only is asked to normalise over the recording.
    """
    features = features or Features()
    recogniser_settings(settings, features)
    inputs: dict[str, Any] = {
        "features": keras.Input((None, features.mels), dtype="float32", name="features"),
        "features_lengths": keras.Input((), dtype="int32", name="features_lengths"),
    }
    lengths = inputs["features_lengths"]
    values = FeatureNormalisation(features.normalise, name=NORMALISATION)(
        inputs["features"], lengths
    )
    values, lengths = _varied(values, lengths, features, augmentation or _NOTHING, seed=seed)
    if settings.heard_warps:
        values, lengths = WarpedViews(
            settings.heard_warps,
            lowest_hz=features.lowest_hz,
            highest_hz=features.top_hz,
            name="views",
        )(values, lengths)
    values, steps = _read(values, lengths, settings, seed=seed)
    # In float32: a softmax over bfloat16 log-odds is too coarse for CTC.
    logits = keras.layers.Dense(outputs + 1, dtype="float32", name=OUTPUT)(values)
    if settings.heard_warps:
        logits, steps = MeanView(len(settings.heard_warps), name="mean_view")(logits, steps)
    return keras.Model(inputs, {"logits": logits, "logits_lengths": steps}, name="recogniser")


def _varied(
    values: Any, lengths: Any, features: Features, augmentation: Augmentation, *, seed: int
) -> tuple[Any, Any]:
    """Features as training hears them, anew each time; else as they are."""
    if augmentation.tempo:
        values, lengths = TempoAugmentation(augmentation.tempo, seed=seed * 1000 + 4, name="tempo")(
            values, lengths
        )
    varied = FeatureAugmentation(
        warp=augmentation.warp,
        channel_tilt_db=augmentation.channel_tilt_db,
        time_masks=augmentation.time_masks,
        time_share=augmentation.time_share,
        band_masks=augmentation.band_masks,
        band_share=augmentation.band_share,
        lowest_hz=features.lowest_hz,
        highest_hz=features.top_hz,
        seed=seed * 1000 + 1,
        name="augmentation",
    )(values, lengths)
    return varied, lengths


def _read(values: Any, lengths: Any, settings: Recogniser, *, seed: int) -> tuple[Any, Any]:
    """From features to what each step says: (B, S, units or 2 × units), and steps, (B,)."""
    streaming = not settings.bidirectional
    values, steps = ConvolutionalFrontEnd(
        settings.channels,
        time_strides=settings.time_strides,
        kernel=settings.kernel,
        causal=streaming,
        name=FRONT_END,
    )(values, lengths)
    values = keras.layers.Dense(settings.projection, activation="relu", name=PROJECTION)(values)
    values, _ = RecurrentStack(
        settings.units,
        cell=settings.cell,
        depth=settings.depth,
        bidirectional=settings.bidirectional,
        dropout=settings.dropout,
        normalisation=settings.normalisation,
        seed=seed * 1000 + 2,
        name=STACK,
    )(values, steps)
    if streaming and settings.lookahead:
        values = Lookahead(settings.lookahead, name=LOOKAHEAD)(values, steps)
    if settings.dropout:
        values = keras.layers.Dropout(settings.dropout, seed=seed * 1000 + 3)(values)
    return values, steps
