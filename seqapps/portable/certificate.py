"""The certificate: one model, every form of it, the same answers.

A bundle holds the same network as a Keras file and as SavedModel. Both are loaded again, the
SavedModel in a fresh process that has TensorFlow and nothing else, and must answer like the
network that was trained, on empty, shortest, longest, mixed and unknown inputs, each in a batch
and alone.
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from seqapps import report
from seqapps.bundle.application import load_network
from seqapps.bundle.folder import read_untried, staging, write_json
from seqapps.bundle.servable import default_options, traced
from seqapps.bundle.values import answers_of, batch_of, for_json, row_of, size
from seqapps.errors import UserError
from seqapps.fields import MAIN, OPTIONS, Answer, Answers, Field, Interface
from seqapps.layers.cudnn import gpu_visible, reset_cudnn
from seqapps.portable import fresh
from seqapps.portable.probes import alike, input_of, probes
from seqapps.portable.recorded import ask_again, keep, pack, unpack

TOLERANCE = 1e-5
"""Largest difference of a number, relative to it if it is above 1."""

FINISH = "Once that is mended, `python -m seqapps certify BUNDLE` finishes the certificate."
"""What to do about a form that was not asked."""
_NAME = "certificate.json"
_KEPT = 8
"""Real inputs that a certificate keeps, at most."""
_LARGEST = 1 << 13
"""Bytes and numbers of each of them, at most."""
_EAGER = 4
"""Inputs that are asked operation by operation too."""

_FRESH = """
import base64, time
import tensorflow as tf
request = json.load(sys.stdin)
loaded = tf.saved_model.load(request["servable"])
answers, seconds = [], []
for signature, batch in request["calls"]:
    tensors = {}
    for name, (dtype, shape, values) in batch.items():
        if dtype == "object":
            dtype, values = "string", [base64.b64decode(value) for value in values]
        tensors[name] = tf.reshape(tf.constant(values, dtype), shape)
    answers.append({})
    begun = time.perf_counter()
    outputs = loaded.signatures[signature](**tensors)
    seconds.append(time.perf_counter() - begun)
    for name, value in outputs.items():
        flat = tf.reshape(value, [-1]).numpy().tolist()
        if value.dtype == tf.string:
            flat = [base64.b64encode(part).decode() for part in flat]
        answers[-1][name] = [value.dtype.name, value.shape.as_list(), flat]
