"""The range of a setting stands in one place, and everybody who takes the value keeps to it."""

import dataclasses

import numpy as np
import pytest

from seqapps.bundle.earlier import completed
from seqapps.bundle.values import option_batch
from seqapps.decoding.settings import Decoding, Sampling, Transcription
from seqapps.errors import UserError
from seqapps.fields import Field, Interface
from seqapps.portable.runtime.base import _numbers
from seqapps.ranges import check_ranges, fits, in_words, ranged
from seqapps.recipe import strategy_options
from seqapps.serving.contract import check, contracts_of
from seqapps.serving.openapi import _value
from seqapps.serving.refusals import Refused
from seqapps.serving.settings import Serve

KINDS = (Decoding, Sampling, Transcription)
RANGED = [
    (kind, each.name)
    for kind in KINDS
    for each in dataclasses.fields(kind)
    if "least" in each.metadata
]
LIMITS = Serve(bundles=("bundle",), beam=8, length=300)


@dataclasses.dataclass(frozen=True)
class Oven:
    heat: float = ranged(0.5, least=0, above=True, most=1, remedy="use 1 for all of it")
    loaves: int = ranged(3, least=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"heat": 0.0}, "heat must be above 0 and at most 1, got 0.0; use 1 for all of it."),
        ({"heat": 1.5}, "heat must be above 0 and at most 1, got 1.5; use 1 for all of it."),
        ({"heat": float("nan")}, "heat must be above 0 and at most 1, got nan"),
        ({"loaves": 0}, "loaves must be at least 1, got 0."),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_rule_and_remedy(given, message):
    check_ranges(Oven())
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        check_ranges(Oven(**given))


def around(limits):
    """Values at the edges of a range and beyond, as they are written."""
    least, most = limits["least"], limits.get("most")
    step = 1 if isinstance(least, int) and not limits.get("above") else 1e-3
    values = [least - 1, least, least + step]
    return values if most is None else [*values, most, most + 1]


@pytest.mark.parametrize(
    ("kind", "name"), RANGED, ids=lambda value: getattr(value, "__name__", value)
)
def test_settings_model_server_and_predictor_agree(kind, name):
    (declared,) = (each for each in dataclasses.fields(kind) if each.name == name)
    interface = Interface(
        inputs=(Field(name="source"),),
        outputs=(Field(name="text"),),
        options=strategy_options(kind()),
    )
    # What is stored in a bundle, or in an export, is what was declared.
    again = Interface.from_json(interface.to_json())
    (option,) = (each for each in again.options if each.name == name)
    (stored,) = (each for each in again.to_json()["options"] if each["name"] == name)
    contract = contracts_of(again)["options"]
    schema = _value(contract.inputs[name], LIMITS)
    costly = {"hypotheses": LIMITS.beam, "tokens": LIMITS.length}.get(option.costs)
    integer = isinstance(declared.default, int)
    for value in around(declared.metadata):
        value = int(value) if integer else float(value)
        good = fits(value, declared.metadata)

        def taken(call):
            try:
                call()
            except (ValueError, UserError, Refused):
                return False
            return True

        other = {"beam_width": 1000} if name == "n_best" else {}
        assert taken(lambda value=value, other=other: kind(**{**other, name: value})) == good, value
        assert taken(lambda value=value: option_batch(option, value, 1)) == good, value
        assert taken(lambda value=value: _numbers(stored, value)) == good, value
        if not -(2**63) <= value < 2**63:
            continue
        rows = np.array([value], option.dtype) if abs(value) < 2**31 or name == "seed" else None
        if rows is None:
            continue
        asked = {"source": np.array([b"a"], object), name: rows}
        served = good and (costly is None or value <= costly)
        assert taken(lambda asked=asked: check(contract, asked, LIMITS)) == served, value
    # The API page promises nothing that the server would refuse.
    most = declared.metadata.get("most")
    assert schema.get("maximum") == (most if costly is None else min(costly, most))
    assert (schema.get("exclusiveMinimum"), schema.get("minimum")) == (
        (declared.metadata["least"], None)
        if declared.metadata.get("above")
        else (None, declared.metadata["least"])
    )


def test_bundles_of_earlier_versions_get_the_ranges_that_they_do_not_have():
    interface = Interface(
        inputs=(Field(name="source"),),
        outputs=(Field(name="length", dtype="int32", media="number", costs="tokens"),),
        options=strategy_options(Sampling()),
    )
    table = interface.to_json()
    for option in table["options"]:
        for name in ("least", "most", "above", "costs"):
            del option[name]
    for field in (*table["inputs"], *table["outputs"]):
        del field["costs"]
    assert Interface.from_json(completed(table)) == interface


def test_numbers_are_checked_as_the_model_gets_them():
    options = {option.name: option for option in strategy_options(Sampling())}
    for name, value in (("top_p", 1e-60), ("repetition_penalty", 1e-50), ("min_p", float("nan"))):
        stored = vars(options[name])
        with pytest.raises(UserError, match=f"option {name} is"):
            option_batch(options[name], value, 1)
        with pytest.raises(ValueError, match=f"option {name} is"):
            _numbers(stored, value)
    (penalty,) = (o for o in strategy_options(Decoding()) if o.name == "length_penalty")
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="length_penalty must be a finite number"):
            Decoding(length_penalty=value)
        with pytest.raises(UserError, match="length_penalty is a finite number"):
            option_batch(penalty, value, 1)


def test_ranges_in_words():
    assert in_words({"least": -1, "above": True, "most": 0}) == "above -1 and at most 0"
    assert in_words({"least": 1, "most": 1000}) == "from 1 to 1000"
    assert in_words({"least": 0.5, "above": True}) == "above 0.5"
    assert in_words({"most": 2.5}) == "at most 2.5"
