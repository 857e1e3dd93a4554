"""The certificate: one model, every form of it, the same answers.

A bundle holds the same network as Keras file and as SavedModel. Both are loaded again, the
SavedModel in a fresh process that has TensorFlow and nothing else, and must answer like the
network that was trained, on empty, shortest, longest, mixed and unknown inputs.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqapps.bundle import Answer, Interface, _batch, load_network
from seqapps.errors import UserError
from seqapps.fields import Field
from seqapps.lazy import lazy_imports

with lazy_imports():
    import tensorflow as tf

TOLERANCE = 1e-5
"""Largest difference of a number (scores are log-probabilities per token, in nats)."""

_FRESH = """
import base64, json, sys, time
import tensorflow as tf
assert not {"seqapps", "tensorflow_text"} & sys.modules.keys()
request = json.load(sys.stdin)
loaded = tf.saved_model.load(request["servable"])
call = loaded.signatures["serving_default"]
answers, seconds = [], []
for batch in request["batches"]:
    tensors = {}
    for name, (dtype, shape, values) in batch.items():
        if dtype == "string":
            values = [base64.b64decode(value) for value in values]
        tensors[name] = tf.reshape(tf.constant(values, dtype), shape)
    began = time.perf_counter()
    outputs = call(**tensors)
    seconds.append(time.perf_counter() - began)
    answers.append({})
    for name, value in outputs.items():
        flat = tf.reshape(value, [-1]).numpy().tolist()
        if value.dtype == tf.string:
            flat = [base64.b64encode(part).decode() for part in flat]
        answers[-1][name] = [value.dtype.name, value.shape.as_list(), flat]
json.dump({"answers": answers, "seconds": seconds}, sys.stdout)
"""


def certify(
    folder: Path,
    *,
    interface: Interface,
    network: Any,
    answer_of: Callable[[Any], Answer],
    samples: Sequence[Any],
) -> dict[str, Any]:
    """Compares every form of a bundle with the network in memory.

    Args:
        folder: The bundle, complete but for its certificate.
        interface: What it takes and gives.
        network: The network that was trained.
        answer_of: Makes the served function of a network.
        samples: Real inputs, of which the shortest, the longest and some between are asked.

    Returns:
        The certificate: `rows`, one for each form, `operations` and `files` with their SHA-256.

    Raises:
        UserError: If a form answers differently, or the graph is not portable.
    """
    batches = probes(interface, samples)
    expected, eager_s = _ask(answer_of(network), interface, batches)
    alone, _ = _ask(answer_of(network), interface, [_single(batch) for batch in batches])
    reloaded, reloaded_s = _ask(answer_of(load_network(folder)), interface, batches)
    fresh, fresh_s = _ask_fresh(folder / "servable" / "1", batches)
    rows = [
        {"form": "eager", "ms_per_call": _ms(eager_s)},
        _row("one by one", [_single(answers) for answers in expected], alone, []),
        _row("model.keras reloaded", expected, reloaded, reloaded_s),
        _row("SavedModel in a fresh CPU process", expected, fresh, fresh_s),
    ]
    operations = _operations(folder / "servable" / "1")
    bound = [name for name in operations if name.startswith("Cudnn")]
    certificate = {
        "holds": all(row.get("equal", True) for row in rows) and not bound,
        "tolerance": TOLERANCE,
        "inputs": sum(_rows_of(batch) for batch in batches),
        "rows": rows,
        "operations": operations,
        "device_bound_operations": bound,
        "files": hashes(folder),
    }
    if not certificate["holds"]:
        broken = [row["form"] for row in rows if not row.get("equal", True)] or bound
        raise UserError(
            f"the bundle's certificate does not hold ({', '.join(broken)}): every form must "
            f"answer alike within {TOLERANCE:g}. Rows: {json.dumps(rows)}. The trained weights "
            "are safe in the checkpoint; please report this."
        )
    return certificate


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the certificate itself."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "certificate.json"
    }


def probes(interface: Interface, samples: Sequence[Any]) -> list[dict[str, Any]]:
    """Batches that are easy to get wrong, as arrays by tensor name.

    Args:
        interface: What the bundle takes.
        samples: Real inputs: values, or dicts by field name where there are several fields.
    """
    ranked = sorted(samples, key=_length)
    real = [*ranked[:2], *ranked[len(ranked) // 2 :][:3], *ranked[-2:]]
    several = len(interface.inputs) > 1
    batches: list[dict[str, Any]] = []
    for rows in ([real[0]], real):
        batches.append({})
        for field in interface.inputs:
            values = [row[field.name] if several else row for row in rows]
            batches[-1].update(
                _batch(field, [*_edges(field), *values] if len(rows) > 1 else values)
            )
    if several:
        return batches
    field = interface.inputs[0]
    return [*batches, *(_batch(field, [edge]) for edge in _edges(field))]


def _edges(field: Field) -> list[Any]:
    """Values at the edge of what a field allows."""
    if field.dtype == "string" and field.rank == 0:
        return ["", " ", "a", "☃ \u4f60\u597d \x07", b"\xff\xfe broken", "long " * 40]
    if field.rank == 0:
        return [0, 1]
    zeros = np.zeros((1, *field.width), field.dtype)
    return [zeros, np.repeat(zeros, 50, 0)]


def _length(value: Any) -> int:
    return sum(map(_length, value.values())) if isinstance(value, Mapping) else len(value)


def _rows_of(batch: Mapping[str, Any]) -> int:
    return int(next(iter(batch.values())).shape[0])


def _single(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The last row of a batch alone, in a batch of one."""
    return {name: value[-1:] for name, value in batch.items()}


