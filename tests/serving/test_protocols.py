"""Every way to ask gives what the bundle itself gives, whatever else is asked at the time."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import connect

import seqapps
from seqapps.client import Client
from seqapps.errors import UserError
from seqapps.recipes.generate.predict import stream

TEXTS = ["a man is reading .", "", "the women buy a big house in the old town", "xyz ☃"]


@pytest.fixture(scope="module")
def translator(tiny_bundle):
    return seqapps.load(tiny_bundle)


@pytest.fixture(scope="module")
def writer(tiny_writer):
    return seqapps.load(tiny_writer)


@pytest.fixture(scope="module", autouse=True)
def idle(server):
    """A connection that asked once, before all others, and when that was."""
    connection = HTTPConnection("127.0.0.1", server.ports["http"], timeout=60)
    connection.request("GET", "/v2/health/live")
    connection.getresponse().read()
    yield connection, time.monotonic()
    connection.close()


def ok(reply):
    assert reply.status_code == 200, reply.text
    return reply.json()


def close(found, want):
    """Rows of JSON against the bundle's own answers; padding is cut off as its lengths say."""
    assert len(found) == len(want)
    for row, expected in zip(found, want, strict=True):
        for name, value in expected.items():
            got = row[name]
            if isinstance(value, list):
                got = got[: row[f"{name}_lengths"]]
            if isinstance(value, str) or (isinstance(value, list) and value[:1] == [str]):
                assert got == value
            else:
                assert (
                    got == pytest.approx(value, abs=2e-5)
                    if not isinstance(value, list)
                    or not any(isinstance(each, str) for each in value)
                    else got == value
                )


def test_rows(http, translator):
    want = translator.answers(TEXTS)
    rows = ok(http.post("/v1/models/translate:predict", json={"instances": TEXTS}))["predictions"]
    assert [row["translation"] for row in rows] == [row["translation"] for row in want]
    named = [{"source": text} for text in TEXTS]
    body = {"instances": named, "signature_name": "serving_default"}
    assert ok(http.post("/v1/models/translate/versions/1:predict", json=body)) == {
        "predictions": rows
    }
    raw = [{"b64": base64.b64encode(text.encode()).decode()} for text in TEXTS]
    assert ok(http.post("/v1/models/translate:predict", json={"instances": raw})) == {
        "predictions": rows
    }


def test_columns(http, translator):
    want = translator.answers(TEXTS)
    for inputs in (TEXTS, {"source": TEXTS}):
        found = ok(http.post("/v1/models/translate:predict", json={"inputs": inputs}))["outputs"]
        assert found["translation"] == [row["translation"] for row in want]
        assert found["score"] == pytest.approx([row["score"] for row in want], abs=2e-5)


def test_strategy_values_of_each_row(http, translator):
    widths = [1, 2, 5, 3]
    want = translator.answers(TEXTS, beam_width=widths, n_best=2)
    rows = [
        {"source": text, "beam_width": width, "n_best": 2}
        for text, width in zip(TEXTS, widths, strict=True)
    ]
    body = {"signature_name": "options", "instances": rows}
    close(ok(http.post("/v1/models/translate:predict", json=body))["predictions"], want)
    columns = {"source": TEXTS, "beam_width": widths, "n_best": 2}
    body = {"signature_name": "options", "inputs": columns}
    found = ok(http.post("/v1/models/translate:predict", json=body))["outputs"]
    assert found["translation"] == [row["translation"] for row in want]
    # What a row leaves out has its default, whatever the other rows say.
    body = {"signature_name": "options", "instances": [{"source": TEXTS[0]}, rows[1]]}
    close(
        ok(http.post("/v1/models/translate:predict", json=body))["predictions"][:1],
        translator.answers(TEXTS[:1]),
    )


def test_numbers_ragged_and_padded(http):
    rows = [
        {"series": [1, 2.5], "spins": 0},
        {"series": [4], "spins": 1},
        {"series": [], "spins": 0},
    ]
    found = ok(http.post("/v1/models/numbers:predict", json={"instances": rows}))["predictions"]
    assert [row["total"] for row in found] == [7.0, 8.0, 0.0]
    assert [row["scaled"] for row in found] == [[2.0, 5.0], [8.0, 0.0], [0.0, 0.0]]
    columns = {"series": [[1, 2], [3, 4]], "series_lengths": [1, 2], "spins": [0, 0]}
    found = ok(http.post("/v1/models/numbers:predict", json={"inputs": columns}))["outputs"]
    assert found == {
        "total": [2.0, 14.0],
        "scaled": [[2.0, 0.0], [6.0, 8.0]],
        "scaled_lengths": [1, 2],
    }


