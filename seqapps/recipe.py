"""The contract of an application: a record that a recipe module fills in, and its commands.

A recipe declares what goes in and out, how examples are loaded, which network learns from them,
what its loss is, how it answers and how it is measured. Training, checkpoints, the bundle, the
certificate and the command line follow from that record.
"""

import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from seqapps import bundle
from seqapps.bundle import Answer, Application, Assets, Interface
from seqapps.commands import Command, Program, positional
from seqapps.commands import run as run_program
from seqapps.config import Settings, field_docstrings, from_dict
from seqapps.errors import UsageError, UserError
from seqapps.fields import Option
from seqapps.lazy import lazy_imports
from seqapps.report import Reporter

with lazy_imports():
    from seqapps import recipe_training


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
    """What was measured on the test split."""

    metrics: dict[str, Any]
    """Name → number or signature; written as metrics.json."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """A few answers beside their references, column → text."""


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
    """Frozen dataclass of all settings; has `training` and `seed`."""
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
    plots: Callable[[C, Any, E, Path], None] = lambda *_: None
    """`plots(config, network, examples, folder)`: draws what people would rather look at."""
    show: Callable[[int, Mapping[str, Any]], str] = lambda _, answer: str(
        next(iter(answer.values()))
    )
    """`show(number, answer)`: one answer as `predict` prints it."""

    @property
    def command(self) -> str:
        """How the recipe is started."""
        return f"python -m seqapps.recipes.{self.name}"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Flags of `train`."""

    output: Path | None = None
    """Where the bundle goes. Default: saved_models/RECIPE/ and the configuration's name."""
    overwrite: bool = False
    """Replace a bundle or an unfinished training that is there."""
    resume: bool = False
    """Go on with the training that was interrupted at this output."""
    from_: Path | None = None
    """Start from the weights and settings of this bundle (fine-tuning)."""
    overfit_one_batch: bool = False
    """Train on one batch alone and write nothing: the first thing to try when a model does not
    learn. Fails if the loss does not fall by half."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Flags of `evaluate`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Flags of `predict`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""
    files: tuple[Path, ...] = positional(())
    """Files to read; standard input if there are none."""
    json: bool = False
    """Print each answer as one line of JSON with everything the model gives."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Flags of `export`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""
    format: Literal["tf_saved_model"] = "tf_saved_model"
    """What to write."""
    output: Path = Path("exported")
    """Where to write it; a SavedModel goes to its version folder `1`, as TF Serving wants it."""


def run(recipe: Recipe[Any, Any], argv: list[str] | None = None) -> int:
    """Runs the command line of a recipe and returns the exit code."""
    return run_program(program(recipe), argv)


def program(recipe: Recipe[Any, Any]) -> Program:
    """The command line that a recipe's record makes."""

    def bound(handler: Callable[..., int | None]) -> Callable[[Any, Settings[Any]], int | None]:
        return lambda options, settings: handler(recipe, options, settings)

    toml = f"recipes/{recipe.name}/NAME.toml"
    made = f"saved_models/{recipe.name}/demo"
    strategy = ("decoding",) if hasattr(recipe.config(), "decoding") else ()
    return Program(
        name=recipe.command,
        description=recipe.summary,
        config=recipe.config,
        commands=(
            Command(
                name="train",
                help="Train, measure, certify and write a bundle",
                handler=bound(_train),
                options=TrainOptions,
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
                handler=bound(_evaluate),
                options=EvaluateOptions,
                sections=("data", *strategy),
                examples=(f"evaluate {made}",),
            ),
            Command(
                name="predict",
                help="Answer each line of files or standard input",
                handler=bound(_predict),
                options=PredictOptions,
                sections=strategy,
                examples=(f"predict {made} < in.txt > out.txt",),
            ),
            Command(
                name="export",
                help="Write the servable alone",
                handler=bound(_export),
                options=ExportOptions,
                examples=(f"export {made} --output served/{recipe.name}",),
            ),
        ),
    )


