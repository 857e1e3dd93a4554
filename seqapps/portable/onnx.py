"""A bundle in ONNX: its networks, its assets, and a predictor that needs no TensorFlow.

tf2onnx translates each network; what stands around them is `seqapps.portable.runtime`. The export
is asked in a fresh process, without TensorFlow, and must answer as the SavedModel does.
"""

import contextlib
import inspect
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.bundle.application import Application
from seqapps.bundle.folder import read_assets, staging, write_assets, write_config, write_json
from seqapps.bundle.values import for_json
from seqapps.errors import UserError
from seqapps.fields import MAIN, OPTIONS, Assets, Field, Interface, Part, Parts
from seqapps.layers.recurrent import fused_recurrence
from seqapps.portable import fresh
from seqapps.portable.assemble import assemble, required
from seqapps.portable.certificate import compare, hashes
from seqapps.portable.onnx_application import OnnxApplication, described, predictor_class
from seqapps.portable.onnx_int8 import Loss, quantise
from seqapps.portable.onnx_recurrence import trace_recurrence, write_recurrence
from seqapps.portable.probes import alike, heard, input_of, probes
from seqapps.portable.strategies import Strategy, combinations, defaults, singles
from seqapps.version import __version__

Measure = Callable[[Any], tuple[Mapping[str, Any], str]]
"""`measure(application) -> (metrics, what they were measured on)`."""
OPSET = 18

_FRESH = """
import base64
sys.path.insert(0, sys.argv[1])
import predictor

def once(table):
    return base64.b64decode(table["b64"]) if table.keys() == {"b64"} else table

request = json.load(sys.stdin, object_hook=once)
application = getattr(predictor, request["name"])(sys.argv[1])
inputs = request["inputs"]
answers = []
for name, rows, options, alone in request["calls"]:
    questions = [inputs[name][i] for i in rows]
    if name != request["main"]:
        answers.append(application.ask(name, questions, **options))
    elif alone:
        answers.append([application.answers([row], **options)[0] for row in questions])
    else:
        answers.append(application.answers(questions, **options))
json.dump(answers, sys.stdout)
"""
_ABSENT = ("tensorflow", "keras", "seqapps")
"""What a predictor must do without."""


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


@dataclass(frozen=True)
class _Call:
    """One question to both forms."""

    form: str
    """What is compared, in words."""
    signature: str
    rows: list[int]
    """Which inputs of the signature are asked."""
    options: dict[str, Any]
    """Strategy values by name, one for all or one for each."""
    each: Sequence[Strategy] = ()
    """The strategies of the inputs, where each has its own."""
    alone: bool = False
    """Whether each input is asked by itself, what the call before asks together."""


def verify(
    folder: Path,
    application: Application,
    *,
    samples: Sequence[Any] = (),
    strategies: Sequence[Strategy] = (),
) -> list[dict[str, Any]]:
    """Asks the export, in a fresh process without TensorFlow, what the SavedModel is asked.

    Every input is asked with the defaults and with each of `strategies`; some inputs with other
    values of each option that is declared, and with combinations of them.

    Args:
        folder: The export.
        application: The bundle that it was made from.
        samples: Real inputs, besides those at the edge of what is allowed.
        strategies: Strategy values of the recipe's own.

    Returns:
        A row for each form: `form`, `inputs`, `equal`, `largest_difference`; where they differ,
        `first` says in what.

    Raises:
        UserError: If predictor.json is damaged, or the predictor does not run.
    """
    table, interface = described(folder)
    inputs = {MAIN: _questions(interface.inputs, samples)}
    for signature in interface.further:
        taken = interface.inputs_of(signature.name)
        real = samples if alike(taken, interface.inputs) else ()
        inputs[signature.name] = _questions(taken, real)
    calls = _calls(interface, inputs, strategies)
    request = {
        "name": table.get("class"),
        "main": MAIN,
        "inputs": for_json(inputs),
        "calls": [[call.signature, call.rows, call.options, call.alone] for call in calls],
    }
    done = fresh.run(_FRESH, str(folder.resolve()), told=request, without=_ABSENT)
    if done.returncode:
        raise UserError(f"the predictor does not run: {done.stderr.strip()[-2000:]}")
    rows: list[dict[str, Any]] = []
    want: list[dict[str, Any]] = []
    for call, got in zip(calls, fresh.answer(done), strict=True):
        questions = [inputs[call.signature][i] for i in call.rows]
        fields = interface.outputs_of(call.signature)
        if call.signature != MAIN:
            want = application.ask(call.signature, questions, **call.options)
        else:
            fields = interface.outputs_of(OPTIONS if interface.has_options else MAIN)
            if not call.alone:
                want = application.answers(questions, **call.options)
        row = {"form": call.form, "inputs": len(want), **compare(fields, want, got)}
        if "first" in row and call.each:
            differs = next(
                number
                for number, (one, other) in enumerate(zip(want, got, strict=True))
                if not compare(fields, [one], [other])["equal"]
            )
            row["first"] = f"with {_said(call.each[differs])}: {row['first']}"
        rows.append(row)
    return rows


def _questions(fields: Sequence[Field], samples: Sequence[Any]) -> list[Any]:
    """What a signature is asked."""
    return [input_of(fields, row) for row in [*probes(fields, samples), *heard(fields)]]


def _calls(
    interface: Interface, inputs: Mapping[str, Sequence[Any]], strategies: Sequence[Strategy]
) -> list[_Call]:
    """All that both forms are asked."""
    calls = []
    for name, questions in inputs.items():
        every = list(range(len(questions)))
        options = interface.options_of(OPTIONS if name == MAIN else name)
        usual = defaults(options)
        form = "ONNX" if name == MAIN else f"ONNX, {name}"
        calls.append(_Call(_with(form, usual), name, every, usual))
        mixed = combinations(options) or singles(options)
        if name == MAIN:
            calls.append(_Call(f"{form}, each input alone", name, every, usual, alone=True))
            # A bundle of an earlier version may lack an option.
            known = {option.name for option in options}
            for strategy in (each for each in strategies if each.keys() <= known):
                chosen = {**usual, **strategy}
                calls.append(_Call(_with(form, chosen), name, every, chosen))
            mixed = [*singles(options), *combinations(options)]
        if mixed:
            by_name = {option.name: usual.get(option.name, option.default) for option in options}
            full = [{**by_name, **strategy} for strategy in mixed]
            # Of middle size: with an empty input, most options mean nothing.
            order = sorted(every, key=lambda i: len(json.dumps(for_json(questions[i]))))
            middle = order[len(order) // 2 : -(len(order) // 6) or None]
            calls.append(
                _Call(
                    f"{form}, {len(mixed)} strategies, an input each",
                    name,
                    [middle[i % len(middle)] for i in range(len(mixed))],
                    {option: [strategy[option] for strategy in full] for option in by_name},
                    mixed,
                )
            )
    return calls


def _with(form: str, strategy: Strategy) -> str:
    return f"{form}, {_said(strategy)}" if strategy else form


def _said(strategy: Strategy) -> str:
    return ", ".join(f"{name} {value}" for name, value in strategy.items())


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
        rows = verify(folder, application, samples=samples, strategies=parts.strategies)
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
