"""The server against the SavedModel called in process; batching against none.

    python benchmarks/serving.py saved_models/translate/demo > result.json

`latency`: one short sentence at a time, the ways to ask take turns sentence by sentence.
`throughput`: 32 clients, each with one request under way; a server that batches and one that does
not take turns.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import seqapps
from seqapps.fields import MAIN
from seqapps.recipes.translate import phrasebook


class Ports(NamedTuple):
    """Where a server listens."""

    http: int
    grpc: int


@contextlib.contextmanager
def serving(bundle: Path, *arguments: str) -> Iterator[Ports]:
    """A server of the bundle under the name `m`."""
    command = [sys.executable, "-m", "seqapps", "serve", f"m={bundle.resolve()}", *arguments]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, "--port", "0", "--grpc-port", "0", "--poll-s", "0", "--quiet"],
            stderr=log,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        try:
            while True:
                log.seek(0)
                events = {e["event"]: e for e in map(json.loads, log.read().splitlines())}
                if "ready" in events:
                    break
                if process.poll() is not None:
                    raise SystemExit(f"the server did not start: {[*events.values()]}")
                time.sleep(0.1)
            yield Ports(events["listening"]["port"], events["listening"]["grpc_port"])
        finally:
            process.terminate()
            process.wait()


def http_request(text: str) -> bytes:
    """A whole request."""
    body = json.dumps({"instances": [text]}).encode()
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> int:
    """Reads one answer; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    await reader.readexactly(length)
    return int(head[9:12])


async def latency(bundle: Path, texts: list[str], number: int) -> dict[str, list[float]]:
    """Seconds of each way to ask."""
    application = seqapps.load(bundle)
    name = application.interface.inputs[0].name
    took: dict[str, list[float]] = {"in_process": [], "http": [], "grpc": []}
    with serving(bundle) as ports:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports.http)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            for i in range(number + 20):
                text = texts[i % len(texts)]
                request = predict_pb2.PredictRequest()
                request.model_spec.name = "m"
                request.inputs[name].CopyFrom(tf.make_tensor_proto([text]))
                content = http_request(text)

                start = time.perf_counter()
                outputs = application.call(MAIN, **{name: np.array([text.encode()], object)})
                [value.numpy() for value in outputs.values()]
                in_process = time.perf_counter()
                writer.write(content)
                assert await answered(reader) == 200
                http = time.perf_counter()
                await stub.Predict(request)
                end = time.perf_counter()
                if i >= 20:
                    took["in_process"].append(in_process - start)
                    took["http"].append(http - in_process)
                    took["grpc"].append(end - http)
        writer.close()
    return took


async def rate(port: int, texts: list[str], clients: int, seconds: float) -> float:
    """Answers a second for so many clients."""
    contents = [http_request(text) for text in texts]
    end = time.perf_counter() + seconds

    async def client(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            writer.write(contents[(number * 97 + count) % len(contents)])
            assert await answered(reader) == 200
            count += 1
        writer.close()
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*map(client, range(clients)))
    return sum(counts) / (time.perf_counter() - start)


def main() -> None:
    """Measures, and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path, nargs="?", help="one that takes text")
    parser.add_argument("--requests", type=int, default=300, help="of each way, for latency")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bundle = options.bundle or Path("saved_models/translate/demo")
    if not bundle.is_dir():
        print(f"{bundle} is not there; passed over. Train it, or name a bundle.", file=sys.stderr)
        return
    texts = [english for english, _ in phrasebook.pairs(train=500, validation=0, test=0).train]
    load = os.getloadavg()[0]

    took = asyncio.run(latency(bundle, texts, options.requests))
    middle = {name: statistics.median(found) * 1e3 for name, found in took.items()}
    for name, found in middle.items():
        print(f"{name:12} p50 {found:7.2f} ms", file=sys.stderr)

    rates: dict[str, list[float]] = {"batching": [], "no_batching": []}
    with serving(bundle) as batching, serving(bundle, "--no-batching") as alone:
        for turn in range(options.rounds + 1):
            for name, ports in (("batching", batching), ("no_batching", alone)):
                seconds = options.seconds if turn else 3.0
                found = asyncio.run(rate(ports.http, texts, options.clients, seconds))
                print(f"round {turn} {name:12} {found:8.1f} requests/s", file=sys.stderr)
                if turn:
                    rates[name].append(found)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    result: dict[str, Any] = {
        "benchmark": "serving",
        "bundle": str(bundle),
        "latency_ms": {
            name: {
                "p50": round(middle[name], 3),
                "p95": round(statistics.quantiles(found, n=20)[-1] * 1e3, 3),
                "p50_minus_in_process": round(middle[name] - middle["in_process"], 3),
            }
            for name, found in took.items()
        },
        "throughput": {
            "clients": options.clients,
            "rounds": {name: [round(r, 1) for r in found] for name, found in rates.items()},
            "ratio": round(medians["batching"] / medians["no_batching"], 2),
        },
        "load_average_at_start": round(load, 2),
        "cores": os.cpu_count(),
        "tensorflow": tf.__version__,
        "platform": platform.platform(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
