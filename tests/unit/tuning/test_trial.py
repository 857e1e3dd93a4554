"""What surrounds the training of a trial: its examples, its settings, its memory."""

import gc
import io
import types
import weakref
from dataclasses import dataclass, field

import pytest
import tensorflow as tf

from seqapps.errors import UserError
from seqapps.report import Reporter
from seqapps.space import Whole
from seqapps.training.loop import Goal
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.memory import released
from seqapps.tuning.trial import Loader, Quiet, goal_of, with_tried


@dataclass(frozen=True, kw_only=True)
class Training:
    monitor: str = "metric"
    batch_tokens: int = 8


@dataclass(frozen=True, kw_only=True)
class Config:
    units: int = 4
    training: Training = field(default_factory=Training)

    def __post_init__(self):
        if self.units % 2:
            raise ValueError(f"units must be even, got {self.units}.")


@pytest.fixture
def folder(tmp_path):
    found = StudyFolder(tmp_path / "study")
    found.begin({}, overwrite=False)
    return found


def loads(folder, path):
    """What a recipe was asked to load for two trials, when that setting is tried."""
    asked = []

    def load(config, assets, reporter):
        asked.append((config.units, assets))
        return types.SimpleNamespace(assets={"a.txt": b"fitted"})

    recipe = types.SimpleNamespace(load=load)
    loader = Loader(recipe, {path: Whole(2, 9)}, folder, Reporter(io.StringIO()))
    first = loader.base(Config(units=4))
    second, third = loader(Config(units=6)), loader(Config(units=8))
    return asked, first is second is third


def test_examples_are_loaded_once_where_no_trial_changes_them(folder):
    asked, same = loads(folder, "units")
    assert (asked, same) == ([(4, None)], True)
    # Another process takes what was fitted.
    asked, _ = loads(folder, "units")
    assert asked == [(4, {"a.txt": b"fitted"})]


def test_other_batches_are_made_with_the_same_vocabulary(folder):
    asked, same = loads(folder, "training.batch_tokens")
    fitted = {"a.txt": b"fitted"}
    assert (asked, same) == ([(4, None), (6, fitted), (8, fitted)], False)


@pytest.mark.parametrize("path", ["text.vocabulary", "data.rows"])
def test_what_changes_the_texts_is_fitted_anew(folder, path):
    asked, _ = loads(folder, path)
    assert asked == [(4, None), (6, None), (8, None)]
    assert folder.assets is None


def test_tried_values_replace_the_given_ones():
    config = with_tried(Config(), {"units": 6, "training.batch_tokens": 16})
    assert config == Config(units=6, training=Training(batch_tokens=16))
    with pytest.raises(UserError, match="units: units must be even, got 7"):
        with_tried(Config(), {"units": 7})


def test_the_goal_is_the_recipes_or_the_loss():
    recipe = types.SimpleNamespace(
        build=lambda config, examples: None,
        goal=lambda config, network, examples: Goal("bleu", dict, highest=True),
    )
    assert goal_of(recipe, Config(), None) == ("bleu", True)
    by_loss = Config(training=Training(monitor="loss"))
    assert goal_of(recipe, by_loss, None) == ("validation_loss", False)


def test_a_trial_says_nothing_but_its_bar():
    shown = io.StringIO()
    shown.isatty = lambda: True
    quiet = Quiet(Reporter(shown), "trial 3/9, ")
    quiet.log("something")
    quiet.epoch({"epoch": 1, "seconds": 0.0}, best=True, of=3)
    bar = quiet.bar("epoch 1/3", total=10, unit="tok")
    bar._shown -= 60.0
    bar.advance(5)
    assert shown.getvalue().startswith("\r\x1b[Ktrial 3/9, epoch 1/3   50%")
    before = shown.getvalue()
    silent = Quiet(Reporter(shown), "trial 4/9, ", bars=False).bar("epoch", total=1, unit="tok")
    silent.advance(1)
    silent.close()
    assert shown.getvalue() == before


def graph_with_a_gradient_of_its_own():
    @tf.custom_gradient
    def twice(x):
        return 2 * x, lambda upstream: 2 * upstream

    graph = tf.function(twice).get_concrete_function(tf.TensorSpec((), tf.float32)).graph
    return weakref.ref(graph)


def test_graphs_of_a_trial_are_freed():
    kept = graph_with_a_gradient_of_its_own()
    with released():
        freed = graph_with_a_gradient_of_its_own()
        gc.collect()
        assert freed() is not None
    assert freed() is None
    # What was there before stays, and is what TensorFlow would have kept of the other too.
    assert kept() is not None
