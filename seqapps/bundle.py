"""One trained model on disk: written whole or not at all, loaded without its recipe."""

import csv
import ctypes
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from seqapps import __version__
from seqapps.errors import UserError
from seqapps.fields import Field, Option
from seqapps.lazy import lazy_imports, start_tensorflow

with lazy_imports():
    import tensorflow as tf

Assets = Mapping[str, bytes]
Answer = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""`answer(inputs, options) -> outputs`: named tensors of a batch, in the graph."""

_ROWS = 64
"""Inputs that one call of the servable takes at once."""


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What a bundle takes and gives."""

    inputs: tuple[Field, ...]
    """What a person has."""
    outputs: tuple[Field, ...]
    """What a person wants; the first is the answer in short."""
    details: tuple[Field, ...] = ()
    """What signature `options` gives besides."""
    options: tuple[Option, ...] = ()
    """Strategy values, with their defaults."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict, for config.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "Interface":
        """Reads what `to_json` wrote."""

        def fields(name: str) -> tuple[Field, ...]:
            return tuple(
                Field(**{**row, "width": tuple(row["width"])}) for row in table.get(name, ())
            )

        return cls(
            inputs=fields("inputs"),
            outputs=fields("outputs"),
            details=fields("details"),
            options=tuple(Option(**row) for row in table.get("options", ())),
        )


@contextmanager
def staging(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """Gives an empty folder beside `output` that takes its place when the body succeeds.

    A kill at any moment leaves the old bundle or the new one. Leftovers of killed runs are swept.

    Args:
        output: Where the finished bundle goes.
        overwrite: Whether a bundle that is there may be replaced.

    Raises:
        UserError: If something is at `output` and must not be overwritten.
    """
    check_free(output, overwrite=overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    sweep(output)
    folder = output.with_name(f".{output.name}.partial-{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        _sync(folder)
        if output.exists():
            _exchange(folder, output)
        else:
            folder.rename(output)
        _sync_folder(output.parent)
    finally:
        # After an exchange this is the old bundle; after a failure, what was not finished.
        shutil.rmtree(folder, ignore_errors=True)


def check_free(output: Path, *, overwrite: bool) -> None:
    """Refuses an output that exists, before any time is spent.

    Raises:
        UserError: If something is at `output` and must not be overwritten.
    """
    if output.exists() and not overwrite:
        raise UserError(
            f"{output} exists and nothing is overwritten unasked; "
            "give --overwrite, or another place with --output."
        )


def sweep(output: Path) -> None:
    """Removes what killed runs left beside `output`."""
    prefix = f".{output.name}.partial-"
    for leftover in output.parent.glob(f"{prefix}*"):
        owner = leftover.name.removeprefix(prefix)
        if not owner.isdigit() or not Path(f"/proc/{owner}").exists() or int(owner) == os.getpid():
            shutil.rmtree(leftover, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Swaps two folders in one step, where the system can; else in two."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        renameat2 = None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>
    if renameat2 and not renameat2(here, os.fsencode(new), here, os.fsencode(old), exchange):
        return
    aside = old.with_name(f".{old.name}.old-{os.getpid()}")
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
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


def read_config(folder: Path) -> dict[str, Any]:
    """Reads config.json of a bundle.

    Raises:
        UserError: If `folder` is not a bundle, is damaged, or a newer major version wrote it.
    """
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        written = str(config["seqapps"])
    except FileNotFoundError:
        raise UserError(
            f"{folder} is not a bundle: it has no config.json; give the folder that train wrote."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); train or copy the bundle again.") from None
    if _generation(written) > _generation(__version__):
        raise UserError(
            f"{folder} was written by seqapps {written} and this is {__version__}; "
            f"install seqapps {written.split('.')[0]} or newer to load it."
        )
    return config


def _generation(version: str) -> int:
    return int(version.split(".")[0])


def environment() -> dict[str, Any]:
    """Versions and machine, for environment.json."""
    packages = ("seqapps", "tensorflow", "keras", "numpy", "sentencepiece", "sacrebleu")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: metadata.version(name) for name in packages},
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    }


def save_network(network: Any, path: Path) -> None:
    """Writes `model.keras`."""
    network.save(str(path))


def load_network(folder: Path) -> Any:
    """Loads `model.keras` of a bundle, in Keras's safe mode, on any device."""
    import keras

    from seqapps.layers.cudnn import reset_cudnn

    network = keras.saving.load_model(str(folder / "model.keras"), compile=False, safe_mode=True)
    reset_cudnn(network, "auto")
    return network