def strategy_options(decoding: Any) -> tuple[Option, ...]:
    """Makes the options of a servable from a dataclass of strategy settings.

    Args:
        decoding: Frozen dataclass of int and float fields; a field named `seed` is int64.
    """
    kind: type = type(decoding)
    described = field_docstrings(kind)
    dtypes: dict[type, Literal["int32", "float32"]] = {int: "int32", float: "float32"}
    return tuple(
        Option(
            name=name,
            dtype="int64" if name == "seed" else dtypes[type(value)],
            default=value,
            description=described[name],
        )
        for name, value in vars(decoding).items()
    )


def _train(recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any]) -> None:
    if options.resume and options.from_:
        raise UsageError("--resume goes on with a training and --from starts one; give only one.")
    base = stored_config(recipe, options.from_) if options.from_ else None
    config = settings.resolve(base)
    if options.overfit_one_batch:
        recipe_training.overfit_one_batch(recipe, config, Reporter())
        return
    name = settings.file.stem if settings.file else "demo"
    output = options.output or Path("saved_models") / recipe.name / name
    recipe_training.train(recipe, config, options, output, Reporter())
    sys.stdout.write(f"{output}\n")


def _evaluate(recipe: Recipe[Any, Any], options: EvaluateOptions, settings: Settings[Any]) -> None:
    config = settings.resolve(stored_config(recipe, options.bundle))
    reporter = Reporter()
    application = bundle.load(options.bundle)
    examples = recipe.load(config, bundle.read_assets(options.bundle), reporter)
    evaluation = recipe.evaluate(config, application, examples, reporter)
    reporter.evaluation(evaluation.metrics, evaluation.samples)
    sys.stdout.write(json.dumps(evaluation.metrics, ensure_ascii=False, indent=2) + "\n")


def _predict(recipe: Recipe[Any, Any], options: PredictOptions, settings: Settings[Any]) -> None:
    config = settings.resolve(stored_config(recipe, options.bundle))
    application = bundle.load(options.bundle)
    strategy = {option.name: option.default for option in recipe.interface(config).options}
    questions = _questions(application.interface, options.files)
    # A person at a terminal waits for one line; a pipe is answered in larger portions.
    portion = 1 if not options.files and sys.stdin.isatty() else 256
    number = 0
    while rows := list(itertools.islice(questions, portion)):
        for answer in application.answers(rows, **strategy):
            text = (
                json.dumps(answer, ensure_ascii=False)
                if options.json
                else recipe.show(number, answer)
            )
            sys.stdout.write(text + "\n")
            number += 1
        sys.stdout.flush()


def _export(recipe: Recipe[Any, Any], options: ExportOptions, settings: Settings[Any]) -> None:
    stored_config(recipe, options.bundle)
    bundle.check_free(options.output / "1", overwrite=False)
    options.output.mkdir(parents=True, exist_ok=True)
    shutil.copytree(options.bundle / "servable" / "1", options.output / "1")
    sys.stdout.write(f"{options.output / '1'}\n")


def stored_config(recipe: Recipe[Any, Any], folder: Path) -> Any:
    """The settings that a bundle was trained with.

    Raises:
        UserError: If it is no bundle of this recipe.
    """
    stored = bundle.read_config(folder)
    if stored["recipe"] != recipe.name:
        raise UserError(
            f"{folder} is a bundle of {stored['recipe']}, not of {recipe.name}; "
            f"use python -m seqapps.recipes.{stored['recipe']}."
        )
    return from_dict(recipe.config, stored["settings"], source=str(folder / "config.json"))


def _questions(interface: Interface, files: Iterable[Path]) -> Iterator[Any]:
    """One input a line: the line itself where a recipe takes one text, else JSON."""
    text = len(interface.inputs) == 1 and interface.inputs[0].media == "text"
    for name, number, line in _lines(files):
        if text:
            yield line
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            wanted = " and ".join(
                f"{field.name}: {bundle.describe(field)}" for field in interface.inputs
            )
            raise UserError(
                f"{name}:{number}: each line must be JSON ({wanted}), but it is not: {error}."
            ) from None


def _lines(files: Iterable[Path]) -> Iterator[tuple[str, int, bytes]]:
    """Name, number and text of each line, as bytes: what is not UTF-8 is the model's to read."""
    paths = list(files)
    for path in paths:
        try:
            with path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    yield str(path), number, line.rstrip(b"\r\n")
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if not paths:
        for number, line in enumerate(sys.stdin.buffer, 1):
            yield "standard input", number, line.rstrip(b"\r\n")
