"""What bundles of earlier versions do not say of themselves: ranges of strategy values."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from seqapps.decoding.settings import Decoding, Sampling, Transcription
from seqapps.ranges import LIMITS

_RANGES: dict[str, dict[str, Any]] = {
    each.name: {name: each.metadata[name] for name in LIMITS if name in each.metadata}
    for kind in (Transcription, Decoding, Sampling)
    for each in fields(kind)
}
_COSTS = {"length": "tokens"}
"""Fields whose value is work."""


def completed(table: Mapping[str, Any]) -> dict[str, Any]:
    """The interface of a bundle as a plain dict, with what this version would have said of it.

    Raises:
        TypeError, KeyError or ValueError: If something else wrote the table.
    """
    return {
        **table,
        **{name: [_field(row) for row in table[name]] for name in ("inputs", "outputs", "details")},
        "options": [
            row if "least" in row else {**_RANGES.get(row["name"], {}), **row}
            for row in table["options"]
        ],
        "further": [
            {
                **signature,
                **{
                    name: [_field(row) for row in signature[name]]
                    for name in ("inputs", "outputs")
                    if signature.get(name) is not None
                },
            }
            for signature in table.get("further", ())
        ],
    }


def _field(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"costs": _COSTS.get(row["name"], ""), **row}
