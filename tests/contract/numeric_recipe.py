"""A recipe without a string in it: a series of numbers in, its mean out.

It is a program as every recipe is, and proves that nothing in the machinery assumes text.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from seqapps.bundle.application import Application
from seqapps.commands.program import run
from seqapps.fields import MAIN, Answers, Assets, Field, Interface, Signature
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Recipe, View, strategy_options
from seqapps.report import Reporter
from seqapps.space import Float, Whole
from seqapps.training.settings import Training

with lazy_imports():
    import keras
    import tensorflow as tf

    from seqapps.data import batching, pipeline
    from seqapps.layers import recurrent
    from seqapps.training import loop


@dataclass(frozen=True, kw_only=True)
class Data:
    series: int = 200
    """How many series to draw."""
    highest: float = 1.0
    """Largest number in them."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    scale: float = 1.0
    """The answer is multiplied with this."""


@dataclass(frozen=True, kw_only=True)
class Config:
    data: Data = field(default_factory=Data)
    units: int = 8
    """Units of the GRU."""
    training: Training = field(
        default_factory=lambda: Training(epochs=2, batch_tokens=256, tensorboard=False)
    )
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0


@dataclass(frozen=True)
class Batches:
    dataset: Callable[[int], Any]
    tokens: Any
    padding: float


@dataclass(frozen=True)
class Series:
    """What the machinery asks of examples."""

    config: Config

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        rng = np.random.default_rng(self.config.seed)
        lengths = rng.integers(1, 20, self.config.data.series)
        series = [rng.uniform(0, self.config.data.highest, n).astype(np.float32) for n in lengths]
        return {"series": series, "mean": [s.mean(keepdims=True) for s in series]}

    @property
    def assets(self) -> Assets:
        return {"unit.txt": b"kilogram"}

    @property
    def samples(self) -> list[Any]:
        return [series.tolist() for series in self._columns["series"][:20]]

    @property
    def test(self) -> tuple[list[Any], Any]:
        return self._columns["series"][-30:], np.concatenate(self._columns["mean"][-30:])

    def training_pass(self, epoch: int) -> Batches:
        lengths = np.array([len(series) for series in self._columns["series"]])
        order = batching.token_batches(
            lengths,
            tokens=self.config.training.batch_tokens,
            seed=self.config.seed,
            epoch=epoch,
        )
        return Batches(
            dataset=lambda skip: pipeline.batches(self._columns, order, skip=skip),
            tokens=np.array([lengths[rows].sum() for rows in order]),
            padding=batching.padding_share(lengths, order),
        )

    def validation_batches(self) -> Any:
        lengths = [len(series) for series in self._columns["series"]]
        return pipeline.batches(self._columns, batching.evaluation_batches(lengths, tokens=512))


def interface(config: Config) -> Interface:
    return Interface(
        inputs=(Field(name="series", dtype="float32", rank=1, unit="kg", media="series"),),
        outputs=(
            Field(name="mean", dtype="float32", unit="kg", media="number"),
            Field(name="running", dtype="float32", rank=1, unit="kg", media="series"),
        ),
        details=(Field(name="steps", dtype="int32", media="number"),),
        options=strategy_options(config.decoding),
        further=(
            Signature(
                name="extremes",
                outputs=(
                    Field(name="largest", dtype="float32", unit="kg", media="number"),
                    Field(name="count", dtype="int32", media="number"),
                    Field(name="falling", dtype="float32", rank=1, unit="kg", media="series"),
                ),
            ),
            Signature(
                name="continued",
                inputs=(
                    Field(name="sums", dtype="float32", rank=1, width=(2,), fixed=True),
                    Field(name="more", dtype="float32", rank=1, unit="kg", media="series"),
                ),
                options=("scale",),
                outputs=(
                    Field(name="sums", dtype="float32", rank=1, width=(2,), fixed=True),
                    Field(name="scaled", dtype="float32"),
                ),
            ),
        ),
    )


def load(config: Config, assets: Assets | None, reporter: Reporter) -> Series:
    if assets is not None:
        reporter.log(f"measured in {assets['unit.txt'].decode()}")
    return Series(config)


