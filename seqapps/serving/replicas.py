"""Models on a Ray cluster: copies in processes of their own, replaced when they die.

This process keeps both protocols, the limits and the batches, and sends each batch to the copy with
the least to do. A copy gets the bundle's files through Ray, so no folder need be shared, and a
replacement serves what was checked even if the folder has changed since.
"""

import logging
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seqapps.bundle.folder import read_config
from seqapps.errors import UserError
from seqapps.portable.certificate import check_certified
from seqapps.serving.contract import Arrays, contracts_of
from seqapps.serving.refusals import Refused
from seqapps.serving.servable import Servable, signature_defs
from seqapps.serving.settings import Serve

log = logging.getLogger("seqapps.serving")

_START_S = 180.0
"""Seconds that a copy may take until it answers."""
_LEAST_PAUSE_S, _MOST_PAUSE_S = 1.0, 30.0
"""Before a copy that could not start is tried again; doubles each time."""
_TRIES = 2
"""Copies that a batch is given to, one after the other, if they die of it or meanwhile."""

Report = Callable[[str, int, int], None]


def _ray() -> Any:
    # An extra, and it takes a second.
    import ray

    return ray


class Cluster:
    """The Ray cluster, and what is loaded on it."""

    def __init__(self, limits: Serve, report: Report) -> None:
        """Joins a cluster, or starts one on this machine that nobody else can reach.

        Raises:
            UserError: If it cannot be reached.
        """
        self.copies = limits.replicas
        self._limits = limits
        self._report = report
        self._crews: weakref.WeakSet[_Crew] = weakref.WeakSet()
        own = not limits.ray_address
        if own:
            # Read when Ray is imported. Without it even a cluster of one machine listens at all of
            # its addresses; the name is history, and the effect is the loopback address.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
            os.environ.pop("RAY_ADDRESS", None)
        ray = _ray()
        try:
            ray.init(
                address=limits.ray_address or "local",
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
                **({"include_dashboard": False} if own else {}),
            )
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"Ray at {limits.ray_address or 'this machine'} cannot be used ({reason:.300}); "
                "give HOST:PORT of a cluster of which this machine is a part, or leave "
                "--ray-address out."
            ) from None

    def load(self, folder: Path, model: str, number: int) -> "Replicas":
        """Starts the copies of a bundle; returns when the first of them answers.

        Raises:
            UserError: If the bundle is not what was certified, or no copy answers.
        """
        replicas = Replicas(folder, model, number, limits=self._limits, report=self._report)
        self._crews.add(replicas.crew)
        try:
            replicas.crew.wait()
        except UserError:
            replicas.crew.close()
            raise
        return replicas

    def close(self) -> None:
        """Ends the copies, and the cluster if it was started here."""
        # Or they would replace what ends now.
        for crew in list(self._crews):
            crew.close()
        _ray().shutdown()


class _Replica:
    """Runs in a process of the cluster."""

    def load(self, files: dict[str, bytes], limits: Serve) -> dict[str, Any]:
        """Writes the files to a folder of its own, checks and loads them."""
        from seqapps.lazy import start_tensorflow

        start_tensorflow()
        try:
            with tempfile.TemporaryDirectory() as place:
                for name, content in files.items():
                    path = Path(place) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                self._servable = Servable(Path(place), limits)
        except UserError as error:
            return {"refused": str(error)}
        return {"pid": os.getpid(), "node": os.uname().nodename}

    def run(self, name: str, arrays: Arrays) -> Arrays | Refused:
        """Calls a signature."""
        try:
            return self._servable.run(name, arrays)
        except Refused as refused:
            return refused

    def live(self) -> None:
        """Never returns: it fails when the process dies, wherever that is."""
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(1.0)
        # Of a cluster that has ended, nothing should stay and compute for nobody.
        os._exit(0)


@dataclass(eq=False)
class _Copy:
    """A replica that answers."""

    actor: Any
    told: dict[str, Any]
    busy: int = 0


class Replicas:
    """The copies of one version. Its end is theirs."""

    def __init__(
        self, folder: Path, model: str, number: int, *, limits: Serve, report: Report
    ) -> None:
        """Checks the bundle, and has its copies started.

        Raises:
            UserError: If the bundle is not what was certified.
        """
        check_certified(folder)
        self.contracts = contracts_of(read_config(folder).interface)
        self.signature_defs = signature_defs(folder / "servable" / "1")
        self.copies = limits.replicas
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self.crew = _Crew(files, model, number, limits=limits, report=report)
        # Not a method of this object, which would keep it.
        weakref.finalize(self, self.crew.close)

    @property
    def alive(self) -> bool:
        """Whether a copy answers now."""
        return self.crew.count > 0

    def run(self, name: str, arrays: Arrays) -> Arrays:
        """Calls a signature of the copy with the least to do.

        Nothing is kept between two calls, so a batch whose copy dies is given to another one.

        Raises:
            Refused: If the batch makes no sense to the model, or no copy answers.
        """
        ray = _ray()
        for _ in range(_TRIES):
            with self.crew.taken() as copy:
                try:
                    answer = ray.get(copy.actor.run.remote(name, arrays))
                except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                    self.crew.lost(copy)
                    continue
            if isinstance(answer, Refused):
                raise answer
            return dict(answer)
        raise Refused("unavailable", "the computation was lost twice.", retry_after_s=1)


