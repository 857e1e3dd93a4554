"""The command `predict`: from files or standard input to answers, as they come."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Any, Literal

from seqapps.arguments import standard_input
from seqapps.bundle.application import Application
from seqapps.bundle.application import load as load_bundle
from seqapps.bundle.values import describe, row_of
from seqapps.config import Settings
from seqapps.errors import UserError
from seqapps.fields import Interface
from seqapps.lazy import lazy_imports
from seqapps.recipe import PredictOptions, Recipe, View, stored_config

with lazy_imports():
    from seqapps.portable import onnx_application

_CHUNK = 1 << 16
"""Bytes of input that are read at once."""
_PORTION = 256
"""Lines that are answered at once, at most."""


def predict_options(recipe: Recipe[Any, Any]) -> type[PredictOptions]:
    """The flags of `predict`, with the recipe's views in their help."""
    options = recipe.predict.options if recipe.predict else PredictOptions
    if not recipe.views:
        return options
    described = "; ".join(f"`{name}`: {view.help}" for name, view in recipe.views.items())
    view = field(
        default="answer",
        metadata={"help": f"What to print. `answer`: the answer alone; {described}."},
    )
    return make_dataclass(
        "ViewOptions",
        [("view", Literal["answer", *recipe.views], view)],
        bases=(options,),
        frozen=True,
        kw_only=True,
    )


def predict(recipe: Recipe[Any, Any], options: PredictOptions, settings: Settings[Any]) -> None:
    """Answers what files or standard input ask."""
    config = settings.resolve(stored_config(recipe, options.bundle))
    application = open_application(options.bundle)
    view = recipe.views.get(getattr(options, "view", ""))
    if recipe.predict and not view:
        recipe.predict.run(config, application, options)
        return
    strategy = {option.name: option.default for option in recipe.interface(config).options}
    answer_lines(config, application, options, strategy=strategy, show=recipe.show, view=view)


def open_application(folder: Path) -> Any:
    """Loads a bundle; or its ONNX form, which takes no TensorFlow."""
    if (folder / "predictor.json").is_file():
        return onnx_application.OnnxApplication(folder)
    return load_bundle(folder)


def answer_lines(
    config: Any,
    application: Application,
    options: PredictOptions,
    *,
    strategy: Mapping[str, Any],
    show: Callable[[Any, int, Mapping[str, Any]], str],
    view: View | None,
) -> None:
    """Answers each line, and prints each answer.

    Args:
        config: The settings.
        application: What answers.
        options: Files to read, and whether to print JSON.
        strategy: Strategy values by name.
        show: `show(config, number, answer)`: an answer as it is printed.
        view: A further way to print answers, in place of `show`.

    Raises:
        UserError: If a file cannot be read, or a line is no input.
    """
    number = 0
    kept: list[Mapping[str, Any]] = []
    for asked in questions(application.interface, options.files):
        if view:
            answers = application.ask(view.signature, asked)
        else:
            answers = application.answers(asked, **strategy)
        for answer in answers:
            if options.json:
                text = json.dumps(answer, ensure_ascii=False)
            elif view and view.page:
                kept.append(answer)
                continue
            else:
                text = view.show(answer) if view else show(config, number, answer)
            sys.stdout.write(text + "\n")
            number += 1
        sys.stdout.flush()
    if view and view.page and not options.json:
        sys.stdout.write(view.page(kept))


def questions(interface: Interface, files: Sequence[Path]) -> Iterator[list[Any]]:
    """Reads one input a line: the line itself where a recipe takes one text, else JSON.

    Args:
        interface: What is taken.
        files: Files to read; standard input if there are none.

    Yields:
        The inputs that are there now, so that nobody waits for more.

    Raises:
        UserError: If a file cannot be read, or a line is no input.
    """
    text = len(interface.inputs) == 1 and interface.inputs[0].is_text
    wanted = " and ".join(f"{field.name}: {describe(field)}" for field in interface.inputs)

    def question(name: str, number: int, line: bytes) -> Any:
        if text:
            # As bytes: what is not UTF-8 is the model's to read.
            return line
        try:
            value = json.loads(line)
            row_of(interface.inputs, value)
        except (ValueError, UserError) as error:
            raise UserError(
                f"{name}, line {number}: each line must be JSON ({wanted}): {error}"
            ) from None
        return value

    for path in files:
        try:
            with path.open("rb") as stream:
                for portion in _portions(stream):
                    yield [question(str(path), *numbered) for numbered in portion]
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if not files:
        for portion in _portions(standard_input()):
            yield [question("standard input", *numbered) for numbered in portion]


def _portions(stream: Any) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines as they come: those that are there now, so that nobody waits for more."""
    number = 0
    # Pieces of the last line: to join them for every chunk would take the square of its length.
    rest: list[bytes] = []
    while chunk := stream.read1(_CHUNK):
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if not others:
            continue
        lines = [b"".join(rest), *others[:-1]]
        rest = others[-1:]
        for start in range(0, len(lines), _PORTION):
            portion = [line.removesuffix(b"\r") for line in lines[start : start + _PORTION]]
            yield list(enumerate(portion, number + 1))
            number += len(portion)
    if last := b"".join(rest):
        yield [(number + 1, last.removesuffix(b"\r"))]
