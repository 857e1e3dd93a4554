"""Fingerprints of data: whether rows are those of another day, and what is different."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Fingerprint = dict[str, dict[str, Any]]
"""Name of a split → its `rows`, a number, and their `hash`, in their order."""


@dataclass(frozen=True)
class DataRecord:
    """What a training says of its data."""

    folder: str
    """The folder from which its settings name files; empty if they name none so."""
    splits: Fingerprint
    """What the rows were."""


@runtime_checkable
class FromData(Protocol):
    """Examples of data that may be other data tomorrow."""

    @property
    def rows(self) -> Mapping[str, Iterable[Sequence[str | bytes | int]]]:
        """The rows of each split, with what tells them apart."""


def fingerprint(rows: Mapping[str, Iterable[Sequence[str | bytes | int]]]) -> Fingerprint:
    """Reads all rows once; in splits that are equal, and in the same order, it is the same."""
    prints: Fingerprint = {}
    for split, part in rows.items():
        digest, count = hashlib.blake2b(digest_size=16), 0
        for row in part:
            count += 1
            for cell in row:
                raw = cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "replace")
                digest.update(len(raw).to_bytes(8))
                digest.update(raw)
        prints[split] = {"rows": count, "hash": digest.hexdigest()}
    return prints


def difference(before: Fingerprint, now: Fingerprint) -> str:
    """Says which splits are not the same: "train had 90 rows and has 120", empty if all are."""
    told = []
    for split, there in now.items():
        if split not in before or before[split] == there:
            continue
        had, has = before[split]["rows"], there["rows"]
        told.append(
            f"{split} has {has:,} other rows, or in another order"
            if had == has
            else f"{split} had {had:,} rows and has {has:,}"
        )
    return "; ".join(told)
