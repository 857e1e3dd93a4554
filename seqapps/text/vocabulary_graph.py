"""`seqapps.text.vocabulary` in core TensorFlow operations, equal to it."""

# B texts, T tokens of the longest text, N code points of all texts together

import numpy as np
import tensorflow as tf

from seqapps.text.normalise_graph import constant
from seqapps.text.tokenizer_graph import PieceSearch
from seqapps.text.vocabulary import MARK, SPACE, UNKNOWN, Vocabulary

_REPLACEMENT = 0xFFFD
# A character without a meaning (U+10FFFF), which no text should hold.
_SEPARATOR = 0x10FFFF


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
        elif self.kind == "pieces":
            pieces, scores = vocabulary.pieces
            covered = np.array(list(pieces))
            self._search = PieceSearch(
                pieces,
                scores,
                unknown=UNKNOWN,
                # User-defined symbols, whose score is 0, are never the least.
                unknown_score=scores[covered].min() - np.float32(10),
            )
            self._bytes = constant(_byte_tokens(vocabulary), tf.int32)

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
            if self.kind == "pieces":
                return _dense(*self._pieces(texts_B), tf.size(texts_B))
            codes_N, rows_N = _code_points(texts_B)
            places_N = tf.searchsorted(self._codes, codes_N)
            known_N = tf.equal(tf.gather(self._codes, places_N), codes_N)
            return _dense(tf.where(known_N, places_N + 2, UNKNOWN), rows_N, tf.size(texts_B))

    def _pieces(self, texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Tokens of all texts in one vector, int32 (P,), and the row of each."""
        # Before each text stands what is in no piece, so that no piece is found across two texts.
        framed_B = tf.strings.join([chr(_SEPARATOR), texts_B])
        codes_N, rows_N = _code_points(framed_B)
        codes_N = tf.where(codes_N == ord(SPACE), ord(" "), codes_N)
        first_N = tf.concat([[True], rows_N[1:] != rows_N[:-1]], 0)[: tf.size(rows_N)]
        codes_N = tf.where(first_N, _SEPARATOR, codes_N)
        pieces_P, ends_P = self._search.segment(codes_N, rows_N, tf.size(texts_B))
        inside = tf.where(~tf.gather(first_N, ends_P))[:, 0]
        pieces_P, ends_P = tf.gather(pieces_P, inside), tf.gather(ends_P, inside)
        # What is in no piece is written in bytes.
        bytes_P4, count_P = _utf8(tf.gather(codes_N, ends_P))
        unknown_P = pieces_P == UNKNOWN
        column_4 = tf.range(4)
        tokens_P4 = tf.where(
            unknown_P[:, tf.newaxis],
            tf.gather(self._bytes, bytes_P4),
            pieces_P[:, tf.newaxis],
        )
        count_P = tf.where(unknown_P, count_P, 1)
        kept = tf.where(column_4 < count_P[:, tf.newaxis])
        rows_P = tf.gather(tf.gather(rows_N, ends_P), kept[:, 0])
        return tf.gather_nd(tokens_P4, kept), rows_P

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


def _byte_tokens(vocabulary: Vocabulary) -> list[int]:
    """The token of each byte, by which a vocabulary of pieces writes what no piece covers."""
    pieces, _ = vocabulary.pieces
    alone = {
        surface: number
        for number, surface in enumerate(vocabulary.surfaces)
        if number > UNKNOWN and number not in pieces
    }
    return [alone[bytes([value])] for value in range(256)]


def _code_points(texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The code points of all texts in one vector, int32 (N,), and the row of each."""
    decoded = tf.raw_ops.UnicodeDecode(
        input=texts_B,
        input_encoding="UTF-8",
        errors="replace",
        replacement_char=_REPLACEMENT,
        Tsplits=tf.int32,
    )
    codes_N = decoded.char_values
    rows_N = tf.searchsorted(decoded.row_splits[1:], tf.range(tf.size(codes_N)), side="right")
    return codes_N, rows_N


def _dense(ids_N: tf.Tensor, rows_N: tf.Tensor, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens of all texts as right-padded rows, int32 (texts, T), and their lengths."""
    lengths_B = tf.math.unsorted_segment_sum(tf.ones_like(rows_N), rows_N, texts)
    starts_B = tf.cumsum(lengths_B, exclusive=True)
    columns_N = tf.range(tf.size(ids_N)) - tf.gather(starts_B, rows_N)
    shape = tf.stack([texts, tf.maximum(tf.reduce_max(lengths_B), 0)])
    return tf.scatter_nd(tf.stack([rows_N, columns_N], 1), ids_N, shape), lengths_B


def _utf8(codes_P: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """UTF-8 of code points: int32 (P, 4), bytes from the left, and how many, int32 (P,)."""
    size_P = 1 + sum(tf.cast(codes_P >= least, tf.int32) for least in (0x80, 0x800, 0x10000))
    column_4 = tf.range(4)
    shift_P4 = 6 * tf.maximum(size_P[:, tf.newaxis] - 1 - column_4, 0)
    bits_P4 = tf.bitwise.right_shift(codes_P[:, tf.newaxis], shift_P4)
    # 0xxxxxxx, 110xxxxx, 1110xxxx, 11110xxx.
    lead_P = tf.gather([0, 0, 0xC0, 0xE0, 0xF0], size_P)[:, tf.newaxis]
    first_P4 = bits_P4 | lead_P
    later_P4 = 0x80 | (bits_P4 & 0x3F)
    return tf.where(column_4 == 0, first_P4, later_P4), size_P
