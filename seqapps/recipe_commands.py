"""The commands of every recipe: their options, and what they do."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.application import load_network
from seqapps.bundle.folder import check_free, read_assets, read_config, staging
from seqapps.bundle.unfinished import Start, Unfinished
from seqapps.commands import positional
from seqapps.config import Settings, from_dict, to_json
from seqapps.errors import UsageError, UserError
from seqapps.fields import MAIN, Rating
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.predicting import PredictOptions, answer_lines
from seqapps.report import Reporter

with lazy_imports():
    from seqapps import recipe_training
    from seqapps.layers import cudnn
    from seqapps.portable import certificate, litert, onnx, onnx_application

if TYPE_CHECKING:
    from seqapps.recipe import Recipe


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
class ExportOptions:
    """Flags of `export`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""
    format: Literal["tf_saved_model", "onnx", "litert"] = "tf_saved_model"
    """What to write. `onnx`: networks, assets and a `predictor.py` that needs no TensorFlow (extra
    `onnx`). `litert`: the networks for LiteRT. Both answer as the SavedModel does, or are
    refused."""
    quantise: Literal["none", "int8"] = "none"
    """Of ONNX: `int8` stores weights as 8-bit numbers, and measures on the test split, or a part
    of a large one, what that costs; CARD.md of the export says it. The data settings say where that
    split is, if it is not where it was in the training."""
    output: Path = Path("exported")
    """Where to write it; a SavedModel goes to its version folder `1`, as TF Serving wants it."""
    overwrite: bool = False
    """Replace what was exported there before."""


_PORTION = 64
"""Questions of a measurement after which progress is told."""


def predict_options(recipe: "Recipe[Any, Any]") -> type[PredictOptions]:
    """The flags of `predict`, with the recipe's views in their help."""
    options = recipe.predict.options if recipe.predict else PredictOptions
    if not recipe.views:
        return options
    described = "; ".join(f"`{name}`: {view.help}" for name, view in recipe.views.items())
    view = field(
        default="answer",
        metadata={"help": f"What to print. `answer`: the answer alone; {described}."},
    )
    return make_dataclass(
        "ViewOptions",
        [("view", Literal["answer", *recipe.views], view)],
        bases=(options,),
        frozen=True,
        kw_only=True,
    )


def train(recipe: "Recipe[Any, Any]", options: TrainOptions, settings: Settings[Any]) -> None:
    """Trains, measures, certifies and writes a bundle."""
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
    recipe: "Recipe[Any, Any]", options: TrainOptions, settings: Settings[Any], reporter: Reporter
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


def evaluate(recipe: "Recipe[Any, Any]", options: EvaluateOptions, settings: Settings[Any]) -> None:
    """Measures a bundle on a test split."""
    config = settings.resolve(stored_config(recipe, options.bundle))
    reporter = Reporter()
    application = load_bundle(options.bundle)
    examples = recipe.load(config, read_assets(options.bundle), reporter)
    evaluation = recipe.evaluate(config, application, examples, reporter)
    reporter.evaluation(evaluation.metrics, evaluation.samples, evaluation.on)
    sys.stdout.write(json.dumps(evaluation.metrics, ensure_ascii=False, indent=2) + "\n")


def predict(recipe: "Recipe[Any, Any]", options: PredictOptions, settings: Settings[Any]) -> None:
    """Answers what files or standard input ask."""
    config = settings.resolve(stored_config(recipe, options.bundle))
    application = open_application(options.bundle)
    view = recipe.views.get(getattr(options, "view", ""))
    if recipe.predict and not view:
        recipe.predict.run(config, application, options)
        return
    strategy = {option.name: option.default for option in recipe.interface(config).options}
    answer_lines(config, application, options, strategy=strategy, show=recipe.show, view=view)


def open_application(folder: Path) -> Any:
    """Loads a bundle; or its ONNX form, which takes no TensorFlow."""
    if (folder / "predictor.json").is_file():
        return onnx_application.OnnxApplication(folder)
    return load_bundle(folder)


def export(recipe: "Recipe[Any, Any]", options: ExportOptions, settings: Settings[Any]) -> None:
    """Writes what other programs run: the servable alone, or another format."""
    config = settings.resolve(stored_config(recipe, options.bundle))
    if settings.given and options.quantise == "none":
        raise UsageError(
            f"--{next(iter(settings.given))} says what --quantise int8 is measured on; leave it "
            "out, or quantise."
        )
    if options.quantise != "none" and options.format != "onnx":
        raise UsageError(f"--quantise is for --format onnx, got --format {options.format}.")
    if options.quantise != "none" and recipe.rate is None:
        raise UserError(
            f"{recipe.name} has no measure of answers alone, so nobody could say what int8 costs; "
            "leave out --quantise."
        )
    start_tensorflow()
    certificate.check_files(options.bundle)
    if options.format == "tf_saved_model":
        place = options.output / "1"
        with staging(place, overwrite=options.overwrite, mark="saved_model.pb") as folder:
            shutil.copytree(options.bundle / "servable" / "1", folder, dirs_exist_ok=True)
        sys.stdout.write(f"{place}\n")
        return
    mark = "predictor.json" if options.format == "onnx" else "litert.json"
    check_free(options.output, overwrite=options.overwrite, mark=mark)
    if recipe.parts is None:
        raise UserError(
            f"{recipe.name} has no form in {options.format}; export --format tf_saved_model runs "
            "wherever TensorFlow does."
        )
    reporter = Reporter()
    network = load_network(options.bundle)
    cudnn.reset_cudnn(network, False)
    assets = read_assets(options.bundle)
    parts = recipe.parts(config, network, assets)
    application = load_bundle(options.bundle)
    samples = certificate.samples_of(options.bundle)
    if options.format == "litert":
        litert.export(
            options.output, parts=parts, application=application, overwrite=options.overwrite,
            log=reporter.log,
        )  # fmt: skip
    else:
        measure = None
        if options.quantise == "int8" and recipe.rate:
            # Before the work, so that data that is gone is said at once.
            examples = recipe.load(config, assets, reporter)
            measure = _measure(recipe.rate(config, examples), reporter)
        onnx.export(
            options.bundle,
            options.output,
            parts=parts,
            application=application,
            summary=recipe.summary,
            overwrite=options.overwrite,
            samples=samples,
            measure=measure,
            log=reporter.log,
        )
    sys.stdout.write(f"{options.output}\n")


def _measure(rating: Rating, reporter: Reporter) -> "onnx.Measure":
    """What is measured before and after weights become 8-bit."""

    def measure(application: Any) -> tuple[Mapping[str, Any], str]:
        found: list[dict[str, Any]] = []
        total = len(rating.questions)
        with reporter.bar("Measuring the answers", total=total, unit="questions") as bar:
            for start in range(0, total, _PORTION):
                some = rating.questions[start : start + _PORTION]
                if rating.signature == MAIN:
                    found += application.answers(some, **rating.options)
                else:
                    found += application.ask(rating.signature, some, **rating.options)
                bar.advance(len(some))
        return rating.score(found), rating.on

    return measure


def stored_config(recipe: "Recipe[Any, Any]", folder: Path) -> Any:
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
