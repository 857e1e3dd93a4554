"""Settings of the networks that recipes share."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from seqapps.audio.settings import Features
from seqapps.tuning_space import Float, OneOf, Space, Whole


@dataclass(frozen=True, kw_only=True)
class Translator:
    """Size and kind of an encoder-decoder with attention.

    Raises:
        ValueError: If a value is outside its range.
    """

    embedding: int = 128
    """Width of the token embeddings, and of the layer before the logits."""
    units: int = 256
    """Units of each decoder layer; the encoder has half of them in each direction."""
    encoder_depth: int = 1
    """Recurrent layers of the encoder."""
    decoder_depth: int = 2
    """Recurrent layers of the decoder: one below attention, the others above."""
    cell: Literal["gru", "lstm", "rnn", "mingru"] = "gru"
    """Kind of recurrence: `mingru` is fastest, `rnn` (vanilla) shows why the others exist."""
    attention: Literal["additive", "multiplicative"] = "multiplicative"
    """Bahdanau's or Luong's attention."""
    residual: bool = False
    """Add each recurrent layer's input to its output where the widths are equal."""
    normalisation: Literal["none", "layer"] = "none"
    """Normalise the output of each recurrent layer."""
    dropout: float = 0.1
    """Share of elements dropped from embeddings, between layers and before the logits, in
    training."""
    token_dropout: float = 0.0
    """Share of tokens whose whole embedding is dropped in training."""
    share_embeddings: bool = False
    """One vocabulary and one embedding table for both languages."""

    def __post_init__(self) -> None:
        if self.units < 2 or self.units % 2:
            raise ValueError(
                f"units must be even and at least 2, got {self.units}: each reading direction of "
                "the encoder takes half."
            )
        if self.decoder_depth < 2:
            raise ValueError(
                f"decoder_depth must be at least 2, got {self.decoder_depth}: one layer below "
                "attention and one above it."
            )
        for name in ("embedding", "encoder_depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("dropout", "token_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be in [0, 1), got {getattr(self, name)}; 0 switches it off."
                )


TRANSLATOR_SPACE: Space = {
    "training.learning_rate": Float(5e-4, 1e-2, log=True),
    "training.warmup_steps": Whole(50, 400, step=50),
    "training.label_smoothing": Float(0.0, 0.2),
    "model.embedding": Whole(64, 256, step=64),
    "model.units": Whole(128, 512, step=64),
    "model.cell": OneOf(("gru", "lstm", "mingru")),
    "model.attention": OneOf(("additive", "multiplicative")),
    "model.dropout": Float(0.0, 0.5),
}
"""What is worth trying in the training of a translator."""


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Size and kind of a recurrent classifier.

    Raises:
        ValueError: If a value is outside its range.
    """

    embedding: int = 64
    """Width of the token embeddings."""
    units: int = 96
    """Units of each recurrent layer and direction."""
    depth: int = 1
    """Recurrent layers on top of each other."""
    cell: Literal["gru", "lstm", "rnn", "mingru"] = "gru"
    """Kind of recurrence: `mingru` is fastest, `rnn` (vanilla) shows why the others exist."""
    bidirectional: bool = True
    """Read each text backwards too."""
    pools: tuple[Literal["attention", "max", "mean", "last"], ...] = ("attention", "last")
    """How the steps of a text become one vector; several are put side by side."""
    normalisation: Literal["none", "batch", "layer"] = "batch"
    """Normalise the pooled vector, over the batch or over its elements."""
    hidden: int = 64
    """Units of the layer between pooling and the logits; 0 for none."""
    pairs: int = 0
    """Buckets of a linear model of tokens and pairs of neighbours, fitted beside the recurrence and
    added to its logits; 0 for none. Good for long texts, in which many words speak for
    themselves."""
    dropout: float = 0.05
    """Share of elements dropped between layers, in training; real texts bear more."""
    channel_dropout: float = 0.0
    """Share of embedding elements dropped for all words of a text alike, in training."""
    word_dropout: float = 0.0
    """Share of tokens whose whole embedding is dropped in training: good for long texts, bad where
    a single word decides."""

    def __post_init__(self) -> None:
        for name in ("embedding", "units", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("hidden", "pairs"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must be at least 0, got {getattr(self, name)}; 0 leaves it out."
                )
        if not self.pools:
            raise ValueError("pools must name at least one way of pooling, got none.")
        for name in ("dropout", "channel_dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be in [0, 1), got {getattr(self, name)}; 0 switches it off."
                )


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """A first phase, in which the encoder learns to predict words, and how it is let go after.

    Source: Dai and Le 2015 (the idea); Howard and Ruder 2018 (gradual unfreezing, lower rates for
    lower layers).

    Raises:
        ValueError: If a value is outside its range.
    """

    epochs: int = 0
    """Passes of language modelling over the training texts before anything else; 0 for none."""
    learning_rate: float = 3e-3
    """Highest learning rate of that phase."""
    batch_tokens: int = 4096
    """Most tokens in one of its batches."""
    samples: int = 512
    """Wrong words that each batch is compared with, in place of the whole vocabulary."""
    dropout: float = 0.1
    """Share of elements dropped in that phase."""
    unfreeze_epochs: float = 1.0
    """Epochs of fine-tuning after which each further layer, from the top, begins to learn; parts
    of epochs are allowed, 0 lets all learn from the start."""
    layer_rate: float = 0.4
    """Each layer's learning rate as a share of the one above it, in fine-tuning."""

    def __post_init__(self) -> None:
        least = {"epochs": 0, "batch_tokens": 1, "samples": 1, "unfreeze_epochs": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}; 0 switches it off.")
        if not 0 < self.layer_rate <= 1:
            raise ValueError(f"layer_rate must be above 0 and at most 1, got {self.layer_rate}.")


