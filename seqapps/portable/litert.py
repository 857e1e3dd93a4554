"""The networks of a bundle for LiteRT, which runs on phones and small devices.

Each takes one row of any length, in LiteRT's own operations alone. Tokenizers and decoding loops
are the program's that runs them; `seqapps.portable.runtime` has them in NumPy.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from seqapps.bundle.application import Application
from seqapps.bundle.folder import staging, write_json
from seqapps.errors import UserError
from seqapps.fields import Part, Parts
from seqapps.portable.certificate import TOLERANCE, difference
from seqapps.version import __version__

_LENGTHS = (1, 2, 7, 30)
"""Steps of the rows with which a network is verified."""
_TOKENS = 16
"""Tokens of these rows are below this: every vocabulary has them."""


def export(
    output: Path,
    *,
    parts: Parts,
    application: Application,
    overwrite: bool,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Writes the networks for LiteRT, once each gives what it gives in TensorFlow.

    Args:
        output: Where to.
        parts: The networks.
        application: The bundle.
        overwrite: Whether an earlier export there may be replaced.
        log: Says what goes on.

    Raises:
        UserError: If a network has no form in LiteRT or answers differently there, or the place
            is taken.
    """
    with staging(output, overwrite=overwrite, mark="litert.json") as folder:
        rows = []
        for name, part in parts.parts.items():
            log(f"Translating {name} to LiteRT, and running it")
            path = folder / f"{name}.tflite"
            path.write_bytes(convert(name, part))
            rows.append({"form": f"LiteRT, {name}", **verify(name, part, path)})
        write_json(
            folder / "litert.json",
            {
                "seqapps": __version__,
                "recipe": application.recipe,
                "rows": rows,
                "settings": dict(parts.settings),
            },
        )


def convert(name: str, part: Part) -> bytes:
    """A network in LiteRT's own operations.

    Raises:
        UserError: If it has none.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = {
        spec.name: tf.TensorSpec(
            [1, *spec.shape[1:]] if spec.shape.rank else [], spec.dtype, name=spec.name
        )
        for spec in part.inputs
    }
    traced = tf.function(part.function, autograph=False).get_concrete_function(**specs)
    # Keras's variables are otherwise left as reads of a resource that is not there.
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    with _quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    vars(converter)["_experimental_lower_tensor_list_ops"] = True
    try:
        with _quiet():
            return bytes(converter.convert())
    except Exception as error:
        # The converter raises what MLIR gives it, as bare exceptions of many kinds.
        raise UserError(
            f"{name} has no form in LiteRT ({str(error).strip()[:300]}); export --format onnx or "
            "the SavedModel."
        ) from error


def verify(name: str, part: Part, path: Path) -> Mapping[str, Any]:
    """Runs a network in LiteRT and in TensorFlow on the same rows.

    Raises:
        UserError: If LiteRT does not run it, or it answers differently.
    """
    largest = 0.0
    for steps in _LENGTHS:
        inputs = _inputs(part, steps)
        want = part.function(**{n: tf.constant(value) for n, value in inputs.items()})
        try:
            with _quiet():
                given = run(path, inputs)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"LiteRT does not run {name}: {str(error)[:300]}.") from error
        # LiteRT gives what a function gives in the order of the names, which it does not keep.
        for key, value in zip(sorted(want), given, strict=True):
            gap = difference(want[key].numpy().tolist(), value.tolist())
            largest = max(largest, gap)
            if gap > TOLERANCE:
                raise UserError(
                    f"{name} answers differently in LiteRT ({key} of {steps} steps, by {gap:g}), "
                    "so nothing is written; export --format onnx or the SavedModel."
                )
    return {"inputs": len(_LENGTHS), "equal": True, "largest_difference": largest}


def run(path: Path, inputs: Mapping[str, Any]) -> list[Any]:
    """What a network gives for one row, in the order of its outputs' names."""
    interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    details = interpreter.get_input_details()
    for detail in details:
        value = inputs[_plain(detail["name"])]
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail in details:
        interpreter.set_tensor(detail["index"], inputs[_plain(detail["name"])])
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself what TensorFlow says, in Python and in C++, to those who write converters."""
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def _plain(name: str) -> str:
    """`source` for LiteRT's `serving_default_source:0`."""
    return name.removeprefix("serving_default_").partition(":")[0]


def _inputs(part: Part, steps: int) -> dict[str, Any]:
    """One row for a network, `steps` long in every direction."""
    rng, made = np.random.default_rng(steps), {}
    for spec in part.inputs:
        shape = [
            1 if i == 0 else steps if size is None else size for i, size in enumerate(spec.shape)
        ]
        kind = spec.dtype.as_numpy_dtype
        if spec.name.endswith(("lengths", "_sizes")):
            made[spec.name] = np.full(shape, steps, np.int32)
        elif spec.name.endswith("_status"):
            made[spec.name] = np.zeros(shape, np.int32)
        elif spec.dtype.is_integer:
            low, high = (0, 256) if kind == np.uint8 else (4, _TOKENS)
            made[spec.name] = np.array(rng.integers(low, high, shape), kind)
        else:
            made[spec.name] = rng.normal(0, 0.3, shape).astype(np.float32)
    return made
