"""One server for the tests of a session."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from handmade import write_handmade
from server_process import Server, serving
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc


@pytest.fixture(scope="session")
def handmade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose answers are known; copy it before changing it."""
    return write_handmade(tmp_path_factory.mktemp("handmade") / "bundle", factor=2.0)


@pytest.fixture(scope="session")
def server(
    tiny_bundle: Path,
    tiny_writer: Path,
    handmade: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A translator, a writer and numbers, behind small limits."""
    with serving(
        tmp_path_factory.mktemp("server"),
        str(tiny_bundle),
        f"writer={tiny_writer}",
        f"numbers={handmade}",
        "--rows",
        "64",
        "--text-bytes",
        "500",
        "--audio-s",
        "5",
        "--beam",
        "8",
        "--length",
        "100",
        "--body-mb",
        "1",
        "--timeout-s",
        "60",
    ) as found:
        yield found


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of it."""
    with server.http() as client:
        yield client


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[Any]:
    """A channel of gRPC to it."""
    with server.channel() as found:
        yield found


@pytest.fixture(scope="session")
def predictions(channel: Any) -> Any:
    """TensorFlow Serving's own stub."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def states(channel: Any) -> Any:
    """TensorFlow Serving's own stub."""
    return model_service_pb2_grpc.ModelServiceStub(channel)