def test_a_single_output_is_bare_and_nan_is_null(http):
    body = {"signature_name": "root", "instances": [4, {"number": -1}]}
    assert ok(http.post("/v1/models/numbers:predict", json=body)) == {"predictions": [2.0, None]}
    body = {"signature_name": "root", "inputs": [9]}
    assert ok(http.post("/v1/models/numbers:predict", json=body)) == {"outputs": [3.0]}


def test_bytes_of_a_recording(http):
    sound = bytes(range(256))
    body = {"signature_name": "hear", "instances": [{"b64": base64.b64encode(sound).decode()}]}
    assert ok(http.post("/v1/models/numbers:predict", json=body)) == {"predictions": [256]}


def test_status_and_metadata(http, tiny_bundle):
    assert ok(http.get("/v1/models/translate")) == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert ok(http.get("/v1/models/translate/versions/1")) == ok(http.get("/v1/models/translate"))
    found = ok(http.get("/v1/models/translate/metadata"))
    assert found["model_spec"] == {"name": "translate", "signature_name": "", "version": "1"}
    definitions = json_format.ParseDict(
        found["metadata"]["signature_def"], get_model_metadata_pb2.SignatureDefMap()
    )
    loaded = tf.saved_model.load(str(tiny_bundle / "servable" / "1"))
    assert loaded.signatures.keys() <= definitions.signature_def.keys()
    assert definitions.signature_def["serving_default"].inputs["source"].dtype == 7


def test_open_inference_protocol(http, translator):
    assert ok(http.get("/v2/health/live")) == {"live": True}
    assert ok(http.get("/v2/health/ready")) == {"ready": True}
    assert ok(http.get("/v2"))["name"] == "seqapps"
    described = ok(http.get("/v2/models/translate"))
    assert described["inputs"] == [{"name": "source", "datatype": "BYTES", "shape": [-1]}]
    assert described["versions"] == ["1"]
    assert ok(http.get("/v2/models/translate/versions/1/ready")) == {
        "name": "translate",
        "ready": True,
    }
    body = {
        "id": "seven",
        "inputs": [{"name": "source", "shape": [4], "datatype": "BYTES", "data": TEXTS}],
        "outputs": [{"name": "translation"}],
    }
    found = ok(http.post("/v2/models/translate/infer", json=body))
    want = [row["translation"] for row in translator.answers(TEXTS)]
    assert found == {
        "model_name": "translate",
        "model_version": "1",
        "id": "seven",
        "outputs": [{"name": "translation", "datatype": "BYTES", "shape": [4], "data": want}],
    }
    tensors = [
        {"name": "series", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]},
        {"name": "spins", "shape": [2], "datatype": "INT32", "data": [0, 0]},
    ]
    found = ok(http.post("/v2/models/numbers/versions/1/infer", json={"inputs": tensors}))
    assert {each["name"]: each["data"] for each in found["outputs"]}["total"] == [6.0, 14.0]
    body = {
        "parameters": {"signature_name": "pick"},
        "inputs": [{"name": "which", "shape": [1], "datatype": "INT32", "data": [2]}],
    }
    assert ok(http.post("/v2/models/numbers/infer", json=body))["outputs"][0]["data"] == ["two"]


def predict_request(model, signature="", **tensors):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in tensors.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_grpc_predict(predictions, translator):
    want = translator.answers(TEXTS, beam_width=3)
    reply = predictions.Predict(
        predict_request("translate", "options", source=TEXTS, beam_width=np.int32([3])), timeout=60
    )
    found = {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}
    assert [text.decode() for text in found["translation"]] == [r["translation"] for r in want]
    assert found["score"] == pytest.approx([row["score"] for row in want], abs=2e-5)
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("translate", 1)
    assert reply.model_spec.signature_name == "options"
    request = predict_request("translate", source=TEXTS)
    request.model_spec.version.value = 1
    request.output_filter.append("score")
    assert list(predictions.Predict(request, timeout=60).outputs) == ["score"]


def test_grpc_metadata_and_status(predictions, states):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "writer"
    definitions = get_model_metadata_pb2.SignatureDefMap()
    predictions.GetModelMetadata(request, timeout=10).metadata["signature_def"].Unpack(definitions)
    assert {"serving_default", "options", "init", "step"} <= definitions.signature_def.keys()
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "writer"
    (status,) = states.GetModelStatus(asked, timeout=10).model_version_status
    assert (status.version, status.state) == (1, 30)


