"""Padded batches through tf.data.

All examples of a column lie in one flat tensor; a batch is gathered from it in TensorFlow's own
threads, so Python does nothing per batch.
"""

# B batch, T steps (the longest of the batch), D width of a step

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_READY = 2
"""Batches that are prepared ahead while a step runs."""


def batches(
    columns: Mapping[str, Sequence[npt.NDArray[np.generic]]],
    order: Sequence[npt.NDArray[np.int64]],
    *,
    skip: int = 0,
) -> tf.data.Dataset:
    """Makes a dataset of padded batches.

    Every dataset made from the same kinds of columns has the same element specification, all
    dimensions of batch and time open, so a `tf.function` is traced once for all of them.

    Args:
        columns: Examples by name. An example is a sequence: integers (T,), or floats (T,) or
            (T, D) with one D in a column. All columns are equally long.
        order: Example indices of each batch, as `batching.token_batches` gives them.
        skip: Batches at the start of `order` that are left out (and never made), to go on in the
            middle of a pass.

    Returns:
        A dataset of dicts. For each column `name`: `name`, int32 or float32, (B, T) or (B, T, D),
        padded on the right with 0; and `name_lengths`, int32, (B,). Real steps of each row.

    Raises:
        ValueError: If columns differ in length or mix kinds of examples, an index is outside of
            them, or `skip` is negative.
    """
    if skip < 0:
        raise ValueError(f"skip must be at least 0, got {skip}; use 0 to start with the pass.")
    sizes = {name: len(examples) for name, examples in columns.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"All columns must have the same number of examples, got {sizes}.")
    rows = np.concatenate([np.zeros(0, np.int64), *order])
    count = next(iter(sizes.values()))
    if rows.size and not (rows.min() >= 0 and rows.max() < count):
        raise ValueError(
            f"Indices in order must be from 0 to {count - 1}, got {rows.min()} to {rows.max()}."
        )
    stored = {name: _Column.store(name, examples) for name, examples in columns.items()}
    ends = np.cumsum([len(batch) for batch in order], dtype=np.int64)
    with tf.device("/CPU:0"):
        rows_all = tf.constant(rows, tf.int64)
        bounds = tf.constant(np.concatenate([[0], ends]), tf.int64)

    tensors = {name: (c.values, c.starts, c.lengths) for name, c in stored.items()}

    def gather(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        result: dict[str, tf.Tensor] = {}
        padded = _gathered(batch, rows_all, bounds, tensors)
        for name, (values, result[f"{name}_lengths"]) in padded.items():
            result[name] = tf.ensure_shape(values, [None, None, *stored[name].values.shape[1:]])
        return result

    return mapped(tf.data.Dataset.range(skip, max(skip, len(order))), gather)


def mapped(numbers: tf.data.Dataset, make: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> Any:
    """Makes a batch of each number, a few ahead of who takes them.

    Args:
        numbers: int64, ().
        make: TensorFlow's operations alone: it is not looked through for Python to convert, which
            would take longer than to trace it.
    """
    plain = tf.autograph.experimental.do_not_convert(make)
    return numbers.map(plain).prefetch(_READY)


@functools.partial(tf.function, autograph=False, reduce_retracing=True)
def _gathered(
    batch: tf.Tensor,
    rows_all: tf.Tensor,
    bounds: tf.Tensor,
    columns: dict[str, tuple[tf.Tensor, tf.Tensor, tf.Tensor]],
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Of each column the padded examples of a batch; traced once for all passes of a training."""
    rows_B = rows_all[bounds[batch] : bounds[batch + 1]]
    return {name: _Column(*tensors).padded(rows_B) for name, tensors in columns.items()}


@dataclass(frozen=True)
class Batches:
    """One pass over the training examples; what `training.loop.Pass` asks for."""

    dataset: Callable[[int], tf.data.Dataset]
    """`dataset(skip)`: the batches after the first `skip`."""
    tokens: npt.NDArray[np.int64]
    """Real tokens of each batch, of a pair those of the target."""
    padding: float
    """Share of all steps that is padding, all sides together."""


@dataclass(frozen=True)
class _Column:
    """The examples of one column behind one another."""

    values: tf.Tensor
    """int32 or float32, (all steps,) or (all steps, D)."""
    starts: tf.Tensor
    """int64, (examples,). Position of each example's first step."""
    lengths: tf.Tensor
    """int32, (examples,)."""

    @classmethod
    def store(cls, name: str, examples: Sequence[npt.NDArray[np.generic]]) -> "_Column":
        # Nothing is known about the kind from an empty example, unless all are empty.
        kinds = {(example.dtype.kind, example.shape[1:]) for example in examples if example.size}
        kinds = kinds or {(example.dtype.kind, example.shape[1:]) for example in examples[:1]}
        floats = {kind for kind, _ in kinds} == {"f"}
        ranks = {len(shape) for _, shape in kinds}
        if not (floats and ranks <= {0, 1} or kinds <= {("i", ()), ("u", ())}) or (
            len({shape for _, shape in kinds}) > 1
        ):
            raise ValueError(
                f"Examples of column {name!r} must all be integers (T,), or floats (T,) or (T, D) "
                f"with one D, got (kind, width) {sorted(kinds)}."
            )
        shape = next((shape for _, shape in kinds), ())
        dtype = np.float32 if floats else np.int32
        # One step of padding at the end, so that there is something to gather when all are empty.
        values = np.concatenate(
            [*(example.reshape(-1, *shape) for example in examples), np.zeros((1, *shape))],
            dtype=dtype,
            casting="unsafe",
        )
        lengths = np.array([len(example) for example in examples], np.int64)
        # tf.data runs on the CPU; its tensors must not lie on a GPU.
        with tf.device("/CPU:0"):
            return cls(
                values=tf.constant(values),
                starts=tf.constant(np.cumsum(lengths) - lengths),
                lengths=tf.constant(lengths, tf.int32),
            )

    def padded(self, rows_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the examples (B, T) or (B, T, D), and their lengths (B,)."""
        lengths_B = tf.gather(self.lengths, rows_B)
        # An empty batch has no longest row: reduce_max would give the smallest integer.
        steps_T = tf.range(tf.maximum(tf.reduce_max(lengths_B), 0))
        real_BT = steps_T[None, :] < lengths_B[:, None]
        last = tf.shape(self.values, tf.int64)[0] - 1
        places_BT = tf.gather(self.starts, rows_B)[:, None] + tf.cast(steps_T, tf.int64)[None, :]
        # Padding reads the zero at the end.
        return tf.gather(self.values, tf.where(real_BT, places_BT, last)), lengths_B
