"""A Python that has TensorFlow imported already, for tests that start many processes.

`python -m seqapps...` spends five seconds on importing TensorFlow and Keras before its work begins.
A server imports them once for a test process, runs no operation, and forks for each command: the
child gets the caller's arguments, folder, environment and file descriptors, and is a process and a
command line as any other. `warm_python()` gives the command that stands for the interpreter: a
script named `python`, which passes on Ctrl-C and the request to end, and ends as the child does.

Two servers, since a certificate is measured in a process that has TensorFlow and nothing else:

- `python -m`, `-c` and a script: TensorFlow, Keras and the modules of seqapps are there, and what
  `start_tensorflow` does at its first call is done.
- `python -I -c` of a program that imports TensorFlow: TensorFlow alone.

Anything else, and any command whose environment would have changed an import, runs in a new
interpreter. Tests that are about the start itself use `sys.executable`.

Not passed on are the caller's umask, its limits, the processors that it may use, its place among
processes (the parent is the server, and each command leads a process group of its own), its further
descriptors, and the signals that stop and continue a process. And as all of seqapps is imported, a
module that forgets an import or imports in a circle is not found out here: `tests/docs` runs one
page in new interpreters.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path

_CLIENT = r'''#!{interpreter} -SEs
"""Asks a warm Python to run a command, and ends as it does."""

import json
import os
import signal
import socket
import sys

INTERPRETER, FULL, BARE, NAMES, UNREAD, READ = {constants}
WORDS = {first} + sys.argv[1:]


def read_at_import():
    """What of the environment an import may have read; seqapps sets what nobody did."""
    environment = {{"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", **os.environ}}
    return {{
        name: value
        for name, value in environment.items()
        if name.startswith(NAMES) and name not in UNREAD
    }}


def server():
    """Where the process is that such a command can be forked from."""
    if read_at_import() != READ or not WORDS:
        return None
    if WORDS[0] in ("-m", "-c"):
        return FULL if len(WORDS) > 1 else None
    if WORDS[:2] == ["-I", "-c"]:
        return BARE if "\nimport tensorflow" in "\n" + WORDS[2] else None
    return FULL if not WORDS[0].startswith("-") else None


place = server()
if place is None:
    os.execv(INTERPRETER, [INTERPRETER, *WORDS])
told = json.dumps(
    [
        WORDS[1:] if WORDS[0] == "-I" else WORDS,
        os.getcwd(),
        dict(os.environ),
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    ]
).encode("utf-8", "surrogateescape")
connection = socket.socket(socket.AF_UNIX)
connection.connect(place)
passed = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Until the command is told: the number of a signal amid it would be taken for a part of it.
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, passed)
for number in passed:
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda number, frame: connection.send(bytes([number])))
socket.send_fds(connection, [len(told).to_bytes(4, "big")], [0, 1, 2])
connection.sendall(told)
signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
status = connection.recv(4)
if len(status) < 4:
    sys.exit("the warm Python has ended; what it ran has ended with it")
code = int.from_bytes(status, "big", signed=True)
if code < 0:
    # As a shell sees it of a child that a signal ended.
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    signal.pause()
os._exit(code)
'''

_READ = ("PYTHON", "TF_", "KERAS", "MPL", "OMP_", "MKL_", "OPENBLAS", "NUMBA", "XLA_")
"""How the names of variables begin that are read by an import."""
_UNREAD = ("PYTHONUNBUFFERED",)
"""Those of them that are read for each process."""
_LARGE = ("sentencepiece", "soundfile", "matplotlib.figure", "matplotlib.backends.backend_agg")
"""Modules that are imported at their first use."""
_SERVERS: list["subprocess.Popen[bytes]"] = []
"""What this process started; an object of a running process must not be thrown away."""


_DEADLINE_S = 60.0
"""How long a process waits for the one that writes the scripts, which takes far less."""
_TOLD_S = 10.0
"""How long a client may take to say what it asks for."""


def folder_of(run: str) -> Path:
    """Where the sockets and scripts are that all processes of a test run share."""
    # Not pytest's folder: the address of a socket has at most 107 bytes.
    return Path(tempfile.gettempdir()) / f"warm-{run[:12]}"


@functools.cache
def warm_python() -> str:
    """The command that stands for `sys.executable`; the first call of a test run starts it.

    Not to be called while a module is imported: `pytest --collect-only` starts nothing.

    Raises:
        TimeoutError: If another process was to start it and has not.
    """
    if sys.platform != "linux":
        # Elsewhere the libraries below TensorFlow do not promise to survive a fork.
        return sys.executable
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        folder = Path(tempfile.mkdtemp(prefix="warm-"))
        # The servers do it too, unless they were killed.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _start(folder, os.getpid())
    else:
        # One for all processes of the run, which ends with the one that began them.
        folder = folder_of(run)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            _start(folder, os.getppid())
    python = folder / "python"
    end = time.monotonic() + _DEADLINE_S
    while not python.exists():
        if time.monotonic() > end:
            raise TimeoutError(
                f"the process that made {folder} was to write {python} within {_DEADLINE_S:.0f} s "
                "and has not; another process of this test run says why"
            )
        time.sleep(0.01)
    return str(python)


def warm_path() -> str:
    """A value of PATH with which `python` is `warm_python()`, and `saved_model_cli` as warm."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    return os.pathsep.join([str(Path(warm_python()).parent), *folders])