def read_assets(folder: Path) -> dict[str, bytes]:
    """Reads the files of `assets/` by name."""
    return {path.name: path.read_bytes() for path in sorted((folder / "assets").iterdir())}


def write_servable(
    folder: Path, *, answer: Answer, variables: Sequence[Any], interface: Interface
) -> None:
    """Writes a SavedModel with the signatures `serving_default` and `options`.

    Args:
        folder: The version's folder (`servable/1`).
        answer: What is served.
        variables: Every variable that `answer` reads.
        interface: From which the signatures are made.

    Raises:
        RuntimeError: If the graph holds an operation that runs on a GPU alone.
    """
    module = tf.Module()
    module.variables_used = [getattr(v, "value", v) for v in variables]
    names = [spec.name for spec in input_specs(interface)]
    option_names = [option.name for option in interface.options]
    shown = {field.name for field in interface.outputs}
    shown |= {field.lengths for field in interface.outputs if field.rank}

    def serving_default(*values: Any) -> dict[str, Any]:
        defaults = {o.name: tf.constant([o.default], o.dtype) for o in interface.options}
        outputs = answer(dict(zip(names, values, strict=True)), defaults)
        return {name: value for name, value in outputs.items() if name in shown}

    def options(*values: Any) -> dict[str, Any]:
        return answer(
            dict(zip(names, values, strict=False)),
            dict(zip(option_names, values[len(names) :], strict=True)),
        )

    signatures = {"serving_default": tf.function(serving_default, input_specs(interface))}
    if interface.options:
        specs = [tf.TensorSpec([None], o.dtype, name=o.name) for o in interface.options]
        signatures["options"] = tf.function(options, [*input_specs(interface), *specs])
    concrete = {name: f.get_concrete_function() for name, f in signatures.items()}
    device_bound = sorted(
        {op.type for f in concrete.values() for op in f.graph.get_operations()}
        & {"CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"}
    )
    if device_bound:
        raise RuntimeError(f"the graph must run on a CPU, but holds {', '.join(device_bound)}.")
    tf.saved_model.save(module, str(folder), signatures=concrete)


def input_specs(interface: Interface) -> list[Any]:
    """One tensor specification for each input, and for the lengths of those that have steps."""
    specs = []
    for field in interface.inputs:
        specs.append(tf.TensorSpec(field.batch_shape, field.dtype, name=field.name))
        if field.rank:
            specs.append(tf.TensorSpec([None], "int32", name=field.lengths))
    return specs


