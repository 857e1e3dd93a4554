"""Tensors of a signature: what a request may hold, and rows of several requests in one batch."""

# B rows of a request or a batch, T steps of the longest row

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqapps.bundle.values import FILES
from seqapps.fields import Field, Interface, Option
from seqapps.images.header import MOST_PIXELS, picture_size
from seqapps.portable.runtime.sound import read_header
from seqapps.ranges import LIMITS, fits, in_words
from seqapps.serving.refusals import Refused, short
from seqapps.serving.settings import Serve

_FLAGS = {"hypotheses": "beam", "tokens": "length"}
"""The server's limits by what they are of."""
_LIST, _LISTED_BYTES = 64, 256
_WORK = 1 << 17
"""Tokens × hypotheses of all rows of a request, at most."""
_BYTES = 1 << 20
"""Rows × bytes of the longest text of a request, at most."""
_LONGEST_TOGETHER = 8
"""Recordings as long as the longest that is allowed, in one request."""
_FASTEST_HZ = 192_000
_ELEMENTS = 1 << 26
"""Numbers of one tensor, at most."""
_PIXELS = 4 * MOST_PIXELS
"""Rows × pixels of the largest picture of a request, at most."""

Arrays = dict[str, Any]
"""NumPy arrays by tensor name; of strings, arrays of bytes objects."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of a signature."""

    name: str
    """Its name."""
    dtype: str
    """`string`, `float32`, `int32` or `int64`."""
    shape: tuple[int | None, ...]
    """Of a batch; None for the rows and for what varies."""
    media: str = "number"
    """What a row of it is, as its field says."""
    description: str = ""
    """One line for the API page."""
    default: Any = None
    """Array of one row, of a strategy value."""
    lengths: str | None = None
    """Name of the companion that says how many steps are real."""
    companion: bool = False
    """Whether it is such a companion, which a request may leave out."""
    limits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Range of a strategy value, see `ranges.fits`, and what it `costs`."""

    @property
    def numpy(self) -> Any:
        """The type of its arrays."""
        return object if self.dtype == "string" else np.dtype(self.dtype)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one signature takes and gives."""

    name: str
    """Of the signature."""
    inputs: Mapping[str, Tensor]
    """By name, in order."""
    outputs: Mapping[str, Tensor]
    """By name, in order."""
    description: str = ""
    """One line for the API page."""

    @property
    def needed(self) -> list[str]:
        """Inputs without which there is no answer."""
        return [t.name for t in self.inputs.values() if t.default is None and not t.companion]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that has been checked."""

    arrays: Arrays
    """Every input of the signature, of the same number of rows."""
    rows: int
    """How many."""
    size: int
    """Bytes or steps of the longest row: calls are batched within a budget of rows × size."""


def contracts_of(interface: Interface) -> dict[str, Contract]:
    """The signatures of a bundle by name."""
    described = {signature.name: signature.description for signature in interface.further}
    return {
        name: Contract(
            name=name,
            inputs=_tensors(interface.inputs_of(name), interface.options_of(name)),
            outputs=_tensors(interface.outputs_of(name), ()),
            description=described.get(name, ""),
        )
        for name in interface.signatures
    }


def _tensors(fields: Sequence[Field], options: Sequence[Option]) -> dict[str, Tensor]:
    tensors = []
    for field in fields:
        tensors.append(
            Tensor(
                name=field.name,
                dtype=field.dtype,
                shape=field.batch_shape,
                media=field.media,
                description=" ".join(filter(None, (field.description, field.unit, _file(field)))),
                lengths=field.lengths if field.varies else None,
                limits={"least": 0, "costs": field.costs} if field.costs else {},
            )
        )
        if field.varies:
            tensors.append(
                Tensor(
                    name=field.lengths,
                    dtype="int32",
                    shape=(None,),
                    description=f"Real steps of {field.name}.",
                    companion=True,
                )
            )
    for option in options:
        dtype: Any = object if option.dtype == "string" else option.dtype
        default = np.empty(option.default_shape, dtype)
        given = option.default if isinstance(option.default, tuple) else (option.default,)
        default[...] = [v.encode() if isinstance(v, str) else v for v in given]
        tensors.append(
            Tensor(
                name=option.name,
                dtype=option.dtype,
                shape=option.batch_shape,
                media="option",
                description=option.description,
                default=default,
                limits={name: getattr(option, name) for name in LIMITS},
            )
        )
    return {tensor.name: tensor for tensor in tensors}


def _file(field: Field) -> str:
    """What the API page says of bytes, which JSON has no form of its own for."""
    return f"(b64 of {FILES[field.media]})" if field.media in FILES else ""


def check(contract: Contract, given: Mapping[str, Any], limits: Serve) -> Call:
    """Checks the tensors of a request, and fills in what it may leave out.

    Args:
        contract: The signature.
        given: Arrays by name.
        limits: What the server allows.

    Raises:
        Refused: If they do not fit, or are more than is allowed.
    """
    for name in given:
        if name not in contract.inputs:
            raise Refused(
                "invalid",
                f"signature {contract.name} has no input {short(name)}; "
                f"it has {', '.join(contract.inputs)}.",
            )
    if missing := [name for name in contract.needed if name not in given]:
        raise Refused("invalid", f"signature {contract.name} needs {', '.join(missing)}.")
    for name, value in given.items():
        if not np.ndim(value):
            raise Refused(
                "invalid",
                f"{name} has a value for each row, so it is a list, of one row too (shape [1]); "
                "got a value alone (shape []).",
            )
    rows = len(given[contract.needed[0]])
    if not 1 <= rows <= limits.rows:
        raise Refused(
            "invalid", f"a request has 1 to {limits.rows} rows, got {rows}; send several requests."
        )
    arrays: Arrays = {}
    longest = 1
    for tensor in contract.inputs.values():
        value = given.get(tensor.name)
        if tensor.companion and value is None:
            continue
        array = tensor.default if value is None else _fit(tensor, value)
        if len(array) == 1 < rows and tensor.default is not None:
            array = np.repeat(array, rows, axis=0)
        if len(array) != rows:
            raise Refused(
                "invalid", f"{tensor.name} has {len(array)} rows where the others have {rows}."
            )
        # A bundle's own defaults are allowed, whatever the limits say.
        if value is not None:
            longest = max(longest, _limit(tensor, array, limits))
        arrays[tensor.name] = array
    for tensor in contract.inputs.values():
        if tensor.lengths is not None:
            _lengths(tensor, arrays)
    _sound(contract, arrays, limits)
    return Call(arrays=arrays, rows=rows, size=max(longest, _work(contract, arrays, rows)))


def _fit(tensor: Tensor, array: Any) -> Any:
    """Checks type and shape."""
    kinds = {"string": "O", "float32": "fiu"}.get(tensor.dtype, "iu")
    if not array.size:
        array = array.astype(tensor.numpy)
    if array.dtype.kind not in kinds:
        raise Refused("invalid", f"{tensor.name} is of {tensor.dtype}, got {array.dtype.name}.")
    shape = ["any" if size is None else size for size in tensor.shape]
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(tensor.shape, array.shape, strict=True)
    )
    if not fits:
        raise Refused(
            "invalid",
            f"{tensor.name} has shape {short(shape)} (rows first), got {short(list(array.shape))}.",
        )
    if tensor.dtype == "string":
        if not all(isinstance(value, bytes) for value in array.flat):
            raise Refused("invalid", f"{tensor.name} takes strings.")
        return array
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(tensor.numpy)
        if not np.isfinite(array).all():
            raise Refused("invalid", f"{tensor.name} takes finite numbers.")
    elif tensor.dtype != "float32" and array.size:
        bounds = np.iinfo(tensor.dtype)
        if int(array.min()) < bounds.min or int(array.max()) > bounds.max:
            raise Refused(
                "invalid", f"{tensor.name} takes numbers from {bounds.min} to {bounds.max}."
            )
    return array.astype(tensor.numpy)


def _limit(tensor: Tensor, array: Any, limits: Serve) -> int:
    """Checks sizes and strategy values; returns the size of the longest row."""
    name = tensor.name
    if tensor.dtype == "string":
        sizes = [len(value) for value in array.flat]
        longest = max(sizes, default=0)
        if tensor.media == "sound":
            return longest
        if tensor.media == "wav":
            _recordings(name, array, limits)
            return longest
        if tensor.media == "image":
            return max(longest, _pictures(name, array))
        if longest > limits.text_bytes:
            raise Refused(
                "invalid",
                f"a text has at most {limits.text_bytes} bytes, got {longest} in {name}; "
                "cut it, or start the server with a larger --text-bytes.",
            )
        # A row of many texts is as long as all of them.
        a_row = array.size // len(array)
        if tensor.media == "option":
            most = min(_LISTED_BYTES, tensor.limits.get("most_bytes") or _LISTED_BYTES)
            if longest > most or a_row > _LIST:
                raise Refused("invalid", f"{name} has at most {_LIST} texts of {most} bytes a row.")
            return 1
        if array.size * longest > _BYTES:
            raise Refused(
                "invalid",
                f"the rows of {name} are padded to the longest, {longest} bytes, and have at most "
                f"{_BYTES} together; send several requests.",
            )
        return longest * max(1, a_row)
    if tensor.media == "option" or tensor.limits:
        _strategy(tensor, array, limits)
        return 1
    if array.size > _ELEMENTS:
        raise Refused("invalid", f"{name} has at most {_ELEMENTS} numbers, got {array.size}.")
    return array.shape[1] if array.ndim > 1 else 1


def served_range(tensor: Tensor, limits: Serve) -> dict[str, Any]:
    """The range of a strategy value here: the setting's, and the server's own of what costs."""
    flag, most = _FLAGS.get(tensor.limits.get("costs", "")), tensor.limits.get("most")
    if flag is None:
        return dict(tensor.limits)
    own = getattr(limits, flag)
    return {**tensor.limits, "most": own if most is None else min(own, most)}


def _strategy(tensor: Tensor, array: Any, limits: Serve) -> None:
    """Checks the range of a strategy value, and what the server allows of what costs."""
    flag = _FLAGS.get(tensor.limits.get("costs", ""))
    allowed = served_range(tensor, limits)
    for value in (array.min().item(), array.max().item()) if array.size else ():
        if not fits(value, allowed):
            said = f"; the server's --{flag} sets the limit" if flag else ""
            raise Refused(
                "invalid", f"{tensor.name} is {in_words(allowed)} here, got {value:g}{said}."
            )


def _work(contract: Contract, arrays: Arrays, rows: int) -> int:
    """Tokens × hypotheses that one row takes, at most.

    Raises:
        Refused: If all rows together take more than a request may.
    """

    def most(cost: str) -> int:
        names = [t.name for t in contract.inputs.values() if t.limits.get("costs") == cost]
        return max((int(arrays[name].max()) for name in names), default=1)

    work = most("hypotheses") * max(1, most("tokens"))
    if work * rows > _WORK:
        raise Refused(
            "invalid",
            f"rows × hypotheses × tokens are at most {_WORK} in one request, got {work * rows}; "
            "send several, or ask for less.",
        )
    return work


def _recordings(name: str, files: Any, limits: Serve) -> None:
    """Checks how long WAV files are, by what the model will read in them."""
    longest = 0.0
    for file in files.flat:
        # What is no WAV file, the model reports.
        header = read_header(file)
        seconds = header.frames / max(1, header.rate)
        _not_too_long(seconds, limits)
        longest = max(longest, seconds)
    most = _LONGEST_TOGETHER * limits.audio_s
    if files.size * longest > most:
        raise Refused(
            "invalid",
            f"the rows of {name} are padded to the longest, {longest:.1f} s, and have at most "
            f"{most:g} s together; send several requests.",
        )


def _pictures(name: str, files: Any) -> int:
    """Checks how large pictures are, by their headers; gives the pixels of the largest."""
    # What is no picture, or a larger one than any model reads, the model reports.
    pixels = [height * width for height, width in map(picture_size, files.flat)]
    largest = max((count for count in pixels if count <= MOST_PIXELS), default=0)
    if files.size * largest > _PIXELS:
        raise Refused(
            "invalid",
            f"the rows of {name} are padded to the largest, {largest} pixels, and have at most "
            f"{_PIXELS} together; send several requests.",
        )
    return largest


def _not_too_long(seconds: float, limits: Serve) -> None:
    if seconds > limits.audio_s:
        raise Refused(
            "invalid",
            f"a recording lasts at most {limits.audio_s:g} s, got {seconds:.1f} s; "
            "cut it, or start the server with a larger --audio-s.",
        )


def _lengths(tensor: Tensor, arrays: Arrays) -> None:
    """Checks how many steps are real; all, if the request does not say."""
    assert tensor.lengths is not None
    array = arrays[tensor.name]
    steps = array.shape[1]
    lengths = arrays.get(tensor.lengths)
    if lengths is None:
        arrays[tensor.lengths] = np.full(len(array), steps, np.int32)
    elif lengths.min() < 0 or lengths.max() > steps:
        raise Refused("invalid", f"{tensor.lengths} is 0 to {steps}, the steps of {tensor.name}.")
    if not steps:
        # Every row has at least one step, if only of padding.
        arrays[tensor.name] = _padded(array, 1)


def _sound(contract: Contract, arrays: Arrays, limits: Serve) -> None:
    for tensor in contract.inputs.values():
        if tensor.media != "sound":
            continue
        array = arrays[tensor.name]
        if tensor.dtype == "string":
            # Samples of 16 bits.
            steps = max(len(value) for value in array) // 2
        else:
            steps = array.shape[1]
        rates = arrays.get("rate_hz")
        rate = _FASTEST_HZ if rates is None else max(1, int(rates.min()))
        _not_too_long(steps / rate, limits)


def join(contract: Contract, calls: Sequence[Call]) -> Arrays:
    """Puts the rows of several calls into one batch, padded on the right."""
    if len(calls) == 1:
        return calls[0].arrays
    joined = {}
    for name, tensor in contract.inputs.items():
        parts = [call.arrays[name] for call in calls]
        if len(tensor.shape) > 1 and tensor.shape[1] is None:
            steps = max(part.shape[1] for part in parts)
            parts = [_padded(part, steps) for part in parts]
        joined[name] = np.concatenate(parts)
    return joined


def _padded(array: Any, steps: int) -> Any:
    if array.shape[1] == steps:
        return array
    fill: Any = b"" if array.dtype == object else 0
    padded = np.full((len(array), steps, *array.shape[2:]), fill, array.dtype)
    padded[:, : array.shape[1]] = array
    return padded


def split(contract: Contract, calls: Sequence[Call], outputs: Mapping[str, Any]) -> list[Arrays]:
    """Gives each call its rows, no longer than its own longest: what it would get alone."""
    answers = []
    start = 0
    for call in calls:
        answer = {}
        for name, tensor in contract.outputs.items():
            if name not in outputs:
                continue
            part = outputs[name][start : start + call.rows]
            if tensor.lengths is not None:
                part = part[:, : max(0, int(outputs[tensor.lengths][start:][: call.rows].max()))]
            answer[name] = part
        answers.append(answer)
        start += call.rows
    return answers


def probe(contract: Contract, limits: Serve) -> Call:
    """The smallest call, with which a signature is tried before it is served."""
    given = {}
    for name in contract.needed:
        tensor = contract.inputs[name]
        shape = [1 if size is None else size for size in tensor.shape]
        given[name] = np.full(shape, b"" if tensor.dtype == "string" else 0, tensor.numpy)
        if tensor.name == "rate_hz":
            given[name] += 8000
    return check(contract, given, limits)


def finite(number: float) -> float | None:
    """A number as JSON can say it."""
    return number if math.isfinite(number) else None
