"""`seqapps.text.tokenizer` in core TensorFlow operations, exactly equal to it.

Shape suffixes: B texts, T pieces of the longest text, N code points of all texts together,
L code points of the longest piece, P pieces of all texts together.

The code points of all texts lie in one vector, so memory grows with the text itself and not with
its longest row. In "packed" order the first code points of all texts come first, then all second
ones, and so on, longer texts before shorter ones: then each step of the search for the best
segmentation reads one contiguous slice, and no step is spent on padding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from seqapps.text.normalise import SPACE
from seqapps.text.normalise_graph import code_points, constant
from seqapps.text.scripts import WORD_START
from seqapps.text.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer
from seqapps.text.trie import DEAD, ROOT, build_trie

_UNKNOWN_SURFACE = " \u2047 "
# Search steps per turn of the loop: a turn costs about as much as two steps.
_STEPS_PER_TURN = 4


class PieceSearch(tf.Module):
    """The most probable pieces of texts that are given as code points.

    Args:
        pieces: What each piece writes, by its number.
        scores: float32, (vocabulary,). Log-probability of each piece by its number.
        unknown: The number that a code point in no piece gets.
        unknown_score: Its log-probability.
    """

    def __init__(
        self,
        pieces: Mapping[int, str],
        scores: np.ndarray[Any, np.dtype[np.float32]],
        *,
        unknown: int,
        unknown_score: np.float32,
    ) -> None:
        super().__init__(name="piece_search")
        alphabet = sorted({ord(char) for piece in pieces.values() for char in piece})
        symbol = {code: number for number, code in enumerate(alphabet, 1)}
        # Reversed, so that walking back from any code point meets the pieces that end there.
        trie = build_trie(
            {
                tuple(symbol[ord(char)] for char in reversed(piece)): number
                for number, piece in pieces.items()
            },
            symbols=len(alphabet),
        )
        node_scores = np.where(trie.value < 0, np.float32(-np.inf), scores[trie.value])
        self._alphabet = constant(alphabet, tf.int32)
        self._base = constant(trie.base)
        self._parent = constant(trie.parent)
        self._node_scores = constant(node_scores, tf.float32)
        self._node_pieces = constant(np.where(trie.value < 0, unknown, trie.value), tf.int32)
        self._unknown_score = unknown_score
        self._longest_piece = max(map(len, pieces.values()))

    def segment(
        self, codes_N: tf.Tensor, rows_N: tf.Tensor, texts: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Cuts texts into their most probable pieces.

        Args:
            codes_N: int32, (N,). The code points of all texts, one text after the other; no piece
                may match across two of them.
            rows_N: int32, (N,). The text to which each belongs, ascending.
            texts: int32, (). How many there are.

        Returns:
            int32, (P,) each: the pieces, and the place of the last code point of each.
        """
        lengths_B = tf.math.unsorted_segment_sum(tf.ones_like(rows_N), rows_N, texts)
        packed_N, counts_S = _pack(rows_N, lengths_B)
        nodes_NL = self._walk_back(codes_N, tf.math.invert_permutation(packed_N))
        scores_NL = tf.gather(self._node_scores, nodes_NL)
        # A character that is no piece is unknown; longer unknowns are never candidates.
        single_N1 = scores_NL[:, -1:]
        single_N1 = tf.where(tf.math.is_inf(single_N1), self._unknown_score, single_N1)
        scores_NL = tf.concat([scores_NL[:, :-1], single_N1], 1)
        spans_N = tf.gather(_best_spans(scores_NL, counts_S), packed_N)
        ends_P = _segment_ends(spans_N, tf.cumsum(lengths_B), tf.size(counts_S))
        # Column 0 holds the longest candidate, the last column the single character.
        chosen_P = tf.stack(
            [tf.gather(packed_N, ends_P), self._longest_piece - tf.gather(spans_N, ends_P)], 1
        )
        pieces_P = tf.gather(self._node_pieces, tf.gather_nd(nodes_NL, chosen_P))
        return pieces_P, ends_P

    def _walk_back(self, codes_N: tf.Tensor, order_N: tf.Tensor) -> tf.Tensor:
        """Walks the trie backwards from every code point.

        Args:
            codes_N: int32, (N,).
            order_N: int32, (N,). The order in which the rows of the result are wanted.

        Returns:
            int32, (N, L). The trie node reached after L, ..., 2, 1 code points, DEAD where no
            piece goes on. No piece holds a space but at its front, so no walk leaves its word.
        """
        places_N = tf.searchsorted(self._alphabet, codes_N)
        known_N = tf.equal(
            tf.gather(self._alphabet, tf.minimum(places_N, tf.size(self._alphabet) - 1)), codes_N
        )
        symbols_N = tf.pad(tf.where(known_N, places_N + 1, 0), [[self._longest_piece, 0]])
        nodes_N = tf.fill(tf.shape(order_N), ROOT)
        walked: list[tf.Tensor] = []
        for back in range(self._longest_piece):
            symbol_N = tf.gather(symbols_N, order_N + (self._longest_piece - back))
            slots_N = tf.gather(self._base, nodes_N) + symbol_N
            nodes_N = tf.where(tf.equal(tf.gather(self._parent, slots_N), nodes_N), slots_N, DEAD)
            walked.append(nodes_N)
        return tf.stack(walked[::-1], 1)


