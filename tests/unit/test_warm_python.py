"""A warm Python runs commands as a new interpreter does."""

import os
import signal
import subprocess
import sys
import time

import pytest
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
    end = time.monotonic() + 60
    while os.path.exists(f"/proc/{number}"):
        assert time.monotonic() < end
        time.sleep(0.05)
