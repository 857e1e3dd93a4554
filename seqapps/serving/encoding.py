"""Between JSON and arrays: TensorFlow Serving's two forms, and the Open Inference Protocol's."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqapps.bundle.values import from_base64
from seqapps.serving.contract import Arrays, Contract, Tensor
from seqapps.serving.refusals import Refused, short

_V2_TYPES = {"string": "BYTES", "float32": "FP32", "int32": "INT32", "int64": "INT64"}
_DEEPEST = 32
"""Lists within lists: as many axes as NumPy once had."""


def parse(body: bytes) -> dict[str, Any]:
    """Reads the JSON object of a request.

    Raises:
        Refused: If it is none, holds NaN or infinity, says something twice, or is nested too deep.
    """

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name, value in pairs:
            if name in table:
                raise Refused("invalid", f"the request says {short(name)} twice.")
            table[name] = value
        return table

    try:
        request = json.loads(body, parse_constant=constant, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else "not valid"
        where = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise Refused("invalid", f"the request's JSON is {reason}{where}.") from None
    if not isinstance(request, dict):
        raise Refused("invalid", "a request is a JSON object.")
    return request


def dump(value: Mapping[str, Any]) -> bytes:
    """Writes JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def known_keys(request: Mapping[str, Any], known: Sequence[str]) -> None:
    """Checks that a request says nothing that would be passed over.

    Raises:
        Refused: If it does.
    """
    for name in request:
        if name not in known:
            raise Refused(
                "invalid", f"a request has no key {short(name)}; it has {', '.join(known)}."
            )


def text(request: Mapping[str, Any], name: str, default: str) -> str:
    """A string of a request.

    Raises:
        Refused: If it is none.
    """
    value = request.get(name, default)
    if not isinstance(value, str):
        raise Refused("invalid", f"{name} is a string.")
    return value


def arrays_of(contract: Contract, request: Mapping[str, Any]) -> Arrays:
    """Reads `instances` (a list of rows) or `inputs` (a value or a column for each input).

    Raises:
        Refused: If it is neither or both, or a value does not fit.
    """
    if ("instances" in request) == ("inputs" in request):
        raise Refused("invalid", "a request has either 'instances' or 'inputs'.")
    if "instances" in request:
        return _rows(contract, request["instances"])
    columns = request["inputs"]
    if not _by_name(columns):
        columns = {_only(contract): columns}
    return {name: _column(_tensor(contract, name), value) for name, value in columns.items()}


def _rows(contract: Contract, instances: Any) -> Arrays:
    if not isinstance(instances, list) or not instances:
        raise Refused("invalid", "'instances' is a list of at least one row.")
    rows = [row if _by_name(row) else {_only(contract): row} for row in instances]
    given: Arrays = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        tensor = _tensor(contract, name)
        absent = None if tensor.default is None else tensor.default[0]
        values = [row.get(name, absent) for row in rows]
        if any(value is None for value in values):
            raise Refused("invalid", f"{name} is missing in some rows.")
        given[name] = _stack(contract, tensor, values, given)
    return given


def _stack(contract: Contract, tensor: Tensor, values: Sequence[Any], given: Arrays) -> Any:
    """Puts the values of rows together, padded on the right where they vary in length."""
    parts: list[Any] = [
        value
        if isinstance(value, np.ndarray | np.generic)
        else _widened(tensor, array(tensor, value), tensor.shape[1:])
        for value in values
    ]
    # As wide as the values are: whether they fit the tensor is checked later.
    filled = [part for part in parts if np.size(part)]
    kind = np.result_type(*filled) if filled and tensor.dtype != "string" else tensor.numpy
    shapes = {np.shape(part) for part in parts}
    varies = len(tensor.shape) > 1 and tensor.shape[1] is None
    if len(shapes) == 1 and not varies:
        stacked = np.empty((len(parts), *shapes.pop()), kind)
        for i, part in enumerate(parts):
            # Of an array without axes its only value: NumPy would store the array itself.
            stacked[i] = part[()] if np.ndim(part) == 0 and isinstance(part, np.ndarray) else part
        return stacked
    if not varies or any(np.ndim(part) != len(tensor.shape) - 1 for part in parts):
        raise Refused("invalid", f"the rows of {tensor.name} differ in shape.")
    steps = max(len(part) for part in parts)
    width: tuple[Any, ...] = tensor.shape[2:]
    fill: Any = b"" if tensor.dtype == "string" else 0
    padded = np.full((len(parts), max(1, steps), *width), fill, kind)
    for place, part in zip(padded, parts, strict=True):
        if len(part) and np.shape(part)[1:] != width:
            raise Refused("invalid", f"the rows of {tensor.name} differ in shape.")
        if len(part):
            place[: len(part)] = part
    if tensor.lengths is not None and tensor.lengths not in given:
        given[tensor.lengths] = np.array([len(part) for part in parts], np.int32)
    return padded


