"""Settings of training, the same in every recipe."""

from dataclasses import dataclass
from typing import Literal

from seqapps.automatic import auto

__all__ = ["Training"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained.

    Raises:
        ValueError: If a value is outside its range.
    """

    minutes: float = auto(0.0)
    """From the start of the command to its bundle: the learning-rate schedule is laid out over the
    time that is left once data are read and some updates were timed. 0 for `epochs` alone."""
    epochs: int = auto(10)
    """Passes over the training split, over which the learning-rate schedule is laid out; with
    `minutes` at most so many, 0 for no limit."""
    max_steps: int = 0
    """Stop after this many updates; 0 for no limit. The schedule is shortened to fit."""
    batch_tokens: int = auto(2048)
    """Most steps (rows × longest row) in one batch, on either side of a pair."""
    learning_rate: float = auto(2e-3)
    """Highest learning rate."""
    schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    """After warm-up: fall to a hundredth along a cosine, stay, or halve when the score stalls."""
    warmup_steps: int = 200
    """Updates over which the rate rises from zero (at most a tenth of all updates)."""
    plateau_epochs: int = 2
    """Epochs without improvement before the `plateau` schedule halves the rate."""
    weight_decay: float = 1e-4
    """AdamW's decay of matrices (never of biases, norms or embeddings)."""
    adam_beta2: float = 0.98
    """Decay of AdamW's second moment."""
    clip_norm: float = 1.0
    """Largest global norm of the gradients."""
    label_smoothing: float = 0.1
    """Share of the target probability that is spread over the whole vocabulary."""
    average_decay: float = 0.0
    """Decay of an exponential average of the weights, which validation and the bundle use; 0 for
    none."""
    monitor: Literal["metric", "loss"] = "metric"
    """What early stopping and the choice of the best weights look at: the task's own metric on
    the validation split, or the validation loss."""
    patience: int = auto(5)
    """Stop after this many epochs without improvement; 0 for never, as it is with `minutes`."""
    checkpoint_minutes: float = 5.0
    """Longest time between two checkpoints; there is one after every epoch too."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """Keras dtype policy of training; the bundle computes in float32. Mixed precision pays on a
    GPU, and `mixed_bfloat16` on a CPU with AMX or AVX-512 BF16; `auto` takes it on such a CPU and
    float32 elsewhere."""
    distribute: Literal["none", "mirrored"] = "none"
    """`mirrored` trains on every visible GPU of this machine."""
    tensorboard: bool = True
    """Write TensorBoard logs beside the checkpoints."""

    def __post_init__(self) -> None:
        at_least = {
            "minutes": 0,
            "epochs": 0 if self.minutes else 1,
            "max_steps": 0,
            "batch_tokens": 1,
            "warmup_steps": 0,
            "plateau_epochs": 1,
            "patience": 0,
            "weight_decay": 0,
            "checkpoint_minutes": 0,
        }
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}.")
        for name in ("label_smoothing", "average_decay", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}.")
