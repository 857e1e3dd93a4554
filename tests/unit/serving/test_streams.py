"""A stream is one request until its last event."""

import asyncio
import contextlib
import json

import pytest

from seqapps.serving.asking import Desk
from seqapps.serving.engine import make_engine
from seqapps.serving.http import _to_the_end
from seqapps.serving.models import Models
from seqapps.serving.observing import Metrics
from seqapps.serving.refusals import Refused
from seqapps.serving.settings import Serve


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "1").mkdir()
    limits = Serve(bundles=(f"writer={tmp_path}",), quiet=True)
    metrics = Metrics()
    models = Models(limits, make_engine(limits, metrics.replicas), watch=metrics.watch)
    yield Desk(models, metrics, limits)
    models.close()


@pytest.mark.parametrize(
    ("error", "outcome", "said"),
    [
        (None, "ok", None),
        (Refused("late", "it takes too long."), "late", "it takes too long."),
        (ValueError("secret"), "internal", "the server failed; its log says where."),
    ],
)
def test_what_goes_wrong_on_the_way_is_counted_and_is_the_last_event(desk, error, outcome, said):
    counted_at_first = []

    def seen():
        return f'outcome="{outcome}"'.encode() in desk.metrics.text()

    async def events():
        counted_at_first.append(seen())
        yield b"first"
        if error:
            raise error

    async def read():
        with contextlib.ExitStack() as counted:
            counted.enter_context(desk.counted("http", "writer"))
            stream = _to_the_end(events(), counted.pop_all())
        return [event async for event in stream]

    first, *rest = asyncio.run(read())
    assert first == b"first"
    assert counted_at_first == [False]
    assert seen()
    if said is None:
        assert rest == []
    else:
        (last,) = rest
        assert last == f"event: error\ndata: {json.dumps({'error': said})}\n\n".encode()
