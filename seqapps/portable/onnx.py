"""A bundle in ONNX: its networks, its assets, and a predictor that needs no TensorFlow.

tf2onnx translates each network; what stands around them is `seqapps.portable.runtime`. The export
is asked in a fresh process, without TensorFlow, and must answer as the SavedModel does.
"""

import contextlib
import inspect
import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.bundle.application import Application
from seqapps.bundle.folder import read_assets, staging, write_assets, write_config, write_json
from seqapps.bundle.values import for_json
from seqapps.errors import UserError
from seqapps.fields import Assets, Field, Interface, Part, Parts
from seqapps.layers.recurrent import fused_recurrence
from seqapps.portable.assemble import assemble, required
from seqapps.portable.certificate import compare, hashes
from seqapps.portable.onnx_application import OnnxApplication, predictor_class
from seqapps.portable.onnx_int8 import Loss, quantise
from seqapps.portable.onnx_recurrence import trace_recurrence, write_recurrence
from seqapps.portable.probes import alike, heard, input_of, probes
from seqapps.version import __version__

Measure = Callable[[Any], tuple[Mapping[str, Any], str]]
"""`measure(application) -> (metrics, what they were measured on)`."""
OPSET = 18
_SHORT = 48
"""Tokens of a drawn text with which forms are compared."""

_FRESH = """
import base64, json, sys
sys.path.insert(0, sys.argv[1])
import predictor

def once(table):
    return base64.b64decode(table["b64"]) if table.keys() == {"b64"} else table

request = json.load(sys.stdin, object_hook=once)
application = getattr(predictor, request["name"])(sys.argv[1])
inputs = request["inputs"]
found = [application.answers(inputs, **options) for options in request["options"]]
found += [[application.answers([row], **request["options"][0])[0] for row in inputs]]
found += [application.ask(name, rows) for name, rows in request["further"].items()]
assert not {"tensorflow", "keras", "seqapps"} & sys.modules.keys(), "it imports TensorFlow"
json.dump(found, sys.stdout)
"""


def to_onnx(part: Part, path: Path) -> None:
    """Writes one network.

    Raises:
        UserError: If tf2onnx is not installed, or knows no ONNX form of an operation.
    """
    try:
        import tf2onnx
    except ImportError:
        raise UserError(
            "ONNX needs the packages of the extra onnx; pip install 'seqapps[onnx]'."
        ) from None
    names = [spec.name for spec in part.inputs]

    def call(*values: Any) -> dict[str, Any]:
        return part.function(**dict(zip(names, values, strict=True)))

    # The graph's inputs get their names from the arguments.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    traced = tf.function(call, input_signature=part.inputs, autograph=False)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    try:
        # What it prints is for those who write converters.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            with _safe_optimizers(), _fused():
                tf2onnx.convert.from_function(
                    traced,
                    input_signature=part.inputs,
                    opset=OPSET,
                    custom_op_handlers={
                        "SelectV2": (_select, []),
                        "Select": (_select, []),
                        "CudnnRNNV3": (write_recurrence, []),
                    },
                    output_path=str(path),
                )
    except (ValueError, NotImplementedError, RuntimeError, KeyError) as error:
        raise UserError(
            f"{path.stem} has no form in ONNX ({str(error)[:300]}); export the SavedModel."
        ) from error


def _select(context: Any, node: Any, name: str, args: Any) -> None:
    """Translates a choice as a choice: tf2onnx multiplies by 0 and 1, which makes -inf NaN."""
    node.type = "Where"


@contextlib.contextmanager
def _safe_optimizers() -> Iterator[None]:
    """Leaves out the one of tf2onnx's optimizers that joins reshapes of unlike ranks wrongly."""
    from tf2onnx import optimizer

    known = vars(optimizer)["_optimizers"]
    left_out = known.pop("remove_back_to_back")
    try:
        yield
    finally:
        known["remove_back_to_back"] = left_out


@contextlib.contextmanager
def _fused() -> Iterator[None]:
    """Traces each GRU and LSTM as one operation."""
    token = fused_recurrence.set(trace_recurrence)
    try:
        yield
    finally:
        fused_recurrence.reset(token)


