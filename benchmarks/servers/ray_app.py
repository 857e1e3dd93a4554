"""Ray Serve, one replica, with its batching: up to 32 requests, no longer than 5 ms."""

import os
import signal

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 1})
class Text:
    """One text in, one text out."""

    def __init__(self) -> None:
        from plain import answer

        self.answer = answer

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def batch(self, texts: list[str]) -> list[str]:
        """Answers a batch."""
        return self.answer(texts)

    async def __call__(self, request: Request) -> dict[str, list[str]]:
        """TF Serving's row form."""
        body = await request.json()
        return {"predictions": [await self.batch(body["instances"][0])]}


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
serve.run(Text.bind(), route_prefix="/predict")
signal.pause()
