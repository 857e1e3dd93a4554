"""Further processes that `tune --processes` starts: what they are told, and what they do."""

import json
import os
import signal
import sys
import threading
from dataclasses import asdict, replace
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from seqapps.config import from_dict
from seqapps.errors import UserError
from seqapps.lazy import start_tensorflow
from seqapps.recipe import Recipe
from seqapps.report import Reporter
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.task import Task

_CODE = """
import json, sys
told = json.loads(sys.argv[1])
sys.path[:] = told["path"]
from seqapps.tuning.worker import main
sys.exit(main(told))
"""


def command_line(recipe: Recipe[Any, Any], folder: StudyFolder, task: Task) -> list[str]:
    """The command that starts a helper on a study.

    Raises:
        UserError: If another process cannot find the recipe.
    """
    told = {
        "path": sys.path,
        "recipe": _address(recipe),
        "folder": str(folder.path),
        "task": asdict(replace(task, helper=True)),
    }
    return [sys.executable, "-c", _CODE, json.dumps(told)]


def main(told: dict[str, Any]) -> int:
    """Works on a study until it is complete or standard input ends; returns the exit code."""
    # Ctrl-C reaches every process of a terminal; the first one decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = StudyFolder(Path(told["folder"]))
    threading.Thread(target=_end_with_the_other, args=(folder,), daemon=True).start()
    start_tensorflow()
    from seqapps.tuning.participant import work

    recipe = _find(told["recipe"])
    plan = folder.plan
    config = from_dict(recipe.config, plan["settings"], source=str(folder.path / "study.json"))
    space = {path: recipe.space[path] for path in plan["space"]}
    try:
        work(recipe, config, space, folder, Task(**told["task"]), Reporter()).close()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _end_with_the_other(folder: StudyFolder) -> None:
    # Not by sys.stdin: its lock, held by this thread, would be an error at exit.
    while os.read(0, 1):
        pass
    # At once: the trial at hand goes to whoever resumes.
    folder.note_stop()
    os._exit(1)


def _address(recipe: Recipe[Any, Any]) -> dict[str, str]:
    """Where another process finds a recipe: a module's name, or a file."""
    for name in (recipe.config.__module__, recipe.load.__module__, "__main__"):
        module = sys.modules.get(name)
        if getattr(getattr(module, "RECIPE", None), "name", None) != recipe.name:
            continue
        if name != "__main__":
            return {"module": name}
        spec = getattr(module, "__spec__", None)
        if spec is not None:
            return {"module": spec.name}
        if file := getattr(module, "__file__", None):
            return {"file": str(Path(file).resolve())}
    raise UserError(
        f"--processes needs the recipe {recipe.name} as RECIPE in a module, for other processes to "
        "find it; use --processes 1, or start the command several times with --resume."
    )


def _find(address: dict[str, str]) -> Any:
    if "module" in address:
        return import_module(address["module"]).RECIPE
    spec = spec_from_file_location(Path(address["file"]).stem, address["file"])
    if spec is None or spec.loader is None:
        raise UserError(f"{address['file']} is not a Python module.")
    module = module_from_spec(spec)
    # Before it runs: docstrings of settings are looked up by the module's name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.RECIPE
