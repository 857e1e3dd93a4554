"""The reference pages say what the docstrings say."""

import runpy
from pathlib import Path

import seqapps

REFERENCE = Path(seqapps.__file__).parents[1] / "docs" / "reference"


def test_pages_are_up_to_date() -> None:
    pages = runpy.run_path(str(REFERENCE / "generate.py"))["pages"]()
    assert {path.name for path in REFERENCE.glob("*.md")} == pages.keys()
    for name, text in pages.items():
        found = (REFERENCE / name).read_text(encoding="utf-8")
        assert found == text, f"docs/reference/{name} is out of date; run `make reference`"


def test_pages_name_what_people_use() -> None:
    modules = (REFERENCE / "modules.md").read_text(encoding="utf-8")
    assert "| `load()` | Loads a bundle that a recipe wrote. |" in modules
    assert "| `hear()` |" in modules.partition("`seqapps.recipes.transcribe`")[2]
    # What no `__all__` exports is private.
    assert "seqapps.training.step" not in modules
    assert "--training.max_steps N" in (REFERENCE / "translate.md").read_text(encoding="utf-8")
