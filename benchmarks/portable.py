"""A bundle's ONNX form beside its SavedModel: one sentence, and the start of `predict`.

    python benchmarks/portable.py saved_models/translate/demo > result.json

`latency_ms`: both answer the same sentence in turn. `start_s`: from the start of a process to its
answer, with each of them, in turn too; `predictor.py` is the one that needs no seqapps.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seqapps.bundle.application import load
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.translate import phrasebook


def medians(
    sides: Mapping[str, Callable[[], Any]], *, rounds: int, unit_s: float
) -> dict[str, Any]:
    """Lets the sides take turns: the median time of each, in units of so many seconds."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            begun = time.perf_counter()
            side()
            if number:  # The first time, functions are traced and files are read from the disk.
                times[name].append((time.perf_counter() - begun) / unit_s)
    found = {name: statistics.median(each) for name, each in times.items()}
    for name, median in found.items():
        print(f"{name:20} {median:9.3f}", file=sys.stderr)
    return {"median": found, "ratio": found["SavedModel"] / found["ONNX"], "rounds": rounds}


def start(*command: str, text: str) -> Callable[[], Any]:
    """A process that reads the text and answers."""
    return lambda: subprocess.run(
        [sys.executable, *command], input=f"{text}\n", text=True, capture_output=True, check=True
    )


def measure(bundle: Path, exported: Path, *, sentence: str, rounds: int, starts: int) -> Any:
    """Both measurements."""
    saved, onnx = load(bundle), OnnxApplication(exported)
    recipe = f"seqapps.recipes.{onnx.recipe}"
    print("milliseconds of one answer", file=sys.stderr)
    latency = medians(
        {"SavedModel": lambda: saved([sentence]), "ONNX": lambda: onnx([sentence])},
        rounds=rounds,
        unit_s=1e-3,
    )
    print("seconds from start to answer", file=sys.stderr)
    begins = medians(
        {
            "SavedModel": start("-m", recipe, "predict", str(bundle), text=sentence),
            "ONNX": start("-m", recipe, "predict", str(exported), text=sentence),
            "predictor.py": start(str(exported / "predictor.py"), text=sentence),
        },
        rounds=starts,
        unit_s=1.0,
    )
    return {"latency_ms": latency, "start_s": begins}


def main() -> None:
    """Exports, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path, nargs="?", help="one that takes text")
    parser.add_argument("--sentence", default="", help="by default one of the embedded texts")
    parser.add_argument("--rounds", type=int, default=100, help="answers of each form")
    parser.add_argument("--starts", type=int, default=7, help="processes of each form")
    options = parser.parse_args()
    bundle = options.bundle or Path("saved_models/translate/demo")
    if not options.bundle and not bundle.exists():
        print(f"portable.py was passed over: there is no bundle at {bundle}.", file=sys.stderr)
        print(json.dumps({"benchmark": "portable", "run": False}))
        return
    sentence = options.sentence or phrasebook.pairs(train=1, validation=0, test=0).train[0][0]
    recipe = json.loads((bundle / "config.json").read_text())["recipe"]
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder, "onnx")
        subprocess.run(
            [sys.executable, "-m", f"seqapps.recipes.{recipe}", "export", str(bundle)]
            + ["--format", "onnx", "--output", str(exported)],
            check=True,
            stdout=sys.stderr,
        )
        result = {
            "benchmark": "portable",
            **measure(
                bundle, exported, sentence=sentence, rounds=options.rounds, starts=options.starts
            ),
            "settings": {"bundle": str(bundle), "recipe": recipe, "sentence": sentence},
            "cores": len(os.sched_getaffinity(0)),
            "load_average": os.getloadavg()[0],
            "machine": platform.processor() or platform.machine(),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
