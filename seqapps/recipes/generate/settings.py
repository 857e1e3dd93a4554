"""Settings of a writing model, and how they follow the text and the time there is."""

import math
from dataclasses import dataclass, field
from typing import Literal

from seqapps import automatic
from seqapps.automatic import auto, is_auto
from seqapps.decoding.settings import Sampling
from seqapps.recipes.generate.data import TextData
from seqapps.space import Float, OneOf, Space, Whole
from seqapps.text.settings import RunningText
from seqapps.training.settings import Training


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


@dataclass(frozen=True, kw_only=True)
class NGrams:
    """The table of n-grams beside the network.

    Raises:
        ValueError: If a value is outside its range.
    """

    order: int = 10
    """Tokens of the longest n-grams whose probabilities may be mixed into the network's, to 10; 0
    for the network alone. Up to this the order is chosen that predicts best, and on the validation
    text the share of the mixture, which may be 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.order <= 10:
            raise ValueError(
                f"order must be from 0 to 10, got {self.order}; 0 leaves the network alone."
            )


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


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a language model."""

    data: TextData = field(default_factory=TextData)
    text: RunningText = field(default_factory=RunningText)
    model: LanguageModel = field(
        default_factory=lambda: LanguageModel(
            embedding=auto(64),
            units=auto(256),
            dropout=auto(0.2),
            output_dropout=auto(0.2),
            weight_drop=auto(0.1),
        )
    )
    training: Training = field(
        default_factory=lambda: Training(
            epochs=auto(12),
            monitor="loss",
            batch_tokens=auto(2048),
            learning_rate=auto(5e-3),
            warmup_steps=100,
            weight_decay=0.02,
            average_decay=auto(0.98),
            label_smoothing=0.0,
        )
    )
    ngrams: NGrams = field(default_factory=NGrams)
    evaluation: WriterEvaluation = field(default_factory=WriterEvaluation)
    decoding: Sampling = field(default_factory=Sampling)
    seed: int = 0
    """Of everything random in training."""


def settled(config: Config, *, characters: int, different: int) -> Config:
    """Settings for a text and for the time that there is.

    The longer the training and the shorter the text, the more often it is read and the more has to
    be dropped, or it is learned by heart. A network pays that is the larger the more time there is;
    many small updates pay more than few large ones.

    Args:
        config: What is `auto` in it is filled in.
        characters: Of the training text.
        different: How many different ones.
    """
    training = config.training
    if not training.minutes and is_auto(training.epochs) and is_auto(training.minutes):
        config = automatic.settled(config, training__minutes=_MINUTES)
    scale = (config.training.minutes or _MINUTES) / _MINUTES
    dropout = min(0.4, math.sqrt(_DROPPED * scale / max(1, characters)))
    if config.training.minutes:
        config = automatic.settled(config, training__average_decay=0.998)
    return automatic.settled(
        config,
        model__embedding=128 if different >= _MANY else 64,
        model__units=64 * max(2, min(16, round(4 * scale ** (1 / 3)))),
        model__dropout=round(dropout, 2),
        model__output_dropout=round(1.25 * dropout, 2),
        model__weight_drop=round(dropout, 2),
        training__batch_tokens=1024 if characters < _LONG else 2048,
        training__learning_rate=4e-3,
    )


_MINUTES = 5.0
"""How long a training takes where nobody says how long."""
_DROPPED = 12_000
"""Characters of a text of which everything would have to be dropped after so many minutes."""
_MANY = 500
"""Different characters from which on their embeddings are wider: an alphabet has fewer."""
_LONG = 2_000_000
"""Characters from which on batches are larger."""


FIXED = {
    "text": "kind vocabulary",
    "model": "cell embedding units depth tie residual normalisation",
}
"""Settings that a bundle has once and for all."""


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
