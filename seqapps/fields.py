"""Typed inputs and outputs: what a recipe takes from a person and gives back.

`predict`, `seqapps.load`, the servable and the certificate derive from these declarations, so
nothing in them assumes text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from seqapps.errors import UserError

DType = Literal["string", "float32", "int32"]
Media = Literal["text", "wav", "series", "events", "image", "number"]
Assets = Mapping[str, bytes]
"""Files that a network needs to be used, by name: tokenizers, alphabets ..."""
Answer = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""`answer(inputs, options) -> outputs`: named tensors of a batch, in the graph."""
Answers = Mapping[str, Answer]
"""By the name of the signature: `MAIN`, and each further one."""

MAIN = "serving_default"
"""The signature that every servable has."""


def asset(assets: Assets, name: str) -> bytes:
    """One of the files that travel with a model.

    Raises:
        UserError: If it is not there.
    """
    if name not in assets:
        raise UserError(f"assets/{name} is missing; train or copy the bundle again.")
    return assets[name]


def damaged_asset(name: str, reason: object) -> UserError:
    """The error of a file that travels with a model and cannot be read."""
    return UserError(f"assets/{name} is damaged ({reason}); train or copy the bundle again.")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One named input or output of a recipe, described for a single example.

    Raises:
        ValueError: If the name is not an identifier, or the rank is negative.
    """

    name: str
    """Name of the tensor in the servable and of the key in JSON."""
    dtype: DType = "string"
    """Type of its elements."""
    rank: int = 0
    """Number of axes of one example: 0 for a string or a number, 1 for a series of numbers.

    The first axis of a field of rank 1 or more varies in length: batches are right-padded with
    zeros, and an int32 companion `<name>_lengths`, (batch,), says how many steps are real.
    """
    width: tuple[int, ...] = ()
    """Sizes of the axes after the first, for rank 2 and more."""
    unit: str = ""
    """Unit of the numbers: Hz, ms, log-probability (nats) ..."""
    media: Media = "text"
    """What a person has or wants: text, a WAV recording, a series of numbers ..."""
    description: str = ""
    """One line for help, model card and API page."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(
                f"a field's name must be an identifier, got {self.name!r}; use a-z, 0-9 and _."
            )
        if self.rank < 0 or len(self.width) != max(0, self.rank - 1):
            raise ValueError(
                f"field {self.name!r} of rank {self.rank} must give {max(0, self.rank - 1)} widths "
                f"(one for each axis after the first), got {self.width}."
            )

    @property
    def lengths(self) -> str:
        """Name of the int32 companion that gives real lengths, for fields of rank 1 and more."""
        return f"{self.name}_lengths"

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of this field, None where it varies."""
        return (None,) if self.rank == 0 else (None, None, *self.width)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One strategy value of a servable, a number for each row: beam width, temperature ..."""

    name: str
    """Name of the tensor in the signature `options`, and of the keyword in Python."""
    dtype: Literal["int32", "int64", "float32"]
    """Its type."""
    default: float
    """What `serving_default` uses."""
    description: str
    """One line for help, model card and API page."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A further way to ask a bundle: the same inputs, other outputs.

    Raises:
        ValueError: If the name is not an identifier, or one that every servable has.
    """

    name: str
    """Name of the signature in the servable."""
    outputs: tuple[Field, ...]
    """What it gives."""
    description: str = ""
    """One line for help, model card and API page."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in (MAIN, "options"):
            raise ValueError(
                f"a further signature's name must be an identifier other than {MAIN} and options, "
                f"got {self.name!r}."
            )


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What a bundle takes and gives."""

    inputs: tuple[Field, ...]
    """What a person has."""
    outputs: tuple[Field, ...]
    """What a person wants; the first is the answer in short."""
    details: tuple[Field, ...] = ()
    """What signature `options` gives besides."""
    options: tuple[Option, ...] = ()
    """Strategy values, with their defaults."""
    further: tuple[Signature, ...] = ()
    """Signatures beside `serving_default` and `options`."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict, for config.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "Interface":
        """Reads what `to_json` wrote.

        Raises:
            TypeError, KeyError or ValueError: If something else wrote the table.
        """

        def fields(rows: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
            return tuple(Field(**{**row, "width": tuple(row["width"])}) for row in rows)

        return cls(
            inputs=fields(table["inputs"]),
            outputs=fields(table["outputs"]),
            details=fields(table["details"]),
            options=tuple(Option(**row) for row in table["options"]),
            # Absent from bundles of recipes that had none yet.
            further=tuple(
                Signature(**{**row, "outputs": fields(row["outputs"])})
                for row in table.get("further", ())
            ),
        )
