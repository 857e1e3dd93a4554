"""Overload, deadlines, new versions, token and TLS, the end."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from handmade import certify_files, certify_handmade, refused_certificate, write_handmade
from server_process import serving
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from seqapps import __main__ as program
from seqapps.arguments import run
from seqapps.client import Client
from seqapps.errors import UserError
from seqapps.serving.servable import Servable
from seqapps.serving.settings import Serve

PREDICT = "/v1/models/handmade:predict"


def spins_for(client, seconds):
    """How many spins take about so long on this machine now."""
    client.post(PREDICT, json=row())
    start = time.perf_counter()
    client.post(PREDICT, json=row(spins=20_000))
    return max(20_000, int(20_000 * seconds / (time.perf_counter() - start)))


def row(spins=0, value=1.0):
    return {"instances": [{"series": [value], "spins": spins}]}


def test_overload_deadlines_and_the_end(handmade, tmp_path):
    arguments = ["--queue", "2", "--workers", "1", "--batch-rows", "1", "--poll-s", "0"]
    with serving(tmp_path, str(handmade), *arguments) as server, server.http() as client:
        spins = spins_for(client, 1.5)
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(client.post, PREDICT, json=row(spins)) for _ in range(6)]
            replies = [each.result() for each in asked]
        codes = sorted(reply.status_code for reply in replies)
        # One runs, two wait.
        assert codes == [200, 200, 200, 429, 429, 429]
        busy = next(reply for reply in replies if reply.status_code == 429)
        assert int(busy.headers["Retry-After"]) >= 1
        assert "wait already" in busy.json()["error"]

        with ThreadPoolExecutor(8) as pool, server.channel() as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            made = predict_pb2.PredictRequest()
            made.model_spec.name = "handmade"
            made.inputs["series"].CopyFrom(tf.make_tensor_proto(np.float32([[1]])))
            made.inputs["spins"].CopyFrom(tf.make_tensor_proto(np.int32([0])))
            asked = [pool.submit(client.post, PREDICT, json=row(spins)) for _ in range(3)]
            wait_until(lambda: "handmade" in waiting(client, 2))
            with pytest.raises(grpc.RpcError) as refused:
                stub.Predict(made, timeout=30)
            assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert dict(refused.value.trailing_metadata())["retry-after"].isdigit()
            assert [each.result().status_code for each in asked] == [200, 200, 200]

            # One waits, so the other is at work.
            asked = [pool.submit(client.post, PREDICT, json=row(spins)) for _ in range(2)]
            wait_until(lambda: "handmade" in waiting(client, 1))
            late = client.post(PREDICT, json=row(), headers={"X-Request-Timeout": "0.3"})
            assert (late.status_code, "in time" in late.text) == (504, True)
            (done,), (working,) = wait(asked, return_when=FIRST_COMPLETED)
            assert done.result().status_code == 200
            with pytest.raises(grpc.RpcError) as refused:
                stub.Predict(made, timeout=0.3)
            assert refused.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED

            # Told to stop, it finishes what it took, and takes no more.
            assert server.stop() == 0
            assert working.result().json()["predictions"][0]["total"] == 2.0
        with pytest.raises(httpx.ConnectError):
            client.get("/v2/health/live")
        assert server.events("stopped")


def waiting(client, count):
    """The gauge's line if so many wait."""
    line = 'seqapps_queue_requests{model="handmade",signature="serving_default"}'
    found = [each for each in client.get("/metrics").text.splitlines() if each.startswith(line)]
    return found[0] if found and float(found[0].split()[-1]) == count else ""


