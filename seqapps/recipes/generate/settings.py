"""Settings of the writer that the shared language model does not have."""

from dataclasses import dataclass

from seqapps.space import Float, OneOf, Space, Whole

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
