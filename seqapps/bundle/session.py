"""A text that grows by turns: what a person gives is read, an answer is written, and so on."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqapps.errors import UserError
from seqapps.lazy import lazy_imports

with lazy_imports():
    import numpy as np


class Session:
    r"""Text in, text out; what was read and written before is kept as the network's state.

    Example:
        chat = seqapps.load("saved_models/generate/demo").session(stop=["\n"])
        chat("Hello.\n")

    Args:
        application: A bundle with the signatures `init`, `read` and `step`.
        options: Strategy values by name.

    Raises:
        UserError: If it has other signatures, an option is unknown or a value does not fit it.
    """

    def __init__(self, application: Any, options: Mapping[str, Any]) -> None:
        self._application, self._options = application, dict(options)
        for name in ("init", "step"):
            self._check(name)
        if "seed" not in {option.name for option in application.interface.options_of("step")}:
            raise self._no_writer("the option 'seed' of 'step'")
        self._seed = int(self._values({})["seed"][0])
        self._pen: dict[str, Any] = {}

    def __call__(self, text: str | bytes = "", *, keep: bool = True, **options: Any) -> str:
        """Reads a text behind all that went before, and writes what comes next.

        Each answer has another seed, one more than the last one's, unless `seed` is given.

        Args:
            text: What is read.
            keep: Whether the answer is kept. False proposes what may come next, as an editor does:
                the next call goes on behind `text`.
            **options: Strategy values by name, for this answer.

        Raises:
            UserError: If an option is unknown or a value does not fit it.
        """
        return b"".join(self.pieces(text, keep=keep, **options)).decode("utf-8", "replace")

    def pieces(
        self, text: str | bytes = "", *, keep: bool = True, portion: int = 8, **options: Any
    ) -> Iterator[bytes]:
        """The same, piece by piece as it is written; what is not asked for is not written.

        Args:
            text: As in a call.
            keep: As in a call.
            portion: Tokens that are written between two pieces, at least 1.
            **options: As in a call.

        Yields:
            UTF-8, never a part of a character.

        Raises:
            UserError: As a call does.
        """
        values = self._values({"seed": self._seed, **options})
        pen = self._read(text)
        self._pen, self._seed = pen, int(values["seed"][0]) + 1
        length = np.array([max(1, portion)], np.int32)
        while not int(pen["done"][0]):
            pen = self._application.call("step", **self._of(pen, "step"), length=length, **values)
            if keep:
                self._pen = pen
            if piece := pen["text"].numpy()[0]:
                yield piece

    def _read(self, text: str | bytes) -> dict[str, Any]:
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        texts = np.array([content], object)
        call, interface = self._application.call, self._application.interface
        if not self._pen:
            (field,) = interface.inputs_of("init")
            return dict(call("init", **{field.name: texts}))
        self._check("read")
        return dict(call("read", **self._of(self._pen, "read"), text=texts))

    def _of(self, pen: Mapping[str, Any], signature: str) -> dict[str, Any]:
        """What a signature takes of where the text stands."""
        fields = self._application.interface.inputs_of(signature)
        names = {f.name for f in fields} | {f.lengths for f in fields if f.varies}
        return {name: pen[name] for name in names & pen.keys() - {"text", "length"}}

    def _values(self, options: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = self._application.option_values(
            "step", {**self._options, **options}, 1
        )
        return values

    def _check(self, signature: str) -> None:
        if signature not in self._application.interface.signatures:
            raise self._no_writer(f"the signature {signature!r}")

    def _no_writer(self, what: str) -> UserError:
        return UserError(
            f"a session needs {what}, and this bundle of {self._application.recipe} has none; "
            "train one that writes texts, with this version."
        )