def test_what_is_not_offered_says_so(http, predictions, states):
    reply = http.post("/v1/models/translate:classify", json={"examples": []})
    assert reply.status_code == 400
    assert "use :predict" in reply.json()["error"]
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "translate"
    with pytest.raises(grpc.RpcError) as refused:
        predictions.Classify(request, timeout=10)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as refused:
        states.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=10)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "new versions are found on disk" in refused.value.details()


def test_a_stream_is_the_whole_text_in_pieces(http, writer):
    options = {"max_length": 30, "seed": 5, "temperature": 1.0}
    want = b"".join(stream(writer, "the ", portion=4, **options)).decode("utf-8", "replace")
    body = {"prompt": "the ", "portion": 4, **options}
    pieces, ended = [], False
    with http.stream("POST", "/v1/models/writer:generate", json=body) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        for line in reply.iter_lines():
            if line:
                event = json.loads(line.removeprefix("data: "))
                pieces += [event["text"]] if "text" in event else []
                ended = event.get("done", False)
    assert ended
    assert len(pieces) > 1
    assert "".join(pieces) == want
    reply = http.post("/v1/models/writer:generate", json={"temperatur": 1.0})
    assert reply.status_code == 400
    assert http.post("/v1/models/translate:generate", json={}).status_code == 400


def test_batches_change_no_answer(http, server, translator):
    """32 clients at once; rows of different lengths, some with options of their own."""
    texts = [" ".join(TEXTS[0].split()[: 1 + i % 5] * (1 + i % 7)) for i in range(48)]
    want = translator.answers(texts)

    def ask(text):
        body = {"signature_name": "options", "instances": [text]}
        return ok(http.post("/v1/models/translate:predict", json=body))["predictions"][0]

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(ask, texts))
    close(found, want)
    together = [
        line
        for line in http.get("/metrics").text.splitlines()
        if line.startswith(
            'seqapps_batch_requests_bucket{le="1.0",model="translate",signature="opt'
        )
        or line.startswith('seqapps_batch_requests_count{model="translate",signature="options"')
    ]
    alone, every = (float(line.split()[-1]) for line in together)
    assert every > alone, "no two requests were computed together"


def test_the_failure_of_one_is_not_that_of_others(http):
    """One request of a batch fails in the graph."""

    def ask(which):
        body = {"signature_name": "pick", "instances": [which]}
        return http.post("/v1/models/numbers:predict", json=body)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, [0, 1, 99, 2] * 12))
    for which, reply in zip([0, 1, 99, 2] * 12, found, strict=True):
        if which == 99:
            assert reply.status_code == 400
        else:
            assert ok(reply) == {"predictions": [("zero", "one", "two")[which]]}


def test_metrics_count(http):
    line = 'seqapps_requests_total{model="numbers",outcome="ok",protocol="http"}'

    def count():
        lines = http.get("/monitoring/prometheus/metrics").text.splitlines()
        return sum(float(each.split()[-1]) for each in lines if each.startswith(line))

    before = count()
    ok(http.post("/v1/models/numbers:predict", json={"signature_name": "root", "inputs": [1]}))
    assert count() == before + 1


def test_neither_log_nor_metrics_hold_what_people_write(http, server, predictions):
    secret = "Kaltenbrunn4711"
    http.post("/v1/models/translate:predict", json={"instances": [secret]})
    http.post("/v1/models/translate:predict", json={"instances": [secret], secret: 1})
    http.post(f"/v1/models/{secret}:predict", json={"instances": [secret]})
    http.get(f"/{secret}?q={secret}")
    with pytest.raises(grpc.RpcError):
        predictions.Predict(predict_request(secret, secret, source=[secret]), timeout=10)
    assert secret not in server.log.read_text(encoding="utf-8")
    assert secret not in http.get("/metrics").text
    last = server.events("request")[-1]
    assert {"time", "level", "event", "protocol", "model", "outcome", "ms"} <= last.keys()


def test_api_page(http):
    page = ok(http.get("/openapi.json"))
    assert page["openapi"].startswith("3.1")
    row = page["paths"]["/v1/models/translate:predict"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]["anyOf"][1]["properties"]["instances"]["items"]["anyOf"][1]
    assert row["required"] == ["source"]
    assert row["properties"]["beam_width"]["type"] == "integer"
    for path, operations in page["paths"].items():
        if "get" in operations:
            place = path.replace("{version}", "1")
            assert http.get(place).status_code == 200, place
    assert "/v2/models/writer/versions/{version}/infer" in page["paths"]
    names = page["paths"]["/v2/models/translate/infer"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]["properties"]["outputs"]["items"]["properties"]["name"]["enum"]
    assert "translation" in names


