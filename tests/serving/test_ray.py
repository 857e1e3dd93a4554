"""The same server with its models on a Ray cluster, of which a copy is killed."""

import importlib.util
import os
import re
import shutil
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
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from seqapps import __main__ as program
from seqapps.arguments import run
from seqapps.client import Client

PREDICT = "/v1/models/handmade:predict"


def test_without_the_extra(handmade, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else found(name)
    )
    assert run(program.PROGRAM, ["serve", str(handmade), "--engine", "ray"]) == 1
    assert "pip install 'seqapps[serve,ray]'" in capsys.readouterr().err
    assert run(program.PROGRAM, ["serve", str(handmade), "--ray-address", "auto"]) == 2
    assert "--ray-address goes with --engine ray" in capsys.readouterr().err


def listeners(pids):
    """Addresses at which processes listen, by the system's own table."""
    inodes = set()
    for pid in pids:
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {found[1] for link in links if (found := re.match(r"socket:\[(\d+)]", link))}
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.add(fields[1].split(":")[0])
    return addresses


def ask_until(stop, server, broken, wrong, answers):
    """One client: it asks again when it is told to, as `seqapps.client` does."""
    with Client(server.url, timeout_s=60) as client:
        while not stop.is_set():
            value = float(len(answers) % 50)
            try:
                row = client.predict("handmade", [{"series": [value, 1.0], "spins": 200}])[0]
            except Exception as error:
                broken.append(repr(error))
                return
            answers.append(row["total"])
            if row["total"] not in (value + 1, 2 * (value + 1)):
                wrong.append((value, row))


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(true, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_copies_of_which_one_is_killed(tmp_path):
    """Both work; one killed under load is replaced, and nobody gets a wrong answer or none."""
    folder = tmp_path / "versions"
    write_handmade(folder / "1", factor=1.0)
    other = write_handmade(tmp_path / "next", factor=2.0)
    spoilt = Path(shutil.copytree(other, tmp_path / "spoilt"))
    (spoilt / "servable" / "1" / "fingerprint.pb").write_bytes(b"tampered")
    arguments = ["--engine", "ray", "--replicas", "2", "--poll-s", "0.2", "--quiet"]
    with serving(
        tmp_path, f"handmade={folder}", *arguments, start_s=400, python=sys.executable
    ) as server:
        server.wait_for("replica_ready", count=2, timeout_s=400)
        first, second = (line["pid"] for line in server.events("replica_ready"))
        assert len({first, second, server.process.pid}) == 3
        ours = descendants(server.process.pid)
        assert {first, second} < ours
        # 127.0.0.1, as such and as one of version 6.
        assert listeners(ours) == {"0100007F", "0000000000000000FFFF00000100007F"}

        stop, broken, wrong, answers = threading.Event(), [], [], []
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(ask_until, stop, server, broken, wrong, answers)
            try:
                wait_until(lambda: len(answers) > 100)
                os.kill(first, signal.SIGKILL)
                server.wait_for("replica_lost")
                before = len(answers)
                # The other one goes on alone.
                wait_until(lambda: len(answers) > before + 50)
                server.wait_for("replica_ready", count=3, timeout_s=400)
                replacement = server.events("replica_ready")[-1]["pid"]
                assert replacement not in (first, second)
                # The one that was there all the time dies: the replacement answers.
                os.kill(second, signal.SIGKILL)
                server.wait_for("replica_lost", count=2)
                before = len(answers)
                wait_until(lambda: len(answers) > before + 50)
                server.wait_for("replica_ready", count=4, timeout_s=400)
                with server.http() as client:
                    assert 'seqapps_replicas{model="handmade",version="1"} 2.0' in (
                        client.get("/metrics").text
                    )

                # A new version on the cluster, and one that is not as certified.
                other.rename(folder / "2")
                server.wait_for("version_loaded", count=2)
                spoilt.rename(folder / "3")
                server.wait_for("version_refused")
            finally:
                stop.set()
        assert broken == []
        assert wrong == []
        assert server.events("failed") == []

        with server.channel() as channel:
            made = predict_pb2.PredictRequest()
            made.model_spec.name = "handmade"
            made.inputs["series"].CopyFrom(tf.make_tensor_proto(np.float32([[1, 2]])))
            made.inputs["spins"].CopyFrom(tf.make_tensor_proto(np.int32([0])))
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert tf.make_ndarray(stub.Predict(made, timeout=60).outputs["total"]) == [6.0]
            made.model_spec.signature_name = "pick"
            del made.inputs["series"], made.inputs["spins"]
            made.inputs["which"].CopyFrom(tf.make_tensor_proto(np.int32([7])))
            with pytest.raises(grpc.RpcError) as refused:
                stub.Predict(made, timeout=60)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT

        # With no copy left it says so, is not ready, and comes back by itself.
        pids = [line["pid"] for line in server.events("replica_ready") if line["version"] == 2]
        with server.http() as client:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: client.get("/v2/health/ready").status_code == 503)
            body = {"instances": [{"series": [1.0], "spins": 0}]}
            reply = client.post(PREDICT, json=body)
            assert (reply.status_code, int(reply.headers["Retry-After"]) >= 1) == (503, True)
            wait_until(lambda: client.get("/v2/health/ready").status_code == 200)
            assert client.post(PREDICT, json=body).json()["predictions"][0]["total"] == 2.0
        ours = descendants(server.process.pid)
        assert server.stop() == 0
        wait_until(lambda: all(gone(pid) for pid in ours), timeout_s=120)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_kill_leaves_no_process(handmade, tmp_path):
    arguments = ["--engine", "ray", "--replicas", "1"]
    with serving(tmp_path, str(handmade), *arguments, start_s=400, python=sys.executable) as server:
        ours = descendants(server.process.pid)
        assert len(ours) > 3
        server.process.kill()
        wait_until(lambda: all(gone(pid) for pid in ours), timeout_s=120)
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
            client.get(f"{server.url}/v2/health/live")


def descendants(pid):
    """A process and all that it started, by parent."""
    lines = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    parents = {int(child): int(parent) for child, parent in map(str.split, lines)}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
