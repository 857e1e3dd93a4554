"""Trains on data that no default was made for, beside the strongest simple thing, set by set.

    python benchmarks/strangers.py FOLDER --output RESULTS [--sets core|all|NAME,NAME ...]

FOLDER has a folder RECIPE/NAME for each set: `train.tsv`, `val.tsv`, `test.tsv` with a header (two
columns of text and label, or of two languages), the same as `.txt`, or `manifest.tsv` (`path`,
`text`, `split`). Each set is trained in a process of its own with pure defaults and the minutes
below, one after the other; what is in RESULTS already is not run again. The table of all that is
there goes to RESULTS/STRANGERS.md, and as JSON to standard output.

The simple thing: texts to classify, TF-IDF of words or characters with logistic regression; texts
to write, a Kneser-Ney n-gram of characters; sentence pairs, the source itself or the target of the
nearest training source; speech, the commonest transcript, or nothing. What it needs to be chosen
is chosen on the validation split. Behind an error rate stands its interval of 95 %, from drawing
recordings anew.
"""

import argparse
import csv
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

import jiwer
import numpy as np

from seqapps.recipes.translate.baseline import NearestSource
from seqapps.recipes.translate.metrics import bleu
from seqapps.text.ngram import NGram

CORE = (
    "chabsa-ja",
    "customer-reviews",
    "germeval2018-coarse",
    "reuters-r8",
    "sms-spam",
    "trec-coarse",
    "onegin-ru",
    "hongloumeng-zh",
    "tatoeba-en-fr",
    "jupyterlab-ui-en-ja",
    "asterisk-es",
    "ljspeech-part",
)
"""Sets on which defaults are judged: one pass takes an hour and a half at most."""

MINUTES = {"sentiment": 5.0, "generate": 5.0, "translate": 5.0, "transcribe": 10.0}
SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""A setting of `data` → the name of its file."""


def table(path):
    """The rows of a table, without its header, and the header."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    return rows, header


def arguments(recipe, folder, place):
    """The flags that say where a set's data are, and no others."""
    if recipe == "transcribe":
        rows, header = table(folder / "manifest.tsv")
        for split, name in SPLITS.items():
            own = [row for row in rows if row[header.index("split")] == name]
            manifest = place / f"{split}.tsv"
            lines = [
                f"{(folder / row[header.index('path')]).resolve()}\t{row[header.index('text')]}"
                for row in own
            ]
            manifest.write_text("\n".join(["path\ttext", *lines, ""]), encoding="utf-8")
        files = {split: place / f"{split}.tsv" for split in SPLITS}
    else:
        ending = "txt" if recipe == "generate" else "tsv"
        files = {split: folder / f"{name}.{ending}" for split, name in SPLITS.items()}
    flags = [word for split, file in files.items() for word in (f"--data.{split}", str(file))]
    if recipe == "translate":
        _, (source, target) = table(folder / "train.tsv")
        flags += ["--data.source", source, "--data.target", target]
    return flags


def classify(folder):
    """Accuracy of the best of four linear models, in percent."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    splits = {name: table(folder / f"{name}.tsv")[0] for name in SPLITS.values()}
    texts = {name: [text for text, _ in rows] for name, rows in splits.items()}
    labels = {name: np.array([label for _, label in rows]) for name, rows in splits.items()}
    tried = {}
    for unit, n_grams in (("word", (1, 2)), ("char", (1, 4))):
        vectors = TfidfVectorizer(
            analyzer=unit, ngram_range=n_grams, sublinear_tf=True, min_df=2 if unit == "char" else 1
        )
        features = {"train": vectors.fit_transform(texts["train"])}
        features |= {name: vectors.transform(texts[name]) for name in ("val", "test")}
        for strength in (1.0, 10.0):
            model = LogisticRegression(C=strength, max_iter=1000)
            model.fit(features["train"], labels["train"])
            right = {
                name: 100.0 * float((model.predict(features[name]) == labels[name]).mean())
                for name in ("val", "test")
            }
            tried[f"{unit} {n_grams[0]}-{n_grams[1]}-grams, C={strength:g}"] = right
    name = max(tried, key=lambda name: tried[name]["val"])
    return name, tried[name]["test"]


def write(folder):
    """Bits a character of the best Kneser-Ney n-gram of characters."""
    texts = {name: (folder / f"{name}.txt").read_text(encoding="utf-8") for name in SPLITS.values()}
    ids = {sign: number for number, sign in enumerate(sorted(set("".join(texts.values()))))}
    coded = {name: np.array([ids[sign] for sign in text]) for name, text in texts.items()}

    def bits(order, name):
        model = NGram.fit([coded["train"]], order=order, vocabulary=len(ids))
        return -float(np.mean(model.log_probs(coded[name]))) / math.log(2)

    by_order = {order: bits(order, "val") for order in range(2, 11)}
    order = min(by_order, key=by_order.get)
    return f"Kneser-Ney, {order} characters", bits(order, "test")


def translate(folder):
    """BLEU of the better of two: the source as it is, the nearest training source's target."""
    pairs = {
        name: list(zip(*table(folder / f"{name}.tsv")[0], strict=True)) for name in SPLITS.values()
    }
    nearest = NearestSource().fit(*pairs["train"])
    tried = {"the source": lambda sources: list(sources), "the nearest": nearest.answer}
    scores = {
        name: {split: bleu(answer(pairs[split][0]), pairs[split][1]).value for split in pairs}
        for name, answer in tried.items()
    }
    name = max(scores, key=lambda name: scores[name]["val"])
    return name, scores[name]["test"]


