"""What every predictor shares: its folder, its networks, batches of rows."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from seqapps.ranges import fits, in_words

MAIN = "serving_default"
"""The signature of `answers`."""
ROWS = 64
"""Inputs that are answered together, at most."""
BUDGET = 1 << 16
"""Rows × size of the longest among them, at most."""
_DTYPES = ("int32", "int64", "float32", "string")
"""Types of a strategy value."""
_UNFIT = (AttributeError, LookupError, TypeError)
"""What Python raises where the files of an export do not fit each other."""


class Network:
    """One network in ONNX, called with arrays by name.

    Args:
        path: The file.
        threads: Of one product; a single short input is fastest with one.

    Raises:
        ValueError: If the file is missing or holds no network, or, when it is called, an input is
            missing or does not fit.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        # Errors alone: a person sees what is printed.
        settings.log_severity_level = 3
        # Weights that are stored with 8 bits are made whole now and not in every call.
        settings.add_session_config_entry("session.disable_quant_qdq", "1")
        self._file = f"networks/{path.name}"
        with _runtime_errors(self._file):
            self._session = onnxruntime.InferenceSession(
                str(path), settings, providers=["CPUExecutionProvider"]
            )
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Runs it on what it takes of `inputs`."""
        if missing := [name for name in self.inputs if name not in inputs]:
            raise ValueError(
                f"{self._file} takes {', '.join(missing)}, which the application does not give; "
                "export it again."
            )
        taken = {name: inputs[name] for name in self.inputs}
        with _runtime_errors(self._file):
            return dict(zip(self.outputs, self._session.run(self.outputs, taken), strict=True))


@contextlib.contextmanager
def _runtime_errors(file: str) -> Iterator[None]:
    """Makes ValueErrors of ONNX Runtime's own errors, which have no class in common."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} is damaged or missing ({reason}); export it again.") from error


