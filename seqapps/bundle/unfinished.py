"""The folder of a training that is not finished: `<output>.training`, beside its bundle."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqapps.bundle.folder import check_free, read_assets, read_config, staging, write_config
from seqapps.errors import UserError
from seqapps.fields import Assets, Interface


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

    @property
    def assets(self) -> Assets | None:
        """What was fitted before the first step, None if the run was stopped before that."""
        return read_assets(self.folder) if (self.folder / "assets").is_dir() else None

    def begin(
        self, *, recipe: str, interface: Interface, settings: dict[str, Any], overwrite: bool
    ) -> None:
        """Makes the folder.

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

    def reopen(self, *, settings: Mapping[str, Any], overwrite: bool) -> None:
        """Checks that the training can go on, with the settings that it began with.

        Raises:
            UserError: If there is none, it began with other settings, or its bundle would replace
                another one unasked.
        """
        if not (self.folder / "config.json").is_file():
            raise UserError(
                f"there is no unfinished training at {self.folder}; start one without --resume, "
                "or name the bundle it was for with --output."
            )
        before, now = _flat(read_config(self.folder).settings), _flat(settings)
        changed = [
            f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise UserError(
                f"the training at {self.folder} began with other settings: {'; '.join(changed)}. "
                "Resume with the settings it began with, or start anew with --overwrite."
            )
        if not self.written:
            check_free(self.output, overwrite=overwrite)

    @property
    def learned(self) -> bool:
        """Whether there is a checkpoint."""
        return (self.folder / "checkpoints").is_dir()

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


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their full names."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
