"""The `train` command of every recipe: from settings to a certified bundle."""

import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqapps import plots, report
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.application import load_network
from seqapps.bundle.folder import (
    environment,
    staging,
    write_assets,
    write_config,
    write_data_record,
    write_history,
    write_json,
)
from seqapps.bundle.servable import write_servable
from seqapps.bundle.unfinished import Unfinished
from seqapps.config import to_json
from seqapps.data.fingerprint import DataRecord, FromData, fingerprint
from seqapps.errors import UserError
from seqapps.fields import Answers, Assets
from seqapps.layers.cudnn import reset_cudnn
from seqapps.portable import fresh
from seqapps.portable.certificate import certify
from seqapps.recipe import Examples, Recipe, began_in
from seqapps.report import Reporter, clock
from seqapps.training.checkpoint import Progress
from seqapps.training.loop import Goal, Pass, fit
from seqapps.training.precision import policy, remark

_TRIED, _FEW = 10, 20
"""Updates of a rehearsal, and examples that it measures on."""
_LEARNS = 0.5
"""What is left of the first loss, at most, when one batch was learned by heart."""


def train(
    recipe: Recipe[Any, Any],
    config: Any,
    work: Unfinished,
    reporter: Reporter,
    *,
    resume: bool,
    overwrite: bool,
    finish: bool = False,
) -> "Learned":
    """Trains, measures and certifies; leaves a bundle at `work.output`.

    Args:
        recipe: The application.
        config: Its settings.
        work: What an earlier run left, and where checkpoints go.
        reporter: Shows progress.
        resume: Go on from the newest checkpoint.
        overwrite: Replace a bundle that is there.
        finish: Train no more: the bundle is of what there is.

    Returns:
        What was learned.

    Raises:
        UserError: If data is unusable, training fails or the bundle cannot be written. What was
            learned is kept then, in `work`.
    """
    with fresh.trying() as trial:
        return _train(
            recipe,
            config,
            work,
            reporter,
            trial=trial,
            resume=resume,
            overwrite=overwrite,
            finish=finish,
        )


def _train(
    recipe: Recipe[Any, Any],
    config: Any,
    work: Unfinished,
    reporter: Reporter,
    *,
    trial: Callable[[], str],
    resume: bool,
    overwrite: bool,
    finish: bool,
) -> "Learned":
    """Does that, once `trial` knows whether the certificate's process can run."""
    reporter.stage("reading the data")
    settings = config.training
    how_long = (
        f"until {settings.minutes:g} minutes are over"
        if settings.minutes
        else (
            f"{settings.max_steps:,} updates" if settings.max_steps else f"{settings.epochs} epochs"
        )
    )
    if not finish:
        reporter.log(f"Reads the data, trains ({how_long}), measures on the test split, certifies")
    start(config)
    if told := remark(config.training.precision):
        reporter.log(told)
    begun = work.start
    examples = recipe.load(config, work.assets, reporter)
    record = None
    if isinstance(examples, FromData):
        record = work.check_data(DataRecord(began_in(config), fingerprint(examples.rows)))
    if work.assets is None:
        write_assets(work.folder, examples.assets)
    if trouble := trial():
        reporter.log(
            f"warning: {trouble}. The certificate wants such a process, so the bundle will not be "
            "certified; stop and mend it, or let `python -m seqapps certify` finish it later"
        )
    reporter.stage("training")
    learned = learn(
        recipe,
        config,
        examples,
        folder=work.folder,
        reporter=reporter,
        resume=resume,
        trained=begun.trained if begun else None,
        anew=begun is not None and begun.anew != "",
        finish=finish,
    )
    reporter.stage("measuring")
    network = _in_float32(recipe, config, examples, learned.network)
    assets = recipe.finish(config, network, examples, reporter)
    kept = f"What was learned is safe in {work.folder}: go on with --resume."
    with staging(work.output, overwrite=overwrite, kept=kept) as folder:
        graphs = _write_bundle(recipe, config, network, assets, folder, reporter)
        if record:
            write_data_record(folder, record)
        _measure(recipe, config, examples, learned, folder, work, reporter)
        if (work.folder / "logs").is_dir():
            shutil.copytree(work.folder / "logs", folder / "logs")
        reporter.stage("certifying")
        reporter.log("\nCertifying: every form of the bundle must give the same answers")
        certificate = certify(
            folder,
            interface=recipe.interface(config),
            network=network,
            answers_of_network=lambda model: recipe.answers(config, model, assets),
            samples=examples.samples,
            graphs=graphs,
        )
        write_json(folder / "certificate.json", certificate)
        work.note(folder / "certificate.json")
    return learned


