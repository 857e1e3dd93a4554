"""Speech to text: a recording in, what is said in it out, with the times of the words."""

from typing import Any

from seqapps.lazy import offered

__all__ = ["Config", "RECIPE", "Recogniser", "build_model", "hear", "transcribe"]

_FROM = {
    "seqapps.recipes.transcribe.recipe": ("RECIPE", "build_model"),
    "seqapps.recipes.transcribe.settings": ("Config", "Recogniser"),
    "seqapps.recipes.transcribe.predict": ("transcribe",),
    "seqapps.recipes.transcribe.predict_stream": ("hear",),
}
"""Module → names that the package offers."""


def __getattr__(name: str) -> Any:
    return offered(name, _FROM, __name__)
