"""The folder of a study, which several processes share and any of them may leave by a kill.

    study.json  study.db  assets/  running/PROCESS/  best.toml  trials.csv  history.png ...

Who works on the study is told by locks on files, which the system lets go when a process ends in
whatever way: there are no heartbeats to wait for.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqapps.bundle.folder import read_assets, write_assets
from seqapps.bundle.unfinished import differences
from seqapps.errors import UserError
from seqapps.fields import Assets

_OURS = ("lock", "study.json.partial")
"""Files that may be there before study.json."""
_STOPPED = "stopped"
"""In a process's folder: it was told to stop."""


@dataclass(frozen=True)
class StudyFolder:
    """Where a study is."""

    path: Path
    """The folder."""

    @property
    def database(self) -> Path:
        """Optuna's SQLite storage."""
        return self.path / "study.db"

    @property
    def _plan(self) -> Path:
        return self.path / "study.json"

    def begin(self, plan: Mapping[str, Any], *, overwrite: bool) -> None:
        """Makes the folder and remembers what the study is about.

        Args:
            plan: Everything that must not change when the study goes on, ready for JSON.
            overwrite: Whether a study that is there may be discarded.

        Raises:
            UserError: If something is there and must stay, or the place cannot be written.
        """
        try:
            if self.path.exists() and not self._plan.is_file() and self._holds_other_things():
                raise UserError(
                    f"{self.path} exists and is not a study (it has no study.json); give another "
                    "place with --output."
                )
            self.path.mkdir(parents=True, exist_ok=True)
            with self.lock():
                if self._plan.is_file() and not overwrite:
                    raise UserError(
                        f"a study is at {self.path}; go on with --resume, or discard it with "
                        "--overwrite."
                    )
                self._clear()
                partial = self.path / "study.json.partial"
                partial.write_text(json.dumps(plan, indent=2, ensure_ascii=False) + "\n", "utf-8")
                partial.replace(self._plan)
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written: {error.strerror}; give another place with "
                "--output."
            ) from error

    @property
    def plan(self) -> dict[str, Any]:
        """What the study is about."""
        plan: dict[str, Any] = json.loads(self._plan.read_text("utf-8"))
        return plan

    def reopen(self, plan: Mapping[str, Any]) -> None:
        """Checks that the study can go on as it began.

        Raises:
            UserError: If there is none, or it began with another plan.
        """
        try:
            before = self.plan
        except FileNotFoundError:
            raise UserError(
                f"there is no study at {self.path}; start one without --resume, or name its "
                "folder with --output."
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self._plan} cannot be read ({error}); start anew with --overwrite."
            ) from None
        if changed := differences(before, plan):
            raise UserError(
                f"the study at {self.path} began otherwise: {changed}. Resume with what it began "
                "with, or start anew with --overwrite."
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes out of the study for a moment."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def presence(self) -> Iterator[Path]:
        """Gives a folder of its own to this process; `is_alive` knows its name until it ends."""
        place = self.path / "running" / f"{os.getpid()}-{os.urandom(4).hex()}"
        with self.lock():
            place.mkdir(parents=True)
            held = (place / "lock").open("w")
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            with self.lock():
                held.close()
                shutil.rmtree(place, ignore_errors=True)

    def is_alive(self, name: str) -> bool:
        """Whether the process with that folder is still there."""
        try:
            file = (self.path / "running" / name / "lock").open("r+")
        except FileNotFoundError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def in_use(self) -> bool:
        """Whether a process works on the study."""
        return any(self.is_alive(place.name) for place in (self.path / "running").glob("*"))

    def note_stop(self) -> None:
        """Notes that this process was told to stop: what it was at is not to blame."""
        for place in (self.path / "running").glob(f"{os.getpid()}-*"):
            (place / _STOPPED).touch()

    def was_killed(self, name: str) -> bool:
        """Whether the process with that folder ended without a word; asked before `sweep`."""
        place = self.path / "running" / name
        return place.is_dir() and not (place / _STOPPED).exists() and not self.is_alive(name)

    def sweep(self) -> None:
        """Removes what killed processes left; only under `lock`."""
        for place in (self.path / "running").glob("*"):
            if not self.is_alive(place.name):
                shutil.rmtree(place, ignore_errors=True)

    @property
    def assets(self) -> Assets | None:
        """What was fitted for all trials, if it was."""
        return read_assets(self.path) if (self.path / "assets").is_dir() else None

    def keep_assets(self, assets: Assets) -> None:
        """Keeps what was fitted, for all processes; only under `lock`."""
        write_assets(self.path, assets)

    def _holds_other_things(self) -> bool:
        # The lock alone: a process was killed as it began.
        return any(entry.name not in _OURS for entry in self.path.iterdir())

    def _clear(self) -> None:
        """Removes a study but for its plan, which is replaced at once."""
        if self.in_use:
            raise UserError(
                f"processes work on the study at {self.path}; stop them before --overwrite, or "
                "give another place with --output."
            )
        for entry in self.path.iterdir():
            if entry.name in ("lock", "study.json"):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