def write_export(
    folder: Path, *, parts: Parts, assets: Assets, interface: Interface, recipe: str, summary: str
) -> None:
    """Writes networks, assets and predictor.

    Args:
        folder: Where to; it is there and empty.
        parts: The networks.
        assets: Files that travel with them.
        interface: What goes in and out.
        recipe: Name of the recipe.
        summary: What it does, in one line.
    """
    (folder / "networks").mkdir()
    for name, part in parts.parts.items():
        to_onnx(part, folder / "networks" / f"{name}.onnx")
    write_assets(folder, assets)
    name = predictor_class(parts.predictor).__name__
    source = assemble(
        parts.predictor,
        main="seqapps.portable.runtime.command",
        summary=summary,
        name=name,
        asked=_asked(interface),
        version=__version__,
    )
    (folder / "predictor.py").write_text(source, encoding="utf-8")
    requirements = "".join(f"{line}\n" for line in required(source))
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    write_json(
        folder / "predictor.json",
        {
            "seqapps": __version__,
            "recipe": recipe,
            "predictor": parts.predictor,
            "class": name,
            "interface": answered(interface, parts).to_json(),
            "settings": dict(parts.settings),
        },
    )


def _asked(interface: Interface) -> str:
    """What follows `predictor.py` on the command line."""
    if len(interface.inputs) > 1:
        return "< in.jsonl > out.jsonl"
    (field,) = interface.inputs
    if field.is_text:
        return "< in.txt > out.txt"
    return {"wav": "recording.wav", "image": "picture.png"}.get(field.media, "< in.jsonl > out.txt")


def answered(interface: Interface, parts: Parts) -> Interface:
    """An interface without the further signatures that its predictor does not answer."""
    known = predictor_class(parts.predictor).answered(tuple(parts.parts))
    return replace(interface, further=tuple(s for s in interface.further if s.name in known))


