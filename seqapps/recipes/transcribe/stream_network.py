"""A recogniser that hears portion by portion: its network with the state in and out.

Each layer keeps what it needs of the past: a convolution its last frames, a recurrent layer its
state, the lookahead those steps for which it waits.
"""

# B batch, T frames, M mel bands, C channels, S output steps, V outputs, D width

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqapps.audio.portions import Rows, dropped, joined
from seqapps.audio.settings import Features
from seqapps.recipes.transcribe.network import (
    FRONT_END,
    LOOKAHEAD,
    NORMALISATION,
    OUTPUT,
    PROJECTION,
    STACK,
)
from seqapps.recipes.transcribe.settings import Recogniser, recogniser_settings
from seqapps.recipes.transcribe.stream_interface import memory_parts, memory_size


class Memory(NamedTuple):
    """What the network keeps from portion to portion."""

    values: Any
    """float32, (B, `memory_size`): last frames of each convolution, states, steps that wait."""
    skips: Any
    """int32, (B, convolutions): frames that each convolution leaves out before its next step."""
    waiting: Any
    """int32, (B,): steps that wait for those after them."""


class RecogniserStream:
    """The network of a streaming model, portion by portion.

    Args:
        network: From `build_recogniser`.
        settings: Those it was built with.
        features: Likewise.

    Raises:
        ValueError: If it is no streaming model.
    """

    def __init__(self, network: keras.Model, settings: Recogniser, features: Features) -> None:
        if not settings.streaming:
            raise ValueError(
                "only a model that was trained for it hears portion by portion, got streaming "
                "False; train with model.streaming true."
            )
        recogniser_settings(settings, features)
        layer = network.get_layer
        self._normalisation, self._front_end = layer(NORMALISATION), layer(FRONT_END)
        self._projection, self._stack, self._output = layer(PROJECTION), layer(STACK), layer(OUTPUT)
        self._lookahead = layer(LOOKAHEAD) if settings.lookahead else None
        self._steps = settings.lookahead
        self._parts, self._size = memory_parts(settings, features), memory_size(settings, features)

    def begin(self, batch: Any) -> Memory:
        """Before anything was heard.

        Args:
            batch: int or int32 tensor, (): how many rows.
        """
        return Memory(
            tf.zeros(tf.stack([batch, self._size])),
            tf.zeros(tf.stack([batch, len(self._front_end.convolutions)]), tf.int32),
            tf.zeros(tf.stack([batch]), tf.int32),
        )

    def __call__(self, frames: Rows, memory: Memory, *, last: bool) -> tuple[Rows, Memory]:
        """Hears some more.

        Args:
            frames: float32, (B, T, M): log-mel features that were not heard yet.
            memory: From `begin` or the call before.
            last: Whether nothing follows.

        Returns:
            Log-probabilities, float32 (B, S, V), of those steps that are known now; and the new
            memory. All portions together give what the whole gives, within rounding.
        """
        kept = self._unpacked(memory.values)
        convolutions = self._front_end.convolutions
        values = Rows(self._normalisation(frames.values, frames.lengths), frames.lengths)
        values = Rows(values.values[:, :, :, tf.newaxis], values.lengths)
        after, skips = [], []
        for number in range(len(convolutions)):
            values, context, skip = self._convolved(
                number, values, kept[number], memory.skips[:, number]
            )
            after.append(context)
            skips.append(skip)
        width = values.values.shape[2] * values.values.shape[3]
        shape = tf.shape(values.values)
        projected = self._projection(tf.reshape(values.values, [shape[0], shape[1], width]))
        states = [tf.cast(part, self._stack.compute_dtype) for part in kept[len(convolutions) : -1]]
        outputs, states = self._stack(projected, values.lengths, initial_state=states)
        steps = Rows(outputs, values.lengths)
        waiting = Rows(tf.cast(kept[-1], outputs.dtype), memory.waiting)
        steps, waiting = self._looked_ahead(steps, waiting, last=last)
        log_probs = Rows(tf.nn.log_softmax(self._output(steps.values)), steps.lengths)
        values_BD = self._packed([*after, *states, waiting.values])
        return log_probs, Memory(values_BD, tf.stack(skips, 1), waiting.lengths)

    def _convolved(
        self, number: int, new: Rows, context: Any, skip_B: Any
    ) -> tuple[Rows, Any, Any]:
        """One convolution with its norm: steps, its last frames, and what to leave out next."""
        layer = self._front_end
        convolution, stride = layer.convolutions[number], layer.time_strides[number]
        past = layer.kernel - 1
        batch = tf.shape(new.lengths)[0]
        context = Rows(tf.cast(context, new.values.dtype), tf.fill([batch], past))
        every = joined(context, new)
        counts_B = tf.maximum(-(-(new.lengths - skip_B) // stride), 0)
        read = dropped(every, skip_B).values
        # At least one step is calculated, of nothing if need be.
        read = tf.pad(read, [[0, 0], [0, past], [0, 0], [0, 0]])
        side = past
        extra = 1 - read.shape[2] % 2
        read = tf.cast(read, layer.compute_dtype)
        read = tf.pad(read, [[0, 0], [0, 0], [side - side // 2, side // 2 - extra], [0, 0]])
        values = tf.nn.relu(layer.norms[number](convolution(read), training=False))
        counted = tf.sequence_mask(counts_B, tf.shape(values)[1], values.dtype)
        kept = dropped(every, new.lengths).values[:, :past]
        return (
            Rows(values * counted[:, :, tf.newaxis, tf.newaxis], counts_B),
            kept,
            skip_B + counts_B * stride - new.lengths,
        )

    def _looked_ahead(self, new: Rows, waiting: Rows, *, last: bool) -> tuple[Rows, Rows]:
        """Those steps whose steps to come are there, and those that wait on."""
        if self._lookahead is None:
            return new, waiting
        ahead = self._steps
        every = joined(waiting, new)
        counts_B = every.lengths if last else tf.maximum(every.lengths - ahead, 0)
        padded = tf.pad(every.values, [[0, 0], [0, ahead], [0, 0]])
        known = self._lookahead.valid(padded)
        most = tf.reduce_max(tf.concat([counts_B, [1]], 0))
        rest = dropped(every, counts_B)
        rest = Rows(tf.pad(rest.values, [[0, 0], [0, ahead], [0, 0]])[:, :ahead], rest.lengths)
        return Rows(known[:, :most], counts_B), rest

    def _packed(self, parts: list[Any]) -> Any:
        """What is kept as one row of numbers, float32 (B, `memory_size`)."""
        flat = [
            tf.reshape(tf.cast(part, tf.float32), [tf.shape(part)[0], math.prod(shape)])
            for part, shape in zip(parts, self._parts, strict=True)
        ]
        return tf.concat(flat, 1)

    def _unpacked(self, values_BD: Any) -> list[Any]:
        """The parts again, in their shapes."""
        sizes = [math.prod(shape) for shape in self._parts]
        batch = tf.shape(values_BD)[0]
        return [
            tf.reshape(part, [batch, *shape])
            for part, shape in zip(tf.split(values_BD, sizes, 1), self._parts, strict=True)
        ]