def _start(folder: Path, owner: int) -> None:
    """Starts both servers; writes the scripts that stand for commands, `python` last."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", **os.environ}
    read = {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ) and name not in _UNREAD
    }
    full, bare = (str(folder / name) for name in ("full", "bare"))
    for isolated, place in (([], full), (["-I"], bare)):
        with socket.socket(socket.AF_UNIX) as listener:
            # Here already, so that clients can come meanwhile and wait.
            listener.bind(place)
            listener.listen(64)
            number = listener.fileno()
            server = subprocess.Popen(
                [sys.executable, *isolated, __file__, str(number), str(owner), str(folder)],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                pass_fds=[number],
            )
            _SERVERS.append(server)
    constants = (sys.executable, full, bare, _READ, _UNREAD, read)
    for name, first in (
        ("saved_model_cli", ["-m", "tensorflow.python.tools.saved_model_cli"]),
        ("python", []),
    ):
        script = _CLIENT.format(
            interpreter=sys.executable, constants=repr(constants), first=repr(first)
        )
        partial = folder / f"{name}.partial"
        partial.write_text(script, encoding="utf-8")
        partial.chmod(0o700)
        partial.rename(folder / name)


class _Job:
    """What a client asked for.

    Raises:
        EOFError: If the client has gone.
        OSError: If it takes too long or cannot be read.
        ValueError: If what it says is no job.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_TOLD_S)
        size, self.descriptors, _, _ = socket.recv_fds(connection, 4, 3)
        try:
            while len(size) < 4:
                size += _some(connection, 4 - len(size))
            told = b""
            while len(told) < int.from_bytes(size, "big"):
                told += _some(connection, int.from_bytes(size, "big") - len(told))
            told = json.loads(told)
            if not isinstance(told, list) or len(self.descriptors) != 3:
                raise ValueError("a job is a list, and comes with three descriptors")
            self.words, self.folder, self.environment, self.deaf = told
        except BaseException:
            self.close()
            raise
        connection.settimeout(None)

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


def _some(connection: socket.socket, most: int) -> bytes:
    read = connection.recv(most)
    if not read:
        raise EOFError("the client has gone")
    return read


def _wait_for_job(listener: socket.socket, owner: int) -> _Job | None:
    """Forks for every command and tells its client how it ended.

    Returns:
        In each child its job, in the server None once the owner has ended.
    """
    selector = selectors.DefaultSelector()
    ended, tell = os.pipe()
    for descriptor in (ended, tell):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(ended, selectors.EVENT_READ)
    try:
        owned = os.pidfd_open(owner)
    except ProcessLookupError:
        return None
    selector.register(owned, selectors.EVENT_READ)
    running: dict[int, socket.socket] = {}

    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                try:
                    job = _Job(connection)
                except (EOFError, OSError, ValueError):
                    connection.close()
                    continue
                pid = os.fork()
                if pid == 0:
                    # What it starts belongs to it, and ends with it if the owner ends.
                    os.setpgid(0, 0)
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for other in (listener, connection, *running.values()):
                        other.close()
                    selector.close()
                    for descriptor in (ended, tell, owned):
                        os.close(descriptor)
                    return job
                # Here too: whoever is first.
                with contextlib.suppress(OSError):
                    os.setpgid(pid, pid)
                job.close()
                running[pid] = connection
                selector.register(connection, selectors.EVENT_READ, pid)
            elif key.fileobj == ended:
                with contextlib.suppress(BlockingIOError):
                    os.read(ended, 4096)
                for pid in list(running):
                    done, status = os.waitpid(pid, os.WNOHANG)
                    if done:
                        code = os.waitstatus_to_exitcode(status)
                        connection = running.pop(pid)
                        with contextlib.suppress(OSError):
                            connection.sendall(code.to_bytes(4, "big", signed=True))
                        with contextlib.suppress(KeyError):
                            selector.unregister(connection)
                        connection.close()
            elif key.fileobj == owned:
                for pid in running:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                return None
            elif key.data in running:
                try:
                    numbers = running[key.data].recv(64)
                except OSError:
                    numbers = b""
                # A client that has gone was killed, and the kill was meant for the command.
                for number in numbers or [signal.SIGKILL]:
                    os.kill(key.data, number)
                if not numbers:
                    selector.unregister(running[key.data])


