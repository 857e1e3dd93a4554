"""What is refused, and in which words; nobody else notices."""

import base64
import gzip
import json
import socket
import struct

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2


def wav(seconds, rate=8000, told=0):
    data = b"\0\0" * int(seconds * rate)
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, told or 2 * rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVE"
        + head
        + struct.pack("<4sI", b"data", len(data))
        + data
    )


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def deep(times):
    found = []
    for _ in range(times):
        found = [found]
    return found


def numbers(**row):
    return {"instances": [{"series": [1], "spins": 0, **row}]}


TRANSLATE, NUMBERS, WRITER = (
    f"/v1/models/{name}:predict" for name in ("translate", "numbers", "writer")
)
OPTIONS = {"signature_name": "options"}
BAD = {
    "no model": ("/v1/models/none:predict", {"instances": ["a"]}, 404, "no model 'none'"),
    "path": ("/v1/models/..%2f..%2fetc%2fpasswd:predict", {"instances": ["a"]}, 404, "no "),
    "dots": ("/v1/models/%2e%2e:predict", {"instances": ["a"]}, 404, "no "),
    "no version": (
        "/v1/models/translate/versions/7:predict",
        {"instances": ["a"]},
        404,
        "it has 1",
    ),
    "odd version": (
        "/v1/models/translate/versions/x:predict",
        {"instances": ["a"]},
        404,
        "is a number",
    ),
    "huge version": (
        f"/v1/models/translate/versions/{'9' * 400}:predict",
        {"instances": ["a"]},
        404,
        "number",
    ),
    "no verb": ("/v1/models/translate:destroy", {"instances": ["a"]}, 404, "no verb"),
    "no signature": (
        TRANSLATE,
        {"signature_name": "x", "instances": ["a"]},
        400,
        "no signature 'x'",
    ),
    "regress": ("/v1/models/translate:regress", {"examples": []}, 400, "use :predict"),
    "nothing": (TRANSLATE, {}, 400, "either 'instances' or 'inputs'"),
    "both": (TRANSLATE, {"instances": ["a"], "inputs": ["a"]}, 400, "either"),
    "unknown key": (TRANSLATE, {"instances": ["a"], "labels": 1}, 400, "no key 'labels'"),
    "texts too deep": (TRANSLATE, {"instances": [deep(900)]}, 400, "nested too deep"),
    "no list": (TRANSLATE, {"instances": "a"}, 400, "list of at least one row"),
    "no row": (TRANSLATE, {"instances": []}, 400, "at least one row"),
    "no column": (TRANSLATE, {"inputs": "hi"}, 400, "source is a list in 'inputs'"),
    "no row in columns": (TRANSLATE, {"inputs": []}, 400, "1 to 64 rows"),
    "too many rows": (TRANSLATE, {"instances": ["a"] * 65}, 400, "1 to 64 rows, got 65"),
    "long text": (TRANSLATE, {"instances": ["a" * 501]}, 400, "--text-bytes"),
    "a number as text": (TRANSLATE, {"instances": [3]}, 400, "source takes strings"),
    "no base64": (TRANSLATE, {"instances": [{"b64": "%%"}]}, 400, "not base64"),
    "a list as text": (TRANSLATE, {"instances": [["a"]]}, 400, "shape"),
    "unknown input": (TRANSLATE, {"instances": [{"sauce": "a"}]}, 400, "no input 'sauce'"),
    "missing in a row": (
        NUMBERS,
        {"instances": [{"series": [1], "spins": 0}, {"series": [1]}]},
        400,
        "spins is missing",
    ),
    "several inputs": (NUMBERS, {"instances": [3]}, 400, "several inputs"),
    "missing input": (NUMBERS, {"instances": [{"series": [1]}]}, 400, "needs spins"),
    "text as number": (NUMBERS, numbers(series=["1"]), 400, "series takes numbers"),
    "true as number": (NUMBERS, numbers(spins=True), 400, "spins takes numbers"),
    "fraction": (NUMBERS, numbers(spins=0.5), 400, "whole numbers"),
    "large number": (NUMBERS, numbers(spins=2**31), 400, "from -2147483648"),
    "huge number": (NUMBERS, numbers(spins=10**40), 400, "spins takes numbers"),
    "infinite by size": (NUMBERS, numbers(series=[10**39]), 400, "series"),
    "ragged": (NUMBERS, {"inputs": {"series": [[1], [1, 2]], "spins": [0, 0]}}, 400, "ragged"),
    "too deep": (NUMBERS, numbers(series=[[[1]]]), 400, "differ in shape"),
    "lengths": (
        NUMBERS,
        {"inputs": {"series": [[1, 2]], "series_lengths": [3], "spins": [0]}},
        400,
        "series_lengths is 0 to 2",
    ),
    "negative length": (
        NUMBERS,
        {"inputs": {"series": [[1, 2]], "series_lengths": [-1], "spins": [0]}},
        400,
        "series_lengths is 0 to 2",
    ),
    "rows differ": (NUMBERS, {"inputs": {"series": [[1]], "spins": [0, 0]}}, 400, "2 rows"),
    "in the graph": (
        NUMBERS,
        {"signature_name": "pick", "instances": [99]},
        400,
        "cannot compute with these",
    ),
    "long recording": (
        NUMBERS,
        {"signature_name": "hear", "instances": [b64(wav(5.1))]},
        400,
        "lasts at most 5 s",
    ),
    "long recording that says it is short": (
        NUMBERS,
        {"signature_name": "hear", "instances": [b64(wav(5.1, told=10**9))]},
        400,
        "lasts at most 5 s, got 5.1 s",
    ),
    "many recordings beside a long one": (
        NUMBERS,
        {"signature_name": "hear", "instances": [b64(wav(4.9)), *[b64(wav(0.1))] * 9]},
        400,
        "padded to the longest, 4.9 s, and have at most 40 s together",
    ),
    "wide beam": (
        TRANSLATE,
        {**OPTIONS, "instances": [{"source": "a", "beam_width": 9}]},
        400,
        "beam_width is from 1 to 8 here, got 9; the server's --beam",
    ),
    "no beam": (
        TRANSLATE,
        {**OPTIONS, "instances": [{"source": "a", "beam_width": 0}]},
        400,
        "beam_width is from 1 to 8",
    ),
    "long answer": (
        WRITER,
        {**OPTIONS, "instances": [{"prompt": "a", "max_length": 101}]},
        400,
        "--length",
    ),
    "cold": (
        WRITER,
        {**OPTIONS, "instances": [{"prompt": "a", "temperature": -1}]},
        400,
        "temperature is at least 0",
    ),
    "many stops": (
        WRITER,
        {**OPTIONS, "instances": [{"prompt": "a", "stop": ["x"] * 65}]},
        400,
        "at most 64 texts",
    ),
    "v2 type": (
        "/v2/models/translate/infer",
        {"inputs": [{"name": "source", "shape": [1], "datatype": "FP32", "data": [1]}]},
        400,
        "is of BYTES",
    ),
    "v2 shape": (
        "/v2/models/translate/infer",
        {"inputs": [{"name": "source", "shape": [2**30], "datatype": "BYTES", "data": ["a"]}]},
        400,
        "has 1 values",
    ),
    "v2 binary": (
        "/v2/models/translate/infer",
        {
            "inputs": [
                {
                    "name": "source",
                    "shape": [1],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": 9},
                }
            ]
        },
        400,
        "binary data is not taken",
    ),
    "v2 output": (
        "/v2/models/translate/infer",
        {
            "inputs": [{"name": "source", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
            "outputs": [{"name": "x"}],
        },
        400,
        "'outputs' names some of",
    ),
    "v2 output of another type": (
        "/v2/models/translate/infer",
        {
            "inputs": [{"name": "source", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
            "outputs": [{"name": ["x"]}],
        },
        400,
        "'outputs' names some of",
    ),
    "v2 no model": ("/v2/models/none/infer", {"inputs": []}, 404, "no model"),
    "no address": ("/v3", {}, 404, "/openapi.json"),
}


@pytest.mark.parametrize(("path", "body", "status", "words"), BAD.values(), ids=BAD)
def test_refused(http, path, body, status, words):
    reply = http.post(path, json=body)
    assert reply.status_code == status, reply.text
    assert words in reply.json()["error"]
    assert "Traceback" not in reply.text


RAW = {
    "no JSON": (b"{", "not valid at byte 1"),
    "NaN": (b'{"instances": [{"series": [NaN], "spins": 0}]}', "JSON is not valid"),
    "infinity": (b'{"instances": [{"series": [1e999], "spins": 0}]}', "finite"),
    "deep": (b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
    "twice": (b'{"instances": [1], "instances": [2]}', "says 'instances' twice"),
    "digits": (b'{"instances": [' + b"9" * 100_000 + b"]}", "not valid"),
    "a list": (b"[]", "a JSON object"),
    "no text": (b"\xff\xfe\x00", "not valid"),
    "empty": (b"", "not valid"),
}


@pytest.mark.parametrize(("body", "words"), RAW.values(), ids=RAW)
def test_refused_bodies(http, body, words):
    reply = http.post(NUMBERS, content=body)
    assert (reply.status_code, words in reply.json()["error"]) == (400, True), reply.text


def test_the_size_of_a_request(http):
    """As it says, and as it is; what is packed is not unpacked."""
    reply = http.post(TRANSLATE, content=b" " * 1_000_001)
    assert (reply.status_code, "--body-mb" in reply.json()["error"]) == (413, True)
    # In chunks it says nothing of its size.
    reply = http.post(TRANSLATE, content=(b" " * 100_000 for _ in range(11)))
    assert reply.status_code == 413
    bomb = gzip.compress(b" " * 100_000_000)
    reply = http.post(TRANSLATE, content=bomb, headers={"Content-Encoding": "gzip"})
    assert (reply.status_code, "compressed" in reply.json()["error"]) == (415, True)
    plain = {"Content-Encoding": "Identity", "Content-Type": "application/json"}
    reply = http.post(TRANSLATE, content=b'{"instances": ["a"]}', headers=plain)
    assert reply.status_code == 200, reply.text


def test_wrong_methods_and_headers(http):
    assert http.get(TRANSLATE).status_code == 405
    assert http.delete("/v1/models/translate").status_code == 405
    for wrong in ("x", "-1", "0", "nan", "inf"):
        reply = http.post(
            TRANSLATE, json={"instances": ["a"]}, headers={"X-Request-Timeout": wrong}
        )
        assert (reply.status_code, "above 0" in reply.text) == (400, True)


def test_a_request_that_is_never_finished(http, server):
    """It is given up at its deadline, and holds nobody up."""
    with socket.create_connection(("127.0.0.1", server.ports["http"])) as half:
        half.sendall(
            b"POST /v1/models/translate:predict HTTP/1.1\r\nHost: x\r\nX-Request-Timeout: 0.5\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert http.post(TRANSLATE, json={"instances": ["a"]}).status_code == 200
        half.settimeout(20)
        assert half.recv(100).startswith(b"HTTP/1.1 408")


def request(model="numbers", signature="", **protos):
    made = predict_pb2.PredictRequest()
    made.model_spec.name = model
    made.model_spec.signature_name = signature
    for name, proto in protos.items():
        made.inputs[name].CopyFrom(proto)
    return made


def huge(*sizes):
    proto = tf.make_tensor_proto(np.float32([1]))
    del proto.tensor_shape.dim[:]
    for size in sizes:
        proto.tensor_shape.dim.add().size = size
    return proto


def damaged():
    proto = tf.make_tensor_proto(np.float32([[1, 2]]))
    proto.tensor_content = b"abc"
    return proto


SERIES, SPINS = tf.make_tensor_proto(np.float32([[1]])), tf.make_tensor_proto(np.int32([0]))
WRONG = {
    "no model": (request("none"), "NOT_FOUND", "no model"),
    "no signature": (request(signature="x"), "INVALID_ARGUMENT", "no signature"),
    "missing": (request(series=SERIES), "INVALID_ARGUMENT", "needs spins"),
    "unknown": (request(x=SERIES), "INVALID_ARGUMENT", "no input 'x'"),
    "huge": (request(series=huge(1 << 40), spins=SPINS), "INVALID_ARGUMENT", "1099511627776"),
    "product": (request(series=huge(*[1 << 20] * 4)), "INVALID_ARGUMENT", "values"),
    "wrapping": (request(series=huge(1 << 62, 4)), "INVALID_ARGUMENT", "values"),
    "negative": (request(series=huge(-1, 1)), "INVALID_ARGUMENT", "no complete shape"),
    "axes": (request(series=huge(*[1] * 300)), "INVALID_ARGUMENT", "no complete shape"),
    "damaged": (request(series=damaged(), spins=SPINS), "INVALID_ARGUMENT", "damaged"),
    "type": (
        request(series=tf.make_tensor_proto(["a"]), spins=SPINS),
        "INVALID_ARGUMENT",
        "float32",
    ),
    "variant": (
        request(series=tf.make_tensor_proto(np.complex64([1]))),
        "INVALID_ARGUMENT",
        "of a type",
    ),
    "NaN": (
        request(series=tf.make_tensor_proto(np.float32([[np.nan]])), spins=SPINS),
        "INVALID_ARGUMENT",
        "finite",
    ),
    "scalar": (
        request(series=huge(), spins=SPINS),
        "INVALID_ARGUMENT",
        "series has a value for each row, so it is a list, of one row too (shape [1])",
    ),
    "graph": (
        request(signature="pick", which=tf.make_tensor_proto(np.int32([-5]))),
        "INVALID_ARGUMENT",
        "cannot compute",
    ),
    "beam": (
        request(
            "translate",
            "options",
            source=tf.make_tensor_proto(["a"]),
            beam_width=tf.make_tensor_proto(np.int32([1 << 30])),
        ),
        "INVALID_ARGUMENT",
        "--beam",
    ),
}


@pytest.mark.parametrize(("made", "code", "words"), WRONG.values(), ids=WRONG)
def test_refused_by_grpc(predictions, made, code, words):
    with pytest.raises(grpc.RpcError) as refused:
        predictions.Predict(made, timeout=30)
    assert refused.value.code() == getattr(grpc.StatusCode, code)
    assert words in refused.value.details()
    assert "Traceback" not in refused.value.details()


def test_a_damaged_message(channel):
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError, match="the message cannot be read") as refused:
        call(b"\xff\xff\xff", timeout=30)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/tensorflow.serving.PredictionService/Nothing")(b"", timeout=30)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_labels_and_versions_by_grpc(predictions):
    made = request(series=SERIES, spins=SPINS)
    made.model_spec.version_label = "stable"
    with pytest.raises(grpc.RpcError, match="versions have numbers"):
        predictions.Predict(made, timeout=10)
    made.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError) as refused:
        predictions.Predict(made, timeout=10)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_size_of_a_grpc_request(predictions, compression):
    """Packed it is 2 kB, unpacked 2 MB where 1 MB is allowed."""
    made = request("translate", source=tf.make_tensor_proto([b"a" * 2_000_000]))
    with pytest.raises(grpc.RpcError) as refused:
        predictions.Predict(made, timeout=30, compression=compression)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_nothing_of_all_this_was_a_failure(server, http):
    """Runs last: the log holds no failure, and the server answers."""
    assert server.events("failed") == []
    assert not [line for line in server.events("request") if line["outcome"] == "internal"]
    reply = http.post(NUMBERS, content=json.dumps(numbers()))
    assert reply.json()["predictions"][0]["total"] == 2.0
