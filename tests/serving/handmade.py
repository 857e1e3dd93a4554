"""A bundle without a training: numbers whose answers are known, and that takes as long as asked."""

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.bundle.folder import write_config, write_json
from seqapps.bundle.servable import write_servable
from seqapps.bundle.values import answers_of, batch_of
from seqapps.fields import MAIN, Field, Interface, Signature
from seqapps.portable.certificate import hashes
from seqapps.portable.probes import probes
from seqapps.portable.recorded import keep

_RATE = Field(name="rate_hz", dtype="int32", media="number", unit="Hz")
_STATE = (_RATE, Field(name="bytes_so_far", dtype="int32", media="number"))
INTERFACE = Interface(
    inputs=(
        Field(name="series", dtype="float32", rank=1, media="series"),
        Field(name="spins", dtype="int32", media="number", description="How long it takes."),
    ),
    outputs=(
        Field(name="total", dtype="float32", media="number"),
        Field(name="scaled", dtype="float32", rank=1, media="series"),
    ),
    further=(
        Signature(
            name="hear",
            inputs=(Field(name="audio", media="wav"),),
            outputs=(Field(name="size", dtype="int32", media="number"),),
        ),
        Signature(
            name="pick",
            inputs=(Field(name="which", dtype="int32", media="number"),),
            outputs=(Field(name="name", media="text"),),
            description="Fails in the graph if there is none of that number.",
        ),
        Signature(
            name="init",
            inputs=(_RATE,),
            outputs=_STATE,
            description="Begins to count samples.",
        ),
        Signature(
            name="step_int16",
            inputs=(*_STATE, Field(name="pcm", media="sound")),
            outputs=(*_STATE, Field(name="text"), Field(name="partial"), Field(name="status")),
        ),
        Signature(name="flush", inputs=_STATE, outputs=(Field(name="text"), Field(name="status"))),
        Signature(
            name="root",
            inputs=(Field(name="number", dtype="float32", media="number"),),
            outputs=(Field(name="root", dtype="float32", media="number"),),
        ),
    ),
)


def write_handmade(folder: Path, *, factor: float = 1.0) -> Path:
    """Writes the bundle; `total` is `factor` times the sum of the real steps."""
    folder.mkdir(parents=True)
    scale = tf.constant(factor)

    def main(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        real = tf.sequence_mask(
            inputs["series_lengths"], tf.shape(inputs["series"])[1], dtype="float32"
        )
        scaled = scale * inputs["series"] * real
        spins = tf.reduce_max(inputs["spins"])
        spun = tf.while_loop(
            lambda i, x: i < spins,
            lambda i, x: (i + 1, tf.linalg.matmul(x, x) / 64.0),
            (0, tf.ones((64, 64))),
        )[1]
        return {
            "total": tf.reduce_sum(scaled, 1) + 0.0 * spun[0, 0],
            "scaled": scaled,
            "scaled_lengths": inputs["series_lengths"],
        }

    def status(inputs: dict[str, Any]) -> Any:
        known = inputs["rate_hz"] >= 4000
        return tf.where(known, "ok", "the rate is at least 4000 Hz")

    def step(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        more = tf.strings.length(inputs["pcm"])
        return {
            "rate_hz": inputs["rate_hz"],
            "bytes_so_far": inputs["bytes_so_far"] + more,
            "text": tf.strings.as_string(more),
            "partial": tf.fill(tf.shape(more), "?"),
            "status": status(inputs),
        }

    names = tf.constant(["zero", "one", "two"])
    answers = {
        MAIN: main,
        "hear": lambda inputs, options: {"size": tf.strings.length(inputs["audio"])},
        "pick": lambda inputs, options: {"name": tf.gather(names, inputs["which"])},
        "init": lambda inputs, options: {
            "rate_hz": inputs["rate_hz"],
            "bytes_so_far": 0 * inputs["rate_hz"],
        },
        "step_int16": step,
        "flush": lambda inputs, options: {
            "text": tf.strings.as_string(inputs["bytes_so_far"]),
            "status": status(inputs),
        },
        "root": lambda inputs, options: {"root": tf.sqrt(inputs["number"])},
    }
    write_config(folder, recipe="handmade", interface=INTERFACE, settings={"factor": factor})
    write_servable(folder / "servable" / "1", answers=answers, variables=[], interface=INTERFACE)
    certify_handmade(folder)
    return folder


def certify_handmade(folder: Path) -> None:
    """Says that the folder is as it should be, and answers as it does now."""
    loaded = tf.saved_model.load(str(folder / "servable" / "1"))
    kept = {}
    for name in INTERFACE.signatures:
        taken, given = INTERFACE.inputs_of(name), INTERFACE.outputs_of(name)
        # Of `pick` there are three.
        rows = [row for row in probes(taken, ()) if row.get("which", 0) >= 0]
        tensors = {n: tf.constant(value) for n, value in batch_of(taken, rows).items()}
        outputs = loaded.signatures[name](**tensors)
        arrays = {n: value.numpy() for n, value in outputs.items()}
        kept[name] = keep(taken, rows, answers_of(given, arrays))
    write_json(
        folder / "certificate.json", {"holds": True, "answers": kept, "files": hashes(folder)}
    )


def certify_files(folder: Path) -> None:
    """Says that the files are as they should be, and leaves the answers as they were certified."""
    path = folder / "certificate.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, told | {"files": hashes(folder)})


def refused_certificate(folder: Path) -> None:
    """A certificate that was measured and does not hold."""
    path = folder / "certificate.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"holds": False}), encoding="utf-8")
