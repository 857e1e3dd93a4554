"""Batches under a token budget: what they hold, how they vary, how little of them is padding."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.data.batching import evaluation_batches, padding_share, token_batches


def sentence_lengths(rows: int, seed: int = 0) -> np.ndarray:
    """Lengths like those of Multi30k: mean 16 and 17, correlated 0.84."""
    rng = np.random.default_rng(seed)
    source = np.exp(rng.normal(np.log(15.3), 0.33, rows))
    target = source * np.exp(rng.normal(0.05, 0.21, rows))
    return np.maximum(np.stack([source, target], axis=1).round().astype(int), 2)


def real_lengths(folder: Path) -> np.ndarray:
    columns = []
    for language in ("en", "de"):
        with gzip.open(folder / f"train.{language}.gz", "rt", encoding="utf-8") as file:
            columns.append([len(line.split()) + 1 for line in file])
    return np.array(columns).T


def mates_again(first: list[np.ndarray], second: list[np.ndarray], rows: int) -> float:
    """Share of the pairs of rows in one batch that are in one batch again."""
    place = np.empty(rows, int)
    for i, batch in enumerate(second):
        place[batch] = i
    again = together = 0
    for batch in first:
        counts = np.bincount(place[batch])
        again += int((counts * (counts - 1)).sum())
        together += len(batch) * (len(batch) - 1)
    return again / together


shapes = st.one_of(
    st.lists(st.integers(0, 40), max_size=60).map(np.array),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60).map(
        np.array
    ),
    st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=60).map(np.array),
)


@settings(max_examples=150, deadline=None)
@given(lengths=shapes, tokens=st.integers(1, 200), seed=st.integers(0, 2**40))
def test_every_example_once_within_the_budget(lengths: np.ndarray, tokens: int, seed: int) -> None:
    lengths = lengths.astype(int)
    for batches in (
        token_batches(lengths, tokens=tokens, seed=seed, epoch=1),
        evaluation_batches(lengths, tokens=tokens),
    ):
        assert sorted(np.concatenate([[], *batches]).tolist()) == list(range(len(lengths)))
        for batch in batches:
            assert len(batch) >= 1
            assert len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens


def test_a_batch_is_as_large_as_the_budget_allows() -> None:
    batches = token_batches(np.full(100, 10), tokens=200, seed=0, epoch=0)
    assert [len(batch) for batch in batches] == [20] * 5


def test_an_example_longer_than_the_budget_is_alone() -> None:
    lengths = np.array([5, 5, 300, 5, 5])
    batches = token_batches(lengths, tokens=20, seed=0, epoch=0)
    assert sorted(batch.tolist() for batch in batches if 2 in batch) == [[2]]
    assert len(batches) == 2
    # Those after it are not judged by its length.
    pairs = np.array([[1, 300], [5, 5], [5, 5], [5, 5], [5, 5]])
    assert sorted(map(len, evaluation_batches(pairs, tokens=20))) == [1, 4]


def test_a_small_rest_is_shared_with_its_neighbour() -> None:
    batches = evaluation_batches(np.full(21, 10), tokens=200)
    assert [len(batch) for batch in batches] == [10, 11]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = sentence_lengths(2000)

    def order(seed: int, epoch: int) -> list[list[int]]:
        np.random.default_rng(epoch).random(7)
        batches = token_batches(lengths, tokens=500, seed=seed, epoch=epoch)
        return [batch.tolist() for batch in batches]

    assert order(3, 5) == order(3, 5)
    assert order(3, 5) != order(3, 6)
    assert order(3, 5) != order(4, 5)
    # Seed and epoch are not added up.
    assert order(3, 5) != order(5, 3)


@pytest.mark.parametrize("tokens", [1024, 2048, 4096])
@pytest.mark.parametrize("seed", [0, 1])
def test_padding_of_sentences_is_little(tokens: int, seed: int) -> None:
    lengths = sentence_lengths(29_000, seed)
    assert np.corrcoef(lengths.T)[0, 1] == pytest.approx(0.84, abs=0.05)
    pairs = token_batches(lengths, tokens=tokens, seed=seed, epoch=0)
    assert 0.02 < padding_share(lengths, pairs) <= 0.08
    single = token_batches(lengths[:, 0], tokens=tokens, seed=seed, epoch=0)
    assert 0.01 < padding_share(lengths[:, 0], single) <= 0.05


@pytest.mark.parametrize("tokens", [1024, 2048, 4096])
def test_padding_of_multi30k_is_little(multi30k: Path, tokens: int) -> None:
    lengths = real_lengths(multi30k)
    assert lengths.shape == (29_000, 2)
    for epoch in range(2):
        pairs = token_batches(lengths, tokens=tokens, seed=0, epoch=epoch)
        assert padding_share(lengths, pairs) <= 0.08
        single = token_batches(lengths[:, 1], tokens=tokens, seed=0, epoch=epoch)
        assert padding_share(lengths[:, 1], single) <= 0.05


def test_epochs_bring_other_examples_together() -> None:
    lengths = sentence_lengths(29_000)
    first, second = (token_batches(lengths, tokens=2048, seed=0, epoch=i) for i in range(2))
    same = {frozenset(batch.tolist()) for batch in first} & {
        frozenset(batch.tolist()) for batch in second
    }
    assert len(same) <= len(first) / 100
    assert mates_again(first, second, len(lengths)) < 0.2


def test_batches_come_in_random_order() -> None:
    lengths = sentence_lengths(29_000)
    batches = token_batches(lengths, tokens=2048, seed=0, epoch=0)
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.2


def test_batches_hold_similar_numbers_of_tokens() -> None:
    lengths = sentence_lengths(29_000)
    batches = token_batches(lengths, tokens=2048, seed=0, epoch=0)
    real = np.array([lengths[batch].sum() for batch in batches])
    assert np.percentile(real, 5) > 0.75 * np.median(real)
    assert real.min() > 0.3 * np.median(real)


def test_evaluation_goes_from_short_to_long() -> None:
    lengths = np.array([9, 2, 7, 2, 5, 30])
    batches = evaluation_batches(lengths, tokens=14)
    assert [batch.tolist() for batch in batches] == [[1, 3], [4, 2], [0], [5]]


def test_padding_share_counts_every_side() -> None:
    lengths = np.array([[1, 4], [3, 4], [2, 2]])
    # Steps: source 2 × 3, target 2 × 4, then 2 and 2: 18 for 16 tokens.
    batches = [np.array([0, 1]), np.array([2])]
    assert padding_share(lengths, batches) == pytest.approx(1 - 16 / 18)
    assert padding_share(lengths[:, 1], [np.array([1, 0])]) == 0.0
    assert padding_share(lengths, []) == 0.0


@pytest.mark.parametrize(
    ("lengths", "tokens", "message"),
    [
        ([3], 0, "tokens must be at least 1, got 0"),
        ([[[3]]], 5, r"shape \(N,\) or \(N, K\), got \(1, 1, 1\)"),
        ([3, -1], 5, "lengths must be at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_explained(lengths: list[int], tokens: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        token_batches(lengths, tokens=tokens, seed=0, epoch=0)
