"""What a server allows, and where it listens."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqapps.arguments import positional
from seqapps.errors import UsageError

_LARGEST = 2_000_000_000
"""Bytes of a request, at most: gRPC counts them in 32 bits."""


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Options of `serve`."""

    bundles: tuple[str, ...] = positional()
    """Bundles, or folders with a bundle for each version in folders 1, 2, ...; each PATH or
    NAME=PATH. Without a name it has its recipe's."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for every network, which wants a token and TLS."""
    port: int = 8501
    """Port of HTTP; 0 for any that is free."""
    grpc_port: int = 8500
    """Port of gRPC; 0 for any that is free."""
    token_file: Path | None = None
    """File with the bearer token that every request but the health checks must carry."""
    tls_cert: Path | None = None
    """Certificate chain (PEM); both protocols are then encrypted."""
    tls_key: Path | None = None
    """Private key (PEM) of the certificate."""
    no_batching: bool = False
    """Compute every request on its own, even those that wait together."""
    batch_rows: int = 64
    """Rows of one computation, at most."""
    queue: int = 256
    """Requests that may wait for one signature of one model; more are refused with 429."""
    workers: int = 2
    """Computations at the same time, over all models."""
    timeout_s: float = 30.0
    """Seconds until a request is given up, if it does not say less itself."""
    body_mb: float = 16.0
    """Size of a request in megabytes, at most."""
    rows: int = 256
    """Rows of one request, at most."""
    text_bytes: int = 20_000
    """Length of one text in bytes of UTF-8, at most."""
    audio_s: float = 120.0
    """Length of one recording in seconds, at most."""
    beam: int = 32
    """Beam width, samples and n-best answers of one row, at most."""
    length: int = 2_000
    """Tokens that one row may write, at most."""
    connections: int = 1024
    """Connections of HTTP at the same time, idle ones (kept for 75 s) among them; more get 503."""
    poll_s: float = 2.0
    """Seconds between two looks for new versions; 0 never looks."""
    keep_versions: int = 2
    """Versions of a model that stay loaded, newest first."""
    grace_s: float = 30.0
    """Seconds that the answers under way have when the server is told to stop."""
    engine: Literal["process", "ray"] = "process"
    """Where models compute: in this process, or on a Ray cluster (extra ray)."""
    replicas: int = 2
    """Copies of each model on a Ray cluster, each in a process of its own."""
    ray_address: str = ""
    """HOST:PORT of a running Ray cluster, or auto; empty starts one on this machine alone."""
    quiet: bool = False
    """Log no single requests."""

    def check(self) -> None:
        """Checks the options.

        Raises:
            UsageError: If a number is below what makes sense, or TLS is given by half.
        """
        least = {
            "batch_rows": 1,
            "queue": 1,
            "workers": 1,
            "rows": 1,
            "text_bytes": 0,
            "beam": 1,
            "length": 1,
            "connections": 1,
            "poll_s": 0,
            "keep_versions": 1,
            "grace_s": 0,
            "port": 0,
            "grpc_port": 0,
            "replicas": 1,
        }
        for name, floor in least.items():
            if getattr(self, name) < floor:
                flag = name.replace("_", "-")
                raise UsageError(
                    f"--{flag} must be at least {floor}, got {getattr(self, name)}; "
                    "leave it out for the default."
                )
        for name in ("timeout_s", "body_mb", "audio_s"):
            if not 0 < getattr(self, name) < float("inf"):
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} must be above 0, got {getattr(self, name)}.")
        if self.body_bytes > _LARGEST:
            raise UsageError(
                f"--body-mb must be at most {_LARGEST // 1_000_000}, got {self.body_mb:g}; more is "
                "sent in several requests."
            )
        for name in ("port", "grpc_port"):
            if getattr(self, name) > 65535:
                raise UsageError(f"a port is at most 65535, got {getattr(self, name)}.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both --tls-cert and --tls-key.")
        if self.ray_address and self.engine != "ray":
            raise UsageError("--ray-address goes with --engine ray.")
        if not self.bundles:
            raise UsageError("serve needs at least one bundle; give the folder that train wrote.")

    @property
    def body_bytes(self) -> int:
        """Size of a request in bytes, at most."""
        return int(self.body_mb * 1_000_000)

    @property
    def batching(self) -> bool:
        """Whether requests that wait together are computed together."""
        return not self.no_batching
