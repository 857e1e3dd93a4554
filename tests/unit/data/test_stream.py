"""Windows of one long sequence: every token once, in its order, in the right row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.data.stream import stream_batches, stream_length, windows


@given(st.integers(1, 500), st.integers(1, 60), st.booleans(), st.integers(0, 9))
def test_windows_cover_every_step_once(length, window, varied, seed):
    rng = np.random.default_rng(seed)
    bounds = windows(length, window=window, varied=varied, rng=rng)
    assert bounds[0] == 0
    assert bounds[-1] == length
    assert (np.diff(bounds) >= 1).all()
    assert np.diff(bounds).max() <= 1.5 * window + 1


def test_varied_windows_have_the_papers_lengths():
    sizes = np.diff(windows(10**6, window=100, varied=True, rng=np.random.default_rng(1)))
    short = sizes < 75
    assert 0.03 < short.mean() < 0.07
    assert sizes[~short].mean() == pytest.approx(100, abs=0.5)
    assert sizes[~short].std() == pytest.approx(5, abs=0.3)
    assert sizes[short][:-1].mean() == pytest.approx(50, abs=1.0)


@settings(max_examples=12)
@given(st.integers(2, 200), st.integers(1, 5), st.integers(1, 20), st.integers(0, 4))
def test_rows_go_on_where_they_ended(tokens, streams, window, skip):
    ids = np.arange(tokens) * 3
    if tokens <= streams:
        with pytest.raises(ValueError, match=f"{streams} streams need at least {streams + 1}"):
            stream_length(tokens, streams)
        return
    length = stream_length(tokens, streams)
    bounds = windows(length, window=window, varied=False, rng=np.random.default_rng(0))
    found = list(stream_batches(ids, bounds, streams=streams).as_numpy_iterator())
    assert len(found) == len(bounds) - 1
    read = np.concatenate([batch["tokens"] for batch in found], 1)
    np.testing.assert_array_equal(read.reshape(-1), ids[: streams * length])
    labels = np.concatenate([batch["labels"] for batch in found], 1)
    np.testing.assert_array_equal(labels, read + 3)
    assert [batch["begins"].tolist() for batch in found] == [
        [int(number == 0)] * streams for number in range(len(found))
    ]
    for batch in found:
        assert set(batch["tokens_lengths"]) == {batch["tokens"].shape[1]}
    rest = list(stream_batches(ids, bounds, streams=streams, skip=skip).as_numpy_iterator())
    assert len(rest) == max(0, len(found) - skip)
    for one, other in zip(rest, found[skip:], strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])
