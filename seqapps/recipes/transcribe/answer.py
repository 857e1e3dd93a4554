"""A trained recogniser as a function of recordings: text, confidence, when words were said."""

# B batch, N samples, S output steps, V outputs, L labels, W words

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.audio.mel import frames_of, log_mel
from seqapps.audio.read import Samples, read_pcm, read_wav
from seqapps.audio.settings import Features
from seqapps.audio.wav import NOT_WAV, STATUSES
from seqapps.decoding.ctc import Path, align, greedy_path
from seqapps.decoding.ctc_beam import NEVER, Hypotheses, prefix_beam_search, useful_steps
from seqapps.decoding.hot_words import HotWords, hot_words
from seqapps.decoding.settings import Transcription
from seqapps.recipes.transcribe import language as speech_language
from seqapps.recipes.transcribe.examples import SpeechExamples
from seqapps.recipes.transcribe.scores import error_rates
from seqapps.text.alphabet import alphabet_in
from seqapps.text.graph_part import graph_part
from seqapps.text.lower_case import has_dotless_i
from seqapps.text.normalise_graph import constant, normalise

_PLACEHOLDER = "\ue000"
"""For private use: no text has it."""
_TUNED_ON = 300
"""Validation recordings by which the language model's weight is chosen, drawn from all."""
_WEIGHTS, _BONUSES = (0.3, 0.6, 1.0, 1.5, 2.0), (0.0, 0.8, 1.6, 3.0)
"""What is tried."""


