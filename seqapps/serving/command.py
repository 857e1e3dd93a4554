"""`python -m seqapps serve`."""

import importlib.util
from typing import Any

from seqapps.arguments import Command
from seqapps.config import Settings
from seqapps.errors import UserError
from seqapps.lazy import start_tensorflow
from seqapps.serving.settings import Serve

_NEEDED = ("starlette", "uvicorn", "httptools", "prometheus_client", "tensorflow_serving")


def serve(options: Serve, settings: Settings[Any]) -> None:
    """Serves bundles until it is told to stop.

    Raises:
        UsageError: If an option is out of range.
        UserError: If a bundle cannot be served, a port is taken, or the extra is not installed.
    """
    options.check()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"serve needs {', '.join(missing)}; install them: pip install 'seqapps[serve]'."
        )
    if options.engine == "ray" and importlib.util.find_spec("ray") is None:
        raise UserError("--engine ray needs ray; install it: pip install 'seqapps[serve,ray]'.")
    start_tensorflow()
    from seqapps.serving.server import run

    run(options)


COMMAND = Command(
    name="serve",
    help="Serve bundles over HTTP and gRPC",
    handler=serve,
    options=Serve,
    examples=(
        "serve saved_models/translate/demo",
        "serve de=saved_models/translate/multi30k mood=saved_models/sentiment/imdb --port 9000",
    ),
    notes=(
        "HTTP speaks TensorFlow Serving's REST interface (/v1) and the Open Inference Protocol\n"
        "(/v2); gRPC is TensorFlow Serving's. GET /openapi.json describes the addresses."
    ),
)
