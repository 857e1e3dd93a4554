"""A trained streaming recogniser as functions of portions of sound, with the state in and out."""

# B batch, N samples, S output steps, V outputs, K hypotheses

from typing import Any

import keras
import tensorflow as tf

from seqapps.audio.mel import log_mel
from seqapps.audio.portions import Rows, dropped, exact_rate, joined, resample_on, rows_of
from seqapps.audio.settings import Features
from seqapps.audio.wav import HIGHEST_RATE, LOWEST_RATE
from seqapps.decoding.ctc_stream import Search, Step, search_on, start_search
from seqapps.fields import MAIN, Answers, Assets
from seqapps.recipes.transcribe.answer import Transcribe, each_row
from seqapps.recipes.transcribe.settings import Recogniser
from seqapps.recipes.transcribe.stream_network import Memory, RecogniserStream


class TranscribeStream:
    """What is served of a streaming model besides: `init`, `step` and `flush`.

    A stream in portions of any size gives the log-probabilities of the whole recording, within
    rounding, and its text.

    Args:
        network: From `build_recogniser`.
        assets: Alphabet and language model.
        features: How recordings become features.
        model: Settings of the network.

    Raises:
        ValueError: If it is no streaming model.
    """

    def __init__(
        self,
        network: keras.Model,
        assets: Assets,
        *,
        features: Features,
        model: Recogniser,
    ) -> None:
        self._stream = RecogniserStream(network, model, features)
        self._served = Transcribe(network, assets, features=features, stride=model.stride)
        self._features, self._model = features, model

    def init(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Begins streams.

        Args:
            inputs: `rate_hz`: int32, (B,).
            options: None.

        Returns:
            The state: tensors by name, of the shapes that `streaming_interface` declares.
        """
        batch = tf.shape(inputs["rate_hz"])[0]
        nothing = Rows(tf.zeros(tf.stack([batch, 0])), tf.zeros(tf.stack([batch]), tf.int32))
        memory = self._stream.begin(batch)
        counters = tf.zeros(tf.stack([batch, 3]), tf.int32)
        return self._state(
            inputs["rate_hz"], nothing, nothing, memory, start_search(batch), counters
        )

    def step(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Hears some more.

        Args:
            inputs: The state; `samples` float32 (B, N), between -1 and 1, and `samples_lengths`
                int32 (B,), any number, 0 too.
            options: As in a call; `pause_s` float32, (B,) or (1,).

        Returns:
            The new state; `text` string (B,), what is certain now and was not before; `partial`
            string (B,); `log_probabilities` float32 (B, S × V), and its `_lengths`; `status`
            string (B,).
        """
        samples = tf.where(tf.math.is_finite(inputs["samples"]), inputs["samples"], 0.0)
        return self._go(inputs, rows_of(samples, inputs["samples_lengths"]), options, last=False)

    def step_int16(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Hears some more: the same of bytes.

        Args:
            inputs: The state; `pcm` string (B,): int16, little-endian; an odd last byte is left
                out.
            options: As in `step`.
        """
        with tf.device("/CPU:0"):
            counts_B = tf.strings.length(inputs["pcm"]) // 2
            most = 2 * tf.reduce_max(tf.concat([counts_B, [1]], 0))
            values_BN = tf.io.decode_raw(inputs["pcm"], tf.int16, fixed_length=most)
        samples = tf.cast(values_BN, tf.float32) / 32768.0
        return self._go(inputs, rows_of(samples, counts_B), options, last=False)

    def flush(self, inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Ends streams.

        Args:
            inputs: The state.
            options: As in `step`.

        Returns:
            `text`, `log_probabilities` and `status` as in `step`: the rest.
        """
        batch = tf.shape(inputs["rate_hz"])[0]
        nothing = Rows(tf.zeros(tf.stack([batch, 1])), tf.zeros(tf.stack([batch]), tf.int32))
        answer = self._go(inputs, nothing, options, last=True)
        names = ("text", "log_probabilities", "log_probabilities_lengths", "status")
        return {name: answer[name] for name in names}

    def _go(
        self, inputs: dict[str, Any], new: Rows, options: dict[str, Any], *, last: bool
    ) -> dict[str, Any]:
        features, target = self._features, self._features.sample_rate_hz
        rates_B = inputs["rate_hz"]
        good_B = exact_rate(rates_B, target)
        new = Rows(new.values, tf.where(good_B, new.lengths, 0))
        skips, waiting, begun_B, sure_B, quiet_B, shown_B = self._counters(inputs["counters"])
        tail = rows_of(inputs["tail"], inputs["tail_lengths"])
        made, tail = resample_on(tail, new, tf.where(good_B, rates_B, target), target, last=last)
        sound = joined(rows_of(inputs["frame"], inputs["frame_lengths"]), made)
        counts_B = tf.maximum(1 + (sound.lengths - features.window) // features.hop, 0)
        if last:
            # A recording that is shorter than a window has one frame.
            short_B = ~begun_B & (sound.lengths > 0)
            counts_B = tf.where(short_B, tf.maximum(counts_B, 1), counts_B)
        frames = Rows(log_mel(sound.values, features), counts_B)
        log_probs, memory = self._stream(
            frames, Memory(inputs["memory"], skips, waiting), last=last
        )
        step = self._searched(
            log_probs, options, self._search_state(inputs, sure_B, quiet_B), last=last
        )
        text_B, shown_B = _pieces(step.final, shown_B)
        outputs = log_probs.values.shape[-1]
        shape = tf.shape(log_probs.values)
        flags = tf.stack([tf.cast(begun_B | (counts_B > 0), tf.int32), shown_B], 1)
        return {
            **self._state(
                rates_B, tail, dropped(sound, counts_B * features.hop), memory, step.search, flags
            ),
            "text": text_B,
            "partial": tf.strings.strip(tf.strings.regex_replace(step.partial, " +", " ")),
            "log_probabilities": tf.reshape(log_probs.values, [shape[0], shape[1] * outputs]),
            "log_probabilities_lengths": log_probs.lengths * outputs,
            "status": tf.where(
                good_B,
                "ok",
                "sample rate not supported: a stream's must be from "
                f"{LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz and meet the model's {target:,} Hz "
                "exactly, as all multiples of 100 Hz do, 11,025 and 22,050 Hz",
            ),
        }

    def _counters(self, counters: Any) -> tuple[Any, ...]:
        """What `_state` packed; a caller may send anything."""
        strides = self._model.time_strides
        split = len(strides)
        waiting, begun, sure, quiet, shown = tf.unstack(counters[:, split:], 5, 1)
        return (
            tf.clip_by_value(counters[:, :split], 0, tf.constant(strides) - 1),
            tf.clip_by_value(waiting, 0, self._model.lookahead),
            begun != 0,
            sure != 0,
            tf.clip_by_value(quiet, 0, 1 << 20),
            tf.clip_by_value(shown, 0, 2),
        )

    def _search_state(self, inputs: dict[str, Any], sure_B: Any, quiet_B: Any) -> Search:
        there = [tf.shape(inputs[name])[1] for name in ("scores", "marks", "texts")]
        room = tf.reduce_min(tf.stack(there))
        lengths = [inputs[f"{name}_lengths"] for name in ("scores", "marks", "texts")]
        counts_B = tf.reduce_min(tf.stack(lengths, 1), 1)
        return Search(
            inputs["scores"][:, :room],
            inputs["marks"][:, :room],
            inputs["texts"][:, :room],
            tf.clip_by_value(counts_B, 0, room),
            sure_B,
            quiet_B,
        )

    def _searched(
        self, log_probs: Rows, options: dict[str, Any], search: Search, *, last: bool
    ) -> Step:
        served = self._served
        pause_B = each_row(options["pause_s"], log_probs.lengths)
        steps_B = tf.cast(
            tf.math.ceil(tf.clip_by_value(pause_B, 0.0, 3600.0) / served.step_s), tf.int32
        )

        def call(**strategy: Any) -> Step:
            return search_on(
                search,
                log_probs.values,
                log_probs.lengths,
                symbols_V=tf.constant(served.symbols),
                pause_B=steps_B,
                last=last,
                **strategy,
            )

        step: Step = served.searched(call, options, log_probs.lengths)
        return step

    def _state(
        self, rates_B: Any, tail: Rows, frame: Rows, memory: Memory, search: Search, flags: Any
    ) -> dict[str, Any]:
        counters = [
            memory.skips,
            memory.waiting[:, tf.newaxis],
            flags[:, :1],
            tf.cast(search.sure, tf.int32)[:, tf.newaxis],
            search.quiet[:, tf.newaxis],
            flags[:, 1:2],
        ]
        return {
            "rate_hz": rates_B,
            "tail": tail.values,
            "tail_lengths": tail.lengths,
            "frame": frame.values,
            "frame_lengths": frame.lengths,
            "memory": memory.values,
            "counters": tf.concat(counters, 1),
            "scores": search.scores,
            "scores_lengths": search.counts,
            "marks": search.marks,
            "marks_lengths": search.counts,
            "texts": search.texts,
            "texts_lengths": search.counts,
        }


def answers(
    network: keras.Model, assets: Assets, *, features: Features, model: Recogniser
) -> Answers:
    """What a recogniser serves, by signature: see `streaming_interface`."""
    whole = Transcribe(network, assets, features=features, stride=model.stride)
    if not model.streaming:
        return {MAIN: whole, "pcm": whole.pcm}
    stream = TranscribeStream(network, assets, features=features, model=model)
    return {
        MAIN: whole,
        "pcm": whole.pcm,
        "init": stream.init,
        "step": stream.step,
        "step_int16": stream.step_int16,
        "flush": stream.flush,
    }


def _pieces(final_B: Any, shown_B: Any) -> tuple[Any, Any]:
    """Text as it is put behind what was shown before, with one space between words.

    Args:
        final_B: string, (B,), with spaces as the labels have them.
        shown_B: int32, (B,): 0, nothing was shown yet; 1, something; 2, and a space is due.

    Returns:
        string, (B,), and the new `shown_B`.
    """
    spaced_B = tf.strings.regex_replace(final_B, " +", " ")
    body_B = tf.strings.strip(spaced_B)
    empty_B = body_B == ""
    leads_B = tf.strings.regex_full_match(spaced_B, " (?s:.*)")
    trails_B = tf.strings.regex_full_match(spaced_B, "(?s:.*) ")
    due_B = (shown_B == 2) | (leads_B & (shown_B > 0))
    text_B = tf.where(due_B & ~empty_B, tf.strings.join([" ", body_B]), body_B)
    after_B = tf.where(trails_B, 2, 1)
    waits_B = tf.where(due_B, 2, shown_B)
    return text_B, tf.where(empty_B, waits_B, after_B)
