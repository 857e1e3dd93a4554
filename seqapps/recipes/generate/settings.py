"""Settings of a writing model: those that it shares with no other, and all together."""

from dataclasses import dataclass, field

from seqapps.decoding.settings import Sampling
from seqapps.models.settings import LanguageModel
from seqapps.recipes.generate.data import TextData
from seqapps.space import Float, OneOf, Space, Whole
from seqapps.text.settings import RunningText
from seqapps.training.settings import Training

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
        default_factory=lambda: LanguageModel(dropout=0.2, output_dropout=0.2, weight_drop=0.1)
    )
    training: Training = field(
        default_factory=lambda: Training(
            epochs=12,
            monitor="loss",
            batch_tokens=2048,
            learning_rate=5e-3,
            warmup_steps=100,
            weight_decay=0.02,
            average_decay=0.98,
            label_smoothing=0.0,
        )
    )
    evaluation: WriterEvaluation = field(default_factory=WriterEvaluation)
    decoding: Sampling = field(default_factory=Sampling)
    seed: int = 0
    """Of everything random in training."""


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
