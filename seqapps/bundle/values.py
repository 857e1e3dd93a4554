"""Between what people have (a string, a list of numbers) and batches of tensors."""

# B batch, T steps of the longest row

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqapps.errors import UserError
from seqapps.fields import Field, Option
from seqapps.lazy import lazy_imports
from seqapps.ranges import fits, in_words

with lazy_imports():
    import numpy as np

_SPACES = dict.fromkeys(map(ord, " \t\n\v\f\r"))
"""What stands between the digits of base64 and means nothing."""
Row = Mapping[str, Any]
"""The values of one example by field name."""


FILES = {"wav": "a WAV file", "image": "a PNG or JPEG file"}
"""What is taken as the bytes of a file, by media."""


def describe(field: Field) -> str:
    """What a value of this field is, in words."""
    if field.media in FILES and field.rank == 0:
        return f'{FILES[field.media]}, in JSON {{"b64": its bytes in base64}}'
    if field.dtype == "string":
        return "a string" if field.rank == 0 else "a list of strings"
    unit = f" ({field.unit})" if field.unit else ""
    noun = "number" if field.dtype == "float32" else "whole number"
    if field.rank == 0:
        return f"a {noun}{unit}"
    sizes = " × ".join(map(str, field.width))
    if field.fixed:
        return f"an array of {sizes} {noun}s{unit}"
    width = f" × {sizes}" if sizes else ""
    return f"a list of {noun}s{width}{unit}"


def row_of(fields: Sequence[Field], value: Any) -> dict[str, Any]:
    """Checks one input and gives its fields their types.

    Args:
        fields: What is taken.
        value: The value of the only field, or a dict by field name where there are several. Bytes
            may stand in it as JSON says them, `{"b64": ...}`.

    Returns:
        bytes or an array by field name.

    Raises:
        UserError: If the value does not fit. The message states what is wanted.
    """
    if len(fields) == 1:
        value = {fields[0].name: value}
    elif not isinstance(value, Mapping) or value.keys() != {field.name for field in fields}:
        wanted = ", ".join(f"{field.name}: {describe(field)}" for field in fields)
        raise UserError(f"an input must be a dict with {wanted}; got {_short(value)}.")
    row = {}
    for field in fields:
        try:
            row[field.name] = _convert(field, value[field.name])
        except (TypeError, ValueError, OverflowError):
            raise UserError(
                f"{field.name} must be {describe(field)}, got {_short(value[field.name])}."
            ) from None
    return row


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _convert(field: Field, value: Any) -> Any:
    if field.dtype == "string":
        if field.rank == 0:
            return _bytes(value)
        if isinstance(value, str | bytes):
            raise TypeError
        # Filled one by one: NumPy would cut off zero bytes at the end.
        texts = np.empty(len(value), object)
        texts[:] = [_bytes(text) for text in value]
        return texts
    array = np.asarray(value)
    if array.dtype.kind not in ("iu" if field.dtype == "int32" else "iuf") and array.size:
        raise TypeError
    if field.dtype == "int32" and array.size and np.abs(array).max() >= 2**31:
        raise OverflowError
    # An empty list of pairs has lost its width.
    shape = (len(value), *field.width) if field.varies and not array.size else array.shape
    sizes = shape[1:] if field.varies else shape
    if len(shape) != field.rank or sizes != field.width:
        raise ValueError
    return array.astype(field.dtype).reshape(shape)


