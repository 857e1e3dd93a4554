"""A small network and its examples: a label for each step, from a token and a number."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from seqapps.data.pipeline import batches
from seqapps.report import Reporter
from seqapps.training.loop import Goal, Progress, fit
from seqapps.training.losses import token_cross_entropy
from seqapps.training.settings import Training

TOKENS, LABELS = 7, 5
ROWS = (4, 3, 1, 5, 2)
"""Rows of each batch."""


def columns() -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(5)
    lengths = rng.integers(1, 6, sum(ROWS))
    tokens = [rng.integers(1, TOKENS, n) for n in lengths]
    return {
        "tokens": tokens,
        "values": [rng.normal(size=n).astype(np.float32) for n in lengths],
        "labels": [ids * 2 % LABELS for ids in tokens],
    }


def order() -> list[np.ndarray]:
    ends = np.cumsum(ROWS)
    return [np.arange(end - size, end) for size, end in zip(ROWS, ends, strict=True)]


def small_network(seed: int = 3) -> keras.Model:
    """One layer that sees the tokens alone: quick to trace, for what is not about weights."""
    keras.utils.set_random_seed(seed)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    return keras.Model({"tokens": tokens}, keras.layers.Embedding(TOKENS, LABELS)(tokens))


@dataclass(frozen=True)
class ToyPass:
    dataset: Callable[[int], Any]
    tokens: np.ndarray
    padding: float = 0.0


@dataclass(frozen=True)
class ToyExamples:
    """The same few batches in every pass; `spoiled` puts a NaN into that batch, from 0."""

    spoiled: int | None = None
    columns: dict[str, list[np.ndarray]] = field(default_factory=columns)

    def training_pass(self, epoch: int) -> ToyPass:
        stored = {name: [row.copy() for row in rows] for name, rows in self.columns.items()}
        if self.spoiled is not None:
            stored["values"][order()[self.spoiled][0]][0] = np.nan
        return ToyPass(
            dataset=lambda skip: batches(stored, order(), skip=skip),
            tokens=np.array([sum(len(stored["labels"][i]) for i in rows) for rows in order()]),
        )

    def validation_batches(self) -> Any:
        return batches(self.columns, order()[:2])

    def batch(self, number: int) -> dict[str, Any]:
        return next(iter(self.training_pass(0).dataset(number)))


def network(*, dropout: float = 0.0, seed: int = 3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "values": keras.Input((None,), name="values"),
    }
    embedded = keras.layers.Embedding(TOKENS, 3)(inputs["tokens"])
    values = keras.layers.Reshape((-1, 1))(inputs["values"])
    hidden = keras.layers.Dense(4, activation="tanh", bias_initializer="normal")(
        keras.layers.Concatenate()([embedded, values])
    )
    hidden = keras.layers.Dropout(dropout, seed=1)(hidden) if dropout else hidden
    hidden = keras.layers.LayerNormalization()(hidden)
    return keras.Model(inputs, keras.layers.Dense(LABELS, bias_initializer="normal")(hidden))


def train(
    model: keras.Model,
    folder: Path,
    *,
    examples: Any = None,
    score: Callable[[], dict[str, float]] = lambda: {"score": 0.0},
    highest: bool = True,
    label_smoothing: float = 0.0,
    resume: bool = False,
    reporter: Reporter | None = None,
    watch: Callable[[Mapping[str, float]], None] | None = None,
    loss: Any = None,
    floor: float | None = None,
    limit_minutes: float = 0.0,
    finish: bool = False,
    **settings: Any,
) -> Progress:
    """`fit` with what most tests share."""
    settings = {"tensorboard": False, "patience": 0, "learning_rate": 0.01, **settings}
    return fit(
        model,
        examples or ToyExamples(),
        loss=loss or token_cross_entropy(label_smoothing=label_smoothing),
        goal=Goal(name="score", score=score, highest=highest, floor=floor),
        settings=Training(**settings),
        folder=folder,
        reporter=reporter or Reporter(io.StringIO()),
        resume=resume,
        watch=watch,
        limit_minutes=limit_minutes,
        rest=lambda seconds: 2.0 * seconds,
        finish=finish,
    )


def weights(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.trainable_variables]
