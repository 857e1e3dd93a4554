"""The recogniser by itself: what a predictor without TensorFlow asks."""

# B batch, S source steps, T tokens, U units, V vocabulary, N rows of a decoding loop, E extensions

from typing import Any

import keras
import tensorflow as tf

from seqapps.audio.mel import FLOOR, mel_matrix
from seqapps.audio.settings import Features
from seqapps.fields import Part, Parts
from seqapps.models.specs import numbers, whole


def recogniser_parts(network: keras.Model, features: Features, *, stride: int) -> Parts:
    """Of a recogniser: `hear` gives logits for each step, from power spectra.

    Args:
        network: From `build_recogniser`.
        features: How recordings become features.
        stride: Frames of one output.
    """

    def hear(power: Any, frames: Any) -> dict[str, Any]:
        mel_BTM = tf.tensordot(power, mel_matrix(features), 1)
        log_mel = tf.math.log(tf.maximum(mel_BTM, FLOOR))
        outputs = network({"features": log_mel, "features_lengths": frames}, training=False)
        return {"logits": outputs["logits"], "logits_lengths": outputs["logits_lengths"]}

    takes = (numbers("power", None, features.fft // 2 + 1), whole("frames"))
    return Parts(
        predictor="seqapps.recipes.transcribe.predictor",
        parts={"hear": Part(hear, takes, wide=("power",))},
        settings={
            **{
                name: getattr(features, name)
                for name in ("sample_rate_hz", "window", "hop", "fft", "centre")
            },
            "step_s": stride * features.hop / features.sample_rate_hz,
        },
        strategies=(
            {"beam_width": 1},
            {"beam_width": 1, "language": 0.0},
            {"n_best": 3, "hot_words": ["seven", "a"], "hot_word_weight": 0.7},
        ),
    )