class GraphTokenizer(tf.Module):
    """Text to piece numbers and back inside a graph.

    Call its methods inside a `tf.function`; they hold no variables and no resources, only
    constants, so whatever calls them can be exported. They run on the CPU.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Builds the tables from a trained tokenizer."""
        super().__init__(name="graph_tokenizer")
        surfaces = list(tokenizer.pieces)
        surfaces[UNKNOWN] = _UNKNOWN_SURFACE
        for silent in (PAD, BOS, EOS):
            surfaces[silent] = ""
        # `code_points` writes a space where SentencePiece writes WORD_START.
        pieces = {
            number: tokenizer.pieces[number].replace(WORD_START, chr(SPACE))
            for number in range(EOS + 1, tokenizer.size)
        }
        self._surfaces = constant(surfaces)
        self._search = PieceSearch(
            pieces,
            tokenizer.scores,
            unknown=UNKNOWN,
            unknown_score=tokenizer.scores[EOS + 1 :].min() - np.float32(10),
        )

    def encode(self, texts_B: tf.Tensor, *, bos: bool, eos: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Gives the most probable pieces of each text, normalised first.

        Args:
            texts_B: string, (batch,). Any bytes; the batch and any text may be empty.
            bos: Whether to put BOS before each row.
            eos: Whether to put EOS after each row.

        Returns:
            ids_BT: int32, (batch, longest row). Right-padded with PAD.
            lengths_B: int32, (batch,). BOS and EOS included.

        Source: Kudo 2018, section 3.1 (Viterbi search); `EncodeOptimized` in sentencepiece.
        """
        with tf.device("/CPU:0"):
            pieces_P, rows_P, _, _ = self.located(texts_B)
            batch = tf.size(texts_B)
            counts_B = tf.math.unsorted_segment_sum(tf.ones_like(rows_P), rows_P, batch)
            lengths_B = counts_B + int(bos) + int(eos)
            longest = tf.maximum(tf.reduce_max(lengths_B), 0)
            starts_B = tf.cumsum(counts_B, exclusive=True)
            columns_P = tf.range(tf.size(pieces_P)) - tf.gather(starts_B, rows_P) + int(bos)
            ids_BT = tf.scatter_nd(
                tf.stack([rows_P, columns_P], 1), pieces_P, tf.stack([batch, longest])
            )
            if bos:
                ids_BT = tf.where(tf.equal(tf.range(longest), 0), BOS, ids_BT)
            if eos:
                last_BT = tf.equal(tf.range(longest), lengths_B[:, tf.newaxis] - 1)
                ids_BT = tf.where(last_BT, EOS, ids_BT)
            ids_BT = tf.ensure_shape(ids_BT, [texts_B.shape[0], None])
            return ids_BT, tf.ensure_shape(lengths_B, texts_B.shape)

    def decode(self, ids_T: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Gives the text of each sequence of pieces, as sentencepiece does.

        Args:
            ids_T: int32, (..., pieces). Every id below the size of the vocabulary, padding too.
            lengths: int32, (...). Real pieces of each row.

        Returns:
            string, (...). PAD, BOS and EOS are silent, UNKNOWN reads ` ⁇ `.
        """
        with tf.device("/CPU:0"):
            ids_T = tf.where(tf.sequence_mask(lengths, tf.shape(ids_T)[-1]), ids_T, PAD)
            joined = tf.strings.reduce_join(tf.gather(self._surfaces, ids_T), -1)
            without_prefix = tf.strings.regex_replace(
                joined, f"^{WORD_START}+", "", replace_global=False
            )
            return tf.strings.regex_replace(without_prefix, WORD_START, " ")

    def located(self, texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Gives the pieces of all texts in one vector, and where they stand.

        Args:
            texts_B: string, (batch,). As for `encode`.

        Returns:
            pieces_P: int32, (P,). The pieces of all texts, one text after the other.
            rows_P: int32, (P,). The text to which each belongs.
            starts_P: int32, (P,). The place of each one's first code point; it ends where the next
                one starts.
            codes_N: int32, (N,). The normalised code points of all texts, each word led by a space.
        """
        codes_N, rows_N = code_points(texts_B)
        pieces_P, ends_P = self._search.segment(codes_N, rows_N, tf.size(texts_B))
        # The library joins adjacent unknown characters. A text never begins with one (its leading
        # space is always a piece), so rows stay apart.
        unknown_P = tf.equal(pieces_P, UNKNOWN)
        repeated_P = unknown_P & tf.concat([[False], unknown_P[:-1]], 0)
        kept = tf.where(tf.logical_not(repeated_P))[:, 0]
        starts_P = tf.concat([[0], ends_P + 1], 0)[:-1]
        return (
            tf.gather(pieces_P, kept),
            tf.gather(rows_N, tf.gather(ends_P, kept)),
            tf.gather(starts_P, kept),
            codes_N,
        )


def _pack(rows_N: tf.Tensor, lengths_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the packed order.

    Returns:
        packed_N: int32, (N,). The place of each code point in packed order.
        counts_S: int32, (steps,). Texts that have a code point left at each step; padded with 0
            to a whole number of turns of the search, at least one.
    """
    order_B = tf.argsort(lengths_B, direction="DESCENDING", stable=True)
    ranks_B = tf.math.invert_permutation(order_B)
    longest = tf.maximum(tf.reduce_max(lengths_B), 1)
    steps = -(-longest // _STEPS_PER_TURN) * _STEPS_PER_TURN
    ascending_B = tf.reverse(tf.gather(lengths_B, order_B), [0])
    counts_S = tf.size(lengths_B) - tf.searchsorted(ascending_B, tf.range(steps), side="right")
    starts_B = tf.cumsum(lengths_B, exclusive=True)
    steps_N = tf.range(tf.size(rows_N)) - tf.gather(starts_B, rows_N)
    offsets_S = tf.cumsum(counts_S, exclusive=True)
    return tf.gather(offsets_S, steps_N) + tf.gather(ranks_B, rows_N), counts_S


def _best_spans(scores_NL: tf.Tensor, counts_S: tf.Tensor) -> tf.Tensor:
    """Searches for the best segmentation up to each code point.

    Args:
        scores_NL: float32, (N, L), packed. The score of the piece of L, ..., 1 code points that
            ends here, -inf where there is none.
        counts_S: int32, (steps,). From `_pack`.

    Returns:
        int32, (N,), packed. Code points in the last piece of the best segmentation that ends
        here; of equally good ones the longest, as the library has it.
    """
    width = scores_NL.shape[1]
    offsets_S = tf.cumsum(counts_S, exclusive=True)
    texts = counts_S[0]
    # The best scores of the last L ends, the oldest first; only the start of a text is behind us.
    window = tf.concat([tf.fill([texts, width - 1], -np.inf), tf.zeros([texts, 1])], 1)
    window = tf.ensure_shape(window, [None, width])
    turns = tf.size(counts_S) // _STEPS_PER_TURN
    spans = tf.TensorArray(tf.int32, turns, element_shape=[None], infer_shape=False)

    def turn(
        number: tf.Tensor, window: tf.Tensor, spans: tf.TensorArray
    ) -> Sequence[tf.Tensor | tf.TensorArray]:
        lengths = []
        for step in range(_STEPS_PER_TURN):
            texts = counts_S[number * _STEPS_PER_TURN + step]
            offset = offsets_S[number * _STEPS_PER_TURN + step]
            totals = window[:texts] + tf.slice(scores_NL, [offset, 0], [texts, width])
            # On the CPU argmax gives the first of equals.
            lengths.append(width - tf.argmax(totals, 1, output_type=tf.int32))
            best = tf.reduce_max(totals, 1, keepdims=True)
            window = tf.concat([tf.slice(window, [0, 1], [texts, width - 1]), best], 1)
            window = tf.ensure_shape(window, [None, width])
        return number + 1, window, spans.write(number, tf.concat(lengths, 0))

    _, _, spans = tf.while_loop(
        lambda number, *_: number < turns, turn, (0, window, spans), parallel_iterations=1
    )
    return spans.concat()


def _segment_ends(spans_N: tf.Tensor, ends_B: tf.Tensor, longest: tf.Tensor) -> tf.Tensor:
    """Follows the best segmentations back from the end of each text, all texts at once.

    Doubles the length of the jumps in each round instead of going piece by piece.

    Args:
        spans_N: int32, (N,). Code points in the last piece of the best segmentation ending here.
        ends_B: int32, (batch,). The number of code points up to the end of each text.
        longest: int32, (). At least the number of pieces in any text.

    Returns:
        int32, (P,). The last code point of each piece.
    """
    # Place n stands for the end of the first n code points. The start of a text is the end of
    # the one before, so jumps may run on into it: it is marked anyway.
    size = tf.size(spans_N) + 1
    places = tf.range(size)
    jumps = places - tf.concat([[0], spans_N], 0)
    marks = tf.scatter_nd(ends_B[:, tf.newaxis], tf.ones_like(ends_B), tf.reshape(size, [1]))

    def double(reach: tf.Tensor, marks: tf.Tensor, jumps: tf.Tensor) -> Sequence[tf.Tensor]:
        reached = tf.math.unsorted_segment_max(marks, jumps, size)
        return reach * 2, tf.maximum(marks, reached), tf.gather(jumps, jumps)

    _, marks, _ = tf.while_loop(
        lambda reach, *_: reach <= longest, double, (1, marks, jumps), parallel_iterations=1
    )
    return tf.cast(tf.where(marks[1:] > 0)[:, 0], tf.int32)
