import pytest

from seqapps.fields import Field, Interface, Option


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
    )
    assert Interface.from_json(interface.to_json()) == interface
    with pytest.raises(KeyError):
        Interface.from_json({})
