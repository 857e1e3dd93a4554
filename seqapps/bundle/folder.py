"""The folder of a bundle: written whole or not at all, and what its small files say."""

import csv
import ctypes
import errno
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from seqapps.bundle.earlier import completed
from seqapps.data.fingerprint import DataRecord
from seqapps.errors import UserError, full
from seqapps.fields import Assets, Interface
from seqapps.lazy import lazy_imports
from seqapps.version import __version__

with lazy_imports():
    import tensorflow as tf

_THEIRS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
}
"""Errors that a person can remove: no permission, no space, something else in the way."""

_KINDS = {
    "config.json": "bundle",
    "saved_model.pb": "SavedModel",
    "predictor.json": "ONNX export",
    "litert.json": "LiteRT export",
}
"""What a folder is, by the file that marks it."""


@contextmanager
def staging(
    output: Path, *, overwrite: bool, mark: str = "config.json", kept: str = ""
) -> Iterator[Path]:
    """Gives an empty folder beside `output` that takes its place when the body succeeds.

    A kill at any moment leaves the old folder or the new one. Leftovers of killed runs are swept.

    Args:
        output: Where the finished folder goes.
        overwrite: Whether what is there may be replaced.
        mark: The file by which a folder that may be replaced is known.
        kept: What to say, where the place cannot be written, of what is not lost.

    Raises:
        UserError: If something is at `output` and must not be overwritten, or the place cannot
            be written.
    """
    check_free(output, overwrite=overwrite, mark=mark)
    # Behind a link, so that what it points to is exchanged and not the link.
    place = output.resolve()
    folder = place.with_name(f".{place.name}.partial-{os.getpid()}")
    begun = False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        begun = True
        yield folder
        _sync(folder)
        if place.exists():
            _exchange(folder, place)
        else:
            folder.rename(place)
        _sync_folder(place.parent)
    except UserError:
        raise
    except Exception as error:
        reason, file = full(error), getattr(error, "filename", None) or folder
        # In the body other errors are ours; before it, the place alone can be at fault.
        if not reason and isinstance(error, OSError) and (not begun or error.errno in _THEIRS):
            reason = str(error.strerror)
        if not reason:
            raise
        raise UserError(
            f"{output} cannot be written: {reason} ({file}); free that place, or give another one "
            f"with --output.{kept and f' {kept}'}"
        ) from error
    finally:
        # After an exchange this is the old folder; after a failure, what was not finished.
        shutil.rmtree(folder, ignore_errors=True)


def check_free(output: Path, *, overwrite: bool, mark: str = "config.json") -> None:
    """Refuses an output that exists, before any time is spent.

    Args:
        output: Where a folder is to be written.
        overwrite: Whether what is there may be replaced.
        mark: The file by which a folder that may be replaced is known.

    Raises:
        UserError: If something is at `output` and must not be overwritten.
    """
    if not output.exists():
        return
    if not overwrite:
        raise UserError(
            f"{output} exists and nothing is overwritten unasked; "
            "give --overwrite, or another place with --output."
        )
    if not (output / mark).is_file() and not (output.is_dir() and _is_empty(output)):
        kind = _KINDS[mark]
        raise UserError(
            f"{output} is not a {kind} (it has no {mark}), and --overwrite replaces {kind}s "
            "alone; give another place with --output."
        )


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def sweep(place: Path) -> None:
    """Removes what killed runs left beside `place`; puts back a folder that was being replaced."""
    for leftover in place.parent.glob(f".{place.name}.*-*"):
        kind, _, owner = leftover.name.removeprefix(f".{place.name}.").partition("-")
        if kind not in ("partial", "old") or not owner.isdigit() or _is_running(int(owner)):
            continue
        if kind == "old" and not place.exists():
            leftover.rename(place)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process: int) -> bool:
    """Whether a process other than this one has that number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _exchange(new: Path, old: Path) -> None:
    """Swaps two folders in one step, where the system can; else in two."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        renameat2 = None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>
    if renameat2 and not renameat2(here, os.fsencode(new), here, os.fsencode(old), exchange):
        return
    # A kill between the two leaves the old folder aside, and `sweep` puts it back.
    aside = old.with_name(f".{old.name}.old-{os.getpid()}")
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Waits until everything in a folder is on disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people and programs: indented, UTF-8, a newline at the end."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes one line of CSV for each epoch."""
    names = list(rows[0]) if rows else ["epoch"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_data_record(folder: Path, record: DataRecord) -> None:
    """Writes data.json: where the data was, and what it was."""
    write_json(folder / "data.json", asdict(record))


def read_data_record(folder: Path) -> DataRecord | None:
    """Reads data.json, None where there is none.

    Raises:
        UserError: If it is damaged.
    """
    path = folder / "data.json"
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        splits = {
            split: {"rows": int(part["rows"]), "hash": str(part["hash"])}
            for split, part in table["splits"].items()
        }
        return DataRecord(str(table["folder"]), splits)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); copy the folder again.") from None