def transcribe(folder):
    """Word error rate of the commonest transcript for everything, in percent."""
    rows, header = table(folder / "manifest.tsv")
    said = {
        name: [
            row[header.index("text")].casefold()
            for row in rows
            if row[header.index("split")] == name
        ]
        for name in SPLITS.values()
    }
    common = max(sorted(set(said["train"])), key=said["train"].count)
    answers = [common] * len(said["test"])
    spaces = any(" " in text for text in said["train"])
    rate = 100.0 * (jiwer.wer if spaces else jiwer.cer)(said["test"], answers)
    return "the commonest transcript, or nothing", min(rate, 100.0)


SIMPLE = {
    "sentiment": classify,
    "generate": write,
    "translate": translate,
    "transcribe": transcribe,
}

OURS = {
    "sentiment": lambda metrics: 100.0 * metrics["accuracy"],
    "generate": lambda metrics: metrics["bits_per_character"],
    "translate": lambda metrics: metrics["bleu"],
    # Of languages without spaces there is no error rate of words.
    "transcribe": lambda metrics: metrics.get("wer", metrics["cer"]),
}
MEASURE = {
    "sentiment": "accuracy, %",
    "generate": "bits a character",
    "translate": "BLEU",
    "transcribe": "errors, %",
}


def run(recipe, folder, output, minutes):
    """Trains on one set; what came out, ready for JSON."""
    place = output / recipe / folder.name
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"seqapps.recipes.{recipe}", "train"]
    command += [*arguments(recipe, folder, place), "--training.minutes", f"{minutes:g}"]
    command += ["--output", str(place / "bundle"), "--overwrite"]
    began = time.monotonic()
    with (place / "log.txt").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
    seconds = time.monotonic() - began
    result = {"recipe": recipe, "set": folder.name, "minutes": minutes, "seconds": round(seconds)}
    if code:
        return {**result, "failed": (place / "log.txt").read_text("utf-8").strip()[-400:]}
    metrics = json.loads((place / "bundle" / "metrics.json").read_text("utf-8"))
    name, simple = SIMPLE[recipe](folder)
    return {
        **result,
        "ours": round(OURS[recipe](metrics), 3),
        "simple": round(simple, 3),
        "simple_thing": name,
        "cer": metrics.get("cer"),
        "interval": metrics.get("wer_interval", metrics.get("cer_interval")),
        "warnings": metrics.get("warnings", []),
    }


def report(results):
    """The table, in Markdown."""
    lines = [
        "| Recipe | Set | Measure | Ours | The simple thing | Which | Minutes given, taken |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results:
        time_s = f"{row['minutes']:g}, {row['seconds'] / 60:.1f}"
        start = f"| {row['recipe']} | {row['set']} | {MEASURE[row['recipe']]} |"
        if "failed" in row:
            lines.append(f"{start} failed | | | {time_s} |")
            continue
        ours = f"{row['ours']:.2f}"
        if row["interval"]:
            low, high = row["interval"]
            ours += f" ({low:.1f} to {high:.1f}; CER {row['cer']:.1f})"
        # Said on its card: no better than a constant answer, say.
        warned = "".join(f"; warning: {warning}" for warning in row["warnings"])
        lines.append(
            f"{start} {ours} | {row['simple']:.2f} | {row['simple_thing']}{warned} | {time_s} |"
        )
    lines.append("")
    for recipe, rows in itertools.groupby(results, lambda row: row["recipe"]):
        rows = [row for row in rows if "failed" not in row]
        if not rows:
            continue
        ours, simple = ([row[side] for row in rows] for side in ("ours", "simple"))
        if recipe == "sentiment":
            near = sum(a >= b - 0.5 for a, b in zip(ours, simple, strict=True))
            said = f"at least the simple thing less half a point on {near} of {len(rows)} sets; "
            said += f"{mean(ours) - mean(simple):+.2f} points on average"
        elif recipe == "transcribe":
            said = f"errors below 60 % on {sum(a < 60 for a in ours)} of {len(rows)} sets"
        else:
            ratios = [a / b for a, b in zip(ours, simple, strict=True)]
            better = sum((r > 1) == (recipe == "translate") for r in ratios)
            said = f"better than the simple thing on {better} of {len(rows)} sets; "
            said += f"{mean(ratios):.2f} times it on average"
        lines.append(f"- {recipe}: {said}.")
    return "\n".join(lines) + "\n"


def main():
    """Runs the sets that are asked for, and shows all that were run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="has RECIPE/NAME for each set")
    parser.add_argument("--output", type=Path, default=Path("saved_models/strangers"))
    parser.add_argument("--sets", default="core", help="core, all, or names with commas")
    parser.add_argument("--factor", type=float, default=1.0, help="of the minutes of each recipe")
    options = parser.parse_args()
    if not options.folder:
        print("strangers.py needs a folder of sets; it is passed over", file=sys.stderr)
        return
    wanted = CORE if options.sets == "core" else tuple(options.sets.split(","))
    results = []
    for recipe, minutes in MINUTES.items():
        for folder in sorted((options.folder / recipe).iterdir()):
            kept = options.output / recipe / folder.name / "result.json"
            if (options.sets == "all" or folder.name in wanted) and not kept.exists():
                print(f"{recipe}: {folder.name}", file=sys.stderr)
                result = run(recipe, folder, options.output, minutes * options.factor)
                kept.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
                print(json.dumps(result), file=sys.stderr)
            if kept.exists():
                results.append(json.loads(kept.read_text("utf-8")))
    text = report(results)
    (options.output / "STRANGERS.md").write_text(text, encoding="utf-8")
    print(text, file=sys.stderr)
    machine = {"cores": len(os.sched_getaffinity(0)), "machine": platform.processor()}
    print(json.dumps({"benchmark": "strangers", **machine, "results": results}, indent=2))


if __name__ == "__main__":
    main()
