"""One file out of several modules: `predictor.py`, which needs no seqapps."""

import ast
import importlib.util
import sys
from importlib import metadata
from pathlib import Path

_HEAD = '''"""{summary} Written by seqapps {version}.

    python predictor.py {asked}
    python predictor.py --json {asked}

`--set NAME=VALUE` sets a strategy value. In Python: `from predictor import {name}`, and
`{name}(".").answers([...])` of texts or of the bytes of recordings.
"""
'''


def assemble(module: str, *, main: str, summary: str, name: str, asked: str, version: str) -> str:
    """The source of a module with all that it imports from seqapps, and a command line.

    Args:
        module: The predictor's module.
        main: The module with the command line, which calls `run(PREDICTOR)`.
        summary: First line of its docstring.
        name: The predictor's class.
        asked: What follows its name on the command line.
        version: Of seqapps.
    """
    bodies: dict[str, str] = {}
    imports: set[str] = set()
    for each in (module, main):
        _gather(each, bodies, imports)
    parts = [_HEAD.format(summary=summary, version=version, name=name, asked=asked)]
    parts += ["\n".join(sorted(imports, key=lambda line: (line.startswith("from"), line)))]
    parts += list(bodies.values())
    parts.append(f'if __name__ == "__main__":\n    sys.exit(run({name}))')
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def required(source: str) -> list[str]:
    """The distributions that a source imports, besides the standard library, by name."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).partition(".")[0])
    known = metadata.packages_distributions()
    return sorted(
        known.get(module, [module])[0].lower() for module in modules - sys.stdlib_module_names
    )


def _gather(module: str, bodies: dict[str, str], imports: set[str]) -> None:
    """Puts a module's body behind those of the modules that it needs."""
    if module in bodies:
        return
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"{module} must be a module with a source file.")
    source = Path(spec.origin).read_text(encoding="utf-8")
    lines, tree = source.splitlines(), ast.parse(source)
    dropped: set[int] = set()
    for number, node in enumerate(tree.body):
        span = set(range(node.lineno - 1, node.end_lineno or node.lineno))
        if number == 0 and isinstance(node, ast.Expr):
            dropped |= span
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seqapps"):
            _gather(str(node.module), bodies, imports)
            dropped |= span
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports.add(ast.unparse(node))
            dropped |= span
    bodies[module] = "\n".join(line for i, line in enumerate(lines) if i not in dropped)
