"""Text generation with each recurrent cell: loss after equal seconds of training on one text.

GRU, LSTM, minGRU and vanilla RNN layers of equal width learn for the same seconds, one after
another, each with a schedule laid out for as many updates as fit, which two short trials tell.

    python benchmarks/generate_cells.py input.txt [--seconds 120] > result.json

`make bench` passes over this program when there is no text.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
from pathlib import Path

from seqapps.lazy import start_tensorflow

start_tensorflow()

import tensorflow as tf  # noqa: E402
from _equal_seconds import learn, updates_within  # noqa: E402

from seqapps.recipes.generate.recipe import Config  # noqa: E402
from seqapps.recipes.generate.scores import token_losses  # noqa: E402

CELLS = ("gru", "lstm", "mingru", "rnn")


def settings(wanted, cell, steps):
    """The recipe's own, with another cell and its schedule laid out over so many updates."""
    default = Config()
    return dataclasses.replace(
        default,
        data=dataclasses.replace(default.data, train=str(wanted.text.absolute())),
        model=dataclasses.replace(default.model, cell=cell, units=wanted.units),
        training=dataclasses.replace(
            default.training, epochs=10_000, max_steps=steps, patience=0, tensorboard=False
        ),
        seed=wanted.seed,
    )


def measure(wanted, cell):
    """One row of the table."""
    planned = updates_within(wanted.seconds, lambda steps: settings(wanted, cell, steps))
    examples, learned = learn(settings(wanted, cell, planned), seconds=wanted.seconds)
    return {
        "cell": cell,
        "parameters": learned.network.count_params(),
        "seconds": round(learned.progress.seconds, 1),
        "planned_updates": planned,
        "updates": learned.progress.history[-1]["steps"],
        "loss_of_whole_text": round(float(token_losses(learned.network, examples.test).mean()), 4),
    }


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path, nargs="?", help="any text")
    parser.add_argument("--seconds", type=float, default=120.0, help="of training, each cell")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    wanted = parser.parse_args()
    if not wanted.text:
        print("generate_cells.py was passed over: it needs a text.", file=sys.stderr)
        print(json.dumps({"benchmark": "generate_cells", "run": False}))
        return
    table = []
    for cell in wanted.cells:
        table.append(measure(wanted, cell))
        print(table[-1], file=sys.stderr)
    result = {
        "benchmark": "generate_cells",
        "table": table,
        "settings": {k: str(v) for k, v in vars(wanted).items()},
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
        "tensorflow": tf.__version__,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
