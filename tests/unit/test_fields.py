import json

import pytest

from seqapps.fields import Field, Interface, Option, Signature


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "a field's name must be an identifier, got 'a b'"),
        ({"name": "a", "rank": -1}, "field 'a' of rank -1"),
        ({"name": "a", "rank": 2}, r"field 'a' of rank 2 must give 1 widths .*got \(\)"),
        ({"name": "a", "rank": 1, "width": (3,)}, r"must give 0 widths .*got \(3,\)"),
        ({"name": "a", "rank": 2, "width": (3,), "fixed": True}, r"2 widths \(one for each axis\)"),
        ({"name": "a", "media": "image", "rank": 1}, "a picture, the bytes of a file, so it must"),
        (
            {"name": "a", "media": "image", "dtype": "int32"},
            "must be a string of rank 0, got int32",
        ),
    ],
)
def test_a_field_must_be_well_described(arguments, message):
    with pytest.raises(ValueError, match=message):
        Field(**arguments)


def test_the_shape_of_a_batch():
    assert Field(name="a").batch_shape == (None,)
    assert Field(name="a", rank=1).batch_shape == (None, None)
    frames = Field(name="frames", dtype="float32", rank=3, width=(80, 2))
    assert frames.batch_shape == (None, None, 80, 2)
    assert frames.lengths == "frames_lengths"
    state = Field(name="state", dtype="float32", rank=2, width=(3, 4), fixed=True)
    assert state.batch_shape == (None, 3, 4)
    assert frames.varies
    assert not state.varies
    assert not Field(name="a").varies


def test_an_interface_survives_json():
    interface = Interface(
        inputs=(Field(name="a", dtype="float32", rank=2, width=(3,)),),
        outputs=(Field(name="b"),),
        options=(
            Option(name="c", dtype="int64", default=0, description="Seed."),
            Option(name="stop", dtype="string", rank=1, default=("x", ""), description="Ends."),
        ),
        further=(
            Signature(name="d", outputs=(Field(name="e", dtype="float32", rank=1),)),
            Signature(
                name="step",
                inputs=(Field(name="h", dtype="float32", rank=1, width=(2,), fixed=True),),
                outputs=(Field(name="e"),),
                options=("stop",),
            ),
        ),
    )
    table = json.loads(json.dumps(interface.to_json()))
    assert Interface.from_json(table) == interface
    assert interface.signatures == ("serving_default", "options", "d", "step")
    assert interface.inputs_of("d") == interface.inputs
    assert [field.name for field in interface.inputs_of("step")] == ["h"]
    assert [option.name for option in interface.options_of("step")] == ["stop"]
    assert interface.options_of("d") == interface.options_of("serving_default") == ()
    # What earlier versions wrote.
    del table["further"][0]["inputs"], table["further"][0]["options"]
    for option in table["options"]:
        del option["rank"]
    del table["options"][1], table["further"][1], table["inputs"][0]["fixed"]
    assert Interface.from_json(table).further == interface.further[:1]
    with pytest.raises(KeyError):
        Interface.from_json({})


@pytest.mark.parametrize("name", ["serving_default", "options", "two words"])
def test_a_further_signature_has_a_name_of_its_own(name):
    with pytest.raises(ValueError, match=f"must be an identifier other than .*got '{name}'"):
        Signature(name=name, outputs=(Field(name="a"),))


def test_a_signature_takes_options_of_its_interface_alone():
    with pytest.raises(
        ValueError, match=r"'d' must take options of its interface .*got \['heat'\]"
    ):
        Interface(
            inputs=(Field(name="a"),),
            outputs=(Field(name="b"),),
            further=(Signature(name="d", outputs=(Field(name="e"),), options=("heat",)),),
        )


def test_a_list_is_of_strings():
    with pytest.raises(ValueError, match="'a' must be one value"):
        Option(name="a", dtype="int32", default=0, rank=1, description="")
