"""Choosing the next token of a text: penalties and bans, temperature, and what is drawn from."""

# B batch, V vocabulary, K stop strings, F forced tokens, N tokens whose noise is there

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seqapps.decoding.loop import banned_mask
from seqapps.decoding.noise import gumbel
from seqapps.decoding.sampling import keep_top


class Strategy(NamedTuple):
    """How tokens are chosen, for each row."""

    temperature: Any
    """float32, (B,): 0 (or less, or too little to divide by) takes the likeliest token."""
    top_k: Any
    """int32, (B,): only among this many likeliest; 0 for all."""
    top_p: Any
    """float32, (B,): only among the likeliest that hold this probability; 1 for all."""
    min_p: Any
    """float32, (B,): only tokens at least this share as likely as the likeliest; 0 for all."""
    repetition_penalty: Any
    """float32, (B,): logits of tokens that occurred are divided by it, negative ones multiplied
    (Keskar et al. 2019); 1, and whatever is not above 0, for none."""
    min_length: Any
    """int32, (B,): neither the end nor a stop string counts before this many tokens."""
    seed: Any
    """int64, (B,)."""
    stop: Any
    """string, (B, K): the text ends before the first of these; empty ones, and those of more than
    `stop_strings.TAIL` bytes, stand for nothing."""
    banned: Any
    """bool, (B, V): tokens that are never chosen."""
    forced: Any
    """int32, (B, F): the text's first tokens."""
    forced_lengths: Any
    """int32, (B,): how many of these are real."""


class Choice:
    """Chooses the next token of each row.

    Repetition penalty, banned tokens and minimum length come first, then the temperature, then
    top-k, top-p and min-p, in this order. Ties go to the lowest token.

    Args:
        strategy: How.
        vocabulary: int32, ().
        end: The token that ends a text.
        never: Tokens that are never chosen.

    Attributes:
        drawing: bool, (): whether a row draws, and does not take the likeliest.
        penalised: bool, (): whether it matters which tokens occurred.

    Sources: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p); Nguyen et al. 2024 (min-p).
    """

    def __init__(
        self, strategy: Strategy, *, vocabulary: Any, end: int, never: Sequence[int]
    ) -> None:
        self._strategy, self._vocabulary, self._end = strategy, vocabulary, end
        # A caller may send anything; no logit may become NaN.
        penalty_B = strategy.repetition_penalty
        penalty_B = tf.where(penalty_B > 0.0, tf.clip_by_value(penalty_B, 1e-6, 1e6), 1.0)
        self._penalty_B1 = penalty_B[:, tf.newaxis]
        self._never_V = banned_mask(tf.zeros([1, vocabulary]), never)
        # Processors may read the smallest floats as 0.
        hot_B = strategy.temperature > 1e-30
        self._hot_B1 = hot_B[:, tf.newaxis]
        self._heat_B1 = tf.where(hot_B, tf.minimum(strategy.temperature, 1e30), 1.0)[:, tf.newaxis]
        self._log_floor_B1 = tf.math.log(tf.maximum(strategy.min_p, 1e-30))[:, tf.newaxis]
        self.drawing = tf.reduce_any(hot_B)
        self.penalised = tf.reduce_any(penalty_B != 1.0)
        self._limited = tf.reduce_any(strategy.banned) | tf.reduce_any(strategy.min_length > 0)
        self._cut = tf.reduce_any((strategy.top_k > 0) | (strategy.top_p < 1.0))
        self._floored = tf.reduce_any(strategy.min_p > 0.0)
        self._forcing = tf.reduce_any(strategy.forced_lengths > 0)

    def __call__(self, logits_BV: Any, counts_BV: Any, position_B: Any, noise_BV: Any) -> Any:
        """Chooses.

        Args:
            logits_BV: float32, (B, V).
            counts_BV: int32, (B, V). How often each token occurred.
            position_B: int32, (B,). Tokens of the text before this one.
            noise_BV: float32, (B, V). From `noise`.

        Returns:
            int32, (B,).
        """
        logits_BV = self._allowed(logits_BV, counts_BV, position_B)
        # Shifted before the division: a tiny temperature then gives 0 and -inf, never NaN.
        shifted_BV = logits_BV - tf.reduce_max(logits_BV, axis=1, keepdims=True)
        scaled_BV = shifted_BV / self._heat_B1
        top_k, top_p = self._strategy.top_k, self._strategy.top_p
        kept_BV = tf.cond(
            self._cut,
            lambda: keep_top(scaled_BV, top_k=top_k, top_p=top_p),
            lambda: scaled_BV,
        )
        kept_BV = tf.cond(
            self._floored,
            lambda: tf.where(scaled_BV >= self._log_floor_B1, kept_BV, float("-inf")),
            lambda: kept_BV,
        )
        drawn_BV = tf.where(self._hot_B1, kept_BV + noise_BV, shifted_BV)
        tokens_B = tf.argmax(drawn_BV, axis=1, output_type=tf.int32)
        return tf.cond(self._forcing, lambda: self._forced(tokens_B, position_B), lambda: tokens_B)

    def noise(self, position_B: Any, count: Any) -> Any:
        """Noise for some tokens from a position on: many small draws cost more.

        Args:
            position_B: int32, (B,).
            count: int32, (). N.

        Returns:
            float32, (B, N, V): a function of each row's seed and the position alone.
        """
        at_BN = position_B[:, tf.newaxis] + tf.range(count)
        seeds_N = tf.repeat(self._strategy.seed, count)
        noise = gumbel(seeds_N, tf.reshape(at_BN, [-1]), self._vocabulary)
        return tf.reshape(noise, [-1, count, self._vocabulary])

    def _allowed(self, logits_BV: Any, counts_BV: Any, position_B: Any) -> Any:
        """Logits after penalties, and without what must not be chosen."""

        def penalise() -> Any:
            penalty_B1 = self._penalty_B1
            lowered_BV = tf.where(logits_BV > 0.0, logits_BV / penalty_B1, logits_BV * penalty_B1)
            return tf.where(counts_BV > 0, lowered_BV, logits_BV)

        def limit(logits_BV: Any) -> Any:
            early_B1 = (position_B < self._strategy.min_length)[:, tf.newaxis]
            ends_V = tf.range(tf.shape(logits_BV)[1]) == self._end
            return tf.where(self._strategy.banned | (early_B1 & ends_V), float("-inf"), logits_BV)

        kept_BV = tf.cond(self.penalised, penalise, lambda: logits_BV) + self._never_V
        return tf.cond(self._limited, lambda: limit(kept_BV), lambda: kept_BV)

    def _forced(self, tokens_B: Any, position_B: Any) -> Any:
        """The tokens that a text must begin with."""
        forced_BF, lengths_B = self._strategy.forced, self._strategy.forced_lengths
        last = tf.shape(forced_BF)[1] - 1
        places_B = tf.clip_by_value(position_B, 0, tf.maximum(last, 0))
        forced_BF = tf.pad(forced_BF, [[0, 0], [0, tf.maximum(-last, 0)]])
        forced_B = tf.gather(forced_BF, places_B, batch_dims=1)
        return tf.where(position_B < lengths_B, forced_B, tokens_B)