def wait_until(true, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_new_versions(tmp_path):
    """A new one takes over between two requests; one that is not as certified never does."""
    folder = tmp_path / "versions"
    write_handmade(folder / "1", factor=1.0)
    made = {n: write_handmade(tmp_path / f"made{n}", factor=float(n)) for n in (2, 3, 4)}
    (made[3] / "servable" / "1" / "fingerprint.pb").write_bytes(b"tampered")
    refused_certificate(made[4])
    with serving(tmp_path, f"handmade={folder}", "--poll-s", "0.2") as server:
        stop, wrong, seen = threading.Event(), [], set()

        def ask():
            with server.http() as client:
                while not stop.is_set():
                    reply = client.post(PREDICT, json=row(value=5.0))
                    if reply.status_code != 200:
                        wrong.append(reply.text)
                        continue
                    seen.add(reply.json()["predictions"][0]["total"])

        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(ask)
            try:
                # Slowly copied: it is looked at half-way too.
                (folder / "2").mkdir()
                for path in sorted(made[2].iterdir()):
                    target = folder / "2" / path.name
                    (shutil.copytree if path.is_dir() else shutil.copy)(path, target)
                    time.sleep(0.3)
                server.wait_for("version_loaded", count=2)
                with server.http() as client:
                    assert client.get("/v1/models/handmade/versions/2").status_code == 200
                    body = row(value=5.0)
                    newest = client.post(PREDICT, json=body).json()["predictions"][0]
                    assert newest["total"] == 10.0
                    pinned = client.post("/v1/models/handmade/versions/1:predict", json=body)
                    assert pinned.json()["predictions"][0]["total"] == 5.0
                    for number, words in ((3, "is not what was certified"), (4, "does not hold")):
                        made[number].rename(folder / str(number))
                        end = time.monotonic() + 60
                        while not any(
                            line["version"] == number for line in server.events("version_refused")
                        ):
                            assert time.monotonic() < end
                            time.sleep(0.1)
                        last = server.events("version_refused")[-1]
                        assert words in last["reason"]
                        states = client.get("/v1/models/handmade").json()["model_version_status"]
                        assert states[0]["state"] == "END"
                    assert client.post(PREDICT, json=body).json()["predictions"][0] == newest
                    # Made good, it is served; with it the oldest goes.
                    certify_handmade(folder / "3")
                    server.wait_for("version_loaded", count=3)
                    assert client.post(PREDICT, json=body).json()["predictions"][0]["total"] == 15.0
                    gone = client.post("/v1/models/handmade/versions/1:predict", json=body)
                    assert gone.status_code == 404
            finally:
                stop.set()
        assert wrong == []
        assert seen == {5.0, 10.0, 15.0}


def test_answers_that_are_not_those_of_the_certificate(tmp_path, capsys):
    """The files are signed anew, so that the hashes hold; the old version serves on."""
    folder = tmp_path / "versions"
    write_handmade(folder / "1", factor=1.0)
    made = write_handmade(tmp_path / "made", factor=2.0)
    write_handmade(tmp_path / "other", factor=2.001)
    shutil.rmtree(made / "servable")
    shutil.copytree(tmp_path / "other" / "servable", made / "servable")
    with serving(tmp_path, f"handmade={folder}", "--poll-s", "0.2") as server:
        made.rename(folder / "2")
        assert "is not what was certified" in server.wait_for("version_refused")["reason"]
        certify_files(folder / "2")
        reason = server.wait_for("version_refused", count=2)["reason"]
        assert "answers otherwise than its certificate says" in reason
        assert "serving_default: input" in reason
        with server.http() as client:
            assert client.post(PREDICT, json=row(value=5.0)).json()["predictions"][0] == {
                "total": 5.0,
                "scaled": [5.0],
                "scaled_lengths": 1,
            }
            states = client.get("/v1/models/handmade").json()["model_version_status"]
            assert [state["state"] for state in states] == ["END", "AVAILABLE"]
        assert server.events("answers_unknown") == []
        # What nobody foresaw is refused too, and the next version is looked at.
        odd = write_handmade(tmp_path / "odd", factor=3.0)
        told = json.loads((odd / "certificate.json").read_text(encoding="utf-8"))
        told["answers"]["serving_default"]["inputs"] = {}
        (odd / "certificate.json").write_text(json.dumps(told), encoding="utf-8")
        good = write_handmade(tmp_path / "good", factor=4.0)
        odd.rename(folder / "3")
        assert server.wait_for("version_refused", count=3)["version"] == 3
        good.rename(folder / "4")
        assert server.wait_for("version_loaded", count=2)["version"] == 4
    assert serve(folder / "2") == 1
    assert "answers otherwise than its certificate says" in capsys.readouterr().err
    # Of answers that were never kept nothing can be said.
    path = folder / "2" / "certificate.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    del told["answers"]
    path.write_text(json.dumps(told), encoding="utf-8")
    Servable(folder / "2", Serve(bundles=("b",)))
    path.write_text(json.dumps(told | {"answers": {"root": {"answers": [1]}}}), encoding="utf-8")
    with pytest.raises(UserError, match="answers of root cannot be read"):
        Servable(folder / "2", Serve(bundles=("b",)))
    path.unlink()
    assert serve(folder / "2") == 1
    assert "it has no certificate.json; copy it whole" in capsys.readouterr().err


def test_a_bundle_that_is_replaced_where_it_is(tmp_path):
    bundle = write_handmade(tmp_path / "bundle", factor=1.0)
    other = write_handmade(tmp_path / "other", factor=7.0)
    with serving(tmp_path, str(bundle), "--poll-s", "0.2") as server, server.http() as client:
        bundle.rename(tmp_path / "old")
        other.rename(bundle)
        server.wait_for("version_loaded", count=2)
        reply = client.post(PREDICT, json=row(value=2.0))
        assert reply.json()["predictions"][0]["total"] == 14.0
        (bundle / "config.json").write_text("{}", encoding="utf-8")
        server.wait_for("version_refused")
        assert client.post(PREDICT, json=row(value=2.0)).json() == reply.json()


def test_token_and_tls(handmade, tmp_path):
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "token").write_text("correct horse\n")
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    arguments = ["--token-file", "token", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    kept = {"scheme": "https", "verify": trusted, "token": "correct horse"}
    with serving(tmp_path, str(handmade), *arguments, **kept) as server, server.http() as client:
        assert client.post(PREDICT, json=row()).json()["predictions"][0]["total"] == 2.0
        for wrong in ("", "Bearer", "Bearer wrong", "Basic correct horse", "Bearer correct horsee"):
            reply = client.post(PREDICT, json=row(), headers={"Authorization": wrong})
            assert reply.status_code == 401, wrong
            assert reply.headers["WWW-Authenticate"] == "Bearer"
        for path in ("/metrics", "/openapi.json", "/v2", "/v1/models/handmade", "/nowhere"):
            assert client.get(path, headers={"Authorization": ""}).status_code == 401
        assert client.get("/v2/health/live", headers={"Authorization": ""}).status_code == 200
        assert client.get("/openapi.json").json()["security"] == [{"token": []}]
        place = ("127.0.0.1", server.ports["http"])
        with (
            socket.create_connection(place) as plain,
            trusted.wrap_socket(plain, server_hostname="localhost") as encrypted,
        ):
            encrypted.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert encrypted.recv(4096).startswith(b"HTTP/1.1 200")
            # A ticket would have come before it. See `server._tls`.
            assert (encrypted.version(), encrypted.session.has_ticket) == ("TLSv1.3", False)
        address = f"wss://127.0.0.1:{server.ports['http']}/v1/models/handmade:listen"
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, open_timeout=60, ssl=trusted)
        token = {"Authorization": "Bearer correct horse"}
        with connect(address, open_timeout=60, ssl=trusted, additional_headers=token) as heard:
            heard.send("end")
            assert json.loads(heard.recv(timeout=60))["text"] == "0"
        with httpx.Client(trust_env=False) as plain, pytest.raises(httpx.HTTPError):
            plain.get(f"http://127.0.0.1:{server.ports['http']}/v2/health/live")
        with Client(server.url, token="correct horse", verify=trusted) as ours:
            assert ours.predict("handmade", [{"series": [3.0], "spins": 0}])[0]["total"] == 6.0

        credentials = grpc.ssl_channel_credentials((tmp_path / "cert.pem").read_bytes())
        with grpc.secure_channel(f"localhost:{server.ports['grpc']}", credentials) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            made = predict_pb2.PredictRequest()
            made.model_spec.name = "handmade"
            made.model_spec.signature_name = "root"
            made.inputs["number"].CopyFrom(tf.make_tensor_proto(np.float32([4])))
            metadata = [("authorization", "Bearer correct horse")]
            assert tf.make_ndarray(
                stub.Predict(made, metadata=metadata, timeout=30).outputs["root"]
            ) == [2.0]
            with pytest.raises(grpc.RpcError) as refused:
                stub.Predict(made, timeout=30)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "correct horse" not in server.log.read_text()