class Transcribe:
    """What is served: WAV files or samples → text and confidence, or words and their times.

    Args:
        network: From `build_recogniser`.
        assets: Alphabet and language model, as `SpeechExamples.assets` gives them.
        features: How recordings become features.
        stride: Frames of one output.

    Attributes:
        features: As given.
        step_s: Seconds from one output to the next.
        symbols: What each output writes, but for the blank.
    """

    def __init__(
        self,
        network: keras.Model,
        assets: Mapping[str, bytes],
        *,
        features: Features,
        stride: int,
    ) -> None:
        self._network, self.features = network, features
        self.step_s = stride * features.hop / features.sample_rate_hz
        self._alphabet = alphabet_in(assets)
        self.symbols = self._alphabet.symbols
        self._symbols_V = constant(self.symbols, tf.string)
        self._statuses = constant(STATUSES, tf.string)
        model, self._weights = speech_language.from_assets(assets)
        self._language = None if model is None else speech_language.in_graph(model, self._alphabet)
        # Both kinds of recordings have the same answer.
        self._answered = graph_part(self.answer)

    def __call__(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Transcribes WAV files.

        Args:
            inputs: `audio`: string, (B,), the bytes of a WAV file each.
            options: Strategy values, (B,) or (1,) each; `hot_words` (B, W) or (1, W).

        Returns:
            See `answer`.
        """
        return self._answered(read_wav(inputs["audio"], self.features.sample_rate_hz), options)

    def pcm(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Transcribes samples.

        Args:
            inputs: `samples` float32 (B, N), between -1 and 1, their `samples_lengths` int32 (B,)
                and `rate_hz` int32 (B,).
            options: As in a call.

        Returns:
            See `answer`.
        """
        samples = read_pcm(
            inputs["samples"],
            inputs["samples_lengths"],
            inputs["rate_hz"],
            self.features.sample_rate_hz,
        )
        return self._answered(samples, options)

    def log_probs(self, samples: Samples) -> tuple[Any, Any]:
        """What the network hears.

        Returns:
            float32, (B, S, V), log-probabilities, and int32, (B,), their steps.
        """
        outputs = self._network(
            {
                "features": log_mel(samples.values, self.features),
                "features_lengths": frames_of(samples.lengths, self.features),
            },
            training=False,
        )
        # Of what could not be read, nothing is heard.
        steps_B = tf.where(samples.status >= NOT_WAV, 0, outputs["logits_lengths"])
        return tf.nn.log_softmax(outputs["logits"]), steps_B

    def answer(self, samples: Samples, options: dict[str, Any]) -> dict[str, Any]:
        """Finds text and times.

        Returns:
            `text` string (B,); `confidence` float32 (B,), the mean probability of its symbols;
            `status` string (B,); `seconds` float32 (B,); `words` string (B, W), `starts` and
            `ends` float32 (B, W), seconds, `word_confidences` float32 (B, W); `alternatives` string
            (B, K), the best by the search's score first, and `alternative_scores` float32 (B, K),
            the same scores without the symbols' bonus, nats; and their `_lengths` int32 (B,).
        """
        every_BSV, all_steps_B = self.log_probs(samples)
        log_probs_BUV, steps_B, places_BU = useful_steps(every_BSV, all_steps_B)
        hypotheses = self._search(log_probs_BUV, steps_B, options)
        path = align(log_probs_BUV, steps_B, hypotheses.labels[:, 0], hypotheses.lengths[:, 0])
        path = path._replace(
            starts=tf.gather(places_BU, path.starts, batch_dims=1),
            ends=tf.gather(places_BU, tf.maximum(path.ends - 1, 0), batch_dims=1) + 1,
        )
        asked_B = tf.broadcast_to(options["n_best"], [tf.shape(steps_B)[0]])
        there_BK = hypotheses.scores > NEVER / 2
        there_BK &= tf.range(tf.shape(there_BK)[1]) < asked_B[:, tf.newaxis]
        kept_B = tf.reduce_sum(tf.cast(there_BK, tf.int32), 1)
        return {
            **self._words(path, tf.cast(samples.lengths, tf.float32)),
            "status": tf.gather(self._statuses, samples.status),
            "seconds": tf.cast(samples.lengths, tf.float32) / self.features.sample_rate_hz,
            "alternatives": tf.where(
                there_BK, self._texts(hypotheses.labels, hypotheses.lengths), ""
            ),
            "alternatives_lengths": kept_B,
            "alternative_scores": tf.where(there_BK, self._log_probs_of(hypotheses, options), 0.0),
            "alternative_scores_lengths": kept_B,
        }

    def _log_probs_of(self, hypotheses: Hypotheses, options: dict[str, Any]) -> Any:
        """Scores without the bonus of each symbol: float32, (B, K)."""
        # With it large numbers cancel: their rounding is small beside them, not beside the score.
        bonus_B = each_row(options["language"], hypotheses.lengths[:, 0]) * self._weights.bonus
        return hypotheses.scores - bonus_B[:, tf.newaxis] * tf.cast(hypotheses.lengths, tf.float32)

    def _search(self, log_probs_BSV: Any, steps_B: Any, options: dict[str, Any]) -> Hypotheses:
        wanted_B = each_row(options["n_best"], steps_B)

        def search(**strategy: Any) -> Hypotheses:
            strategy["beam_width"] = tf.maximum(strategy["beam_width"], wanted_B)
            return prefix_beam_search(log_probs_BSV, steps_B, **strategy)

        return Hypotheses(*self.searched(search, options, steps_B))

    def searched(
        self, search: Callable[..., tuple[Any, ...]], options: dict[str, Any], rows_B: Any
    ) -> Any:
        """Calls a search with what it is to look at.

        Args:
            search: Takes `beam_width`, `language`, `language_weight`, `label_bonus` and `hot`.
            options: Strategy values.
            rows_B: Of as many rows.
        """
        given = options["hot_words"]
        words_BW = tf.reshape(normalise(tf.reshape(given, [-1])), tf.shape(given))
        words_BW = tf.broadcast_to(words_BW, [tf.shape(rows_B)[0], tf.shape(given)[1]])
        if self._alphabet.lower:
            words_BW = lower_case(words_BW, self._alphabet.language)
        language_B = each_row(options["language"], rows_B)

        def call(hot: HotWords | None) -> Any:
            return search(
                beam_width=each_row(options["beam_width"], rows_B),
                language=self._language,
                language_weight=language_B * self._weights.language,
                label_bonus=language_B * self._weights.bonus,
                hot=hot,
            )

        weight_B = each_row(options["hot_word_weight"], rows_B)
        # Hot words take time, so they are looked at only where there are some.
        return tf.cond(
            tf.reduce_any(words_BW != ""),
            lambda: call(hot_words(words_BW, self.symbols, weight_B)),
            lambda: call(None),
        )

    def _texts(self, labels_BKL: Any, lengths_BK: Any) -> Any:
        """The text of each hypothesis: string, (B, K)."""
        real_BKL = tf.sequence_mask(lengths_BK, tf.shape(labels_BKL)[2])
        joined_BK = tf.strings.reduce_join(
            tf.where(real_BKL, tf.gather(self._symbols_V, labels_BKL), ""), 2
        )
        return tf.strings.strip(tf.strings.regex_replace(joined_BK, " +", " "))

    def _times(self, steps_BW: Any, samples_B: Any) -> Any:
        """When steps begin, within the recording: float32, (B, W), seconds."""
        # A step stands around its first frame, and a centred frame around its time.
        early = 0.5 if self.features.centre else 0.0
        seconds_BW = (tf.cast(steps_BW, tf.float32) - early) * self.step_s
        most_B1 = samples_B[:, tf.newaxis] / self.features.sample_rate_hz
        return tf.minimum(tf.maximum(seconds_BW, 0.0), most_B1)

    def _words(self, path: Path, samples_B: Any) -> dict[str, Any]:
        """Puts labels together to words: what `answer` returns of them."""
        real_BL = tf.sequence_mask(path.lengths, tf.shape(path.labels)[1])
        symbols_BL = tf.where(real_BL, tf.gather(self._symbols_V, path.labels), "")
        joined_B = tf.strings.reduce_join(symbols_BL, 1)
        ragged_BW = tf.strings.split(joined_B)
        text_B = tf.strings.reduce_join(ragged_BW, 1, separator=" ")
        counts_B = tf.cast(ragged_BW.row_lengths(), tf.int32)
        words_BW = ragged_BW.to_tensor("")
        # A word begins at the first label that is more than a space after one that has a space.
        bare_BL = tf.strings.regex_replace(symbols_BL, " ", "")
        has_space_BL = bare_BL != symbols_BL
        sounds_BL = (bare_BL != "") & real_BL
        gap_before_BL = tf.cumsum(tf.cast(has_space_BL, tf.int32), axis=1)
        word_BL = _word_numbers(sounds_BL, gap_before_BL)
        width = tf.shape(words_BW)[1]
        places = tf.where(sounds_BL)
        target = tf.stack([tf.cast(places[:, 0], tf.int32), tf.gather_nd(word_BL, places)], 1)
        shape = [tf.shape(words_BW)[0], width]
        far = tf.fill(shape, tf.int32.max)
        start_BW = tf.tensor_scatter_nd_min(far, target, tf.gather_nd(path.starts, places))
        end_BW = tf.tensor_scatter_nd_max(
            tf.zeros(shape, tf.int32), target, tf.gather_nd(path.ends, places)
        )
        probability_BL = tf.exp(path.log_probs)
        total_BW = tf.scatter_nd(target, tf.gather_nd(probability_BL, places), shape)
        letters_BW = tf.scatter_nd(target, tf.ones([tf.shape(places)[0]]), shape)
        real_BW = tf.sequence_mask(counts_B, width)
        heard_BL = tf.where(real_BL, probability_BL, 0.0)
        labels_B = tf.cast(path.lengths, tf.float32)
        confidence_B = tf.math.divide_no_nan(tf.reduce_sum(heard_BL, 1), labels_B)
        return {
            "text": text_B,
            "confidence": confidence_B,
            "words": words_BW,
            "words_lengths": counts_B,
            "starts": tf.where(real_BW, self._times(start_BW, samples_B), 0.0),
            "starts_lengths": counts_B,
            "ends": tf.where(real_BW, self._times(end_BW, samples_B), 0.0),
            "ends_lengths": counts_B,
            "word_confidences": tf.math.divide_no_nan(total_BW, letters_BW),
            "word_confidences_lengths": counts_B,
        }


def each_row(value: Any, rows_B: Any) -> Any:
    """A strategy value, (B,) or (1,), for each row."""
    return tf.broadcast_to(value, [tf.shape(rows_B)[0]])


def lower_case(texts: Any, language: str) -> Any:
    """Texts in lower case, as `text.lower_case.lowered` has it."""
    if has_dotless_i(language):
        texts = tf.strings.regex_replace(tf.strings.regex_replace(texts, "İ", "i"), "I", "ı")
    # Else TensorFlow's lower case of it would have a second dot, a character of its own.
    texts = tf.strings.regex_replace(texts, "İ", _PLACEHOLDER)
    return tf.strings.regex_replace(tf.strings.lower(texts, "utf-8"), _PLACEHOLDER, "İ")


def _word_numbers(sounds_BL: Any, gaps_BL: Any) -> Any:
    """The number of the word that each label belongs to: int32, (B, L).

    A word begins where a label sounds first after a gap; gaps before it or in a row begin nothing.
    """
    labels = tf.shape(gaps_BL)[1]
    places = tf.where(sounds_BL)
    place = tf.cast(places[:, 1], tf.int32)
    target = tf.stack([tf.cast(places[:, 0], tf.int32), tf.gather_nd(gaps_BL, places)], 1)
    first_BG = tf.tensor_scatter_nd_min(
        tf.fill([tf.shape(gaps_BL)[0], labels + 1], labels), target, place
    )
    begins_BL = sounds_BL & (tf.gather(first_BG, gaps_BL, batch_dims=1) == tf.range(labels))
    return tf.cumsum(tf.cast(begins_BL, tf.int32), axis=1) - 1


class GreedyRecogniser:
    """Transcribes the validation split greedily: what is quick enough for every epoch.

    Args:
        network: From `build_recogniser`; its weights are read at each call.
        examples: The recordings.
    """

    def __init__(self, network: keras.Model, examples: SpeechExamples) -> None:
        self._examples = examples

        def decode(features: Any, lengths: Any) -> tuple[Any, Any]:
            outputs = network({"features": features, "features_lengths": lengths}, training=False)
            log_probs = tf.nn.log_softmax(outputs["logits"])
            path = greedy_path(log_probs, outputs["logits_lengths"])
            return path.labels, path.lengths

        bands = examples.features.mels
        self._decode = tf.function(
            decode,
            input_signature=[
                tf.TensorSpec([None, None, bands], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ],
            autograph=False,
        )

    def scores(self) -> dict[str, float]:
        """Word and character error rates on the validation split, per cent."""
        alphabet = self._examples.alphabet
        references = [alphabet.clean(text) for text in self._examples.splits.validation.texts]
        return error_rates(self(), references)

    def __call__(self) -> list[str]:
        """The text of each validation recording, in its order."""
        examples = self._examples
        texts = [""] * len(examples.splits.validation)
        for rows, batch in zip(
            examples.validation_order, examples.validation_batches(), strict=True
        ):
            labels, lengths = self._decode(batch["features"], batch["features_lengths"])
            for row, ids, count in zip(rows, labels.numpy(), lengths.numpy(), strict=True):
                texts[row] = examples.alphabet.decode(ids[:count])
        return texts


def tune_language(
    network: keras.Model, examples: SpeechExamples
) -> tuple[speech_language.Weights, float]:
    """Finds how much the language model is to count, on the validation split.

    Args:
        network: From `build_recogniser`, trained.
        examples: The recordings, with a language model.

    Returns:
        The weights with the fewest errors (of words, where there are words; of equals those with
        the fewest of characters, then the smallest), and their rate in per cent.

    Raises:
        ValueError: If there is no language model.
    """
    if examples.language is None:
        raise ValueError("there is no language model to weigh; set text.language_order above 0.")
    language = speech_language.in_graph(examples.language, examples.alphabet)
    heard = tf.function(
        lambda batch: network({name: batch[name] for name in network.input}, training=False),
        reduce_retracing=True,
        autograph=False,
    )
    references = [examples.alphabet.clean(text) for text in examples.splits.validation.texts]
    batches, said = [], []
    for rows, batch in examples.validation_part(_TUNED_ON):
        outputs = heard(batch)
        log_probs = tf.nn.log_softmax(outputs["logits"])
        batches.append(useful_steps(log_probs, outputs["logits_lengths"])[:2])
        said += [references[i] for i in rows]

    def decode(log_probs: Any, steps: Any, weight: Any, bonus: Any) -> tuple[Any, Any]:
        width = tf.fill([tf.shape(steps)[0]], 8)
        hypotheses = prefix_beam_search(
            log_probs,
            steps,
            beam_width=width,
            language=language,
            language_weight=weight,
            label_bonus=bonus,
        )
        return hypotheses.labels[:, 0], hypotheses.lengths[:, 0]

    search = tf.function(decode, reduce_retracing=True, autograph=False)

    def errors(weights: speech_language.Weights) -> tuple[float, float]:
        texts = []
        for log_probs, steps in batches:
            labels, lengths = search(
                log_probs, steps, tf.constant(weights.language), tf.constant(weights.bonus)
            )
            texts += [
                examples.alphabet.decode(ids[:count])
                for ids, count in zip(labels.numpy(), lengths.numpy(), strict=True)
            ]
        rates = error_rates(texts, said)
        return rates[examples.headline], rates["cer"]

    best, fewest = speech_language.Weights(), errors(speech_language.Weights())
    for weight in _WEIGHTS:
        for bonus in _BONUSES:
            weights = speech_language.Weights(language=weight, bonus=bonus)
            if (wrong := errors(weights)) < fewest:
                best, fewest = weights, wrong
    return best, fewest[0]


def adapt(network: keras.Model, examples: SpeechExamples) -> None:
    """Gives a network that normalises globally the statistics of the training recordings."""
    layer = network.get_layer("normalisation")
    if layer.per == "global":
        mean_M, deviation_M = examples.statistics()
        layer.adapt(np.asarray(mean_M, np.float32), np.asarray(deviation_M, np.float32))


def heard(served: Transcribe, samples_N: npt.NDArray[np.int16]) -> dict[str, Any]:
    """What `plots.plot_hearing` draws of one recording: features, probabilities and words.

    Args:
        served: The served functions.
        samples_N: int16, (N,), at the rate of the features.
    """
    settings = served.features
    values_1N = tf.constant(samples_N[np.newaxis] / 32768.0, tf.float32)
    read = Samples(values_1N, tf.constant([len(samples_N)]), tf.constant([0]))
    log_probs_1SV, _ = served.log_probs(read)
    defaults = vars(Transcription())
    options: dict[str, Any] = {
        name: tf.constant([value]) for name, value in defaults.items() if name != "hot_words"
    }
    options["hot_words"] = tf.zeros([1, 0], tf.string)
    (answer,) = _rows(served.answer(read, options))
    return {
        "features_TM": log_mel(values_1N, settings)[0].numpy(),
        "hop_s": settings.hop / settings.sample_rate_hz,
        "probabilities_SV": np.exp(log_probs_1SV[0].numpy()),
        "step_s": served.step_s,
        "symbols": served.symbols,
        "words": list(zip(answer["words"], answer["starts"], answer["ends"], strict=True)),
    }


def _rows(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The words of each row of an answer and their times."""
    counts = outputs["words_lengths"].numpy()
    return [
        {
            "words": [word.decode() for word in outputs["words"].numpy()[row][:count]],
            "starts": outputs["starts"].numpy()[row][:count].tolist(),
            "ends": outputs["ends"].numpy()[row][:count].tolist(),
        }
        for row, count in enumerate(counts)
    ]
