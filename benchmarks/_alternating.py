"""What the benchmarks share: sides that take turns within one run, and how they are compared."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

OURS = "seqapps"
"""The side that the others are compared with."""


@dataclass(frozen=True)
class Side:
    """A compiled model and what it learns from."""

    model: keras.Model
    """Its `fit` is measured."""
    dataset: Callable[[], tf.data.Dataset]
    """The batches of one round."""
    amount: int
    """How many units (tokens, texts ...) are in a round."""


def compare(
    sides: Mapping[str, Side],
    *,
    benchmark: str,
    unit: str,
    rounds: int,
    settings: Mapping[str, Any],
) -> None:
    """Lets the sides take turns; prints JSON on standard output, and a table on standard error.

    Args:
        sides: By name; one of them is `OURS`.
        benchmark: Name of the program.
        unit: What is counted, without "a second".
        rounds: Turns that each side has and that count. One more comes before them, in which
            functions are traced.
        settings: Of the program, to be able to repeat it.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            dataset = side.dataset()
            start = time.perf_counter()
            side.model.fit(dataset, shuffle=False, verbose=0)
            rate = side.amount / (time.perf_counter() - start)
            if number:
                rates[name].append(rate)
            label = f"round {number}" if number else "warm-up"
            print(f"{label:8} {name:20} {rate:8.0f} {unit}/s", file=sys.stderr)
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    result = {
        "benchmark": benchmark,
        "unit": f"{unit}/s",
        "median": {name: round(value, 1) for name, value in medians.items()},
        "ratio": {
            name: round(medians[OURS] / value, 3) for name, value in medians.items() if name != OURS
        },
        "rounds": {name: [round(value, 1) for value in values] for name, values in rates.items()},
        "parameters": {name: _parameters(side.model) for name, side in sides.items()},
        "settings": dict(settings),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    print(json.dumps(result, indent=2))
    _table(result)


def _parameters(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


def _table(result: Mapping[str, Any]) -> None:
    heads = "".join(f"{head:>10}" for head in ("median", "least", "most", "ratio"))
    print(f"\n{'':20}{heads}  {result['unit']}", file=sys.stderr)
    for name, values in result["rounds"].items():
        numbers = "".join(f"{n:10.0f}" for n in (np.median(values), min(values), max(values)))
        ratio = f"{result['ratio'][name]:10.2f}" if name in result["ratio"] else ""
        print(f"{name:20}{numbers}{ratio}", file=sys.stderr)