def verify(
    folder: Path, application: Application, *, samples: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """Asks the export, in a fresh process without TensorFlow, what the SavedModel is asked.

    Args:
        folder: The export.
        application: The bundle that it was made from.
        samples: Real inputs, besides those at the edge of what is allowed.

    Returns:
        A row for each form: `form`, `inputs`, `equal`, `largest_difference`.
    """
    table = json.loads((folder / "predictor.json").read_text("utf-8"))
    interface = Interface.from_json(table["interface"])
    inputs = _questions(interface.inputs, samples)
    asked = strategies(interface)
    further = {
        signature.name: _questions(
            taken := interface.inputs_of(signature.name),
            samples if alike(taken, interface.inputs) else (),
        )
        for signature in interface.further
    }
    request = {
        "name": table["class"],
        "inputs": for_json(inputs),
        "options": asked,
        "further": for_json(further),
    }
    done = subprocess.run(
        [sys.executable, "-IB", "-c", _FRESH, str(folder.resolve())],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"the predictor does not run: {done.stderr.strip()[-2000:]}")
    answers = json.loads(done.stdout)
    together, alone = answers[: len(asked)], answers[len(asked)]
    fields = interface.outputs_of("options" if interface.has_options else "serving_default")
    rows = []
    for number, (options, found) in enumerate(zip(asked, together, strict=True)):
        want = application.answers(inputs, **options)
        said = ", ".join(f"{name} {value}" for name, value in options.items())
        rows.append(_row(f"ONNX{', ' if said else ''}{said}", fields, want, found))
        if number == 0:
            rows.append(_row("ONNX, each input alone", fields, want, alone))
    for (name, questions), found in zip(further.items(), answers[len(asked) + 1 :], strict=True):
        want = application.ask(name, questions)
        rows.append(_row(f"ONNX, {name}", interface.outputs_of(name), want, found))
    return rows


def _questions(fields: Sequence[Field], samples: Sequence[Any]) -> list[Any]:
    """What a signature is asked."""
    return [input_of(fields, row) for row in [*probes(fields, samples), *heard(fields)]]


def _row(form: str, fields: Any, want: Any, found: Any) -> dict[str, Any]:
    return {"form": form, "inputs": len(want), **compare(fields, want, found)}


def strategies(interface: Interface) -> list[dict[str, Any]]:
    """Strategy values with which forms are compared: the defaults first."""
    known = {option.name for option in interface.options}
    wanted: list[Mapping[str, Any]] = [
        {},
        {"beam_width": 1},
        {"beam_width": 5, "n_best": 3, "length_penalty": 0.6},
        {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "seed": 7},
        {"beam_width": 1, "language": 0.0},
        {"temperature": 0.0, "repetition_penalty": 1.3},
        {"samples": 3, "seed": 5, "top_k": 12, "min_p": 0.02, "stop": [" a", "e "], "begin": "T"},
        {"beam_width": 4, "samples": 2, "max_length": 20},
        {"n_best": 3, "hot_words": ["seven", "a"], "hot_word_weight": 0.7},
    ]
    # Of a long text that is drawn, one near tie would change the rest.
    short = {"max_length": _SHORT} if "max_length" in known else {}
    return [{**short, **options} for options in wanted if options.keys() <= known]


def export(
    bundle: Path,
    output: Path,
    *,
    parts: Parts,
    application: Application,
    summary: str,
    overwrite: bool,
    samples: Sequence[Any] = (),
    measure: Measure | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Writes a bundle in ONNX, once it is known to answer as the bundle does.

    Args:
        bundle: The bundle.
        output: Where to.
        parts: Its networks.
        application: The same bundle, loaded.
        summary: What it does, in one line.
        overwrite: Whether an earlier export there may be replaced.
        samples: Real inputs with which it is verified.
        measure: Given: the weights become 8-bit whole numbers, and this says what is lost.
        log: Says what goes on.

    Raises:
        UserError: If a network has no form in ONNX, an answer differs, or the place is taken.
    """
    interface = application.interface
    with staging(output, overwrite=overwrite, mark="predictor.json") as folder:
        log("Translating the networks to ONNX")
        write_export(
            folder,
            parts=parts,
            assets=read_assets(bundle),
            interface=interface,
            recipe=application.recipe,
            summary=summary,
        )
        write_config(
            folder,
            recipe=application.recipe,
            interface=answered(interface, parts),
            settings=application.config,
        )
        log("Asking them, without TensorFlow, what the SavedModel is asked")
        rows = verify(folder, application, samples=samples)
        if broken := [row for row in rows if not row["equal"]]:
            raise UserError(
                f"the ONNX form answers differently, so nothing is written: {broken[0]['form']}: "
                f"{broken[0]['first']}. Serve the SavedModel, and please report this."
            )
        loss = None
        if measure:
            log("Measuring, quantising to int8, and measuring again")
            before, on = measure(OnnxApplication(folder))
            whole, small = quantise(folder / "networks", parts)
            after, _ = measure(OnnxApplication(folder))
            pairs = {n: {"float32": value, "int8": after[n]} for n, value in before.items()}
            loss = Loss(pairs, on, whole, small)
            log(loss.said())
        card = _card(application, summary, rows, folder, loss)
        (folder / "CARD.md").write_text(card, encoding="utf-8")
        quantised = loss.to_json() if loss else None
        certificate = {"holds": True, "rows": rows, "quantised": quantised, "files": hashes(folder)}
        write_json(folder / "certificate.json", certificate)


def _card(
    application: Application,
    summary: str,
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    loss: Loss | None,
) -> str:
    """What the export is, for people."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    lines = [
        f"# {application.recipe} in ONNX",
        "",
        summary,
        "",
        f"Made from `{application.path.name}` by seqapps {__version__}; {size / 1e6:.1f} MB.",
        "",
        "```bash",
        "pip install -r requirements.txt",
        f"python predictor.py {_asked(application.interface)}",
        "```",
        "",
        "Before it was quantised, asked beside the SavedModel:"
        if loss
        else "Asked beside the SavedModel:",
        "",
        "| form | inputs | largest difference |",
        "|---|---|---|",
    ]
    lines += [f"| {r['form']} | {r['inputs']} | {r['largest_difference']:.1e} |" for r in rows]
    lines += loss.lines() if loss else []
    return "\n".join(lines) + "\n"
