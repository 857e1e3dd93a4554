"""The command `export`: its flags, and what it does."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqapps.arguments import positional
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.application import load_network
from seqapps.bundle.folder import check_free, read_assets, staging
from seqapps.config import Settings
from seqapps.errors import UsageError, UserError
from seqapps.fields import MAIN, Rating
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.recipe import Recipe, resolved
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.layers import cudnn
    from seqapps.portable import certificate, litert, onnx


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


def export(recipe: Recipe[Any, Any], options: ExportOptions, settings: Settings[Any]) -> None:
    """Writes what other programs run: the servable alone, or another format."""
    config = resolved(recipe, options.bundle, settings)
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
    certificate.check_certified(options.bundle)
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
            options.output,
            parts=parts,
            application=application,
            overwrite=options.overwrite,
            log=reporter.log,
        )
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
        answers: list[dict[str, Any]] = []
        total = len(rating.questions)
        with reporter.bar("Measuring the answers", total=total, unit="questions") as bar:
            for start in range(0, total, _PORTION):
                some = rating.questions[start : start + _PORTION]
                if rating.signature == MAIN:
                    answers += application.answers(some, **rating.options)
                else:
                    answers += application.ask(rating.signature, some, **rating.options)
                bar.advance(len(some))
        return rating.score(answers), rating.on

    return measure
