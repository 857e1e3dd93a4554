"""Encoder and decoder by themselves: what a predictor without TensorFlow asks."""

# B batch, S source steps, T tokens, U units, V vocabulary, N rows of a decoding loop, E extensions

from typing import Any

import keras
import tensorflow as tf

from seqapps.decoding.loop import log_sum_exp
from seqapps.fields import Part, Parts
from seqapps.models.specs import numbers, whole
from seqapps.recipes.translate import network as translator
from seqapps.recipes.translate.answer import LONGEST, NEVER


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


def translator_parts(network: keras.Model, *, longest_source: int, remembers: bool) -> Parts:
    """Of a translator: `encode` reads the source, `step` gives the next token's logits.

    Args:
        network: From `build_translator`.
        longest_source: Pieces of a line that is translated whole, at most; 0 for any.
        remembers: Whether there is a memory among the assets.
    """
    copied = ("source",) if translator.copies(network) else ()

    def encode(source: Any, source_lengths: Any) -> dict[str, Any]:
        state, memory = translator.encode(network, source, source_lengths)
        named = {f"state_{number}": value for number, value in enumerate(state)}
        return {**named, "memory": memory["memory"], "keys": memory["keys"]}

    reads = (whole("source", None), whole("source_lengths"))
    shown = (
        tf.function(encode, input_signature=reads, autograph=False)
        .get_concrete_function()
        .structured_outputs
    )
    states = [name for name in sorted(shown) if name.startswith("state_")]
    states.sort(key=lambda name: int(name.removeprefix("state_")))

    def step(
        tokens: Any, count: Any, source_lengths: Any, memory: Any, keys: Any, **before: Any
    ) -> dict[str, Any]:
        state = [before[name] for name in states]
        looked = {"memory": memory, "keys": keys, "lengths": source_lengths}
        looked |= {name: before[name] for name in copied}
        logits_NV, after = translator.step(network, tokens, state, looked)
        logits_NV = tf.cast(logits_NV, tf.float32)
        gains, best = best_next(logits_NV, count, NEVER)
        named = {f"next_{name}": value for name, value in zip(states, after, strict=True)}
        return {"logits": logits_NV, "gains": gains, "best": best, **named}

    takes = (
        whole("tokens"),
        tf.TensorSpec([], tf.int32, name="count"),
        whole("source_lengths"),
        *(numbers(name, None, shown[name].shape[-1]) for name in ("memory", "keys")),
        *(whole(name, None) for name in copied),
        *(numbers(name, shown[name].shape[-1]) for name in states),
    )
    return Parts(
        predictor="seqapps.recipes.translate.predictor",
        parts={"encode": Part(encode, reads), "step": Part(step, takes)},
        settings={"longest": LONGEST, "longest_source": longest_source, "remembers": remembers},
        strategies=(
            {"beam_width": 1},
            {"beam_width": 5, "n_best": 3, "length_penalty": 0.6},
            {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "seed": 7},
        ),
    )
