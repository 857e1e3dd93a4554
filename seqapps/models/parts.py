"""The networks of an application one by one: what a predictor without TensorFlow asks.

What stands around them (tokenizers, decoding loops) is NumPy there: `seqapps.portable.runtime`.
"""

# B batch, S source steps, T tokens, U units, V vocabulary, N rows of a decoding loop, E extensions

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from seqapps.audio.mel import FLOOR, mel_matrix
from seqapps.audio.settings import Features
from seqapps.decoding.loop import log_sum_exp
from seqapps.fields import Part, Parts
from seqapps.models import recurrent_lm, translator
from seqapps.models.translation import LONGEST, NEVER
from seqapps.text.cut import Cut


def _numbers(name: str, *shape: int | None) -> Any:
    return tf.TensorSpec([None, *shape], tf.float32, name=name)


def _whole(name: str, *shape: int | None) -> Any:
    return tf.TensorSpec([None, *shape], tf.int32, name=name)


def best_next(logits_NV: Any, count: Any, banned: tuple[int, ...]) -> tuple[Any, Any]:
    """The likeliest next tokens of each row, banned ones left out.

    Args:
        logits_NV: float32, (N, V).
        count: int32, (). Tokens wanted.
        banned: Tokens that are never chosen; they count in the normaliser.

    Returns:
        float32 and int32, (N, E): log-probabilities, best first, and tokens.
    """
    vocabulary = logits_NV.shape[1]
    mask_V = tf.reduce_any(tf.range(vocabulary)[:, tf.newaxis] == tf.constant(banned), 1)
    largest_N = tf.reduce_max(logits_NV, 1)
    allowed_NV = tf.where(mask_V, float("-inf"), logits_NV)
    top_NE, tokens_NE = tf.math.top_k(allowed_NV, tf.minimum(count, vocabulary - len(banned)))
    gains_NE = tf.minimum(top_NE - log_sum_exp(logits_NV, largest_N)[:, tf.newaxis], 0.0)
    return gains_NE, tokens_NE


def translator_parts(network: keras.Model) -> Parts:
    """Of a translator: `encode` reads the source, `step` gives the next token's logits.

    Args:
        network: From `build_translator`.
    """

    def encode(source: Any, source_lengths: Any) -> dict[str, Any]:
        state, memory = translator.encode(network, source, source_lengths)
        named = {f"state_{number}": value for number, value in enumerate(state)}
        return {**named, "memory": memory["memory"], "keys": memory["keys"]}

    reads = (_whole("source", None), _whole("source_lengths"))
    shown = tf.function(encode, input_signature=reads).get_concrete_function().structured_outputs
    states = [name for name in sorted(shown) if name.startswith("state_")]
    states.sort(key=lambda name: int(name.removeprefix("state_")))

    def step(
        tokens: Any, count: Any, source_lengths: Any, memory: Any, keys: Any, **before: Any
    ) -> dict[str, Any]:
        state = [before[name] for name in states]
        looked = {"memory": memory, "keys": keys, "lengths": source_lengths}
        logits_NV, after = translator.step(network, tokens, state, looked)
        logits_NV = tf.cast(logits_NV, tf.float32)
        gains, best = best_next(logits_NV, count, NEVER)
        named = {f"next_{name}": value for name, value in zip(states, after, strict=True)}
        return {"logits": logits_NV, "gains": gains, "best": best, **named}

    takes = (
        _whole("tokens"),
        tf.TensorSpec([], tf.int32, name="count"),
        _whole("source_lengths"),
        *(_numbers(name, None, shown[name].shape[-1]) for name in ("memory", "keys")),
        *(_numbers(name, shown[name].shape[-1]) for name in states),
    )
    return Parts(
        predictor="translate",
        parts={"encode": Part(encode, reads), "step": Part(step, takes)},
        settings={"longest": LONGEST},
    )


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
        found = network({"features": log_mel, "features_lengths": frames}, training=False)
        return {"logits": found["logits"], "logits_lengths": found["logits_lengths"]}

    takes = (_numbers("power", None, features.fft // 2 + 1), _whole("frames"))
    return Parts(
        predictor="transcribe",
        parts={"hear": Part(hear, takes, wide=("power",))},
        settings={
            **{name: getattr(features, name)
               for name in ("sample_rate_hz", "window", "hop", "fft", "centre")},
            "step_s": stride * features.hop / features.sample_rate_hz,
        },
    )  # fmt: skip


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
    state = _numbers("state", width)
    reads = (
        _whole("tokens", None), _whole("tokens_lengths"), _whole("followers", None), state,
    )  # fmt: skip
    return Parts(
        predictor="generate",
        parts={"read": Part(read, reads), "step": Part(step, (_whole("tokens"), state))},
        settings={"state": width},
    )


def classifier_parts(network: keras.Model, cut: Cut) -> Parts:
    """Of a classifier: `classify` gives logits, divided by the temperature.

    Args:
        network: From `build_classifier`.
        cut: Which part of a long text is read.
    """

    def classify(tokens: Any, tokens_lengths: Any) -> dict[str, Any]:
        inputs = {"tokens": tokens, "tokens_lengths": tokens_lengths}
        return {"logits": tf.cast(network(inputs, training=False), tf.float32)}

    takes = (_whole("tokens", None), _whole("tokens_lengths"))
    settings: Mapping[str, Any] = {"most": cut.most, "head": cut.head}
    return Parts(
        predictor="sentiment", parts={"classify": Part(classify, takes)}, settings=settings
    )
