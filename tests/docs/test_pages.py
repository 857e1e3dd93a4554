"""Runs every shell and Python block of README.md and docs/, in order, page by page.

A page's blocks share a folder that stands for the reader's: in it are `recipes/`; the reader's own
`pairs.en`, `pairs.de`, `reviews.csv`, `story.txt`, `shakespeare/` and `recordings/`; a Multi30k
clone's `data/task1/raw`; and the folder `aclImdb` of the Large Movie Review Dataset (stand-ins of
400 pairs or reviews).

`make test` shortens trainings to three updates, measures the embedded demo of translation on twenty
pairs (`FEW`), and leaves out blocks under `<!-- long -->`; where a demo is such a block,
`saved_models/RECIPE/demo` is there already. A training that other tests need too runs once
(`DOCUMENTED`), and `python` is a warm one but for the page `COLD`.
`make test-long` runs everything as it is written, each command in a new interpreter, but for the
trainings on Multi30k and IMDB, which take an hour.
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
from tiny_trainings import DOCUMENTED, SHORTER, write_reviews
from warm_python import warm_path

from seqapps.recipes.sentiment.reviews import Review

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<long><!-- long -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
TRAINING = re.compile(r"python -m seqapps\.recipes\.(\w+)\b(?! predict| evaluate| export)")
DEMOS = {
    "translate": "tiny_bundle",
    "sentiment": "tiny_classifier",
    "generate": "tiny_writer",
    "transcribe": "tiny_recogniser",
}
"""Fixtures of bundles that stand for a recipe's demo."""
FEW = ("--data.validation", "few", "--data.test", "few")
"""What the embedded demo is measured on: its own splits have a thousand pairs each."""
HOURS = ("tinyshakespeare.toml", "multi30k.toml", "imdb.toml", "imdb_pretrained.toml")
"""Configurations whose training takes too long even for the long tests."""
COLD = "tune"
"""The shortest of the pages that train: its commands run in new interpreters, in which an import
that is missing or circular shows."""
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
    """The same commands, each training with these settings at its end.

    A training that a fixture has run is not run again: its bundle is there, see `test_shortened`.
    """

    def short(line: str) -> str:
        if " ".join(line.split()) in DOCUMENTED.values():
            return "true"
        found = TRAINING.search(line)
        few = FEW if line.strip() == "python -m seqapps.recipes.translate" else ()
        return " ".join((line, *settings, *SHORTER.get(found[1], ()), *few)) if found else line

    return "\n".join(map(short, code.replace("\\\n", " ").splitlines()))


def write_acl_imdb(folder: Path, found: list[Review]) -> None:
    """Lays reviews out as the Large Movie Review Dataset does: one file each, line ends inside."""
    for i, review in enumerate(found):
        good = review.label == "positive"
        place = folder / ("test" if i % 4 == 0 else "train") / ("pos" if good else "neg")
        place.mkdir(parents=True, exist_ok=True)
        text = review.text.replace(". ", ".\t<br />\n")
        (place / f"{i}_{8 if good else 2}.txt").write_text(text, encoding="utf-8")


@pytest.fixture
def reader(
    tmp_path: Path, few_pairs: Path, few_reviews: list[Review], few_recordings: Path
) -> Path:
    """The folder in which a page's blocks run."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    multi30k = tmp_path / "multi30k-dataset" / "data" / "task1" / "raw"
    multi30k.mkdir(parents=True)
    for language in ("en", "de"):
        shutil.copy(few_pairs / f"train.{language}", tmp_path / f"pairs.{language}")
        shutil.copy(few_pairs / f"test.{language}", tmp_path / f"few.{language}")
        for split, name in (
            ("train", "train"),
            ("validation", "val"),
            ("test", "test_2016_flickr"),
        ):
            text = (few_pairs / f"{split}.{language}").read_bytes()
            (multi30k / f"{name}.{language}.gz").write_bytes(gzip.compress(text))
    shutil.copytree(few_recordings.parent, tmp_path / "recordings")
    write_reviews(tmp_path / "reviews.csv", few_reviews)
    story = (few_pairs / "train.en").read_bytes()
    (tmp_path / "story.txt").write_bytes(story)
    (tmp_path / "shakespeare").mkdir()
    (tmp_path / "shakespeare" / "input.txt").write_bytes(story)
    write_acl_imdb(tmp_path / "aclImdb", few_reviews)
    return tmp_path


def run(page: Path, folder: Path, wanted: list[Block], *, warm: bool = False) -> None:
    """Runs blocks one after the other; those of Python share this process and their names.

    Args:
        page: Where they stand.
        folder: Where they run.
        wanted: The blocks.
        warm: Whether `python` has TensorFlow imported already.
    """
    path = warm_path() if warm else f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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


def done_by_fixtures(page: Path) -> list[str]:
    """The fixtures whose trainings are among those that `make test` runs of a page."""
    lines = {
        " ".join(line.split())
        for block in executable(page)
        if not block.long
        for line in block.code.replace("\\\n", " ").splitlines()
    }
    return [fixture for fixture, command in DOCUMENTED.items() if command in lines]


RUNNABLE = [page for page in PAGES if executable(page)]
QUICK = [page for page in PAGES if any(not block.long for block in executable(page))]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", QUICK, ids=lambda page: page.stem)
def test_shortened(
    page: Path,
    reader: Path,
    short_training: tuple[str, ...],
    request: pytest.FixtureRequest,
) -> None:
    for recipe, fixture in DEMOS.items():
        demo = f"python -m seqapps.recipes.{recipe}\n"
        if any(block.long and demo in block.code for block in executable(page)):
            bundle = request.getfixturevalue(fixture)
            shutil.copytree(bundle, reader / "saved_models" / recipe / "demo")
    for fixture in done_by_fixtures(page):
        bundle = request.getfixturevalue(fixture)
        place = DOCUMENTED[fixture].rpartition(" ")[2]
        shutil.copytree(bundle, reader / place)
    short = [
        block._replace(code=shortened(block.code, short_training))
        for block in executable(page)
        if not block.long
    ]
    run(page, reader, short, warm=page.stem != COLD)


@pytest.mark.long
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_as_written(page: Path, reader: Path, short_training: tuple[str, ...]) -> None:
    run(
        page,
        reader,
        [
            block._replace(code=shortened(block.code, short_training))
            if any(name in block.code for name in HOURS)
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
        "python -m seqapps.recipes.sentiment\n"
        "python -m seqapps.recipes.generate train --data.train story.txt \\\n"
        "    --output saved_models/generate/story\n"
    )
    assert shortened(code, ("--a", "1")).splitlines() == [
        "python -m seqapps.recipes.translate    train --seed 1 --a 1 --decoding.beam_width 1",
        "python -m seqapps.recipes.translate predict x",
        "python -m seqapps.recipes.translate --a 1 --decoding.beam_width 1"
        " --data.validation few --data.test few",
        "python -m seqapps.recipes.sentiment --a 1",
        "true",
    ]


def test_a_page_that_trains_runs_in_new_interpreters() -> None:
    (page,) = (page for page in QUICK if page.stem == COLD)
    assert any(TRAINING.search(block.code) for block in executable(page) if not block.long)


def test_fixtures_run_what_the_pages_say() -> None:
    found = {fixture for page in QUICK for fixture in done_by_fixtures(page)}
    assert found == DOCUMENTED.keys()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_pages_name_no_private_place() -> None:
    for page in PAGES:
        assert not re.search(r"\.\./shared|/work/|/tmp/", page.read_text(encoding="utf-8")), page
