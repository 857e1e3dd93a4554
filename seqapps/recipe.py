"""The contract of an application: a record that its `recipe.py` fills in.

A recipe declares what goes in and out, how examples are loaded, which network learns from them,
what its loss is, how it answers and how it is measured. Training, checkpoints, the bundle, the
certificate and the command line (`seqapps.commands`) follow from that record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from seqapps.arguments import positional
from seqapps.automatic import is_auto, plain, settled
from seqapps.bundle.application import Application
from seqapps.bundle.folder import read_config, read_data_record
from seqapps.config import Settings, field_docstrings, from_dict, leaves, show
from seqapps.data.splits import Located
from seqapps.errors import UserError
from seqapps.fields import Answers, Assets, Interface, Option, Parts, Rating
from seqapps.ranges import LIMITS
from seqapps.report import Reporter
from seqapps.space import Space

__all__ = [
    "Evaluation",
    "Examples",
    "Predict",
    "PredictOptions",
    "Recipe",
    "View",
    "at_home",
    "began_in",
    "resolved",
    "settle",
    "stored_config",
    "strategy_options",
]


class Examples(Protocol):
    """A recipe's data: what `training.loop.fit` asks for, and what travels with the model."""

    @property
    def assets(self) -> Assets:
        """Files that the network needs to be used: tokenizers, alphabets ..."""

    @property
    def samples(self) -> list[Any]:
        """A few dozen real inputs, for the certificate."""

    def training_pass(self, epoch: int) -> Any:
        """The batches of one pass, a `training.loop.Pass`."""

    def validation_batches(self) -> Any:
        """A tf.data.Dataset over the validation split."""

    def few(self, most: int) -> "tuple[Examples, int]":
        """The same with about so many to measure on, and how many tests are left out."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, on the test split as a rule."""

    metrics: dict[str, Any]
    """Name → number or signature; written as metrics.json."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """A few answers beside their references, column → text."""
    title: str = "Samples"
    """What the samples are."""
    on: str = "the test split"
    """What was measured on."""
    draw: Callable[[Path], None] = lambda _: None
    """`draw(folder)`: what people would rather look at, as PNG."""
    warnings: Sequence[str] = ()
    """What whoever uses the model must know, a sentence each: no better than a constant answer."""

    @property
    def stored(self) -> dict[str, Any]:
        """What metrics.json holds: `metrics`, and `warnings` if there are any."""
        return {**self.metrics, **({"warnings": [*self.warnings]} if self.warnings else {})}


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Flags of `predict`."""

    bundle: Path = positional()
    """Folder that `train` wrote."""
    files: tuple[Path, ...] = positional(())
    """Files to read; standard input if there are none."""
    json: bool = False
    """Print each answer as one line of JSON with everything the model gives."""


@dataclass(frozen=True)
class View:
    """A further way to print answers."""

    help: str
    """What is printed, in a few words."""
    signature: str
    """The further signature that is asked."""
    show: Callable[[Mapping[str, Any]], str] = str
    """`show(answer)`: one answer, as it comes."""
    page: Callable[[list[Mapping[str, Any]]], str] | None = None
    """`page(answers)`: all answers at once, in place of `show`."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """A recipe's own way to take questions and to print answers."""

    help: str
    """What `predict` does, in one line."""
    run: Callable[[Any, Application, Any], None]
    """`run(config, application, options)`: reads, answers and prints; `config` has the strategy
    settings of the command line, `options` its flags. Standard output is for answers alone."""
    options: type[PredictOptions] = PredictOptions
    """Its flags."""
    examples: tuple[str, ...] = ("BUNDLE < in.txt > out.txt",)
    """What follows `predict` in the examples of its help; BUNDLE becomes the default bundle."""


