"""What a recogniser takes and gives."""

from collections.abc import Sequence

from seqapps.fields import Field, Interface, Option, Signature

_PROBABILITY, _SECONDS = "probability, 0 to 1", "s"


def recogniser_interface(options: Sequence[Option]) -> Interface:
    """A WAV file in, text and confidence out; samples in, words with their times out.

    Args:
        options: Strategy values.
    """
    answer = (
        Field(name="text", description="What is said."),
        Field(
            name="confidence",
            dtype="float32",
            media="number",
            unit=_PROBABILITY,
            description="Mean probability of its characters.",
        ),
        Field(name="status", description="`ok`, or what is wrong with the recording."),
    )
    words = (
        Field(name="words", rank=1, description="The words of the text."),
        Field(name="starts", dtype="float32", rank=1, media="number", unit=_SECONDS),
        Field(name="ends", dtype="float32", rank=1, media="number", unit=_SECONDS),
        Field(name="word_confidences", dtype="float32", rank=1, media="number", unit=_PROBABILITY),
        Field(
            name="seconds",
            dtype="float32",
            media="number",
            unit=_SECONDS,
            description="Length of the recording.",
        ),
    )
    return Interface(
        inputs=(Field(name="audio", media="wav", description="The bytes of a WAV file."),),
        outputs=answer,
        details=(
            *words,
            Field(name="alternatives", rank=1, description="The n best texts, best first."),
            Field(
                name="alternative_scores",
                dtype="float32",
                rank=1,
                media="number",
                unit="log-probability, nats",
                description="Of network and language model, with what hot words add; the order "
                "counts a bonus for each symbol too.",
            ),
        ),
        options=tuple(options),
        further=(
            Signature(
                name="pcm",
                inputs=(
                    Field(
                        name="samples",
                        dtype="float32",
                        rank=1,
                        media="sound",
                        description="Between -1 and 1.",
                    ),
                    Field(name="rate_hz", dtype="int32", media="number", unit="Hz"),
                ),
                outputs=(*answer, *words),
                options=tuple(option.name for option in options if option.name != "n_best"),
                description="Samples instead of a file; words with their times.",
            ),
        ),
    )
