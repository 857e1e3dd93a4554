"""The `train` command of every recipe: from settings to a certified bundle."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from seqapps import bundle, report
from seqapps.config import to_json
from seqapps.errors import UserError
from seqapps.layers.cudnn import reset_cudnn
from seqapps.portable.certificate import certify
from seqapps.report import Reporter
from seqapps.training.loop import Goal, Pass, fit

if TYPE_CHECKING:
    from seqapps.recipe import Examples, Recipe, TrainOptions

_LEARNS = 0.5
"""What is left of the first loss, at most, when one batch was learned by heart."""


def train(
    recipe: "Recipe[Any, Any]",
    config: Any,
    options: "TrainOptions",
    output: Path,
    reporter: Reporter,
) -> None:
    """Trains, measures and certifies; leaves a bundle at `output`.

    Checkpoints, logs and fitted assets live in `<output>.training` until the bundle is complete,
    so a run that is killed at any moment can go on from there.

    Raises:
        UserError: If something is in the way, data is unusable, or training fails.
    """
    work = output.with_name(f"{output.name}.training")
    assets = _open_work(recipe, config, options, output, work)
    _start(config)
    if assets is None and options.from_:
        assets = bundle.read_assets(options.from_)
    examples = recipe.load(config, assets, reporter)
    if not (work / "assets").is_dir():
        _write_assets(work, examples.assets)
    strategy = (
        tf.distribute.MirroredStrategy()
        if config.training.distribute == "mirrored"
        else tf.distribute.get_strategy()
    )
    with strategy.scope():
        network = recipe.build(config, examples)
        if options.from_:
            _copy_weights(network, bundle.load_network(options.from_), options.from_)
        reporter.log(f"{network.count_params():,} parameters")
        progress = fit(
            network,
            examples,
            loss=recipe.loss(config),
            goal=recipe.goal(config, network, examples),
            settings=config.training,
            folder=work,
            reporter=reporter,
            resume=options.resume,
        )
    network = _in_float32(recipe, config, examples, network)
    with bundle.staging(output, overwrite=options.overwrite) as folder:
        _write_bundle(recipe, config, network, examples, folder, reporter)
        _measure(recipe, config, network, examples, progress.history, folder, reporter)
        if (work / "logs").is_dir():
            shutil.copytree(work / "logs", folder / "logs")
        certificate = certify(
            folder,
            interface=recipe.interface(config),
            network=network,
            answer_of=lambda model: recipe.answer(config, model, examples.assets),
            samples=examples.samples,
        )
        bundle.write_json(folder / "certificate.json", certificate)
    shutil.rmtree(work, ignore_errors=True)
    reporter.next_steps(recipe.command, output)


def overfit_one_batch(recipe: "Recipe[Any, Any]", config: Any, reporter: Reporter) -> None:
    """Trains on the first batch alone, over and over, and writes nothing.

    Raises:
        UserError: If the loss does not fall to half of where it began.
    """
    import tempfile

    _start(config)
    examples = recipe.load(config, None, reporter)
    first = examples.training_pass(0)
    repeats = 50
    batch = first.dataset(0).take(1).cache()
    one = dataclasses.replace(
        first,
        dataset=lambda skip: batch.repeat(repeats - skip),
        tokens=np.repeat(first.tokens[:1], repeats),
    )
    network = recipe.build(config, examples)
    settings = dataclasses.replace(
        config.training, epochs=4, max_steps=0, schedule="constant", warmup_steps=10,
        patience=0, monitor="loss", average_decay=0.0, tensorboard=False,
    )  # fmt: skip
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
class _OneBatch:
    """Examples whose every pass is the same batch."""

    one: Pass
    batch: Any

    def training_pass(self, epoch: int) -> Pass:
        return self.one

    def validation_batches(self) -> Any:
        return self.batch


def _start(config: Any) -> None:
    """Makes the run a function of its seed, on this machine and number of threads."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.training.precision)
    # Without it, parallel sums differ in their last bits from run to run.
    tf.config.experimental.enable_op_determinism()


