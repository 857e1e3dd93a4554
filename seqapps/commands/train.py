"""The command `train`: its flags, and what it does."""

import dataclasses
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqapps.automatic import is_auto
from seqapps.bundle.folder import check_free, read_untried
from seqapps.bundle.unfinished import Start, Unfinished
from seqapps.config import Settings, to_json
from seqapps.errors import UsageError, UserError, full
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.recipe import Recipe, settle, stored_config
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.training import run as training


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Flags of `train`."""

    output: Path | None = None
    """Where the bundle goes. Default: saved_models/RECIPE/ and the configuration's name."""
    overwrite: bool = False
    """Replace a bundle or an unfinished training that is there."""
    resume: bool = False
    """Go on with the training that was interrupted at this output, with its settings."""
    finish: bool = False
    """Make a bundle of what the training that was interrupted at this output has learned."""
    from_: Path | None = None
    """Start from the weights and settings of this bundle (fine-tuning). With --resume it may be
    left out."""
    overfit_one_batch: bool = False
    """Train on one batch alone and write nothing: the first thing to try when a model does not
    learn. Fails if the loss does not fall by half."""


UNCERTIFIED = 3
"""Exit code: the bundle is there, and a form of it could not be asked."""


def train(recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any]) -> int:
    """Trains, measures, certifies and writes a bundle; `UNCERTIFIED` if its certificate waits."""
    reporter = Reporter()
    if options.overfit_one_batch:
        _overfit(recipe, options, settings, reporter)
        return 0
    name = settings.file.stem if settings.file else "demo"
    output = options.output or Path("saved_models") / recipe.name / name
    work = Unfinished(output)
    resume = options.resume or options.finish
    if resume:
        # The bundle that it began from may be gone by now.
        work.check_begun()
        config = settings.resolve(stored_config(recipe, work.folder))
    else:
        config = _asked(recipe, options, settings)
        check_free(output, overwrite=options.overwrite)
    with work.alone():
        if resume:
            work.reopen(
                settings=to_json(config), overwrite=options.overwrite, trained=options.from_
            )
            if options.finish and not work.trained:
                raise UserError(
                    f"the training at {work.folder} has learned nothing yet; go on with --resume."
                )
        else:
            reporter.stage("reading the data")
            config, followed = settle(recipe, config, reporter)
            if followed:
                reporter.log(f"Settings that follow the data: {followed}")
            work.begin(
                recipe=recipe.name,
                interface=recipe.interface(config),
                settings=to_json(config),
                overwrite=options.overwrite,
                start=Start(settings.typed, options.from_, followed),
            )
        if not work.written:
            try:
                start_tensorflow()
                training.train(
                    recipe,
                    config,
                    work,
                    reporter,
                    resume=resume,
                    finish=options.finish,
                    overwrite=options.overwrite,
                )
            except BaseException as error:
                if work.learned:
                    raise
                # Nothing to go on with, and nothing that should be in the next run's way.
                work.close()
                if isinstance(error, KeyboardInterrupt):
                    raise KeyboardInterrupt("Stopped; nothing was learned yet.") from None
                if reason := full(error):
                    raise UserError(
                        f"{work.folder} cannot be written: {reason}. Nothing was learned yet; free "
                        "some space, and start again."
                    ) from error
                raise
        work.close()
    reporter.spent()
    reporter.next_steps(recipe.command, output)
    sys.stdout.write(f"{output}\n")
    if not (untried := read_untried(output)):
        return 0
    reporter.log(
        f"\nwarning: the bundle is not certified: {untried}. Once that is mended: "
        f"python -m seqapps certify {shlex.quote(str(output))}"
    )
    return UNCERTIFIED


def _asked(recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any]) -> Any:
    """The settings of a training that begins now."""
    typed = settings.given.keys()
    counted = {"training.epochs", "training.max_steps"} & typed
    config = settings.resolve(stored_config(recipe, options.from_) if options.from_ else None)
    if not counted or "training.minutes" in typed or is_auto(config.training.minutes):
        return config
    # The minutes are those of the bundle that is trained further, and somebody counts.
    untimed = dataclasses.replace(config.training, minutes=0.0)
    return dataclasses.replace(config, training=untimed)


def _overfit(
    recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any], reporter: Reporter
) -> None:
    given_flags = {
        "--resume": options.resume,
        "--finish": options.finish,
        "--from": options.from_,
    }
    for flag, given in given_flags.items():
        if given:
            raise UsageError(
                f"--overfit-one-batch starts from nothing and {flag} does not; give only one."
            )
    config, _ = settle(recipe, settings.resolve(), reporter)
    try:
        start_tensorflow()
        training.overfit_one_batch(recipe, config, reporter)
    except KeyboardInterrupt:
        # There is nothing to resume.
        raise KeyboardInterrupt("Stopped.") from None
