"""One file out of several modules: `predictor.py`, which needs no seqapps."""

import ast
import importlib.util
import re
import sys
from importlib import metadata
from pathlib import Path

_HEAD = '''"""{summary} Written by seqapps {version}.

    python predictor.py {asked}
    python predictor.py --json {asked}

`--set NAME=VALUE` sets a strategy value. In Python: `from predictor import {name}`, and
`{name}(".").answers([...])` of texts, numbers, lists of them, or the bytes of recordings or
pictures; of dicts by name where there are several inputs.
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

    Raises:
        ValueError: If two modules use the same name for different things.
    """
    bodies: dict[str, str] = {}
    imports: set[str] = set()
    for each in (module, main):
        _gather(each, bodies, imports)
    _check_names(bodies)
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
    names = [known.get(module, [module])[0] for module in modules - sys.stdlib_module_names]
    # The form in which names of distributions are compared: PEP 503.
    return sorted({re.sub(r"[-_.]+", "-", name).lower() for name in names})


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
        # What others import when it is used, one file imports at once.
        inner: list[ast.stmt] = [node]
        if isinstance(node, ast.With) and ast.unparse(node.items[0]) == "lazy_imports()":
            inner = node.body
        # Nor does one file say what each module of it exports.
        silent = (number == 0 and isinstance(node, ast.Expr)) or _exports(node)
        if not silent and not all(isinstance(i, ast.Import | ast.ImportFrom) for i in inner):
            continue
        dropped |= set(range(node.lineno - 1, node.end_lineno or node.lineno))
        for each in inner:
            if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("seqapps"):
                if each.module != "seqapps.lazy":
                    _gather(str(each.module), bodies, imports)
            elif not silent:
                imports.add(ast.unparse(each))
    bodies[module] = "\n".join(line for i, line in enumerate(lines) if i not in dropped)


def _exports(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _check_names(bodies: dict[str, str]) -> None:
    """Checks that no module hides what another calls by the same name.

    Raises:
        ValueError: If one does.
    """
    owners: dict[str, tuple[str, str]] = {}
    for module, body in bodies.items():
        for node in ast.parse(body).body:
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    names = [name]
                case ast.Assign(targets=targets):
                    names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
                case ast.AnnAssign(target=ast.Name(id=name)):
                    names = [name]
                case _:
                    continue
            for name in names:
                here = (module, ast.unparse(node))
                if owners.setdefault(name, here)[1] != here[1]:
                    raise ValueError(
                        f"{module} and {owners[name][0]} both define {name}, and stand in one file "
                        "together; rename one."
                    )
