"""The command line: commands, their options and a recipe's settings; exit codes; help.

A program is a `Program` with a tuple of `Command`s. A command's options are a frozen dataclass
like settings: `n_best: int = 1` is `--n-best N`, a bool is a switch, `from_` is `--from`, and
`positional()` marks arguments without a flag. Its handler gets an instance of that dataclass and
a `Settings`, from which it makes the recipe's `Config`:

    @dataclass(frozen=True, kw_only=True)
    class Evaluate:
        bundle: Path = positional()
        \"\"\"Folder that `train` wrote.\"\"\"

    def evaluate(options: Evaluate, settings: Settings[Config]) -> None:
        bundle = load(options.bundle)
        config = settings.resolve(bundle.config)

Nothing here imports TensorFlow, and jsonargparse only once there is a value to check.
"""

import contextlib
import dataclasses
import io
import math
import os
import select
import shlex
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_origin

from seqapps.config import Given, Setting, Settings, leaves, nearest, read_toml, settings_of, show
from seqapps.environment import choose_backends
from seqapps.errors import UsageError, UserError, full, interrupted
from seqapps.version import __version__


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Options of a command without any; `Config` of a program without settings."""


def positional(default: Any = MISSING) -> Any:
    """Declares an argument without a flag; a `tuple` field takes all that remain."""
    return dataclasses.field(default=default, metadata={"positional": True})


@dataclass(frozen=True, kw_only=True)
class Command:
    """One thing that a program does."""

    name: str
    """The word on the command line."""
    help: str
    """One line for the list of commands, without a full stop."""
    handler: Callable[[Any, Settings[Any]], int | None]
    """Does the work: (options, settings) → exit code, None for 0."""
    options: type = NoOptions
    """Dataclass of its options."""
    sections: Collection[str] | Literal["all"] = ()
    """First parts of the settings that it accepts as flags; "all" accepts `--config` too."""
    examples: tuple[str, ...] = ()
    """What follows the program's name in the examples of its help."""
    notes: str = ""
    """What its help says after its options; lines stay as they are."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command line."""

    name: str
    """How it is started: `python -m seqapps.recipes.translate`."""
    description: str
    """What it is for; the first thing in its help."""
    commands: tuple[Command, ...]
    """Its commands; the first is meant when the command line begins with none."""
    config: type = NoOptions
    """Dataclass of all settings."""
    shipped: tuple[Path, ...] = ()
    """Folders where `--config NAME` looks for NAME.toml if there is no such file here."""


