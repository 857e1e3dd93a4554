"""Any application whose network answers in one pass, without TensorFlow."""

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seqapps.bundle.values import answers_of, batch_of, row_of
from seqapps.errors import UserError
from seqapps.fields import MAIN, OPTIONS, Interface
from seqapps.portable.runtime.base import Predictor
from seqapps.portable.runtime.picture import decode_pictures


class WholePredictor(Predictor):
    """What a network takes in, what it gives out; each signature has a network of its name.

    Fields become tensors, and tensors answers, as the interface says. The settings may have
    `names`: for an output that is text the list whose places the network gives, or the asset that
    holds it.
    """

    def open(self) -> None:
        """Reads networks and names."""
        self._takes = Interface.from_json(self.interface)
        self.further = tuple(signature.name for signature in self._takes.further)
        self._networks = {name: self.network(name) for name in (MAIN, *self.further)}
        self._names = {
            output: _name_list(
                output, json.loads(self.asset(told)) if isinstance(told, str) else told
            )
            for output, told in self.settings.get("names", {}).items()
        }

    @classmethod
    def answered(cls, networks: Sequence[str]) -> tuple[str, ...]:
        """Further signatures that it answers where it has these networks."""
        return tuple(name for name in networks if name != MAIN)

    def rows(self, signature: str, inputs: Sequence[Any]) -> list[Any]:
        """Inputs by field name, each of its field's type.

        Raises:
            ValueError: If one does not fit.
        """
        fields = self._takes.inputs_of(signature)
        try:
            return [row_of(fields, value) for value in inputs]
        except UserError as error:
            raise ValueError(str(error)) from None

    def respond(self, rows: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Answers a batch."""
        return self._through(MAIN, rows, options)

    def responder(self, signature: str) -> Callable[[list[Any], dict[str, Any]], Any]:
        """What answers a batch of a further signature."""
        return functools.partial(self._through, signature)

    def _through(
        self, signature: str, rows: list[Any], options: dict[str, Any]
    ) -> list[dict[str, Any]]:
        taken = self._takes.inputs_of(signature)
        batch = batch_of(taken, rows)
        for field in taken:
            if field.media == "image":
                pixels, sizes, status = decode_pictures(batch.pop(field.name))
                batch |= {
                    field.name: pixels,
                    f"{field.name}_sizes": sizes,
                    f"{field.name}_status": status,
                }
        outputs = self._networks[signature]({**batch, **options})
        # What goes in and out has another name as it comes out.
        outputs |= {name: outputs[f"next_{name}"] for name in batch if f"next_{name}" in outputs}
        for output, names in self._names.items():
            if output in outputs:
                places = outputs[output]
                if places.size and not 0 <= places.min() <= places.max() < len(names):
                    raise ValueError(
                        f"{output} has {len(names)} names, and the network gives the places "
                        f"{places.min()} to {places.max()}; export it again."
                    )
                outputs[output] = names[places]
        full = OPTIONS if signature == MAIN else signature
        return answers_of(self._takes.outputs_of(full), outputs)


def _name_list(output: str, names: Any) -> Any:
    """The names of an output, object, (names,).

    Raises:
        ValueError: If they are no list of texts.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"the names of {output} must be a list of texts, got {names!r:.80}; export it again."
        )
    return np.array(names, object)
