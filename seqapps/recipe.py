"""The contract of an application: a record that a recipe module fills in, and its commands.

A recipe declares what goes in and out, how examples are loaded, which network learns from them,
what its loss is, how it answers and how it is measured. Training, checkpoints, the bundle, the
certificate and the command line follow from that record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from seqapps import recipe_commands
from seqapps.bundle.application import Application
from seqapps.commands import Command, Program
from seqapps.commands import run as run_program
from seqapps.config import Settings, field_docstrings
from seqapps.errors import UsageError
from seqapps.fields import MAIN, Answer, Answers, Assets, Interface, Option, Parts, Rating
from seqapps.lazy import lazy_imports
from seqapps.predicting import Predict, PredictOptions, View
from seqapps.report import Reporter
from seqapps.tuning.options import TuneOptions, tune_notes
from seqapps.tuning_space import Space

with lazy_imports():
    from seqapps.tuning import command as tuning

__all__ = [
    "Evaluation", "Examples", "Predict", "PredictOptions", "Recipe", "View", "program", "run",
    "strategy_options",
]  # fmt: skip


class Examples(Protocol):
    """A recipe's data: what `training.loop.fit` asks for, and what travels with the model."""

    @property
    def assets(self) -> Assets:
        """Files that the network needs to be used: tokenizers, alphabets ..."""

    @property
    def samples(self) -> list[Any]:
        """A few dozen real inputs, for the certificate."""

    def training_pass(self, epoch: int) -> Any:
        """The batches of one pass, a `training.loop.Pass`."""

    def validation_batches(self) -> Any:
        """A tf.data.Dataset over the validation split."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, on the test split as a rule."""

    metrics: dict[str, Any]
    """Name → number or signature; written as metrics.json."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """A few answers beside their references, column → text."""
    title: str = "Samples"
    """What the samples are."""
    on: str = "the test split"
    """What was measured on."""
    draw: Callable[[Path], None] = lambda _: None
    """`draw(folder)`: what people would rather look at, as PNG."""


C = TypeVar("C")
E = TypeVar("E", bound=Examples)


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[C, E]):
    """One application, with its settings C and its examples E."""

    name: str
    """The module's name, and the folder of its bundles."""
    summary: str
    """One line: what goes in and what comes out."""
    config: type[C]
    """Frozen dataclass of all settings; has `training` and `seed`. `evaluate` takes those of its
    sections `data`, `evaluation` and `decoding`."""
    interface: Callable[[C], Interface]
    """`interface(config)`: typed inputs, outputs and strategy values."""
    load: Callable[[C, Assets | None, Reporter], E]
    """`load(config, assets, reporter)`: the examples; assets of an earlier run are used as they
    are, else fitted on the training split."""
    build: Callable[[C, E], Any]
    """`build(config, examples)`: the untrained keras.Model."""
    loss: Callable[[C], Callable[[Any, Any, bool], tuple[Any, Any]]]
    """`loss(config)(outputs, batch, training) -> (sum, count)`."""
    goal: Callable[[C, Any, E], Any]
    """`goal(config, network, examples)`: the `training.loop.Goal` on the validation split."""
    answer: Callable[[C, Any, Assets], Answer]
    """`answer(config, network, assets)`: what is served."""
    evaluate: Callable[[C, Application, E, Reporter], Evaluation]
    """`evaluate(config, application, examples, reporter)`: measures on the test split."""
    rate: Callable[[C, E], Rating] | None = None
    """`rate(config, examples)`: how the answers of an application that has no Keras model are
    measured: what int8 costs."""
    further: Callable[[C, Any, Assets], Answers] = lambda *_: {}
    """`further(config, network, assets)`: what the interface's further signatures serve."""
    parts: Callable[[C, Any, Assets], Parts] | None = None
    """`parts(config, network, assets)`: its networks, for `export --format onnx` and `litert`."""
    pretrain: Callable[[C, Any, E, Path, Reporter, bool], list[dict[str, float]]] = lambda *_: []
    """`pretrain(config, network, examples, folder, reporter, resume)`: a phase before the training,
    which leaves what it learned in the network; gives the history of its epochs."""
    groups: Callable[[C, Any], Sequence[Any]] = lambda *_: ()
    """`groups(config, network)`: the `training.optimizer.LayerGroup`s of layers that learn at
    rates of their own."""
    unfinish: Callable[[Any], None] = lambda _: None
    """`unfinish(network)`: undoes what `finish` fitted, where a bundle is trained further."""
    finish: Callable[[C, Any, E, Reporter], None] = lambda *_: None
    """`finish(config, network, examples, reporter)`: what is fitted on the validation split once
    the weights are chosen."""
    plots: Callable[[C, Any, E, Path], None] = lambda *_: None
    """`plots(config, network, examples, folder)`: draws what people would rather look at."""
    space: Space = field(default_factory=dict)
    """What `tune` tries, by the settings' paths."""
    show: Callable[[C, int, Mapping[str, Any]], str] = lambda _, __, answer: str(
        next(iter(answer.values()))
    )
    """`show(config, number, answer)`: one answer as `predict` prints it."""

    views: Mapping[str, View] = field(default_factory=dict)
    """Further ways to print answers: `predict --view NAME`."""
    predict: Predict | None = None
    """The recipe's own `predict`, where a line of text or JSON in and an answer out is not it."""

    def answers(self, config: C, network: Any, assets: Assets) -> Answers:
        """Everything that is served, by signature."""
        return {
            MAIN: self.answer(config, network, assets),
            **self.further(config, network, assets),
        }

    @property
    def command(self) -> str:
        """How the recipe is started."""
        return f"python -m seqapps.recipes.{self.name}"


