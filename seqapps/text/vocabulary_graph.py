"""`seqapps.text.vocabulary` in core TensorFlow operations, equal to it."""

# B texts, T tokens of the longest text, N code points of all texts together

import numpy as np
import tensorflow as tf

from seqapps.text.normalise_graph import constant
from seqapps.text.vocabulary import MARK, UNKNOWN, Vocabulary

_REPLACEMENT = 0xFFFD


class GraphVocabulary(tf.Module):
    """Text to token numbers and back inside a graph.

    Call its methods inside a `tf.function`; they hold constants alone, so whatever calls them can
    be exported.

    Attributes:
        surfaces_V: string, (V,). What each token writes, in bytes.
        longest: Bytes of the longest of them.
        never: Tokens that no text holds: they are never written.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Builds the tables."""
        super().__init__(name="graph_vocabulary")
        self.kind, self.size = vocabulary.kind, vocabulary.size
        self.surfaces_V = constant(vocabulary.surfaces)
        self.longest = max(map(len, vocabulary.surfaces))
        self.never: tuple[int, ...] = () if self.kind == "bytes" else (UNKNOWN,)
        if self.kind == "characters":
            codes = [ord(surface.decode()) for surface in vocabulary.surfaces[2:]]
            # One that is no code point, so that the table is never empty.
            self._codes = constant(np.array([*codes, 0x7FFFFFFF], np.int32))

    def encode(self, texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Gives the tokens of each text.

        Args:
            texts_B: string, (batch,). Any bytes; the batch and any text may be empty.

        Returns:
            ids_BT: int32, (batch, longest row). Right-padded with 0.
            lengths_B: int32, (batch,).
        """
        with tf.device("/CPU:0"):
            if self.kind == "bytes":
                lengths_B = tf.strings.length(texts_B)
                longest = tf.maximum(tf.reduce_max(lengths_B), 1)
                bytes_BT = tf.io.decode_raw(texts_B, tf.uint8, fixed_length=longest)
                real_BT = tf.sequence_mask(lengths_B, longest)
                ids_BT = tf.where(real_BT, tf.cast(bytes_BT, tf.int32) + 1, MARK)
                return tf.reshape(ids_BT, [tf.shape(texts_B)[0], longest]), lengths_B
            return self._characters(texts_B)

    def _characters(self, texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        decoded = tf.raw_ops.UnicodeDecode(
            input=texts_B,
            input_encoding="UTF-8",
            errors="replace",
            replacement_char=_REPLACEMENT,
            Tsplits=tf.int32,
        )
        codes_N, splits = decoded.char_values, decoded.row_splits
        found_N = tf.searchsorted(self._codes, codes_N)
        known_N = tf.equal(tf.gather(self._codes, found_N), codes_N)
        ids_N = tf.where(known_N, found_N + 2, UNKNOWN)
        lengths_B = splits[1:] - splits[:-1]
        rows_N = tf.searchsorted(splits[1:], tf.range(tf.size(ids_N)), side="right")
        columns_N = tf.range(tf.size(ids_N)) - tf.gather(splits, rows_N)
        shape = tf.stack([tf.size(lengths_B), tf.maximum(tf.reduce_max(lengths_B), 0)])
        return tf.scatter_nd(tf.stack([rows_N, columns_N], 1), ids_N, shape), lengths_B

    def decode(self, ids_BT: tf.Tensor, lengths_B: tf.Tensor) -> tf.Tensor:
        """Gives what the real ones of tokens int32 (batch, T) write: string, (batch,)."""
        with tf.device("/CPU:0"):
            real_BT = tf.sequence_mask(lengths_B, tf.shape(ids_BT)[-1])
            return tf.strings.reduce_join(
                tf.gather(self.surfaces_V, tf.where(real_BT, ids_BT, MARK)), -1
            )

    def mask(self, texts_BK: tf.Tensor) -> tf.Tensor:
        """Which tokens are among some texts: bool, (batch, V), for string (batch, K).

        A text that is no single token stands for nothing.
        """
        with tf.device("/CPU:0"):
            same_BKV = texts_BK[:, :, tf.newaxis] == self.surfaces_V
            real_BK1 = tf.not_equal(texts_BK, "")[:, :, tf.newaxis]
            return tf.reduce_any(same_BKV & real_BK1, 1)
