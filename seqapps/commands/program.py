"""The command line that a recipe's record makes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqapps.arguments import Command, Program
from seqapps.arguments import run as run_program
from seqapps.commands import evaluate, export, predict, train, tune
from seqapps.config import Settings
from seqapps.errors import UsageError
from seqapps.recipe import Predict, Recipe

__all__ = ["program", "run"]

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
        shipped=_shipped(recipe.name),
        commands=(
            Command(
                name="train",
                help="Train, measure, certify and write a bundle",
                handler=bound(train.train),
                options=train.TrainOptions,
                sections="all",
                examples=(
                    "",
                    f"train --config {toml} --training.epochs 5",
                    "train --resume",
                ),
                notes=train.train_notes(recipe),
            ),
            Command(
                name="evaluate",
                help="Measure a bundle on a test split; JSON on standard output",
                handler=bound(evaluate.evaluate),
                options=evaluate.EvaluateOptions,
                sections=("data", *measuring, *strategy),
                examples=(f"evaluate {made}",),
            ),
            Command(
                name="predict",
                help=predicting.help,
                handler=bound(predict.predict),
                options=predict.predict_options(recipe),
                sections=strategy,
                examples=tuple(
                    f"predict {example.replace('BUNDLE', made)}" for example in predicting.examples
                ),
            ),
            Command(
                name="tune",
                help="Try settings on the validation split and write the best as TOML",
                handler=bound(tune.tune),
                options=tune.TuneOptions,
                sections="all",
                examples=("tune --trials 20 --processes 2", f"tune --config {toml} --resume"),
                notes=tune.tune_notes(recipe.space, recipe.config),
            ),
            Command(
                name="export",
                help="Write the servable alone, or in another format",
                handler=bound(export.export),
                options=export.ExportOptions,
                sections=("data",),
                examples=(
                    f"export {made} --output served/{recipe.name}",
                    f"export {made} --format onnx --output onnx/{recipe.name}",
                ),
            ),
        ),
    )


def _shipped(name: str) -> tuple[Path, ...]:
    """Where the configurations of a recipe are: in a wheel inside the package, else beside it."""
    package = Path(__file__).parents[1]
    return (package / "configurations" / name, package.parent / "recipes" / name)


def _check_seed(settings: Settings[Any]) -> None:
    """Refuses a seed that NumPy does not take.

    Raises:
        UsageError: If it is out of range.
    """
    given = settings.given.get("seed")
    if given and not 0 <= given.value < 2**32:
        raise UsageError(f"{given.where} must be from 0 to {2**32 - 1}, got {given.value}.")
