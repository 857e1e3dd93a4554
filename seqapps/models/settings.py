"""Settings of the networks that recipes share."""

from dataclasses import dataclass
from typing import Literal


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
