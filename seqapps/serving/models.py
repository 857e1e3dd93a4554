"""Models in their versions: found on disk, checked, loaded, watched for newer ones."""

import asyncio
import gc
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from seqapps.bundle.folder import read_config
from seqapps.errors import UserError
from seqapps.serving.batching import Lane, Watch
from seqapps.serving.engine import Engine, Running
from seqapps.serving.refusals import Refused, short
from seqapps.serving.settings import Serve

log = logging.getLogger("seqapps.serving")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Fingerprint = tuple[tuple[str, int, int, int], ...]


class Version:
    """One loaded bundle: its signatures, each with a lane."""

    def __init__(
        self,
        number: int,
        running: Running,
        *,
        pool: Executor,
        limits: Serve,
        watch: Callable[[str], Watch],
    ) -> None:
        """Opens a lane for each signature of what an engine has loaded."""
        self.number = number
        self.running = running
        self.contracts = running.contracts
        self.signature_defs = running.signature_defs
        self.lanes = {
            name: Lane(
                contract,
                partial(running.run, name),
                pool=pool,
                limits=limits,
                watch=watch(name),
                copies=running.copies,
            )
            for name, contract in self.contracts.items()
        }


@dataclass
class Model:
    """A name under which versions are served."""

    name: str
    """In addresses."""
    path: Path
    """A bundle, or a folder of versions."""
    versions: dict[int, Version] = field(default_factory=dict)
    """Those that answer, by number."""
    refused: dict[int, str] = field(default_factory=dict)
    """Those on disk that are not served, and why."""
    seen: dict[str, Fingerprint] = field(default_factory=dict)
    """What was on disk when it was last looked at, by path."""

    @property
    def newest(self) -> int:
        """Number of the version that answers unless another one is asked for."""
        return max(self.versions)

    def pick(self, number: int | None) -> Version:
        """The version that is asked for, the newest for None.

        Raises:
            Refused: If it is not there.
        """
        if not self.versions:
            raise Refused("unavailable", f"{self.name} is being loaded.", retry_after_s=2)
        version = self.versions.get(self.newest if number is None else number)
        if version is None:
            there = ", ".join(map(str, sorted(self.versions)))
            raise Refused("not_found", f"{self.name} has no version {number}; it has {there}.")
        return version


