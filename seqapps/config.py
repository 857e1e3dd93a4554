"""Settings: frozen dataclasses, then a TOML file over them, then the command line over both.

A recipe's `Config` is a frozen keyword-only dataclass whose fields are simple values or further
such dataclasses (its sections), each with a docstring. A setting is named by its path,
`training.epochs`: `[training] epochs = 5` in TOML, `--training.epochs 5` on the command line.

Values are checked by jsonargparse, one at a time and in its JSON mode: its YAML mode would read
the language code `no` as false. Sections are built here, never from class paths in a file.
"""

import ast
import dataclasses
import difflib
import json
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from seqapps.automatic import AUTO, is_auto
from seqapps.errors import UsageError, UserError

C = TypeVar("C")

_SIMPLE = {
    str: ("text", "TEXT"),
    int: ("an integer", "N"),
    float: ("a number", "X"),
    bool: ("true or false", "true|false"),
    Path: ("a path", "PATH"),
    type(None): ("null", "null"),
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One leaf of a dataclass of settings or options."""

    path: str
    """Its name with the names of its sections: `training.epochs`."""
    type: Any
    """Its type hint: str, int, float, bool, Path, Literal, or a union or container of those."""
    default: Any
    """Its default, `dataclasses.MISSING` if it must be given."""
    help: str
    """Its docstring on one line."""
    positional: bool = False
    """True for an argument of a command that is given without a flag."""

    @property
    def metavar(self) -> str:
        """What stands for its value in help: `N`, `true|false`, `gru|lstm`, `N|auto`."""
        return _metavar(self.type) + (f"|{AUTO}" if is_auto(self.default) else "")

    def convert(self, raw: Any, *, where: str) -> Any:
        """Checks a value and gives it its type.

        Args:
            raw: Text from the command line, or a value from TOML or JSON.
            where: Where the value was given; begins the message.

        Raises:
            UsageError: If the value does not fit the type.
        """
        if raw == AUTO and is_auto(self.default):
            return self.default
        from jsonargparse import ArgumentError, ArgumentParser

        parser = ArgumentParser(exit_on_error=False, add_help=False, parser_mode="json")
        parser.add_argument("--value", type=self.type)
        try:
            if isinstance(raw, str):
                return parser.parse_args([f"--value={raw}"], env=False).value
            return parser.parse_object({"value": raw}, defaults=False).value
        except ArgumentError:
            shown = repr(raw) if isinstance(raw, str) else show(raw)
            expected = _expected(self.type) + (f" or {AUTO}" if is_auto(self.default) else "")
            raise UsageError(f"{where} must be {expected}, got {shown}.") from None


@dataclass(frozen=True)
class Given:
    """A value that somebody gave, already of the right type."""

    value: Any
    where: str
    """File, line and setting, or the flag; begins error messages about it."""


@dataclass(frozen=True)
class Settings(Generic[C]):
    """What a command line says about a recipe's settings."""

    config_class: type[C]
    given: Mapping[str, Given] = dataclasses.field(default_factory=dict)
    """Path of each setting that was given → its value."""
    file: Path | None = None
    """The TOML file among the sources: the run takes its name from it."""
    typed: str = ""
    """The command and its arguments, as they can be typed once more."""

    def resolve(self, base: C | None = None) -> C:
        """Puts what was given over a base.

        Args:
            base: The settings of a bundle; None means the defaults.

        Raises:
            UsageError: If a dataclass refuses the values (`ValueError` in `__post_init__`).
        """
        return _replace(self.config_class() if base is None else base, "", self.given)


def leaves(cls: Any, *, instance: Any = None, prefix: str = "") -> Iterator[Setting]:
    """Yields the settings of a dataclass in order, those of its sections included.

    Args:
        cls: The dataclass.
        instance: Where defaults are read; None means the defaults of the fields.
        prefix: Path of the dataclass with a final dot, "" for the outermost.

    Raises:
        TypeError: If a field's type is neither simple nor a dataclass.
    """
    hints = get_type_hints(cls)
    for field in fields(cls):
        path, hint = prefix + field.name, hints[field.name]
        if instance is not None:
            default = getattr(instance, field.name)
        elif field.default_factory is not MISSING:
            default = field.default_factory()
        else:
            default = field.default
        if is_dataclass(hint):
            yield from leaves(hint, instance=default, prefix=f"{path}.")
            continue
        if not _is_simple(hint):
            # jsonargparse would build other classes from a class path in the file.
            raise TypeError(f"setting {path} must have a simple type, got {hint!r}.")
        yield Setting(
            path=path,
            type=hint,
            default=default,
            help=field.metadata.get("help") or field_docstrings(cls).get(field.name, ""),
            positional=field.metadata.get("positional", False),
        )


def settings_of(config_class: type) -> dict[str, Setting]:
    """Returns path → setting for a dataclass in which everything has a default."""
    return {leaf.path: leaf for leaf in leaves(config_class, instance=config_class())}


def read_toml(file: Path, known: Mapping[str, Setting]) -> dict[str, Given]:
    """Reads settings from a TOML file (UTF-8).

    TOML has no null: write `"null"` for a setting that may be null.

    Raises:
        UsageError: If the file is missing or not TOML, or a key or a value in it is wrong.
    """
    import tomllib

    try:
        text = file.read_text(encoding="utf-8-sig")
        table = tomllib.loads(text)
    except FileNotFoundError:
        others = [other.name for other in file.parent.glob("*.toml")]
        near = difflib.get_close_matches(file.name, others, n=1, cutoff=0.75)
        hint = f"did you mean {file.parent / near[0]}?" if near else "give a TOML file's path."
        raise UsageError(f"there is no configuration file {file}; {hint}") from None
    except OSError as error:
        raise UsageError(f"cannot read the configuration file {file}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} must be UTF-8 text: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}.") from None
    return _given(table, known, lambda path: f"{_position(file, text, path)}, {path}")


def to_json(value: Any) -> Any:
    """Returns a dataclass of settings as plain dicts, lists and values, ready for JSON."""
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if is_auto(value):
        return AUTO
    return str(value) if isinstance(value, Path) else value


def from_dict(config_class: type[C], table: Mapping[str, Any], *, source: str) -> C:
    """Builds settings from what `to_json` returned; what is absent gets its default.

    Args:
        config_class: The dataclass.
        table: The content of the file.
        source: The file's name, for messages.

    Raises:
        UserError: If a key is unknown or a value is wrong.
    """
    try:
        given = _given(table, settings_of(config_class), lambda path: f"{source}, {path}")
        return Settings(config_class, given).resolve()
    except UsageError as error:
        # The file is wrong, not the command.
        raise UserError(str(error)) from None


def describe(config: Any) -> str:
    """Returns the settings one a line: `training.epochs = 10`."""
    every = leaves(type(config), instance=config)
    return "\n".join(f"{setting.path} = {show(setting.default)}" for setting in every)


def show(value: Any) -> str:
    """Returns a value as a person would type it: true, null, [1, 2], text without quotes."""
    if is_auto(value):
        return AUTO
    if isinstance(value, str | Path):
        return str(value) or '""'
    # TOML has dates too, and a message about one must not fail.
    return json.dumps(to_json(value), ensure_ascii=False, default=str)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Returns the name that was probably meant, or None.

    `epochs` finds `training.epochs` too: the last part of a path is what people remember.
    """
    names = list(names)
    if close := difflib.get_close_matches(name, names, n=1):
        return close[0]
    tails = {other.rpartition(".")[2]: other for other in names}
    tail = name.lstrip("-").rpartition(".")[2]
    close = difflib.get_close_matches(tail, tails, n=1, cutoff=0.75)
    return tails[close[0]] if close else None


@cache
def field_docstrings(cls: type) -> dict[str, str]:
    """Returns field → the docstring under it on one line, inherited fields included.

    Python drops such docstrings when it compiles, so they are read from the source; without
    source (a frozen application) there are none.
    """
    docstrings: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        body = _classes(ancestor.__module__).get(ancestor.__name__, ast.Module([], [])).body
        for field, text in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                docstrings[field.target.id] = " ".join(str(text.value.value).split())
    return docstrings


@cache
def _classes(module: str) -> dict[str, Any]:
    """Returns name → syntax tree of every class in a module's source."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not file.endswith(".py") or not Path(file).is_file():
        return {}
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _given(
    table: Mapping[str, Any], known: Mapping[str, Setting], where: Callable[[str], str]
) -> dict[str, Given]:
    """Flattens nested tables to paths and checks keys, then values."""
    sections = {path[: dot.start()] for path in known for dot in re.finditer(r"\.", path)}
    raw: dict[str, Any] = {}

    def walk(table: Mapping[str, Any], prefix: str) -> None:
        for key, value in table.items():
            path = prefix + key
            if path in known:
                raw[path] = value
            elif path in sections:
                if not isinstance(value, Mapping):
                    raise UsageError(
                        f"{where(path)} is a section of settings, got {show(value)}; "
                        f"write [{path}] and its settings below."
                    )
                walk(value, f"{path}.")
            else:
                near = nearest(path, [*known, *sections])
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}."
                raise UsageError(f"{where(path)} is not a setting; {hint}")

    walk(table, "")
    return {
        path: Given(known[path].convert(value, where=where(path)), where(path))
        for path, value in raw.items()
    }


