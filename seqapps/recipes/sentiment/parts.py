"""The classifier by itself: what a predictor without TensorFlow asks."""

# B batch, S source steps, T tokens, U units, V vocabulary, N rows of a decoding loop, E extensions

from typing import Any

import keras
import tensorflow as tf

from seqapps.fields import Part, Parts
from seqapps.models.specs import whole
from seqapps.text.cut import Cut


def classifier_parts(network: keras.Model, cut: Cut, *, apart: str) -> Parts:
    """Of a classifier: `classify` gives logits, divided by the temperature.

    Args:
        network: From `build_classifier`.
        cut: Which part of a long text is read.
        apart: As of `answer.ClassifyText`.
    """

    def classify(tokens: Any, tokens_lengths: Any) -> dict[str, Any]:
        inputs = {"tokens": tokens, "tokens_lengths": tokens_lengths}
        return {"logits": tf.cast(network(inputs, training=False), tf.float32)}

    takes = (whole("tokens", None), whole("tokens_lengths"))
    return Parts(
        predictor="seqapps.recipes.sentiment.predictor",
        parts={"classify": Part(classify, takes)},
        settings={"most": cut.most, "head": cut.head, "apart": apart},
    )
