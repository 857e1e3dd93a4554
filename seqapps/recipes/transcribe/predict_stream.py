"""Speech as it is spoken: a model's signatures `init`, `step_int16` and `flush`, bit by bit."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from seqapps.arguments import standard_input
from seqapps.bundle.application import Application
from seqapps.errors import UserError
from seqapps.lazy import lazy_imports
from seqapps.recipes.transcribe.predict import ListenOptions

with lazy_imports():
    import numpy as np

    from seqapps.portable import onnx_application
    from seqapps.portable.runtime import sound

_PORTION_S = 0.5
"""Longest sound that is read at once; less is taken as it comes."""


@dataclass(frozen=True, kw_only=True)
class HearOptions(ListenOptions):
    """Flags of `predict`."""

    stream: bool = False
    """Read raw samples from standard input (16 bits, little-endian, one channel) and print text as
    it is heard; with `--json` a line whenever something new is known."""
    rate: int = 16_000
    """Sample rate of `--stream`, in Hz."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a portion of a stream has brought."""

    text: str
    """What is certain now, to be put behind what was before."""
    partial: str
    """What seems to follow; may still change."""
    seconds: float
    """How much was heard so far."""


def hear(
    application: Application, portions: Iterable[bytes], *, rate_hz: int = 16_000, **options: Any
) -> Iterator[Heard]:
    """Transcribes one stream while it comes.

    Args:
        application: A bundle of a streaming recogniser.
        portions: Samples, 16 bits, little-endian, one channel; of any size, as they come.
        rate_hz: Their rate.
        **options: Strategy values that signature `step` takes, by name; others have the bundle's
            defaults.

    Yields:
        One answer for each portion, and one at the end. All `text` together is what was said.

    Raises:
        UserError: If the bundle cannot hear a stream, the rate is not supported, an option is
            unknown or a value does not fit it.
    """
    interface = application.interface
    if isinstance(application, onnx_application.OnnxApplication):
        raise UserError(
            f"{application.path} is an ONNX export, which hears whole recordings; stream with the "
            "bundle of a streaming model, or leave out --stream."
        )
    if "step_int16" not in interface.signatures:
        raise UserError(
            f"{application.path} needs whole recordings, for its model looks at what is still to "
            "come; train one with --model.streaming true, or leave out --stream."
        )
    if not 0 < rate_hz <= sound.HIGHEST_RATE:
        raise UserError(
            f"a stream has 1 to {sound.HIGHEST_RATE:,} samples a second, got {rate_hz:,}; say how "
            "many yours has with --rate."
        )
    taken = application.option_values("step_int16", options, 1)
    fields = interface.inputs_of("flush")
    names = {field.name for field in fields} | {f.lengths for f in fields if f.varies}
    state = application.call("init", rate_hz=np.array([rate_hz], np.int32))
    samples, odd = 0, b""

    def ask(signature: str, **tensors: Any) -> dict[str, Any]:
        asked = {name: state[name] for name in names}
        answer = application.call(signature, **asked, **tensors, **taken)
        if (status := answer["status"].numpy()[0].decode()) != "ok":
            raise UserError(f"{status}; got {rate_hz:,} Hz.")
        return answer

    for portion in portions:
        # A pipe may cut a sample in two.
        content = odd + portion
        whole = len(content) // 2 * 2
        content, odd = content[:whole], content[whole:]
        samples += whole // 2
        state = ask("step_int16", pcm=np.array([content], object))
        yield _heard(state, samples / rate_hz)
    yield _heard(ask("flush"), samples / rate_hz)


def hear_input(application: Application, options: HearOptions, *, strategy: dict[str, Any]) -> None:
    """Transcribes standard input while it comes, and prints what is certain at once.

    Args:
        application: A streaming recogniser's bundle.
        options: Flags.
        strategy: Strategy values by name.

    Raises:
        UserError: As `hear`; if flags do not go together; if nothing came.
    """
    if options.files or options.output is not None or options.format not in ("text", "json"):
        raise UserError(
            "--stream reads standard input and prints text or JSON as it comes: give no files, no "
            "--output and no subtitles."
        )
    as_json = options.json or options.format == "json"
    known = {option.name for option in application.interface.options}
    # What a stream does not take, such as n_best, it does not need.
    values = {name: value for name, value in strategy.items() if name in known - {"n_best"}}
    shown = Heard(text="", partial="", seconds=0.0)
    stopped: list[KeyboardInterrupt] = []
    for heard in hear(
        application, _portions(options.rate, stopped), rate_hz=options.rate, **values
    ):
        if as_json and (heard.text or heard.partial != shown.partial):
            row = vars(heard) | {"seconds": round(heard.seconds, 3)}
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        elif not as_json:
            sys.stdout.write(heard.text)
        sys.stdout.flush()
        shown = heard
    if not as_json:
        sys.stdout.write("\n")
        sys.stdout.flush()
    if stopped:
        raise stopped[0]
    if not shown.seconds:
        raise UserError(
            "standard input gave no samples; pipe a recording in, such as that of arecord -t raw "
            f"-f S16_LE -c 1 -r {options.rate}."
        )


def _portions(rate_hz: int, stopped: list[KeyboardInterrupt]) -> Iterator[bytes]:
    """Standard input as it comes; Ctrl-C ends the recording, and what was said is kept."""
    most = max(2, 2 * round(rate_hz * _PORTION_S))
    source = standard_input()
    try:
        while portion := source.read1(most):
            yield portion
    except KeyboardInterrupt as stop:
        stopped.append(stop)


def _heard(answer: dict[str, Any], seconds: float) -> Heard:
    def text(name: str) -> str:
        content: bytes = answer[name].numpy()[0]
        return content.decode("utf-8", "replace")

    return Heard(
        text=text("text"), partial=text("partial") if "partial" in answer else "", seconds=seconds
    )
