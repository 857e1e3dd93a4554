"""A trained text classifier as a function of strings, with the words that mattered."""

# B batch, T tokens a text keeps, K classes, W words of the longest text, V texts with one word
# left out, C of these at once

from collections.abc import Mapping
from typing import Any, Literal

import keras
import tensorflow as tf

from seqapps.recipes.sentiment.examples import classes_of, tokenizer_of
from seqapps.text.cut import Cut
from seqapps.text.normalise_graph import constant
from seqapps.text.scripts import WORD_START, begins_unit
from seqapps.text.tokenizer import BOS, EOS, PAD
from seqapps.text.tokenizer_graph import GraphTokenizer

_SUREST = 20.0
"""Log-odds, in nats, that importance counts at most: odds of 500 million to one."""
_AT_ONCE = 64
"""Texts with one word left out that are classified together."""


class ClassifyText:
    """What is served: strings → label and probabilities, or words and how much each mattered.

    Args:
        network: From `build_classifier`.
        assets: Tokenizer and classes, as `LabelledExamples.assets` gives them.
        cut: Which part of a long text is read.
        apart: Whether `explain` leaves out words, or pieces in scripts without spaces.
    """

    def __init__(
        self,
        network: keras.Model,
        assets: Mapping[str, bytes],
        cut: Cut,
        *,
        apart: Literal["words", "pieces"] = "words",
    ) -> None:
        self._network = network
        self._cut = cut
        tokenizer = tokenizer_of(assets)
        self._tokenizer = GraphTokenizer(tokenizer)
        self._classes_K = constant(classes_of(assets), tf.string)
        # Whether a piece begins a unit whatever stands before it, and after all but a mark alone.
        marked = [begins_unit(piece, WORD_START) for piece in tokenizer.pieces]
        others = [begins_unit(piece, "") for piece in tokenizer.pieces]
        if apart == "words":
            others = marked
        self._begins, self._begins_mostly = constant(marked, tf.bool), constant(others, tf.bool)
        self._mark = tokenizer.pieces.index(WORD_START)

    def __call__(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Classifies a batch.

        Args:
            inputs: `text`: string, (B,).
            options: None.

        Returns:
            `label` string (B,); `probabilities` float32 (B, K) and `classes` string (B, K), the
            most probable first, with their `_lengths` int32 (B,); `truncated` int32 (B,), 1 where a
            text was too long to be read whole.
        """
        tokens_BT, lengths_B, _, truncated_B = self._read(inputs["text"])
        logits_BK = self._logits(tokens_BT, lengths_B)
        count = tf.size(self._classes_K)
        probabilities_BK, order_BK = tf.math.top_k(tf.nn.softmax(logits_BK), count)
        classes_BK = tf.gather(self._classes_K, order_BK)
        counts_B = tf.fill([tf.shape(logits_BK)[0]], count)
        return {
            "label": classes_BK[:, 0],
            "probabilities": probabilities_BK,
            "probabilities_lengths": counts_B,
            "classes": classes_BK,
            "classes_lengths": counts_B,
            "truncated": truncated_B,
        }

    def explain(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Leaves out one word after another, and sees how the answer changes (occlusion).

        Args:
            inputs: `text`: string, (B,).
            options: None.

        Returns:
            `label` string (B,); `probability` float32 (B,), that of the label; `words` string
            (B, W), pieces where words are not written apart; `importance` float32 (B, W): log-odds
            of the label with the word less those without it, in nats, both bounded softly
            (20 · tanh(x / 20)); 0 for words that a long text's cut keeps from being read; and their
            `_lengths` int32 (B,).

        Source: Zeiler and Fergus 2014, section 4.2; Li et al. 2016, "Understanding Neural Networks
        through Representation Erasure".
        """
        tokens_BT, lengths_B, words_BT, _ = self._read(inputs["text"])
        logits_BK = self._logits(tokens_BT, lengths_B)
        label_B = tf.argmax(logits_BK, 1, output_type=tf.int32)
        texts_BW, counts_B = self._units(inputs["text"])
        # One variant for each word that is read, even in part.
        before_BT = tf.pad(words_BT[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
        places_V2 = tf.where((words_BT >= 0) & (words_BT != before_BT))
        rows_V = tf.cast(places_V2[:, 0], tf.int32)
        left_out_V = tf.gather_nd(words_BT, places_V2)
        odds_V = self._odds_without(tokens_BT, lengths_B, words_BT, rows_V, left_out_V, label_B)
        importance_V = tf.gather(_log_odds(logits_BK, label_B), rows_V) - odds_V
        importance_BW = tf.scatter_nd(
            tf.stack([rows_V, left_out_V], 1), importance_V, tf.shape(texts_BW)
        )
        return {
            "label": tf.gather(self._classes_K, label_B),
            "probability": tf.gather(tf.nn.softmax(logits_BK), label_B, batch_dims=1),
            "words": texts_BW,
            "words_lengths": counts_B,
            "importance": importance_BW,
            "importance_lengths": counts_B,
        }

    def _logits(self, tokens_BT: Any, lengths_B: Any) -> Any:
        return self._network({"tokens": tokens_BT, "tokens_lengths": lengths_B}, training=False)

    def _read(self, texts_B: Any) -> tuple[Any, Any, Any, Any]:
        """Cuts texts into tokens.

        Returns:
            The tokens that are read, between BOS and EOS, int32 (B, T); how many, int32 (B,); the
            word each belongs to, int32 (B, T), -1 for BOS, EOS and padding; and 1 for texts of
            which a part is not read, int32 (B,).
        """
        all_BT, count_B = self._tokenizer.encode(texts_B, bos=False, eos=False)
        # A text without tokens still needs a place to look at.
        all_BT = tf.pad(all_BT, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(all_BT)[1])]])
        before_BT = tf.pad(all_BT[:, :-1], [[0, 0], [1, 0]])
        word_BT = tf.cumsum(tf.cast(self._begin(all_BT, before_BT), tf.int32), axis=1) - 1
        places_BT, kept_B = self._cut.places(count_B)
        tokens_BT = tf.gather(all_BT, places_BT, batch_dims=1)
        words_BT = tf.gather(word_BT, places_BT, batch_dims=1)
        real_BT = tf.sequence_mask(kept_B, tf.shape(places_BT)[1])
        frame = [[0, 0], [1, 1]]
        tokens_BT = tf.pad(tf.where(real_BT, tokens_BT, PAD), frame)
        words_BT = tf.pad(tf.where(real_BT, words_BT, -1), frame, constant_values=-1)
        steps_T = tf.range(tf.shape(tokens_BT)[1])
        tokens_BT = tf.where(steps_T == 0, BOS, tokens_BT)
        tokens_BT = tf.where(steps_T == kept_B[:, tf.newaxis] + 1, EOS, tokens_BT)
        return tokens_BT, kept_B + 2, words_BT, tf.cast(count_B > kept_B, tf.int32)

    def _begin(self, pieces: Any, before: Any) -> Any:
        """Whether pieces begin a word, or stand for one: see `scripts.begins_unit`."""
        after_mark = tf.equal(before, self._mark)
        mostly = tf.gather(self._begins_mostly, pieces) & tf.logical_not(after_mark)
        return tf.gather(self._begins, pieces) | mostly

    def _units(self, texts_B: Any) -> tuple[Any, Any]:
        """The words of texts; where a script has no spaces between them, its pieces.

        Returns:
            string, (B, W), and how many are real, int32, (B,).
        """
        with tf.device("/CPU:0"):
            pieces_P, rows_P, starts_P, codes_N = self._tokenizer.located(texts_B)
            before_P = tf.concat([[PAD], pieces_P], 0)[:-1]
            begin_P = self._begin(pieces_P, before_P)
            starts_U = tf.boolean_mask(starts_P, begin_P)
            words_U = tf.raw_ops.UnicodeEncode(
                input_values=codes_N,
                input_splits=tf.concat([starts_U, [tf.size(codes_N)]], 0),
                output_encoding="UTF-8",
            )
            counts_B = tf.math.unsorted_segment_sum(
                tf.cast(begin_P, tf.int32), rows_P, tf.size(texts_B)
            )
            ragged_BW = tf.RaggedTensor.from_row_lengths(
                tf.strings.strip(words_U), counts_B, validate=False
            )
            return ragged_BW.to_tensor(""), counts_B

    def _odds_without(
        self,
        tokens_BT: Any,
        lengths_B: Any,
        words_BT: Any,
        rows_V: Any,
        left_out_V: Any,
        label_B: Any,
    ) -> Any:
        """Log-odds of each text's label when one word is not there: float32, (V,)."""
        count = tf.size(rows_V)
        turns = -(-count // _AT_ONCE)
        odds = tf.TensorArray(tf.float32, turns, element_shape=[None], infer_shape=False)

        def turn(number: Any, odds: Any) -> tuple[Any, Any]:
            chosen = slice(number * _AT_ONCE, (number + 1) * _AT_ONCE)
            rows_C, word_C = rows_V[chosen], left_out_V[chosen]
            real_CT = tf.sequence_mask(tf.gather(lengths_B, rows_C), tf.shape(tokens_BT)[1])
            kept_CT = real_CT & (tf.gather(words_BT, rows_C) != word_C[:, tf.newaxis])
            kept_lengths_C = tf.reduce_sum(tf.cast(kept_CT, tf.int32), 1)
            # What stays moves to the front, in its order.
            places_CT = tf.cumsum(tf.cast(kept_CT, tf.int32), axis=1) - 1
            kept_N2 = tf.where(kept_CT)
            targets_N2 = tf.stack(
                [tf.cast(kept_N2[:, 0], tf.int32), tf.gather_nd(places_CT, kept_N2)], 1
            )
            tokens_N = tf.gather_nd(tf.gather(tokens_BT, rows_C), kept_N2)
            variants_CT = tf.scatter_nd(targets_N2, tokens_N, tf.shape(kept_CT))
            logits_CK = self._logits(variants_CT, kept_lengths_C)
            odds_C = _log_odds(logits_CK, tf.gather(label_B, rows_C))
            return number + 1, odds.write(number, odds_C)

        _, odds = tf.while_loop(
            lambda number, _: number < turns, turn, (0, odds), parallel_iterations=1
        )
        return tf.cond(count > 0, odds.concat, lambda: tf.zeros([0]))


def _log_odds(logits_BK: Any, label_B: Any) -> Any:
    """Log-odds, ln p / (1 - p), of one class of each row: float32, (B,)."""
    label_BK = tf.one_hot(label_B, tf.shape(logits_BK)[1], on_value=True, off_value=False)
    others_BK = tf.where(label_BK, logits_BK.dtype.min, logits_BK)
    odds_B = tf.gather(logits_BK, label_B, batch_dims=1) - tf.reduce_logsumexp(others_BK, 1)
    # A network can be surer than its own rounding allows: in the hundreds, two log-odds differ in
    # the fourth decimal from one batch to the next. Softly bounded, they differ in the sixth.
    return _SUREST * tf.tanh(odds_B / _SUREST)
