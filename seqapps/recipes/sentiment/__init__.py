"""Sentiment: a text in, a label with its probability out, and how much each word mattered."""

from typing import Any

from seqapps.lazy import offered

__all__ = ["Classifier", "Config", "Pretraining", "RECIPE", "build_model"]

_FROM = {
    "seqapps.recipes.sentiment.recipe": ("RECIPE", "build_model"),
    "seqapps.recipes.sentiment.settings": (
        "Classifier",
        "Config",
        "Pretraining",
    ),
}
"""Module → names that the package offers."""


def __getattr__(name: str) -> Any:
    return offered(name, _FROM, __name__)
