"""Metrics for Prometheus, and logs as lines of JSON that hold nothing of what people ask."""

import json
import logging
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from seqapps.serving.batching import Watch

_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Metrics:
    """What is counted. Labels are names of models, never what a request made up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "seqapps_request_seconds",
            "From request to answer.",
            ["model", "protocol"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "seqapps_requests",
            "Requests by how they ended.",
            ["model", "protocol", "outcome"],
            registry=self._registry,
        )
        self._batch_rows = Histogram(
            "seqapps_batch_rows",
            "Rows that were computed together.",
            ["model", "signature"],
            buckets=_ROWS,
            registry=self._registry,
        )
        self._batch_requests = Histogram(
            "seqapps_batch_requests",
            "Requests that were computed together.",
            ["model", "signature"],
            buckets=_ROWS,
            registry=self._registry,
        )
        self._batch_seconds = Histogram(
            "seqapps_batch_seconds",
            "One computation.",
            ["model", "signature"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._waiting = Gauge(
            "seqapps_queue_requests",
            "Requests that wait.",
            ["model", "signature"],
            registry=self._registry,
        )
        self._replicas = Gauge(
            "seqapps_replicas",
            "Copies on a Ray cluster that answer.",
            ["model", "version"],
            registry=self._registry,
        )

    def replicas(self, model: str, version: int, count: int) -> None:
        """Notes how many copies of a version answer."""
        self._replicas.labels(model, str(version)).set(count)

    def watch(self, model: str, signature: str) -> Watch:
        """What counts the batches of one signature."""
        rows = self._batch_rows.labels(model, signature)
        requests = self._batch_requests.labels(model, signature)
        seconds = self._batch_seconds.labels(model, signature)

        def ran(count: int, total: int, took: float) -> None:
            requests.observe(count)
            rows.observe(total)
            seconds.observe(took)

        return Watch(ran=ran, waiting=self._waiting.labels(model, signature).inc)

    def answered(self, model: str, protocol: str, outcome: str, seconds: float) -> None:
        """Counts a request; `outcome` is `ok` or a refusal's kind."""
        self._requests.labels(model, protocol, outcome).inc()
        self._seconds.labels(model, protocol).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith("seqapps") else record.name,
        }
        # Ray marks every record with its time.
        line |= {k: v for k, v in vars(record).items() if k not in _OWN and not k.startswith("_")}
        if record.name.startswith("uvicorn"):
            line["message"] = record.getMessage()[:300]
        if record.exc_info and record.exc_info[0]:
            # Where, but neither the message nor the values: they may be a person's text.
            line["error"] = record.exc_info[0].__name__
            line["at"] = _places(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=str)


def _places(trace: Any) -> list[str]:
    places = []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-8:]


def start_logging() -> None:
    """Sends the server's log to standard error, one object of JSON a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name, level in (
        ("seqapps.serving", logging.INFO),
        ("uvicorn.error", logging.WARNING),
        ("grpc", logging.ERROR),
        ("asyncio", logging.ERROR),
    ):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