def rehearse(recipe: Recipe[Any, Any], config: Any, work: Unfinished, reporter: Reporter) -> str:
    """Goes through every stage with a few updates and few examples to measure on.

    Args:
        recipe: The application.
        config: The settings of the whole.
        work: Where all that is written goes.
        reporter: Shows progress, and knows how long each stage took.

    Returns:
        How long the whole takes, about, in a sentence or two.

    Raises:
        UserError: What `train` raises.
    """
    batches, left_out = 0, 0

    def load(*arguments: Any) -> Any:
        nonlocal batches, left_out
        examples = recipe.load(*arguments)
        batches = len(examples.training_pass(0).tokens)
        few, left_out = examples.few(_FEW)
        return few

    whole = config.training
    # A pass may be a single batch, and the first update is none to time.
    short = dataclasses.replace(
        whole, minutes=0.0, epochs=_TRIED, max_steps=_TRIED, patience=0, tensorboard=False
    )
    learned = train(
        dataclasses.replace(recipe, load=load),
        dataclasses.replace(config, training=short),
        work,
        reporter,
        resume=False,
        overwrite=False,
    )
    stages = reporter.stages
    application, some = load_bundle(work.output), learned.samples
    application.answers(some)
    begun = time.monotonic()
    application.answers(some)
    one_s = (time.monotonic() - begun) / max(1, len(some))
    update_s = learned.progress.update_s
    around_s = sum(stages.values()) - stages["training"] + left_out * one_s
    most = min((limit for limit in (whole.epochs * batches, whole.max_steps) if limit), default=0)
    updates = most
    if whole.minutes:
        fit_in = max(1, int((60.0 * whole.minutes - around_s) / update_s))
        updates = min(fit_in, most or fit_in)
    times = "20 times at most" if whole.minutes else f"after each of {whole.epochs} passes"
    return (
        f"The whole takes about {clock(around_s + updates * update_s)}: {updates:,} updates "
        f"({updates / batches:.1f} passes) of {1000 * update_s:.0f} ms, {clock(around_s)} around "
        f"them, and measuring {times}."
    )


@dataclasses.dataclass(frozen=True)
class Learned:
    """What a training leaves."""

    network: Any
    """With its best weights."""
    progress: Progress
    """How it went."""
    pretraining: list[dict[str, float]]
    """History of the phase before it, empty if there was none."""
    samples: list[Any]
    """Real inputs, a few dozen."""


def learn(
    recipe: Recipe[Any, Any],
    config: Any,
    examples: Examples,
    *,
    folder: Path,
    reporter: Reporter,
    resume: bool = False,
    trained: Path | None = None,
    anew: bool = False,
    watch: Callable[[Mapping[str, float]], None] | None = None,
    limit_minutes: float = 0.0,
    finish: bool = False,
) -> Learned:
    """Builds a recipe's network and trains it; see `training.loop.fit`.

    Args:
        recipe: The application.
        config: Its settings.
        examples: What `recipe.load` gave for them.
        folder: Checkpoints and logs go here.
        reporter: Shows progress.
        resume: Go on from the newest checkpoint of `folder`, if there is one.
        trained: A bundle whose weights to start from; it is not read if there is a checkpoint.
        anew: Whether the recipe's `heads` start without them.
        watch: Gets the history's row of each epoch; what it raises ends the training.
        limit_minutes: Stop after this time; 0 for no limit.
        finish: Train no more: the network is the best one of `folder`.

    Returns:
        The network with its best weights, and what happened.

    Raises:
        UserError: If a gradient is not finite.
    """
    strategy = (
        tf.distribute.MirroredStrategy()
        if config.training.distribute == "mirrored"
        else tf.distribute.get_strategy()
    )
    with strategy.scope():
        network = recipe.build(config, examples)
        if trained and not (resume and (folder / "checkpoints" / "checkpoint").exists()):
            _copy_weights(network, load_network(trained), trained, recipe.heads if anew else ())
            recipe.unfinish(network)
        reporter.log(f"{network.count_params():,} parameters")
        before = (
            []
            if trained
            else recipe.pretrain(
                config, network, examples, folder / "pretraining", reporter, resume
            )
        )
        progress = fit(
            network,
            examples,
            loss=recipe.loss(config),
            goal=recipe.goal(config, network, examples),
            settings=config.training,
            folder=folder,
            reporter=reporter,
            resume=resume,
            groups=recipe.groups(config, network),
            watch=watch,
            limit_minutes=limit_minutes,
            began=reporter.began,
            rest=recipe.rest,
            finish=finish,
        )
    return Learned(network, progress, before, examples.samples)