def _replace(base: C, prefix: str, given: Mapping[str, Given]) -> C:
    """Returns a copy of a dataclass, sections included, with the given values in it."""
    changes: dict[str, Any] = {}
    for field in fields(base):  # type: ignore[arg-type]  # C is a dataclass.
        path = prefix + field.name
        if path in given:
            changes[field.name] = given[path].value
        elif any(name.startswith(f"{path}.") for name in given):
            changes[field.name] = _replace(getattr(base, field.name), f"{path}.", given)
    try:
        return dataclasses.replace(base, **changes)  # type: ignore[type-var]
    except ValueError as error:
        # A dataclass does not know where its values came from, but its message names the field.
        named = [name for name in re.findall(r"\w+", str(error)) if prefix + name in given]
        suspects = named[:1] or list(changes)
        where = [given[prefix + name].where for name in suspects if prefix + name in given]
        start = where[0] if len(where) == 1 else prefix.rstrip(".") or "settings"
        raise UsageError(f"{start}: {error}") from None


def _position(file: Path, text: str, path: str) -> str:
    """Returns `file:line` of a key in TOML text, or the file alone where it is not found.

    tomllib forgets lines, so table headers and keys are looked for again.
    """
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\[\]]+)\]", line):
            table = here = _plain(header[1]) + "."
        elif key := re.match(r"\s*([^=#]+)=", line):
            here = table + _plain(key[1]) + "."
        else:
            continue
        # Either may be the longer one: `[a.b]` when `a` is unknown, `a = {b = 1}` for `a.b`.
        at_key = not line.lstrip().startswith("[")
        if here.startswith(f"{path}.") or (at_key and f"{path}.".startswith(here)):
            return f"{file}:{number}"
    return str(file)


