"""Requests that wait together are computed together, and nobody waits for company.

A lane takes a request at once if it is idle, and gathers the following ones while that one runs.
Right after a batch its clients ask again: the next batch waits for as many, but no longer than a
tenth of the time that the last one took.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

from seqapps.serving.contract import Arrays, Call, Contract, join, split
from seqapps.serving.refusals import Refused
from seqapps.serving.settings import Serve

_BUDGET = 1 << 19
"""Rows × bytes (or steps) of the longest row in one batch, at most."""
_PATIENCE, _PATIENCE_S = 0.1, 0.005
"""Share of the last batch's time that the next may wait for its clients, and seconds at most."""


@dataclass
class _Job:
    call: Call
    deadline: float
    answer: "asyncio.Future[Arrays]"


@dataclass
class Watch:
    """What a lane reports; does nothing by default."""

    ran: Callable[[int, int, float], None] = field(default=lambda requests, rows, seconds: None)
    """A batch ended."""
    waiting: Callable[[int], None] = field(default=lambda change: None)
    """Requests began (or ended) to wait."""


class Lane:
    """The requests of one signature of one version of a model. Lives in one event loop."""

    def __init__(
        self,
        contract: Contract,
        run: Callable[[Arrays], Arrays],
        *,
        pool: Executor,
        limits: Serve,
        watch: Watch | None = None,
        copies: int = 1,
    ) -> None:
        """Makes an idle lane.

        Args:
            contract: The signature.
            run: Computes a batch, in a thread of the pool; `Refused` for a request's own fault.
            pool: Where it is called.
            limits: Rows of a batch, length of the queue, whether there is batching at all.
            watch: Is told of every batch.
            copies: Of the model, each of which can run a batch at the same time.
        """
        self._contract = contract
        self._run = run
        self._pool = pool
        self._limits = limits
        self._watch = watch or Watch()
        self._parallel = copies * (1 if limits.batching else limits.workers)
        self._queue: deque[_Job] = deque()
        self._running = 0
        self._expected = 1
        self._patient_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._batch_s = 0.05

    async def ask(self, call: Call, *, deadline: float) -> Arrays:
        """Answers a call.

        Args:
            call: It, checked.
            deadline: When it is given up, by the loop's clock.

        Raises:
            Refused: If too many wait, it is late, or the model refuses it.
        """
        if len(self._queue) >= self._limits.queue:
            wait = len(self._queue) / max(1, self._expected) * self._batch_s
            raise Refused(
                "busy",
                f"{len(self._queue)} requests wait already; ask again later.",
                retry_after_s=min(60, max(1, math.ceil(wait))),
            )
        loop = asyncio.get_running_loop()
        job = _Job(call, deadline, loop.create_future())
        self._queue.append(job)
        self._watch.waiting(1)
        self._start()
        try:
            async with asyncio.timeout_at(deadline):
                return await job.answer
        except TimeoutError:
            raise _late() from None

    def _start(self) -> None:
        """Starts the next batch, or a timer if its company is still on the way."""
        loop = asyncio.get_running_loop()
        while self._queue and self._running < self._parallel:
            left = self._patient_until - loop.time()
            if self._limits.batching and len(self._queue) < self._expected and left > 0:
                if self._timer is None:
                    self._timer = loop.call_later(left, self._fired)
                return
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if jobs := self._take(loop.time()):
                self._running += 1
                future = loop.run_in_executor(self._pool, self._compute, jobs)
                future.add_done_callback(partial(self._done, jobs))

    def _fired(self) -> None:
        self._timer = None
        self._patient_until = 0.0
        self._start()

    def _take(self, now: float) -> list[_Job]:
        """Takes the longest waiting request, and those that fit beside it."""
        taken: list[_Job] = []
        left: list[_Job] = []
        rows, size = 0, 1
        while self._queue:
            job = self._queue.popleft()
            if job.answer.done() or job.deadline <= now:
                self._watch.waiting(-1)
                if not job.answer.done():
                    job.answer.set_exception(_late())
                continue
            most = max(size, job.call.size)
            total = rows + job.call.rows
            fits = total <= self._limits.batch_rows and total * most <= _BUDGET
            if taken and not (self._limits.batching and fits):
                left.append(job)
                if rows >= self._limits.batch_rows or not self._limits.batching:
                    break
                continue
            taken.append(job)
            rows, size = total, most
        self._queue.extendleft(reversed(left))
        self._watch.waiting(-len(taken))
        return taken

    def _compute(self, jobs: Sequence[_Job]) -> list[Arrays | Exception]:
        """Runs in a thread. One request's fault is not another's."""
        start = time.perf_counter()
        calls = [job.call for job in jobs]
        answers: list[Arrays | Exception]
        try:
            answers = [*split(self._contract, calls, self._run(join(self._contract, calls)))]
        except Exception as error:
            # Where nothing can run, each alone could not either.
            gone = isinstance(error, Refused) and error.kind == "unavailable"
            if gone or len(calls) == 1:
                answers = [error for _ in calls]
            else:
                answers = [self._alone(call) for call in calls]
        self._batch_s = time.perf_counter() - start
        self._watch.ran(len(calls), sum(call.rows for call in calls), self._batch_s)
        return answers

    def _alone(self, call: Call) -> Arrays | Exception:
        try:
            return split(self._contract, [call], self._run(call.arrays))[0]
        except Exception as error:
            return error

    def _done(self, jobs: Sequence[_Job], done: "asyncio.Future[list[Arrays | Exception]]") -> None:
        self._running -= 1
        answers: list[Arrays | Exception]
        if done.cancelled() or done.exception() is not None:
            stopped = Refused("unavailable", "the server stops.", retry_after_s=1)
            answers = [stopped for _ in jobs]
        else:
            answers = done.result()
        for job, answer in zip(jobs, answers, strict=True):
            if job.answer.done():
                continue
            if isinstance(answer, Exception):
                job.answer.set_exception(answer)
            else:
                job.answer.set_result(answer)
        self._expected = len(jobs) + len(self._queue)
        patience = min(_PATIENCE_S, _PATIENCE * self._batch_s) if len(jobs) > 1 else 0.0
        self._patient_until = asyncio.get_running_loop().time() + patience
        self._start()


def _late() -> Refused:
    return Refused("late", "the answer was not ready in time; give it longer, or ask for less.")