class _Crew:
    """Starts copies, knows which answer, replaces those that die. Used from many threads."""

    def __init__(
        self, files: dict[str, bytes], model: str, number: int, *, limits: Serve, report: Report
    ) -> None:
        ray = _ray()
        self._limits = limits
        self._who = {"model": model, "version": number}
        self._report = partial(report, model, number)
        self._files = ray.put(files)
        self._class = ray.remote(max_restarts=0, max_concurrency=limits.workers + 1)(_Replica)
        self._copies: list[_Copy] = []
        self._changed = threading.Condition()
        self._reason = ""
        self._closed = threading.Event()
        for _ in range(limits.replicas):
            self._hire()

    @property
    def count(self) -> int:
        """Copies that answer."""
        return len(self._copies)

    def wait(self) -> None:
        """Waits for the first copy that answers.

        Raises:
            UserError: If the bundle is refused, or the cluster has no place for it.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._copies or self._reason or self._closed.is_set(), _START_S + 10
            )
            if not self._copies:
                raise UserError(self._reason or "no copy of the model started in time.")

    def taken(self) -> "_Taken":
        """The copy with the least to do, for as long as the context lasts.

        Raises:
            Refused: If none answers.
        """
        return _Taken(self._changed, self._copies)

    def _hire(self) -> None:
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        """Starts one copy, as often as it takes."""
        ray = _ray()
        pause_s = _LEAST_PAUSE_S
        while not self._closed.is_set():
            start = time.perf_counter()
            # On many machines rather than on one.
            actor = self._class.options(scheduling_strategy="SPREAD").remote()
            try:
                told = ray.get(actor.load.remote(self._files, self._limits), timeout=_START_S)
            except ray.exceptions.GetTimeoutError:
                told = {"refused": f"the cluster started no copy within {_START_S:g} s."}
            except Exception as error:
                told = {"refused": f"a copy died while it started ({type(error).__name__})."}
            if "refused" not in told:
                seconds = round(time.perf_counter() - start, 2)
                self._join(_Copy(actor, told), seconds)
                return
            if self._closed.is_set():
                # And the cluster with it, perhaps: Ray would start another one.
                return
            ray.kill(actor)
            log.error("replica_refused", extra={**self._who, "reason": told["refused"]})
            with self._changed:
                self._reason = str(told["refused"])
                self._changed.notify_all()
            self._closed.wait(pause_s)
            pause_s = min(_MOST_PAUSE_S, 2 * pause_s)

    def _join(self, copy: _Copy, seconds: float) -> None:
        ray = _ray()
        with self._changed:
            if self._closed.is_set():
                ray.kill(copy.actor)
                return
            self._copies.append(copy)
            self._report(self.count)
            self._changed.notify_all()
        log.info("replica_ready", extra={**self._who, **copy.told, "seconds": seconds})
        copy.actor.live.remote().future().add_done_callback(lambda _: self.lost(copy))

    def lost(self, copy: _Copy) -> None:
        """Replaces a copy that does not answer any more, once."""
        with self._changed:
            if copy not in self._copies or self._closed.is_set():
                return
            self._copies.remove(copy)
            self._report(self.count)
        log.warning("replica_lost", extra={**self._who, **copy.told})
        self._hire()

    def close(self) -> None:
        """Ends all copies."""
        ray = _ray()
        with self._changed:
            self._closed.set()
            copies, self._copies[:] = list(self._copies), []
            self._report(0)
            self._changed.notify_all()
        if ray.is_initialized():
            for copy in copies:
                ray.kill(copy.actor)


class _Taken:
    """Counts a copy's work."""

    def __init__(self, lock: threading.Condition, copies: list[_Copy]) -> None:
        self._lock = lock
        with lock:
            if not copies:
                raise Refused(
                    "unavailable",
                    "no copy of the model answers; they start again.",
                    retry_after_s=5,
                )
            self._copy = min(copies, key=lambda copy: copy.busy)
            self._copy.busy += 1

    def __enter__(self) -> _Copy:
        return self._copy

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._copy.busy -= 1
