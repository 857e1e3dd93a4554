"""The language model by itself: what a predictor without TensorFlow asks."""

# B batch, S source steps, T tokens, U units, V vocabulary, N rows of a decoding loop, E extensions

from typing import Any

import keras
import tensorflow as tf

from seqapps.fields import Part, Parts
from seqapps.models.specs import numbers, whole
from seqapps.recipes.generate import network as recurrent_lm


def writer_parts(network: keras.Model) -> Parts:
    """Of a language model: `read` judges whole texts, `step` gives the next token's logits.

    Args:
        network: From `build_recurrent_lm`.
    """

    def read(tokens: Any, tokens_lengths: Any, followers: Any, state: Any) -> dict[str, Any]:
        logits_BTV, after = recurrent_lm.read(network, tokens, tokens_lengths, state)
        logs_BTV = tf.nn.log_softmax(logits_BTV)
        log_probs = tf.gather(logs_BTV, followers[:, :, tf.newaxis], batch_dims=2)[:, :, 0]
        return {"log_probs": log_probs, "next_state": after}

    def step(tokens: Any, state: Any) -> dict[str, Any]:
        logits_BV, after = recurrent_lm.step(network, tokens, state)
        return {"logits": tf.cast(logits_BV, tf.float32), "next_state": after}

    width = recurrent_lm.state_size(network)
    state = numbers("state", width)
    reads = (
        whole("tokens", None),
        whole("tokens_lengths"),
        whole("followers", None),
        state,
    )
    return Parts(
        predictor="seqapps.recipes.generate.predictor",
        parts={"read": Part(read, reads), "step": Part(step, (whole("tokens"), state))},
        settings={"state": width},
        strategies=(
            {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "seed": 7},
            {"temperature": 0.0, "repetition_penalty": 1.3},
            {
                "samples": 3,
                "seed": 5,
                "top_k": 12,
                "min_p": 0.02,
                "stop": [" a", "e "],
                "begin": "T",
            },
            {"beam_width": 4, "samples": 2, "max_length": 20},
        ),
    )