CLASSIFIER_SPACE: Space = {
    "training.learning_rate": Float(5e-4, 1e-2, log=True),
    "training.weight_decay": Float(1e-5, 1e-1, log=True),
    "training.label_smoothing": Float(0.0, 0.2),
    "model.embedding": Whole(32, 256, step=32),
    "model.units": Whole(32, 256, step=32),
    "model.depth": Whole(1, 2),
    "model.cell": OneOf(("gru", "lstm", "mingru")),
    "model.normalisation": OneOf(("none", "batch", "layer")),
    "model.dropout": Float(0.0, 0.6),
    "model.word_dropout": Float(0.0, 0.3),
}
"""What is worth trying in the training of a classifier."""


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """Size, kind and regularisation of a recurrent language model.

    Source: Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models".

    Raises:
        ValueError: If a value is outside its range.
    """

    cell: Literal["gru", "lstm", "rnn", "mingru"] = "gru"
    """Kind of recurrence: `mingru` is parallel over time, `rnn` (vanilla) shows why the others
    exist."""
    embedding: int = 64
    """Width of the token embeddings."""
    units: int = 256
    """Units of each recurrent layer."""
    depth: int = 1
    """Recurrent layers on top of each other."""
    tie: bool = False
    """Use the embeddings for the output layer too: fewer parameters where the vocabulary is
    large."""
    residual: bool = False
    """Add each recurrent layer's input to its output where the widths are equal."""
    normalisation: Literal["none", "layer"] = "none"
    """Normalise the output of each recurrent layer."""
    dropout: float = 0.0
    """Share of elements of each recurrent layer's input dropped in training, of the first layer's
    too, the same at every step of a window (locked dropout)."""
    output_dropout: float = 0.0
    """The same after the last recurrent layer."""
    embedding_dropout: float = 0.0
    """Share of the vocabulary whose embedding is dropped for a whole batch, in training."""
    weight_drop: float = 0.0
    """Share of the recurrent weights dropped for a whole batch, in training; minGRU has none."""
    activation_penalty: float = 0.0
    """Weight of the mean square of the last layer's dropped outputs (activation regularisation)."""
    change_penalty: float = 0.0
    """Weight of the mean square of their change from step to step (temporal regularisation)."""

    def __post_init__(self) -> None:
        for name in ("embedding", "units", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("dropout", "output_dropout", "embedding_dropout", "weight_drop"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be in [0, 1), got {getattr(self, name)}; 0 switches it off."
                )
        for name in ("activation_penalty", "change_penalty"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} must be at least 0, got {getattr(self, name)}; 0 switches it off."
                )

    @property
    def state_size(self) -> int:
        """Numbers that the network carries from token to token."""
        return self.units * self.depth * (2 if self.cell == "lstm" else 1)


MOST_CACHED = 100_000
"""Moments that a cache may hold: every token is compared with all of them."""


@dataclass(frozen=True, kw_only=True)
class WriterEvaluation:
    """What is measured of a language model besides.

    Raises:
        ValueError: If a value is outside its range.
    """

    cache_window: int = 0
    """Measure with a neural cache of this many last tokens too, to 100,000, beside the loss without
    it; 0 for none. How sharp it is and its share are chosen on text that is not reported on."""

    def __post_init__(self) -> None:
        if not 0 <= self.cache_window <= MOST_CACHED:
            raise ValueError(
                f"cache_window must be from 0 to {MOST_CACHED:,} tokens, got {self.cache_window}; "
                "500 is a good start, 0 switches the cache off."
            )


LANGUAGE_MODEL_SPACE: Space = {
    "training.learning_rate": Float(5e-4, 1e-2, log=True),
    "training.weight_decay": Float(1e-5, 1e-1, log=True),
    "model.embedding": Whole(32, 256, step=32),
    "model.units": Whole(128, 768, step=64),
    "model.depth": Whole(1, 3),
    "model.cell": OneOf(("gru", "lstm", "mingru")),
    "model.dropout": Float(0.0, 0.5),
    "model.output_dropout": Float(0.0, 0.5),
    "model.weight_drop": Float(0.0, 0.5),
}
"""What is worth trying in the training of a language model."""


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
    units: int = 128
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
    dropout: float = 0.15
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
