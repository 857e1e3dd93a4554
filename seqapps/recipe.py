"""The contract of an application: a record that a recipe module fills in, and its commands.

A recipe declares what goes in and out, how examples are loaded, which network learns from them,
what its loss is, how it answers and how it is measured. Training, checkpoints, the bundle, the
certificate and the command line follow from that record.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from seqapps.bundle.application import Application
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.folder import read_assets, read_config, staging
from seqapps.bundle.unfinished import Unfinished
from seqapps.bundle.values import describe, row_of
from seqapps.commands import Command, Program, positional
from seqapps.commands import run as run_program
from seqapps.config import Settings, field_docstrings, from_dict, to_json
from seqapps.errors import UsageError, UserError
from seqapps.fields import Answer, Assets, Interface, Option
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.report import Reporter

with lazy_imports():
    from seqapps import recipe_training
    from seqapps.portable import certificate

_CHUNK = 1 << 16
"""Bytes of input that are read at once."""
_PORTION = 256
"""Lines that are answered at once, at most."""


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
    if options.resume and (options.from_ or options.overfit_one_batch):
        other = "--from" if options.from_ else "--overfit-one-batch"
        raise UsageError(f"--resume goes on with a training and {other} starts one; give only one.")
    config = settings.resolve(stored_config(recipe, options.from_) if options.from_ else None)
    reporter = Reporter()
    if options.overfit_one_batch:
        start_tensorflow()
        recipe_training.overfit_one_batch(recipe, config, reporter)
        return
    name = settings.file.stem if settings.file else "demo"
    output = options.output or Path("saved_models") / recipe.name / name
    work = Unfinished(output)
    stored = to_json(config)
    if options.resume:
        work.reopen(settings=stored, overwrite=options.overwrite)
    else:
        work.begin(
            recipe=recipe.name,
            interface=recipe.interface(config),
            settings=stored,
            overwrite=options.overwrite,
        )
    if not work.written:
        start_tensorflow()
        try:
            recipe_training.train(recipe, config, options, work, reporter)
        except Exception:
            if not work.learned:
                # Nothing to go on with, and nothing that should be in the next run's way.
                work.close()
            raise
    work.close()
    reporter.next_steps(recipe.command, output)
    sys.stdout.write(f"{output}\n")


def _evaluate(recipe: Recipe[Any, Any], options: EvaluateOptions, settings: Settings[Any]) -> None:
    config = settings.resolve(stored_config(recipe, options.bundle))
    reporter = Reporter()
    application = load_bundle(options.bundle)
    examples = recipe.load(config, read_assets(options.bundle), reporter)
    evaluation = recipe.evaluate(config, application, examples, reporter)
    reporter.evaluation(evaluation.metrics, evaluation.samples)
    sys.stdout.write(json.dumps(evaluation.metrics, ensure_ascii=False, indent=2) + "\n")


def _predict(recipe: Recipe[Any, Any], options: PredictOptions, settings: Settings[Any]) -> None:
    config = settings.resolve(stored_config(recipe, options.bundle))
    strategy: dict[str, Any] = {o.name: o.default for o in recipe.interface(config).options}
    application = load_bundle(options.bundle)
    number = 0
    for questions in _questions(application.interface, options.files):
        for answer in application.answers(questions, **strategy):
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
    start_tensorflow()
    certificate.check_files(options.bundle)
    place = options.output / "1"
    with staging(place, overwrite=False) as folder:
        shutil.copytree(options.bundle / "servable" / "1", folder, dirs_exist_ok=True)
    sys.stdout.write(f"{place}\n")


def stored_config(recipe: Recipe[Any, Any], folder: Path) -> Any:
    """The settings that a bundle was trained with.

    Raises:
        UserError: If it is no bundle of this recipe.
    """
    stored = read_config(folder)
    if stored.recipe != recipe.name:
        raise UserError(
            f"{folder} is a bundle of {stored.recipe}, not of {recipe.name}; "
            f"use python -m seqapps.recipes.{stored.recipe}."
        )
    return from_dict(recipe.config, stored.settings, source=str(folder / "config.json"))


def _questions(interface: Interface, files: Sequence[Path]) -> Iterator[list[Any]]:
    """One input a line: the line itself where a recipe takes one text, else JSON."""
    text = len(interface.inputs) == 1 and interface.inputs[0].media == "text"
    wanted = " and ".join(f"{field.name}: {describe(field)}" for field in interface.inputs)

    def question(name: str, number: int, line: bytes) -> Any:
        if text:
            # As bytes: what is not UTF-8 is the model's to read.
            return line
        try:
            value = json.loads(line)
            row_of(interface, value)
        except (ValueError, UserError) as error:
            raise UserError(
                f"{name}, line {number}: each line must be JSON ({wanted}): {error}"
            ) from None
        return value

    for path in files:
        try:
            with path.open("rb") as stream:
                for portion in _portions(stream):
                    yield [question(str(path), *numbered) for numbered in portion]
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if not files:
        for portion in _portions(sys.stdin.buffer):
            yield [question("standard input", *numbered) for numbered in portion]


def _portions(stream: Any) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines as they come: those that are there now, so that nobody waits for more."""
    number, rest = 0, b""
    while chunk := stream.read1(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for start in range(0, len(lines), _PORTION):
            portion = [line.removesuffix(b"\r") for line in lines[start : start + _PORTION]]
            yield list(enumerate(portion, number + 1))
            number += len(portion)
    if rest:
        yield [(number + 1, rest.removesuffix(b"\r"))]
