"""Noise that depends on (row seed, step, token) alone, so a row's draw ignores its batch-mates.

`tf.random.stateless_*` takes one seed for a whole tensor: the same row in another batch sees other
numbers. Here each number is a hash of its own coordinates, computed in integer operations that
give the same bits everywhere.

Source: the mixing function is SplitMix64's (Steele, Lea & Flood 2014, variant 13 of Stafford).
"""

# B batch, V vocabulary.

from typing import Any

import tensorflow as tf

# 2^64 / golden ratio, odd: successive counters land far apart.
_GAMMA = 0x9E3779B97F4A7C15
_BELOW_ONE = 1.0 - 2.0**-24


def _mix(x: Any) -> Any:
    """A bijection of uint64 in which every input bit moves every output bit."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ tf.bitwise.right_shift(x, _word(shift))) * _word(factor)
    return x ^ tf.bitwise.right_shift(x, _word(31))


def _word(value: int) -> Any:
    return tf.constant(value, tf.uint64)


def uniform(seed: Any, step: Any, vocabulary: Any) -> Any:
    """Uniform numbers strictly between 0 and 1.

    Args:
        seed: int64, (batch,). Any value.
        step: int32 or int64, scalar or (batch,). The step of the decoding loop.
        vocabulary: int32 scalar. Numbers to draw for each row.

    Returns:
        float32, (batch, vocabulary). Fine near 0 (multiples of 2^-63), so rare events keep their
        probability.
    """
    gamma = _word(_GAMMA)
    # Each level is mixed before the next is added: seeds 1, 2, 3 ... share no run of numbers.
    rows_B = _mix(tf.bitcast(tf.cast(seed, tf.int64), tf.uint64) + gamma)
    rows_B = _mix(rows_B + gamma * tf.cast(step + 1, tf.uint64))
    tokens_V = gamma * tf.cast(tf.range(vocabulary) + 1, tf.uint64)
    bits_BV = tf.bitwise.right_shift(_mix(rows_B[:, None] + tokens_V), _word(1))
    # Through int64: its conversion to float is one machine instruction, uint64's is not.
    units_BV = tf.cast(tf.bitcast(bits_BV, tf.int64), tf.float32)
    return tf.minimum((units_BV + 0.5) * 2.0**-63, _BELOW_ONE)


def gumbel(seed: Any, step: Any, vocabulary: Any) -> Any:
    """Standard Gumbel noise: argmax(logits + noise) is a draw from softmax(logits).

    Args:
        seed: int64, (batch,). Any value.
        step: int32 or int64, scalar or (batch,). The step of the decoding loop.
        vocabulary: int32 scalar. Numbers to draw for each row.

    Returns:
        float32, (batch, vocabulary), between -2.9 and 45.

    Source: Gumbel 1954; Maddison et al. 2014.
    """
    # log1p(-u) is exact for small u, where the large values of the noise come from.
    return -tf.math.log(-tf.math.log1p(-uniform(seed, step, vocabulary)))
