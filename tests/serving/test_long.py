"""Ten minutes of load, made-up requests by the thousand, kills and new versions under load."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from handmade import write_handmade
from server_process import serving
from tensorflow_serving.apis import predict_pb2

import seqapps

pytestmark = pytest.mark.long

SOAK_S = float(os.environ.get("SEQAPPS_SOAK_S", "600"))
MUTATED = int(os.environ.get("SEQAPPS_MUTATED", "20000"))
TEXTS = [
    " ".join(["a man reads", "the dog", "old books in a house"][: 1 + i % 3]) for i in range(9)
]
PREDICT = "/v1/models/translate:predict"
EXPECTED = {200, 400, 404, 405, 408, 413, 415, 422, 429, 503, 504}


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def soak(server, tiny_bundle, seconds):
    want = {
        t: row["translation"]
        for t, row in zip(TEXTS, seqapps.load(tiny_bundle).answers(TEXTS), strict=True)
    }
    end = time.monotonic() + seconds
    wrong, count = [], [0] * 16

    def client(number):
        rng = random.Random(number)
        with server.http() as http:
            while time.monotonic() < end:
                if rng.random() < 0.02:
                    bad = http.post(PREDICT, content=rng.randbytes(rng.randrange(2000)))
                    if bad.status_code != 400:
                        wrong.append(bad.text)
                    continue
                asked = rng.sample(TEXTS, rng.randrange(1, 4))
                reply = http.post(PREDICT, json={"instances": asked})
                if reply.status_code == 429:
                    time.sleep(0.05)
                    continue
                found = [row["translation"] for row in reply.json()["predictions"]]
                if found != [want[text] for text in asked]:
                    wrong.append((asked, found))
                count[number] += 1

    memory = []
    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(client, number) for number in range(16)]
        start = time.monotonic()
        while any(not each.done() for each in running):
            time.sleep(1)
            memory.append((time.monotonic() - start, resident_kb(server.process.pid)))
        for each in running:
            each.result()
    return wrong, sum(count), memory


@pytest.mark.timeout(1800)
def test_soak(tiny_bundle, tmp_path):
    """At saturation, 2 % of the requests malformed: no wrong answer, and memory stays flat."""
    with serving(tmp_path, str(tiny_bundle), "--quiet", python=sys.executable) as server:
        wrong, count, memory = soak(server, tiny_bundle, SOAK_S)
        assert server.process.poll() is None
        assert server.events("failed") == []
    tenth = SOAK_S / 10
    second = np.median([kb for at, kb in memory if tenth < at <= 2 * tenth])
    last = np.median([kb for at, kb in memory if at > 9 * tenth])
    sys.stderr.write(f"soak: {count} answers, memory {second:.0f} kB, then {last:.0f} kB\n")
    assert wrong == []
    assert count > SOAK_S
    assert last <= 1.03 * second


def mutations(rng, body):
    """The bytes of a good request, spoilt."""
    content = bytearray(body)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(content) + 1)
        match rng.randrange(5):
            case 0 if content:
                content[min(place, len(content) - 1)] = rng.randrange(256)
            case 1:
                content[place:place] = rng.randbytes(rng.randrange(1, 9))
            case 2:
                del content[place : place + rng.randrange(1, 9)]
            case 3:
                content[place:place] = content[: rng.randrange(len(content) + 1)]
            case _:
                token = rng.choice(
                    [b"null", b"[[", b"{}", b"-1", b"1e999", b"99999999999", b'"\\ud800"']
                )
                content[place:place] = token
    return bytes(content)


def failure(call, content):
    """How a call fails, None if it does not."""
    try:
        call(content, timeout=60)
    except grpc.RpcError as error:
        return error
    return None


GOOD = [
    (PREDICT, {"instances": ["a man", {"source": "the dog"}]}),
    (PREDICT, {"signature_name": "options", "instances": [{"source": "a", "beam_width": 2}]}),
    ("/v1/models/numbers:predict", {"inputs": {"series": [[1, 2]], "spins": [0]}}),
    ("/v1/models/numbers:predict", {"instances": [{"series": [1.5], "spins": 3}]}),
    ("/v1/models/writer:generate", {"prompt": "a", "max_length": 3}),
    (
        "/v1/models/writer:predict",
        {
            "signature_name": "options",
            "instances": [{"prompt": "a", "max_length": 3, "stop": ["x"]}],
        },
    ),
    (
        "/v2/models/translate/infer",
        {"inputs": [{"name": "source", "shape": [1], "datatype": "BYTES", "data": ["a"]}]},
    ),
]


@pytest.mark.timeout(7200)
def test_mutated_bodies(server):
    """Half of them over HTTP, half over gRPC: no failure, no hang, no traceback."""

    def over_http(number):
        rng = random.Random(number)
        path, body = rng.choice(GOOD)
        with server.http() as http:
            for _ in range(50):
                reply = http.post(path, content=mutations(rng, json.dumps(body).encode()))
                assert reply.status_code in EXPECTED, (path, reply.text)
                assert "Traceback" not in reply.text

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "numbers"
    request.inputs["series"].CopyFrom(tf.make_tensor_proto(np.float32([[1, 2]])))
    request.inputs["spins"].CopyFrom(tf.make_tensor_proto(np.int32([0])))
    other = predict_pb2.PredictRequest()
    other.model_spec.name = "translate"
    other.model_spec.signature_name = "options"
    other.inputs["source"].CopyFrom(tf.make_tensor_proto(["a man"]))
    other.inputs["n_best"].CopyFrom(tf.make_tensor_proto(np.int32([1])))
    contents = [request.SerializeToString(), other.SerializeToString()]
    refused = {"INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}

    def over_grpc(number):
        rng = random.Random(number)
        with server.channel() as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            for _ in range(50):
                content = mutations(rng, rng.choice(contents))
                error = failure(call, content)
                if error is None:
                    continue
                assert error.code().name in refused, (content, error)
                assert "Traceback" not in error.details()

    with ThreadPoolExecutor(8) as pool:
        for each in [
            pool.submit(work, number)
            for number in range(MUTATED // 100)
            for work in (over_http, over_grpc)
        ]:
            each.result()
    assert server.events("failed") == []
    with server.http() as http:
        assert http.post(PREDICT, json={"instances": ["a man"]}).status_code == 200


@pytest.mark.timeout(3600)
def test_schemathesis(server, tmp_path):
    """Requests made from the API page, right ones and wrong ones."""
    (tmp_path / "ours.py").write_text(
        "import schemathesis\n"
        "@schemathesis.check\n"
        "def answered(ctx, response, case):\n"
        f"    assert response.status_code in {sorted(EXPECTED)}, response.text\n"
        "    assert 'Traceback' not in response.text\n"
    )
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"{server.url}/openapi.json",
            "--checks",
            "answered",
            "--max-examples",
            "40",
            "--seed",
            "1",
            "--request-timeout",
            "60",
            "--phases",
            "examples,coverage,fuzzing",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=3000,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "ours", "PYTHONPATH": str(tmp_path)},
    )
    # 504 is an answer: the pages' header asks for deadlines that cannot be kept.
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert server.events("failed") == []


@pytest.mark.timeout(1800)
def test_kill_and_restart_under_load(tmp_path):
    """Only what was under way at the kill is lost; after it everything is answered again."""
    folder = tmp_path / "versions"
    write_handmade(folder / "1", factor=1.0)
    write_handmade(tmp_path / "next", factor=2.0)
    body = {"instances": [{"series": [5.0], "spins": 0}]}
    for round_ in range(3):
        if round_ == 1:
            (tmp_path / "next").rename(folder / "2")
        broken, wrong, answers = [], [], []
        stop = threading.Event()
        with serving(tmp_path, f"handmade={folder}", "--quiet") as server:
            want = 5.0 if round_ == 0 else 10.0

            def ask(
                server=server, want=want, broken=broken, wrong=wrong, answers=answers, stop=stop
            ):
                with server.http() as client:
                    while not stop.is_set():
                        try:
                            reply = client.post("/v1/models/handmade:predict", json=body)
                        except httpx.TransportError as error:
                            broken.append(error)
                            return
                        total = reply.json()["predictions"][0]["total"]
                        answers.append(total)
                        if total != want:
                            wrong.append(reply.text)

            with ThreadPoolExecutor(8) as pool:
                running = [pool.submit(ask) for _ in range(8)]
                time.sleep(3)
                server.process.send_signal(signal.SIGKILL)
                time.sleep(1)
                stop.set()
                for each in running:
                    each.result()
        assert wrong == []
        assert len(answers) > 20
        assert len(broken) <= 8
