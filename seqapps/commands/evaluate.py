"""The command `evaluate`: its flags, and what it does."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqapps.arguments import positional
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.folder import read_assets
from seqapps.config import Settings
from seqapps.recipe import Recipe, stored_config
from seqapps.report import Reporter


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Flags of `evaluate`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""


def evaluate(recipe: Recipe[Any, Any], options: EvaluateOptions, settings: Settings[Any]) -> None:
    """Measures a bundle on a test split."""
    config = settings.resolve(stored_config(recipe, options.bundle))
    reporter = Reporter()
    application = load_bundle(options.bundle)
    examples = recipe.load(config, read_assets(options.bundle), reporter)
    evaluation = recipe.evaluate(config, application, examples, reporter)
    reporter.evaluation(evaluation.metrics, evaluation.samples, evaluation.on, evaluation.warnings)
    sys.stdout.write(json.dumps(evaluation.stored, ensure_ascii=False, indent=2) + "\n")
