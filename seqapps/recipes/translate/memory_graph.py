"""`memory` in core TensorFlow operations: the same line, the same similarity."""

# B lines, T tokens, N training pairs, O terms of all lines together, M entries that they have

from typing import Any

import tensorflow as tf

from seqapps.recipes.translate.memory import SCALE, Memory
from seqapps.text.normalise_graph import constant
from seqapps.text.tokenizer import EOS


class GraphMemory(tf.Module):
    """A memory inside a graph; it holds constants alone.

    Args:
        memory: What is remembered.
    """

    def __init__(self, memory: Memory) -> None:
        super().__init__(name="memory")
        self._vocabulary, self._unknown = memory.vocabulary, memory.unknown
        self._threshold = memory.threshold
        self._keys, self._rarities = constant(memory.keys), constant(memory.rarities)
        self._starts, self._lines = constant(memory.starts), constant(memory.lines)
        self._weights, self._targets = constant(memory.weights), constant(memory.targets)

    def recall(self, ids_BT: Any, lengths_B: Any) -> tuple[Any, Any]:
        """Looks lines up.

        Args:
            ids_BT: int32, (batch, tokens). Pieces and EOS, right-padded.
            lengths_B: int32, (batch,). EOS included.

        Returns:
            texts_B: string, (batch,). The translation of the nearest training line.
            near_B: bool, (batch,). Whether it is near enough.
        """
        with tf.device("/CPU:0"):
            keys_O, rows_O = self._terms(ids_BT, lengths_B)
            batch, count = tf.size(lengths_B), tf.size(self._targets)
            places_O = tf.searchsorted(self._keys, keys_O)
            places_O = tf.minimum(places_O, tf.size(self._keys) - 1)
            known_O = tf.gather(self._keys, places_O) == keys_O
            rarities_O = tf.where(known_O, tf.gather(self._rarities, places_O), self._unknown)
            starts_O = tf.gather(self._starts, places_O)
            ends_O = tf.where(known_O, tf.gather(self._starts, places_O + 1), starts_O)
            entries = tf.ragged.range(starts_O, ends_O)
            owners_M = entries.value_rowids()
            scores_M = tf.gather(rarities_O, owners_M) * tf.gather(self._weights, entries.values)
            slots_M = tf.gather(rows_O, owners_M) * count + tf.gather(self._lines, entries.values)
            scores_BN = tf.reshape(
                tf.math.unsorted_segment_sum(scores_M, slots_M, batch * count), [batch, count]
            )
            squares_B = tf.math.unsorted_segment_sum(rarities_O * rarities_O, rows_O, batch)
            lengths = tf.sqrt(tf.cast(squares_B, tf.float64)) * SCALE
            best_B = tf.cast(tf.reduce_max(scores_BN, 1), tf.float64) / lengths
            texts_B = tf.gather(self._targets, tf.argmax(scores_BN, 1))
            return texts_B, best_B >= self._threshold

    def _terms(self, ids_BT: Any, lengths_B: Any) -> tuple[Any, Any]:
        """Terms of all lines, int64 (O,), and the line of each, int32 (O,)."""
        right_BT = tf.cast(ids_BT, tf.int64)
        ends_B1 = tf.fill([tf.size(lengths_B), 1], tf.constant(EOS, tf.int64))
        left_BT = tf.concat([ends_B1, right_BT], 1)
        pairs_BT = self._vocabulary * (1 + left_BT[:, :-1]) + right_BT
        width = tf.shape(ids_BT)[1]
        keys, rows = [], []
        for values_BT, counts_B in ((right_BT, lengths_B - 1), (pairs_BT, lengths_B)):
            places = tf.where(tf.sequence_mask(counts_B, width))
            keys.append(tf.gather_nd(values_BT, places))
            rows.append(tf.cast(places[:, 0], tf.int32))
        return tf.concat(keys, 0), tf.concat(rows, 0)
