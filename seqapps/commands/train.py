"""The command `train`: its flags, and what it does."""

import dataclasses
import shlex
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqapps.automatic import is_auto
from seqapps.bundle.folder import check_free, read_assets, read_untried
from seqapps.bundle.unfinished import Start, Unfinished
from seqapps.config import Settings, leaves, show, to_json
from seqapps.errors import UsageError, UserError, full
from seqapps.lazy import lazy_imports, start_tensorflow
from seqapps.recipe import Recipe, at_home, resolved, settle, stored_config
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
    try_: bool = False
    """Go through every stage with a few updates, keep nothing, and say how long the whole takes:
    the first thing to try with new data."""
    overfit_one_batch: bool = False
    """Train on one batch alone and write nothing: the first thing to try when a model does not
    learn. Fails if the loss does not fall by half."""


UNCERTIFIED = 3
"""Exit code: the bundle is there, and a form of it could not be asked."""


def train(recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any]) -> int:
    """Trains, measures, certifies and writes a bundle; `UNCERTIFIED` if its certificate waits."""
    reporter = Reporter()
    for flag, given, work_on in (
        ("--overfit-one-batch", options.overfit_one_batch, _overfit),
        ("--try", options.try_, _try),
    ):
        if given:
            _check_alone(flag, options)
            try:
                return work_on(recipe, options, settings, reporter)
            except KeyboardInterrupt:
                # There is nothing to resume.
                raise KeyboardInterrupt("Stopped.") from None
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
            config = at_home(config, work.folder)
            if options.finish and not work.trained:
                raise UserError(
                    f"the training at {work.folder} has learned nothing yet; go on with --resume."
                )
        else:
            config = _begin(recipe, options, settings, config, work, reporter)
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


def _begin(
    recipe: Recipe[Any, Any],
    options: TrainOptions,
    settings: Settings[Any],
    config: Any,
    work: Unfinished,
    reporter: Reporter,
) -> Any:
    """Makes the folder of a training; gives its settings, of which nobody chose some."""
    reporter.stage("reading the data")
    config, followed = settle(recipe, config, reporter)
    if followed:
        reporter.log(f"Settings that follow the data: {followed}")
    assets, anew = None, ""
    if options.from_:
        assets, anew = recipe.adopt(config, read_assets(options.from_), reporter)
    if anew:
        reporter.log(anew)
    work.begin(
        recipe=recipe.name,
        interface=recipe.interface(config),
        settings=to_json(config),
        overwrite=options.overwrite,
        start=Start(settings.typed, options.from_, followed, anew),
        assets=assets,
    )
    return config


def _asked(recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any]) -> Any:
    """The settings of a training that begins now."""
    typed = settings.given.keys()
    counted = {"training.epochs", "training.max_steps"} & typed
    if not options.from_:
        config = settings.resolve()
    else:
        config = resolved(recipe, options.from_, settings)
        _check_fixed(recipe, stored_config(recipe, options.from_), config)
    if not counted or "training.minutes" in typed or is_auto(config.training.minutes):
        return config
    # The minutes are those of the bundle that is trained further, and somebody counts.
    untimed = dataclasses.replace(config.training, minutes=0.0)
    return dataclasses.replace(config, training=untimed)


def train_notes(recipe: Recipe[Any, Any]) -> str:
    """What the help of `train` says about settings that a bundle fixes."""
    names = [
        f"{section}.{name}".removeprefix(".")
        for section, those in recipe.fixed.items()
        for name in those.split()
    ]
    if not names:
        return ""
    said = textwrap.fill(", ".join(names), initial_indent="  ", subsequent_indent="  ")
    return f"With --from these are the bundle's own, all others may change:\n{said}"


def _check_fixed(recipe: Recipe[Any, Any], base: Any, config: Any) -> None:
    """Refuses settings that the bundle that is trained further has fixed."""
    pairs = zip(*(leaves(recipe.config, instance=one) for one in (base, config)), strict=True)
    for old, new in pairs:
        section, _, name = new.path.rpartition(".")
        fixed = {name, "*"} & set(recipe.fixed.get(section, "").split())
        if fixed and (new.default != old.default or is_auto(new.default)):
            raise UsageError(
                f"--{new.path} is {show(old.default)} in the bundle of --from, whose weights or "
                f"vocabulary depend on it, and cannot become {show(new.default)}; leave it out, or "
                "train anew without --from."
            )


def _check_alone(flag: str, options: TrainOptions) -> None:
    """Refuses what does not go with a flag that writes nothing."""
    others = {
        "--resume": options.resume,
        "--finish": options.finish,
        "--from": options.from_ and flag != "--try",
        "--try": options.try_,
    }
    for other, given in others.items():
        if given and other != flag:
            raise UsageError(f"{flag} starts from nothing and {other} does not; give only one.")


def _try(
    recipe: Recipe[Any, Any], options: TrainOptions, settings: Settings[Any], reporter: Reporter
) -> int:
    """Rehearses a training in a folder that is gone afterwards."""
    config = _asked(recipe, options, settings)
    with tempfile.TemporaryDirectory(prefix="seqapps-") as folder:
        work = Unfinished(Path(folder) / "tried")
        config = _begin(recipe, options, settings, config, work, reporter)
        start_tensorflow()
        told = training.rehearse(recipe, config, work, reporter)
        untried = read_untried(work.output)
    reporter.spent()
    works = f"All works but the certificate: {untried}" if untried else "Every stage works"
    reporter.log(f"{works}; nothing of it is kept. {told}")
    return UNCERTIFIED if untried else 0


def _overfit(
    recipe: Recipe[Any, Any], _: TrainOptions, settings: Settings[Any], reporter: Reporter
) -> int:
    config, _told = settle(recipe, settings.resolve(), reporter)
    start_tensorflow()
    training.overfit_one_batch(recipe, config, reporter)
    return 0
