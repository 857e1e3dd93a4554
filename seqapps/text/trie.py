"""A set of words as a trie in three flat arrays, walked by table look-ups alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int32]]
Int64s = np.ndarray[Any, np.dtype[np.int64]]

DEAD = 0
ROOT = 1


@dataclass(frozen=True, kw_only=True)
class Trie:
    """A double-array trie over symbols 1..n; symbol 0 stands for all others.

    The child of `node` by `symbol` is `slot = base[node] + symbol` if `parent[slot] == node`, else
    DEAD. DEAD has no children.

    Source: Aoe 1989, "An Efficient Digital Search Algorithm by Using a Double-Array Structure".
    """

    base: Ints
    """int32, (slots,)."""

    parent: Ints
    """int32, (slots,)."""

    value: Ints
    """int32, (slots,). What was stored for the word that ends at this node, or -1."""


def build_trie(words: Mapping[Sequence[int], int], *, symbols: int) -> Trie:
    """Builds the trie of `words`.

    Args:
        words: Each word, as symbols from 1 to `symbols`, with the value to store, at least 0.
        symbols: The largest symbol.
    """
    # Nested first: node number to its children by symbol.
    children: list[dict[int, int]] = [{}]
    stored: dict[int, int] = {}
    for word, value in words.items():
        node = 0
        for symbol in word:
            if symbol not in children[node]:
                children[node][symbol] = len(children)
                children.append({})
            node = children[node][symbol]
        stored[node] = value

    slots = np.zeros(len(children), np.int64)
    slots[0] = ROOT
    base = _lay_out([sorted(family) for family in children], symbols)
    size = int(base.max()) + symbols + 2
    trie = Trie(
        base=np.zeros(size, np.int32),
        parent=np.full(size, -1, np.int32),
        value=np.full(size, -1, np.int32),
    )
    for node, family_of in enumerate(children):
        # Children are numbered after their parent, so its slot is known by now.
        trie.base[slots[node]] = base[node]
        trie.value[slots[node]] = stored.get(node, -1)
        for symbol, child in family_of.items():
            slots[child] = base[node] + symbol
            trie.parent[slots[child]] = slots[node]
    return trie


def _lay_out(families: Sequence[Sequence[int]], symbols: int) -> Int64s:
    """Finds a place for each family of children where all of their slots are free.

    Args:
        families: For each node, the symbols of its children, ascending.
        symbols: The largest symbol.

    Returns:
        int64, (nodes,). What to add to a child's symbol; 0 for nodes without children.
    """
    base = np.zeros(len(families), np.int64)
    taken = np.zeros(2 * (len(families) + symbols), bool)
    taken[[DEAD, ROOT]] = True
    place = 0
    # Large families first, each looked for from where the last one went; the gaps that they leave
    # are filled by the many families of one.
    for node in sorted(range(len(families)), key=lambda node: -len(families[node])):
        family = np.array(families[node], np.int64)
        if len(family) <= 1:
            break
        while taken[place + family].any():
            place += 1
            if place + symbols >= len(taken):
                taken = np.concatenate([taken, np.zeros_like(taken)])
        taken[place + family] = True
        base[node] = place
    # A base must not be negative: a node's look-up of symbol 0 has to stay inside the arrays.
    only = [node for node, family in enumerate(families) if len(family) == 1]
    free = np.flatnonzero(~np.append(taken, np.zeros(len(only) + symbols, bool)))[symbols:]
    for node, slot in zip(only, free, strict=False):
        base[node] = slot - families[node][0]
    return base
