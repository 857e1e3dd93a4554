"""Every predictor needs what its own source imports, and nothing else."""

import importlib.util
import io
import pkgutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from clean_environment import linked_environment
from PIL import Image

import seqapps
from seqapps import recipes
from seqapps.errors import UserError
from seqapps.fields import WHOLE
from seqapps.portable.assemble import assemble, required
from seqapps.portable.onnx_application import predictor_class
from seqapps.portable.runtime.picture import decode_pictures

NAMED = [
    f"seqapps.recipes.{found.name}.predictor" for found in pkgutil.iter_modules(recipes.__path__)
]
PREDICTORS = [WHOLE, *filter(importlib.util.find_spec, NAMED)]

IMPORT = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
import predictor
sys.path.insert(0, sys.argv[2])
importlib.import_module(sys.argv[3])
assert not {"tensorflow", "keras"} & sys.modules.keys()
"""


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictor_is_imported_where_only_its_requirements_are(name, tmp_path):
    """Both as the one file of an export, and as the module that it is made from."""
    source = assemble(
        name,
        main="seqapps.portable.runtime.command",
        summary="It answers.",
        name=predictor_class(name).__name__,
        asked="",
        version="1",
    )
    (tmp_path / "predictor.py").write_text(source)
    python = linked_environment(tmp_path / "env", required(source))
    here = Path(seqapps.__file__).parents[1]
    done = subprocess.run(
        [python, "-IBc", IMPORT, tmp_path, here, name], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_predictor_requires_follows_from_its_imports():
    source = "import json\nimport numpy as np\nfrom PIL import Image\nfrom PIL.Image import open\n"
    assert required(source) == ["numpy", "pillow"]


def test_requirements_have_the_names_by_which_they_are_compared(monkeypatch):
    names = {"one": ["Some_Thing.more"], "two": ["some-thing--more"], "three": ["Other"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: names)
    assert required("import one\nimport two\nimport three\n") == ["other", "some-thing-more"]


@pytest.mark.parametrize(("height", "width"), [(40_000, 40_000), (5, 3)])
def test_a_picture_whose_second_header_says_another_size_is_damaged(height, width):
    file = io.BytesIO()
    Image.new("RGB", (4, 3)).save(file, "PNG")
    whole = file.getvalue()
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    again = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    # The first one ends after the mark of the file and 25 bytes.
    _, sizes, status = decode_pictures([whole[:33] + again + whole[33:], whole])
    assert (sizes.tolist(), status.tolist()) == ([[0, 0], [3, 4]], [1, 0])


def test_modules_that_use_one_name_for_two_things_make_no_file(tmp_path, monkeypatch):
    (tmp_path / "one.py").write_text("def same():\n    return 1\n")
    (tmp_path / "two.py").write_text("import one\n\n\ndef same():\n    return 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    given = {"summary": "", "name": "P", "asked": "", "version": "1"}
    with pytest.raises(ValueError, match="two and one both define same, and stand in one file"):
        assemble("one", main="two", **given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os", "made by a recipe that is not here"),
        ("os.path", "a predictor is a module .* got 'os.path'"),
        ("seqapps.recipes.translate.recipe", "a predictor is a module"),
        ("seqapps.recipes.translate.__main__", "a predictor is a module"),
        ("seqapps.recipes..predictor", "a predictor is a module"),
        ("evil.seqapps.recipes.translate.predictor", "a predictor is a module"),
        (["translate"], "a predictor is a module"),
        (None, "a predictor is a module .* got None"),
        (True, "a predictor is a module"),
        (3, "a predictor is a module"),
        ("horoscope", "'horoscope' was made by a recipe that is not here; update seqapps"),
        ("seqapps.recipes.horoscope.predictor", "made by a recipe that is not here"),
    ],
)
def test_a_predictor_that_is_none_of_ours_is_never_imported(name, message):
    with pytest.raises(UserError, match=message):
        predictor_class(name)


def test_exports_of_earlier_versions_name_their_predictor_bare():
    assert predictor_class("translate") is predictor_class("seqapps.recipes.translate.predictor")
