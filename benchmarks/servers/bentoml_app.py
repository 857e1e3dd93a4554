"""BentoML, with its adaptive batching: up to 32 rows, each within 2 s (200 ms: overloaded)."""

import bentoml


@bentoml.service(traffic={"timeout": 60})
class Text:
    """One text in, one text out."""

    def __init__(self) -> None:
        from plain import answer

        self.answer = answer

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=2000)
    def predict(self, instances: list[str]) -> list[str]:
        """Answers a batch."""
        return self.answer(instances)
