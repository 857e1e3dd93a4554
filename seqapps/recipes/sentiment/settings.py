"""Settings of a sentiment model, and how defaults follow the training texts."""

from dataclasses import dataclass, field
from typing import Literal

from seqapps import automatic
from seqapps.automatic import auto
from seqapps.recipes.sentiment.data import LabelledData, Sizes, load_labelled, sizes_of
from seqapps.report import Reporter
from seqapps.space import Float, OneOf, Space, Whole
from seqapps.text.settings import LongText
from seqapps.training.settings import Training


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
    normalisation: Literal["none", "batch", "layer"] = auto("batch")  # type: ignore[assignment]
    """Normalise the pooled vector, over the batch or over its elements."""
    hidden: int = 64
    """Units of the layer between pooling and the logits; 0 for none."""
    pairs: int = auto(0)
    """Buckets of a linear model of tokens and pairs of neighbours, fitted beside the recurrence and
    added to its logits where validation texts say so; 0 for none."""
    characters: int = auto(0)
    """Characters of the longest n-grams that the linear model knows besides; 0 for none."""
    dropout: float = auto(0.05)
    """Share of elements dropped between layers, in training."""
    channel_dropout: float = 0.0
    """Share of embedding elements dropped for all words of a text alike, in training."""
    word_dropout: float = 0.0
    """Share of tokens whose whole embedding is dropped in training: good for long texts, bad where
    a single word decides."""

    def __post_init__(self) -> None:
        for name in ("embedding", "units", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("hidden", "pairs", "characters"):
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


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a sentiment model."""

    data: LabelledData = field(default_factory=LabelledData)
    text: LongText = field(default_factory=LongText)
    model: Classifier = field(default_factory=Classifier)
    pretraining: Pretraining = field(default_factory=Pretraining)
    training: Training = field(
        default_factory=lambda: Training(
            epochs=auto(12),
            # Accuracy soon stands at its best on validation texts while the loss still falls.
            monitor="loss",
            batch_tokens=auto(2048),
            learning_rate=auto(6e-3),
            warmup_steps=100,
            weight_decay=0.05,
            average_decay=0.98,
            # Without it, what is sure and wrong is sure beyond what one temperature can mend.
            label_smoothing=0.05,
        )
    )
    balance: bool = False
    """Let each class count the same in the loss, however few its examples are."""
    apart: Literal["words", "pieces"] = auto("words")  # type: ignore[assignment]
    """What an explanation leaves out one by one: words, or pieces in scripts without spaces."""
    seed: int = 0
    """Of everything random in training, and of what is held out."""


_MINUTES = 5.0
"""What a training takes where nobody says."""
_PASSES = 12
"""After which more passes teach nothing new."""
_CLOSED = 0.001
"""Where words of new texts are less often new than this, all words are known."""
_UNSPACED = 0.2
"""Share of characters of scripts without spaces from which pieces are explained."""
_BUCKETS = (1 << 12, 1 << 19)
"""Fewest and most buckets of the linear part."""
_NUMBERS = 1 << 24
"""Numbers in its table: buckets times classes."""
_SPELLED = 10_000_000
"""Characters of training texts of which n-grams are made; of more it would take minutes."""


def settle(config: Config, reporter: Reporter) -> Config:
    """Fills in what nobody chose, by `settled`."""
    # What is wrong with the texts is told where they are loaded.
    splits = load_labelled(config.data, seed=config.seed, log=lambda _: None)
    return settled(config, sizes_of(splits.train))


def settled(config: Config, sizes: Sizes) -> Config:
    """Fills in what nobody chose, by what the training texts are like.

    - A closed language, in which every word is known, needs little dropout; of other texts more is
      dropped, and the pooled vector is normalised over its elements, since statistics of batches
      that hold few long texts or many short ones are no others' statistics.
    - The linear part has four times as many buckets as there are characters, so that few terms
      share one, as far as its table stays small; and n-grams of characters unless they would be too
      many.
    - A training ends after 12 passes, or when its minutes are over: in more passes few texts would
      be learned by heart. With `training.epochs` 0 the minutes are filled.

    Args:
        config: As it was asked for.
        sizes: Of the training texts.
    """
    fewest, most = _BUCKETS
    buckets = fewest
    while buckets < min(most, 4 * sizes.characters) and 2 * buckets * sizes.classes <= _NUMBERS:
        buckets *= 2
    closed = sizes.new_words < _CLOSED
    return automatic.settled(
        config,
        apart="pieces" if sizes.unspaced > _UNSPACED else "words",
        model__pairs=buckets,
        model__characters=4 if sizes.characters <= _SPELLED else 0,
        model__normalisation="batch" if closed else "layer",
        model__dropout=0.05 if closed else 0.3,
        training__minutes=_MINUTES,
        training__epochs=_PASSES,
    )


FIXED = {
    "text": "vocabulary",
    "model": "embedding units depth cell bidirectional pools normalisation hidden pairs characters",
    # A reader that is trained further has learned its language.
    "pretraining": "epochs",
}
"""Settings that a bundle has once and for all."""


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
