"""A trained language model as a function of strings: it writes, goes on writing, and judges."""

# B batch, T tokens, S width of the network's state, V vocabulary, N samples of a row,
# R rows that are written (B × N), K hypotheses

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from seqapps.decoding.beam import beam_search
from seqapps.decoding.choosing import Strategy
from seqapps.decoding.sampling_loop import Pen, Written, write
from seqapps.decoding.settings import LONGEST, MOST_SAMPLES
from seqapps.recipes.generate.mixed import MixedNetwork
from seqapps.recipes.generate.mixture import Mixture, has_room
from seqapps.text.vocabulary import MARK, Vocabulary
from seqapps.text.vocabulary_graph import GraphVocabulary

_WINDOW, _WINDOW_TOKENS = 2048, 32_768
"""Tokens that are read at once at most, of a row and of all rows: a long text's logits would fill
the memory. The state is carried on."""
_LN_2 = 0.6931471805599453


class GenerateText:
    """What is served.

    Args:
        network: From `build_recurrent_lm`.
        assets: The vocabulary, as `RunningExamples.assets` gives it, and the n-gram model beside
            the network, if there is one.
    """

    def __init__(self, network: keras.Model, assets: Mapping[str, bytes]) -> None:
        mixture = Mixture.from_assets(assets)
        self._network = MixedNetwork(network, mixture, room=has_room(assets))
        self._vocabulary = GraphVocabulary(Vocabulary.from_assets(assets))

    def __call__(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Goes on from prompts.

        Args:
            inputs: `prompt`: string, (B,).
            options: The values of `decoding.settings.Sampling`, (B,) or (1,) each; `stop` and
                `banned` (B, K) or (1, K).

        Returns:
            `text` string (B,): the first sample, without its prompt; `log_probability` float32
            (B,): the network's own, in nats, of all its tokens; `samples` string (B, N) and
            `sample_log_probabilities` float32 (B, N); `token_log_probabilities` float32 (B, T), of
            the first sample's tokens (of a search none); their `_lengths` int32 (B,); and
            `truncated` int32 (B,), 1 where the first sample was cut by `max_length`.
        """
        pen = self._begin(inputs["prompt"])
        batch = tf.shape(pen.token)[0]
        options = {name: _for_rows(value, batch) for name, value in options.items()}
        counts_B = tf.clip_by_value(options["samples"], 1, MOST_SAMPLES)
        most = tf.maximum(tf.reduce_max(counts_B), 1)
        searched_B = options["beam_width"] > 1
        limits_B = tf.clip_by_value(options["max_length"], 0, LONGEST)
        drawn = self._draw(pen, options, tf.where(searched_B, 0, limits_B), most)
        texts_BN = tf.reshape(drawn.text, [batch, most])
        log_probs_BN = tf.reshape(tf.reduce_sum(drawn.log_probs, 1), [batch, most])
        first_BT = tf.reshape(drawn.log_probs, [batch, most, -1])[:, 0]
        first_lengths_B = tf.reshape(drawn.lengths, [batch, most])[:, 0]
        truncated_B = tf.reshape(drawn.truncated, [batch, most])[:, 0]
        texts_BN, log_probs_BN, counts_B, truncated_B = tf.cond(
            tf.reduce_any(searched_B),
            lambda: self._search(
                pen, options, texts_BN, log_probs_BN, counts_B, limits_B, truncated_B
            ),
            lambda: (texts_BN, log_probs_BN, counts_B, truncated_B),
        )
        return {
            "text": texts_BN[:, 0],
            "log_probability": log_probs_BN[:, 0],
            "samples": texts_BN,
            "samples_lengths": counts_B,
            "sample_log_probabilities": log_probs_BN,
            "sample_log_probabilities_lengths": counts_B,
            "token_log_probabilities": first_BT,
            "token_log_probabilities_lengths": first_lengths_B,
            "truncated": tf.cast(truncated_B, tf.int32),
        }

    def init(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Reads prompts.

        Args:
            inputs: `prompt`: string, (B,).
            options: None.

        Returns:
            The fields of a `Pen`, from which `step` goes on.
        """
        return _fields(self._begin(inputs["prompt"]))

    def read(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Reads on, as if what is given stood behind all that was read and written so far.

        Args:
            inputs: `state`, `token` and `counts` of a `Pen`, and `text`: string, (B,).
            options: None.

        Returns:
            The fields of a `Pen` where a new text begins, behind what was read.
        """
        return _fields(
            self._read_on(
                inputs["text"],
                inputs["state"],
                self._token(inputs["token"]),
                self._counts(inputs["counts"]),
            )
        )

    def step(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Writes some more tokens.

        Args:
            inputs: The fields of a `Pen`, and `length` int32 (B,): tokens to write at most now.
            options: As in a call, of which the limits on the whole text and `seed`, the strategy,
                `stop`, `banned` and `begin` count.

        Returns:
            The fields of the `Pen` after it; `text` string (B,), what can be handed out;
            `token_log_probabilities` float32 (B, T) with its `_lengths` int32 (B,).
        """
        pen = Pen(
            state=inputs["state"],
            token=self._token(inputs["token"]),
            position=tf.maximum(inputs["position"], 0),
            counts=self._counts(inputs["counts"]),
            tail=inputs["tail"],
            held=tf.maximum(inputs["held"], 0),
            done=inputs["done"] != 0,
        )
        batch = tf.shape(pen.token)[0]
        options = {name: _for_rows(value, batch) for name, value in options.items()}
        limits_B = tf.clip_by_value(options["max_length"], 0, LONGEST)
        most_B = tf.clip_by_value(inputs["length"], 0, LONGEST)
        written = self._write(pen, options, options["seed"], most=most_B, limit=limits_B)
        return {
            **_fields(written.pen),
            "text": written.text,
            "token_log_probabilities": written.log_probs,
            "token_log_probabilities_lengths": written.lengths,
        }

    def score(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Judges texts, from their first token to their last.

        Args:
            inputs: `text`: string, (B,).
            options: None.

        Returns:
            `log_probability` float32 (B,), in nats; `perplexity` float32 (B,), of a token; 1 for an
            empty text; `bits_per_character` float32 (B,); and `token_log_probabilities` float32
            (B, T) with its `_lengths` int32 (B,).
        """
        tokens_BT, lengths_B = self._framed(inputs["text"], MARK)
        gains_BT, _ = self._read_through(
            tokens_BT, lengths_B, self._zeros(tf.shape(lengths_B)[0]), judge=True
        )
        total_B = tf.reduce_sum(gains_BT, 1)
        tokens_B = tf.cast(tf.maximum(lengths_B, 1), tf.float32)
        with tf.device("/CPU:0"):
            characters_B = tf.maximum(tf.strings.length(inputs["text"], unit="UTF8_CHAR"), 1)
        return {
            "log_probability": total_B,
            "perplexity": tf.exp(-total_B / tokens_B),
            "bits_per_character": tf.abs(total_B) / (_LN_2 * tf.cast(characters_B, tf.float32)),
            "token_log_probabilities": gains_BT,
            "token_log_probabilities_lengths": lengths_B,
        }

    def _framed(self, texts_B: Any, token: Any) -> tuple[Any, Any]:
        """Tokens behind a given one, int32 (B, 1 + T), T at least 1, and how many T each row has.

        Args:
            texts_B: string, (B,).
            token: int32, () or (B,). What stands before each text.
        """
        ids_BT, lengths_B = self._vocabulary.encode(texts_B)
        spare = tf.maximum(0, 1 - tf.shape(ids_BT)[1])
        first_B1 = tf.broadcast_to(token, tf.shape(lengths_B))[:, tf.newaxis]
        return tf.concat([first_B1, tf.pad(ids_BT, [[0, 0], [0, spare]])], 1), lengths_B

    def _token(self, token: Any) -> Any:
        # A caller may send anything; nothing may be read outside of a table.
        return tf.clip_by_value(token, 0, self._vocabulary.size - 1)

    def _counts(self, counts: Any) -> Any:
        """Counts of any number of tokens as those of the vocabulary."""
        spare = tf.maximum(self._vocabulary.size - tf.shape(counts)[1], 0)
        counts_BV = tf.pad(counts, [[0, 0], [0, spare]])[:, : self._vocabulary.size]
        return tf.ensure_shape(counts_BV, [None, self._vocabulary.size])

    def _zeros(self, batch: Any) -> Any:
        return tf.zeros(tf.stack([batch, self._network.state_size]))

    def _read_through(
        self, tokens_BT: Any, lengths_B: Any, before_BS: Any, *, judge: bool
    ) -> tuple[Any, Any]:
        """Reads texts window by window.

        Args:
            tokens_BT: int32, (B, 1 + T), from `_framed`.
            lengths_B: int32, (B,), of T.
            before_BS: float32, (B, S). The state before the first token is read.
            judge: Whether log-probabilities are wanted.

        Returns:
            The log-probability of each token after the first, float32 (B, T), 0 past the length;
            and the state before each row's last token is read.
        """
        batch, total = tf.shape(lengths_B)[0], tf.shape(tokens_BT)[1] - 1
        window = tf.clip_by_value(_WINDOW_TOKENS // tf.maximum(batch, 1), 16, _WINDOW)

        def advance(start: Any, state_BS: Any, gains_BT: Any) -> tuple[Any, Any, Any]:
            end = tf.minimum(start + window, total)
            there_B = tf.clip_by_value(lengths_B - start, 0, end - start)
            gains_BW, after_BS = self._network.judge(
                tokens_BT[:, start : end + 1], there_B, state_BS
            )
            if judge:
                gains_BT = tf.concat([gains_BT, gains_BW], 1)
            return end, after_BS, gains_BT

        _, state_BS, gains_BT = tf.while_loop(
            lambda start, *_: start < total,
            advance,
            (tf.constant(0), before_BS, tf.zeros(tf.stack([batch, 0]))),
            shape_invariants=(
                tf.TensorShape([]),
                before_BS.shape,
                tf.TensorShape([None, None]),
            ),
        )
        return gains_BT, state_BS

    def _begin(self, prompts_B: Any) -> Pen:
        """Reads prompts from where a text begins."""
        batch = tf.size(prompts_B)
        counts_BV = tf.zeros(tf.stack([batch, self._vocabulary.size]), tf.int32)
        return self._read_on(prompts_B, self._zeros(batch), tf.fill([batch], MARK), counts_BV)

    def _read_on(self, texts_B: Any, state_BS: Any, token_B: Any, counts_BV: Any) -> Pen:
        """Reads texts behind what a state has read and a token that it has not."""
        tokens_BT, lengths_B = self._framed(texts_B, token_B)
        batch = tf.shape(lengths_B)[0]
        _, state_BS = self._read_through(tokens_BT, lengths_B, state_BS, judge=False)
        places = tf.where(tf.sequence_mask(lengths_B, tf.shape(tokens_BT)[1] - 1))
        seen_N = tf.gather_nd(tokens_BT[:, 1:], places)
        pairs_N2 = tf.stack([tf.cast(places[:, 0], tf.int32), seen_N], 1)
        counts_BV = tf.tensor_scatter_nd_add(counts_BV, pairs_N2, tf.ones_like(seen_N))
        zeros_B = tf.zeros([batch], tf.int32)
        return Pen(
            state=state_BS,
            token=tf.gather(tokens_BT, lengths_B, batch_dims=1),
            position=zeros_B,
            counts=tf.ensure_shape(counts_BV, [None, self._vocabulary.size]),
            tail=tf.fill([batch], ""),
            held=zeros_B,
            done=tf.zeros([batch], tf.bool),
        )

    def _draw(self, pen: Pen, options: dict[str, Any], limits_B: Any, most: Any) -> Written:
        """Writes `most` texts for each row."""
        pen, options = tf.nest.map_structure(
            lambda values: tf.repeat(values, most, axis=0), (pen, options)
        )
        number_R = tf.tile(tf.range(most), [tf.shape(limits_B)[0]])
        # A row that asks for fewer than another gets empty ones.
        limits_R = tf.where(number_R < options["samples"], tf.repeat(limits_B, most), 0)
        limits_R = tf.where(number_R == 0, tf.repeat(limits_B, most), limits_R)
        seeds_R = options["seed"] + tf.cast(number_R, tf.int64)
        return self._write(pen, options, seeds_R, most=limits_R, limit=limits_R)

    def _write(
        self, pen: Pen, options: dict[str, Any], seeds: Any, *, most: Any, limit: Any
    ) -> Written:
        forced, forced_lengths = self._vocabulary.encode(options["begin"])
        return write(
            self._network.step,
            pen,
            Strategy(
                temperature=options["temperature"],
                top_k=options["top_k"],
                top_p=options["top_p"],
                min_p=options["min_p"],
                repetition_penalty=options["repetition_penalty"],
                min_length=options["min_length"],
                seed=seeds,
                stop=options["stop"],
                banned=self._vocabulary.mask(options["banned"]),
                forced=forced,
                forced_lengths=forced_lengths,
            ),
            most=most,
            limit=limit,
            surfaces=self._vocabulary.surfaces_V,
            longest=self._vocabulary.longest,
            end=MARK,
            never=self._vocabulary.never,
        )

    def _search(
        self,
        pen: Pen,
        options: dict[str, Any],
        texts_BN: Any,
        log_probs_BN: Any,
        counts_B: Any,
        limits_B: Any,
        truncated_B: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """Searches for the likeliest texts in the rows that ask for it."""
        searched_B = options["beam_width"] > 1
        width_B = tf.where(searched_B, tf.minimum(options["beam_width"], 1000), 1)
        hypotheses = beam_search(
            lambda tokens, state, _: self._network.step(tokens, state),
            pen.state,
            pen.token,
            bos=pen.token,
            eos=MARK,
            beam_width=width_B,
            max_steps=tf.where(searched_B, limits_B, 1),
            n_best=tf.minimum(counts_B, width_B),
            banned=self._vocabulary.never,
        )
        shape = tf.shape(hypotheses.tokens)
        with tf.device("/CPU:0"):
            real = tf.sequence_mask(hypotheses.lengths, shape[2])
            surfaces = tf.gather(
                self._vocabulary.surfaces_V, tf.where(real, hypotheses.tokens, MARK)
            )
            searched_BK = tf.strings.reduce_join(surfaces, -1)
        asked = tf.shape(texts_BN)[1]
        spare = [[0, 0], [0, tf.maximum(asked - shape[1], 0)]]
        hits_B = tf.reduce_sum(tf.cast(tf.math.is_finite(hypotheses.log_probs), tf.int32), 1)
        row_B1 = searched_B[:, tf.newaxis]
        with tf.device("/CPU:0"):
            texts_BN = tf.where(row_B1, _padded(searched_BK, asked, shape[1]), texts_BN)
        log_probs_BK = tf.where(tf.math.is_finite(hypotheses.log_probs), hypotheses.log_probs, 0.0)
        log_probs_BN = tf.where(row_B1, tf.pad(log_probs_BK, spare)[:, :asked], log_probs_BN)
        counts_B = tf.where(searched_B, tf.minimum(hits_B, counts_B), counts_B)
        truncated_B = tf.where(searched_B, ~hypotheses.finished[:, 0], truncated_B)
        return texts_BN, log_probs_BN, counts_B, truncated_B


def _padded(texts_BK: Any, wanted: Any, there: Any) -> Any:
    """Strings (B, K) as (B, wanted), with empty ones at the end or the last left out."""
    blank = tf.fill(tf.stack([tf.shape(texts_BK)[0], tf.maximum(wanted - there, 0)]), "")
    return tf.concat([texts_BK, blank], 1)[:, :wanted]


def _for_rows(value: Any, batch: Any) -> Any:
    """An option with one value, or list, for each row."""
    shape = tf.concat([[batch], tf.shape(value)[1:]], 0)
    rows = tf.broadcast_to(value, shape)
    return tf.ensure_shape(rows, [None] * value.shape.rank)


def _fields(pen: Pen) -> dict[str, Any]:
    """A pen as tensors that a signature takes and gives."""
    batch, tokens = tf.unstack(tf.shape(pen.counts))
    return {
        **pen._asdict(),
        "done": tf.cast(pen.done, tf.int32),
        "counts_lengths": tf.fill([batch], tokens),
    }
