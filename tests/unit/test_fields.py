import pytest

from seqapps.fields import Field, Interface, Option, Signature


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "a field's name must be an identifier, got 'a b'"),
        ({"name": "a", "rank": -1}, "field 'a' of rank -1"),
        ({"name": "a", "rank": 2}, r"field 'a' of rank 2 must give 1 widths .*got \(\)"),
        ({"name": "a", "rank": 1, "width": (3,)}, r"must give 0 widths .*got \(3,\)"),
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


def test_an_interface_survives_json():
    interface = Interface(
        inputs=(Field(name="a", dtype="float32", rank=2, width=(3,)),),
        outputs=(Field(name="b"),),
        options=(Option(name="c", dtype="int64", default=0, description="Seed."),),
        further=(Signature(name="d", outputs=(Field(name="e", dtype="float32", rank=1),)),),
    )
    assert Interface.from_json(interface.to_json()) == interface
    with pytest.raises(KeyError):
        Interface.from_json({})


@pytest.mark.parametrize("name", ["serving_default", "options", "two words"])
def test_a_further_signature_has_a_name_of_its_own(name):
    with pytest.raises(ValueError, match=f"must be an identifier other than .*got '{name}'"):
        Signature(name=name, outputs=(Field(name="a"),))
