"""Text generation against nanoGPT on a CPU: loss at equal minutes, and characters a second.

nanoGPT (<https://github.com/karpathy/nanoGPT>) trains with the settings that its README names for a
CPU. Then `seqapps.recipes.generate` trains on the same text for the seconds that took; both are
scored on the same random windows of the validation text, each read from its beginning; and both
write: one text and 64 at once, by turns, seqapps from its SavedModel, nanoGPT with its own sampler.

    python benchmarks/generate_nanogpt.py input.txt [--nanogpt FOLDER] [--torch-python PYTHON] \
        > result.json

Without `--nanogpt`, a copy of that repository, a stand-in written after it is used, and the result
says so. PyTorch is in the extra `bench`; `--torch-python` names an interpreter that has it, where
this one has not. `make bench` passes over this program when there is no text.
"""

import argparse
import dataclasses
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from seqapps.lazy import start_tensorflow

start_tensorflow()

import tensorflow as tf  # noqa: E402
from _equal_seconds import learn, updates_within  # noqa: E402

from seqapps.bundle.servable import write_servable  # noqa: E402
from seqapps.config import to_json  # noqa: E402
from seqapps.recipes.generate.recipe import RECIPE, Config  # noqa: E402
from seqapps.recipes.generate.scores import token_losses, window_loss  # noqa: E402
from seqapps.recipes.generate.settings import LanguageModel  # noqa: E402
from seqapps.text.settings import RunningText  # noqa: E402
from seqapps.training import run as training_run  # noqa: E402
from seqapps.training.settings import Training  # noqa: E402

HERE = Path(__file__).parent
WINDOWS = 2400
"""Random windows that both are scored on."""


class Other:
    """The process in which nanoGPT runs."""

    def __init__(self, wanted):
        command = [wanted.torch_python, str(HERE / "_nanogpt.py"), str(wanted.text)]
        if wanted.nanogpt:
            command += ["--nanogpt", str(wanted.nanogpt)]
        if wanted.iterations:
            command += ["--iterations", str(wanted.iterations)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._answer()

    def __call__(self, order):
        """Gives an order and waits for what it found."""
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit("nanoGPT's process ended; does its Python have PyTorch? See --torch-python.")
        return json.loads(line)

    def close(self):
        """Ends it."""
        self._process.communicate()


def settings(wanted, steps):
    """Ours: a GRU of one layer, in small batches, its schedule laid out over so many updates."""
    return Config(
        data=dataclasses.replace(Config().data, train=str(wanted.text.absolute())),
        text=RunningText(window=wanted.window),
        model=LanguageModel(
            embedding=64,
            units=wanted.units,
            depth=wanted.depth,
            dropout=wanted.dropout,
            output_dropout=wanted.dropout,
        ),
        training=Training(
            epochs=1000,
            max_steps=steps,
            patience=0,
            monitor="loss",
            label_smoothing=0.0,
            batch_tokens=wanted.batch_tokens,
            learning_rate=wanted.learning_rate,
            warmup_steps=100,
            weight_decay=0.02,
            average_decay=0.98,
            precision=wanted.precision,
            tensorboard=False,
        ),
    )


def write_text(call, interface, rows, tokens, seed):
    """Draws `rows` texts of `tokens` characters; the seconds that it takes."""
    options = {}
    for option in interface.options:
        value = {"max_length": tokens, "min_length": tokens, "seed": seed}.get(
            option.name, option.default
        )
        options[option.name] = (
            tf.zeros([1, 0], tf.string) if option.rank else tf.constant([value], option.dtype)
        )
    prompts = tf.constant(["\n"] * rows)
    options["seed"] = tf.constant(np.arange(rows) + seed, tf.int64)
    began = time.perf_counter()
    found = call(prompt=prompts, **options)
    assert min(map(len, found["text"].numpy())) >= tokens
    return time.perf_counter() - began


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path, nargs="?", help="Tiny Shakespeare's input.txt")
    parser.add_argument("--nanogpt", type=Path, help="a copy of nanoGPT's repository")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python with PyTorch")
    parser.add_argument("--iterations", type=int, default=0, help="of nanoGPT; 0 for all 2,000")
    parser.add_argument("--units", type=int, default=384)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=500, help="characters of each text")
    wanted = parser.parse_args()
    if not wanted.text:
        print("generate_nanogpt.py was passed over: it needs a text.", file=sys.stderr)
        print(json.dumps({"benchmark": "generate_nanogpt", "run": False}))
        return
    other = Other(wanted)
    print(f"nanoGPT's side: {other.about['network']}", file=sys.stderr)
    validation, block = other.about["validation_characters"], other.about["block"]
    starts = np.random.default_rng(0).integers(0, validation - block, WINDOWS)
    theirs = {**other("train"), **other("score " + " ".join(map(str, starts)))}
    print(f"nanoGPT: {theirs}", file=sys.stderr)
    planned = updates_within(theirs["seconds"], lambda steps: settings(wanted, steps))
    config = settings(wanted, planned)
    examples, learned = learn(config, seconds=theirs["seconds"])
    network = training_run._in_float32(RECIPE, config, examples, learned.network)
    progress = learned.progress
    losses = token_losses(network, examples.test)
    # A mark stands before the text and one behind it.
    if len(examples.test) != validation + 2:
        sys.exit(f"the validation texts differ: {len(examples.test) - 2} and {validation} tokens.")
    windows = examples.test[1 + starts[:, np.newaxis] + np.arange(block + 1)]
    ours = {
        "seconds": progress.seconds,
        "updates": progress.history[-1]["steps"],
        "planned_updates": planned,
        "parameters": network.count_params(),
        "loss_of_whole_text": float(losses.mean()),
        "loss_of_random_windows": window_loss(network, windows),
    }
    print(f"seqapps: {ours}", file=sys.stderr)
    interface = RECIPE.interface(config)
    with tempfile.TemporaryDirectory() as folder:
        write_servable(
            Path(folder) / "1",
            answers=RECIPE.answers(config, network, examples.assets),
            variables=network.variables,
            interface=interface,
        )
        loaded = tf.saved_model.load(str(Path(folder) / "1"))
        speeds = {}
        for rows in (1, 64):
            rates = {"seqapps": [], "nanogpt": []}
            for number in range(wanted.rounds + 1):
                seconds = write_text(
                    loaded.signatures["options"], interface, rows, wanted.tokens, number
                )
                found = {
                    "seqapps": seconds,
                    "nanogpt": other(f"write {rows} {wanted.tokens}")["seconds"],
                }
                for name, seconds in found.items():
                    speed = rows * wanted.tokens / seconds
                    print(f"{rows} at once  {name:8} {speed:9.0f} characters/s", file=sys.stderr)
                    # The first round warms up.
                    if number:
                        rates[name].append(speed)
            medians = {name: float(np.median(values)) for name, values in rates.items()}
            speeds[f"{rows} at once"] = {
                "median": medians,
                "ratio": round(medians["seqapps"] / medians["nanogpt"], 3),
                "rounds": rates,
            }
    other.close()
    result = {
        "benchmark": "generate_nanogpt",
        "nanogpt": {**other.about, **theirs},
        "seqapps": ours,
        "loss_difference": round(
            theirs["loss_of_random_windows"] - ours["loss_of_random_windows"], 4
        ),
        "characters a second": speeds,
        "settings": {k: str(v) for k, v in vars(wanted).items()},
        "config": to_json(config),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
        "tensorflow": tf.__version__,
    }
    assert math.isfinite(result["loss_difference"])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