def test_listens_at_loopback_alone(server):
    """By the kernel's own tables."""
    from pathlib import Path

    proc = Path(f"/proc/{server.pid}")
    inodes = set()
    for handle in (proc / "fd").iterdir():
        target = str(handle.readlink())
        if target.startswith("socket:"):
            inodes.add(target[8:-1])
    listening = []
    for table, local in (("tcp", "0100007F"), ("tcp6", "0" * 16 + "FFFF00000100007F")):
        for line in (proc / "net" / table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                address, _, port = words[1].partition(":")
                listening.append(int(port, 16))
                assert address == local, line
    assert sorted(listening) == sorted(server.ports.values())


def test_listening_while_it_is_spoken(server, http):
    """The handmade bundle answers how many bytes it heard; a message may cut a sample in two."""
    address = f"ws://127.0.0.1:{server.ports['http']}/v1/models"
    with connect(f"{address}/numbers:listen?rate_hz=8000") as socket:
        heard = []
        for portion in (b"12345", b"678", b""):
            socket.send(portion)
            heard.append(json.loads(socket.recv(timeout=60)))
        socket.send("end")
        heard.append(json.loads(socket.recv(timeout=60)))
        with pytest.raises(ConnectionClosedOK):
            socket.recv(timeout=60)
    assert [row["text"] for row in heard] == ["4", "4", "0", "8"]
    assert [row.get("partial") for row in heard] == ["?", "?", "?", None]
    assert heard[-1] == {"text": "8", "seconds": 0.001, "done": True}
    for path, said, words in (
        ("numbers:listen?rate_hz=100", b"1234", "the rate is at least 4000 Hz; got 100 Hz"),
        ("numbers:listen?rate_hz=x", None, "whole number"),
        ("numbers:listen?beam=1", None, "no strategy value 'beam'"),
        ("numbers:listen", "stop", "a text message is 'end'"),
        ("translate:listen", None, "cannot listen"),
        ("none:listen", None, "no model 'none'"),
    ):
        with connect(f"{address}/{path}") as socket:
            if said is not None:
                socket.send(said)
            assert words in json.loads(socket.recv(timeout=60))["error"]
            with pytest.raises(ConnectionClosedError) as closed:
                socket.recv(timeout=60)
            assert closed.value.rcvd.code == 1008
    # Who goes without a word leaves nothing behind.
    with connect(f"{address}/numbers:listen"):
        pass
    assert server.events("failed") == []
    assert http.get("/v2/health/ready").status_code == 200


def test_client(server, translator):
    with Client(server.url) as client:
        assert client.ready()
        assert client.status("translate")[0]["state"] == "AVAILABLE"
        rows = client.predict("translate", [TEXTS[0], TEXTS[2].encode()], version=1)
        want = translator.answers([TEXTS[0], TEXTS[2]])
        assert [row["translation"] for row in rows] == [row["translation"] for row in want]
        assert client.predict("numbers", [{"number": np.float32(16)}], signature="root") == [4.0]
        assert "".join(client.stream("writer", "the ", max_length=20, portion=5))
        assert client.metadata("writer")["model_spec"]["name"] == "writer"
        with pytest.raises(UserError, match=r"refuses \(404\): no model 'none'; there are"):
            client.predict("none", [1])
        with pytest.raises(UserError, match=r"refuses \(404\)"):
            client.predict("../../etc", [1])
        with pytest.raises(UserError, match=r"refuses \(400\): this model writes no text"):
            list(client.stream("translate"))
    with Client("http://127.0.0.1:9", retries=1) as nobody:
        assert not nobody.ready()
        with pytest.raises(UserError, match="does not answer"):
            nobody.predict("translate", ["x"])


def test_an_idle_connection_outlives_that_of_a_client(idle):
    # httpx and many others keep one for 5 s; the server closing it just then would lose a request.
    connection, asked = idle
    kept = connection.sock
    time.sleep(max(0.0, asked + 6.0 - time.monotonic()))
    connection.request("GET", "/v2/health/live")
    assert connection.getresponse().read() == b'{"live":true}'
    assert kept is connection.sock
