"""The contract of an application: a record that a recipe module fills in, and its commands.

A recipe declares what goes in and out, how examples are loaded, which network learns from them,
what its loss is, how it answers and how it is measured. Training, checkpoints, the bundle, the
certificate and the command line follow from that record.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from seqapps.bundle.application import Application
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.folder import check_free, read_assets, read_config, staging
from seqapps.bundle.unfinished import Start, Unfinished
from seqapps.bundle.values import describe, row_of
from seqapps.commands import Command, Program, positional
from seqapps.commands import run as run_program
from seqapps.config import Settings, field_docstrings, from_dict, to_json
from seqapps.errors import UsageError, UserError
from seqapps.fields import MAIN, Answer, Answers, Assets, Interface, Option
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.report import Reporter
from seqapps.tuning.options import TuneOptions, tune_notes
from seqapps.tuning_space import Space

with lazy_imports():
    from seqapps import recipe_training
    from seqapps.portable import certificate
    from seqapps.tuning import command as tuning

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
    title: str = "Samples"
    """What the samples are."""
    draw: Callable[[Path], None] = lambda _: None
    """`draw(folder)`: what people would rather look at, as PNG."""


@dataclass(frozen=True)
class View:
    """A further way to print answers."""

    help: str
    """What is printed, in a few words."""
    signature: str
    """The further signature that is asked."""
    show: Callable[[Mapping[str, Any]], str] = str
    """`show(answer)`: one answer, as it comes."""
    page: Callable[[list[Mapping[str, Any]]], str] | None = None
    """`page(answers)`: all answers at once, in place of `show`."""


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
    further: Callable[[C, Any, Assets], Answers] = lambda *_: {}
    """`further(config, network, assets)`: what the interface's further signatures serve."""
    pretrain: Callable[[C, Any, E, Path, Reporter, bool], list[dict[str, float]]] = lambda *_: []
    """`pretrain(config, network, examples, folder, reporter, resume)`: a phase before the training,
    which leaves what it learned in the network; gives the history of its epochs."""
    groups: Callable[[C, Any], Sequence[Any]] = lambda *_: ()
    """`groups(config, network)`: the `training.optimizer.LayerGroup`s of layers that learn at
    rates of their own."""
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


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Flags of `train`."""

    output: Path | None = None
    """Where the bundle goes. Default: saved_models/RECIPE/ and the configuration's name."""
    overwrite: bool = False
    """Replace a bundle or an unfinished training that is there."""
    resume: bool = False
    """Go on with the training that was interrupted at this output, with its settings."""
    from_: Path | None = None
    """Start from the weights and settings of this bundle (fine-tuning). With --resume it may be
    left out."""
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
    overwrite: bool = False
    """Replace what was exported there before."""


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
                options=_predict_options(recipe),
                sections=strategy,
                examples=(f"predict {made} < in.txt > out.txt",),
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
                help="Write the servable alone",
                handler=bound(_export),
                options=ExportOptions,
                examples=(f"export {made} --output served/{recipe.name}",),
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


def _predict_options(recipe: Recipe[Any, Any]) -> type[PredictOptions]:
    """The flags of `predict`, with the recipe's views in their help."""
    if not recipe.views:
        return PredictOptions
    described = "; ".join(f"`{name}`: {view.help}" for name, view in recipe.views.items())
    view = field(
        default="answer",
        metadata={"help": f"What to print. `answer`: the answer alone; {described}."},
    )
    return make_dataclass(
        "ViewOptions",
        [("view", Literal["answer", *recipe.views], view)],
        bases=(PredictOptions,),
        frozen=True,
        kw_only=True,
    )


def _train(recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any]) -> None:
    reporter = Reporter()
    if options.overfit_one_batch:
        _overfit(recipe, options, settings, reporter)
        return
    name = settings.file.stem if settings.file else "demo"
    output = options.output or Path("saved_models") / recipe.name / name
    work = Unfinished(output)
    base = None
    if options.resume:
        # The bundle that it began from may be gone by now.
        work.check_begun()
        base = stored_config(recipe, work.folder)
    elif options.from_:
        base = stored_config(recipe, options.from_)
    config = settings.resolve(base)
    if not options.resume:
        check_free(output, overwrite=options.overwrite)
    with work.alone():
        if options.resume:
            work.reopen(
                settings=to_json(config), overwrite=options.overwrite, trained=options.from_
            )
        else:
            work.begin(
                recipe=recipe.name,
                interface=recipe.interface(config),
                settings=to_json(config),
                overwrite=options.overwrite,
                start=Start(settings.typed, options.from_),
            )
        if not work.written:
            try:
                start_tensorflow()
                recipe_training.train(recipe, config, options, work, reporter)
            except BaseException as error:
                if work.learned:
                    raise
                # Nothing to go on with, and nothing that should be in the next run's way.
                work.close()
                if isinstance(error, KeyboardInterrupt):
                    raise KeyboardInterrupt("Stopped; nothing was learned yet.") from None
                raise
        work.close()
    reporter.next_steps(recipe.command, output)
    sys.stdout.write(f"{output}\n")


def _overfit(
    recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any], reporter: Reporter
) -> None:
    for flag, given in (("--resume", options.resume), ("--from", options.from_)):
        if given:
            raise UsageError(
                f"--overfit-one-batch starts from nothing and {flag} does not; give only one."
            )
    config = settings.resolve()
    try:
        start_tensorflow()
        recipe_training.overfit_one_batch(recipe, config, reporter)
    except KeyboardInterrupt:
        # There is nothing to resume.
        raise KeyboardInterrupt("Stopped.") from None


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
    view = recipe.views.get(getattr(options, "view", ""))
    number = 0
    kept: list[Mapping[str, Any]] = []
    for questions in _questions(application.interface, options.files):
        if view:
            answers = application.ask(view.signature, questions)
        else:
            answers = application.answers(questions, **strategy)
        for answer in answers:
            if options.json:
                text = json.dumps(answer, ensure_ascii=False)
            elif view and view.page:
                kept.append(answer)
                continue
            else:
                text = view.show(answer) if view else recipe.show(config, number, answer)
            sys.stdout.write(text + "\n")
            number += 1
        sys.stdout.flush()
    if view and view.page and not options.json:
        sys.stdout.write(view.page(kept))


def _export(recipe: Recipe[Any, Any], options: ExportOptions, settings: Settings[Any]) -> None:
    stored_config(recipe, options.bundle)
    start_tensorflow()
    certificate.check_files(options.bundle)
    place = options.output / "1"
    with staging(place, overwrite=options.overwrite, mark="saved_model.pb") as folder:
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
    number = 0
    # Pieces of the last line: to join them for every chunk would take the square of its length.
    rest: list[bytes] = []
    while chunk := stream.read1(_CHUNK):
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if not others:
            continue
        lines = [b"".join(rest), *others[:-1]]
        rest = others[-1:]
        for start in range(0, len(lines), _PORTION):
            portion = [line.removesuffix(b"\r") for line in lines[start : start + _PORTION]]
            yield list(enumerate(portion, number + 1))
            number += len(portion)
    if last := b"".join(rest):
        yield [(number + 1, last.removesuffix(b"\r"))]
