"""The SavedModel of a bundle: the model as TensorFlow serves it, without seqapps."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.fields import MAIN, OPTIONS, Answer, Answers, Field, Interface, Option


def write_servable(
    folder: Path, *, answers: Answers, variables: Sequence[Any], interface: Interface
) -> Answers:
    """Writes a SavedModel with the signatures `serving_default`, `options` and further ones.

    `serving_default` takes the inputs alone and gives the outputs. `options` takes strategy values
    besides, one for each row or one for all, and gives the details too. Their defaults are in the
    signature: TensorFlow Serving fills them in, callers in Python pass all. A further signature
    takes the inputs and the strategy values that its declaration names.

    Args:
        folder: The version's folder (`servable/1`).
        answers: What is served, by signature.
        variables: Every variable that they read.
        interface: From which the signatures are made.

    Returns:
        The graphs that the signatures call, by name as in `answers`.
    """
    module = tf.Module()
    module.variables_used = [getattr(v, "value", v) for v in variables]
    every = default_options(interface.options)
    # Traced here: what is traced while a SavedModel is written is for it alone.
    graphs: Answers = {
        name: traced(
            answers[name], interface.inputs_of(name), interface.options
        ).get_concrete_function()
        for name in interface.signatures
        if name != OPTIONS
    }

    def function(name: str) -> Any:
        fields, taken = interface.outputs_of(name), interface.options_of(name)
        shown = {field.name for field in fields}
        shown |= {field.lengths for field in fields if field.varies}
        inputs = input_specs(interface.inputs_of(name))
        options = option_specs(taken)
        # `serving_default` and `options` are one graph, called in two ways.
        answer = graphs[MAIN if name == OPTIONS else name]

        def call(*values: Any) -> dict[str, Any]:
            given = dict(zip((spec.name for spec in [*inputs, *options]), values, strict=True))
            asked = every | {option.name: given.pop(option.name) for option in taken}
            outputs = answer(given, asked)
            return {name: value for name, value in outputs.items() if name in shown}

        # TensorFlow reads the defaults of a signature from the Python function's.
        call.__signature__ = _python_signature(  # type: ignore[attr-defined]
            [spec.name for spec in inputs], default_options(taken)
        )
        # AutoGraph reads the source files again, which may be others after a long training.
        return tf.function(call, input_signature=[*inputs, *options], autograph=False)

    signatures = {name: function(name) for name in interface.signatures}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return graphs


def traced(answer: Answer, fields: Sequence[Field], options: Sequence[Option]) -> Any:
    """A served function as one graph.

    Args:
        answer: What is served.
        fields: What it takes.
        options: The strategy values that it takes, all of the interface's.
    """
    specs = [
        {spec.name: spec for spec in each} for each in (input_specs(fields), option_specs(options))
    ]
    # AutoGraph reads the source files again, which may be others after a long training.
    return tf.function(answer, input_signature=specs, autograph=False)


def default_options(options: Sequence[Option]) -> dict[str, Any]:
    """Strategy values as `serving_default` has them: one tensor (1,) or (1, K) for each option."""
    return {o.name: tf.constant([o.default], o.dtype, o.default_shape) for o in options}


def input_specs(fields: Sequence[Field]) -> list[Any]:
    """One tensor specification for each input, and for the lengths of those that vary."""
    specs = []
    for field in fields:
        specs.append(tf.TensorSpec(field.batch_shape, field.dtype, name=field.name))
        if field.varies:
            specs.append(tf.TensorSpec([None], "int32", name=field.lengths))
    return specs


def option_specs(options: Sequence[Option]) -> list[Any]:
    """One tensor specification for each strategy value."""
    return [tf.TensorSpec(o.batch_shape, o.dtype, name=o.name) for o in options]


def _python_signature(names: Sequence[str], defaults: Mapping[str, Any]) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [inspect.Parameter(name, kind) for name in names]
    optional = [inspect.Parameter(n, kind, default=value) for n, value in defaults.items()]
    return inspect.Signature([*required, *optional])
