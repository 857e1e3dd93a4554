"""Writes the reference pages from docstrings and `--help`: `make reference`.

Sources are parsed, not imported, so this needs no TensorFlow and takes a second.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
    parts = ["# Modules\n\nWhat is public in each, with the first line of its docstring.\n"]
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        parts.append(f"\n## `{name}`\n\n{_first_line(tree)}\n")
        if rows := list(_public(tree)):
            parts.append("\n| Name | |\n|---|---|\n" + "".join(rows))
    return _NOTE + "".join(parts)


def _public(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            call = "()" if isinstance(node, ast.FunctionDef) else ""
            yield f"| `{node.name}{call}` | {_first_line(node).replace('|', '&#124;')} |\n"


def _first_line(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    """The first sentence of a docstring, which may be broken over lines."""
    paragraph = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


if __name__ == "__main__":
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
