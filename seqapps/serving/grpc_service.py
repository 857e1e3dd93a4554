"""gRPC: TensorFlow Serving's PredictionService and ModelService."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from seqapps.serving.asking import Desk
from seqapps.serving.contract import Arrays, Contract
from seqapps.serving.http import version_status
from seqapps.serving.refusals import GRPC, Refused, short

_ELEMENTS = 1 << 26
_EMPTY_BYTES = 1 << 20
_SERVED = frozenset(
    {
        "string",
        "float32",
        "int32",
        "int64",
        "float64",
        "float16",
        "int8",
        "int16",
        "uint8",
        "uint16",
        "bool",
    }
)


def make_server(desk: Desk) -> Any:
    """A `grpc.aio` server without an address yet."""
    most = desk.limits.body_bytes
    server = grpc.aio.server(
        interceptors=[_Guard(desk)],
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", most),
            ("grpc.max_metadata_size", 16_384),
        ],
        maximum_concurrent_rpcs=desk.limits.connections,
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Predictions(desk), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_States(desk), server)
    return server


class _Guard(grpc.aio.ServerInterceptor):
    """Asks for the token, and says what is wrong with a message that cannot be read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        metadata = dict(details.invocation_metadata)
        try:
            self._desk.admit(metadata.get("authorization"))
        except Refused as refused:
            code, reason = _code(refused), str(refused)

            async def abort(request: Any, context: Any) -> None:
                await context.abort(code, reason)

            return grpc.unary_unary_rpc_method_handler(abort)
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def read(content: bytes) -> Any:
            try:
                return handler.request_deserializer(content)
            except DecodeError:
                return None

        async def answer(request: Any, context: Any) -> Any:
            if request is None:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "the message cannot be read: it is damaged."
                )
            return await handler.unary_unary(request, context)

        return handler._replace(request_deserializer=read, unary_unary=answer)


def _code(refused: Refused) -> Any:
    return getattr(grpc.StatusCode, GRPC[refused.kind])


async def _answered(
    desk: Desk, context: Any, spec: Any, work: Callable[[dict[str, Any]], Awaitable[Any]]
) -> Any:
    """Counts, and turns a refusal into its status."""
    try:
        with desk.counted("grpc", spec.name) as extra:
            return await work(extra)
    except Refused as refused:
        if refused.retry_after_s is not None:
            context.set_trailing_metadata((("retry-after", str(refused.retry_after_s)),))
        await context.abort(_code(refused), str(refused))


def _number(spec: Any) -> int | None:
    if spec.version_label:
        raise Refused("invalid", "versions have numbers here, no labels.")
    return spec.version.value if spec.HasField("version") else None


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Predict(self, request: Any, context: Any) -> Any:
        async def work(extra: dict[str, Any]) -> Any:
            spec = request.model_spec
            model, version = self._desk.models.find(spec.name, _number(spec))
            contract, outputs = await self._desk.ask(
                version,
                spec.signature_name,
                lambda contract: _arrays(contract, request.inputs),
                deadline=self._desk.deadline(context.time_remaining()),
                extra=extra,
            )
            reply = predict_pb2.PredictResponse()
            reply.model_spec.name = model.name
            reply.model_spec.version.value = version.number
            reply.model_spec.signature_name = contract.name
            for name in request.output_filter or outputs:
                if name not in outputs:
                    raise Refused("invalid", f"no output {short(name)}; there are {[*outputs]}.")
                dtype = contract.outputs[name].dtype
                reply.outputs[name].CopyFrom(
                    tf.make_tensor_proto(outputs[name], dtype, outputs[name].shape)
                )
            return reply

        return await _answered(self._desk, context, request.model_spec, work)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:
        async def work(extra: dict[str, Any]) -> Any:
            spec = request.model_spec
            model, version = self._desk.models.find(spec.name, _number(spec))
            fields = list(request.metadata_field)
            if fields != ["signature_def"]:
                raise Refused("invalid", "metadata_field is signature_def.")
            definitions = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in version.signature_defs.items():
                definitions.signature_def[name].CopyFrom(definition)
            reply = get_model_metadata_pb2.GetModelMetadataResponse()
            reply.model_spec.name = model.name
            reply.model_spec.version.value = version.number
            reply.metadata["signature_def"].Pack(definitions)
            return reply

        return await _answered(self._desk, context, request.model_spec, work)

    async def Classify(self, request: Any, context: Any) -> Any:
        await self._only_predict(request.model_spec, context)

    async def Regress(self, request: Any, context: Any) -> Any:
        await self._only_predict(request.model_spec, context)

    async def MultiInference(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "one model a request; use Predict.")

    async def _only_predict(self, spec: Any, context: Any) -> None:
        async def work(extra: dict[str, Any]) -> Any:
            self._desk.models.model(spec.name)
            raise Refused("invalid", "no signature takes tf.Example; use Predict.")

        await _answered(self._desk, context, spec, work)


class _States(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def GetModelStatus(self, request: Any, context: Any) -> Any:
        async def work(extra: dict[str, Any]) -> Any:
            spec = request.model_spec
            rows = version_status(self._desk.models.model(spec.name), _number(spec))
            reply = get_model_status_pb2.GetModelStatusResponse()
            states = get_model_status_pb2.ModelVersionStatus.State
            for row in rows:
                status = reply.model_version_status.add()
                status.version = int(row["version"])
                status.state = states.Value(row["state"])
                code = row["status"]["error_code"]
                status.status.error_code = 0 if code == "OK" else 9
                status.status.error_message = row["status"]["error_message"]
            return reply

        return await _answered(self._desk, context, request.model_spec, work)

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "the models are those of the command line; new versions are found on disk.",
        )


def _arrays(contract: Contract, inputs: Any) -> Arrays:
    return {name: _array(name, inputs[name]) for name in inputs}


def _array(name: str, proto: Any) -> Any:
    """Reads a tensor; a message of a few bytes may say that it is one of many gigabytes.

    Raises:
        Refused: If it is damaged, or too large.
    """
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype).name
    except TypeError:
        dtype = "unknown"
    if dtype not in _SERVED:
        raise Refused("invalid", f"{short(name)} is of a type that no model takes.")
    sizes = [each.size for each in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or len(sizes) > 8 or any(size < 0 for size in sizes):
        raise Refused("invalid", f"{short(name)} has no complete shape.")
    count = math.prod(sizes)
    # A single value may stand for all of them.
    if count > min(_ELEMENTS, max(_EMPTY_BYTES, 64 * proto.ByteSize())):
        raise Refused("invalid", f"{short(name)} says that it has {count} values.")
    try:
        return tf.make_ndarray(proto)
    except Exception:
        raise Refused("invalid", f"{short(name)} is damaged: shape and content differ.") from None