class Predictor:
    """An application as a function: a list of inputs in, a list of outputs out.

    Args:
        folder: What `export` wrote.
        threads: Of one product of a network.
        interface: What goes in and out, in place of what the export's predictor.json says.

    Raises:
        OSError or ValueError: If a file of the export is missing, damaged, or fits no other.

    Attributes:
        folder: As given.
        interface: What goes in and out, as config.json of a bundle has it.
        settings: What the application was trained with, as far as its answers depend on it.
    """

    budget = BUDGET
    """Rows × size of the longest among them that are answered together, at most."""
    further: tuple[str, ...] = ()
    """Further signatures that it answers, each by the method of that name."""

    @classmethod
    def answered(cls, networks: Sequence[str]) -> tuple[str, ...]:
        """Further signatures that it answers where it has these networks."""
        return cls.further

    def __init__(
        self,
        folder: str | Path,
        threads: int = 1,
        *,
        interface: dict[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        told, self.settings = read_table(self.folder)
        self.interface = told if interface is None else interface
        self._threads = threads
        try:
            self.open()
        except (OSError, ValueError, ImportError):
            raise
        # What reads damaged files has errors of its own: SentencePiece, zipfile ...
        except Exception as error:
            raise ValueError(
                f"predictor.json does not fit networks and assets ({_said(error)}); export it "
                "again."
            ) from error

    @property
    def _options(self) -> dict[str, Any]:
        return {option["name"]: option for option in self.interface["options"]}

    def open(self) -> None:
        """Reads networks and assets."""
        raise NotImplementedError

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Answers a batch.

        Args:
            rows: The inputs: of a text its bytes.
            options: Strategy values, an array (rows,) each.
        """
        raise NotImplementedError

    def pieces(
        self, question: str | bytes, *, portion: int = 8, **options: Any
    ) -> Iterator[str] | None:
        """An answer in pieces as they come, where an application has such.

        Args:
            question: The input.
            portion: Tokens that are written between two pieces, at least 1.
            **options: Strategy values by name.

        Returns:
            Pieces that make up the first output; None where an answer comes whole.

        Raises:
            ValueError: As in `answers`.
        """
        return None

    def network(self, name: str) -> Network:
        """One of the networks."""
        return Network(self.folder / "networks" / f"{name}.onnx", self._threads)

    def asset(self, name: str) -> bytes:
        """One of the files that travel with the networks.

        Raises:
            OSError: If it cannot be read.
            ValueError: If the name leads elsewhere.
        """
        # The name may come from a file that nobody vouches for.
        if not isinstance(name, str) or name in ("", ".", "..") or {*name} & {*"/\\:\0"}:
            raise ValueError(f"an asset is a file of assets/, got the name {name!r}.")
        return (self.folder / "assets" / name).read_bytes()

    def answers(self, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """Answers each input with everything the application gives, by field name.

        Args:
            inputs: Texts, as strings or as bytes in UTF-8; the bytes of recordings or pictures;
                numbers and lists of them; a dict by field name where there are several fields.
            **options: Strategy values by name, one for all inputs or one for each.

        Raises:
            ValueError: If there is no such option, or it has another number of values; or an input
                does not fit its field.
        """
        answers = self._asked(self.respond, self.rows(MAIN, inputs), options)
        # An export of an earlier version gives what it said that it gives.
        said = [*self.interface["outputs"], *self.interface.get("details", ())]
        names = [field["name"] for field in said]
        return [{n: answer[n] for n in names if n in answer} for answer in answers]

    def ask(self, signature: str, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """Answers each input through a further signature.

        Raises:
            ValueError: If there is no such signature, or as in `answers`.
        """
        if signature not in self.further:
            known = ", ".join(self.further) or "none"
            raise ValueError(f"there is no signature {signature!r}; there is {known}.")
        return self._asked(self.responder(signature), self.rows(signature, inputs), options)

    def rows(self, signature: str, inputs: Sequence[Any]) -> list[Any]:
        """Inputs as `respond` and the methods of further signatures take them."""
        return [as_bytes(row) for row in inputs]

    def responder(self, signature: str) -> Callable[[list[Any], dict[str, Any]], Any]:
        """What answers a batch of a further signature."""
        method: Callable[[list[Any], dict[str, Any]], Any] = getattr(self, signature)
        return method

    def _asked(
        self, respond: Callable[..., Any], rows: Sequence[Any], options: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        values = self.strategy(options, len(rows))
        answers: list[dict[str, Any]] = [{}] * len(rows)
        for chosen in _together([_size(row) for row in rows], self.budget):
            some = {name: value[chosen] for name, value in values.items()}
            try:
                batch = respond([rows[i] for i in chosen], some)
            except _UNFIT as error:
                raise ValueError(
                    f"there is no answer ({_said(error)}): an input is of another kind than "
                    "predictor.json says, or the export's files do not fit each other; then export "
                    "it again."
                ) from error
            for i, answer in zip(chosen, batch, strict=True):
                answers[i] = answer
        return answers

    def __call__(self, inputs: Sequence[Any], **options: Any) -> list[Any]:
        """Answers each input in short: the first output alone."""
        first = self.interface["outputs"][0]["name"]
        return [answer[first] for answer in self.answers(inputs, **options)]

    def strategy(self, options: Mapping[str, Any], count: int) -> dict[str, Any]:
        """Strategy values, an array (count,) each; defaults fill the rest.

        Raises:
            ValueError: If there is no such option, or it has another number of values.
        """
        for name in options:
            if name not in self._options:
                known = ", ".join(self._options) or "none"
                raise ValueError(f"there is no option {name!r}; there is {known}.")
        return {
            name: self._values(option, options.get(name, option["default"]), count)
            for name, option in self._options.items()
        }

    def _values(self, option: Mapping[str, Any], value: Any, count: int) -> Any:
        if option.get("rank"):
            lists = [value] * count if all(isinstance(v, str | bytes) for v in value) else value
            made = np.empty(count, object)
            made[:] = [[as_bytes(text) for text in each] for each in lists]
            for text in (text for each in made for text in each):
                if 0 < option.get("most_bytes", 0) < len(text):
                    raise ValueError(
                        f"option {option['name']} takes strings of at most {option['most_bytes']} "
                        f"bytes, got one of {len(text)}."
                    )
            return made
        if option["dtype"] == "string":
            texts = [value] * count if isinstance(value, str | bytes) else list(value)
            made = np.empty(count, object)
            made[:] = [as_bytes(text) for text in (texts * count if len(texts) == 1 else texts)]
            return made
        array = _numbers(option, value)
        if array.shape not in ((), (1,), (count,)):
            raise ValueError(
                f"option {option['name']} needs one value, or one for each of {count} inputs, "
                f"got {array.size}."
            )
        return np.broadcast_to(array, (count,))


def read_table(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What predictor.json says.

    Returns:
        The interface, as config.json of a bundle has it, and the settings.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged.
    """
    try:
        table = json.loads((folder / "predictor.json").read_text(encoding="utf-8"))
        interface, settings = table["interface"], table["settings"]
        inputs, outputs, options = (interface[kind] for kind in ("inputs", "outputs", "options"))
        # As far as every predictor reads it.
        complete = (
            bool(inputs and outputs)
            and all(field.keys() >= {"name", "dtype"} for field in (*inputs, *outputs))
            and all(option.keys() >= {"name", "dtype", "default"} for option in options)
            and all(option["dtype"] in _DTYPES for option in options)
            and isinstance(settings, dict)
        )
    except (*_UNFIT, ValueError, RecursionError) as error:
        raise ValueError(f"predictor.json is damaged ({_said(error)}); export it again.") from error
    if not complete:
        raise ValueError(
            "predictor.json must name each input, output and option with its type, and have "
            "settings; export it again."
        )
    return interface, settings


def _said(error: BaseException) -> str:
    """An error in a few words."""
    said = " ".join(str(error).split())[:200]
    return f"{said} is missing" if isinstance(error, KeyError) else said


def _numbers(option: Mapping[str, Any], value: Any) -> Any:
    """Numbers of an option's type.

    Raises:
        ValueError: If they are none, are no whole ones where these are asked for, or too large.
    """
    array, wanted = np.asarray(value), np.dtype(option["dtype"])
    if array.dtype.kind not in ("iu" if wanted.kind == "i" else "iuf"):
        whole = "whole numbers" if wanted.kind == "i" else "numbers"
        raise ValueError(f"option {option['name']} takes {whole}, got {value!r}.")
    if wanted.kind == "i" and array.size:
        if not np.iinfo(wanted).min <= int(array.min()) <= int(array.max()) <= np.iinfo(wanted).max:
            raise ValueError(f"option {option['name']} is of {wanted}, got {value!r}.")
    # As the network gets them: a tiny number may become 0.
    array = array.astype(wanted)
    if not all(fits(number, option) for number in array.flat):
        raise ValueError(f"option {option['name']} is {in_words(option)}, got {value!r}.")
    return array


def as_bytes(row: Any) -> Any:
    """A text in UTF-8; bytes as they are."""
    return row.encode("utf-8", "surrogatepass") if isinstance(row, str) else row


def _size(row: Any) -> int:
    """Bytes and numbers of one input."""
    if isinstance(row, Mapping):
        return sum(map(_size, row.values()))
    return len(row) if isinstance(row, bytes) else int(np.size(row))


def _together(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Numbers of rows that are answered together, the longest first."""
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    start = 0
    while start < len(order):
        count = min(ROWS, max(1, budget // max(1, sizes[order[start]])))
        yield order[start : start + count]
        start += count


def padded(rows: Sequence[Any]) -> tuple[Any, Any]:
    """Rows of numbers as one array, right-padded with 0, at least one step wide; and lengths."""
    lengths = np.array([len(row) for row in rows], np.int32)
    batch = np.zeros((len(rows), max(1, int(lengths.max(initial=0)))), np.int32)
    for place, row in zip(batch, rows, strict=True):
        place[: len(row)] = row
    return batch, lengths