class Application:
    """A trained model as a function: a list of inputs in, a list of outputs out.

    Attributes:
        path: The bundle's folder.
        recipe: Name of the recipe that made it.
        interface: What goes in and out.
        config: Every setting of the training, as a dict.
    """

    def __init__(self, path: Path) -> None:
        stored = read_config(path)
        self.path = path
        self.recipe: str = stored["recipe"]
        self.interface = Interface.from_json(stored["interface"])
        self.config: dict[str, Any] = stored["settings"]
        start_tensorflow()
        # Signatures die with the object they come from, so it is kept.
        self._loaded = tf.saved_model.load(str(path / "servable" / "1"))
        name = "options" if self.interface.options else "serving_default"
        self._call = self._loaded.signatures[name]

    @cached_property
    def model(self) -> Any:
        """The Keras model."""
        return load_network(self.path)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What was measured on the test split."""
        found: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))
        return found

    def __call__(self, inputs: Sequence[Any], **options: Any) -> list[Any]:
        """Answers each input in short: the first output alone.

        Args:
            inputs: One value for each question: a string, a series of numbers ...; a dict by
                field name where the recipe takes several fields.
            **options: Strategy values by name, one for all or one for each input.

        Raises:
            UserError: If an option is unknown, or an input does not fit its field.
        """
        first = self.interface.outputs[0].name
        return [answer[first] for answer in self.answers(inputs, **options)]

    def answers(self, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """Answers each input with everything the model gives, by field name.

        Raises:
            UserError: If an option is unknown, or an input does not fit its field.
        """
        if isinstance(inputs, str | bytes):
            raise UserError(f"inputs must be a list, got one string; write [{inputs!r}].")
        values = self._option_values(options, len(inputs))
        # Rows of similar size go together; each answer goes back to its place.
        order = sorted(range(len(inputs)), key=lambda i: _size(inputs[i]))
        answers: list[dict[str, Any]] = [{}] * len(inputs)
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            tensors = self._tensors([inputs[i] for i in rows])
            for option in self.interface.options:
                tensors[option.name] = tf.constant(values[option.name][rows], option.dtype)
            outputs = {name: value.numpy() for name, value in self._call(**tensors).items()}
            for place, row in enumerate(rows):
                answers[row] = self._row(outputs, place)
        return answers

    def _option_values(self, given: Mapping[str, Any], count: int) -> dict[str, Any]:
        known = {option.name: option for option in self.interface.options}
        for name in given:
            if name not in known:
                raise UserError(
                    f"{self.recipe} has no option {name!r}; it has {', '.join(known) or 'none'}."
                )
        values = {}
        for name, option in known.items():
            value = np.asarray(given.get(name, option.default), option.dtype)
            if value.shape not in ((), (1,), (count,)):
                raise UserError(
                    f"option {name} needs one value, or one for each of {count} inputs, "
                    f"got {value.size}."
                )
            values[name] = np.broadcast_to(value, (count,))
        return values

    def _tensors(self, rows: Sequence[Any]) -> dict[str, Any]:
        tensors: dict[str, Any] = {}
        several = len(self.interface.inputs) > 1
        for field in self.interface.inputs:
            try:
                values = [row[field.name] if several else row for row in rows]
                tensors.update(_batch(field, values))
            except (TypeError, ValueError, KeyError) as error:
                raise UserError(
                    f"input {field.name!r} must be {describe(field)}, got something else: {error}"
                ) from None
        return tensors

    def _row(self, outputs: Mapping[str, Any], place: int) -> dict[str, Any]:
        row = {}
        for field in (*self.interface.outputs, *self.interface.details):
            if field.name not in outputs:
                continue
            value = outputs[field.name][place]
            if field.rank:
                value = value[: outputs[field.lengths][place]]
            row[field.name] = _plain(value)
        return row


def describe(field: Field) -> str:
    """What a value of this field is, in words."""
    if field.dtype == "string":
        return "a string" if field.rank == 0 else "a list of strings"
    unit = f" ({field.unit})" if field.unit else ""
    if field.rank == 0:
        return f"a number{unit}"
    widths = "".join(f" of {width}" for width in field.width)
    return f"a list of numbers{widths}{unit}"


def _batch(field: Field, values: Sequence[Any]) -> dict[str, Any]:
    """Right-pads the values of one field; adds their lengths where they have steps."""
    if field.dtype == "string" and field.rank == 0:
        texts = [_bytes(value) for value in values]
        return {field.name: tf.constant(texts, tf.string, shape=[len(texts)])}
    if field.rank == 0:
        return {field.name: tf.constant(np.asarray(values, field.dtype).reshape(len(values)))}
    arrays = [np.asarray(value, field.dtype).reshape(len(value), *field.width) for value in values]
    lengths = np.array([len(array) for array in arrays], np.int32)
    padded = np.zeros((len(arrays), max(1, *lengths, 1), *field.width), field.dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return {field.name: tf.constant(padded), field.lengths: tf.constant(lengths)}


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} {value!r}")
    # A lone surrogate has no UTF-8 form; the servable reads such bytes as unknown characters.
    return value.encode("utf-8", "surrogatepass")


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_size(part) for part in value.values())
    return len(value) if hasattr(value, "__len__") else 1


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def load(path: str | Path) -> Application:
    """Loads a bundle.

    Raises:
        UserError: If `path` is not a bundle, or a newer major version wrote it.
    """
    return Application(Path(path))
