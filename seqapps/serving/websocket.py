"""WebSocket: speech goes in as it is spoken, text comes out as it is known.

Made for bundles with the signatures `init`, `step_int16` and `flush`: state in, state out.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from seqapps.serving import encoding
from seqapps.serving.asking import Desk
from seqapps.serving.contract import Arrays, check
from seqapps.serving.models import Version
from seqapps.serving.refusals import Refused, short

NEEDED = frozenset({"init", "step_int16", "flush"})
"""Signatures of a bundle that can listen."""
_RATE_HZ = 16_000
_REFUSED, _FAILED = 1008, 1011


async def listen(desk: Desk, socket: WebSocket) -> None:
    """Serves one connection.

    A binary message is sound: 16 bits, little-endian, one channel. The text message `end` ends it.
    Each gets one of JSON: `text` is certain now, `partial` may still change, `seconds` were heard;
    the last one has `done`. The query gives `rate_hz` and strategy values.
    """
    name = socket.path_params["model"]
    await socket.accept()
    try:
        with desk.counted("websocket", name) as extra:
            model = desk.models.model(name)
            version = model.pick(None)
            extra |= {"version": version.number}
            if not version.contracts.keys() >= NEEDED:
                raise Refused("invalid", f"{model.name} cannot listen to a stream.")
            try:
                await _hear(desk, version, socket)
            except WebSocketDisconnect:
                raise Refused("invalid", "the stream was broken off.") from None
        await socket.close()
    except Refused as refused:
        code = _FAILED if refused.kind == "internal" else _REFUSED
        try:
            await socket.send_text(json.dumps({"error": str(refused)}))
            await socket.close(code)
        except (RuntimeError, WebSocketDisconnect):
            # It has gone already.
            pass


async def _hear(desk: Desk, version: Version, socket: WebSocket) -> None:
    rate, strategy = _asked(version, socket.query_params)

    async def ask(signature: str, arrays: Arrays) -> Arrays:
        contract = version.contracts[signature]
        known = {name: value for name, value in arrays.items() if name in contract.inputs}
        call = check(contract, known, desk.limits)
        outputs = await version.lanes[signature].ask(call, deadline=desk.deadline(None))
        if "status" in outputs and outputs["status"][0] != b"ok":
            raise Refused("invalid", f"{encoding.plain(outputs['status'][0])}; got {rate} Hz.")
        return outputs

    state = await ask("init", {"rate_hz": np.array([rate], np.int32)})
    samples, odd = 0, b""
    while True:
        message = await _receive(desk, socket)
        if isinstance(message, bytes):
            # A message may cut a sample in two.
            content = odd + message
            whole = len(content) // 2 * 2
            content, odd = content[:whole], content[whole:]
            samples += whole // 2
            pcm = np.empty(1, object)
            pcm[0] = content
            state = await ask("step_int16", {**state, "pcm": pcm, **strategy})
            await socket.send_text(_heard(state, samples / rate, done=False))
            continue
        if message != "end":
            raise Refused("invalid", "a text message is 'end'; sound is binary.")
        state = await ask("flush", {**state, **strategy})
        await socket.send_text(_heard(state, samples / rate, done=True))
        return


async def _receive(desk: Desk, socket: WebSocket) -> str | bytes:
    try:
        async with asyncio.timeout(desk.limits.timeout_s):
            message = await socket.receive()
    except TimeoutError:
        raise Refused("timeout", "nothing was heard for too long.") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    frame: str | bytes | None = message.get("bytes")
    return message["text"] if frame is None else frame


def _asked(version: Version, query: Mapping[str, str]) -> tuple[int, Arrays]:
    """Sample rate and strategy values."""
    step = version.contracts["step_int16"]
    rate, strategy = _RATE_HZ, {}
    for name, value in query.items():
        if name == "rate_hz":
            if not (value.isascii() and value.isdigit() and 0 < len(value) <= 6 and int(value)):
                raise Refused("invalid", "rate_hz is a whole number of Hz.")
            rate = int(value)
            continue
        tensor = step.inputs.get(name)
        if tensor is None or tensor.default is None:
            raise Refused("invalid", f"no strategy value {short(name)} in a stream.")
        if tensor.dtype == "string":
            given: Any = [value.split(",")] if len(tensor.shape) > 1 else [value]
        else:
            try:
                given = [float(value) if tensor.dtype == "float32" else int(value)]
            except ValueError:
                raise Refused("invalid", f"{name} is a number.") from None
        strategy[name] = encoding.array(tensor, given)
    return rate, strategy


def _heard(answer: Arrays, seconds: float, *, done: bool) -> str:
    row: dict[str, Any] = {
        name: encoding.plain(answer[name][0]) for name in ("text", "partial") if name in answer
    }
    row["seconds"] = round(seconds, 3)
    return json.dumps(row | ({"done": True} if done else {}), ensure_ascii=False)