json.dump([answers, seconds], sys.stdout)
"""
_ABSENT = ("seqapps", "tensorflow_text", "sentencepiece")
"""What a servable must do without."""

Rows = list[dict[str, Any]]
"""Answers by field name, one dict for each input."""


def certify(
    folder: Path,
    *,
    interface: Interface,
    network: Any,
    answers_of_network: Callable[[Any], Answers],
    samples: Sequence[Any],
    graphs: Answers | None = None,
) -> dict[str, Any]:
    """Compares every form of a bundle with the network in memory.

    Args:
        folder: The bundle, complete but for its certificate.
        interface: What it takes and gives.
        network: The network that was trained.
        answers_of_network: Makes the served functions of a network.
        samples: Real inputs, of which the shortest, the longest and some between are asked.
        graphs: What `write_servable` gave, which is not traced again.

    Where no fresh process can be started, that form is left for later: the certificate then says
    so, and the card too. `complete` makes up for it.

    Returns:
        The certificate: `holds` (None if a form was not asked, and `untried` says why), `rows`, one
        for each form, `operations`, `answers` that a server asks for again before it serves, and
        `files` with their SHA-256.

    Raises:
        UserError: If a form answers differently, or the graph is not portable.
    """
    copy = load_network(folder)
    reset_cudnn(copy, False)
    servable = folder / "servable" / "1"
    compared, kept, untried = compare_forms(
        servable,
        interface=interface,
        trained=answers_of_network(network),
        again=answers_of_network(copy),
        samples=samples,
        graphs=graphs,
    )
    bound = device_bound(servable)
    broken = [str(row["form"]) for row in compared if not row["equal"]]
    if broken or bound:
        raise UserError(
            f"the bundle's certificate does not hold ({'; '.join(broken + bound)}): every form "
            f"must answer alike within {TOLERANCE:g}, on a CPU too. Compared: "
            f"{json.dumps(compared, ensure_ascii=False)}. The trained weights are safe in the "
            "checkpoint; please report this."
        )
    card = folder / "CARD.md"
    if untried and card.is_file():
        said = f"{untried}. {FINISH}"
        card.write_text(report.uncertified(card.read_text("utf-8"), said), encoding="utf-8")
    return {
        "holds": None if untried else True,
        **({"untried": untried} if untried else {}),
        "tolerance": TOLERANCE,
        "rows": compared,
        "operations": operations(servable),
        "samples": _kept(interface, samples),
        "answers": kept,
        "files": hashes(folder),
    }


def complete(folder: Path, rows: Sequence[Any]) -> None:
    """Makes a bundle of one whose certificate left a form for later.

    Args:
        folder: The bundle, of which every form has answered alike by now.
        rows: What was compared.

    Raises:
        UserError: If it cannot be written.
    """
    certificate = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    certificate.pop("untried", None)
    with staging(folder, overwrite=True) as whole:
        shutil.copytree(folder, whole, dirs_exist_ok=True)
        card = whole / "CARD.md"
        if card.is_file():
            card.write_text(report.certified(card.read_text("utf-8")), encoding="utf-8")
        files = hashes(whole)
        write_json(whole / _NAME, certificate | {"holds": True, "rows": list(rows), "files": files})


class Compared(NamedTuple):
    """What was found when every form was asked."""

    rows: list[dict[str, Any]]
    """One for each form: `form`, `inputs`, `equal`, `largest_difference`, `milliseconds` of a call
    with one input where that was taken, and what differs `first`."""
    kept: dict[str, Any]
    """The answers that are worth keeping, by signature."""
    untried: str
    """Why the fresh process was not asked, empty if it was."""


def compare_forms(
    servable: Path,
    *,
    interface: Interface,
    trained: Answers,
    again: Answers,
    samples: Sequence[Any],
    graphs: Answers | None = None,
) -> Compared:
    """Asks every form of a model in TensorFlow the same, together and each input alone.

    The signature `options` is asked together only: it is the graph of `serving_default`, called
    with the default of each option.

    Args:
        servable: The SavedModel.
        interface: What it takes and gives.
        trained: The served functions of a network.
        again: Those of the same network, loaded from its file.
        samples: Real inputs, of which the shortest, the longest and some between are asked.
        graphs: The graphs of `trained`, as `write_servable` gives them; traced if not given.
    """
    names = (MAIN, *(signature.name for signature in interface.further))
    asked: dict[str, list[Rows]] = {}
    for name in names:
        taken = interface.inputs_of(name)
        rows = probes(taken, samples if alike(taken, interface.inputs) else ())
        asked[name] = [rows, *([row] for row in rows)]
    beside = asked | ({OPTIONS: asked[MAIN][:1]} if interface.has_options else {})
    with ThreadPoolExecutor(1) as pool:
        # The other process has to load TensorFlow first.
        elsewhere = pool.submit(_ask_fresh, servable, interface, beside)
        expected, forms = _ask_here(interface, asked, trained, again, graphs)
        untried, answered = "", {}
        try:
            answered = elsewhere.result()
        except fresh.NotRun as error:
            untried = str(error)
    for name, (got, took_ms) in answered.items():
        fields, form = interface.outputs_of(name), f"SavedModel in a fresh CPU process, {name}"
        want = expected.get(name, expected[MAIN])
        forms.append(_Form(form, fields, want, got[: len(want)]))
        if name != OPTIONS:
            alone = got[len(want) :]
            forms.append(_Form(f"{form}, each input alone", fields, want, alone, took_ms))
    kept = {name: keep(interface.inputs_of(name), asked[name][0], expected[name]) for name in names}
    compared = [
        {
            "form": form.name,
            "inputs": len(form.want),
            **compare(form.fields, form.want, form.got),
            **({} if form.took_ms is None else {"milliseconds": round(form.took_ms, 2)}),
        }
        for form in forms
    ]
    return Compared(compared, kept, untried)


class _Form(NamedTuple):
    """What one form answered."""

    name: str
    fields: Sequence[Field]
    want: Rows
    got: Rows
    took_ms: float | None = None
    """A call with one input, where that was taken."""


def _ask_here(
    interface: Interface,
    asked: dict[str, list[Rows]],
    trained: Answers,
    again: Answers,
    graphs: Answers | None,
) -> tuple[dict[str, Rows], list[_Form]]:
    """Asks the networks in this process.

    Args:
        interface: What they take and give.
        asked: For each signature the inputs, all in one batch and then each in its own.
        trained: See `compare_forms`.
        again: See `compare_forms`.
        graphs: See `compare_forms`.

    Returns:
        What is right, by signature, and how the forms answered.
    """
    every = default_options(interface.options)
    expected: dict[str, Rows] = {}
    forms: list[_Form] = []
    for name, (rows, *alone) in asked.items():
        taken = interface.inputs_of(name)
        # Operation by operation, which takes long: the short ones.
        short = sorted(range(len(rows)), key=lambda i: size(rows[i]))[:_EAGER]
        # The main function's details are shown by `options`.
        given = interface.outputs_of(OPTIONS if name == MAIN else name)
        # A GPU rounds otherwise: all forms are compared where all of them run, for which they are
        # traced.
        if graphs is None or gpu_visible():
            in_memory = traced(trained[name], taken, interface.options)
        else:
            in_memory = graphs[name]
        with tf.device("/CPU:0"):
            want = expected[name] = _ask(in_memory, taken, every, given, [rows])
            begun = time.perf_counter()
            single = _ask(in_memory, taken, every, given, alone)
            alone_ms = 1000 * (time.perf_counter() - begun) / len(rows)
            eager = _ask(trained[name], taken, every, given, [[rows[i] for i in short]])
            reloaded = _ask(
                traced(again[name], taken, interface.options), taken, every, given, [rows]
            )
        suffix = "" if name == MAIN else f", {name}"
        forms += [
            _Form(f"each input alone{suffix}", given, want, single, alone_ms),
            _Form(f"eager{suffix}", given, [want[i] for i in short], eager),
            _Form(f"model.keras, reloaded{suffix}", given, want, reloaded),
        ]
    return expected, forms


def compare_answers(
    folder: Path, interface: Interface, call: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Asks a servable what the certificate of its bundle keeps; older ones keep nothing.

    Args:
        folder: The bundle.
        interface: What it takes and gives.
        call: Calls a signature with the arrays of a batch.

    Returns:
        A row for each signature, as `compare_forms` has them.

    Raises:
        UserError: If what is kept cannot be read.
    """
    kept = json.loads((folder / _NAME).read_text(encoding="utf-8")).get("answers", {})
    return [
        {
            "form": f"the answers of the certificate, {name}",
            "inputs": len(want),
            **compare(fields, want, got),
        }
        for name, fields, want, got in ask_again(interface, kept, call)
    ]


