"""A warm Python runs commands as a new interpreter does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm_python as warm
from warm_python import warm_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="on Linux alone it is warm")

SAYS = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ["GREETING"], sys.stdin.read()]))
print("aside", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


def run(python, *words, **options):
    return subprocess.run([python, *words], capture_output=True, text=True, timeout=120, **options)


def test_arguments_folder_environment_streams_and_exit_code_are_the_callers(tmp_path):
    (tmp_path / "says.py").write_text(SAYS)
    given = {"cwd": tmp_path, "env": {**os.environ, "GREETING": "grüß"}, "input": "Ω\n"}
    for words in (["-c", SAYS], ["says.py"], ["-m", "says"]):
        for code in ("0", "3"):
            found, wanted = (
                run(python, *words, code, "☃", **given)
                for python in (warm_python(), sys.executable)
            )
            assert (found.returncode, found.stdout, found.stderr) == (
                wanted.returncode,
                wanted.stdout,
                wanted.stderr,
            )


def test_a_failure_ends_in_a_traceback_and_a_message():
    failed = run(warm_python(), "-c", "1 / 0")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    said = run(warm_python(), "-c", "raise SystemExit('no such thing')")
    assert (said.returncode, said.stderr) == (1, "no such thing\n")


def test_what_is_imported_and_what_is_not():
    heavy = "tensorflow.python", "keras", "seqapps.recipe"
    code = f"import sys\nprint([name in sys.modules for name in {heavy}])"
    assert run(warm_python(), "-c", code).stdout == "[True, True, True]\n"
    assert run(warm_python(), "-IB", "-c", code).stdout == "[False, False, False]\n"
    alone = f"import tensorflow\n{code}"
    assert run(warm_python(), "-I", "-c", alone).stdout.endswith("False]\n")
    # What an import would have read of it.
    other = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    assert run(warm_python(), "-c", code, env=other).stdout == "[False, False, False]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command_and_its_end_is_the_callers(number):
    wait = "import time\nprint('begun', flush=True)\ntime.sleep(100)"
    with subprocess.Popen(
        ["env", "--default-signal=INT", warm_python(), "-c", wait],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        assert process.wait(60) == -number


def test_a_command_ends_with_the_caller_that_is_killed():
    wait = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(100)"
    with subprocess.Popen([warm_python(), "-c", wait], stdout=subprocess.PIPE) as process:
        number = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{number}"))


def wait_until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def send(place, told, descriptors):
    """Asks a server as a client does; the connection."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(place))
    socket.send_fds(connection, [len(told).to_bytes(4, "big")], descriptors)
    connection.sendall(told)
    return connection


def test_what_is_no_job_ends_neither_the_server_nor_its_next_job():
    place = Path(warm_python()).with_name("full")
    for told in (b"\x02[", b"{}", b"[1, 2]", b"\xff"):
        with send(place, told, [0, 1, 2]) as connection:
            assert connection.recv(4) == b""
    with send(place, b"[]", []) as connection:
        assert connection.recv(4) == b""
    assert run(warm_python(), "-c", "print(1)").stdout == "1\n"


SERVER = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import warm_python
warm_python._import = lambda everything: None
warm_python._main(*sys.argv[1:])
"""
"""A server that has nothing imported."""


@pytest.fixture
def serve(tmp_path):
    """Starts such a server for an owner; the folder that is its to remove, and its process."""
    started = []

    def start(owner):
        folder = tmp_path / "warm"
        folder.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "bare"))
            listener.listen()
            number = listener.fileno()
            words = [str(Path(warm.__file__).parent), str(number), str(owner), str(folder)]
            command = [sys.executable, "-I", "-c", SERVER, *words]
            started.append(subprocess.Popen(command, pass_fds=[number]))
        return folder, started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_with_the_owner_ends_all_that_was_started_for_it(serve, tmp_path):
    owner = subprocess.Popen(["sleep", "1000"])
    folder, server = serve(owner.pid)
    code = (
        "import subprocess\n"
        "started = subprocess.Popen(['sleep', '1000'])\n"
        "print(started.pid, flush=True)\n"
        "started.wait()"
    )
    told = json.dumps([["-c", code], str(tmp_path), dict(os.environ), False]).encode()
    reading, writing = os.pipe()
    with send(folder / "bare", told, [0, writing, 2]), open(reading) as said:
        os.close(writing)
        number = int(said.readline())
        owner.kill()
        owner.wait()
        assert server.wait(60) == 0
        # Init may take a moment to collect it.
        stat = Path(f"/proc/{number}/stat")
        wait_until(lambda: not stat.exists() or stat.read_text().split()[2] == "Z")
    assert not folder.exists()


def test_an_owner_that_ended_before_is_an_owner_that_ended(serve):
    owner = subprocess.Popen(["true"])
    owner.wait()
    folder, server = serve(owner.pid)
    assert server.wait(60) == 0
    assert not folder.exists()


def test_nobody_waits_for_ever_for_the_one_that_starts_it(monkeypatch, tmp_path):
    monkeypatch.setattr(warm, "_DEADLINE_S", 0.05)
    monkeypatch.setattr(warm.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "0123456789abcdef")
    warm.folder_of("0123456789abcdef").mkdir()
    with pytest.raises(TimeoutError, match="was to write .*warm-0123456789ab/python within"):
        warm_python.__wrapped__()