def _open_work(
    recipe: "Recipe[Any, Any]", config: Any, options: "TrainOptions", output: Path, work: Path
) -> dict[str, bytes] | None:
    """Prepares the folder of an unfinished run; returns the assets of one that goes on."""
    if options.resume:
        if not (work / "config.json").is_file():
            raise UserError(
                f"there is no unfinished training at {work}; start one without --resume, or "
                "name the bundle it was for with --output."
            )
        _check_same(bundle.read_config(work)["settings"], to_json(config), work)
        return bundle.read_assets(work) if (work / "assets").is_dir() else None
    bundle.check_free(output, overwrite=options.overwrite)
    if work.exists() and not options.overwrite:
        raise UserError(
            f"an unfinished training is at {work}; go on with --resume, or discard it with "
            "--overwrite."
        )
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    bundle.write_config(
        work, recipe=recipe.name, interface=recipe.interface(config), settings=to_json(config)
    )
    return None


def _check_same(stored: Mapping[str, Any], wanted: Mapping[str, Any], work: Path) -> None:
    """A resumed run continues with the settings that it began with."""
    before, now = _flat(stored), _flat(wanted)
    changed = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise UserError(
            f"the training at {work} began with other settings: {'; '.join(changed)}. "
            "Resume with the settings it began with, or start anew with --overwrite."
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _copy_weights(network: Any, trained: Any, source: Path) -> None:
    wanted = [tuple(weight.shape) for weight in network.weights]
    found = [tuple(weight.shape) for weight in trained.weights]
    if wanted != found:
        raise UserError(
            f"the settings describe another network than the one in {source}; leave the model's "
            "settings as they are there."
        )
    network.set_weights(trained.get_weights())


def _in_float32(recipe: "Recipe[Any, Any]", config: Any, examples: "Examples", network: Any) -> Any:
    """Precision is a matter of training: what is served computes in float32, everywhere alike."""
    if config.training.precision == "float32":
        return network
    keras.config.set_dtype_policy("float32")
    precise = recipe.build(config, examples)
    precise.set_weights(network.get_weights())
    return precise


def _write_assets(folder: Path, assets: Mapping[str, bytes]) -> None:
    # Renamed when complete: a resumed run takes the folder as it finds it.
    partial = folder / "assets.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, content in assets.items():
        (partial / name).write_bytes(content)
    partial.rename(folder / "assets")


def _write_bundle(
    recipe: "Recipe[Any, Any]",
    config: Any,
    network: Any,
    examples: "Examples",
    folder: Path,
    reporter: Reporter,
) -> None:
    reporter.log("writing the bundle")
    interface = recipe.interface(config)
    bundle.write_config(folder, recipe=recipe.name, interface=interface, settings=to_json(config))
    bundle.write_json(folder / "environment.json", bundle.environment())
    _write_assets(folder, examples.assets)
    bundle.save_network(network, folder / "model.keras")
    # A graph traced where a GPU is visible would hold its kernels, and fail on a CPU.
    reset_cudnn(network, False)
    bundle.write_servable(
        folder / "servable" / "1",
        answer=recipe.answer(config, network, examples.assets),
        variables=network.variables,
        interface=interface,
    )


def _measure(
    recipe: "Recipe[Any, Any]",
    config: Any,
    network: Any,
    examples: "Examples",
    history: list[dict[str, float]],
    folder: Path,
    reporter: Reporter,
) -> None:
    bundle.write_history(folder / "history.csv", history)
    evaluation = recipe.evaluate(config, bundle.load(folder), examples, reporter)
    bundle.write_json(folder / "metrics.json", evaluation.metrics)
    (folder / "plots").mkdir()
    report.plot_learning_curves(history, folder / "plots" / "learning_curves.png")
    recipe.plots(config, network, examples, folder / "plots")
    card = report.card(
        title=recipe.summary,
        command=recipe.command,
        metrics=evaluation.metrics,
        samples=evaluation.samples,
        history=history,
        settings=json.dumps(to_json(config), indent=2, ensure_ascii=False),
        plots=sorted(path.name for path in (folder / "plots").iterdir()),
    )
    (folder / "CARD.md").write_text(card, encoding="utf-8")
    reporter.evaluation(evaluation.metrics, evaluation.samples)
