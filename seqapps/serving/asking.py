"""One question to one model, whatever the protocol: limits, deadline, counting."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from seqapps.errors import UserError
from seqapps.fields import MAIN
from seqapps.serving.contract import Arrays, Contract, check
from seqapps.serving.models import Models, Version
from seqapps.serving.observing import Metrics
from seqapps.serving.refusals import Refused, short
from seqapps.serving.settings import Serve

log = logging.getLogger("seqapps.serving")


class Desk:
    """Where the protocols bring their requests."""

    def __init__(self, models: Models, metrics: Metrics, limits: Serve) -> None:
        """Reads the token.

        Raises:
            UserError: If its file cannot be read, or is empty.
        """
        self.models = models
        self.metrics = metrics
        self.limits = limits
        self._token = b""
        if limits.token_file is not None:
            try:
                self._token = limits.token_file.read_bytes().strip()
            except OSError as error:
                raise UserError(f"{limits.token_file} cannot be read: {error.strerror}.") from None
            if not self._token:
                raise UserError(f"{limits.token_file} is empty; write a token of one line into it.")

    def admit(self, authorization: str | bytes | None) -> None:
        """Checks a bearer token, if one is wanted.

        Raises:
            Refused: If it is not the right one.
        """
        if not self._token:
            return
        given = authorization or b""
        given = given.encode("latin-1", "replace") if isinstance(given, str) else given
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise Refused("unauthorized", "this server wants 'Authorization: Bearer TOKEN'.")

    def deadline(self, seconds: float | None) -> float:
        """When to give a request up, by the loop's clock; seconds cannot exceed the limit."""
        wanted = self.limits.timeout_s if seconds is None else min(seconds, self.limits.timeout_s)
        return asyncio.get_running_loop().time() + wanted

    @contextmanager
    def counted(self, protocol: str, model: str) -> Iterator[dict[str, Any]]:
        """Counts and logs one request; what the body puts into the dict is logged too.

        Raises:
            Refused: Of the body; whatever else goes wrong there becomes one of kind `internal`.
        """
        start = time.perf_counter()
        name = model if model in self.models.by_name else "unknown"
        extra: dict[str, Any] = {}
        outcome = "ok"
        try:
            yield extra
        except Refused as refused:
            outcome = refused.kind
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as error:
            outcome = "internal"
            log.exception("failed", extra={"model": name, "protocol": protocol})
            raise Refused("internal", "the server failed; its log says where.") from error
        finally:
            seconds = time.perf_counter() - start
            self.metrics.answered(name, protocol, outcome, seconds)
            if not self.limits.quiet:
                log.info(
                    "request",
                    extra={
                        "protocol": protocol,
                        "model": name,
                        "outcome": outcome,
                        "ms": round(seconds * 1e3, 2),
                        **extra,
                    },
                )

    async def ask(
        self,
        version: Version,
        signature: str,
        arrays: Callable[[Contract], Arrays],
        *,
        deadline: float,
        extra: dict[str, Any],
    ) -> tuple[Contract, Arrays]:
        """Answers a request.

        Args:
            version: Of a model.
            signature: Its name; empty for `serving_default`.
            arrays: Reads the request's tensors.
            deadline: By the loop's clock.
            extra: Gets what is worth logging.

        Raises:
            Refused: If it gets no answer.
        """
        contract = contract_of(version, signature)
        call = check(contract, arrays(contract), self.limits)
        extra |= {"version": version.number, "signature": contract.name, "rows": call.rows}
        return contract, await version.lanes[contract.name].ask(call, deadline=deadline)

    async def write(
        self, version: Version, request: Mapping[str, Any], *, portion: int, deadline: float
    ) -> AsyncIterator[bytes]:
        """Writes one text through `init` and `step`, and gives it in pieces as they come.

        Args:
            version: Of a model that has both.
            request: Arrays of one row: the prompt, and strategy values.
            portion: Tokens between two pieces.
            deadline: By the loop's clock.

        Raises:
            Refused: If a value does not fit, or it takes too long.
        """
        init, step = version.contracts["init"], version.contracts["step"]
        given = {name: request[name] for name in init.inputs if name in request}
        strategy = {name: value for name, value in request.items() if name not in given}
        # Before the first answer: what is wrong is said with a status.
        for name in strategy:
            tensor = step.inputs.get(name)
            if tensor is None or tensor.default is None:
                raise Refused("invalid", f"no strategy value {short(name)} in a stream.")
        call = check(init, given, self.limits)
        if call.rows != 1:
            raise Refused("invalid", f"a stream writes one text, got {call.rows} rows.")
        pen = await version.lanes["init"].ask(call, deadline=deadline)
        asked = step.inputs.keys()
        while not int(pen["done"][0]):
            arrays = {name: value for name, value in pen.items() if name in asked} | strategy
            arrays["length"] = np.array([portion], np.int32)
            call = check(step, arrays, self.limits)
            pen = await version.lanes["step"].ask(call, deadline=deadline)
            if piece := bytes(pen["text"][0]):
                yield piece


def contract_of(version: Version, signature: str) -> Contract:
    """The signature of a name.

    Raises:
        Refused: If the model has none of that name.
    """
    contract = version.contracts.get(signature or MAIN)
    if contract is None:
        raise Refused(
            "invalid",
            f"no signature {short(signature)}; there are {', '.join(version.contracts)}.",
        )
    return contract