C = TypeVar("C")
E = TypeVar("E", bound=Examples)


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[C, E]):
    """One application, with its settings C and its examples E."""

    name: str
    """The module's name, and the folder of its bundles."""
    summary: str
    """One line: what goes in and what comes out."""
    config: type[C]
    """Frozen dataclass of all settings; has `training` and `seed`. `evaluate` takes those of its
    sections `data`, `evaluation` and `decoding`."""
    interface: Callable[[C], Interface]
    """`interface(config)`: typed inputs, outputs and strategy values."""
    settle: Callable[[C, Reporter], C] = lambda config, _: config
    """`settle(config, reporter)`: fills in settings that are `auto` by a rule of the recipe, from
    the sizes of the training data and `training.minutes`; see `automatic.settled`."""
    load: Callable[[C, Assets | None, Reporter], E]
    """`load(config, assets, reporter)`: the examples; assets of an earlier run are used as they
    are, else fitted on the training split."""
    build: Callable[[C, E], Any]
    """`build(config, examples)`: the untrained keras.Model."""
    loss: Callable[[C], Callable[[Any, Any, bool], tuple[Any, Any]]]
    """`loss(config)(outputs, batch, training) -> (sum, count)`."""
    goal: Callable[[C, Any, E], Any]
    """`goal(config, network, examples)`: the `training.loop.Goal` on the validation split."""
    answers: Callable[[C, Any, Assets], Answers]
    """`answers(config, network, assets)`: what is served, by signature: `fields.MAIN`, and each
    further one of the interface."""
    evaluate: Callable[[C, Application, E, Reporter], Evaluation]
    """`evaluate(config, application, examples, reporter)`: measures on the test split."""
    rate: Callable[[C, E], Rating] | None = None
    """`rate(config, examples)`: how the answers of an application that has no Keras model are
    measured: what int8 costs."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Settings that the assets and the weights of a bundle fix, so that `train --from` refuses
    another value: by section, "" for none, their names with spaces between them, or "*"."""
    adopt: Callable[[C, Assets, Reporter], tuple[Assets, str]] = lambda _, assets, __: (assets, "")
    """`adopt(config, assets, reporter)`: a bundle's assets as a training that goes on from it takes
    them, and what the network must learn anew for that, in words; empty if nothing."""
    heads: Sequence[str] = ()
    """Layers whose weights are not taken from the bundle where `adopt` has something to say."""
    parts: Callable[[C, Any, Assets], Parts] | None = None
    """`parts(config, network, assets)`: its networks, for `export --format onnx` and `litert`."""
    pretrain: Callable[[C, Any, E, Path, Reporter, bool], list[dict[str, float]]] = lambda *_: []
    """`pretrain(config, network, examples, folder, reporter, resume)`: a phase before the training,
    which leaves what it learned in the network; gives the history of its epochs."""
    groups: Callable[[C, Any], Sequence[Any]] = lambda *_: ()
    """`groups(config, network)`: the `training.optimizer.LayerGroup`s of layers that learn at
    rates of their own."""
    unfinish: Callable[[Any], None] = lambda _: None
    """`unfinish(network)`: undoes what `finish` fitted, where a bundle is trained further."""
    finish: Callable[[C, Any, E, Reporter], Assets] = lambda config, network, examples, _: (
        examples.assets
    )
    """`finish(config, network, examples, reporter)`: fits on the validation split what is fitted
    once the weights are chosen; gives the assets that travel with the model from then on."""
    rest: Callable[[float], float] = lambda seconds: 20.0 + 2.0 * seconds
    """`rest(seconds)`: about how long measuring on the test split, writing and certifying take, if
    measuring on the validation split takes so many seconds."""
    space: Space = field(default_factory=dict)
    """What `tune` tries, by the settings' paths."""
    show: Callable[[C, int, Mapping[str, Any]], str] = lambda _, __, answer: str(
        next(iter(answer.values()))
    )
    """`show(config, number, answer)`: one answer as `predict` prints it."""

    views: Mapping[str, View] = field(default_factory=dict)
    """Further ways to print answers: `predict --view NAME`."""
    predict: Predict | None = None
    """The recipe's own `predict`, where a line of text or JSON in and an answer out is not it."""

    @property
    def command(self) -> str:
        """How the recipe is started."""
        return f"python -m seqapps.recipes.{self.name}"


