"""`python -m seqapps certify`: asks every form of a bundle again, wherever it can be run."""

import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.python.framework import op_def_registry

from seqapps.bundle.application import load, load_network
from seqapps.bundle.folder import read_assets, read_untried
from seqapps.bundle.values import answers_of, batch_of
from seqapps.config import from_dict
from seqapps.errors import UserError
from seqapps.fields import MAIN
from seqapps.layers.cudnn import reset_cudnn
from seqapps.portable import certificate, fresh, litert, onnx
from seqapps.portable.c_api import call_servable
from seqapps.portable.certificate import compare, compare_answers, compare_forms
from seqapps.portable.probes import input_of, probes
from seqapps.portable.recorded import pack, unpack

_CLI = """
import tensorflow, runpy
runpy.run_module("tensorflow.python.tools.saved_model_cli", run_name="__main__", alter_sys=True)
"""

Log = Callable[[str], None]


def certify_bundle(
    folder: Path, exported: Sequence[Path], *, recipe: Any, log: Log
) -> dict[str, Any]:
    """Asks every form of a bundle, and of what was exported from it, the same.

    A certificate that left a form for later is completed, if all holds.

    Args:
        folder: The bundle.
        exported: Folders that `export` wrote from it, in ONNX or LiteRT.
        recipe: The `Recipe` that made it.
        log: Says what goes on.

    Returns:
        `holds`, `rows` (one for each form; `equal` is None where answers are other ones on
        purpose), `changed_files`, `operations`, `not_core` and `device_bound`.

    Raises:
        UserError: If the bundle cannot be loaded, though no file was changed.
    """
    for place in exported:
        if not any((place / name).is_file() for name in ("predictor.json", "litert.json")):
            raise UserError(
                f"{place} is no export in ONNX or LiteRT: it has neither predictor.json nor "
                "litert.json."
            )
    changed = _changed(folder)
    for place in exported:
        changed += [f"{place}: {name}" for name in _changed(place)]
    own = 0
    try:
        result, own = _compared(folder, exported, recipe=recipe, log=log)
    except UserError as error:
        if not changed:
            raise
        result = {
            "holds": False,
            "rows": [_broken("loading", error)],
            "operations": [],
            "not_core": [],
            "device_bound": [],
        }
    holds = result["holds"] and not changed
    if holds and read_untried(folder):
        certificate.complete(folder, result["rows"][:own])
        log(f"The certificate of {folder} is complete now")
    return {
        **result,
        "holds": holds,
        "tolerance": certificate.TOLERANCE,
        "changed_files": changed,
    }


def _compared(
    folder: Path, exported: Sequence[Path], *, recipe: Any, log: Log
) -> tuple[dict[str, Any], int]:
    """What `certify_bundle` finds besides changed files, and how many rows are the bundle's own."""
    application = load(folder)
    interface = application.interface
    config = from_dict(recipe.config, application.config, source=str(folder / "config.json"))
    assets = read_assets(folder)
    networks = [load_network(folder) for _ in range(2)]
    for network in networks:
        reset_cudnn(network, False)
    trained, again = (recipe.answers(config, network, assets) for network in networks)
    servable, samples = folder / "servable" / "1", certificate.samples_of(folder)
    log("Asking Keras, model.keras and the SavedModel in a fresh process")
    rows, _, untried = compare_forms(
        servable, interface=interface, trained=trained, again=again, samples=samples
    )
    if untried:
        raise UserError(f"{untried}, so the SavedModel cannot be asked there.")
    if (folder / "certificate.json").is_file():
        rows += compare_answers(
            folder, interface, lambda name, batch: _numpy(application, name, batch)
        )
    asked = probes(interface.inputs, samples)
    want = application.answers([input_of(interface.inputs, row) for row in asked])
    for form, run in (("saved_model_cli", _by_cli), ("TensorFlow's C interface", _by_c)):
        log(f"Asking {form}")
        rows += _tried(form, functools.partial(run, servable, interface, asked), interface, want)
    own = len(rows)
    for place in exported:
        log(f"Asking {place}")
        rows += _exported(place, application, recipe, config, networks[0], assets, samples)
    graph = certify_servable(servable)
    held = graph["holds"] and all(row["equal"] is not False for row in rows)
    return {**graph, "holds": held, "rows": rows}, own


def certify_servable(servable: Path) -> dict[str, Any]:
    """Looks for what ties a SavedModel, whoever wrote it, to a device or to a library.

    Returns:
        `holds`, `rows` (none), `operations`, `not_core` (operations that TensorFlow alone does not
        have) and `device_bound`.
    """
    operations = certificate.operations(servable)
    defined = {f for f in certificate.functions(servable)}
    foreign = [op for op in operations if op not in defined and op_def_registry.get(op) is None]
    bound = certificate.device_bound(servable)
    return {
        "holds": not foreign and not bound,
        "rows": [],
        "operations": operations,
        "not_core": foreign,
        "device_bound": bound,
    }


def _numpy(application: Any, name: str, batch: dict[str, Any]) -> dict[str, Any]:
    return {n: value.numpy() for n, value in application.call(name, **batch).items()}


