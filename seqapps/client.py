"""A client of the server, and of any that speaks TensorFlow Serving's REST interface.

Needs httpx, of the extra `serve`.
"""

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from seqapps.errors import UserError

__all__ = ["Client"]

_AGAIN = frozenset({429, 502, 503})
"""Statuses after which the same request may be answered: it was not begun."""
_PAUSE_S, _LONGEST_S = 0.1, 10.0


class Client:
    """Asks a server; asks again when it is busy or cannot be reached.

    Answers are functions of the request, so asking twice does no harm.

    Example:
        with Client("http://127.0.0.1:8501") as client:
            client.predict("translate", ["A man is reading."])
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8501",
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 4,
        verify: Any = True,
    ) -> None:
        """Makes a client; nothing is sent yet.

        Args:
            url: Where the server listens.
            token: Its bearer token, if it wants one.
            timeout_s: Seconds until a request is given up, there and here.
            retries: How often a request is sent again.
            verify: True, False or an `ssl.SSLContext`: which certificates are trusted.
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        headers["X-Request-Timeout"] = f"{timeout_s:g}"
        self._retries = retries
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout_s + 1, verify=verify, trust_env=False
        )

    def predict(
        self,
        model: str,
        instances: Sequence[Any],
        *,
        signature: str = "",
        version: int | None = None,
    ) -> list[Any]:
        """Answers rows.

        Args:
            model: Name of the model.
            instances: Rows: values (str, bytes, numbers), or dicts by the names of the inputs.
            signature: Of the model; empty for `serving_default`.
            version: Of the model; None for the newest.

        Returns:
            For each row a dict by the names of the outputs, or the value if there is one alone.

        Raises:
            UserError: If the server refuses the request, or cannot be reached.
        """
        body: dict[str, Any] = {"instances": [_encoded(row) for row in instances]}
        if signature:
            body["signature_name"] = signature
        predictions: list[Any] = self._ask("POST", f"{_path(model, version)}:predict", body)[
            "predictions"
        ]
        return predictions

    def stream(self, model: str, prompt: str = "", **options: Any) -> Iterator[str]:
        """Writes a text, and gives it in pieces as they come; never asks twice.

        Args:
            model: Name of a model that writes.
            prompt: What the text goes on from.
            **options: Strategy values, and `portion`: tokens between two pieces.

        Raises:
            UserError: If the server refuses the request, or cannot be reached.
        """
        body = {"prompt": prompt, **options}
        try:
            with self._http.stream("POST", f"{_path(model, None)}:generate", json=body) as reply:
                if reply.status_code != 200:
                    reply.read()
                    raise _refused(reply)
                for line in reply.iter_lines():
                    if not line.startswith("data: "):
                        continue
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise UserError(event["error"])
                    if "text" in event:
                        yield event["text"]
                    if event.get("done"):
                        return
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        raise UserError("the server broke the stream off; ask again.")

    def status(self, model: str) -> list[dict[str, Any]]:
        """States of a model's versions, newest first.

        Raises:
            UserError: If there is no such model, or the server cannot be reached.
        """
        versions: list[dict[str, Any]] = self._ask("GET", _path(model, None))[
            "model_version_status"
        ]
        return versions

    def metadata(self, model: str, *, version: int | None = None) -> dict[str, Any]:
        """Signatures of a model, as TensorFlow Serving describes them.

        Raises:
            UserError: If there is no such model, or the server cannot be reached.
        """
        return self._ask("GET", f"{_path(model, version)}/metadata")

    def ready(self) -> bool:
        """Whether every model answers; False too if nobody listens."""
        try:
            return self._http.get("/v2/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                reply = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
                time.sleep(_pause(attempt, None))
                continue
            if reply.status_code == 200:
                content: dict[str, Any] = reply.json()
                return content
            if reply.status_code not in _AGAIN or last:
                raise _refused(reply)
            time.sleep(_pause(attempt, reply.headers.get("Retry-After")))
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: httpx.HTTPError) -> UserError:
        return UserError(
            f"{self._http.base_url} does not answer ({error or type(error).__name__}); "
            "is the server running there?"
        )


def _pause(attempt: int, wanted: str | None) -> float:
    """Seconds until the next attempt: twice as long each time, spread so that not all come back."""
    seconds = _PAUSE_S * 2**attempt * random.uniform(0.5, 1.5)
    if wanted is not None and wanted.isdigit():
        seconds = max(seconds, int(wanted) * random.uniform(1.0, 1.25))
    return min(_LONGEST_S, seconds)


def _path(model: str, version: int | None) -> str:
    path = f"/v1/models/{httpx.URL(path=model).raw_path.decode()}"
    return path if version is None else f"{path}/versions/{version}"


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        import base64

        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {name: _encoded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _refused(reply: httpx.Response) -> UserError:
    try:
        reason = reply.json()["error"]
    except (ValueError, KeyError, TypeError):
        reason = reply.text[:200] or reply.reason_phrase
    return UserError(f"the server refuses ({reply.status_code}): {reason}")
