"""Each application is a folder of the same form, as CONTRIBUTING lists it."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from seqapps.config import read_toml, settings_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "seqapps" / "recipes"
APPLICATIONS = sorted(path.parent.name for path in FOLDER.glob("*/recipe.py"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
OPTIONAL = {"baseline.py", "interface.py", "predictor.py", "predict.py", "plots.py"}


def listed():
    """The files that CONTRIBUTING names for the folder of an application."""
    table = CONTRIBUTING.partition("**`seqapps/recipes/NAME/`**")[2].partition("**Beside")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]


@pytest.fixture(params=APPLICATIONS)
def application(request):
    return request.param


def test_there_are_applications():
    assert {"generate", "sentiment", "transcribe", "translate"} <= set(APPLICATIONS)


def test_every_file_of_the_list_is_there(application):
    wanted = set(listed())
    assert wanted >= OPTIONAL | {"__init__.py", "__main__.py", "recipe.py", "settings.py"}
    missing = {name for name in wanted if not (FOLDER / application / name).is_file()}
    assert missing <= OPTIONAL


def test_the_story_is_short_and_is_told_in_the_first_line(application):
    folder = FOLDER / application
    story = (folder / "recipe.py").read_text(encoding="utf-8")
    assert len(story.splitlines()) <= 200
    first = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert first
    assert story.startswith(f'"""{first.splitlines()[0]}')
    main = (folder / "__main__.py").read_text(encoding="utf-8")
    assert [ast.unparse(node) for node in ast.parse(main).body[1:]] == [
        "import sys",
        "from seqapps.commands.program import run",
        f"from seqapps.recipes.{application}.recipe import RECIPE",
        "sys.exit(run(RECIPE))",
    ]


def test_a_setting_of_the_network_is_a_bundle_s_for_good_unless_it_drops_or_punishes(application):
    recipe = import_module(f"seqapps.recipes.{application}.recipe").RECIPE
    settings = settings_of(recipe.config)
    fixed = {f"{part}.{name}" for part, names in recipe.fixed.items() for name in names.split()}
    assert {path for path in fixed if not path.endswith(".*")} <= settings.keys()
    free = {path for path in settings if path.startswith("model.")} - fixed
    assert [path for path in free if not re.search("drop|penalty|warps", path)] == []


def test_the_package_offers_its_names_and_loads_nothing_heavy_for_it(application):
    name = f"seqapps.recipes.{application}"
    code = (
        "import sys\n"
        f"import {name} as package\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'jsonargparse', 'sentencepiece'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
        "assert not hasattr(package, 'nothing')\n"
        "for name in package.__all__:\n"
        "    getattr(package, name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    package = import_module(name)
    assert {"RECIPE", "Config", "build_model"} <= set(package.__all__)
    assert package.RECIPE.name == application
    assert package.Config is package.RECIPE.config


def test_the_record_has_what_the_contract_builds_on(application):
    recipe = import_module(f"seqapps.recipes.{application}").RECIPE
    assert recipe.parts is not None
    assert recipe.rate is not None
    assert recipe.space
    config = recipe.config()
    assert {"data", "model", "training", "seed"} <= vars(config).keys()
    interface = recipe.interface(config)
    assert all(field.description for field in (*interface.inputs, interface.outputs[0]))


def test_what_stands_beside_the_package(application):
    recipe = import_module(f"seqapps.recipes.{application}").RECIPE
    evidence = ROOT / "recipes" / application
    files = sorted(evidence.glob("*.toml"))
    assert files
    results = (evidence / "RESULTS.md").read_text(encoding="utf-8")
    for file in files:
        assert read_toml(file, settings_of(recipe.config))
        assert file.name in results
    assert (ROOT / "tests" / "unit" / "recipes" / application / "test_recipe.py").is_file()
    for page in ("tutorials", "reference"):
        assert (ROOT / "docs" / page / f"{application}.md").is_file()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"`seqapps.recipes.{application}`" in readme
    assert f"docs/tutorials/{application}.md" in readme


def test_shared_rooms_hold_nothing_that_one_application_alone_needs():
    """Of `models/` and `plots.py`: what is imported serves two, or the machinery."""
    users: dict[str, set[str]] = {}
    for path in (ROOT / "seqapps").rglob("*.py"):
        parts = path.relative_to(ROOT / "seqapps").parts
        user = parts[1] if parts[0] == "recipes" and len(parts) > 2 else "all"
        if parts[0] == "models":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                for name in (node.module, *names):
                    users.setdefault(name, set()).add(user)
    shared = [path.stem for path in (ROOT / "seqapps" / "models").glob("[!_]*.py")]
    rooms = [f"seqapps.models.{name}" for name in shared] + ["seqapps.plots"]
    alone = {
        name: who
        for name, who in users.items()
        if name in rooms and len(who) < 2 and who != {"all"}
    }
    assert alone == {}


def test_no_file_is_listed_twice():
    assert len(listed()) == len(set(listed()))
