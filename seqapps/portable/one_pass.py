"""Applications whose network answers in one pass: what is served, and their networks by themselves.

Both are made of the same functions of tensors, one for each signature, which know of no files and
no names: `computed(inputs, options) -> outputs`. `inputs` has the tensors of the interface's
fields; of a picture `<name>`, uint8 (B, H, W, 3), `<name>_sizes`, int32 (B, 2), and
`<name>_status`, int32 (B,), as `images.decode` gives them. `outputs` has the tensors of all outputs
and details; where a text is one of a list of names, the name's place in the list.
"""

# B batch, H height, W width

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from seqapps.bundle.servable import default_options, input_specs, option_specs
from seqapps.errors import UserError
from seqapps.fields import MAIN, OPTIONS, Answer, Answers, Assets, Field, Interface, Part, Parts
from seqapps.fields import asset as asset_of
from seqapps.images.decode import decode_pictures

Names = Mapping[str, Sequence[str] | str]
"""By output: its names, or the asset that holds them as a list in JSON."""


def whole_answers(computed: Answers, interface: Interface, assets: Assets, names: Names) -> Answers:
    """What is served: pictures are read, and numbers become names.

    Args:
        computed: By signature.
        interface: What goes in and out.
        assets: Files that travel with the network.
        names: Of outputs that are text.
    """
    tables = {
        output: json.loads(asset_of(assets, told)) if isinstance(told, str) else list(told)
        for output, told in names.items()
    }

    def served(name: str) -> Answer:
        fields = interface.inputs_of(name)

        def answer(inputs: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
            outputs = computed[name](_seen(fields, inputs), options)
            for output in outputs.keys() & tables.keys():
                outputs[output] = tf.gather(tf.constant(tables[output]), outputs[output])
            return outputs

        return answer

    return {name: served(name) for name in computed}


def whole_parts(
    computed: Answers, interface: Interface, names: Names, wide: Sequence[str] = ()
) -> Parts:
    """The networks by themselves, for the predictor that every such application shares.

    Args:
        computed: By signature; those that are not there are not answered without TensorFlow.
        interface: What goes in and out.
        names: Of outputs that are text.
        wide: Inputs that 8 bits cannot hold; see `fields.Part`.

    Raises:
        UserError: If a signature takes texts or recordings, or gives a text that has no names.
    """
    parts = {name: _part(computed[name], interface, name, names, wide) for name in computed}
    told = {output: each if isinstance(each, str) else list(each) for output, each in names.items()}
    return Parts(parts=parts, settings={"names": told})


def _part(
    answer: Answer, interface: Interface, name: str, names: Names, wide: Sequence[str]
) -> Part:
    fields = interface.inputs_of(name)
    given = interface.outputs_of(OPTIONS if name == MAIN else name)
    every = interface.options_of(OPTIONS if name == MAIN else name)
    for field in fields:
        if field.dtype == "string" and field.media != "image":
            raise UserError(
                f"{field.name} is text or a recording, which no network takes; write a predictor "
                "of the recipe's own, and name it in its parts."
            )
    for field in given:
        if field.dtype == "string" and field.name not in names:
            raise UserError(f"{field.name} is text, which no network gives; say its names.")
    taken = [option for option in every if option.dtype != "string"]
    specs = [*_specs(fields), *option_specs(taken)]
    shown = {field.name for field in given} | {field.lengths for field in given if field.varies}
    others = [option for option in interface.options if option not in taken]

    # A state that goes in and out: no two tensors of a network have the same name.
    again = {field.name for field in fields} | {field.lengths for field in fields if field.varies}

    def function(**tensors: Any) -> dict[str, Any]:
        # The others have their defaults, which are made here to lie in the graph.
        options = default_options(others)
        options |= {option.name: tensors.pop(option.name) for option in taken}
        outputs = answer(tensors, options)
        return {
            f"next_{output}" if output in again else output: value
            for output, value in outputs.items()
            if output in shown
        }

    return Part(function, tuple(specs), wide=tuple(wide))


def _specs(fields: Sequence[Field]) -> list[Any]:
    """Tensors of inputs: of a picture its pixels, sizes and status."""
    specs = []
    for field in fields:
        if field.media != "image":
            specs += input_specs([field])
            continue
        pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, name=field.name)
        sizes = tf.TensorSpec([None, 2], tf.int32, name=f"{field.name}_sizes")
        status = tf.TensorSpec([None], tf.int32, name=f"{field.name}_status")
        specs += [pixels, sizes, status]
    return specs


def _seen(fields: Sequence[Field], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs, with pixels in place of the files of pictures."""
    seen = dict(inputs)
    for field in fields:
        if field.media == "image":
            pixels, sizes, status = decode_pictures(inputs[field.name])
            seen |= {
                field.name: pixels,
                f"{field.name}_sizes": sizes,
                f"{field.name}_status": status,
            }
    return seen
