"""Settings of a translation model."""

import math
from dataclasses import dataclass, field
from typing import Literal, cast

from seqapps.automatic import auto, is_auto, settled
from seqapps.decoding.settings import Decoding
from seqapps.recipes.translate.data import PairData, Sizes
from seqapps.space import Float, OneOf, Space, Whole
from seqapps.text.settings import Text
from seqapps.training.settings import Training


@dataclass(frozen=True, kw_only=True)
class Translator:
    """Size and kind of an encoder-decoder with attention.

    Raises:
        ValueError: If a value is outside its range.
    """

    embedding: int = auto(128)
    """Width of the token embeddings, and of the layer before the logits."""
    units: int = auto(256)
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
    dropout: float = auto(0.1)
    """Share of elements dropped from embeddings, between layers and before the logits, in
    training."""
    token_dropout: float = 0.0
    """Share of tokens whose whole embedding is dropped in training."""
    share_embeddings: bool = False
    """One vocabulary and one embedding table for both languages."""
    copying: Literal["none", "source"] = cast(Literal["none", "source"], auto("none"))
    """`source`: the decoder writes, or copies pieces from where it looks in the source; this
    shares the embeddings. It helps where names, numbers and placeholders stay as they are."""

    @property
    def joint(self) -> bool:
        """Whether both languages have one vocabulary and one table."""
        return self.share_embeddings or self.copying == "source"

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
    text: Text = field(default_factory=lambda: Text(vocabulary=auto(1200)))
    model: Translator = field(default_factory=Translator)
    training: Training = field(
        default_factory=lambda: Training(
            epochs=auto(3),
            batch_tokens=auto(1024),
            learning_rate=auto(4e-3),
            warmup_steps=100,
            average_decay=0.99,
        )
    )
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0
    """Of everything random in training."""


_MINUTES = 5.0
_CHARACTERS_A_MINUTE = 2.5e6
"""Characters of both sides that a network of 256 units reads in a minute on two cores, about."""
_COPIES = 0.1
"""Share of copied words from which on copying pays."""


def settled_config(config: Config, sizes: Sizes) -> Config:
    """Fills in what nobody chose, by the training pairs and the minutes.

    - vocabulary: 20 √pairs, and the alphabet;
    - copying: where a tenth of the target's words stand in the source, and nobody chose the
      vocabulary;
    - dropout: .1 where the time is enough for fewer than 4 passes, .2 for fewer than 10, .3 for
      fewer than 40, then .4;
    - width: 256 units; 512 for 10,000 pairs or more with time for 30 passes at 256;
    - batch: 400 tokens for fewer than 5,000 pairs, 768 for fewer than 20,000, then 1,024;
    - learning rate: .004, and .002 for 512 units;
    - time: 5 minutes, unless epochs or updates are given.
    """
    training = config.training
    minutes = _MINUTES if is_auto(training.minutes) else training.minutes
    passes = float(training.epochs)
    if minutes and is_auto(training.epochs):
        passes = minutes * _CHARACTERS_A_MINUTE / (sizes.pairs * sizes.characters)
    dropouts = ((4, 0.1), (10, 0.2), (40, 0.3), (math.inf, 0.4))
    batches = ((5_000, 400), (20_000, 768), (math.inf, 1024))
    wide = sizes.pairs >= 10_000 and passes >= 30
    # Bundles of earlier versions do not say whether they copy, but they say their vocabulary.
    copies = sizes.copied >= _COPIES and is_auto(config.text.vocabulary)
    return settled(
        config,
        text__vocabulary=round(20 * math.sqrt(sizes.pairs)) + sizes.alphabet,
        model__copying="source" if copies else "none",
        model__embedding=256 if wide else 128,
        model__units=512 if wide else 256,
        model__dropout=next(rate for below, rate in dropouts if passes < below),
        training__batch_tokens=next(size for below, size in batches if sizes.pairs < below),
        training__learning_rate=2e-3 if wide else 4e-3,
        training__minutes=minutes,
    )


FIXED = {
    "text": "vocabulary",
    "model": "embedding units encoder_depth decoder_depth cell attention residual normalisation "
    "share_embeddings copying",
}
"""Settings that a bundle has once and for all."""


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
