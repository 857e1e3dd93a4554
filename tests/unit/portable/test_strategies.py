"""Strategies of a comparison follow from what options declare, and find an option that is lost."""

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqapps.bundle.application import Application
from seqapps.bundle.folder import write_config
from seqapps.bundle.servable import write_servable
from seqapps.bundle.values import option_batch
from seqapps.decoding.settings import Decoding, Sampling, Transcription
from seqapps.fields import MAIN, Field, Interface, Option, Signature
from seqapps.portable.one_pass import whole_parts
from seqapps.portable.onnx import verify, write_export
from seqapps.portable.strategies import combinations, defaults, singles, values
from seqapps.recipe import strategy_options

SETTINGS = {kind.__name__: strategy_options(kind()) for kind in (Decoding, Sampling, Transcription)}


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS.keys())
def test_every_option_is_asked_at_values_that_are_valid_and_cheap(options):
    by_name = {option.name: option for option in options}
    alone, together = singles(options), combinations(options)
    assert {name for strategy in alone for name in strategy} == by_name.keys()
    assert len(together) == 6
    assert all(len(strategy) > 1 for strategy in together)
    assert together == combinations(options)
    for strategy in ({}, *alone, *together):
        full = {o.name: o.default for o in options} | defaults(options) | strategy
        for name, value in full.items():
            option_batch(by_name[name], value, 1)
            most = {"hypotheses": 8, "tokens": 48}.get(by_name[name].costs)
            assert most is None or value <= most
        assert full.get("n_best", 1) <= full["beam_width"]


def test_the_least_and_something_above_it_are_asked():
    by_name = {option.name: values(option) for option in SETTINGS["Sampling"]}
    assert by_name["max_length"] == [0, 20]
    assert 0 in by_name["temperature"]
    # 0 itself is no probability that tokens could hold.
    assert 0 < min(by_name["top_p"]) < 0.2
    assert 0 < min(by_name["repetition_penalty"]) < 1 < max(by_name["repetition_penalty"])
    assert max(by_name["seed"]) > 2**32
    assert all(isinstance(value, list) for value in by_name["stop"])


number = st.floats(-1e6, 1e6, width=32)


@given(st.sampled_from(["int32", "int64", "float32"]), st.lists(number, min_size=3, max_size=3))
def test_values_are_in_the_range_whatever_it_is(dtype, three):
    least, default, most = sorted(int(n) if dtype != "float32" else n for n in three)
    option = Option(name="x", dtype=dtype, default=default, least=least, most=most, description="")
    for value in values(option):
        option_batch(option, value, 1)
        assert value != default


NUMBER = Field(name="number", dtype="float32")
INTERFACE = Interface(
    inputs=(NUMBER,),
    outputs=(Field(name="total", dtype="float32"),),
    options=(
        Option(name="scale", dtype="float32", default=1.0, least=0, description=""),
        Option(name="shift", dtype="int32", default=0, description=""),
        Option(name="seed", dtype="int64", default=0, description=""),
    ),
    further=(
        Signature(
            name="scaled", outputs=(Field(name="product", dtype="float32"),), options=("scale",)
        ),
    ),
)


def computed(forgets=(), forgets_further=()):
    """What is served; an option that is forgotten has its default."""

    def usual(options, forgotten):
        known = {option.name: option for option in INTERFACE.options}
        ones = {
            n: tf.fill(tf.shape(v), tf.cast(known[n].default, v.dtype)) for n, v in options.items()
        }
        return {n: ones[n] if n in forgotten else value for n, value in options.items()}

    def main(inputs, options):
        options = usual(options, forgets)
        added = tf.cast(options["seed"] % 5, tf.float32) + tf.cast(options["shift"], tf.float32)
        return {"total": inputs["number"] * options["scale"] + added}

    def scaled(inputs, options):
        return {"product": (inputs["number"] + 1) * usual(options, forgets_further)["scale"]}

    return {MAIN: main, "scaled": scaled}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strategies")
    write_config(folder, recipe="some", interface=INTERFACE, settings={})
    place = folder / "servable" / "1"
    write_servable(place, answers=computed(), variables=[], interface=INTERFACE)
    return Application(folder)


def verified(application, folder, answers):
    """Rows of the comparison with an export of these functions."""
    folder.mkdir()
    write_export(
        folder,
        parts=whole_parts(answers, INTERFACE, {}),
        assets={},
        interface=INTERFACE,
        recipe="some",
        summary="It works.",
    )
    strategies = ({"shift": 3, "scale": 0.5}, {"of another version": 1})
    return {row["form"]: row for row in verify(folder, application, strategies=strategies)}


def test_both_forms_are_asked_the_same(application, tmp_path):
    rows = verified(application, tmp_path / "onnx", computed())
    assert all(row["equal"] for row in rows.values()), rows
    many = len(singles(INTERFACE.options)) + len(combinations(INTERFACE.options))
    assert list(rows) == [
        "ONNX",
        "ONNX, each input alone",
        "ONNX, shift 3, scale 0.5",
        f"ONNX, {many} strategies, an input each",
        "ONNX, scaled",
        "ONNX, scaled, 3 strategies, an input each",
    ]


@pytest.mark.parametrize("name", ["scale", "shift", "seed"])
def test_an_option_that_the_export_forgets_is_found(application, name, tmp_path):
    rows = verified(application, tmp_path / "onnx", computed(forgets=(name,)))
    assert rows["ONNX"]["equal"]
    (row,) = [row for form, row in rows.items() if "strategies" in form and "scaled" not in form]
    assert not row["equal"]
    assert row["first"].startswith("with ")
    assert name in row["first"]


def test_an_option_that_a_further_signature_forgets_is_found(application, tmp_path):
    rows = verified(application, tmp_path / "onnx", computed(forgets_further=("scale",)))
    assert rows.pop("ONNX, scaled, 3 strategies, an input each")["equal"] is False
    assert all(row["equal"] for row in rows.values())