def overfit_one_batch(recipe: Recipe[Any, Any], config: Any, reporter: Reporter) -> None:
    """Trains on the first batch alone, over and over, and writes nothing.

    Raises:
        UserError: If the loss does not fall to half of where it began.
    """
    start(config)
    examples = recipe.load(config, None, reporter)
    first = examples.training_pass(0)
    repeats = 50
    batch = first.dataset(0).take(1).cache()
    one = _Repeated(
        dataset=lambda skip: batch.repeat(repeats - skip),
        tokens=np.repeat(first.tokens[:1], repeats),
        padding=first.padding,
    )
    network = recipe.build(config, examples)
    settings = dataclasses.replace(
        config.training,
        minutes=0.0,
        epochs=4,
        max_steps=0,
        schedule="constant",
        warmup_steps=10,
        patience=0,
        monitor="loss",
        average_decay=0.0,
        tensorboard=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        progress = fit(
            network,
            _OneBatch(one, batch),
            loss=recipe.loss(config),
            goal=Goal(name="loss", score=dict),
            settings=settings,
            folder=Path(folder),
            reporter=reporter,
        )
    losses = [row["validation_loss"] for row in progress.history]
    began = float(progress.history[0]["loss"])
    if not losses[-1] <= _LEARNS * began:
        raise UserError(
            f"one batch must be learned by heart, but the loss went from {began:.3f} to "
            f"{losses[-1]:.3f} in {4 * repeats} updates. Look at the data first, then try "
            f"another --training.learning_rate (now {config.training.learning_rate:g})."
        )
    reporter.log(f"one batch is learned: the loss went from {began:.3f} to {losses[-1]:.3f}")


@dataclasses.dataclass(frozen=True)
class _Repeated:
    """A pass that is one batch over and over."""

    dataset: Callable[[int], Any]
    tokens: Any
    padding: float


@dataclasses.dataclass(frozen=True)
class _OneBatch:
    """Examples whose every pass is the same batch."""

    one: Pass
    batch: Any

    def training_pass(self, epoch: int) -> Pass:
        return self.one

    def validation_batches(self) -> Any:
        return self.batch


def start(config: Any) -> None:
    """Makes the run a function of its seed, on this machine and number of threads."""
    keras.utils.set_random_seed(config.seed)
    # Not what a keras.json says, which is of other projects.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy(policy(config.training.precision))
    # Without it, parallel sums differ in their last bits from run to run.
    tf.config.experimental.enable_op_determinism()


def _copy_weights(network: Any, trained: Any, source: Path, anew: Sequence[str]) -> None:
    """Takes over all weights but those of layers that are learned anew."""
    wanted, given = (
        [weight for layer in model.layers if layer.name not in anew for weight in layer.weights]
        for model in (network, trained)
    )
    if [tuple(weight.shape) for weight in wanted] != [tuple(weight.shape) for weight in given]:
        raise UserError(
            f"the settings describe another network than the one in {source}; leave the model's "
            "settings as they are there."
        )
    for weight, value in zip(wanted, given, strict=True):
        weight.assign(value)


def _in_float32(recipe: Recipe[Any, Any], config: Any, examples: Examples, network: Any) -> Any:
    """Precision is a matter of training: what is served computes in float32, everywhere alike."""
    if keras.config.dtype_policy().name == "float32":
        return network
    keras.config.set_dtype_policy("float32")
    precise = recipe.build(config, examples)
    precise.set_weights(network.get_weights())
    return precise


def _write_bundle(
    recipe: Recipe[Any, Any],
    config: Any,
    network: Any,
    assets: Assets,
    folder: Path,
    reporter: Reporter,
) -> Answers:
    """Writes what is there before anything is measured: the graphs that are served."""
    reporter.log("Writing the bundle")
    interface = recipe.interface(config)
    write_config(folder, recipe=recipe.name, interface=interface, settings=to_json(config))
    write_json(folder / "environment.json", environment())
    write_assets(folder, assets)
    network.save(str(folder / "model.keras"))
    # A graph traced where a GPU is visible would hold its kernels, and fail on a CPU.
    reset_cudnn(network, False)
    return write_servable(
        folder / "servable" / "1",
        answers=recipe.answers(config, network, assets),
        variables=network.variables,
        interface=interface,
    )


def _measure(
    recipe: Recipe[Any, Any],
    config: Any,
    examples: Examples,
    learned: Learned,
    folder: Path,
    work: Unfinished,
    reporter: Reporter,
) -> None:
    history = learned.progress.history
    write_history(folder / "history.csv", history)
    evaluation = recipe.evaluate(config, load_bundle(folder), examples, reporter)
    write_json(folder / "metrics.json", evaluation.stored)
    (folder / "plots").mkdir()
    plots.plot_learning_curves(history, folder / "plots" / "learning_curves.png")
    if learned.pretraining:
        write_history(folder / "pretraining.csv", learned.pretraining)
        plots.plot_learning_curves(learned.pretraining, folder / "plots" / "pretraining_curves.png")
    evaluation.draw(folder / "plots")
    card = report.card(
        title=recipe.summary,
        command=recipe.command,
        typed=work.start.typed if work.start else "",
        seed=config.seed,
        cores=len(os.sched_getaffinity(0)),
        bundle=work.output,
        followed=work.start.followed if work.start else "",
        anew=work.start.anew if work.start else "",
        metrics=evaluation.metrics,
        warnings=evaluation.warnings,
        samples=evaluation.samples,
        title_of_samples=evaluation.title,
        on=evaluation.on,
        history=history,
        settings=json.dumps(to_json(config), indent=2, ensure_ascii=False),
        plots=sorted(path.name for path in (folder / "plots").iterdir()),
    )
    (folder / "CARD.md").write_text(card, encoding="utf-8")
    reporter.evaluation(evaluation.metrics, evaluation.samples, evaluation.on, evaluation.warnings)
