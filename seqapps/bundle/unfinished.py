"""The folder of a training that is not finished: `<output>.training`, beside its bundle."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from seqapps.bundle.folder import (
    check_free,
    read_assets,
    read_config,
    read_data_record,
    staging,
    write_assets,
    write_config,
    write_data_record,
    write_json,
)
from seqapps.data.fingerprint import DataRecord, difference
from seqapps.errors import UserError
from seqapps.fields import Assets, Interface

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}
"""Errors of file systems that cannot lock."""


@dataclass(frozen=True)
class Start:
    """How a training was started."""

    typed: str
    """The command and its arguments."""
    trained: Path | None = None
    """The bundle whose weights it began with."""
    followed: str = ""
    """Settings that followed the data, with their values."""
    anew: str = ""
    """What of that bundle's network is learned anew, and why."""


@dataclass(frozen=True)
class Unfinished:
    """What a training keeps until its bundle is complete, so that it can go on after a kill."""

    output: Path
    """Where the bundle goes."""

    @property
    def folder(self) -> Path:
        """Settings, fitted assets, checkpoints and logs."""
        place = self.output if self.output.name not in ("", "..") else self.output.resolve()
        return place.with_name(f"{place.name}.training")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other trainings from this output, until the body ends or the process is killed.

        Raises:
            UserError: If another process trains there, or the place cannot be written.
        """
        name = self.folder.name.removesuffix(".training")
        path = self.folder.with_name(f".{name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = _locked(path)
        except BlockingIOError:
            owner = path.read_text("utf-8").strip() if path.exists() else ""
            raise UserError(
                f"process {owner or 'of another machine'} is training for {self.output}; wait for "
                "it or stop it, or give another place with --output."
            ) from None
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written: {error.strerror}; "
                "free that place, or give another one with --output."
            ) from error
        with file:
            try:
                yield
            finally:
                # While it is still ours, so that nobody else's is removed.
                path.unlink(missing_ok=True)

    @property
    def assets(self) -> Assets | None:
        """What was fitted before the first step, None if the run was stopped before that."""
        return read_assets(self.folder) if (self.folder / "assets").is_dir() else None

    def begin(
        self,
        *,
        recipe: str,
        interface: Interface,
        settings: dict[str, Any],
        overwrite: bool,
        start: Start | None = None,
        assets: Assets | None = None,
    ) -> None:
        """Makes the folder.

        Args:
            recipe: Name of the recipe.
            interface: What its bundle takes and gives.
            settings: Every setting of the training, ready for JSON.
            overwrite: Whether what is there may be replaced.
            start: How the training is started, for whoever goes on with it.
            assets: Those that it takes from another bundle; None if they are fitted.

        Raises:
            UserError: If a bundle or an unfinished training is there and must not be overwritten,
                or the place cannot be written.
        """
        check_free(self.output, overwrite=overwrite)
        if self.folder.exists() and not overwrite:
            raise UserError(
                f"an unfinished training is at {self.folder}; go on with --resume, or discard it "
                "with --overwrite."
            )
        with staging(self.folder, overwrite=overwrite) as folder:
            write_config(folder, recipe=recipe, interface=interface, settings=settings)
            if assets is not None:
                write_assets(folder, assets)
            if start:
                trained = str(start.trained.absolute()) if start.trained else None
                write_json(folder / "start.json", {**asdict(start), "trained": trained})

    def check_begun(self) -> None:
        """Checks that there is a training to go on with.

        Raises:
            UserError: If there is none.
        """
        if not (self.folder / "config.json").is_file():
            raise UserError(
                f"there is no unfinished training at {self.folder}; start one without --resume, "
                "or name the bundle it was for with --output."
            )

    @property
    def start(self) -> Start | None:
        """How the training was started, None if nobody said."""
        path = self.folder / "start.json"
        if not path.is_file():
            return None
        try:
            table = json.loads(path.read_text("utf-8"))
            trained = Path(table["trained"]) if table["trained"] else None
            further = (str(table.get(name, "")) for name in ("followed", "anew"))
            return Start(str(table["typed"]), trained, *further)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read ({error}); start anew with --overwrite."
            ) from None

    def reopen(
        self, *, settings: Mapping[str, Any], overwrite: bool, trained: Path | None = None
    ) -> None:
        """Checks that the training can go on, with what it began with.

        Args:
            settings: Every setting, ready for JSON.
            overwrite: Whether its bundle may replace another one.
            trained: The bundle that it is said to have begun with, None if nothing is said.

        Raises:
            UserError: If there is none, it began with other settings or from another bundle, or
                its bundle would replace another one unasked.
        """
        self.check_begun()
        if changed := differences(read_config(self.folder).settings, settings):
            raise UserError(
                f"the training at {self.folder} began with other settings: {changed}. "
                "Resume with the settings it began with, or start anew with --overwrite."
            )
        before = self.start.trained if self.start else None
        if trained and (before is None or before.resolve() != trained.resolve()):
            raise UserError(
                f"the training at {self.folder} began "
                + (f"from {before}, not from {trained}" if before else "without --from")
                + "; resume without --from, or start anew with --overwrite."
            )
        if not self.written:
            check_free(self.output, overwrite=overwrite)

    def check_data(self, now: DataRecord) -> DataRecord:
        """Checks that the data is what the training began with, and remembers it if it begins now.

        Returns:
            What it began with.

        Raises:
            UserError: If it is other data.
        """
        before = read_data_record(self.folder)
        if before is None:
            write_data_record(self.folder, now)
            return now
        if changed := difference(before.splits, now.splits):
            raise UserError(
                f"the data is not what the training at {self.folder} began with: {changed}. Put "
                "it back as it was, or start anew with --overwrite."
            )
        return before

    @property
    def learned(self) -> bool:
        """Whether there is a checkpoint, of the training or of a phase before it."""
        return any(self.folder.rglob("checkpoints/checkpoint"))

    @property
    def trained(self) -> bool:
        """Whether there is a checkpoint of the training itself."""
        return (self.folder / "checkpoints" / "checkpoint").is_file()

    @property
    def written(self) -> bool:
        """Whether the bundle at the output is this training's: a kill came after it was moved."""
        ours, there = (folder / "certificate.json" for folder in (self.folder, self.output))
        # A certificate holds the hash of every file, so no two bundles have the same.
        return ours.is_file() and there.is_file() and ours.read_bytes() == there.read_bytes()

    def note(self, certificate: Path) -> None:
        """Remembers the certificate of the bundle that is about to be moved to the output."""
        shutil.copy(certificate, self.folder / "certificate.json")

    def close(self) -> None:
        """Removes the folder: the bundle is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _locked(path: Path) -> IO[str]:
    """Opens a file that no other process has open this way, and writes this one's number to it.

    Raises:
        BlockingIOError: If another process has.
        OSError: If the place cannot be written.
    """
    while True:
        file = path.open("a", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            current = os.stat(path).st_ino == os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            current = False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                raise
            current = True
        if current:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            return file
        # Its owner removed it between the two calls.
        file.close()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Says which settings differ: "seed was 0 and is 1; ...", empty if none does."""
    old, new = _flat(before), _flat(now)
    return "; ".join(
        f"{name} was {old.get(name)!r} and is {new.get(name)!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their full names."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
