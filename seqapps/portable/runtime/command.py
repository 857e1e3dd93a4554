"""The command line of `predictor.py`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from seqapps.portable.runtime.base import Predictor


def run(predictor: type[Predictor], argv: list[str] | None = None) -> int:
    """Answers each line of standard input, or each file that is a recording."""
    parser = argparse.ArgumentParser(description="Answers each line of standard input.")
    parser.add_argument("files", nargs="*", type=Path, help="recordings, where they are asked for")
    parser.add_argument("--json", action="store_true", help="print everything, as JSON")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a strategy value"
    )
    given = parser.parse_args(argv)
    try:
        application = predictor(Path(__file__).resolve().parent)
        options = {
            name: _value(text) for name, _, text in (each.partition("=") for each in given.set)
        }
        recordings = application.interface["inputs"][0]["media"] == "wav"
        if recordings != bool(given.files):
            parser.error(
                "name the recordings to hear"
                if recordings
                else "files are for recordings; texts come from standard input, one a line"
            )
        if recordings:
            inputs = [path.read_bytes() for path in given.files]
        else:
            inputs = sys.stdin.buffer.read().splitlines()
        if not given.json and (len(inputs) == 1 or sys.stdout.isatty()):
            inputs = _live(application, inputs, options)
        answers = application.answers(inputs, **options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    first = application.interface["outputs"][0]["name"]
    for answer in answers:
        line = json.dumps(answer, ensure_ascii=False) if given.json else str(answer[first])
        sys.stdout.buffer.write(line.encode() + b"\n")
    return 0


def _live(application: Predictor, inputs: list[bytes], options: dict[str, Any]) -> list[bytes]:
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


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
