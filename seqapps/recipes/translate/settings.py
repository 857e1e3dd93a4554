"""Settings of a translation model."""

from dataclasses import dataclass, field
from typing import Literal

from seqapps.decoding.settings import Decoding
from seqapps.recipes.translate.data import PairData
from seqapps.space import Float, OneOf, Space, Whole
from seqapps.text.settings import Text
from seqapps.training.settings import Training


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


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a translation model."""

    data: PairData = field(default_factory=PairData)
    text: Text = field(default_factory=Text)
    model: Translator = field(default_factory=Translator)
    training: Training = field(
        default_factory=lambda: Training(
            epochs=3, batch_tokens=1024, learning_rate=4e-3, warmup_steps=100, average_decay=0.99
        )
    )
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0
    """Of everything random in training."""


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
