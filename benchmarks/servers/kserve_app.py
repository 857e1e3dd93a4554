"""KServe's SDK and its V1 protocol; it has no batching of its own."""

import os
from typing import Any

import kserve
from plain import answer


class Model(kserve.Model):
    """One text in, one text out."""

    def __init__(self) -> None:
        super().__init__("m")
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Answers each row."""
        return {"predictions": answer(payload["instances"])}


if __name__ == "__main__":
    kserve.ModelServer(
        http_port=int(os.environ["PORT"]), enable_grpc=False, workers=1, access_log_format=None
    ).start([Model()])
