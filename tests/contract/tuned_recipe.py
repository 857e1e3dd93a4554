"""The numeric recipe with settings that do not all work, and a test split that nobody may read."""

import dataclasses
import sys
from dataclasses import dataclass

import numeric_recipe
from numeric_recipe import Series

from seqapps.commands.program import run
from seqapps.fields import Assets
from seqapps.report import Reporter
from seqapps.space import OneOf, Whole


@dataclass(frozen=True, kw_only=True)
class Config(numeric_recipe.Config):
    def __post_init__(self) -> None:
        if self.units % 2:
            raise ValueError(f"units must be even, got {self.units}.")


class Guarded(Series):
    @property
    def test(self) -> tuple[list[object], object]:
        raise AssertionError("the test split was read")


def load(config: Config, assets: Assets | None, reporter: Reporter) -> Guarded:
    return Guarded(config)


RECIPE = dataclasses.replace(
    numeric_recipe.RECIPE,
    config=Config,
    load=load,
    # With huge numbers the loss is not finite.
    space={"units": Whole(2, 9), "data.highest": OneOf((1.0, 1e30))},
)

if __name__ == "__main__":
    sys.exit(run(RECIPE))
