"""`python -m seqapps`: which applications there are, and what this machine offers them."""

import ast
import importlib
import json
import math
import os
import pkgutil
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import FileFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import seqapps.recipes
from seqapps.arguments import Command, NoOptions, Program, positional, run
from seqapps.bundle.folder import read_config
from seqapps.config import Settings
from seqapps.environment import KERAS_ASKED, MATPLOTLIB_ASKED, keras_configured
from seqapps.errors import UserError
from seqapps.lazy import start_tensorflow
from seqapps.report import Reporter
from seqapps.serving import command as serving_command

PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "jsonargparse",
    "sentencepiece",
    "sacrebleu",
    "scikit-learn",
    "tensorflow-datasets",
    "tensorboard",
    "matplotlib",
    "optuna",
    "jiwer",
    "tf2onnx",
    "onnxruntime",
    "soundfile",
    "soxr",
    "espeakng-loader",
    "starlette",
    "uvicorn",
    "tensorflow-serving-api",
)
"""What doctor reports; the distributions that seqapps works with."""


def recipes() -> dict[str, str]:
    """Returns module name → first line of its docstring for every recipe.

    The sources are parsed, not imported: a recipe may need seconds or missing extras.
    """
    summaries = {}
    for finder, name, _ in pkgutil.iter_modules(seqapps.recipes.__path__):
        spec = finder.find_spec(name) if isinstance(finder, FileFinder) else None
        if spec is None or spec.origin is None or name.startswith("_"):
            continue
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        summaries[f"seqapps.recipes.{name}"] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return summaries


