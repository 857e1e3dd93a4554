"""Why a request is not answered, in the words of HTTP and of gRPC."""

from typing import Any, Literal

Kind = Literal[
    "invalid",
    "unauthorized",
    "not_found",
    "method",
    "timeout",
    "too_large",
    "media",
    "busy",
    "internal",
    "unavailable",
    "late",
]

HTTP: dict[Kind, int] = {
    "invalid": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method": 405,
    "timeout": 408,
    "too_large": 413,
    "media": 415,
    "busy": 429,
    "internal": 500,
    "unavailable": 503,
    "late": 504,
}
"""Status of each kind."""

GRPC: dict[Kind, str] = {
    "invalid": "INVALID_ARGUMENT",
    "unauthorized": "UNAUTHENTICATED",
    "not_found": "NOT_FOUND",
    "method": "UNIMPLEMENTED",
    "timeout": "DEADLINE_EXCEEDED",
    "too_large": "INVALID_ARGUMENT",
    "media": "INVALID_ARGUMENT",
    "busy": "RESOURCE_EXHAUSTED",
    "internal": "INTERNAL",
    "unavailable": "UNAVAILABLE",
    "late": "DEADLINE_EXCEEDED",
}
"""Name of the `grpc.StatusCode` of each kind."""


class Refused(Exception):
    """A request that gets a reason instead of an answer.

    Attributes:
        kind: Which row of the tables above.
        retry_after_s: When it is worth asking again, in whole seconds; None if it is not.
    """

    def __init__(self, kind: Kind, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        # It travels from the process that computes, and takes an argument by keyword.
        return _again, (self.kind, str(self), self.retry_after_s)


def _again(kind: Kind, message: str, retry_after_s: int | None) -> Refused:
    return Refused(kind, message, retry_after_s=retry_after_s)


def short(value: object, limit: int = 80) -> str:
    """What a request says, made safe to be repeated in a message."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
