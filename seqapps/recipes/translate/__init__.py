"""Translation: a sentence in, the same sentence in another language out."""

from typing import Any

from seqapps.lazy import offered

__all__ = ["Config", "RECIPE", "Translator", "build_model"]

_FROM = {
    "seqapps.recipes.translate.recipe": ("RECIPE", "build_model"),
    "seqapps.recipes.translate.settings": ("Config", "Translator"),
}
"""Module → names that the package offers."""


def __getattr__(name: str) -> Any:
    return offered(name, _FROM, __name__)
