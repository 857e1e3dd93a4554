"""A linear model of tokens, pairs of neighbours and n-grams of characters, in hashed buckets."""

# B batch, T time steps, L characters of the longest token, C characters of a text,
# N terms of one kind in a text, M buckets, K classes, V vocabulary

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_FIRST, _SECOND = 1_000_003, 7_919
"""Odd multipliers that spread pairs of tokens over the buckets."""
_NEXT, _LENGTH = 1_000_003, 92_821
"""The same for one more character of an n-gram, and for its length."""
_SPELLED = 16
"""Characters of a token that are looked at: SentencePiece's pieces have no more."""


@keras.saving.register_keras_serializable("seqapps")
class HashedPairs(keras.layers.Layer):
    """Scores classes by what each token and each pair of neighbours says.

    With `characters`, what each n-gram of up to so many characters says counts too: of the text as
    the tokens spell it, across their ends, in lower case.

    A text is the vector of its buckets' weights, scaled to length one (each occurrence counts as if
    it were the only one of its kind); its scores are linear in that. All is zero until `set` puts
    in what was fitted: see `seqapps.recipes.sentiment.linear`. Computes in float32.

    Args:
        classes: K.
        buckets: M; pairs that fall into the same bucket are taken for one.
        characters: Characters of the longest n-grams; 0 for none.
        vocabulary: V, how many tokens there are; only n-grams of characters need it.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: If there are fewer than two classes, no buckets, or n-grams of characters
            without a vocabulary.

    Source: Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification" (hashed pairs);
    Cavnar and Trenkle 1994, "N-Gram-Based Text Categorization" (of characters).
    """

    def __init__(
        self, classes: int, *, buckets: int, characters: int = 0, vocabulary: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if classes < 2 or buckets < 1:
            raise ValueError(
                f"classes must be at least 2 and buckets at least 1, got {classes} and {buckets}."
            )
        if characters and vocabulary < 1:
            raise ValueError(
                f"n-grams of {characters} characters need the size of the vocabulary, got "
                f"{vocabulary}; say how many tokens there are."
            )
        self.classes, self.buckets = classes, buckets
        self.characters, self.vocabulary = characters, vocabulary

    def build(self, tokens_BT_shape: Any, lengths_B_shape: Any = None) -> None:
        """Creates the weights, which no training moves."""

        def zeros(name: str, *shape: int, dtype: str = "float32") -> Any:
            return self.add_weight(
                shape=shape, initializer="zeros", trainable=False, name=name, dtype=dtype
            )

        self.scores = zeros("scores", self.buckets, self.classes)
        self.squares = zeros("squares", self.buckets)
        self.bias = zeros("bias", self.classes)
        self.share = zeros("share")
        if self.characters:
            self.spelling = zeros("spelling", self.vocabulary, _SPELLED, dtype="int32")

    def set(
        self,
        *,
        weights_M: npt.NDArray[Any],
        coefficients_MK: npt.NDArray[Any],
        bias_K: npt.NDArray[Any],
    ) -> None:
        """Takes over a linear model.

        Args:
            weights_M: float, (buckets,). What an occurrence weighs before scaling.
            coefficients_MK: float, (buckets, classes). Of the scaled vector.
            bias_K: float, (classes,).
        """
        self.scores.assign(weights_M[:, np.newaxis] * coefficients_MK)
        self.squares.assign(weights_M**2)
        self.bias.assign(bias_K)

    def buckets_of(
        self, texts: Sequence[npt.NDArray[np.integer[Any]]]
    ) -> list[npt.NDArray[np.int64]]:
        """The bucket of every term of each text, as `call` finds them.

        Args:
            texts: Tokens of each text, int (tokens,), at least one.

        Returns:
            Of each text int64, (terms,): of its tokens, its pairs, and its n-grams of characters.
        """
        pairs = [buckets_of(tokens, self.buckets) for tokens in texts]
        if not self.characters:
            return pairs
        spelling_VL = np.asarray(self.spelling.numpy(), np.int64)
        return [
            np.concatenate([of_pairs, *self._of_characters(spelling_VL[tokens])])
            for tokens, of_pairs in zip(texts, pairs, strict=True)
        ]

    def _of_characters(self, letters_TL: npt.NDArray[np.int64]) -> Iterator[Any]:
        """Yields the buckets of one text's n-grams of characters, length by length."""
        codes_C = letters_TL[letters_TL != 0]
        count = len(codes_C)
        codes_C = np.append(codes_C, np.zeros(self.characters, np.int64))
        ngrams = _ngrams(lambda k: codes_C[k : k + count], self.characters, self.buckets)
        return (buckets_N[: max(0, count - n)] for n, buckets_N in enumerate(ngrams))

    def call(self, tokens_BT: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """Scores, times the share.

        Args:
            tokens_BT: int32, (batch, time), right-padded.
            lengths_B: int32, (batch,). Real steps in each row, at least 1.

        Returns:
            float32, (batch, classes).
        """
        return tf.convert_to_tensor(self.share) * self.alone(tokens_BT, lengths_B)

    def alone(self, tokens_BT: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """What `call` returns where the share is one."""
        tokens_BT = tf.cast(tokens_BT, tf.int64)
        followers_BT = tf.pad(tokens_BT[:, 1:], [[0, 0], [0, 1]])
        buckets_BN = tf.concat(_buckets(tokens_BT, followers_BT, self.buckets), 1)
        steps = tf.shape(tokens_BT)[1]
        real_BN = tf.concat([tf.sequence_mask(lengths_B - n, steps) for n in (0, 1)], 1)
        total_BK, squares_B = self._sums(buckets_BN, real_BN)
        if self.characters:
            codes_BC, count_B = self._codes(tokens_BT, real_BN[:, :steps])
            width = tf.shape(codes_BC)[1]
            codes_BC = tf.pad(codes_BC, [[0, 0], [0, self.characters]])
            ngrams = _ngrams(lambda k: codes_BC[:, k : k + width], self.characters, self.buckets)
            # One length after the other: all at once they would take several times the memory.
            for n, buckets_BN in enumerate(ngrams):
                more_BK, more_B = self._sums(buckets_BN, tf.sequence_mask(count_B - n, width))
                total_BK, squares_B = total_BK + more_BK, squares_B + more_B
        return total_BK / tf.sqrt(tf.maximum(squares_B, 1e-12))[:, tf.newaxis] + self.bias

    def _sums(self, buckets_BN: tf.Tensor, real_BN: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and squares of the real terms, summed."""
        real_BN = tf.cast(real_BN, tf.float32)
        total_BK = tf.einsum("bn,bnk->bk", real_BN, tf.gather(self.scores, buckets_BN))
        return total_BK, tf.einsum("bn,bn->b", real_BN, tf.gather(self.squares, buckets_BN))

    def _codes(self, tokens_BT: tf.Tensor, real_BT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The characters that tokens spell, side by side.

        Returns:
            int64, (B, C), at least one wide, and how many are real, int32, (B,).
        """
        spelling_BTL = tf.gather(tf.convert_to_tensor(self.spelling), tokens_BT)
        shape = tf.shape(tokens_BT)
        letters_BN = tf.reshape(
            tf.where(real_BT[:, :, tf.newaxis], spelling_BTL, 0), [shape[0], shape[1] * _SPELLED]
        )
        there_BN = tf.not_equal(letters_BN, 0)
        places_BN = tf.cumsum(tf.cast(there_BN, tf.int32), axis=1) - 1
        count_B = places_BN[:, -1] + 1
        found_F2 = tf.where(there_BN)
        targets_F2 = tf.stack(
            [tf.cast(found_F2[:, 0], tf.int32), tf.gather_nd(places_BN, found_F2)], 1
        )
        width = tf.maximum(tf.reduce_max(count_B), 1)
        codes_BC = tf.scatter_nd(
            targets_F2, tf.gather_nd(letters_BN, found_F2), tf.stack([shape[0], width])
        )
        return tf.cast(codes_BC, tf.int64), count_B

    def compute_output_spec(self, tokens_BT: Any, lengths_B: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor((tokens_BT.shape[0], self.classes), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("classes", "buckets", "characters", "vocabulary")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def spelling_of(surfaces: list[str]) -> npt.NDArray[np.int32]:
    """The table by which `HashedPairs` spells tokens.

    Args:
        surfaces: What each token writes, by its number; empty for nothing.

    Returns:
        int32, (tokens, 16): numbers of characters, in lower case, from 1; 0 past a token's end.
    """
    # Of the few characters that become two in lower case, the first stands for both.
    lower = [[character.lower()[0] for character in surface] for surface in surfaces]
    number = {c: n for n, c in enumerate(sorted({c for row in lower for c in row}), 1)}
    table = np.zeros((len(surfaces), _SPELLED), np.int32)
    for row, letters in zip(table, lower, strict=True):
        row[: len(letters)] = [number[c] for c in letters[:_SPELLED]]
    return table


def buckets_of(tokens: npt.NDArray[np.integer[Any]], buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each token and of each pair of neighbours of one text.

    Args:
        tokens: int, (tokens,).
        buckets: How many there are.

    Returns:
        int64, (2 · tokens - 1,): of the tokens, then of the pairs.
    """
    tokens = tokens.astype(np.int64)
    singles, pairs = _buckets(tokens, np.append(tokens[1:], 0), buckets)
    return np.concatenate([singles, pairs[:-1]])


def _buckets(tokens: Any, followers: Any, buckets: int) -> tuple[Any, Any]:
    singles = tokens * _FIRST
    return singles % buckets, (singles + (followers + 1) * _SECOND) % buckets


def _ngrams(codes: Callable[[int], Any], longest: int, buckets: int) -> Iterator[Any]:
    """Yields the buckets of the n-grams that begin at each character, the shortest first.

    Args:
        codes: `codes(k)`: the character k places on from each.
        longest: Characters of the longest n-grams.
        buckets: How many there are.
    """
    found: Any = 0
    for n in range(longest):
        # No product reaches 2 ** 63 while there are fewer than 2 ** 43 buckets.
        found = (found * _NEXT + codes(n)) % buckets
        yield (found + (n + 1) * _LENGTH) % buckets