def write_assets(folder: Path, assets: Assets) -> None:
    """Writes `assets/`, whole or not at all."""
    partial = folder / "assets.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, content in assets.items():
        (partial / name).write_bytes(content)
    partial.rename(folder / "assets")


def read_assets(folder: Path) -> dict[str, bytes]:
    """Reads the files of `assets/` by name.

    Raises:
        UserError: If there are none.
    """
    if not (folder / "assets").is_dir():
        raise UserError(f"{folder} is damaged: assets/ is missing; train or copy the bundle again.")
    return {path.name: path.read_bytes() for path in sorted((folder / "assets").iterdir())}


@dataclass(frozen=True)
class Stored:
    """What config.json says."""

    version: str
    """The seqapps that wrote the bundle."""
    recipe: str
    """Name of the recipe that made it."""
    interface: Interface
    """What goes in and out."""
    settings: dict[str, Any]
    """Every setting of the training."""


def write_config(folder: Path, *, recipe: str, interface: Interface, settings: Any) -> None:
    """Writes config.json: which version, which recipe, what goes in and out, all settings."""
    write_json(
        folder / "config.json",
        {
            "seqapps": __version__,
            "recipe": recipe,
            "interface": interface.to_json(),
            "settings": settings,
        },
    )


def read_config(folder: Path) -> Stored:
    """Reads config.json of a bundle.

    Raises:
        UserError: If `folder` is not a bundle, is damaged, or a newer major version wrote it.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(
            f"{folder} is not a bundle: it has no config.json; give the folder that train wrote."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        written = str(config["seqapps"])
        if _generation(written) <= _generation(__version__):
            return Stored(
                version=written,
                recipe=str(config["recipe"]),
                interface=Interface.from_json(completed(config["interface"])),
                settings=dict(config["settings"]),
            )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"{path} is damaged ({reason}); train or copy the bundle again.") from None
    raise UserError(
        f"{folder} was written by seqapps {written} and this is {__version__}; "
        f"install seqapps {written.split('.')[0]} or newer to load it."
    )


def _generation(version: str) -> int:
    """The major version."""
    return int(version.split(".")[0])


def read_metrics(folder: Path) -> dict[str, Any]:
    """Reads metrics.json.

    Raises:
        UserError: If it is missing or damaged.
    """
    path = folder / "metrics.json"
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); train or copy the bundle again."
        ) from None
    return metrics


def read_untried(folder: Path) -> str:
    """Why a bundle's certificate left a form for later; empty if it did not, or there is none."""
    try:
        certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
        return str(certificate.get("untried", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def environment() -> dict[str, Any]:
    """Versions and machine, for environment.json."""
    packages = (
        "seqapps",
        "tensorflow",
        "keras",
        "numpy",
        "sentencepiece",
        "sacrebleu",
        "scikit-learn",
    )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: metadata.version(name) for name in packages},
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    }
