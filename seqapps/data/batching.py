"""Which examples make up each batch: similar lengths together, under a budget of tokens.

A pass is arranged whole: every example exactly once, batches in random order. The arrangement
depends on the lengths, the budget, the seed and the epoch alone, so a resumed run finds the batch
it stopped at.
"""

# N examples, K sides of an example (1 for single sequences, 2 for pairs)

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_NOISES = (0.04, 0.03, 0.02, 0.014, 0.01, 0.005, 0.0)
"""Relative noise on the lengths before sorting, most first: as much as the padding allows."""

_MAX_PADDING = (0.045, 0.075)
"""Largest share of padding that noise may lead to, for one side and for more."""


def token_batches(
    lengths: npt.ArrayLike, *, tokens: int, seed: int, epoch: int
) -> list[npt.NDArray[np.int64]]:
    """Arranges one pass over the training examples.

    Lengths are sorted with noise, so that other examples meet in every epoch; the noise is lowered
    until padding is at most 4.5 % (single sequences) or 7.5 % (pairs) where the lengths allow it.

    Args:
        lengths: int, (N,) or (N, K). Tokens of each example on each side.
        tokens: Budget of a batch: rows × longest length is at most this, on every side. An
            example that is longer than the budget gets a batch of its own.
        seed: Seed of the run, at least 0.
        epoch: Number of the pass, at least 0.

    Returns:
        One int64 array of example indices per batch; every example in exactly one batch.

    Raises:
        ValueError: If the budget is below 1, or `lengths` has another rank or negative entries.
    """
    lengths_NK = _checked(lengths, tokens)
    if not len(lengths_NK):
        return []
    rng = np.random.default_rng([seed, epoch])
    noise_NK = rng.uniform(-1.0, 1.0, lengths_NK.shape)
    # Below half a token: mixes equal lengths without changing the order of unequal ones.
    ties_NK = rng.uniform(-0.49, 0.49, lengths_NK.shape)
    shift = rng.uniform()
    limit = _MAX_PADDING[min(lengths_NK.shape[1], 2) - 1]
    for share in _NOISES:
        keys_NK = lengths_NK * (1.0 + share * noise_NK) + ties_NK
        batches = _cut(_sorted(keys_NK, lengths_NK, tokens, shift), lengths_NK, tokens)
        if padding_share(lengths_NK, batches) <= limit:
            break
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(lengths: npt.ArrayLike, *, tokens: int) -> list[npt.NDArray[np.int64]]:
    """Arranges one pass for evaluation: from short to long, always the same.

    Args:
        lengths: int, (N,) or (N, K). Tokens of each example on each side.
        tokens: Budget of a batch, as in `token_batches`.

    Returns:
        One int64 array of example indices per batch; every example in exactly one batch.

    Raises:
        ValueError: If the budget is below 1, or `lengths` has another rank or negative entries.
    """
    lengths_NK = _checked(lengths, tokens)
    if not len(lengths_NK):
        return []
    return _cut(_sorted(lengths_NK.astype(np.float64), lengths_NK, tokens, 1.0), lengths_NK, tokens)


def padding_share(lengths: npt.ArrayLike, batches: Sequence[npt.NDArray[np.int64]]) -> float:
    """Returns the share of padding among all steps of a pass, all sides together.

    Args:
        lengths: int, (N,) or (N, K). Tokens of each example on each side.
        batches: Example indices of each batch.

    Returns:
        1 - real tokens / (rows × longest), between 0 and 1; 0.0 for no batches.
    """
    lengths_NK = _checked(lengths, 1)
    if not batches:
        return 0.0
    rows = np.array([len(batch) for batch in batches])
    starts = np.concatenate([[0], np.cumsum(rows)[:-1]])
    arranged_NK = lengths_NK[np.concatenate(batches)]
    longest_batch_K = np.maximum.reduceat(arranged_NK, starts, axis=0)
    steps = int((rows[:, None] * longest_batch_K).sum())
    return 1.0 - float(arranged_NK.sum()) / steps if steps else 0.0


def _checked(lengths: npt.ArrayLike, tokens: int) -> npt.NDArray[np.int64]:
    """Returns `lengths` as int64 (N, K)."""
    if tokens < 1:
        raise ValueError(
            f"tokens must be at least 1, got {tokens}; use the number of tokens a batch may hold."
        )
    array = np.asarray(lengths)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(
            f"lengths must have the shape (N,) or (N, K), got {array.shape}; "
            "give one column of lengths per side."
        )
    if array.size and array.min() < 0:
        raise ValueError(f"lengths must be at least 0, got {array.min()}.")
    return (array[:, None] if array.ndim == 1 else array).astype(np.int64)


def _sorted(
    keys_NK: npt.NDArray[np.float64],
    lengths_NK: npt.NDArray[np.int64],
    tokens: int,
    shift: float,
) -> npt.NDArray[np.int64]:
    """Returns the example indices such that neighbours are similar on every side.

    Sorting pairs by one side leaves the other side ragged. So the pass is cut into strips by the
    first side, each strip is sorted by the remaining sides, and every other strip runs backwards
    so that a batch across two strips is similar too. With as many strips as the square root of
    the number of batches, both sides vary about equally within a batch.

    `shift`, above 0 to 1, is the size of the first strip: another one in every epoch moves all
    borders, and so mixes strips without any padding.
    """
    batches = lengths_NK.max(axis=1).sum() / tokens
    return _strips(np.arange(len(keys_NK)), keys_NK, batches, shift)


def _strips(
    rows: npt.NDArray[np.int64], keys_NK: npt.NDArray[np.float64], batches: float, shift: float
) -> npt.NDArray[np.int64]:
    """Sorts `rows` by the first column of the keys, and strips of that by the other columns."""
    sides = keys_NK.shape[1]
    rows = rows[np.argsort(keys_NK[rows, 0], kind="stable")]
    if sides == 1 or not len(rows):
        return rows
    count = max(1, round(batches ** (1 / sides)))
    # Strips of equal size in tokens, not in rows: each then holds the same number of batches.
    size = np.cumsum(np.maximum(keys_NK[rows, 0], 0.0) + 1.0)
    ends = np.searchsorted(size, size[-1] * (np.arange(count) + shift) / count)
    parts = np.split(rows, ends)
    strips = [_strips(part, keys_NK[:, 1:], batches / count, shift) for part in parts]
    return np.concatenate([strip[::-1] if i % 2 else strip for i, strip in enumerate(strips)])


def _cut(
    order: npt.NDArray[np.int64], lengths_NK: npt.NDArray[np.int64], tokens: int
) -> list[npt.NDArray[np.int64]]:
    """Cuts an order into batches, each as large as the budget allows."""
    longest: list[int] = lengths_NK.max(axis=1)[order].tolist()
    starts = [0]
    width = 1
    for i, length in enumerate(longest):
        width = max(width, length)
        if (i + 1 - starts[-1]) * width > tokens and i > starts[-1]:
            starts.append(i)
            width = max(1, length)
    if len(starts) > 1:
        # The rest may be a few rows; share it with its neighbour where the budget allows.
        middle = (starts[-2] + len(order)) // 2
        halves = (longest[starts[-2] : middle], longest[middle:])
        if all(len(half) * max(half) <= tokens for half in halves):
            starts[-1] = middle
    return np.split(order, starts[1:])
