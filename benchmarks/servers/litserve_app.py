"""LitServe, with its batching: up to 32 requests, no longer than 5 ms."""

import os
from typing import Any

import litserve


class Api(litserve.LitAPI):
    """One text in, one text out."""

    def setup(self, device: str) -> None:
        """Loads the model in the worker's process."""
        from plain import answer

        self.answer = answer

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """The first row; with a type on the argument it would be read from the address."""
        return str(request["instances"][0])

    def predict(self, texts: Any) -> Any:
        """Answers a batch."""
        return self.answer(texts)

    def encode_response(self, text: str) -> Any:
        """TF Serving's row form."""
        return {"predictions": [text]}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(max_batch_size=32, batch_timeout=0.005), accelerator="cpu", devices=1
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        generate_client_file=False,
        log_level="warning",
    )