def strategy_options(decoding: Any) -> tuple[Option, ...]:
    """Makes the options of a servable from a dataclass of strategy settings.

    Args:
        decoding: Frozen dataclass of int, float and string fields and tuples of strings; a field
            named `seed` is int64. Ranges are those of `ranges.ranged`; a field's metadata may
            have `most_bytes` too, of its strings.
    """
    kind: type = type(decoding)
    described = field_docstrings(kind)
    limits = {
        f.name: {name: f.metadata[name] for name in LIMITS if name in f.metadata}
        for f in fields(decoding)
    }
    dtypes: dict[type, Literal["int32", "float32", "string"]] = {
        int: "int32",
        float: "float32",
        str: "string",
        tuple: "string",
    }
    return tuple(
        Option(
            name=name,
            dtype="int64" if name == "seed" else dtypes[type(value)],
            default=value,
            rank=int(isinstance(value, tuple)),
            description=described[name],
            **limits[name],
        )
        for name, value in vars(decoding).items()
    )


def settle(recipe: Recipe[C, Any], config: C, reporter: Reporter) -> tuple[C, str]:
    """Fills in every setting that nobody chose.

    Where neither passes nor updates are given, the recipe's rule may lay the training out over
    minutes; with minutes there is no patience, for the rate falls to the end.

    Returns:
        The settings, and which of them followed the data: "training.epochs 12, ...".
    """
    chosen: Any = config
    training = chosen.training
    if training.max_steps or not is_auto(training.epochs):
        chosen = settled(chosen, training__minutes=0.0)
    # Who has chosen all of it, or trains a bundle further, need not wait for the data to be read.
    undecided = any(is_auto(leaf.default) for leaf in leaves(type(config), instance=chosen))
    ruled: Any = recipe.settle(chosen, reporter) if undecided else chosen
    before, after = (leaves(type(config), instance=one) for one in (chosen, ruled))
    followed = [
        f"{new.path} {show(new.default)}"
        for old, new in zip(before, after, strict=True)
        if is_auto(old.default) and not is_auto(new.default)
    ]
    if ruled.training.minutes:
        ruled = settled(ruled, training__epochs=0, training__patience=0)
    return plain(ruled), ", ".join(followed)


def stored_config(recipe: Recipe[Any, Any], folder: Path) -> Any:
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
    # What a bundle does not say had its fallback's value when it was trained.
    read = from_dict(recipe.config, stored.settings, source=str(folder / "config.json"))
    config: Any = plain(read)
    data: Any = getattr(config, "data", None)
    # Bundles that know of no other rule have that one.
    if hasattr(data, "held_out_by") and "held_out_by" not in stored.settings["data"]:
        return replace(config, data=replace(data, held_out_by="count"))
    return config


def resolved(recipe: Recipe[Any, Any], folder: Path, settings: Settings[Any]) -> Any:
    """The settings of a bundle, and over them those that are given now.

    The bundle's data is where it was in the training, wherever this command is typed; unless
    `data.folder` is given, which says where it is now.

    Raises:
        UserError: If it is no bundle of this recipe.
    """
    stored = stored_config(recipe, folder)
    if "data.folder" not in settings.given:
        stored = at_home(stored, folder)
    return settings.resolve(stored)


def at_home(config: Any, folder: Path) -> Any:
    """Settings from a folder, with the absolute names of files that were named elsewhere."""
    record = read_data_record(folder)
    if record is None or not record.folder or Path(record.folder) == Path.cwd():
        return config
    return replace(config, data=config.data.located(Path(record.folder)))


def began_in(config: Any) -> str:
    """The current folder, if the settings name files from it; else empty."""
    data, here = getattr(config, "data", None), Path.cwd()
    return str(here) if isinstance(data, Located) and data.located(here) != data else ""