def _kept(interface: Interface, samples: Sequence[Any]) -> list[Any]:
    """Real inputs, ready for JSON, with which other forms of the bundle are compared later."""
    rows = [row_of(interface.inputs, sample) for sample in samples]
    order = sorted((row for row in rows if _bulk(row) <= _LARGEST), key=size)
    middle = order[len(order) // 4 : -(len(order) // 4) or None]
    chosen = middle[:: max(1, len(middle) // _KEPT)][:_KEPT]
    return [_said(interface.inputs, row) for row in chosen]


def _said(fields: Sequence[Field], row: dict[str, Any]) -> Any:
    """An input as JSON says it; a text as it is."""
    value = input_of(fields, row)
    if len(fields) == 1 and fields[0].is_text:
        return value.decode("utf-8", "replace")
    return for_json(value)


def _bulk(row: dict[str, Any]) -> int:
    """Bytes and numbers of one input."""
    return sum(
        len(value) if isinstance(value, bytes) else int(np.size(value)) for value in row.values()
    )


def samples_of(folder: Path) -> list[Any]:
    """The real inputs that a bundle's certificate keeps, for `row_of`; older ones keep none."""
    try:
        samples = json.loads((folder / _NAME).read_text(encoding="utf-8")).get("samples", [])
    except (OSError, ValueError, AttributeError):
        return []
    return samples if isinstance(samples, list) else []


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the certificate itself."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / _NAME
    }


def check_files(folder: Path) -> None:
    """Checks that a bundle is the one that was certified.

    Raises:
        UserError: If it has no certificate, or a file was changed, added or removed since.
    """
    try:
        certificate = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        certified = dict(certificate["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / _NAME} cannot be read ({error}), so nothing is known of the bundle; "
            "train or copy it again."
        ) from None
    present = hashes(folder)
    changed = [n for n in sorted(present | certified) if present.get(n) != certified.get(n)]
    if changed:
        raise UserError(
            f"{folder} is not what was certified: {', '.join(changed)} changed; "
            "train or copy the bundle again."
        )


def check_certified(folder: Path) -> None:
    """Checks that a bundle is the one that was certified, in every form.

    Raises:
        UserError: If it has no certificate, the certificate does not hold or left a form for later,
            or a file was changed, added or removed since.
    """
    check_files(folder)
    if untried := read_untried(folder):
        raise UserError(f"{folder} is not certified: {untried}. {FINISH}")
    # Those of the first version say nothing where they hold.
    if json.loads((folder / _NAME).read_text(encoding="utf-8")).get("holds", True) is not True:
        raise UserError(f"the certificate of {folder} does not hold; train or copy it again.")


def _ask(
    answer: Answer,
    taken: Sequence[Field],
    options: dict[str, Any],
    given: Sequence[Field],
    batches: Iterable[list[dict[str, Any]]],
) -> Rows:
    """Calls a served function outside of any SavedModel, one batch after another."""
    rows: Rows = []
    for batch in batches:
        inputs = {n: tf.constant(value) for n, value in batch_of(taken, batch).items()}
        outputs = answer(inputs, dict(options))
        arrays = {name: value.numpy() for name, value in outputs.items()}
        rows += answers_of(given, arrays)
    return rows


def _ask_fresh(
    servable: Path, interface: Interface, asked: dict[str, list[Rows]]
) -> dict[str, tuple[Rows, float]]:
    """Calls every signature of the SavedModel in a new interpreter without GPU and seqapps.

    Returns:
        For each signature its answers, and milliseconds of a call.

    Raises:
        NotRun: If TensorFlow does not run there.
        UserError: If the SavedModel does not.
    """
    calls: list[tuple[str, dict[str, Any]]] = []
    for name, batches in asked.items():
        defaults = default_options(interface.options_of(name))
        options = {n: value.numpy() for n, value in defaults.items()}
        taken = interface.inputs_of(name)
        calls += [(name, batch_of(taken, batch) | options) for batch in batches]
    request = {
        "servable": str(servable.resolve()),
        "calls": [[name, {n: pack(v) for n, v in tensors.items()}] for name, tensors in calls],
    }
    done = fresh.run(_FRESH, told=request, without=_ABSENT, environment=fresh.QUIET_CPU)
    if done.returncode:
        if trouble := fresh.trial():
            raise fresh.NotRun(trouble)
        raise UserError(
            f"the SavedModel does not run in a fresh process: {done.stderr.strip()[-2000:]}"
        )
    answers: dict[str, Rows] = {}
    times: dict[str, list[float]] = {}
    given, seconds = fresh.answer(done)
    for (signature, _), outputs, taken_s in zip(calls, given, seconds, strict=True):
        times.setdefault(signature, []).append(taken_s)
        arrays = {name: unpack(*packed) for name, packed in outputs.items()}
        answers.setdefault(signature, []).extend(
            answers_of(interface.outputs_of(signature), arrays)
        )
    # The first call of a signature builds what later ones use.
    return {
        name: (rows, 1000 * float(np.median(times[name][1:] or times[name])))
        for name, rows in answers.items()
    }


def compare(fields: Sequence[Field], expected: Rows, actual: Rows) -> dict[str, Any]:
    """Compares answers: text to the letter, numbers within the tolerance, lists of equal length.

    Returns:
        `equal` and `largest_difference`; where they differ, `first` says in which row and field.
    """
    largest, first = 0.0, ""
    for number, (want, got) in enumerate(zip(expected, actual, strict=True)):
        for field in fields:
            gap = difference(want.get(field.name), got.get(field.name))
            if gap > TOLERANCE and not first:
                first = f"input {number}, {field.name}: {want.get(field.name)!r:.200} "
                first += f"is not {got.get(field.name)!r:.200}"
            largest = max(largest, gap)
    return {
        "equal": not first,
        "largest_difference": largest,
        **({"first": first} if first else {}),
    }


def difference(want: Any, got: Any) -> float:
    """How far apart two values are: infinitely if they are of different kind, text or length."""
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return max((difference(a, b) for a, b in zip(want, got, strict=True)), default=0.0)
    if isinstance(want, float) and isinstance(got, float):
        if want == got or (math.isnan(want) and math.isnan(got)):
            return 0.0
        gap = abs(want - got) / max(1.0, abs(want))
        return gap if math.isfinite(gap) else math.inf
    return 0.0 if want is not None and want == got else math.inf


def operations(servable: Path) -> list[str]:
    """Types of all operations of a SavedModel, read from its file."""
    return sorted({node.op for node in _nodes(servable)})


def functions(servable: Path) -> list[str]:
    """Names of a SavedModel's own functions, which its nodes may call like operations."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((servable / "saved_model.pb").read_bytes())
    return [f.signature.name for f in proto.meta_graphs[0].graph_def.library.function]


def device_bound(servable: Path) -> list[str]:
    """What ties a SavedModel to one kind of device or to this Python process."""
    bound = set()
    for node in _nodes(servable):
        if node.op.startswith("Cudnn") or "PyFunc" in node.op:
            bound.add(node.op)
        if "GPU" in node.device or "TPU" in node.device:
            bound.add(f"{node.op} on {node.device}")
    return sorted(bound)


def _nodes(servable: Path) -> Iterable[Any]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    path = servable / "saved_model.pb"
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError:
        proto.Clear()
    if not proto.meta_graphs:
        raise UserError(f"{path} is no SavedModel, or it is damaged; write or copy it again.")
    graph = proto.meta_graphs[0].graph_def
    return [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