def _become(job: _Job, python: str, first_operation: bool) -> None:
    """Makes this process what the client's would be."""
    for target, descriptor in enumerate(job.descriptors):
        os.dup2(descriptor, target)
    job.close()
    os.chdir(job.folder)
    os.environ.clear()
    os.environ.update(job.environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN if job.deaf else signal.default_int_handler)
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(
        open(1, "wb", closefd=False),
        encoding="utf-8",
        line_buffering=os.isatty(1),
        write_through=unbuffered,
    )
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(
        open(2, "wb", closefd=False),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
    # What this process starts is started as quickly.
    sys.executable = python
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if first_operation:
        # As `start_tensorflow` does: the first operation writes lines of its own.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        sys.modules["seqapps.lazy"].first_operation(sys.modules["tensorflow"])
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def _run(words: list[str]) -> None:
    """Runs `-m MODULE ...`, `-c CODE ...` or `SCRIPT ...` as the interpreter would."""
    kind, rest = words[0], words[1:]
    sys.modules.pop("__main__")
    if kind == "-m":
        sys.argv = ["-m", *rest[1:]]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        if not sys.flags.isolated:
            sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = list(words)
        sys.path.insert(0, str(Path(kind).resolve().parent))
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        main.__file__ = kind
        exec(compile(Path(kind).read_bytes(), kind, "exec"), main.__dict__)


def _end_of(words: list[str]) -> int:
    """Runs a command to its end: its exit code.

    All but the very last, the destructors of libraries: some wait for threads of the process that
    this one was forked from.
    """
    code, interrupted = 0, False
    try:
        _run(words)
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        if asked.code is not None and not isinstance(asked.code, int):
            sys.stderr.write(f"{asked.code}\n")
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code, interrupted = 1, isinstance(error, KeyboardInterrupt)
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    sys.stderr.flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code & 0xFF


def _import(everything: bool) -> None:
    """Imports what takes long, and makes sure that nothing has run an operation."""
    log = os.open(os.devnull, os.O_WRONLY)
    terminal = os.dup(2)
    os.dup2(log, 2)
    import tensorflow as tf

    os.dup2(terminal, 2)
    os.close(terminal)
    os.close(log)
    if everything:
        tf.get_logger().setLevel("ERROR")
        import keras  # noqa: F401

        import seqapps

        for module in pkgutil.walk_packages(seqapps.__path__, "seqapps."):
            # gRPC, which serving needs, has threads that a fork breaks.
            if module.name.rpartition(".")[2] != "__main__" and ".serving" not in module.name:
                # What an extra that is not installed would bring.
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)
        for name in _LARGE:
            with contextlib.suppress(ImportError):
                importlib.import_module(name).__doc__  # noqa: B018 -- loads it if it is lazy
    context = sys.modules["tensorflow.python.eager.context"]._context
    # Threads do not survive a fork, and the first operation starts them.
    assert context is None or not context._initialized, "an import has run an operation"
    assert "grpc" not in sys.modules, "an import has brought gRPC, whose threads a fork breaks"
    gc.collect()
    gc.freeze()
    # Tracing makes many objects that stay; looking through them so often finds nothing.
    gc.set_threshold(20_000, 10, 10)


def _main(number: str, owner: str, folder: str) -> None:
    listener = socket.socket(fileno=int(number))
    listener.set_inheritable(False)
    full = not sys.flags.isolated
    _import(full)
    if sys.path[0] == str(Path(__file__).parent):
        del sys.path[0]
    job = _wait_for_job(listener, int(owner))
    if job is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    _become(job, str(Path(folder) / "python"), first_operation=full)
    os._exit(_end_of(job.words))


if __name__ == "__main__":
    _main(*sys.argv[1:])
