"""Text as it is written: a model's signatures `init` and `step`, portion by portion."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqapps.arguments import standard_input
from seqapps.bundle.application import Application
from seqapps.bundle.folder import read_assets
from seqapps.commands.predict import questions
from seqapps.errors import UserError
from seqapps.lazy import lazy_imports
from seqapps.recipe import PredictOptions

with lazy_imports():
    from seqapps.portable import onnx_application
    from seqapps.text import vocabulary


@dataclass(frozen=True, kw_only=True)
class WriteOptions(PredictOptions):
    """Flags of `predict` of what writes texts."""

    prompt: str | None = None
    """Go on from this, and read neither files nor standard input."""


def stream(
    application: "Application | onnx_application.OnnxApplication",
    prompt: str | bytes = "",
    *,
    portion: int = 8,
    **options: Any,
) -> Iterator[bytes]:
    """Writes one text, and gives it in pieces as they come.

    Args:
        application: A bundle with the signatures `init` and `step`, such as `generate` makes, or
            its ONNX form.
        prompt: What the text goes on from.
        portion: Tokens that are written between two pieces, at least 1.
        **options: Strategy values by name; others have the bundle's defaults.

    Yields:
        UTF-8, never a part of a character. Together they are the text that one call gives.

    Raises:
        UserError: If an option is unknown or a value does not fit it.
    """
    if isinstance(application, onnx_application.OnnxApplication):
        one = {"samples": 1, "beam_width": 1}
        if both := sorted(one.keys() & options.keys()):
            raise UserError(f"a text in pieces has no option {both[0]!r}: it is one, and drawn.")
        for drawn in application.pieces(prompt, portion=portion, **one, **options):
            yield drawn.encode()
        return
    yield from application.session(**options).pieces(prompt, portion=portion)


def write_texts(
    application: "Application | onnx_application.OnnxApplication",
    options: WriteOptions,
    *,
    strategy: Mapping[str, Any],
) -> None:
    """Prints a text for the prompt, or for each line of files or standard input.

    Args:
        application: What writes.
        options: The flags.
        strategy: Every strategy value by name.

    Raises:
        UserError: If a token that is banned or forced is not in the vocabulary, or a file cannot be
            read.
    """
    vocabulary.check_strategy(
        read_assets(application.path), banned=strategy["banned"], begin=strategy["begin"]
    )
    if options.prompt is not None or (not options.files and standard_input().isatty()):
        # Of a command line that is no UTF-8, the bytes as they were.
        asked = iter([[os.fsencode(options.prompt or "")]])
    else:
        asked = questions(application.interface, options.files)
    print_texts(application, asked, strategy=strategy, as_json=options.json)


def print_texts(
    application: "Application | onnx_application.OnnxApplication",
    asked: Iterable[Sequence[str | bytes]],
    *,
    strategy: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Prints a text for each prompt.

    It is printed as it is written where somebody waits for it: there is one prompt, or standard
    output is a terminal. Others are written many at once, which is faster, as are several texts for
    a prompt and searched ones.

    Args:
        application: What writes.
        asked: Prompts, as they come.
        strategy: Every strategy value by name.
        as_json: Print each answer as one line of JSON with everything the model gives.
    """
    one = strategy["samples"] == 1 and strategy["beam_width"] == 1
    drawn = {k: v for k, v in strategy.items() if k not in ("samples", "beam_width")}
    for prompts in asked:
        live = one and not as_json and (len(prompts) == 1 or sys.stdout.isatty())
        if not live:
            for answer in application.answers(prompts, **strategy):
                lines = [json.dumps(answer, ensure_ascii=False)] if as_json else answer["samples"]
                sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
            continue
        for prompt in prompts:
            for piece in stream(application, prompt, **drawn):
                sys.stdout.write(piece.decode("utf-8", "replace"))
                sys.stdout.flush()
            sys.stdout.write("\n")
            sys.stdout.flush()
