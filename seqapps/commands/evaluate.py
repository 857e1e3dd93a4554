"""The command `evaluate`: its flags, and what it does."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqapps.arguments import positional
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.folder import read_assets, read_data_record
from seqapps.config import Settings
from seqapps.data.fingerprint import FromData, difference, fingerprint
from seqapps.recipe import Examples, Recipe, resolved
from seqapps.report import Reporter


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Flags of `evaluate`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""


def evaluate(recipe: Recipe[Any, Any], options: EvaluateOptions, settings: Settings[Any]) -> None:
    """Measures a bundle on a test split."""
    config = resolved(recipe, options.bundle, settings)
    reporter = Reporter()
    application = load_bundle(options.bundle)
    examples = recipe.load(config, read_assets(options.bundle), reporter)
    _compare(options.bundle, examples, reporter)
    evaluation = recipe.evaluate(config, application, examples, reporter)
    reporter.evaluation(evaluation.metrics, evaluation.samples, evaluation.on, evaluation.warnings)
    sys.stdout.write(json.dumps(evaluation.stored, ensure_ascii=False, indent=2) + "\n")


def _compare(bundle: Path, examples: Examples, reporter: Reporter) -> None:
    """Says what of the data is not as it was in the training."""
    before = read_data_record(bundle)
    if before is None or not isinstance(examples, FromData):
        return
    # Some recipes measure without the data that they were trained on.
    now = {split: part for split, part in fingerprint(examples.rows).items() if part["rows"]}
    if changed := difference(before.splits, now):
        reporter.log(f"This is not the data of the training: {changed}")
