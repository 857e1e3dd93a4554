"""Other servers before the same SavedModel: start, memory, latency, and answers a second.

    python benchmarks/servers/trial.py BUNDLE fastapi=VENV/bin/python litserve=... > result.json

Each server (fastapi, litserve, bentoml, kserve, ray) runs in an interpreter that has TensorFlow and
its packages; `ours` is this one. They are asked one after the other, `ours` first and last.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATHS = {
    "ours": "/v1/models/m:predict",
    "kserve": "/v1/models/m:predict",
    "bentoml": "/predict",
    "fastapi": "/predict",
    "litserve": "/predict",
    "ray": "/predict",
}
START_S = 90


def command(name: str, python: str, bundle: Path, port: int) -> list[str]:
    """How a server is started."""
    if name == "ours":
        return [
            python,
            "-m",
            "seqapps",
            "serve",
            f"m={bundle}",
            "--port",
            str(port),
            "--grpc-port",
            "0",
            "--poll-s",
            "0",
            "--quiet",
        ]
    if name == "bentoml":
        return [
            python,
            "-m",
            "bentoml",
            "serve",
            "bentoml_app:Text",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
    return [python, f"{name}_app.py"]


def request(name: str, port: int, text: str) -> bytes:
    """A whole HTTP request."""
    body = json.dumps({"instances": [text]}).encode()
    head = (
        f"POST {PATHS[name]} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> str:
    """Reads one answer; returns its text."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        length = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if b"content-length" in x)
        body = await reader.readexactly(length)
    if not head.startswith(b"http/1.1 200"):
        raise ValueError(f"refused: {head[:80]!r} {body[:300]!r}")
    found = json.loads(body)
    (row,) = found["predictions"] if isinstance(found, dict) else found
    return row["translation"] if isinstance(row, dict) else row


async def measure(name: str, port: int, texts: list[str], seconds: float) -> dict[str, Any]:
    """Latency of one client, then answers a second of 32."""
    requests = [request(name, port, text) for text in texts]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took, said = [], []
    for number in range(120):
        start = time.perf_counter()
        writer.write(requests[number % len(texts)])
        said.append(await answer(reader))
        took.append(time.perf_counter() - start)
    writer.close()

    async def client(number: int, end: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            writer.write(requests[(number * 97 + count) % len(texts)])
            await answer(reader)
            count += 1
        writer.close()
        return count

    rates = []
    for turn in range(3):
        start = time.perf_counter()
        length = seconds if turn else 3.0
        counts = await asyncio.gather(*(client(i, start + length) for i in range(32)))
        rates.append(sum(counts) / (time.perf_counter() - start))
    return {
        "said": said,
        "p50_ms": round(statistics.median(took[20:]) * 1e3, 2),
        "requests_per_s": [round(rate, 1) for rate in rates[1:]],
    }


def session_mb(session: int) -> float:
    """Resident memory of a session's processes, shared pages counted by half and half."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024


def trial(name: str, python: str, bundle: Path, texts: list[str], seconds: float) -> dict[str, Any]:
    """Starts a server, asks it, and ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BUNDLE": str(bundle),
        "PORT": str(port),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(HERE),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    if name == "ours":
        environment["PYTHONPATH"] = str(HERE.parent.parent)
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command(name, python, bundle, port),
            cwd=HERE,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            ready_s = asyncio.run(ready(name, port, texts[0], began, process))
            found = asyncio.run(measure(name, port, texts, seconds))
            return {"ready_s": round(ready_s, 1), "mb": round(session_mb(process.pid)), **found}
        except (ValueError, OSError, asyncio.IncompleteReadError) as error:
            log.seek(0)
            return {"failed": f"{error!r}", "log": log.read()[-1500:]}
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                pass
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if os.getsid(int(folder.name)) == process.pid:
                        os.kill(int(folder.name), signal.SIGKILL)
                except OSError:
                    continue


async def ready(
    name: str, port: int, text: str, began: float, process: "subprocess.Popen[bytes]"
) -> float:
    """Seconds until the first answer."""
    while time.perf_counter() - began < START_S and process.poll() is None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(name, port, text))
            await asyncio.wait_for(answer(reader), 20)
            return time.perf_counter() - began
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            await asyncio.sleep(0.1)
    raise ValueError("it did not start")


def main() -> None:
    """Measures, and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path, help="a bundle of translate")
    parser.add_argument("servers", nargs="*", help="NAME=PYTHON")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each round")
    options = parser.parse_args()
    from seqapps.recipes.translate import phrasebook

    texts = [english for english, _ in phrasebook.pairs(train=500, validation=0, test=0).train]
    servers = dict(pair.split("=", 1) for pair in options.servers)
    turns = [("ours", sys.executable), *servers.items(), ("ours", sys.executable)]
    result: list[dict[str, Any]] = []
    expected: list[str] = []
    for name, python in turns:
        found = trial(name, python, options.bundle.resolve(), texts, options.seconds)
        said = found.pop("said", [])
        expected = expected or said
        found["same_answers"] = bool(said) and said == expected
        result.append({"server": name, **found})
        print(result[-1], file=sys.stderr)
    print(
        json.dumps(
            {
                "benchmark": "servers",
                "bundle": str(options.bundle),
                "servers": result,
                "load_average": round(os.getloadavg()[0], 2),
                "cores": os.cpu_count(),
                "platform": platform.platform(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
