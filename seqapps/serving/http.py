"""HTTP: TensorFlow Serving's REST interface, the Open Inference Protocol, streams, health."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from tensorflow_serving.apis import get_model_metadata_pb2

from seqapps.serving import encoding
from seqapps.serving.asking import Desk, contract_of
from seqapps.serving.contract import Arrays, Contract
from seqapps.serving.models import Model, Version
from seqapps.serving.openapi import describe
from seqapps.serving.refusals import HTTP, Refused, short
from seqapps.serving.websocket import listen
from seqapps.version import __version__

_LARGE = 1 << 16
"""Bytes of a request from which on it is read in a thread."""
_PORTION = 8
_OPEN = frozenset({"/v2/health/live", "/v2/health/ready"})
_VERSION = "/versions/{version:name}"


class _NameConvertor(StringConvertor):
    """A part of an address before its verb."""

    regex = "[^/:]+"


register_url_convertor("name", _NameConvertor())


def application(desk: Desk) -> Any:
    """The ASGI application."""
    site = _Site(desk)
    v1, v2 = "/v1/models/{model:name}", "/v2/models/{model:name}"

    async def heard(socket: WebSocket) -> None:
        await listen(desk, socket)

    routes: list[Any] = [
        WebSocketRoute("/v1/models/{model:name}:listen", heard),
        Route("/v2/health/live", site.live),
        Route("/v2/health/ready", site.ready),
        Route("/metrics", site.metrics),
        Route("/monitoring/prometheus/metrics", site.metrics),
        Route("/openapi.json", site.openapi),
        Route("/v2", site.about),
        Route("/v1/models/{model:name}/metadata", site.metadata),
        Route(f"/v1/models/{{model:name}}{_VERSION}/metadata", site.metadata),
        Route(f"/v1/models/{{model:name}}{_VERSION}:{{verb}}", site.verb, methods=["POST"]),
        Route("/v1/models/{model:name}:{verb}", site.verb, methods=["POST"]),
        Route(f"{v1}{_VERSION}", site.status),
        Route(v1, site.status),
    ]
    for path in (v2, f"{v2}{_VERSION}"):
        routes += [
            Route(path, site.v2_metadata),
            Route(f"{path}/ready", site.v2_ready),
            Route(f"{path}/infer", site.infer, methods=["POST"]),
        ]
    app = Starlette(routes=routes, exception_handlers={404: _no_route, 405: _no_method})
    return _Guarded(app, desk)


class _Guarded:
    """Asks for the token, and turns refusals into answers."""

    def __init__(self, app: Any, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            headers = dict(scope["headers"])
            try:
                self._desk.admit(headers.get(b"authorization"))
            except Refused as refused:
                await _refusal(refused)(scope, receive, send)
                return
        if scope["type"] == "websocket":
            try:
                self._desk.admit(dict(scope["headers"]).get(b"authorization"))
            except Refused:
                # Before it is accepted, which the client sees as status 403.
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
        await self._app(scope, receive, send)


def _refusal(refused: Refused) -> Response:
    headers = {}
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    if refused.kind == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    return _json({"error": str(refused)}, status=HTTP[refused.kind], headers=headers)


def _json(value: dict[str, Any], *, status: int = 200, headers: Any = None) -> Response:
    return Response(encoding.dump(value), status, headers, "application/json")


async def _no_route(request: Request, error: Exception) -> Response:
    return _json({"error": "no such address; /openapi.json lists them all."}, status=404)


async def _no_method(request: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", None)
    return _json(
        {"error": f"this address does not take {short(request.method)}."},
        status=405,
        headers=allowed,
    )


async def _to_the_end(
    events: AsyncIterable[Any], counted: contextlib.AbstractContextManager[Any]
) -> AsyncIterator[Any]:
    """A stream that is counted until its last event; what goes wrong on the way is the last one."""
    try:
        with counted:
            async for event in events:
                yield event
    except Refused as refused:
        yield f"event: error\ndata: {json.dumps({'error': str(refused)})}\n\n".encode()


class _Site:
    """One method for each address."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._models = desk.models

    async def live(self, request: Request) -> Response:
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        ready = self._models.ready
        return _json({"ready": ready}, status=200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(self._desk.metrics.text(), media_type=kind)

    async def openapi(self, request: Request) -> Response:
        return _json(describe(self._models, self._desk.limits))

    async def about(self, request: Request) -> Response:
        return _json({"name": "seqapps", "version": __version__, "extensions": []})

    async def status(self, request: Request) -> Response:
        async def answer(model: Model, number: int | None, extra: dict[str, Any]) -> Response:
            return _json({"model_version_status": version_status(model, number)})

        return await self._counted(request, answer)

    async def metadata(self, request: Request) -> Response:
        async def answer(model: Model, number: int | None, extra: dict[str, Any]) -> Response:
            version = model.pick(number)
            message = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in version.signature_defs.items():
                message.signature_def[name].CopyFrom(definition)
            spec = {"name": model.name, "signature_name": "", "version": str(version.number)}
            shown = MessageToDict(message, preserving_proto_field_name=True)
            return _json({"model_spec": spec, "metadata": {"signature_def": shown}})

        return await self._counted(request, answer)

    async def verb(self, request: Request) -> Response:
        verbs = {"predict": self._predict, "generate": self._generate}
        verb = request.path_params["verb"]

        async def answer(model: Model, number: int | None, extra: dict[str, Any]) -> Response:
            if verb in ("classify", "regress"):
                raise Refused(
                    "invalid", f"no signature of {model.name} is for :{verb}; use :predict."
                )
            if verb not in verbs:
                raise Refused("not_found", f"no verb {short(verb)}; there is :predict.")
            return await verbs[verb](request, model.pick(number), extra)

        return await self._counted(request, answer)

    async def _predict(self, request: Request, version: Version, extra: dict[str, Any]) -> Response:
        deadline, body = await self._body(request)
        encoding.known_keys(body, ("signature_name", "instances", "inputs"))
        name = encoding.text(body, "signature_name", "")
        contract = contract_of(version, name)
        arrays = await self._read(request, encoding.arrays_of, contract, body)
        _, outputs = await self._desk.ask(
            version, name, lambda _: arrays, deadline=deadline, extra=extra
        )
        if "instances" in body:
            return _json({"predictions": encoding.predictions(outputs)})
        return _json({"outputs": encoding.outputs(outputs)})

    async def infer(self, request: Request) -> Response:
        async def answer(model: Model, number: int | None, extra: dict[str, Any]) -> Response:
            version = model.pick(number)
            deadline, body = await self._body(request)
            encoding.known_keys(body, ("id", "parameters", "inputs", "outputs"))
            parameters = body.get("parameters", {})
            if not isinstance(parameters, dict):
                raise Refused("invalid", "'parameters' is an object.")
            name = encoding.text(parameters, "signature_name", "")
            contract = contract_of(version, name)
            identity = encoding.text(body, "id", "")
            arrays = await self._read(request, encoding.v2_arrays, contract, body)
            _, outputs = await self._desk.ask(
                version, name, lambda _: arrays, deadline=deadline, extra=extra
            )
            tensors = encoding.v2_outputs(contract, outputs, body.get("outputs"))
            reply = {"model_name": model.name, "model_version": str(version.number)}
            return _json(reply | ({"id": identity} if identity else {}) | {"outputs": tensors})

        return await self._counted(request, answer)

    async def v2_metadata(self, request: Request) -> Response:
        async def answer(model: Model, number: int | None, extra: dict[str, Any]) -> Response:
            contract = contract_of(model.pick(number), "")
            return _json(
                {
                    "name": model.name,
                    "versions": [str(number) for number in sorted(model.versions)],
                    "platform": "tensorflow_savedmodel",
                    "inputs": encoding.v2_tensors(contract.inputs),
                    "outputs": encoding.v2_tensors(contract.outputs),
                }
            )

        return await self._counted(request, answer)

    async def v2_ready(self, request: Request) -> Response:
        async def answer(model: Model, number: int | None, extra: dict[str, Any]) -> Response:
            model.pick(number)
            ready = not self._models.draining
            return _json({"name": model.name, "ready": ready}, status=200 if ready else 503)

        return await self._counted(request, answer)

    async def _generate(
        self, request: Request, version: Version, extra: dict[str, Any]
    ) -> Response:
        """Server-Sent Events: pieces of a text while it is written."""
        deadline, body = await self._body(request)
        if not {"init", "step"} <= version.contracts.keys():
            raise Refused("invalid", "this model writes no text step by step; use :predict.")
        portion = body.pop("portion", _PORTION)
        if not isinstance(portion, int) or isinstance(portion, bool) or not 1 <= portion <= 256:
            raise Refused("invalid", "portion is a whole number from 1 to 256.")
        init, step = version.contracts["init"], version.contracts["step"]
        for name in init.needed:
            body.setdefault(name, "")
        tensors = {**step.inputs, **init.inputs}
        joint = Contract(name="generate", inputs=tensors, outputs={})
        arrays = encoding.arrays_of(joint, {"instances": [body]})
        pieces = self._desk.write(version, arrays, portion=portion, deadline=deadline)
        extra |= {"version": version.number, "signature": "step", "rows": 1}
        # The first piece before the status: what is wrong with a request is said with 400.
        first = await anext(pieces, None)

        async def events() -> AsyncIterator[bytes]:
            piece = first
            try:
                while piece is not None:
                    shown = json.dumps({"text": encoding.plain(piece)}, ensure_ascii=False)
                    yield f"data: {shown}\n\n".encode()
                    piece = await anext(pieces, None)
                yield b'data: {"done": true}\n\n'
            finally:
                await pieces.aclose()  # type: ignore[attr-defined]

        return StreamingResponse(
            events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _counted(
        self,
        request: Request,
        answer: Callable[[Model, int | None, dict[str, Any]], Awaitable[Response]],
    ) -> Response:
        """Finds the model, counts, and turns a refusal into its answer."""
        name = request.path_params["model"]
        try:
            with contextlib.ExitStack() as counted:
                extra = counted.enter_context(self._desk.counted("http", name))
                reply = await answer(self._models.model(name), _number(request), extra)
                if isinstance(reply, StreamingResponse):
                    reply.body_iterator = _to_the_end(reply.body_iterator, counted.pop_all())
                return reply
        except Refused as refused:
            return _refusal(refused)

    async def _body(self, request: Request) -> tuple[float, dict[str, Any]]:
        """Reads a request within the limits of size and time."""
        deadline = self._desk.deadline(_timeout(request))
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused("media", "compressed requests are not taken; send it as it is.")
        most = self._desk.limits.body_bytes
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > 12 or int(length) > most):
            raise _too_large(most)
        parts, size = [], 0
        try:
            async with asyncio.timeout_at(deadline):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise _too_large(most)
                    parts.append(part)
        except TimeoutError:
            raise Refused("timeout", "the request did not arrive in time.") from None
        except ClientDisconnect:
            raise Refused("invalid", "the request was broken off.") from None
        return deadline, await self._maybe_thread(size, encoding.parse, b"".join(parts))

    async def _read(
        self,
        request: Request,
        read: Callable[[Contract, dict[str, Any]], Arrays],
        contract: Contract,
        body: dict[str, Any],
    ) -> Arrays:
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdigit() else _LARGE
        arrays: Arrays = await self._maybe_thread(size, read, contract, body)
        return arrays

    async def _maybe_thread(self, size: int, work: Callable[..., Any], *arguments: Any) -> Any:
        if size < _LARGE:
            return work(*arguments)
        return await asyncio.to_thread(work, *arguments)


def _too_large(most: int) -> Refused:
    return Refused(
        "too_large",
        f"a request has at most {most} bytes; send several, or start the server with a larger "
        "--body-mb.",
    )


def _number(request: Request) -> int | None:
    """The version in an address."""
    given = request.path_params.get("version")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise Refused("not_found", f"a version is a number, got {short(given)}.")
    return int(given)


def _timeout(request: Request) -> float | None:
    """Seconds that a request gives itself, by the header `X-Request-Timeout`."""
    given = request.headers.get("x-request-timeout")
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Refused("invalid", "X-Request-Timeout is seconds, above 0.")
    return seconds


def version_status(model: Model, number: int | None = None) -> list[dict[str, Any]]:
    """States of a model's versions, newest first, as TensorFlow Serving names them.

    Raises:
        Refused: If there is no version of that number.
    """
    rows = [
        {
            "version": str(each),
            "state": "AVAILABLE" if each in model.versions else "END",
            "status": {
                "error_code": "OK" if each in model.versions else "FAILED_PRECONDITION",
                "error_message": "" if each in model.versions else "not served: it was refused",
            },
        }
        for each in sorted(model.versions.keys() | model.refused.keys(), reverse=True)
        if number in (None, each)
    ]
    if not rows and number is not None:
        raise Refused("not_found", f"{model.name} has no version {number}.")
    if not rows:
        loading = {"error_code": "OK", "error_message": ""}
        rows = [{"version": "1", "state": "LOADING", "status": loading}]
    return rows
