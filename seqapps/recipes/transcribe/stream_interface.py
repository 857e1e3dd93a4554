"""What a streaming recogniser takes and gives besides: state in, state out."""

import math
from collections.abc import Sequence
from dataclasses import replace

from seqapps.audio.settings import Features
from seqapps.decoding.settings import MARKS, SCORES
from seqapps.fields import Field, Interface, Option, Signature
from seqapps.recipes.transcribe.interface import recogniser_interface
from seqapps.recipes.transcribe.settings import Recogniser

COUNTERS = 5
"""Whole numbers that a stream keeps besides those of each convolution."""
_OPTIONS = ("beam_width", "language", "hot_words", "hot_word_weight", "pause_s")


def memory_parts(settings: Recogniser, features: Features) -> list[tuple[int, ...]]:
    """Shapes of what the network keeps, one behind the other."""
    bands, channels = features.mels, 1
    parts: list[tuple[int, ...]] = []
    for _ in settings.time_strides:
        parts.append((settings.kernel - 1, bands, channels))
        bands, channels = -(-bands // 2), settings.channels
    states = settings.depth * (2 if settings.cell == "lstm" else 1)
    parts += [(settings.units,)] * states
    return [*parts, (settings.lookahead, settings.units)]


def memory_size(settings: Recogniser, features: Features) -> int:
    """How many numbers the network keeps for a row."""
    return sum(map(math.prod, memory_parts(settings, features)))


def latency_ms(settings: Recogniser, features: Features) -> float:
    """How long after a sound the network answers: a window and the lookahead."""
    return features.window_ms + settings.lookahead * settings.stride * features.hop_ms


def streaming_interface(
    options: Sequence[Option], *, model: Recogniser, features: Features
) -> Interface:
    """A recogniser's interface, with the signatures of a stream if it is a streaming one.

    Args:
        options: Strategy values.
        model: Its size and kind.
        features: What it hears.
    """
    interface = recogniser_interface(options)
    if not model.streaming:
        return interface
    state = _state(model, features)
    taken = tuple(option.name for option in options if option.name in _OPTIONS)
    status = Field(name="status", description="`ok`, or what is wrong with the stream.")
    heard = Field(
        name="log_probabilities",
        dtype="float32",
        rank=1,
        media="series",
        unit="log-probability, nats",
        description="Of each symbol and the blank, of those steps that are known now, step after "
        "step.",
    )
    final = Field(name="text", description="What is certain now, to be put behind what was before.")
    step_outputs = (
        *state,
        final,
        Field(name="partial", description="What seems to follow it; may still change."),
        heard,
        status,
    )
    late = f"some {latency_ms(model, features):.0f} ms after it was said"
    rate = Field(name="rate_hz", dtype="int32", media="number", unit="Hz")
    samples = Field(
        name="samples",
        dtype="float32",
        rank=1,
        media="sound",
        description="What was recorded since; between -1 and 1.",
    )
    pcm = Field(name="pcm", media="sound", description="The same as int16, little-endian bytes.")
    return replace(
        interface,
        further=(
            *interface.further,
            Signature(name="init", inputs=(rate,), outputs=state, description="Begins a stream."),
            Signature(
                name="step",
                inputs=(*state, samples),
                outputs=step_outputs,
                options=taken,
                description=f"Hears some more: state in, state out. A sound is known {late}.",
            ),
            Signature(
                name="step_int16",
                inputs=(*state, pcm),
                outputs=step_outputs,
                options=taken,
                description="The same of the bytes that a microphone gives.",
            ),
            Signature(
                name="flush",
                inputs=state,
                outputs=(final, heard, status),
                options=taken,
                description="Ends a stream: the rest of the text.",
            ),
        ),
    )


def _state(model: Recogniser, features: Features) -> tuple[Field, ...]:
    def numbers(name: str, description: str) -> Field:
        return Field(name=name, dtype="float32", rank=1, media="series", description=description)

    return (
        Field(name="rate_hz", dtype="int32", media="number", unit="Hz"),
        numbers("tail", "Samples that the resampler still needs."),
        numbers("frame", "Samples of the frame that is not full yet."),
        Field(
            name="memory",
            dtype="float32",
            rank=1,
            width=(memory_size(model, features),),
            fixed=True,
            media="series",
            description="The network's.",
        ),
        Field(
            name="counters",
            dtype="int32",
            rank=1,
            width=(len(model.time_strides) + COUNTERS,),
            fixed=True,
            media="series",
            description="Where convolutions and text stand.",
        ),
        Field(
            name="scores",
            dtype="float32",
            rank=2,
            width=(SCORES,),
            media="series",
            description="Of each hypothesis of the search.",
        ),
        Field(
            name="marks",
            dtype="int32",
            rank=2,
            width=(MARKS,),
            media="series",
            description="Last symbol, context and hashes of each.",
        ),
        Field(name="texts", rank=1, description="What of each is not certain yet."),
    )
