"""Text generation: a prompt (or nothing) in, text out, as it is written."""

from typing import Any

from seqapps.lazy import offered

__all__ = ["Config", "LanguageModel", "RECIPE", "build_model", "stream"]

_FROM = {
    "seqapps.recipes.generate.recipe": ("RECIPE", "build_model"),
    "seqapps.recipes.generate.settings": ("Config", "LanguageModel"),
    "seqapps.recipes.generate.predict": ("stream",),
}
"""Module → names that the package offers."""


def __getattr__(name: str) -> Any:
    return offered(name, _FROM, __name__)
