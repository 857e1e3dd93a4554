import re
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

import pytest

from seqapps.__main__ import recipes
from seqapps.recipes.translate import recipe as translate
from seqapps.space import (
    Float,
    OneOf,
    Whole,
    check_space,
    describe_space,
    needs_assets,
    needs_examples,
)


@dataclass(frozen=True, kw_only=True)
class Training:
    rate: float = 0.1
    monitor: str = "metric"


@dataclass(frozen=True, kw_only=True)
class Config:
    training: Training = field(default_factory=Training)
    units: int = 4
    cell: Literal["gru", "lstm"] = "gru"
    top: int | None = None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1.0, 1.0), "from a number to a higher one, got 1.0 to 1.0"),
        (lambda: Float(2.0, 1.0), "got 2.0 to 1.0"),
        (lambda: Float(0.0, float("inf")), "got 0.0 to inf"),
        (lambda: Float(0.0, 1.0, log=True), "must begin above 0, got 0.0; use log=False"),
        (lambda: Whole(3, 3), "got 3 to 3"),
        (lambda: Whole(0, 8, log=True), "must begin above 0"),
        (lambda: Whole(1, 8, step=2), "step must be at least 1 and divide 7"),
        (lambda: Whole(1, 8, step=0), "step must be at least 1"),
        (lambda: Whole(1, 9, step=2, log=True), "has no step, got 2"),
        (lambda: OneOf(("a",)), "needs two values or more"),
        (lambda: OneOf(("a", "a")), "each once"),
        (lambda: OneOf((1, True)), "each once"),
        (lambda: OneOf(((1,), (2,))), "must be text, a number, a bool or None, got (1,)"),
    ],
)
def test_a_bad_range_says_why(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"training.rat": Float(0.0, 1.0)}, "which is not a setting; did you mean training.rate?"),
        ({"training": Float(0.0, 1.0)}, "which is not a setting"),
        ({"units": Float(0.0, 1.0)}, "units as 0 to 1, and that setting takes N"),
        ({"training.rate": Whole(0, 1)}, "takes X"),
        ({"cell": OneOf(("gru", "rnn"))}, "cell as gru | rnn, and that setting takes gru|lstm"),
        ({"units": OneOf((1, 2.5))}, "units as 1 | 2.5"),
        ({"units": OneOf((1, None))}, "units as 1 | null"),
        ({"training.monitor": OneOf(("metric", "loss"))}, "values would not compare"),
    ],
)
def test_a_space_that_does_not_fit_the_settings_says_where(space, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_space(space, Config)


def test_what_fits_is_described():
    space = {
        "training.rate": Float(1e-4, 0.1, log=True),
        "units": Whole(2, 8, step=2),
        "cell": OneOf(("gru", "lstm")),
        "top": OneOf((None, 5)),
    }
    assert describe_space(space, Config).splitlines() == [
        "  training.rate  0.0001 to 0.1 (logarithmic)  (default: 0.1)",
        "  units          2 to 8 in steps of 2  (default: 4)",
        "  cell           gru | lstm  (default: gru)",
        "  top            null | 5  (default: null)",
    ]


def test_what_a_choice_contains():
    assert [Whole(2, 8, step=3).contains(value) for value in (2, 5, 6, 9, True)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert [Float(0.0, 1.0).contains(value) for value in (0, 0.5, 1.5, "a")] == [
        True,
        True,
        False,
        False,
    ]
    assert OneOf(("a", None)).contains(None)
    assert not OneOf(("a", None)).contains("b")


def test_which_settings_change_the_examples():
    range_ = Whole(1, 3)
    assert (needs_examples({"units": range_}), needs_assets({"units": range_})) == (False, False)
    assert needs_assets({"text.vocabulary": range_})
    assert needs_assets({"data.rows": range_})
    assert needs_assets({"joint": OneOf((True, False), examples=True)})
    # Batches differ, vocabularies do not.
    batch = {"training.batch_tokens": range_}
    assert (needs_examples(batch), needs_assets(batch)) == (True, False)


@pytest.mark.parametrize("module", sorted(recipes()))
def test_every_space_fits_its_recipe(module):
    recipe = import_module(module).RECIPE
    lines = describe_space(recipe.space, recipe.config).splitlines()
    assert [line.split()[0] for line in lines] == list(recipe.space)


def test_a_translator_has_a_space():
    assert {"training.learning_rate", "model.units", "model.cell"} <= translate.RECIPE.space.keys()