class Models:
    """Everything that is served."""

    def __init__(
        self, limits: Serve, engine: Engine, *, watch: Callable[[str, str], Watch]
    ) -> None:
        """Names the models without loading them.

        Args:
            limits: The bundles are among them.
            engine: Loads and runs them.
            watch: Makes what is told of the batches of a model's signature.

        Raises:
            UserError: If a path is neither a bundle nor a folder of versions, or a name is taken.
        """
        self._limits = limits
        self._engine = engine
        self._watch = watch
        self.draining = False
        threads = limits.workers * engine.copies
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self.by_name: dict[str, Model] = {}
        for given in limits.bundles:
            model = _named(given)
            if model.name in self.by_name:
                raise UserError(
                    f"two bundles have the name {model.name}; write NAME=PATH to tell them apart."
                )
            self.by_name[model.name] = model

    @property
    def ready(self) -> bool:
        """Whether every model answers and the server is not about to stop."""
        return not self.draining and all(
            model.versions and model.versions[model.newest].running.alive
            for model in self.by_name.values()
        )

    def find(self, name: str, number: int | None = None) -> tuple[Model, Version]:
        """The version that is asked for.

        Raises:
            Refused: If there is none.
        """
        model = self.model(name)
        return model, model.pick(number)

    def model(self, name: str) -> Model:
        """The model of a name.

        Raises:
            Refused: If there is none.
        """
        if name not in self.by_name:
            raise Refused(
                "not_found", f"no model {short(name)}; there are {', '.join(self.by_name)}."
            )
        return self.by_name[name]

    async def load(self) -> None:
        """Loads what is on disk now.

        Raises:
            UserError: If a model has no version that can be served.
        """
        for model in self.by_name.values():
            await self._look(model)
            if not model.versions:
                nothing = "no bundle is there; give the folder that train wrote"
                if _is_bundle(model.path):
                    nothing = "it has no certificate.json; copy it whole, or train it again"
                reasons = "; ".join(model.refused.values()) or nothing
                raise UserError(f"{model.path} is not served: {reasons}")

    async def watch(self) -> None:
        """Looks for new versions until it is cancelled."""
        while self._limits.poll_s:
            await asyncio.sleep(self._limits.poll_s)
            for model in self.by_name.values():
                try:
                    await self._look(model)
                except OSError as error:
                    log.warning("look_failed", extra={"model": model.name, "reason": str(error)})

    async def _look(self, model: Model) -> None:
        """Loads versions that are new or changed; a refused one changes nothing."""
        loop = asyncio.get_running_loop()
        first = not model.versions
        for number, folder in await loop.run_in_executor(self._loader, _candidates, model):
            if first and model.versions:
                break
            mark = await loop.run_in_executor(self._loader, fingerprint, folder)
            if not mark or model.seen.get(str(folder)) == mark:
                continue
            model.seen[str(folder)] = mark
            start = time.perf_counter()
            try:
                version = await loop.run_in_executor(
                    self._loader, self._load, model, folder, number
                )
            # Whatever a damaged file makes TensorFlow raise: the others go on being served.
            except Exception as error:
                known = isinstance(error, UserError | OSError)
                reason = str(error) if known else f"{type(error).__name__}: {str(error)[:500]}"
                model.refused[number] = reason
                log.error(
                    "version_refused",
                    extra={"model": model.name, "version": number, "reason": reason},
                )
                continue
            model.refused.pop(number, None)
            model.versions[number] = version
            log.info(
                "version_loaded",
                extra={
                    "model": model.name,
                    "version": number,
                    "seconds": round(time.perf_counter() - start, 2),
                },
            )
            for old in sorted(model.versions)[: -self._limits.keep_versions]:
                # Requests under way hold it until they are answered.
                del model.versions[old]
                log.info("version_unloaded", extra={"model": model.name, "version": old})
            await loop.run_in_executor(self._loader, gc.collect)

    def _load(self, model: Model, folder: Path, number: int) -> Version:
        return Version(
            number,
            self._engine.load(folder, model.name, number),
            pool=self.pool,
            limits=self._limits,
            watch=lambda signature: self._watch(model.name, signature),
        )

    def close(self) -> None:
        """Ends the threads, after what they are at."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        self.pool.shutdown(wait=True, cancel_futures=True)


def _named(given: str) -> Model:
    name, equals, path = given.partition("=")
    # A path may hold an equals sign too.
    if not equals or "/" in name:
        name, path = "", given
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a bundle that train wrote.")
    bundles = [folder] if _is_bundle(folder) else [f for _, f in sorted(_numbered(folder))]
    if not bundles:
        raise UserError(
            f"{folder} is neither a bundle (it has no config.json) nor a folder of versions "
            "(1, 2, ...); give what train wrote."
        )
    name = name or read_config(bundles[-1]).recipe
    if not _NAME.fullmatch(name):
        raise UserError(
            f"a model's name is of letters, digits, '_', '.' and '-', at most 64, got {name!r}."
        )
    return Model(name=name, path=folder)


def _is_bundle(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    for entry in folder.iterdir():
        # Not isdigit(): other scripts have digits too.
        if re.fullmatch(r"[1-9][0-9]{0,17}", entry.name) and entry.is_dir():
            yield int(entry.name), entry


def _candidates(model: Model) -> list[tuple[int, Path]]:
    """Versions on disk that are worth a look.

    Until one is served, the newest comes first and the others stand by; later those above what is
    served, the oldest first. A bundle that is replaced where it is gets the next number.
    """
    if _is_bundle(model.path):
        known = model.seen.get(str(model.path))
        if known is None or known == fingerprint(model.path):
            return [(max(model.versions, default=1), model.path)]
        return [(max(model.versions, default=0) + 1, model.path)]
    versions = sorted(_numbered(model.path)) if model.path.is_dir() else []
    if not model.versions:
        return versions[::-1]
    return [each for each in versions if each[0] > model.newest]


def fingerprint(folder: Path) -> Fingerprint:
    """Changes whenever a file of the folder does; empty where there is no certificate yet."""
    try:
        if not (folder / "certificate.json").is_file():
            return ()
        rows = []
        for path in sorted(folder.rglob("*")):
            stat = path.stat()
            rows.append(
                (str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns, stat.st_ino)
            )
        return tuple(rows)
    except FileNotFoundError:
        # Replaced this moment; the next look sees it whole.
        return ()
