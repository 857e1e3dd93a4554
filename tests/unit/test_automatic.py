import copy
import json
import pickle
from dataclasses import dataclass, field

import pytest

from seqapps.automatic import auto, is_auto, plain, settled
from seqapps.config import Settings, from_dict, read_toml, settings_of, show, to_json
from seqapps.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Section:
    width: int = auto(64)
    """Width."""
    rate: float = auto(0.1)
    """Rate."""
    kind: str = auto("plain")
    """Kind."""
    depth: int = 2
    """Depth."""


@dataclass(frozen=True, kw_only=True)
class Everything:
    section: Section = field(default_factory=Section)
    seed: int = 3
    """Seed."""


@pytest.mark.parametrize("value", [64, 0.1, "plain"])
def test_it_is_a_value_like_any_other_that_nobody_chose(value):
    marked = auto(value)
    assert marked == value
    assert isinstance(marked, type(value))
    assert is_auto(marked)
    assert not is_auto(value)
    assert is_auto(pickle.loads(pickle.dumps(marked)))
    assert is_auto(copy.deepcopy(marked))
    assert json.loads(json.dumps(marked)) == value
    assert show(marked) == "auto"


def test_a_rule_fills_in_what_nobody_chose():
    config = Settings(Everything, {}).resolve()
    chosen = settled(config, section__width=128, seed=9)
    assert chosen.section.width == 128
    assert not is_auto(chosen.section.width)
    assert chosen.seed == 3
    assert settled(chosen, section__width=7) == chosen
    assert is_auto(chosen.section.rate)
    with pytest.raises(TypeError, match="no setting height"):
        settled(config, section__height=1)


def test_without_a_rule_the_fallback_stands():
    config = plain(Everything())
    assert config == Everything()
    assert [type(value) for value in vars(config.section).values()] == [int, float, str, int]


def test_it_is_stored_and_typed_as_auto(tmp_path):
    stored = to_json(settled(Everything(), section__width=128))
    assert stored == {
        "section": {"width": 128, "rate": "auto", "kind": "auto", "depth": 2},
        "seed": 3,
    }
    again = from_dict(Everything, stored, source="config.json")
    assert is_auto(again.section.rate)
    assert not is_auto(again.section.width)

    known = settings_of(Everything)
    assert known["section.width"].metavar == "N|auto"
    assert is_auto(known["section.width"].convert("auto", where="--section.width"))
    assert known["section.rate"].convert("0.5", where="--section.rate") == 0.5
    with pytest.raises(UsageError, match="must be an integer or auto, got 'automatic'"):
        known["section.width"].convert("automatic", where="--section.width")
    with pytest.raises(UsageError, match="must be an integer, got 'auto'"):
        known["section.depth"].convert("auto", where="--section.depth")
    (tmp_path / "mine.toml").write_text('[section]\nwidth = "auto"\nrate = 1\n', encoding="utf-8")
    given = read_toml(tmp_path / "mine.toml", known)
    assert is_auto(given["section.width"].value)
    assert not is_auto(given["section.rate"].value)