def list_recipes(options: NoOptions, settings: Settings[Any]) -> None:
    """Prints one line and one command for each recipe."""
    lines = [f"seqapps {seqapps.__version__}: {seqapps.__doc__}", ""]
    for module, summary in recipes().items():
        lines += [f"  {summary}", f"    python -m {module}", ""]
    lines += [
        "Each command trains on embedded data and shows what to do next; add --help for more.",
        "This machine: python -m seqapps doctor",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def doctor(options: NoOptions, settings: Settings[Any]) -> None:
    """Prints what a bug report needs and what decides how fast training is."""
    rows = [("seqapps", seqapps.__version__), ("python", platform.python_version())]
    rows += [(package, _version(package)) for package in PACKAGES]
    rows += [("platform", platform.platform()), ("cores", _cores()), ("tfds", _tfds())]
    rows += [("bfloat16", _bfloat16()), ("gpu", _gpus()), ("onednn", _onednn())]
    rows += [("keras-backend", _keras()), ("matplotlib-backend", _matplotlib())]
    rows += [("fresh-process", _fresh())]
    width = max(len(name) for name, _ in rows)
    sys.stdout.write("".join(f"{name:{width}}  {value}\n" for name, value in rows))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"not installed (pip install {package})"


def _cores() -> str:
    """Counts the cores this process may use, which containers restrict."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} of {os.cpu_count()}"


def _tfds() -> str:
    """Finds the folder of prepared data sets as tensorflow_datasets does."""
    folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    if not folder.is_dir():
        return f"{folder} (absent; made when a data set is prepared)"
    prepared = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    return f"{folder} ({', '.join(prepared) or 'empty'})"


def _bfloat16() -> str:
    from seqapps.training.precision import has_bfloat16

    if has_bfloat16():
        return "in the processor; training is faster with --training.precision auto"
    return "not in the processor, as far as it tells; training is faster in float32"


def _gpus() -> str:
    if find_spec("tensorflow") is None:
        return "unknown: tensorflow is not installed"
    start_tensorflow()
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return "none visible to TensorFlow; training runs on the CPU"
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return ", ".join(detail.get("device_name", "GPU") for detail in details)


def _onednn() -> str:
    """Says what TensorFlow says as an error on every machine, where its log level lets it."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return "off (TF_ENABLE_ONEDNN_OPTS=0)"
    return (
        "on, as TensorFlow chooses; a line 'oneDNN supports DT_INT32 only on platforms with "
        "AVX-512' is no fault"
    )


def _keras() -> str:
    """The backend, and who asked for another one."""
    asked = f"KERAS_BACKEND={KERAS_ASKED}" if KERAS_ASKED else keras_configured()
    if not asked or "tensorflow" in asked.partition(" in ")[0]:
        return "tensorflow"
    return f"tensorflow, set by seqapps for its own processes (not {asked})"


def _matplotlib() -> str:
    """What draws pictures: into files alone."""
    asked = MATPLOTLIB_ASKED
    return f"agg, set by seqapps for its own processes (not MPLBACKEND={asked})" if asked else "agg"


def _fresh() -> str:
    """Tries what a certificate needs, after hours of training perhaps."""
    from seqapps.portable import fresh

    if trouble := fresh.trial():
        return f"bundles cannot be certified here: {trouble}"
    return "finds TensorFlow; bundles can be certified"


@dataclass(frozen=True, kw_only=True)
class CertifyOptions:
    """Flags of `certify`."""

    bundle: Path = positional()
    """Folder that `train` wrote; or any SavedModel, of which operations and devices are checked."""
    exported: tuple[Path, ...] = positional(())
    """Folders that `export` wrote from it in ONNX or LiteRT."""
    json: bool = False
    """Print what was found as JSON; a difference that is no number is null."""


def _recipe(name: str, bundle: Path) -> Any:
    """The record of a recipe by its name in a bundle."""
    known = [module.rpartition(".")[2] for module in recipes()]
    if name not in known:
        raise UserError(
            f"{bundle} was made by the recipe {name!r}, which is not here; there are "
            f"{', '.join(known)}. Certify it with the version that made it."
        )
    return importlib.import_module(f"seqapps.recipes.{name}").RECIPE


def certify(options: CertifyOptions, settings: Settings[Any]) -> int:
    """Asks every form of a bundle again; 1 if one differs or a file was changed."""
    servable = next(
        (f for f in (options.bundle, options.bundle / "1") if (f / "saved_model.pb").is_file()),
        None,
    )
    if servable is None:
        name = read_config(options.bundle).recipe
    start_tensorflow()
    from seqapps.portable import certifying

    if servable:
        certificate = certifying.certify_servable(servable)
    else:
        log = Reporter().log
        recipe = _recipe(name, options.bundle)
        certificate = certifying.certify_bundle(
            options.bundle, options.exported, recipe=recipe, log=log
        )
    if options.json:
        rows = [
            row | ({} if math.isfinite(row["largest_difference"]) else {"largest_difference": None})
            for row in certificate["rows"]
        ]
        text = json.dumps(certificate | {"rows": rows}, ensure_ascii=False, indent=2)
    else:
        text = certifying.table(certificate)
    sys.stdout.write(text + "\n")
    return 0 if certificate["holds"] else 1


PROGRAM = Program(
    name="python -m seqapps",
    description="Applied sequence models: the recipes, and tools for all of them.",
    commands=(
        Command(name="recipes", help="List the applications", handler=list_recipes),
        Command(
            name="doctor",
            help="Show versions, cores, GPUs and the data folder",
            handler=doctor,
            examples=("doctor",),
        ),
        Command(
            name="certify",
            help="Ask every form of a bundle again, and check its files",
            handler=certify,
            options=CertifyOptions,
            examples=(
                "certify saved_models/translate/demo",
                "certify BUNDLE onnx/translate --json",
            ),
        ),
        serving_command.COMMAND,
    ),
)
"""Further tools are further commands; their handlers import what they need when they run."""


def main() -> int:
    """The command `seqapps`, and `python -m seqapps`; a recipe's name is its command line."""
    words = sys.argv[1:]
    named = words[0] if words else ""
    if named.isidentifier() and f"seqapps.recipes.{named}" in recipes():
        from seqapps.commands.program import run as run_recipe

        return run_recipe(importlib.import_module(f"seqapps.recipes.{named}").RECIPE, words[1:])
    return run(PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