def _by_name(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _only(contract: Contract) -> str:
    if len(contract.needed) != 1:
        raise Refused(
            "invalid",
            f"signature {contract.name} has several inputs, so each row (or 'inputs') is an object "
            f"with {', '.join(contract.needed)}.",
        )
    return contract.needed[0]


def _tensor(contract: Contract, name: str) -> Tensor:
    if name not in contract.inputs:
        raise Refused(
            "invalid",
            f"signature {contract.name} has no input {short(name)}; "
            f"it has {', '.join(contract.inputs)}.",
        )
    return contract.inputs[name]


def _column(tensor: Tensor, value: Any) -> Any:
    """A value for each row; one strategy value stands for all."""
    if not isinstance(value, list):
        if tensor.media != "option" or len(tensor.shape) != 1:
            raise Refused(
                "invalid", f"{tensor.name} is a list in 'inputs', with a value for each row."
            )
        value = [value]
    return _widened(tensor, array(tensor, value), tensor.shape)


def _widened(tensor: Tensor, values: Any, shape: Sequence[int | None]) -> Any:
    """Lists of no steps, which have lost their width, as wide as the tensor has them."""
    lost = shape[values.ndim :]
    if values.size or not lost or None in lost:
        return values
    return values.reshape(*values.shape, *lost)


def array(tensor: Tensor, value: Any, *, depth: int = 0) -> Any:
    """Makes an array of nested lists.

    Args:
        tensor: What it is for.
        value: The lists.
        depth: In how many lists they are.

    Raises:
        Refused: If they are ragged, or hold something else than the tensor's type.
    """
    if tensor.dtype == "string":
        if isinstance(value, list):
            if depth == _DEEPEST:
                raise Refused("invalid", f"{tensor.name} is nested too deep.")
            parts = [array(tensor, part, depth=depth + 1) for part in value]
            if len({np.shape(part) for part in parts}) > 1:
                raise Refused("invalid", f"{tensor.name} is ragged.")
            made = np.empty((len(parts), *(np.shape(parts[0]) if parts else ())), object)
            for i, part in enumerate(parts):
                made[i] = part[()] if not part.ndim else part
            return made
        scalar = np.empty((), object)
        scalar[()] = _bytes(tensor.name, value)
        return scalar
    _numbers_alone(tensor, value)
    try:
        made = np.array(value)
    except (ValueError, OverflowError, RecursionError):
        raise Refused("invalid", f"{tensor.name} is ragged, or nested too deep.") from None
    if made.size and made.dtype.kind not in "iuf":
        raise Refused("invalid", f"{tensor.name} takes numbers of {tensor.dtype}.")
    if made.dtype.kind == "f" and tensor.dtype != "float32" and made.size:
        raise Refused("invalid", f"{tensor.name} takes whole numbers.")
    return made


def _numbers_alone(tensor: Tensor, value: Any) -> None:
    """NumPy would read true as 1, and "1" beside a number as text."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, bool) or not isinstance(part, int | float):
            raise Refused("invalid", f"{tensor.name} takes numbers of {tensor.dtype}.")


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        # A lone surrogate has no UTF-8 form; models read such bytes as unknown characters.
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            return from_base64(value["b64"])
        except ValueError:
            raise Refused("invalid", f"{name} holds b64 that is not base64.") from None
    raise Refused("invalid", f'{name} takes strings, or {{"b64": "..."}} for bytes.')


def plain(value: Any) -> Any:
    """An array as nested lists that JSON can say; NaN and infinities become null."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and np.isfinite(value).all():
            return value.tolist()
        if value.dtype.kind in "iu":
            return value.tolist()
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def predictions(answer: Arrays) -> list[Any]:
    """An answer row by row; bare values where there is one output."""
    columns = {name: plain(value) for name, value in answer.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def outputs(answer: Arrays) -> Any:
    """An answer column by column; a bare one where there is one output."""
    columns = {name: plain(value) for name, value in answer.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def v2_tensors(tensors: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Tensors as the Open Inference Protocol describes them."""
    return [
        {
            "name": tensor.name,
            "datatype": _V2_TYPES[tensor.dtype],
            "shape": [-1 if size is None else size for size in tensor.shape],
        }
        for tensor in tensors.values()
    ]


def v2_arrays(contract: Contract, request: Mapping[str, Any]) -> Arrays:
    """Reads `inputs` of the Open Inference Protocol.

    Raises:
        Refused: If a tensor does not fit.
    """
    inputs = request.get("inputs")
    if not isinstance(inputs, list):
        raise Refused("invalid", "'inputs' is a list of tensors.")
    given: Arrays = {}
    for each in inputs:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise Refused("invalid", "a tensor is an object with name, shape, datatype and data.")
        known_keys(each, ("name", "shape", "datatype", "data", "parameters"))
        tensor = _tensor(contract, each["name"])
        if tensor.name in given:
            raise Refused("invalid", f"{tensor.name} is given twice.")
        if each.get("datatype") != _V2_TYPES[tensor.dtype]:
            raise Refused("invalid", f"{tensor.name} is of {_V2_TYPES[tensor.dtype]}.")
        if "data" not in each:
            raise Refused("invalid", f"{tensor.name} has no 'data'; binary data is not taken.")
        shape = each.get("shape")
        if not isinstance(shape, list) or not all(
            isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**31 for n in shape
        ):
            raise Refused("invalid", f"the shape of {tensor.name} is a list of sizes.")
        data = array(tensor, each["data"])
        if data.size != math.prod(shape) or len(shape) > 32:
            raise Refused(
                "invalid", f"{tensor.name} has {data.size} values, not the {short(shape)} it says."
            )
        given[tensor.name] = data.reshape(shape)
    return given


def v2_outputs(contract: Contract, answer: Arrays, wanted: Any) -> list[dict[str, Any]]:
    """An answer in the Open Inference Protocol; `wanted` may name the outputs.

    Raises:
        Refused: If it names one that is not there.
    """
    names = [*answer]
    if wanted is not None:
        if not isinstance(wanted, list) or not all(
            isinstance(each, dict) and isinstance(each.get("name"), str) and each["name"] in answer
            for each in wanted
        ):
            raise Refused("invalid", f"'outputs' names some of {', '.join(answer)}.")
        names = [each["name"] for each in wanted]
    return [
        {
            "name": name,
            "datatype": _V2_TYPES[contract.outputs[name].dtype],
            "shape": list(answer[name].shape),
            "data": [plain(value) for value in answer[name].reshape(-1)],
        }
        for name in names
    ]