def serve(*words):
    return run(program.PROGRAM, ["serve", *map(str, words), "--port", "0", "--grpc-port", "0"])


def test_what_cannot_be_served(handmade, tmp_path, capsys):
    tampered = tmp_path / "tampered"
    shutil.copytree(handmade, tampered)
    config = json.loads((tampered / "config.json").read_text())
    (tampered / "config.json").write_text(json.dumps(config | {"settings": {"factor": 3}}))
    (tmp_path / "nothing").mkdir()
    for code, words, told in (
        (1, [tampered], "is not what was certified: config.json changed"),
        (1, [tmp_path / "nothing"], "neither a bundle"),
        (1, [tmp_path / "absent"], "is not a folder"),
        (1, [handmade, handmade], "two bundles have the name handmade"),
        (1, [f"a b={handmade}"], "a model's name is of letters"),
        (1, [handmade, "--token-file", tmp_path / "none"], "cannot be read"),
        (2, [], "serve needs at least one bundle"),
        (2, [handmade, "--queue", "0"], "--queue must be at least 1"),
        (2, [handmade, "--timeout-s", "0"], "--timeout-s must be above 0"),
        (2, [handmade, "--tls-cert", "x.pem"], "both --tls-cert and --tls-key"),
    ):
        assert serve(*words) == code, words
        assert told in capsys.readouterr().err


def test_ports_that_are_taken(handmade, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words in (["--port", port, "--grpc-port", "0"], ["--port", "0", "--grpc-port", port]):
            assert run(program.PROGRAM, ["serve", str(handmade), *words]) == 1
            assert "cannot be listened at" in capsys.readouterr().err


def test_the_client_asks_again_when_it_is_told_to():
    """A server that is busy twice."""
    asked = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.headers["X-Request-Timeout"])
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"predictions": [1]}' if len(asked) > 2 else b'{"error": "full"}'
            self.send_response(200 if len(asked) > 2 else 429)
            self.send_header("Content-Length", str(len(body)))
            if len(asked) == 1:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as stand_in:
        threading.Thread(target=stand_in.serve_forever, daemon=True).start()
        with Client(f"http://127.0.0.1:{stand_in.server_port}", timeout_s=7) as client:
            start = time.monotonic()
            assert client.predict("m", ["x"]) == [1]
            assert time.monotonic() - start >= 1.0
        stand_in.shutdown()
    assert asked == ["7", "7", "7"]
