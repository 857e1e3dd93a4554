"""Networks in ONNX with 8-bit weights, and what they cost.

Products and tables are computed with 8-bit weights, activations are quantised as they come
("dynamic"). ONNX Runtime has no such form of a GRU: its weights are stored with 8 bits and made
whole once, when the network is opened.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqapps.fields import Parts

_COMPUTED = ("MatMul", "Gather", "LSTM")
_MOVED = ("Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_RANGE = 127
"""Weights become whole numbers from -127 to 127."""


@dataclass(frozen=True)
class Loss:
    """What 8-bit weights cost."""

    metrics: Mapping[str, Mapping[str, float]]
    """Metric → `float32` and `int8`."""
    on: str
    """What was measured on."""
    bytes_before: int
    """Of the networks."""
    bytes_after: int
    """Of the same with 8-bit weights."""

    def to_json(self) -> dict[str, Any]:
        """For the certificate."""
        return {
            "metrics": {name: dict(values) for name, values in self.metrics.items()},
            "on": self.on,
            "bytes": {"float32": self.bytes_before, "int8": self.bytes_after},
        }

    def lines(self) -> list[str]:
        """For the card."""
        return [
            "",
            f"What 8-bit weights cost, on {self.on}:",
            "",
            "| metric | float32 | int8 | change |",
            "|---|---|---|---|",
            *(
                f"| {name} | {v['float32']:g} | {v['int8']:g} | {v['int8'] - v['float32']:+.4g} |"
                for name, v in self.metrics.items()
            ),
            "",
            f"The networks take {_size(self.bytes_after)} in place of {_size(self.bytes_before)}.",
        ]

    def said(self) -> str:
        """In one line."""
        changes = ", ".join(
            f"{name} {v['float32']:g} → {v['int8']:g}" for name, v in self.metrics.items()
        )
        return (
            f"int8 costs, on {self.on}: {changes}; networks {_size(self.bytes_before)} → "
            f"{_size(self.bytes_after)}"
        )


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def quantise(folder: Path, parts: Parts) -> tuple[int, int]:
    """Makes the weights of every network 8-bit, in place.

    Args:
        folder: Holds `NAME.onnx` for each of the networks.
        parts: The networks.

    Returns:
        Bytes of all networks before and after.
    """
    before, after = 0, 0
    for name, part in parts.parts.items():
        path = folder / f"{name}.onnx"
        before += path.stat().st_size
        quantise_network(path, wide=part.wide)
        after += path.stat().st_size
    return before, after


def quantise_network(path: Path, *, wide: Sequence[str] = ()) -> None:
    """Makes the weights of one network 8-bit, in place.

    Args:
        path: The file.
        wide: Inputs with which no product is quantised.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_suffix(".whole")
    path.rename(whole)
    with _quiet():
        quantize_dynamic(
            str(whole),
            str(path),
            weight_type=QuantType.QInt8,
            # Of 7 bits: sums of two products of 8 do not fit where a processor lacks VNNI.
            reduce_range=True,
            per_channel=True,
            op_types_to_quantize=list(_COMPUTED),
            nodes_to_exclude=_readers(onnx.load(str(whole)).graph, wide),
        )
    whole.unlink()
    model = onnx.load(str(path))
    _store(model.graph)
    onnx.save(model, str(path))


def _readers(graph: Any, wide: Sequence[str]) -> list[str]:
    """Names of the nodes that compute with these inputs as they are."""
    same, readers = set(wide), []
    for node in graph.node:
        if same.intersection(node.input):
            readers.append(node.name)
            if node.op_type in _MOVED:
                same.update(node.output)
    return readers


def _store(graph: Any) -> None:
    """Stores the weights of GRUs with 8 bits and a scale for each output of a gate."""
    from onnx import helper, numpy_helper

    weights = {value.name: value for value in graph.initializer}
    names = dict.fromkeys(
        name
        for node in graph.node
        if node.op_type == "GRU"
        for name in node.input[1:3]
        if name in weights
    )
    nodes = []
    for name in names:
        whole_1GD = numpy_helper.to_array(weights[name])
        scale_G = np.maximum(np.abs(whole_1GD).max((0, 2)) / _RANGE, np.finfo(np.float32).tiny)
        scale_G = scale_G.astype(np.float32)
        small_1GD = np.rint(whole_1GD / scale_G[:, np.newaxis]).astype(np.int8)
        graph.initializer.remove(weights[name])
        graph.initializer.extend(
            [
                numpy_helper.from_array(small_1GD, f"{name}_int8"),
                numpy_helper.from_array(scale_G, f"{name}_scale"),
            ]
        )
        nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [f"{name}_int8", f"{name}_scale"],
                [name],
                f"{name}_whole",
                axis=1,
            )
        )
    # Nodes stand in the order in which they are computed.
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the library advises to those who write converters to itself."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
