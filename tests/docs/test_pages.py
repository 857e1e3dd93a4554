"""Runs every shell and Python block of README.md and docs/, in order, page by page.

A page's blocks share a folder that stands for the reader's: in it are `recipes/`, the reader's own
`pairs.en` and `pairs.de`, and a Multi30k clone's `data/task1/raw` (both stand-ins of 400 pairs).

`make test` shortens trainings to three updates and leaves out blocks under `<!-- long -->`; where
the demo is such a block, `saved_models/translate/demo` is there already. `make test-long` runs
everything as it is written, but for the training on Multi30k, which takes an hour.
"""

import contextlib
import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<long><!-- long -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
TRAINING = re.compile(r"python -m seqapps\.recipes\.translate(?! predict| evaluate| export)")
DEMO = "python -m seqapps.recipes.translate\n"
INSTALLING = re.compile(r"^(git clone|cd seqapps|python3 -m venv|\.venv/bin/pip|make )")


class Block(NamedTuple):
    line: int
    language: str
    code: str
    long: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            text[: found.start("code")].count("\n") + 1,
            found["language"],
            found["code"],
            found["long"] is not None,
        )
        for found in FENCE.finditer(text)
    ]


def shortened(code: str, settings: tuple[str, ...]) -> str:
    """The same commands, each training with these settings at its end."""
    lines = code.replace("\\\n", " ").splitlines()
    return "\n".join(
        f"{line} {' '.join(settings)}" if TRAINING.search(line) else line for line in lines
    )


@pytest.fixture
def reader(tmp_path: Path, few_pairs: Path) -> Path:
    """The folder in which a page's blocks run."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    multi30k = tmp_path / "multi30k-dataset" / "data" / "task1" / "raw"
    multi30k.mkdir(parents=True)
    for language in ("en", "de"):
        shutil.copy(few_pairs / f"train.{language}", tmp_path / f"pairs.{language}")
        for split, name in (
            ("train", "train"),
            ("validation", "val"),
            ("test", "test_2016_flickr"),
        ):
            text = (few_pairs / f"{split}.{language}").read_bytes()
            (multi30k / f"{name}.{language}.gz").write_bytes(gzip.compress(text))
    return tmp_path


def run(page: Path, folder: Path, wanted: list[Block]) -> None:
    """Runs blocks one after the other; those of Python share this process and their names."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names: dict[str, object] = {"__name__": page.stem}
    for block in wanted:
        if block.language == "python":
            # Empty lines before it, so that a traceback names the page's own lines.
            code = "\n" * (block.line - 1) + block.code
            with contextlib.chdir(folder):
                exec(compile(code, str(page), "exec"), names)
            continue
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.code],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=3600,
        )
        assert result.returncode == 0, (
            f"{page.name}:{block.line} failed\n{block.code}\n{result.stdout}\n{result.stderr}"
        )


def executable(page: Path) -> list[Block]:
    """The blocks of a page that are code, but for those that install the project."""
    return [
        block
        for block in blocks(page)
        if block.language in ("bash", "python") and not INSTALLING.match(block.code)
    ]


RUNNABLE = [page for page in PAGES if executable(page)]
QUICK = [page for page in PAGES if any(not block.long for block in executable(page))]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", QUICK, ids=lambda page: page.stem)
def test_shortened(
    page: Path, reader: Path, tiny_bundle: Path, short_training: tuple[str, ...]
) -> None:
    if any(block.long and DEMO in block.code for block in executable(page)):
        shutil.copytree(tiny_bundle, reader / "saved_models" / "translate" / "demo")
    # A network that has learned nothing ends no sentence, so a wide beam would take long.
    settings = (*short_training, "--decoding.beam_width", "1")
    short = [
        block._replace(code=shortened(block.code, settings))
        for block in executable(page)
        if not block.long
    ]
    run(page, reader, short)


@pytest.mark.long
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_as_written(page: Path, reader: Path, short_training: tuple[str, ...]) -> None:
    run(
        page,
        reader,
        [
            block._replace(code=shortened(block.code, short_training))
            if "multi30k.toml" in block.code
            else block
            for block in executable(page)
        ],
    )


def test_blocks_are_of_known_languages() -> None:
    """So that no code escapes by its label."""
    found = {(page.name, block.line): block.language for page in PAGES for block in blocks(page)}
    assert found
    assert set(found.values()) <= {"bash", "python", "text", "toml"}, found


def test_every_fence_is_seen() -> None:
    for page in PAGES:
        fences = re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page


def test_a_failing_block_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n```bash\nfalse\ntrue\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page\.md:3 failed"):
        run(page, tmp_path, executable(page))


def test_what_is_shortened() -> None:
    code = (
        "python -m seqapps.recipes.translate \\\n  train --seed 1\n"
        "python -m seqapps.recipes.translate predict x\n"
        "python -m seqapps.recipes.translate\n"
    )
    assert shortened(code, ("--a", "1")).splitlines() == [
        "python -m seqapps.recipes.translate    train --seed 1 --a 1",
        "python -m seqapps.recipes.translate predict x",
        "python -m seqapps.recipes.translate --a 1",
    ]


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_pages_name_no_private_place() -> None:
    for page in PAGES:
        assert not re.search(r"\.\./shared|/work/|/tmp/", page.read_text(encoding="utf-8")), page