def _changed(folder: Path) -> list[str]:
    path = folder / "certificate.json"
    if not path.is_file():
        # A LiteRT export has none.
        return [] if (folder / "litert.json").is_file() else ["certificate.json"]
    try:
        certificate.check_files(folder)
    except UserError as error:
        return [str(error)]
    return []


def _broken(form: str, error: UserError) -> dict[str, Any]:
    """The row of a form that gives no answers."""
    return {
        "form": form,
        "inputs": 0,
        "equal": False,
        "largest_difference": float("inf"),
        "first": str(error),
    }


def _tried(
    form: str, run: Callable[[], Any], interface: Any, want: Sequence[Any]
) -> list[dict[str, Any]]:
    """Rows of one form, batched and alone; a form that does not run does not hold."""
    fields = interface.outputs_of(MAIN)
    try:
        together, alone, took_ms = run()
    except UserError as error:
        return [_broken(form, error)]
    rows = [{"form": form, "inputs": len(want), **compare(fields, list(want), together)}]
    if alone is not None:
        row = compare(fields, list(want), alone)
        rows.append({"form": f"{form}, each input alone", "inputs": len(want), **row})
    if took_ms is not None:
        rows[-1]["milliseconds"] = round(took_ms, 2)
    return rows


def _by_c(servable: Path, interface: Any, asked: Sequence[Any]) -> Any:
    taken, fields = interface.inputs_of(MAIN), interface.outputs_of(MAIN)
    batches = [asked, *([row] for row in asked)]
    packed = []
    for batch in batches:
        tensors = {name: pack(value) for name, value in batch_of(taken, batch).items()}
        packed.append(
            {n: ("string" if d == "object" else d, s, v) for n, (d, s, v) in tensors.items()}
        )
    answers, seconds = call_servable(servable, MAIN, packed)
    rows: list[Any] = []
    for outputs in answers:
        rows += answers_of(fields, {name: unpack(*value) for name, value in outputs.items()})
    return rows[: len(asked)], rows[len(asked) :], 1000 * float(np.median(seconds[1:]))


def _by_cli(servable: Path, interface: Any, asked: Sequence[Any]) -> Any:
    batch = batch_of(interface.inputs_of(MAIN), asked)
    with tempfile.TemporaryDirectory() as place:
        words = []
        for name, value in batch.items():
            path = Path(place) / f"{name}.npy"
            np.save(path, value, allow_pickle=True)
            words.append(f"{name}={path}")
        done = fresh.run(
            _CLI,
            "run",
            "--dir",
            str(servable),
            "--tag_set",
            "serve",
            "--signature_def",
            MAIN,
            "--inputs",
            ";".join(words),
            "--outdir",
            place,
            "--overwrite",
            environment=fresh.QUIET_CPU,
        )
        if done.returncode:
            raise UserError(f"saved_model_cli fails: {done.stderr.strip()[-500:]}")
        outputs = {
            path.stem: np.load(path, allow_pickle=True)
            for path in Path(place).glob("*.npy")
            if path.stem not in batch
        }
    return answers_of(interface.outputs_of(MAIN), outputs), None, None


def _exported(
    place: Path,
    application: Any,
    recipe: Any,
    config: Any,
    network: Any,
    assets: Any,
    samples: Sequence[Any],
) -> list[dict[str, Any]]:
    """Rows of what `export` wrote."""
    if (place / "predictor.json").is_file():
        table = json.loads((place / "certificate.json").read_text("utf-8"))
        asked = recipe.parts(config, network, assets).strategies
        try:
            rows = onnx.verify(place, application, samples=samples, strategies=asked)
        except UserError as error:
            return [_broken(f"{place}: ONNX", error)]
        if not table.get("quantised"):
            return rows
        # It runs. Its answers are other ones; what that costs is on its card.
        return [
            {
                "form": f"{place}: ONNX, int8, not compared",
                "equal": None,
                "inputs": sum(row["inputs"] for row in rows),
                "largest_difference": max(row["largest_difference"] for row in rows),
            }
        ]
    rows = []
    for name, part in recipe.parts(config, network, assets).parts.items():
        form = f"LiteRT, {name}"
        try:
            rows.append({"form": form, **litert.verify(name, part, place / f"{name}.tflite")})
        except UserError as error:
            rows.append(_broken(form, error))
    return rows


def table(result: dict[str, Any]) -> str:
    """What was found, for people."""
    lines = []
    for row in result["rows"]:
        took = f"  {row['milliseconds']:8.2f} ms" if "milliseconds" in row else ""
        said = {True: "equal    ", False: "DIFFERENT", None: "runs     "}[row["equal"]]
        lines.append(f"{said}  {row['largest_difference']:8.1e}  {row['form']}{took}")
        if "first" in row:
            lines.append(f"           {row['first']}")
    for title, name in (
        ("changed files", "changed_files"),
        ("operations that are not TensorFlow's own", "not_core"),
        ("bound to a device or process", "device_bound"),
    ):
        if name in result:
            lines.append(f"{title}: {', '.join(result[name]) or 'none'}")
    lines.append(f"operations: {len(result['operations'])} kinds")
    lines.append("The certificate holds." if result["holds"] else "The certificate does not hold.")
    return "\n".join(lines)
