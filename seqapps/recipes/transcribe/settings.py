"""Settings of a speech recogniser."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from seqapps.audio.settings import Augmentation, Features
from seqapps.automatic import auto
from seqapps.automatic import settled as filled
from seqapps.decoding.settings import Transcription
from seqapps.recipes.transcribe.data_settings import DigitStrings, SpeechData, SyntheticVoices
from seqapps.space import Float, OneOf, Space, Whole
from seqapps.text.settings import PYTHON_HELP, Transcripts
from seqapps.training.settings import Training

_MINUTES = 5.0
"""That a training takes where nobody says."""
_TRAINING = 0.8
"""Share of them that updates take."""
_SPEED = 180.0
"""Seconds of sound that a training hears in a second, on two cores."""
_SHARE = 0.6
"""Share of synthetic voices at first."""
_SPOKEN = 0.6
"""Share of the training after which they are silent."""


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """Size and kind of a speech recogniser.

    Raises:
        ValueError: If a value is outside its range.
    """

    channels: int = 32
    """Channels of each convolution of the front end."""
    time_strides: tuple[int, ...] = (3, 1)
    """Frames that become one, for each convolution; their product times the hop is the time from
    one output to the next."""
    kernel: int = 3
    """Frames and bands that a convolution looks at."""
    projection: int = 128
    """Width between the front end and the recurrent layers."""
    units: int = auto(128)
    """Units of each recurrent layer and direction."""
    depth: int = 2
    """Recurrent layers on top of each other."""
    cell: Literal["gru", "lstm", "rnn", "mingru"] = "gru"
    """Kind of recurrence: `mingru` is fastest, `rnn` (vanilla) shows why the others exist."""
    streaming: bool = False
    """Answer while it hears. Sets what that needs: `bidirectional` and `features.centre` to false,
    `features.normalise` to global."""
    bidirectional: bool = True
    """Read each recording backwards too; a streaming model cannot."""
    lookahead: int = 8
    """Outputs of the recurrent layers to come that a model reading forward only looks at."""
    normalisation: Literal["none", "layer"] = "layer"
    """Normalise the output of each recurrent layer."""
    dropout: float = auto(0.15)
    """Share of elements dropped between layers, in training."""
    heard_warps: tuple[float, ...] = ()
    """Hear each recording once for each of these, its frequency axis stretched by that factor, and
    take the mean: for speakers unlike those of training, and slower by as much. []: once, as it
    is."""

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "projection", "units", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd and at least 3, got {self.kernel}; use 3 or 5.")
        if not self.time_strides or min(self.time_strides) < 1:
            raise ValueError(
                f"time_strides must hold numbers of at least 1, got {list(self.time_strides)}."
            )
        if self.lookahead < 0:
            raise ValueError(f"lookahead must be at least 0, got {self.lookahead}.")
        if not all(0.5 <= factor <= 2.0 for factor in self.heard_warps):
            raise ValueError(
                f"heard_warps must be factors from 0.5 to 2, got {list(self.heard_warps)}; "
                "for example [0.92, 1, 1.08]; [] switches it off."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}; 0 switches it off.")

    @property
    def stride(self) -> int:
        """Frames that become one output."""
        return math.prod(self.time_strides)


def streaming_settings(model: Recogniser, features: Features) -> tuple[Recogniser, Features]:
    """Gives a streaming model what it needs; other models and their features stay as they are."""
    if not model.streaming:
        return model, features
    return (
        replace(model, bidirectional=False),
        replace(features, centre=False, normalise="global"),
    )


def recogniser_settings(model: Recogniser, features: Features) -> None:
    """Checks that a network and its features go together.

    Raises:
        ValueError: If a streaming model, or one that reads forward only, is to know what is to
            come, or to look back before its start.
    """
    for name, value, needed in (
        ("model.bidirectional", model.bidirectional, False),
        ("features.centre", features.centre, False),
        ("features.normalise", features.normalise, "global"),
    ):
        if model.streaming and value != needed:
            raise ValueError(
                f"a streaming model knows nothing of what is to come, so {name} must be "
                f"{str(needed).lower()}, got {str(value).lower()}; streaming_settings sets it."
            )
    if model.streaming and model.heard_warps:
        raise ValueError(
            "a streaming model hears each recording once, as it is; leave model.heard_warps empty."
        )
    if not model.bidirectional and features.normalise == "utterance":
        raise ValueError(
            "a model that reads forward only (model.bidirectional false) must normalise by the "
            "training data, for it does not know the recording's end: set features.normalise to "
            "'global'."
        )
    if not model.bidirectional and features.centre:
        raise ValueError(
            "a model that reads forward only (model.bidirectional false) must take frames as they "
            "come, not centred on their time: set features.centre to false."
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a speech recogniser."""

    data: SpeechData = field(default_factory=SpeechData)
    digits: DigitStrings = field(default_factory=DigitStrings)
    voices: SyntheticVoices = field(default_factory=SyntheticVoices)
    text: Transcripts = field(default_factory=Transcripts)
    features: Features = field(default_factory=Features)
    augmentation: Augmentation = field(default_factory=Augmentation)
    model: Recogniser = field(default_factory=Recogniser)
    training: Training = field(
        default_factory=lambda: Training(
            epochs=auto(4),
            batch_tokens=auto(5000),
            learning_rate=auto(3e-3),
            warmup_steps=100,
            weight_decay=0.01,
            average_decay=auto(0.98),
            label_smoothing=0.0,
        )
    )
    decoding: Transcription = field(default_factory=Transcription)
    seed: int = 0
    """Of everything random in training, and of what is held out."""

    def __post_init__(self) -> None:
        model, features = streaming_settings(self.model, self.features)
        # A streaming model is one setting; what it needs follows.
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "features", features)
        recogniser_settings(model, features)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the rule looks at."""

    minutes: float
    """Of training recordings."""
    rate_hz: int
    """Samples a second that nine in ten of them have at least."""
    language: str = ""
    """As eSpeak NG names it; empty if it is not known."""


def settled(config: Config, sizes: Sizes) -> Config:
    """Settings that nobody chose, for so many recordings and minutes.

    The training takes 5 minutes. With under ten hours of recordings punctuation is left out, which
    nobody says; with under two, synthetic voices speak most of what is heard at first and are
    silent after about six tenths of the training, and English is learned from Python's help too.
    What fits into the minutes is estimated for two cores; where that is fewer than ten passes, the
    network is narrower, as that of the embedded speech.
    """
    hours = sizes.minutes / 60.0
    config = filled(
        config,
        training__minutes=_MINUTES,
        voices__language=sizes.language,
        text__language=sizes.language,
    )
    voiced = config.voices.language and hours < 2
    config = filled(config, voices__share=_SHARE if voiced else 0.0)
    minutes, share, language = config.training.minutes, config.voices.share, config.voices.language
    heard_s = 60.0 * sizes.minutes / (1.0 - share)
    passes = 60.0 * _TRAINING * minutes * _SPEED / heard_s if minutes else config.training.epochs
    return filled(
        config,
        features__sample_rate_hz=min(16_000, max(8_000, sizes.rate_hz)),
        features__mels=40,
        text__punctuation="drop" if hours < 10 else "keep",
        text__language_text=PYTHON_HELP if share and language.startswith("en") else "",
        voices__passes=max(1, round(_SPOKEN * passes)),
        # What they would say if each text came once, if that is less.
        voices__minutes=max(1.0, min(60.0, round(share * _SPOKEN * passes * heard_s / 120.0, 1))),
        model__units=192 if passes >= 10 else 128,
        model__dropout=0.25 if hours < 1 else 0.15,
        training__average_decay=0.99,
    )


FIXED = {
    "text": "pieces alphabet lower language punctuation strip",
    "features": "*",
    "model": "channels time_strides kernel projection units depth cell streaming bidirectional "
    "lookahead normalisation",
}
"""Settings that a bundle has once and for all."""


RECOGNISER_SPACE: Space = {
    "training.learning_rate": Float(5e-4, 1e-2, log=True),
    "training.weight_decay": Float(1e-5, 1e-1, log=True),
    "model.channels": Whole(16, 64, step=16),
    "model.units": Whole(64, 384, step=64),
    "model.depth": Whole(1, 4),
    "model.cell": OneOf(("gru", "lstm", "mingru")),
    "model.dropout": Float(0.0, 0.5),
    "augmentation.speed": Float(0.0, 0.2),
    "augmentation.warp": Float(0.0, 0.25),
    "augmentation.time_share": Float(0.0, 0.15),
    "augmentation.band_share": Float(0.0, 0.35),
}
"""What is worth trying in the training of a recogniser."""