def build(config: Config, examples: Series) -> "keras.Model":
    inputs = {
        "series": keras.Input((None,), dtype="float32", name="series"),
        "series_lengths": keras.Input((), dtype="int32", name="series_lengths"),
    }
    steps = keras.layers.Reshape((-1, 1))(inputs["series"])
    outputs, _ = recurrent.RecurrentStack(config.units)(steps, inputs["series_lengths"])
    return keras.Model(inputs, keras.layers.Dense(1)(outputs))


def last(running_BT1: Any, lengths_B: Any) -> Any:
    return tf.gather(running_BT1[:, :, 0], tf.maximum(lengths_B - 1, 0), batch_dims=1)


def loss(config: Config) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    def squared(outputs: Any, batch: Any, training: bool) -> tuple[Any, Any]:
        errors = last(outputs, batch["series_lengths"]) - batch["mean"][:, 0]
        return tf.reduce_sum(errors**2), tf.cast(tf.size(errors), tf.float32)

    return squared


def goal(config: Config, network: "keras.Model", examples: Series) -> "loop.Goal":
    def score() -> dict[str, float]:
        (batch,) = examples.validation_batches().take(1)
        outputs = network({name: batch[name] for name in network.input})
        total, count = loss(config)(outputs, batch, False)
        return {"mean_error": float(tf.sqrt(total / count))}

    return loop.Goal(name="mean_error", score=score, highest=False)


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    def mean(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        lengths_B = inputs["series_lengths"]
        running_BT1 = network(inputs) * options["scale"][:, tf.newaxis, tf.newaxis]
        return {
            "mean": last(running_BT1, lengths_B),
            "running": running_BT1[:, :, 0],
            "running_lengths": lengths_B,
            "steps": lengths_B,
        }

    def extremes(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """The running means from large to small, the largest of them, and how many there are."""
        lengths_B = inputs["series_lengths"]
        running_BT = network(inputs)[:, :, 0]
        real_BT = tf.sequence_mask(lengths_B, tf.shape(running_BT)[1])
        falling_BT = tf.sort(
            tf.where(real_BT, running_BT, running_BT.dtype.min), direction="DESCENDING"
        )
        # An empty series has no largest; 0 stands for it.
        largest_B = tf.where(lengths_B == 0, 0.0, tf.pad(falling_BT, [[0, 0], [0, 1]])[:, 0])
        return {
            "largest": largest_B,
            "count": lengths_B,
            "falling": falling_BT,
            "falling_lengths": lengths_B,
        }

    def continued(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """State in, state out: the sum and the number of everything so far."""
        lengths_B = tf.cast(inputs["more_lengths"], tf.float32)
        sums_B2 = inputs["sums"] + tf.stack([tf.reduce_sum(inputs["more"], 1), lengths_B], 1)
        return {"sums": sums_B2, "scaled": sums_B2[:, 0] * options["scale"]}

    return {MAIN: mean, "extremes": extremes, "continued": continued}


def evaluate(
    config: Config, application: Application, examples: Series, reporter: Reporter
) -> Evaluation:
    series, means = examples.test
    with reporter.bar("Measuring", total=len(series), unit="series") as bar:
        found = application(series, advance=bar.advance, **vars(config.decoding))
    return Evaluation(
        metrics={"mean_error": float(np.abs(found - means).mean()), "series": 30},
        draw=lambda folder: (folder / "none.png").write_bytes(b""),
    )


RECIPE = Recipe(
    name="numeric",
    summary="The mean of a series of numbers.",
    config=Config,
    interface=interface,
    load=load,
    build=build,
    loss=loss,
    goal=goal,
    answers=answers,
    evaluate=evaluate,
    views={
        "largest": View(
            help="the largest running mean, and of how many",
            signature="extremes",
            show=lambda found: f"{found['largest']:.6f} of {found['count']}",
        ),
        "table": View(
            help="all of them at once",
            signature="extremes",
            page=lambda found: f"{len(found)} series\n",
        ),
    },
    space={"training.learning_rate": Float(1e-4, 0.1, log=True), "units": Whole(2, 16)},
)

if __name__ == "__main__":
    sys.exit(run(RECIPE))
