"""Words that are expected in speech: what each of their characters adds to a hypothesis's score.

A word is known by the hash of its characters, so that hypotheses of any vocabulary of labels can be
followed through it without strings.
"""

# B batch, W words, L letters of the longest, C labels, K hypotheses, P prefixes of hot words

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

MULTIPLIER = 6364136223846793005
"""Of hashes of words and of rows of labels, as in Knuth's linear congruential generator."""


class HotWords(NamedTuple):
    """Words that are expected: see `hot_words`."""

    prefixes: Any
    """int64, (B, P): hashes of all beginnings of the words; 0 is none."""
    whole: Any
    """bool, (B, P): whether it is a whole word."""
    letters: Any
    """float32, (B, P): characters of each."""
    weight: Any
    """float32, (B,): what each character of a hot word adds to the score, nats."""
    powers: Any
    """int64, (C,): by what a word's hash is multiplied when the label is added."""
    hashes: Any
    """int64, (C,): what is then added."""
    begins: Any
    """bool, (C,): whether the label begins with a space, that is ends the word before it."""


def hot_words(words_BW: Any, symbols: Sequence[str], weight_B: Any) -> HotWords:
    """Prepares words that are expected.

    Args:
        words_BW: string, (B, W), cleaned as transcripts are; empty ones and spaces are allowed.
        symbols: What each label writes.
        weight_B: float32, (B,). What each character of such a word adds to the score, nats.
    """
    joined_B = tf.strings.reduce_join(words_BW, 1, separator=" ")
    # (B, W, letters); a row without words has one empty word.
    letters_BWL = tf.strings.unicode_decode(tf.strings.split(joined_B), "UTF-8").to_tensor(0)
    letters_BWL = tf.cast(letters_BWL, tf.int64)
    shape = tf.shape(letters_BWL)
    hashes = tf.TensorArray(tf.int64, shape[2], element_shape=[None, None])

    def step(i: Any, hash_BW: Any, hashes: Any) -> tuple[Any, ...]:
        letter_BW = letters_BWL[:, :, i]
        hash_BW = hash_BW * MULTIPLIER + letter_BW
        return (
            i + 1,
            hash_BW,
            hashes.write(i, tf.where(letter_BW > 0, hash_BW, tf.zeros_like(hash_BW))),
        )

    _, _, hashes = tf.while_loop(
        lambda i, *_: i < shape[2],
        step,
        (0, tf.zeros(shape[:2], tf.int64), hashes),
        parallel_iterations=1,
    )
    stacked_LBW = tf.cond(
        shape[2] > 0, hashes.stack, lambda: tf.zeros([0, shape[0], shape[1]], tf.int64)
    )
    prefix_BWL = tf.transpose(stacked_LBW, [1, 2, 0])
    next_BWL = tf.pad(letters_BWL[:, :, 1:], [[0, 0], [0, 0], [0, tf.minimum(shape[2], 1)]])
    count_L = tf.range(1, shape[2] + 1)
    flat = [shape[0], shape[1] * shape[2]]
    numbers = [_word_hash(symbol) for symbol in symbols]
    letters_flat = tf.reshape(
        tf.broadcast_to(tf.cast(count_L, tf.float32), tf.shape(letters_BWL)), flat
    )
    # At least one column: nothing has no largest number.
    one_more = [[0, 0], [0, 1]]
    return HotWords(
        prefixes=tf.pad(tf.reshape(prefix_BWL, flat), one_more),
        whole=tf.pad(tf.reshape((next_BWL == 0) & (letters_BWL > 0), flat), one_more),
        letters=tf.pad(letters_flat, one_more),
        weight=weight_B,
        powers=tf.constant([_signed(MULTIPLIER ** len(s.strip())) for s in symbols], tf.int64),
        hashes=tf.constant(numbers, tf.int64),
        begins=tf.constant([s.startswith(" ") for s in symbols]),
    )


def _word_hash(symbol: str) -> int:
    value = 0
    for letter in symbol.strip():
        value = value * MULTIPLIER + ord(letter)
    return _signed(value)


def _signed(value: int) -> int:
    """A whole number as 64 bits have it."""
    value %= 2**64
    return value - 2**64 if value >= 2**63 else value


class Grown(NamedTuple):
    """What hot words make of each extension, (B, K, C) each."""

    word: Any
    boost: Any
    pending: Any
    complete: Any


def grow(hot: HotWords, *, word: Any, boost: Any, pending: Any, complete: Any) -> Grown:
    """Follows the word that is being said through the hot words.

    Args:
        hot: From `hot_words`.
        word: int64, (B, K): hash of the word that each hypothesis is in.
        boost: float32, (B, K): what hot words have added for good.
        pending: float32, (B, K): what the word they are in adds for now.
        complete: bool, (B, K): whether that word is a whole hot word.
    """
    begins_C = hot.begins[tf.newaxis, tf.newaxis, :]
    settled_BK1 = (boost + tf.where(complete, pending, 0.0))[:, :, tf.newaxis]
    before_BK1 = word[:, :, tf.newaxis]
    carried_BKC = tf.where(begins_C, tf.zeros([], tf.int64), before_BK1)
    word_BKC = carried_BKC * hot.powers + hot.hashes
    # (B, K, C, P): few prefixes, few hypotheses.
    hits = word_BKC[:, :, :, tf.newaxis] == hot.prefixes[:, tf.newaxis, tf.newaxis, :]
    hits &= (word_BKC != 0)[:, :, :, tf.newaxis]
    letters_BKC = tf.reduce_max(tf.where(hits, hot.letters[:, tf.newaxis, tf.newaxis, :], 0.0), 3)
    whole_BKC = tf.reduce_any(hits & hot.whole[:, tf.newaxis, tf.newaxis, :], 3)
    return Grown(
        word=word_BKC,
        boost=tf.where(begins_C, settled_BK1, boost[:, :, tf.newaxis]),
        pending=letters_BKC * hot.weight[:, tf.newaxis, tf.newaxis],
        complete=whole_BKC,
    )