def for_json(value: Any) -> Any:
    """A value of a row, or a whole row, as JSON says it: `row_of` reads it again.

    Bytes become `{"b64": ...}`, as TensorFlow Serving has them, arrays lists.
    """
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {name: for_json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tolist()
    if isinstance(value, np.ndarray | list):
        return [for_json(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        return from_base64(value["b64"])
    if not isinstance(value, str):
        raise TypeError
    # A lone surrogate has no UTF-8 form; the servable reads such bytes as unknown characters.
    return value.encode("utf-8", "surrogatepass")


def from_base64(text: str) -> bytes:
    """Reads base64 as TensorFlow Serving does: with line breaks and spaces, padded or not.

    Raises:
        ValueError: If it is not base64.
    """
    together = text.translate(_SPACES)
    digits = together.rstrip("=.")
    padding = -len(digits) % 4
    if len(together) - len(digits) not in (0, padding):
        raise ValueError("wrong padding")
    return base64.b64decode(digits + "=" * padding, validate=True)


def size(row: Row) -> int:
    """Characters, steps or numbers of one example: rows of similar size make good batches."""
    return sum(
        len(value) if np.ndim(value) or isinstance(value, bytes) else 1 for value in row.values()
    )


def batch_of(fields: Sequence[Field], rows: Sequence[Row]) -> dict[str, Any]:
    """Puts rows into one batch of arrays by tensor name.

    Args:
        fields: What is taken.
        rows: From `row_of`; at least one.

    Returns:
        (B,) for a field of rank 0, (B, ...) for a fixed one; else (B, T, ...), padded on the right
        with 0 or the empty string, T at least 1, and `<name>_lengths`, int32 (B,).
    """
    batch: dict[str, Any] = {}
    for field in fields:
        dtype: Any = object if field.dtype == "string" else field.dtype
        values = [row[field.name] for row in rows]
        if not field.varies:
            batch[field.name] = np.array(values, dtype).reshape(len(values), *field.width)
            continue
        lengths = np.array([len(value) for value in values], np.int32)
        shape = (len(values), max(1, lengths.max()), *field.width)
        batch[field.name] = np.full(shape, b"" if dtype is object else 0, dtype)
        for padded, value in zip(batch[field.name], values, strict=True):
            padded[: len(value)] = value
        batch[field.lengths] = lengths
    return batch


def option_batch(option: Option, value: Any, count: int) -> Any:
    """Gives one strategy value to each input.

    Args:
        option: What it is.
        value: One for all inputs, or one for each.
        count: How many inputs there are.

    Returns:
        An array (count,) of the option's type; of a list of strings (count, K), padded with the
        empty string.

    Raises:
        UserError: If the value does not fit.
    """
    if option.dtype == "string":
        return _texts(option, value, count)
    array = np.asarray(value)
    whole = option.dtype != "float32"
    # NumPy has no type for a number like 2**70.
    huge = whole and array.dtype == object and all(isinstance(v, int) for v in array.flat)
    if not huge and array.dtype.kind not in ("iu" if whole else "iuf"):
        noun = "whole numbers" if whole else "numbers"
        raise UserError(f"option {option.name} takes {noun}, got {value!r}.")
    if whole and array.size:
        # A number that does not fit would become another one.
        least, most = np.iinfo(option.dtype).min, np.iinfo(option.dtype).max
        if array.min() < least or array.max() > most:
            raise UserError(
                f"option {option.name} takes whole numbers from {least} to {most}, got {value!r}."
            )
    # As the model gets them: a tiny number may become 0.
    array, limits = array.astype(option.dtype), vars(option)
    if not all(fits(number, limits) for number in array.flat):
        raise UserError(f"option {option.name} is {in_words(limits)}, got {value!r}.")
    if array.shape not in ((), (1,), (count,)):
        raise _wrong_count(option, array.size, count)
    return np.broadcast_to(array, (count,))


def _texts(option: Option, value: Any, count: int) -> Any:
    """Strings for each input: (count,), or (count, K) for an option of rank 1."""
    one = isinstance(value, str | bytes)
    if option.rank and not one:
        one = all(isinstance(text, str | bytes) for text in value)
    rows = [value] * count if one else list(value)
    if len(rows) == 1 and count != 1:
        rows *= count
    if len(rows) != count:
        raise _wrong_count(option, len(rows), count)
    try:
        if not option.rank:
            lists = [[_bytes(text)] for text in rows]
        else:
            lists = [
                [_bytes(text) for text in ([row] if isinstance(row, str | bytes) else row)]
                for row in rows
            ]
    except TypeError:
        noun = "lists of strings" if option.rank else "strings"
        raise UserError(f"option {option.name} takes {noun}, got {_short(value)}.") from None
    for text in (text for row in lists for text in row):
        if 0 < option.most_bytes < len(text):
            raise UserError(
                f"option {option.name} takes strings of at most {option.most_bytes} bytes, got one "
                f"of {len(text)}: {_short(text.decode('utf-8', 'replace'))}."
            )
    if not option.rank:
        return np.array([text for (text,) in lists], object)
    padded = np.full((count, max(map(len, lists), default=0)), b"", object)
    for place, row in zip(padded, lists, strict=True):
        place[: len(row)] = row
    return padded


def _wrong_count(option: Option, got: int, count: int) -> UserError:
    return UserError(
        f"option {option.name} needs one value, or one for each of {count} inputs, got {got}."
    )


def answers_of(fields: Iterable[Field], outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Takes a batch of outputs apart: the opposite of `batch_of`.

    Args:
        fields: Outputs to take; those that are absent are left out.
        outputs: Arrays by tensor name.

    Returns:
        For each row, by field name: str, int, float, or a list of as many as its length says.
    """
    given = [field for field in fields if field.name in outputs]
    count = len(outputs[given[0].name])
    return [
        {
            field.name: _plain(
                outputs[field.name][row][: outputs[field.lengths][row]]
                if field.varies
                else outputs[field.name][row]
            )
            for field in given
        }
        for row in range(count)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
