"""Typed inputs and outputs: what a recipe takes from a person and gives back.

`predict`, `seqapps.load`, the servable and the certificate derive from these declarations, so
nothing in them assumes text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from seqapps.errors import UserError
from seqapps.ranges import Cost

__all__ = [
    "Answer",
    "Answers",
    "Assets",
    "Field",
    "Interface",
    "MAIN",
    "OPTIONS",
    "Option",
    "Part",
    "Parts",
    "Rating",
    "Signature",
]

DType = Literal["string", "float32", "int32"]
Media = Literal["text", "wav", "sound", "series", "events", "image", "number"]
"""`wav` is a recording as the bytes of a file, `sound` as samples; `image` is a picture as
the bytes of a PNG or JPEG file; `events` is a list of them, each a row of numbers."""
Assets = Mapping[str, bytes]
"""Files that a network needs to be used, by name: tokenizers, alphabets ..."""
Answer = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""`answer(inputs, options) -> outputs`: named tensors of a batch, in the graph."""
Answers = Mapping[str, Answer]
"""By the name of the signature: `MAIN`, and each further one."""

MAIN = "serving_default"
"""The signature that every servable has."""
OPTIONS = "options"
"""The signature that takes strategy values and gives details besides."""
WHOLE = "seqapps.portable.runtime.whole"
"""The predictor of every network that answers in one pass."""


