"""Padded batches: what they hold, in which order, and that a consumer is traced once."""

import numpy as np
import pytest
import tensorflow as tf

from seqapps.data.pipeline import batches

SOURCES = [np.array(ids, np.int32) for ids in ([5, 6, 7], [8], [], [9, 10])]
TARGETS = [np.array(ids, np.int64) for ids in ([1], [2, 3, 4, 5], [6, 7], [8])]


def indices(*groups: list[int]) -> list[np.ndarray]:
    return [np.array(group, np.int64) for group in groups]


def test_rows_are_padded_to_the_longest_of_their_batch() -> None:
    columns = {"source": SOURCES, "target": TARGETS}
    first, second = batches(columns, indices([3, 0], [1, 2]))
    assert first["source"].numpy().tolist() == [[9, 10, 0], [5, 6, 7]]
    assert first["source_lengths"].numpy().tolist() == [2, 3]
    assert first["target"].numpy().tolist() == [[8], [1]]
    assert first["target_lengths"].numpy().tolist() == [1, 1]
    assert second["source"].numpy().tolist() == [[8], [0]]
    assert second["source_lengths"].numpy().tolist() == [1, 0]
    assert second["target"].numpy().tolist() == [[2, 3, 4, 5], [6, 7, 0, 0]]
    assert {value.dtype for value in first.values()} == {tf.int32}


def test_float_columns_keep_their_width() -> None:
    waves = [np.array([0.5, -1.5]), np.array([2.5])]
    frames = [np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 4.0], [5.0, 6.0]], np.float32)]
    (batch,) = batches({"wave": waves, "frames": frames}, indices([1, 0]))
    assert batch["wave"].dtype == batch["frames"].dtype == tf.float32
    assert batch["wave"].numpy().tolist() == [[2.5, 0.0], [0.5, -1.5]]
    assert batch["wave_lengths"].numpy().tolist() == [1, 2]
    assert batch["frames"].numpy().tolist() == [[[3, 4], [5, 6]], [[1, 2], [0, 0]]]
    assert batch["frames_lengths"].numpy().tolist() == [2, 1]


def test_an_empty_example_does_not_decide_the_kind_of_a_column() -> None:
    ids = [np.array([]), np.array([3])]
    (batch,) = batches({"ids": ids}, indices([0, 1]))
    assert batch["ids"].dtype == tf.int32
    assert batch["ids"].numpy().tolist() == [[0], [3]]


def test_rows_that_are_all_empty_have_no_steps() -> None:
    (batch,) = batches({"ids": SOURCES}, indices([2]))
    assert batch["ids"].shape == (1, 0)
    assert batch["ids_lengths"].numpy().tolist() == [0]


def test_skip_goes_on_in_the_middle_of_a_pass() -> None:
    order = indices([0], [1, 2], [3], [2])

    def rows(skip: int) -> list[list[list[int]]]:
        dataset = batches({"target": TARGETS}, order, skip=skip)
        return [batch["target"].numpy().tolist() for batch in dataset]

    whole = rows(0)
    assert len(whole) == 4
    for skip in range(6):
        assert rows(skip) == whole[skip:]


def test_the_dataset_knows_how_many_batches_are_left() -> None:
    assert batches({"ids": SOURCES}, indices([0], [1], [2]), skip=1).cardinality() == 2
    assert list(batches({"ids": SOURCES}, [])) == []


def test_a_function_is_traced_once_for_all_shapes_and_datasets() -> None:
    traces = []

    @tf.function
    def consume(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        traces.append(1)
        return tf.reduce_sum(batch["target"]) + tf.reduce_sum(batch["frames_lengths"])

    rng = np.random.default_rng(0)
    totals = []
    for rows in (40, 70):
        columns = {
            "target": [rng.integers(1, 9, size) for size in rng.integers(1, 9, rows)],
            "frames": [rng.random((size, 3)) for size in rng.integers(1, 9, rows)],
        }
        order = np.array_split(rng.permutation(rows), 7)
        traced = consume.get_concrete_function(batches(columns, order).element_spec)
        totals.append(sum(int(traced(batch)) for batch in batches(columns, order)))
        assert totals[-1] == sum(map(np.sum, columns["target"])) + sum(map(len, columns["frames"]))
    assert len(traces) == 1


def test_all_rows_of_random_columns_return_as_they_were() -> None:
    rng = np.random.default_rng(1)
    examples = [rng.integers(1, 1000, size) for size in rng.integers(0, 30, 500)]
    order = np.array_split(rng.permutation(500), 23)
    dataset = batches({"ids": examples}, order)
    for rows, batch in zip(order, dataset, strict=True):
        for row, ids, length in zip(
            rows, batch["ids"].numpy(), batch["ids_lengths"].numpy(), strict=True
        ):
            assert ids[:length].tolist() == examples[row].tolist()
            assert not ids[length:].any()


@pytest.mark.parametrize(
    ("columns", "order", "skip", "message"),
    [
        ({"a": SOURCES, "b": SOURCES[:2]}, [], 0, "same number of examples, got {'a': 4, 'b': 2}"),
        ({}, [], 0, "same number of examples, got {}"),
        ({"a": SOURCES}, indices([4]), 0, "from 0 to 3, got 4 to 4"),
        ({"a": SOURCES}, indices([-1, 2]), 0, "from 0 to 3, got -1 to 2"),
        ({"a": SOURCES}, [], -1, "skip must be at least 0, got -1"),
        ({"a": [np.array([1]), np.array([0.5])]}, [], 0, "column 'a' must all be integers"),
        ({"a": [np.zeros((2, 3)), np.zeros((2, 4))]}, [], 0, "with one D"),
        ({"a": [np.zeros((2, 3), np.int32)]}, [], 0, "must all be integers"),
        ({"a": [np.zeros((2, 3, 3))]}, [], 0, "must all be integers"),
        ({"a": [np.array(["text"])]}, [], 0, "must all be integers"),
    ],
)
def test_wrong_arguments_are_explained(
    columns: dict[str, list[np.ndarray]], order: list[np.ndarray], skip: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        batches(columns, order, skip=skip)
