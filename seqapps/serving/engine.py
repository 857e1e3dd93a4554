"""Where models run: in this process, or in others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from seqapps.serving.contract import Arrays, Contract
from seqapps.serving.servable import Servable
from seqapps.serving.settings import Serve


class Running(Protocol):
    """One version of a model, wherever it computes."""

    contracts: dict[str, Contract]
    """What each signature takes and gives."""
    signature_defs: dict[str, Any]
    """The same in TensorFlow's words."""
    copies: int
    """How many batches of a signature can run at the same time."""

    @property
    def alive(self) -> bool:
        """Whether it can answer now."""

    def run(self, name: str, arrays: Arrays) -> Arrays:
        """Calls a signature with a batch; blocks.

        Raises:
            Refused: If the batch makes no sense to the model, or nothing can compute it now.
        """


class Engine(Protocol):
    """Loads bundles."""

    copies: int
    """Of each model."""

    def load(self, folder: Path, model: str, number: int) -> Running:
        """Checks, loads and tries a bundle; takes seconds.

        Raises:
            UserError: If it is not what was certified, or does not answer.
        """

    def close(self) -> None:
        """Ends what it started."""


def make_engine(limits: Serve, report: Callable[[str, int, int], None]) -> Engine:
    """The engine that the settings name.

    Args:
        limits: The settings.
        report: Is told model, version and how many copies answer, where there are several.

    Raises:
        UserError: If its cluster cannot be reached.
    """
    if limits.engine == "process":
        return _Process(limits)
    # Ray is an extra.
    from seqapps.serving.replicas import Cluster

    return Cluster(limits, report)


class _Process:
    """Everything in this process."""

    copies = 1

    def __init__(self, limits: Serve) -> None:
        self._limits = limits

    def load(self, folder: Path, model: str, number: int) -> Running:
        return Servable(folder, self._limits)

    def close(self) -> None:
        pass
