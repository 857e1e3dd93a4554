"""Lanes: who is computed with whom, and when. The model is a function of NumPy arrays."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.fields import MAIN, Field, Interface
from seqapps.serving.batching import Lane
from seqapps.serving.contract import check, contracts_of, join, split
from seqapps.serving.refusals import Refused
from seqapps.serving.settings import Serve

SERIES = Interface(
    inputs=(Field(name="series", dtype="float32", rank=1, media="series"),),
    outputs=(Field(name="twice", dtype="float32", rank=1, media="series"),),
)
CONTRACT = contracts_of(SERIES)[MAIN]


def settings(**limits):
    return Serve(bundles=("b",), **limits)


def call(*rows, limits=None):
    steps = max(1, *map(len, rows))
    series = np.zeros((len(rows), steps), np.float32)
    for place, row in zip(series, rows, strict=True):
        place[: len(row)] = row
    lengths = np.array([*map(len, rows)], np.int32)
    given = {"series": series, "series_lengths": lengths}
    return check(CONTRACT, given, limits or settings())


def twice(arrays):
    return {"twice": 2 * arrays["series"], "twice_lengths": arrays["series_lengths"]}


class Model:
    """Notes the rows of each batch; runs as long as the gate is shut."""

    def __init__(self):
        self.batches, self.gate = [], threading.Event()

    def __call__(self, arrays):
        self.batches.append(len(arrays["series"]))
        assert self.gate.wait(30)
        if (arrays["series"] == 13).any():
            raise Refused("invalid", "thirteen")
        return twice(arrays)


def run(work, **limits):
    """Calls `work(lane, model)` in an event loop; returns the model and its result."""

    async def main():
        model = Model()
        with ThreadPoolExecutor(4) as pool:
            lane = Lane(CONTRACT, model, pool=pool, limits=settings(**limits))
            try:
                return model, await work(lane, model)
            finally:
                model.gate.set()

    return asyncio.run(main())


def soon():
    return asyncio.get_running_loop().time() + 30


def asking(lane, *calls):
    return [asyncio.create_task(lane.ask(each, deadline=soon())) for each in calls]


async def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


def test_the_first_goes_at_once_and_the_others_together():
    async def work(lane, model):
        tasks = asking(lane, call([1.0]))
        await until(lambda: model.batches == [1])
        tasks += asking(lane, call([2.0, 3.0]), call([4.0], [5.0]), call([6.0]))
        await asyncio.sleep(0)
        model.gate.set()
        return await asyncio.gather(*tasks)

    model, answers = run(work)
    assert model.batches == [1, 4]
    assert [each["twice"].tolist() for each in answers] == [
        [[2.0]],
        [[4.0, 6.0]],
        [[8.0], [10.0]],
        [[12.0]],
    ]


def test_without_batching_each_is_alone():
    async def work(lane, model):
        model.gate.set()
        return await asyncio.gather(*asking(lane, *(call([float(i)]) for i in range(5))))

    model, answers = run(work, no_batching=True)
    assert model.batches == [1] * 5
    assert [each["twice"].item() for each in answers] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_batch_has_no_more_rows_than_allowed_and_keeps_the_order():
    async def work(lane, model):
        tasks = asking(lane, call([0.0]))
        await until(lambda: model.batches == [1])
        tasks += asking(lane, call([1.0], [1.0], [1.0]), call([2.0], [2.0]), call([3.0]))
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(*tasks)

    model, _ = run(work, batch_rows=4)
    # The second does not fit beside the first, the third does.
    assert model.batches == [1, 4, 2]


def test_short_rows_are_not_padded_to_a_very_long_one():
    async def work(lane, model):
        tasks = asking(lane, call([0.0]))
        await until(lambda: model.batches == [1])
        tasks += asking(lane, *(call([1.0]) for _ in range(8)), call([1.0] * 100_000))
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(*tasks)

    model, _ = run(work)
    assert model.batches == [1, 8, 1]


def test_one_failure_is_not_that_of_others():
    async def work(lane, model):
        tasks = asking(lane, call([0.0]))
        await until(lambda: model.batches == [1])
        tasks += asking(lane, call([1.0]), call([13.0]), call([2.0]))
        await asyncio.sleep(0)
        model.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, answers = run(work)
    assert isinstance(answers[2], Refused)
    assert [each["twice"].item() for each in answers if isinstance(each, dict)] == [0.0, 2.0, 4.0]


def test_too_many_are_refused_and_the_late_never_run():
    async def work(lane, model):
        tasks = asking(lane, call([0.0]))
        await until(lambda: model.batches == [1])
        clock = asyncio.get_running_loop().time
        late = asyncio.create_task(lane.ask(call([1.0]), deadline=clock() + 0.05))
        gone = asyncio.create_task(lane.ask(call([2.0]), deadline=soon()))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as busy:
            await lane.ask(call([3.0]), deadline=soon())
        assert (busy.value.kind, busy.value.retry_after_s >= 1) == ("busy", True)
        gone.cancel()
        with pytest.raises(Refused) as missed:
            await late
        assert missed.value.kind == "late"
        model.gate.set()
        await asyncio.gather(*tasks)
        # The lane is as it was.
        return await lane.ask(call([4.0]), deadline=soon())

    model, answer = run(work, queue=2)
    assert model.batches == [1, 1]
    assert answer["twice"].item() == 8.0


ROWS = st.lists(st.lists(st.integers(-9, 9).map(float), max_size=4), min_size=1, max_size=3)


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_join_and_split_are_inverse(requests):
    calls = [call(*rows) for rows in requests]
    alone = [split(CONTRACT, [each], twice(each.arrays))[0] for each in calls]
    together = split(CONTRACT, calls, twice(join(CONTRACT, calls)))
    for one, other in zip(alone, together, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