def _plain(key: str) -> str:
    """Removes spaces and quotes from a TOML key."""
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _is_simple(hint: Any) -> bool:
    if get_origin(hint) is Literal or hint in (*_SIMPLE, Ellipsis):
        return True
    containers = (Union, types.UnionType, tuple, list, dict)
    return get_origin(hint) in containers and all(map(_is_simple, get_args(hint)))


def _expected(hint: Any) -> str:
    """Says in words what a value must be."""
    arguments = [argument for argument in get_args(hint) if argument is not Ellipsis]
    if hint in _SIMPLE:
        return _SIMPLE[hint][0]
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(show, arguments))}"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_expected, arguments))
    if get_origin(hint) is dict:
        return 'a table such as {"name": value}'
    return f"a list {_metavar(hint)} (each {', '.join(map(_expected, arguments))})"


def _metavar(hint: Any) -> str:
    arguments = get_args(hint)
    if hint in _SIMPLE:
        return _SIMPLE[hint][1]
    if get_origin(hint) is Literal:
        return "|".join(map(show, arguments))
    if get_origin(hint) in (Union, types.UnionType):
        return "|".join(map(_metavar, arguments))
    if get_origin(hint) is dict:
        return "{...}"
    if get_origin(hint) is list:
        return f"[{_metavar(arguments[0])}, ...]"
    return "[" + ", ".join("..." if a is Ellipsis else _metavar(a) for a in arguments) + "]"