@dataclass(frozen=True)
class Part:
    """One network of an application."""

    function: Callable[..., dict[str, Any]]
    """`function(**tensors) -> tensors by name`, in the graph."""
    inputs: tuple[Any, ...]
    """A `tf.TensorSpec` with a name for each argument."""
    wide: tuple[str, ...] = ()
    """Inputs of so many orders of magnitude that 8 bits cannot hold them: products with them are
    never quantised."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The networks of an application, for a predictor that runs without TensorFlow."""

    predictor: str = WHOLE
    """Full name of the module whose predictor runs them; as it is, each network is named after the
    signature that it answers (`portable.one_pass` makes such)."""
    parts: Mapping[str, Part]
    """By name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What its answers depend on besides, ready for JSON."""
    strategies: tuple[Mapping[str, Any], ...] = ()
    """Strategy values by name, with which an export is compared with the SavedModel besides those
    that follow from the options' ranges."""


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
        ValueError: If the name is not an identifier, the rank is negative, or a picture is no
            string.
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
    """Sizes of the axes after the first, for rank 2 and more; of a fixed field those of all."""
    fixed: bool = False
    """Whether no axis varies: `width` then has the sizes of all axes, and there is no companion of
    lengths. Such is the state that a streaming signature takes and gives back."""
    unit: str = ""
    """Unit of the numbers: Hz, ms, log-probability (nats) ..."""
    media: Media = "text"
    """What a person has or wants: text, a WAV recording, a series of numbers ..."""
    description: str = ""
    """One line for help, model card and API page."""
    costs: Cost = ""
    """What the work of a request grows with."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(
                f"a field's name must be an identifier, got {self.name!r}; use a-z, 0-9 and _."
            )
        if self.media == "image" and (self.dtype != "string" or self.rank):
            raise ValueError(
                f"field {self.name!r} is a picture, the bytes of a file, so it must be a string of "
                f"rank 0, got {self.dtype} of rank {self.rank}."
            )
        wanted = self.rank if self.fixed else max(0, self.rank - 1)
        if self.rank < 0 or len(self.width) != wanted:
            axes = "one for each axis" if self.fixed else "one for each axis after the first"
            raise ValueError(
                f"field {self.name!r} of rank {self.rank} must give {wanted} widths "
                f"({axes}), got {self.width}."
            )

    @property
    def is_text(self) -> bool:
        """Whether a value is one text, such as a line of a file."""
        return self.dtype == "string" and self.rank == 0 and self.media == "text"

    @property
    def varies(self) -> bool:
        """Whether its first axis varies in length, so that it has a companion of lengths."""
        return self.rank > 0 and not self.fixed

    @property
    def lengths(self) -> str:
        """Name of the int32 companion that gives real lengths, where the first axis varies."""
        return f"{self.name}_lengths"

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of this field, None where it varies."""
        return (None, None, *self.width) if self.varies else (None, *self.width)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One strategy value of a servable for each row: beam width, temperature, stop strings ...

    Raises:
        ValueError: If the rank is neither 0 nor 1.
    """

    name: str
    """Name of the tensor in the signature `options`, and of the keyword in Python."""
    dtype: Literal["int32", "int64", "float32", "string"]
    """Its type."""
    default: float | str | tuple[str, ...]
    """What `serving_default` uses; of rank 1 a tuple."""
    rank: int = 0
    """0 for one value a row, 1 for a list of strings a row: rows of a batch are padded with the
    empty string, which stands for nothing."""
    description: str
    """One line for help, model card and API page."""
    least: float | None = None
    """Smallest value of a number; None for any."""
    most: float | None = None
    """Largest value of a number; None for any."""
    above: bool = False
    """Whether `least` itself is left out."""
    costs: Cost = ""
    """What the work of a request grows with."""
    most_bytes: int = 0
    """Bytes that a string may have in UTF-8; 0 for any number."""

    def __post_init__(self) -> None:
        if self.rank not in (0, 1) or (self.rank == 1 and self.dtype != "string"):
            raise ValueError(
                f"option {self.name!r} must be one value (rank 0) or a list of strings (rank 1), "
                f"got rank {self.rank} of {self.dtype}."
            )

    @property
    def batch_shape(self) -> tuple[None, ...]:
        """Shape of a batch of values."""
        return (None,) * (1 + self.rank)

    @property
    def default_shape(self) -> tuple[int, ...]:
        """Shape of the default, as the only row of a batch."""
        return (1, len(self.default)) if isinstance(self.default, tuple) else (1,)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A further way to ask a bundle: other outputs, and other inputs if it says so.

    Raises:
        ValueError: If the name is not an identifier, or one that every servable has.
    """

    name: str
    """Name of the signature in the servable."""
    outputs: tuple[Field, ...]
    """What it gives."""
    inputs: tuple[Field, ...] | None = None
    """What it takes; None for what the interface takes."""
    options: tuple[str, ...] = ()
    """Names of those of the interface's strategy values that it takes."""
    description: str = ""
    """One line for help, model card and API page."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in (MAIN, OPTIONS):
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

    def __post_init__(self) -> None:
        known = {option.name for option in self.options}
        for signature in self.further:
            if unknown := set(signature.options) - known:
                raise ValueError(
                    f"signature {signature.name!r} must take options of its interface "
                    f"({', '.join(sorted(known)) or 'none'}), got {sorted(unknown)}."
                )

    @property
    def has_options(self) -> bool:
        """Whether there is a signature `options`: only if it has something to take or to add."""
        return bool(self.options or self.details)

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of all signatures."""
        return (MAIN, *([OPTIONS] if self.has_options else []), *(s.name for s in self.further))

    def inputs_of(self, signature: str) -> tuple[Field, ...]:
        """What a signature takes."""
        further = self._further(signature)
        return self.inputs if further is None or further.inputs is None else further.inputs

    def outputs_of(self, signature: str) -> tuple[Field, ...]:
        """What a signature gives."""
        if further := self._further(signature):
            return further.outputs
        return (*self.outputs, *(self.details if signature == OPTIONS else ()))

    def options_of(self, signature: str) -> tuple[Option, ...]:
        """The strategy values that a signature takes; others have their defaults in it."""
        further = self._further(signature)
        if further is None:
            return self.options if signature == OPTIONS else ()
        known = {option.name: option for option in self.options}
        return tuple(known[name] for name in further.options)

    def _further(self, name: str) -> Signature | None:
        return next((signature for signature in self.further if signature.name == name), None)

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

        def option(row: Mapping[str, Any]) -> Option:
            default = row["default"]
            return Option(
                **{**row, "default": tuple(default) if isinstance(default, list) else default}
            )

        def signature(row: Mapping[str, Any]) -> Signature:
            # Bundles of earlier versions have neither inputs nor options of a signature.
            inputs = row.get("inputs")
            return Signature(
                name=row["name"],
                outputs=fields(row["outputs"]),
                inputs=None if inputs is None else fields(inputs),
                options=tuple(row.get("options", ())),
                description=row["description"],
            )

        return cls(
            inputs=fields(table["inputs"]),
            outputs=fields(table["outputs"]),
            details=fields(table["details"]),
            options=tuple(option(row) for row in table["options"]),
            # Absent from bundles of recipes that had none yet.
            further=tuple(signature(row) for row in table.get("further", ())),
        )


@dataclass(frozen=True, kw_only=True)
class Rating:
    """How answers alone are measured, where there is no Keras model to look into."""

    questions: Sequence[Any]
    """What is asked, in some seconds: a part of a large test split."""
    score: Callable[[list[dict[str, Any]]], dict[str, Any]]
    """The task's own metrics of the answers, in the order of the questions."""
    on: str
    """What that is, in words."""
    signature: str = MAIN
    """Which signature is asked."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Strategy values by name."""
