"""Imports that wait until they are used, so that `--help` never pays for TensorFlow."""

import contextlib
import ctypes
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any

from seqapps.environment import check_keras, choose_backends


class _TensorFlowLoader(Loader):
    """Runs TensorFlow's own loader while a Keras that is still waiting is out of sight.

    TensorFlow looks Keras up in the middle of its own import. A lazy Keras would answer by
    loading itself on a half-made TensorFlow and stay broken.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        waiting = sys.modules.get("keras")
        # type(), not isinstance(): reading __class__ would load the module.
        if waiting is None or type(waiting) is ModuleType:
            self._loader.exec_module(module)
            return
        del sys.modules["keras"]
        try:
            self._loader.exec_module(module)
        finally:
            sys.modules["keras"] = waiting


# Private in the standard library, and without a public way to it.
_Standard: Any = vars(importlib.util)["_LazyModule"]


class _Waiting(_Standard):
    """A module that loads on first use; importing it once more is no use of it.

    An import statement asks a module that it finds in `sys.modules` for its `__spec__`, and the
    standard library's lazy module would load for that: the second of two modules to import
    TensorFlow lazily would load it.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "__spec__":
            return object.__getattribute__(self, name)
        # Newer versions of Python load modules of exactly this class.
        object.__setattr__(self, "__class__", _Standard)
        return getattr(self, name)


class _LazyLoader(importlib.util.LazyLoader):
    """The standard library's, with modules that may be imported twice."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.__class__ = _Waiting


class _LazyFinder(MetaPathFinder):
    """Finds modules as usual, but hands them out with a loader that runs on first use."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        # Packages of this project hold nothing heavy: loading them lazily saves nothing
        # and hides their submodules from `from package import module`.
        if spec is None or spec.loader is None:
            return spec
        if spec.submodule_search_locations is not None and fullname.startswith("seqapps"):
            return spec
        loader = _TensorFlowLoader(spec.loader) if fullname == "tensorflow" else spec.loader
        spec.loader = _LazyLoader(loader)
        return spec


@contextlib.contextmanager
def lazy_imports() -> Iterator[None]:
    """Makes the modules imported in its body load on first attribute access.

    Import modules, not names from them: `from module import name` is itself a use.

    Example:
        with lazy_imports():
            import tensorflow as tf
            from seqapps.recipes.translate import network
    """
    finder = _LazyFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def offered(name: str, modules: Mapping[str, Sequence[str]], package: str) -> Any:
    """A public name of a package, which loads the module that it stands in (PEP 562).

    Args:
        name: The name.
        modules: Full name of a module → what it gives.
        package: Whose name it is.

    Raises:
        AttributeError: If the package offers no such name.
    """
    for module, names in modules.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


_STARTED: list[bool] = []
"""Holds something once the first operation was run."""


def start_tensorflow() -> None:
    """Imports TensorFlow without its start-up lines on the terminal.

    Log level 3 still lets lines through that are written before the level is read, so file
    descriptor 2 is redirected meanwhile, and replayed if the import fails. Where somebody imported
    it before, its first operation alone is kept quiet.

    Raises:
        UserError: If Keras was imported with another backend.
    """
    choose_backends()
    check_keras()
    theirs = "tensorflow.python" in sys.modules
    if theirs and _STARTED:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.stderr:
        sys.stderr.flush()
    # In memory: on a full disk there is no temporary file.
    with open(os.memfd_create("log"), "w+b") as log:
        terminal = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            import tensorflow as tf

            first_operation(tf)
        except Exception:
            # Not after Ctrl-C: nothing is wrong then.
            log.seek(0)
            os.write(terminal, log.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
    _STARTED.append(True)
    if not theirs:
        tf.get_logger().setLevel("ERROR")


def first_operation(tensorflow: Any) -> None:
    """Has TensorFlow say what it says but once; nothing follows from any of it.

    The first operation tells of the processor and its devices, the first model, as an error, that
    oneDNN does not take whole numbers.
    """
    tensorflow.constant(0)
    library = os.path.join(os.path.dirname(tensorflow.__file__), "libtensorflow_framework.so.2")
    with contextlib.suppress(OSError, AttributeError):
        warn = ctypes.CDLL(library)["_ZN10tensorflow26DataTypeUnsupportedWarningERKNS_8DataTypeE"]
        # DT_INT32
        warn(ctypes.byref(ctypes.c_int(3)))
