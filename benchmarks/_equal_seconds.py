"""What the benchmarks of text generation share: training for given seconds."""

import sys
import tempfile
from pathlib import Path

from seqapps.recipes.generate.recipe import RECIPE
from seqapps.report import Reporter
from seqapps.training import run as training_run

_TRIALS = (60, 160)
"""Updates of two short runs: what they share, tracing and a validation, is no part of the rate."""


def learn(config, *, seconds=0.0):
    """Trains no longer than so many seconds; gives the examples and what was learned."""
    training_run.start(config)
    reporter = Reporter(sys.stderr)
    examples = RECIPE.load(config, None, reporter)
    with tempfile.TemporaryDirectory() as folder:
        learned = training_run.learn(
            RECIPE,
            config,
            examples,
            folder=Path(folder),
            reporter=reporter,
            limit_minutes=seconds / 60,
        )
    return examples, learned


def updates_within(seconds, settings):
    """How many updates fit into so many seconds, so that the rate of learning falls in time.

    `settings(steps)` are those of a run of so many updates.
    """
    first, second = (learn(settings(trial))[1].progress.seconds for trial in _TRIALS)
    rate = (_TRIALS[1] - _TRIALS[0]) / max(second - first, 1e-3)
    overhead = max(0.0, first - _TRIALS[0] / rate)
    planned = max(_TRIALS[0], int(rate * (seconds - overhead)))
    print(f"{rate:.1f} updates/s after {overhead:.1f} s: {planned}", file=sys.stderr)
    return planned
