"""The API page, made from what each model takes and gives."""

from typing import Any

from seqapps.serving.contract import Contract, Tensor, served_range
from seqapps.serving.models import Models
from seqapps.serving.refusals import HTTP
from seqapps.serving.settings import Serve
from seqapps.version import __version__

_TYPES: dict[str, dict[str, Any]] = {
    "float32": {"type": "number"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
}
_BYTES = {
    "type": "object",
    "properties": {"b64": {"type": "string", "format": "byte"}},
    "required": ["b64"],
    "additionalProperties": False,
}


def describe(models: Models, limits: Serve) -> dict[str, Any]:
    """The OpenAPI 3.1 document of everything that is served."""
    paths: dict[str, Any] = {
        "/v2/health/live": {"get": _operation("Whether the process runs", "live")},
        "/v2/health/ready": {
            "get": _operation("Whether every model answers", "ready", refusals=("unavailable",))
        },
        "/v2": {"get": _operation("Name and version of the server", "about")},
        "/metrics": {"get": _operation("Metrics for Prometheus", "metrics", kind="text/plain")},
        "/monitoring/prometheus/metrics": {
            "get": _operation(
                "The same, where TensorFlow Serving has it", "metrics_of_serving", kind="text/plain"
            )
        },
    }
    for name, model in models.by_name.items():
        if not model.versions:
            continue
        contracts = model.versions[model.newest].contracts
        v1, v2 = f"/v1/models/{name}", f"/v2/models/{name}"
        seen = ("not_found", "unavailable")
        requests = [_request(contract, limits) for contract in contracts.values()]
        own = {
            (v1, ""): {
                "get": _operation("Versions and their states", f"{name}_status", refusals=seen)
            },
            (v1, "/metadata"): {"get": _operation("Signatures", f"{name}_metadata", refusals=seen)},
            (v1, ":predict"): {
                "post": _post("Answer rows", f"{name}_predict", {"anyOf": requests})
            },
            (v2, ""): {"get": _operation("Inputs and outputs", f"{name}_v2", refusals=seen)},
            (v2, "/ready"): {
                "get": _operation("Whether the model answers", f"{name}_v2_ready", refusals=seen)
            },
            (v2, "/infer"): {"post": _post("Answer tensors", f"{name}_infer", _infer(contracts))},
        }
        if {"init", "step"} <= contracts.keys():
            own[v1, ":generate"] = {
                "post": _post(
                    "Write a text, piece by piece (Server-Sent Events)",
                    f"{name}_generate",
                    _stream(contracts, limits),
                    kind="text/event-stream",
                )
            }
        for (place, rest), operations in own.items():
            paths[f"{place}{rest}"] = operations
            paths[f"{place}/versions/{{version}}{rest}"] = _of_a_version(operations)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "seqapps", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}},
                    "required": ["error"],
                }
            }
        },
    }
    if limits.token_file is not None:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _of_a_version(operations: dict[str, Any]) -> dict[str, Any]:
    """The same of a version that the address names; without one the newest answers."""
    number = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
    return {
        method: operation
        | {
            "operationId": f"{operation['operationId']}_version",
            "parameters": [*operation.get("parameters", ()), number],
        }
        for method, operation in operations.items()
    }


def _operation(
    summary: str, identity: str, *, refusals: tuple[str, ...] = (), kind: str = "application/json"
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object" if kind == "application/json" else "string"}
    responses: dict[str, Any] = {
        "200": {"description": summary, "content": {kind: {"schema": schema}}}
    }
    for refusal in (*refusals, "unauthorized"):
        error = {"$ref": "#/components/schemas/Error"}
        if identity == "ready":
            error = {"type": "object"}
        responses[str(HTTP[refusal])] = {  # type: ignore[index]
            "description": refusal.replace("_", " "),
            "content": {"application/json": {"schema": error}},
        }
    return {"summary": summary, "operationId": identity, "responses": responses}


def _post(
    summary: str, identity: str, schema: dict[str, Any], *, kind: str = "application/json"
) -> dict[str, Any]:
    every = (
        "invalid",
        "not_found",
        "timeout",
        "too_large",
        "media",
        "busy",
        "unavailable",
        "late",
    )
    operation = _operation(summary, identity, refusals=every, kind=kind)
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": schema}},
    }
    operation["parameters"] = [
        {
            "name": "X-Request-Timeout",
            "in": "header",
            "required": False,
            "description": "Seconds after which the request is given up.",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        }
    ]
    return operation


def _request(contract: Contract, limits: Serve) -> dict[str, Any]:
    """The row form of one signature."""
    rows: dict[str, Any] = _object(contract.inputs, contract.needed, limits)
    if len(contract.needed) == 1:
        rows = {"anyOf": [_value(contract.inputs[contract.needed[0]], limits), rows]}
    named: dict[str, Any] = {"const": contract.name}
    required = (
        ["instances"]
        if contract.name == "serving_default"
        else [
            "signature_name",
            "instances",
        ]
    )
    return {
        "type": "object",
        "title": contract.name,
        "description": contract.description,
        "properties": {
            "signature_name": named,
            "instances": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.rows,
                "items": rows,
            },
        },
        "required": required,
        "additionalProperties": False,
    }


def _object(tensors: Any, required: list[str], limits: Serve) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {tensor.name: _value(tensor, limits) for tensor in tensors.values()},
        "required": required,
        "additionalProperties": False,
    }


def _value(tensor: Tensor, limits: Serve) -> dict[str, Any]:
    """One row of a tensor."""
    schema: dict[str, Any] = dict(_TYPES.get(tensor.dtype, {"anyOf": [{"type": "string"}, _BYTES]}))
    for size in reversed(tensor.shape[1:]):
        schema = {"type": "array", "items": schema}
        if size is not None:
            schema |= {"minItems": size, "maxItems": size}
    allowed = served_range(tensor, limits)
    least, most = allowed.get("least"), allowed.get("most")
    if least is not None:
        schema["exclusiveMinimum" if allowed.get("above") else "minimum"] = least
    if most is not None:
        schema["maximum"] = most
    return schema | ({"description": tensor.description} if tensor.description else {})


def _infer(contracts: dict[str, Contract]) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"enum": ["BYTES", "FP32", "INT32", "INT64"]},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype", "data"],
        "additionalProperties": False,
    }
    output = {
        "type": "object",
        "properties": {
            "name": {"enum": sorted({n for c in contracts.values() for n in c.outputs})}
        },
        "required": ["name"],
    }
    named = {"signature_name": {"enum": list(contracts)}}
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object", "properties": named},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": output},
        },
        "required": ["inputs"],
        "additionalProperties": False,
    }


def _stream(contracts: dict[str, Contract], limits: Serve) -> dict[str, Any]:
    init, step = contracts["init"], contracts["step"]
    tensors = {name: init.inputs[name] for name in init.needed} | {
        name: tensor for name, tensor in step.inputs.items() if tensor.default is not None
    }
    schema = _object(tensors, [], limits)
    schema["properties"]["portion"] = {"type": "integer", "minimum": 1, "maximum": 256}
    return schema