def run(program: Program, argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code.

    0 done; 1 the work failed for a reason that the user can act on (`UserError`, a full disk); 2
    the command is wrong (`UsageError`); 130 stopped by Ctrl-C, 143 by the request to end (SIGTERM),
    129 by the terminal's end and 141 the reader of our output went away, as shells count signals.
    `train` has 3 for a bundle that is not certified. Those print one message and no traceback;
    other exceptions are bugs and pass through.

    A handler that is interrupted may raise `KeyboardInterrupt(message)`; otherwise the message
    says how to resume if the command has an option `resume`.

    Args:
        program: What the command line offers.
        argv: The arguments; None takes those of the process.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    choose_backends(files_alone=True)
    _open_descriptors()
    with _asked_to_end() as ended:
        try:
            with _output():
                code = _dispatch(program, argv)
                # Now, not at exit: a closed pipe would print a traceback there.
                sys.stdout.flush()
            return code
        except UserError as error:
            usage = isinstance(error, UsageError)
            see = f"\nSee: {_help_command(program, argv)}" if usage else ""
            sys.stderr.write(f"error: {error}{see}\n")
            return 2 if usage else 1
        except (KeyboardInterrupt, SystemError) as stop:
            message = str(stop)
            if isinstance(stop, SystemError):
                if not interrupted(stop):
                    raise
                message = ""
            with contextlib.suppress(OSError):
                # The terminal may be what ended.
                sys.stderr.write(f"\n{message or _how_to_resume(program, argv)}\n")
                sys.stderr.flush()
            return 128 + (ended[0] if ended else signal.SIGINT)
        except BrokenPipeError:
            if not _reader_gone():
                raise
            return 141
        except Exception as error:
            if not (reason := full(error)):
                raise
            sys.stderr.write(f"error: {_no_room(program, argv, error, reason)}\n")
            return 1


def standard_input() -> Any:
    """Standard input, as bytes.

    Raises:
        UserError: If it was closed when the process began.
    """
    if sys.stdin is None:
        raise UserError(
            "standard input is closed, and the questions would come from there; name files, or "
            "give it something to read."
        )
    return sys.stdin.buffer


def _open_descriptors() -> None:
    """Fills closed standard descriptors, which the next files that are opened would become."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)


_ASKED_ONCE_S = 10.0
"""Seconds in which further requests to end are the same request."""


@contextlib.contextmanager
def _asked_to_end() -> Iterator[list[int]]:
    """Lets a request to end, or the end of the terminal, stop a command as Ctrl-C does.

    Yields:
        Gets the number of the signal.
    """
    ended: list[int] = []
    heard_s = -math.inf

    def stop(number: int, frame: Any) -> None:
        nonlocal heard_s
        now_s = time.monotonic()
        # Who asks twice at once would break the checkpoint that is being written.
        if now_s - heard_s > _ASKED_ONCE_S:
            heard_s = now_s
            ended.append(number)
            raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    # One that is ignored (nohup) or handled stays so.
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if here and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield ended
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


_OUTPUT = "standard output"


@contextlib.contextmanager
def _output() -> Iterator[None]:
    """Has standard output take text of any language, and its errors say that they are its own.

    Raises:
        UserError: If it was closed when the process began.
    """
    stream: Any = sys.stdout
    if stream is None:
        raise UserError(
            f"{_OUTPUT} is closed, and what a command gives goes there; lead it to a file, or to "
            "/dev/null."
        )
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    # Answers are text of any language, whatever the terminal says of itself.
    stream.reconfigure(encoding="utf-8")

    def named(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return method(*arguments)
            except OSError as error:
                error.filename = error.filename or _OUTPUT
                raise

        return call

    patched: Any = stream
    patched.write, patched.flush = named(stream.write), named(stream.flush)
    try:
        yield
    finally:
        del patched.write, patched.flush


def _no_room(program: Program, argv: Sequence[str], error: Exception, reason: str) -> str:
    """What to say of a place that takes no more."""
    where = getattr(error, "filename", None)
    if where == _OUTPUT:
        _silence()
        return f"{_OUTPUT} cannot be written: {reason}. Free that place, or lead it to another."
    resume = _how_to_resume(program, argv).partition(": ")[2]
    return (
        f"{where or 'a file'} cannot be written: {reason}"
        f"{'' if where else f' ({str(error).splitlines()[0][:300]})'}. What was finished before is "
        f"whole. Free some space{f', and go on: {resume}' if resume else ''}."
    )


def _dispatch(program: Program, argv: Sequence[str]) -> int:
    if argv[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_overview(program))
        return 0
    if argv[:1] == ["--version"]:
        sys.stdout.write(f"seqapps {__version__}\n")
        return 0
    command, words = _choose(program, argv)
    flags = words[: words.index("--")] if "--" in words else words
    if "-h" in flags or "--help" in flags:
        sys.stdout.write(_command_help(program, command))
        return 0
    options, settings = _parse(program, command, words)
    return command.handler(options, settings) or 0


def _choose(program: Program, argv: Sequence[str]) -> tuple[Command, Sequence[str]]:
    """Finds the command: the first word, or the first command if that is a flag."""
    if not argv or argv[0].startswith("-"):
        return program.commands[0], argv
    for command in program.commands:
        if command.name == argv[0]:
            return command, argv[1:]
    names = [command.name for command in program.commands]
    near = nearest(argv[0], names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names)}."
    raise UsageError(f"{argv[0]} is not a command; {hint}")


def _parse(program: Program, command: Command, words: Sequence[str]) -> tuple[Any, Settings[Any]]:
    options, accepted = _options(command), _settings(program, command)
    flags = {_flag(option): option for option in options if not option.positional}
    if ambiguous := flags.keys() & {f"--{path}" for path in accepted}:
        raise TypeError(f"{command.name} has options and settings of one name: {ambiguous}.")
    flags |= {f"--{path}": setting for path, setting in accepted.items()}
    given, arguments = _split(program, command, words, flags)

    values = {setting.path: value for setting, value in given if setting.path not in accepted}
    values |= _positionals(command, options, arguments)
    file = values.pop("config", None) if command.sections == "all" else None
    file = _configuration(program, file) if file else None
    from_flags = {
        setting.path: Given(value, f"--{setting.path}")
        for setting, value in given
        if setting.path in accepted
    }
    # The file first, wherever `--config` stands: what is typed wins over what is stored.
    from_file = read_toml(file, accepted) if file else {}
    typed = shlex.join([command.name, *words])
    return command.options(**values), Settings(program.config, from_file | from_flags, file, typed)


def _configuration(program: Program, file: Path) -> Path:
    """The TOML file that `--config` means: one that is here, or one that came with seqapps.

    Raises:
        UsageError: If a name alone is that of neither.
    """
    bare = file.parent == Path()
    # As README and help write it: `recipes/translate/multi30k.toml`.
    ours = any(file.parent == Path("recipes", folder.name) for folder in program.shipped)
    if file.is_file() or not (bare or ours):
        return file
    named = {toml.stem: toml for folder in program.shipped for toml in folder.glob("*.toml")}
    if found := named.get(file.name.removesuffix(".toml")):
        return found
    if ours or file.suffix or not named:
        return file
    near = nearest(file.name, named)
    hint = f"did you mean {near}?" if near else f"{', '.join(sorted(named))} came with seqapps."
    raise UsageError(f"there is no configuration {file}; {hint} A TOML file is given by its path.")


def _split(
    program: Program, command: Command, words: Sequence[str], flags: Mapping[str, Setting]
) -> tuple[list[tuple[Setting, Any]], list[str]]:
    """Separates flags, with their converted values, from arguments; both in any order."""
    given: list[tuple[Setting, Any]] = []
    arguments: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            arguments.extend(rest)
            break
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        flag, equals, value = word.partition("=")
        if flag not in flags:
            raise UsageError(_unknown_flag(program, command, flag, flags))
        setting = flags[flag]
        if _is_switch(setting, command):
            if equals:
                raise UsageError(f"{flag} is a switch and takes no value, got {value!r}.")
            given.append((setting, True))
            continue
        if not equals:
            value = next(rest, "--")
            if value.startswith("--"):
                raise UsageError(f"{flag} needs a value: {flag} {setting.metavar}.")
        given.append((setting, setting.convert(value, where=flag)))
    return given, arguments


def _positionals(
    command: Command, options: Iterable[Setting], arguments: Sequence[str]
) -> dict[str, Any]:
    """Gives the arguments without flags to the fields marked `positional()`."""
    values: dict[str, Any] = {}
    left = list(arguments)
    for option in options:
        if not option.positional:
            continue
        name = option.path.upper()
        if get_origin(option.type) is tuple:
            values[option.path] = option.convert(left, where=name)
            left = []
        elif left:
            values[option.path] = option.convert(left.pop(0), where=name)
        elif option.default is MISSING:
            raise UsageError(f"{command.name} needs {name}: {option.help}")
    if left:
        raise UsageError(
            f"{command.name} has no use for the argument {left[0]!r}; the command comes first, "
            "then its arguments, and settings are written --section.name value."
        )
    return values


def _unknown_flag(program: Program, command: Command, flag: str, flags: Iterable[str]) -> str:
    for other in program.commands:
        theirs = [_flag(option) for option in _options(other) if not option.positional]
        if flag in theirs or flag.removeprefix("--") in _settings(program, other):
            return f"{command.name} does not take {flag}; {other.name} does."
    if inside := [other for other in flags if other.startswith(f"{flag}.")]:
        return f"{flag} is a section of settings; it has {', '.join(inside)}."
    near = nearest(flag, flags)
    return f"{flag} is not an option of {command.name}" + (
        f"; did you mean {near}?" if near else "."
    )


def _options(command: Command) -> list[Setting]:
    options = list(leaves(command.options))
    if command.sections == "all":
        help = (
            "Settings from a TOML file, or the name of one that came with seqapps; flags win over "
            "it wherever they stand."
        )
        options.append(Setting(path="config", type=Path, default=None, help=help))
    return options


def _settings(program: Program, command: Command) -> dict[str, Setting]:
    return {
        path: setting
        for path, setting in settings_of(program.config).items()
        if command.sections == "all" or path.partition(".")[0] in command.sections
    }


def _flag(option: Setting) -> str:
    """`--n-best` for the field `n_best`, `--from` for `from_`; settings keep their TOML names."""
    return f"--{option.path.rstrip('_').replace('_', '-')}"


def _is_switch(setting: Setting, command: Command) -> bool:
    """True for a bool among a command's options; settings take `true` or `false`."""
    fields = {field.name for field in dataclasses.fields(command.options)}
    return setting.type is bool and setting.path in fields


def _overview(program: Program) -> str:
    width = max(len(command.name) for command in program.commands)
    listed = [f"  {command.name:{width}}  {command.help}" for command in program.commands]
    listed[0] += " (if no command is given)"
    lines = [f"Usage: {program.name} [COMMAND] [OPTIONS]", "", *_wrap(program.description), ""]
    lines += ["Commands:", *listed, ""]
    lines += _examples(program, program.commands)
    return "\n".join([*lines, f"More: {program.name} COMMAND --help", ""])


def _command_help(program: Program, command: Command) -> str:
    options, accepted = _options(command), _settings(program, command)
    arguments = [option for option in options if option.positional]
    usage = [program.name, command.name, *map(_argument, arguments), "[OPTIONS]"]
    lines = [f"Usage: {' '.join(usage)}", "", *_wrap(f"{command.help}."), ""]
    lines += _examples(program, [command])
    if arguments:
        lines += ["Arguments:", *_explain((option, _argument(option)) for option in arguments), ""]
    if flagged := [option for option in options if not option.positional]:
        heads = ((option, _switch_or_value(option, command)) for option in flagged)
        lines += ["Options:", *_explain(heads), ""]
    if command.notes:
        lines += [command.notes, ""]
    if command.sections == "all":
        lines += _wrap(
            "Settings can stand in a TOML file too: a section is a table, such as [training], "
            "and flags win over the file."
        )
        lines.append("")
    sections = groupby(accepted.values(), lambda setting: setting.path.rpartition(".")[0])
    for section, settings in sections:
        lines.append(f"Settings, {section}:" if section else "Settings:")
        lines += _explain((s, f"--{s.path} {s.metavar}{_default(s)}") for s in settings)
        lines.append("")
    return "\n".join(lines)


def _examples(program: Program, commands: Iterable[Command]) -> list[str]:
    lines = [f"  {program.name} {line}".rstrip() for c in commands for line in c.examples]
    return ["Examples:", *lines, ""] if lines else []


def _argument(option: Setting) -> str:
    name = option.path.upper()
    if get_origin(option.type) is tuple:
        return f"[{name} ...]"
    return name if option.default is MISSING else f"[{name}]"


def _switch_or_value(option: Setting, command: Command) -> str:
    if _is_switch(option, command):
        return _flag(option)
    # An option that is absent by default explains itself.
    default = _default(option) if option.default is not None else ""
    return f"{_flag(option)} {option.metavar.removesuffix('|null')}{default}"


def _default(setting: Setting) -> str:
    return f"  (default: {show(setting.default)})"


def _explain(entries: Iterable[tuple[Setting, str]]) -> Iterator[str]:
    for setting, head in entries:
        yield f"  {head}"
        yield from _wrap(setting.help, indent="      ")


def _wrap(text: str, *, indent: str = "") -> list[str]:
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _help_command(program: Program, argv: Sequence[str]) -> str:
    named = [command.name for command in program.commands if argv[:1] == [command.name]]
    if argv and argv[0].startswith("-"):
        named = [program.commands[0].name]
    return " ".join([program.name, *named, "--help"])


def _how_to_resume(program: Program, argv: Sequence[str]) -> str:
    try:
        command, words = _choose(program, argv)
    except UsageError:
        return "Stopped."
    if "resume" not in {field.name for field in dataclasses.fields(command.options)}:
        return "Stopped."
    words = [*words] if "--resume" in words else [*words, "--resume"]
    return f"Stopped. To continue: {program.name} {shlex.join([command.name, *words])}"


def _reader_gone() -> bool:
    """True if standard output is a pipe without a reader; then silences the flush at exit."""
    try:
        output = sys.stdout.fileno()
    except io.UnsupportedOperation:
        return False
    # Not by another flush: what could not be written is gone from the buffer and it succeeds.
    poll = select.poll()
    poll.register(output, select.POLLERR)
    if not poll.poll(0):
        return False
    _silence()
    return True


def _silence() -> None:
    """Leads what is left of standard output nowhere, so that the flush at exit succeeds."""
    with contextlib.suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
