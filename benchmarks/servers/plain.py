"""A SavedModel of `translate` as one function: what every server of this folder stands before."""

import os
from collections.abc import Sequence

import tensorflow as tf

_model = tf.saved_model.load(os.path.join(os.environ["BUNDLE"], "servable", "1"))
_call = _model.signatures["serving_default"]
(_input,) = _call.structured_input_signature[1]


def answer(texts: Sequence[str]) -> list[str]:
    """The translation of each text."""
    outputs = _call(**{_input: tf.constant(list(texts))})
    return [text.decode() for text in outputs["translation"].numpy().tolist()]


answer(["warm"])
