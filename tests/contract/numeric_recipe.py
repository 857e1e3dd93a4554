"""A recipe without a text in it: a series of two channels and a picture in, numbers and events out.

It is a program as every recipe is, and proves that nothing in the machinery assumes text. What
stands here is all that such an application declares: it gets commands, SavedModel, certificate,
server, ONNX with a predictor, and LiteRT.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from seqapps.bundle.application import Application
from seqapps.commands.program import run
from seqapps.fields import MAIN, Answers, Assets, Field, Interface, Parts, Signature
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Recipe, View, strategy_options
from seqapps.report import Reporter
from seqapps.space import Float, Whole
from seqapps.training.settings import Training

with lazy_imports():
    import keras
    import tensorflow as tf

    from seqapps.data import batching, pipeline
    from seqapps.images import decode
    from seqapps.layers import recurrent
    from seqapps.portable import one_pass
    from seqapps.training import loop

# B batch, T steps, H height, W width of a picture

NAMES = {"verdict": ("light", "heavy"), "trend": "trend.json"}
"""Of answers that are one of a list: the list, or the asset that holds it."""


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


def picture(grey: int, height: int, width: int) -> bytes:
    """A PNG file of one shade of grey."""
    return bytes(tf.io.encode_png(tf.fill([height, width, 3], tf.cast(grey, tf.uint8))).numpy())


@dataclass(frozen=True)
class Series:
    """What the machinery asks of examples: the mean of each series, as bright as its picture."""

    config: Config
    tests: int = 30

    @cached_property
    def _drawn(self) -> tuple[list[Any], list[bytes]]:
        rng = np.random.default_rng(self.config.seed)
        count = self.config.data.series
        series = [
            rng.uniform(0, self.config.data.highest, (n, 2)).astype(np.float32)
            for n in rng.integers(1, 20, count)
        ]
        return series, [picture(*rng.integers((0, 1, 1), (256, 9, 9))) for _ in series]

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        series, pictures = self._drawn
        pixels, sizes, _ = decode.decode_pictures(tf.constant(pictures))
        shades = brightness(pixels, sizes).numpy()
        means = [s.mean() * shade for s, shade in zip(series, shades, strict=True)]
        return {"series": series, "shade": list(shades), "mean": means}

    @property
    def assets(self) -> Assets:
        return {"unit.txt": b"kilogram", "trend.json": b'["falling", "steady", "rising"]'}

    @property
    def samples(self) -> list[Any]:
        series, pictures = self._drawn
        pairs = zip(series[:20], pictures, strict=False)
        return [{"series": s.tolist(), "picture": file} for s, file in pairs]

    @property
    def test(self) -> tuple[list[Any], Any]:
        series, pictures = self._drawn
        pairs = zip(series[-self.tests :], pictures[-self.tests :], strict=True)
        asked = [{"series": s, "picture": file} for s, file in pairs]
        return asked, np.concatenate(self._columns["mean"][-self.tests :])

    def few(self, most: int) -> "tuple[Series, int]":
        return replace(self, tests=most), self.tests - most

    def training_pass(self, epoch: int) -> "pipeline.Batches":
        lengths = np.array([len(series) for series in self._columns["series"]])
        order = batching.token_batches(
            lengths,
            tokens=self.config.training.batch_tokens,
            seed=self.config.seed,
            epoch=epoch,
        )
        return pipeline.Batches(
            dataset=lambda skip: pipeline.batches(self._columns, order, skip=skip),
            tokens=np.array([lengths[rows].sum() for rows in order]),
            padding=batching.padding_share(lengths, order),
        )

    def validation_batches(self) -> Any:
        lengths = [len(series) for series in self._columns["series"]]
        return pipeline.batches(self._columns, batching.evaluation_batches(lengths, tokens=512))


def interface(config: Config) -> Interface:
    more = Field(name="more", dtype="float32", rank=2, width=(2,), unit="kg", media="series")
    sums = Field(name="sums", dtype="float32", rank=1, width=(2,), fixed=True)
    return Interface(
        inputs=(
            Field(name="series", dtype="float32", rank=2, width=(2,), unit="kg", media="series"),
            Field(
                name="picture", media="image", description="The darker, the less the series weighs."
            ),
        ),
        outputs=(
            Field(name="mean", dtype="float32", unit="kg", media="number"),
            Field(name="running", dtype="float32", rank=1, unit="kg", media="series"),
            Field(
                name="falls",
                dtype="float32",
                rank=2,
                width=(2,),
                media="events",
                description="Where the first channel falls: the step, and the running mean then.",
            ),
        ),
        details=(
            Field(name="steps", dtype="int32", media="number"),
            Field(name="verdict", description="light or heavy"),
            Field(name="trend", rank=1, description="Of the first channel, step by step."),
        ),
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
                inputs=(sums, more),
                options=("scale",),
                outputs=(sums, Field(name="scaled", dtype="float32")),
            ),
        ),
    )


def load(config: Config, assets: Assets | None, reporter: Reporter) -> Series:
    if assets is not None:
        reporter.log(f"measured in {assets['unit.txt'].decode()}")
    return Series(config)


def build(config: Config, examples: Series) -> "keras.Model":
    inputs = {
        "series": keras.Input((None, 2), dtype="float32", name="series"),
        "series_lengths": keras.Input((), dtype="int32", name="series_lengths"),
        "shade": keras.Input((1,), dtype="float32", name="shade"),
    }
    outputs, _ = recurrent.RecurrentStack(config.units)(inputs["series"], inputs["series_lengths"])
    running_BT1 = keras.layers.Dense(1)(outputs)
    shade_B11 = keras.layers.Reshape((1, 1))(inputs["shade"])
    return keras.Model(inputs, keras.layers.Multiply()([running_BT1, shade_B11]))


def brightness(pixels_BHW3: Any, sizes_B2: Any) -> Any:
    """Mean of all real pixels, (B, 1), from 0 to 1; 0 for a picture that could not be read."""
    # Padding is black.
    sums_B = tf.reduce_sum(tf.cast(pixels_BHW3, tf.float32), (1, 2, 3))
    counts_B = tf.cast(tf.maximum(1, sizes_B2[:, 0] * sizes_B2[:, 1]), tf.float32)
    return (sums_B / (3 * 255 * counts_B))[:, tf.newaxis]


def last(running_BT: Any, lengths_B: Any) -> Any:
    return tf.gather(running_BT, tf.maximum(lengths_B - 1, 0), batch_dims=1)


def loss(config: Config) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    def squared(outputs: Any, batch: Any, training: bool) -> tuple[Any, Any]:
        errors = last(outputs[:, :, 0], batch["series_lengths"]) - batch["mean"][:, 0]
        return tf.reduce_sum(errors**2), tf.cast(tf.size(errors), tf.float32)

    return squared


def goal(config: Config, network: "keras.Model", examples: Series) -> "loop.Goal":
    def score() -> dict[str, float]:
        (batch,) = examples.validation_batches().take(1)
        outputs = network({name: batch[name] for name in network.input})
        total, count = loss(config)(outputs, batch, False)
        return {"mean_error": float(tf.sqrt(total / count))}

    return loop.Goal(name="mean_error", score=score, highest=False)


def computed(network: "keras.Model") -> Answers:
    """The answers in numbers: of `names` their places, of a picture its pixels."""

    def running(inputs: dict[str, Any]) -> Any:
        shade_B1 = brightness(inputs["picture"], inputs["picture_sizes"])
        seen = {"series": inputs["series"], "series_lengths": inputs["series_lengths"]}
        return network({**seen, "shade": shade_B1})[:, :, 0]

    def mean(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        series_BT, lengths_B = inputs["series"][:, :, 0], inputs["series_lengths"]
        running_BT = running(inputs) * options["scale"][:, tf.newaxis]
        steps_T = tf.range(tf.shape(series_BT)[1])
        before_BT = tf.concat([series_BT[:, :1], series_BT[:, :-1]], 1)
        falls_BT = (series_BT < before_BT) & (steps_T < lengths_B[:, tf.newaxis])
        # The steps that fall come first, in their order.
        rank_BT = tf.where(falls_BT, -steps_T, -steps_T - tf.size(steps_T))
        _, order_BT = tf.math.top_k(rank_BT, tf.size(steps_T))
        when_BT, what_BT = (
            tf.cast(order_BT, tf.float32),
            tf.gather(running_BT, order_BT, batch_dims=1),
        )
        trend_BT = tf.cast(series_BT >= before_BT, tf.int32) + tf.cast(
            series_BT > before_BT, tf.int32
        )
        return {
            "mean": last(running_BT, lengths_B),
            "running": running_BT,
            "running_lengths": lengths_B,
            "falls": tf.stack([when_BT, what_BT], 2),
            "falls_lengths": tf.reduce_sum(tf.cast(falls_BT, tf.int32), 1),
            "steps": lengths_B,
            "verdict": tf.cast(lengths_B > 9, tf.int32),
            "trend": trend_BT,
            "trend_lengths": lengths_B,
        }

    def extremes(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """The running means from large to small, the largest of them, and how many there are."""
        lengths_B, running_BT = inputs["series_lengths"], running(inputs)
        steps_T = tf.range(tf.shape(running_BT)[1])
        lowered_BT = tf.where(steps_T < lengths_B[:, tf.newaxis], running_BT, running_BT.dtype.min)
        falling_BT, _ = tf.math.top_k(lowered_BT, tf.size(steps_T))
        return {
            # An empty series has no largest; 0 stands for it.
            "largest": tf.where(lengths_B == 0, 0.0, falling_BT[:, 0]),
            "count": lengths_B,
            "falling": falling_BT,
            "falling_lengths": lengths_B,
        }

    def continued(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """State in, state out: the sum and the number of everything so far."""
        numbers_B = 2.0 * tf.cast(inputs["more_lengths"], tf.float32)
        sums_B2 = inputs["sums"] + tf.stack([tf.reduce_sum(inputs["more"], (1, 2)), numbers_B], 1)
        return {"sums": sums_B2, "scaled": sums_B2[:, 0] * options["scale"]}

    return {MAIN: mean, "extremes": extremes, "continued": continued}


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    return one_pass.whole_answers(computed(network), interface(config), assets, NAMES)


def parts(config: Config, network: "keras.Model", assets: Assets) -> Parts:
    return one_pass.whole_parts(computed(network), interface(config), NAMES)


def evaluate(
    config: Config, application: Application, examples: Series, reporter: Reporter
) -> Evaluation:
    asked, means = examples.test
    with reporter.bar("Measuring", total=len(asked), unit="series") as bar:
        found = application(asked, advance=bar.advance, **vars(config.decoding))
    return Evaluation(
        metrics={"mean_error": float(np.abs(found - means).mean()), "series": 30},
        draw=lambda folder: (folder / "none.png").write_bytes(b""),
    )


RECIPE = Recipe(
    name="numeric",
    summary="The mean of a series of numbers, as bright as a picture.",
    config=Config,
    interface=interface,
    load=load,
    build=build,
    loss=loss,
    goal=goal,
    answers=answers,
    parts=parts,
    fixed={"": "units"},
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