def _ask(
    answer: Answer, interface: Interface, batches: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[float]]:
    """Calls the served function outside any SavedModel."""
    defaults = {o.name: tf.constant([o.default], o.dtype) for o in interface.options}
    call = tf.function(lambda inputs: answer(inputs, defaults), reduce_retracing=True)
    answers, seconds = [], []
    for batch in batches:
        began = time.perf_counter()
        outputs = call(dict(batch))
        seconds.append(time.perf_counter() - began)
        answers.append({name: value.numpy() for name, value in outputs.items()})
    return answers, seconds


def _ask_fresh(
    servable: Path, batches: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[float]]:
    """Calls the SavedModel in a new interpreter without a GPU and without seqapps."""
    import base64

    request = {
        "servable": str(servable.resolve()),
        "batches": [
            {
                name: [
                    value.dtype.name,
                    value.shape.as_list(),
                    [
                        base64.b64encode(part).decode() if isinstance(part, bytes) else part
                        for part in tf.reshape(value, [-1]).numpy().tolist()
                    ],
                ]
                for name, value in batch.items()
            }
            for batch in batches
        ],
    }
    done = subprocess.run(
        # -I: neither this folder nor the user's packages are on the path.
        [sys.executable, "-I", "-c", _FRESH],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    if done.returncode:
        raise UserError(
            f"the SavedModel does not run in a fresh process: {done.stderr.strip()[-2000:]}"
        )
    reply = json.loads(done.stdout)
    answers = [
        {
            name: np.array(
                [base64.b64decode(v) for v in values] if dtype == "string" else values,
                object if dtype == "string" else dtype,
            ).reshape(shape)
            for name, (dtype, shape, values) in outputs.items()
        }
        for outputs in reply["answers"]
    ]
    return answers, reply["seconds"]


def _row(
    form: str,
    expected: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    seconds: Sequence[float],
) -> dict[str, Any]:
    """Compares the outputs that both have: text to the letter, numbers within the tolerance."""
    equal, largest = True, 0.0
    for want, got in zip(expected, found, strict=True):
        for name in want.keys() & got.keys():
            a, b = want[name], got[name]
            if a.dtype.kind in "fc" and a.shape == b.shape:
                same = (a == b) | (np.isnan(a) & np.isnan(b))
                gap = np.abs(np.where(same, 0.0, a - b))
                largest = max(largest, float(gap.max(initial=0.0)))
            else:
                equal = equal and a.shape == b.shape and bool(np.all(a == b))
    return {
        "form": form,
        "equal": equal and largest <= TOLERANCE,
        "largest_difference": largest,
        **({"ms_per_call": _ms(seconds)} if seconds else {}),
    }


def _ms(seconds: Sequence[float]) -> float:
    # The first call traces or warms up.
    return round(1000 * float(np.median(seconds[1:] or seconds)), 2)


def _operations(servable: Path) -> list[str]:
    """Types of all operations of a SavedModel, read from its file."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((servable / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return sorted({node.op for node in nodes})
