"""A bundle's ONNX form beside its SavedModel: one sentence, and the start of `predict`.

    python benchmarks/portable.py BUNDLE ONNX_FOLDER

Both answer the same sentence in turn; medians, and their ratio. Then `predict` is started with each
of them, from nothing to the answer.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from seqapps.bundle.application import load
from seqapps.portable.onnx_application import OnnxApplication

SENTENCE = "The old man is reading a book in the garden."
ROUNDS = 40
STARTS = 5


def main() -> int:
    """Measures and prints."""
    bundle, exported = map(Path, sys.argv[1:3])
    forms = {"SavedModel": load(bundle), "ONNX": OnnxApplication(exported)}
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(ROUNDS):
        for name, application in forms.items():
            begun = time.perf_counter()
            application([SENTENCE])
            times[name].append(time.perf_counter() - begun)
    medians = {name: 1000 * statistics.median(found[3:]) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:11} {median:8.2f} ms a sentence")
    print(f"ratio       {medians['SavedModel'] / medians['ONNX']:8.2f}")
    recipe = forms["ONNX"].recipe
    for name, folder in (("SavedModel", bundle), ("ONNX", exported)):
        found = []
        for _ in range(STARTS):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", f"seqapps.recipes.{recipe}", "predict", str(folder)],
                input=f"{SENTENCE}\n", text=True, capture_output=True, check=True,
            )  # fmt: skip
            found.append(time.perf_counter() - begun)
        print(f"{name:11} {statistics.median(found):8.2f} s from start to answer")
    return 0


if __name__ == "__main__":
    sys.exit(main())
