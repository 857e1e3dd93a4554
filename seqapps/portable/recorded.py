"""Answers that a certificate keeps, so that any later process can ask a SavedModel again."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from seqapps.bundle.servable import default_options
from seqapps.bundle.values import answers_of, batch_of, size
from seqapps.errors import UserError
from seqapps.fields import MAIN, OPTIONS, Field, Interface

_ROWS = 5
"""Inputs of a signature that are kept, at most."""
_SIZE = 1 << 16
"""Bytes, steps or numbers of a kept input, at most."""

Tensors = dict[str, Any]
"""Arrays of a batch by tensor name."""


def keep(
    fields: Sequence[Field],
    rows: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Picks inputs from the shortest to the longest, with their answers, in the form of JSON.

    Args:
        fields: What the signature takes.
        rows: Inputs, from `row_of`.
        answers: Theirs, from `answers_of`.
    """
    order = sorted(range(len(rows)), key=lambda i: size(rows[i]))
    order = [i for i in order if size(rows[i]) <= _SIZE]
    # The longest take long, and a server asks all of them before it serves.
    last = len(order) - 1 if len(order) <= _ROWS else 0.7 * (len(order) - 1)
    places = np.linspace(0, max(0, last), min(_ROWS, len(order))).round().astype(int)
    chosen = [order[place] for place in places]
    batch = batch_of(fields, [rows[i] for i in chosen]) if chosen else {}
    return {
        "inputs": {name: pack(array) for name, array in batch.items()},
        "answers": [dict(answers[i]) for i in chosen],
    }


def ask_again(
    interface: Interface,
    kept: Mapping[str, Any],
    call: Callable[[str, Tensors], Tensors],
) -> list[tuple[str, Sequence[Field], list[Any], list[Any]]]:
    """Asks a servable what its certificate keeps.

    Args:
        interface: What it takes and gives.
        kept: By signature, from `keep`; those of the main one hold for `options` too.
        call: Calls a signature with the arrays of a batch.

    Returns:
        For each signature its name, what it gives, the answers that were kept and those now.

    Raises:
        UserError: If what is kept cannot be read.
    """
    compared: list[tuple[str, Sequence[Field], list[Any], list[Any]]] = []
    for name in interface.signatures:
        told = kept.get(MAIN if name == OPTIONS else name)
        try:
            if told is None or not told["answers"]:
                continue
            want = list(told["answers"])
            batch = {tensor: unpack(*packed) for tensor, packed in told["inputs"].items()}
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise UserError(
                f"the certificate's answers of {name} cannot be read ({type(error).__name__}); "
                "train or copy the bundle again."
            ) from None
        options = default_options(interface.options_of(name))
        batch |= {
            option: np.repeat(value.numpy(), len(want), axis=0) for option, value in options.items()
        }
        fields = interface.outputs_of(name)
        compared.append((name, fields, want, answers_of(fields, call(name, batch))))
    return compared


def pack(array: Any) -> tuple[str, tuple[int, ...], list[Any]]:
    """An array for JSON: type, shape, flat values; bytes in base64."""
    flat = array.ravel().tolist()
    if array.dtype == object:
        flat = [base64.b64encode(part).decode() for part in flat]
    return array.dtype.name, array.shape, flat


def unpack(dtype: str, shape: Sequence[int], flat: Sequence[Any]) -> Any:
    """The array of which `pack`, or TensorFlow's names of types, speak."""
    if dtype in ("string", "object"):
        return np.array([*map(base64.b64decode, flat), None], object)[:-1].reshape(shape)
    return np.array(flat, dtype).reshape(shape)
