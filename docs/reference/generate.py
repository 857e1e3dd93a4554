"""Writes the reference pages from docstrings and `--help`: `make reference`.

Sources are parsed, not imported, so this needs no TensorFlow and takes a second.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PACKAGE = ROOT / "seqapps"
_NOTE = "<!-- Made by `make reference`; edit the docstrings instead. -->\n\n"


def pages() -> dict[str, str]:
    """Returns file name → text of every page."""
    recipes = sorted(path.parent.name for path in (PACKAGE / "recipes").glob("*/recipe.py"))
    made = {"modules.md": _modules(), "serve.md": _help_page("seqapps", [["serve"]])}
    return made | {f"{name}.md": _settings(name) for name in recipes}


def _settings(recipe: str) -> str:
    commands = [[], ["train"], ["evaluate"], ["predict"], ["tune"], ["export"]]
    return _help_page(f"seqapps.recipes.{recipe}", commands)


def _help_page(command: str, commands: list[list[str]]) -> str:
    parts = [f"# `python -m {command}`\n"]
    for arguments in commands:
        text = subprocess.run(
            [sys.executable, "-m", command, *arguments, "--help"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "96"},
            cwd=ROOT,
        ).stdout
        heading = f"\n## {arguments[0]}\n" if arguments else ""
        parts.append(f"{heading}\n```text\n{text.strip()}\n```\n")
    return _NOTE + "".join(parts)


def _modules() -> str:
    """What `__all__` of each module exports: the names that people may import."""
    made = {path: list(_exported(path)) for path in sorted(PACKAGE.rglob("*.py"))}
    tables = [
        f"\n## `{_name(path)}`\n\n{_first_line(_tree(path))}\n"
        "\n| Name | |\n|---|---|\n" + "".join(rows)
        for path, rows in made.items()
        if rows
    ]
    head = "# Modules\n\nWhat people import, by module. What stands in no list here is private.\n"
    return _NOTE + head + "".join(tables)


def _exported(path: Path) -> Iterator[str]:
    """A row for each name of a module's `__all__`; of a module among them, for each class in it."""
    tree = _tree(path)
    own, origins = dict(_definitions(tree)), _origins(tree)
    for name in _constant(tree, "__all__", default=[]):
        if name in own:
            yield _row(own[name], name)
            continue
        file = _file(origins[name])
        inside = dict(_definitions(_tree(file)))
        if name in inside:
            yield _row(inside[name], name)
            continue
        for inner, node in inside.items():
            if isinstance(node, ast.ClassDef) and not inner.startswith("_"):
                yield _row(node, f"{name}.{inner}")


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Names of classes, functions and constants, each with what its docstring stands in."""
    for node, after in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from ((name.id, after) for name in names if isinstance(name, ast.Name))


def _origins(tree: ast.Module) -> dict[str, str]:
    """The module that each name comes from: by the imports, or by the table of an application."""
    table = _constant(tree, "_FROM", default={})
    modules = {name: module for module, names in table.items() for name in names}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seqapps"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                modules[alias.name] = inner if _file(inner).exists() else str(node.module)
    return modules


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _constant(tree: ast.Module, name: str, *, default: Any) -> Any:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    return default


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _row(node: ast.AST, name: str) -> str:
    call = "()" if isinstance(node, ast.FunctionDef) else ""
    return f"| `{name}{call}` | {_first_line(node).replace('|', '&#124;')} |\n"


def _first_line(node: ast.AST) -> str:
    """The first sentence of a docstring, which may be broken over lines."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        text = str(node.value.value)
    elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        text = ast.get_docstring(node) or ""
    else:
        text = ""
    paragraph = text.partition("\n\n")[0]
    return " ".join(paragraph.split())


if __name__ == "__main__":
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
