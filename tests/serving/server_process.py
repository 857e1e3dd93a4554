"""A real server process over real sockets."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from warm_python import warm_python


@dataclass
class Server:
    """One process of `python -m seqapps serve`."""

    process: "subprocess.Popen[bytes]"
    log: Path
    token: str = ""
    verify: Any = True
    scheme: str = "http"
    ports: dict[str, int] = field(default_factory=dict)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of its log of one kind."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def wait_for(self, name: str, *, count: int = 1, timeout_s: float = 120) -> dict[str, Any]:
        """Waits for a line of its log."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if len(found := self.events(name)) >= count:
                return found[count - 1]
            assert self.process.poll() is None or name == "stopped", self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"no {name} within {timeout_s} s:\n{self.log.read_text()[-3000:]}")

    @property
    def pid(self) -> int:
        """Which process listens at its port, by the kernel's own tables.

        That of `process`, or what a warm Python runs for it.
        """
        lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
        place = f"0100007F:{self.ports['http']:04X}"
        sockets = {
            f"socket:[{words[9]}]"
            for words in map(str.split, lines)
            if (words[1], words[3]) == (place, "0A")
        }
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if any(str(each.readlink()) in sockets for each in (folder / "fd").iterdir()):
                    return int(folder.name)
        raise AssertionError(f"nobody listens at {place}")

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.ports['http']}"

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(
            base_url=self.url, timeout=60, headers=headers, verify=self.verify, trust_env=False
        )

    def channel(self) -> Any:
        return grpc.insecure_channel(f"127.0.0.1:{self.ports['grpc']}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def serving(
    folder: Path,
    *arguments: str,
    ready: bool = True,
    start_s: float = 120,
    python: str | None = None,
    **kept: Any,
) -> Iterator[Server]:
    """Starts a server on free ports, and ends it.

    Args:
        folder: Where it is started, and its log is written.
        arguments: Of `seqapps serve`.
        ready: Whether to wait until its models are loaded.
        start_s: How long that may take.
        python: The interpreter; without it a warm one, whose process is a child of `process`.
        kept: What a client of it needs.
    """
    log = folder / f"server-{time.monotonic_ns()}.log"
    command = [python or warm_python(), "-m", "seqapps", "serve", *arguments]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "--port", "0", "--grpc-port", "0"],
            stderr=stderr,
            cwd=folder,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
    server = Server(process, log, **kept)
    try:
        found = server.wait_for("listening", timeout_s=start_s)
        server.ports = {"http": found["port"], "grpc": found["grpc_port"]}
        if ready:
            server.wait_for("ready", timeout_s=start_s)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
