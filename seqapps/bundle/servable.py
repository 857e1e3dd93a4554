"""The SavedModel of a bundle: the model as TensorFlow serves it, without seqapps."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.fields import MAIN, Answers, Field, Interface


def write_servable(
    folder: Path, *, answers: Answers, variables: Sequence[Any], interface: Interface
) -> None:
    """Writes a SavedModel with the signatures `serving_default`, `options` and further ones.

    `serving_default` takes the inputs alone and gives the outputs. `options` takes strategy values
    besides, one for each row or one for all, and gives the details too. Their defaults are in the
    signature: TensorFlow Serving fills them in, callers in Python pass all.

    Args:
        folder: The version's folder (`servable/1`).
        answers: What is served, by signature.
        variables: Every variable that they read.
        interface: From which the signatures are made.
    """
    module = tf.Module()
    module.variables_used = [getattr(v, "value", v) for v in variables]
    inputs = input_specs(interface)
    count = len(inputs)
    names = [spec.name for spec in inputs]
    defaults = default_options(interface)

    def plain(name: str, fields: Sequence[Field]) -> Any:
        shown = {field.name for field in fields}
        shown |= {field.lengths for field in fields if field.rank}

        def function(*values: Any) -> dict[str, Any]:
            outputs = answers[name](dict(zip(names, values, strict=True)), dict(defaults))
            return {name: value for name, value in outputs.items() if name in shown}

        # AutoGraph reads the source files again, which may be others after a long training.
        return tf.function(function, input_signature=inputs, autograph=False)

    def options(*values: Any) -> dict[str, Any]:
        return answers[MAIN](
            dict(zip(names, values[:count], strict=True)),
            dict(zip(defaults, values[count:], strict=True)),
        )

    signatures = {MAIN: plain(MAIN, interface.outputs)}
    for further in interface.further:
        signatures[further.name] = plain(further.name, further.outputs)
    if has_options(interface):
        specs = [tf.TensorSpec([None], o.dtype, name=o.name) for o in interface.options]
        # TensorFlow reads the defaults of a signature from the Python function's.
        options.__signature__ = _python_signature(names, defaults)  # type: ignore[attr-defined]
        signatures["options"] = tf.function(
            options, input_signature=[*inputs, *specs], autograph=False
        )
    tf.saved_model.save(module, str(folder), signatures=signatures)


def has_options(interface: Interface) -> bool:
    """Whether there is a signature `options`: only if it has something to take or to add."""
    return bool(interface.options or interface.details)


def default_options(interface: Interface) -> dict[str, Any]:
    """The strategy values of `serving_default`: one tensor (1,) for each option."""
    return {o.name: tf.constant([o.default], o.dtype) for o in interface.options}


def input_specs(interface: Interface) -> list[Any]:
    """One tensor specification for each input, and for the lengths of those that have steps."""
    specs = []
    for field in interface.inputs:
        specs.append(tf.TensorSpec(field.batch_shape, field.dtype, name=field.name))
        if field.rank:
            specs.append(tf.TensorSpec([None], "int32", name=field.lengths))
    return specs


def _python_signature(names: Sequence[str], defaults: Mapping[str, Any]) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [inspect.Parameter(name, kind) for name in names]
    optional = [inspect.Parameter(n, kind, default=value) for n, value in defaults.items()]
    return inspect.Signature([*required, *optional])