_BY_LINE = Predict(help="Answer each line of files or standard input", run=lambda *_: None)
"""How `predict` is shown where a recipe has none of its own."""


def run(recipe: Recipe[Any, Any], argv: list[str] | None = None) -> int:
    """Runs the command line of a recipe and returns the exit code."""
    return run_program(program(recipe), argv)


def program(recipe: Recipe[Any, Any]) -> Program:
    """The command line that a recipe's record makes."""

    def bound(handler: Callable[..., int | None]) -> Callable[[Any, Settings[Any]], int | None]:
        def call(options: Any, settings: Settings[Any]) -> int | None:
            _check_seed(settings)
            return handler(recipe, options, settings)

        return call

    toml = f"recipes/{recipe.name}/NAME.toml"
    made = f"saved_models/{recipe.name}/demo"
    predicting = recipe.predict or _BY_LINE
    default = recipe.config()
    strategy = ("decoding",) if hasattr(default, "decoding") else ()
    measuring = ("evaluation",) if hasattr(default, "evaluation") else ()
    return Program(
        name=recipe.command,
        description=recipe.summary,
        config=recipe.config,
        commands=(
            Command(
                name="train",
                help="Train, measure, certify and write a bundle",
                handler=bound(recipe_commands.train),
                options=recipe_commands.TrainOptions,
                sections="all",
                examples=(
                    "",
                    f"train --config {toml} --training.epochs 5",
                    "train --resume",
                ),
            ),
            Command(
                name="evaluate",
                help="Measure a bundle on a test split; JSON on standard output",
                handler=bound(recipe_commands.evaluate),
                options=recipe_commands.EvaluateOptions,
                sections=("data", *measuring, *strategy),
                examples=(f"evaluate {made}",),
            ),
            Command(
                name="predict",
                help=predicting.help,
                handler=bound(recipe_commands.predict),
                options=recipe_commands.predict_options(recipe),
                sections=strategy,
                examples=tuple(
                    f"predict {example.replace('BUNDLE', made)}" for example in predicting.examples
                ),
            ),
            Command(
                name="tune",
                help="Try settings on the validation split and write the best as TOML",
                handler=bound(lambda *given: tuning.tune(*given)),
                options=TuneOptions,
                sections="all",
                examples=("tune --trials 20 --processes 2", f"tune --config {toml} --resume"),
                notes=tune_notes(recipe.space, recipe.config),
            ),
            Command(
                name="export",
                help="Write the servable alone, or in another format",
                handler=bound(recipe_commands.export),
                options=recipe_commands.ExportOptions,
                sections=("data",),
                examples=(
                    f"export {made} --output served/{recipe.name}",
                    f"export {made} --format onnx --output onnx/{recipe.name}",
                ),
            ),
        ),
    )


def _check_seed(settings: Settings[Any]) -> None:
    """Refuses a seed that NumPy does not take.

    Raises:
        UsageError: If it is out of range.
    """
    given = settings.given.get("seed")
    if given and not 0 <= given.value < 2**32:
        raise UsageError(f"{given.where} must be from 0 to {2**32 - 1}, got {given.value}.")


def strategy_options(decoding: Any) -> tuple[Option, ...]:
    """Makes the options of a servable from a dataclass of strategy settings.

    Args:
        decoding: Frozen dataclass of int, float and string fields and tuples of strings; a field
            named `seed` is int64. A field's metadata may have `most_bytes`, of its strings.
    """
    kind: type = type(decoding)
    described = field_docstrings(kind)
    limits = {f.name: f.metadata.get("most_bytes", 0) for f in fields(decoding)}
    dtypes: dict[type, Literal["int32", "float32", "string"]] = {
        int: "int32", float: "float32", str: "string", tuple: "string",
    }  # fmt: skip
    return tuple(
        Option(
            name=name,
            dtype="int64" if name == "seed" else dtypes[type(value)],
            default=value,
            rank=int(isinstance(value, tuple)),
            description=described[name],
            most_bytes=limits[name],
        )
        for name, value in vars(decoding).items()
    )
