"""The command line of `predictor.py`."""

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from seqapps.portable.runtime.base import Predictor


def run(predictor: type[Predictor], argv: list[str] | None = None) -> int:
    """Answers each line of standard input, or each file that is a recording or a picture."""
    parser = argparse.ArgumentParser(
        description="Answers each line of standard input: the text itself, or JSON where it asks "
        'for anything else ({"b64": ...} for bytes). Recordings and pictures are named as files.'
    )
    parser.add_argument(
        "files", nargs="*", type=Path, help="recordings or pictures, where they are asked for"
    )
    parser.add_argument("--json", action="store_true", help="print everything, as JSON")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a strategy value"
    )
    given = parser.parse_args(argv)
    if sys.stdout is None:
        sys.stderr.write("error: standard output is closed, and the answers go there\n")
        return 1
    try:
        application = predictor(Path(__file__).resolve().parent)
        options = {
            name: _value(text) for name, _, text in (each.partition("=") for each in given.set)
        }
        fields = application.interface["inputs"]
        one = len(fields) == 1 and fields[0]["dtype"] == "string" and not fields[0]["rank"]
        media = fields[0]["media"] if one else "lines of JSON"
        wanted = {"wav": "recordings to hear", "image": "pictures to see"}.get(media)
        if bool(wanted) != bool(given.files):
            parser.error(
                f"name the {wanted}"
                if wanted
                else "files are for recordings and pictures; "
                f"{'texts' if media == 'text' else 'lines of JSON'} come from standard input, "
                "one a line"
            )
        if wanted:
            inputs = [path.read_bytes() for path in given.files]
        else:
            if sys.stdin is None:
                raise ValueError("standard input is closed, and the questions come from there")
            inputs = sys.stdin.buffer.read().splitlines()
            if media != "text":
                inputs = [_parsed(number, line) for number, line in enumerate(inputs, 1)]
        if not given.json and (len(inputs) == 1 or sys.stdout.isatty()):
            inputs = _live(application, inputs, options)
        answers = application.answers(inputs, **options)
        first = application.interface["outputs"][0]["name"]
        for answer in answers:
            line = json.dumps(answer, ensure_ascii=False) if given.json else str(answer[first])
            sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.buffer.flush()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _live(application: Predictor, inputs: list[Any], options: dict[str, Any]) -> list[Any]:
    """Prints answers as they are written where somebody waits for them; gives the other inputs."""
    for number, row in enumerate(inputs):
        pieces = application.pieces(row, **options)
        if pieces is None:
            return inputs[number:]
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())
            sys.stdout.buffer.flush()
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
    return []


def _parsed(number: int, line: bytes) -> Any:
    """One line of JSON.

    Raises:
        ValueError: If it is none.
    """

    def once(table: dict[str, Any]) -> Any:
        if table.keys() != {"b64"}:
            return table
        # Line breaks between the digits are usual.
        return base64.b64decode("".join(table["b64"].split()), validate=True)

    try:
        return json.loads(line, object_hook=once)
    except (ValueError, TypeError) as error:
        raise ValueError(f"line {number} must be JSON: {error}") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
