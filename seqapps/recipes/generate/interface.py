"""What a language model's bundle takes and gives: `answer.py` as an `Interface`."""

from seqapps.fields import Field, Interface, Option, Signature

_NATS = "log-probability, nats"


def _number(name: str, unit: str = "", description: str = "") -> Field:
    return Field(name=name, dtype="float32", media="number", unit=unit, description=description)


def _whole(name: str, description: str, unit: str = "") -> Field:
    return Field(name=name, dtype="int32", media="number", unit=unit, description=description)


_TOKENS = Field(
    name="token_log_probabilities",
    dtype="float32",
    rank=1,
    media="number",
    unit=_NATS,
    description="The model's own, of each token.",
)


_LENGTH = Field(
    name="length",
    dtype="int32",
    media="number",
    unit="tokens",
    description="To write at most now.",
    costs="tokens",
)


def _pen(state_size: int) -> tuple[Field, ...]:
    """Where a text stands: `decoding.sampling_loop.Pen`."""
    return (
        Field(
            name="state",
            dtype="float32",
            rank=1,
            width=(state_size,),
            fixed=True,
            media="series",
            description="The network's, before it reads `token`.",
        ),
        _whole("token", "The last token so far."),
        _whole("position", "Tokens written so far."),
        Field(
            name="counts",
            dtype="int32",
            rank=1,
            media="series",
            description="How often each token of the vocabulary occurred.",
        ),
        Field(name="tail", description="The last bytes written."),
        _whole("held", "How many of these were not handed out yet."),
        _whole("done", "1: nothing follows."),
    )


def writer_interface(options: tuple[Option, ...], *, state_size: int) -> Interface:
    """A prompt in, text out; or state in, state out; or a text in and how likely it is.

    Args:
        options: Strategy values, those of `decoding.settings.Sampling`.
        state_size: Numbers that the network carries from token to token.
    """
    pen = _pen(state_size)
    begun = tuple(field for field in pen if field.name in ("state", "token", "counts"))
    return Interface(
        inputs=(Field(name="prompt", description="What the text goes on from; may be empty."),),
        outputs=(
            Field(name="text", description="What comes after the prompt."),
            _number("log_probability", _NATS, "Of the text."),
        ),
        details=(
            Field(name="samples", rank=1, description="As many texts as were asked for."),
            Field(
                name="sample_log_probabilities", dtype="float32", rank=1, media="number", unit=_NATS
            ),
            _TOKENS,
            _whole("truncated", "1: the text was cut by `max_length`."),
        ),
        options=options,
        further=(
            Signature(name="init", outputs=pen, description="Reads a prompt."),
            Signature(
                name="read",
                inputs=(*begun, Field(name="text", description="What the state reads.")),
                outputs=pen,
                description="Reads on: state in, state out; what is written then is a new text.",
            ),
            Signature(
                name="step",
                inputs=(*pen, _LENGTH),
                options=tuple(o.name for o in options if o.name not in ("samples", "beam_width")),
                outputs=(*pen, Field(name="text", description="What can be shown now."), _TOKENS),
                description="Writes some more tokens: state in, state out.",
            ),
            Signature(
                name="score",
                inputs=(Field(name="text", description="A whole text."),),
                outputs=(
                    _number("log_probability", _NATS),
                    _number("perplexity", description="Of a token."),
                    _number("bits_per_character", "bits"),
                    _TOKENS,
                ),
                description="How likely a text is.",
            ),
        ),
    )
