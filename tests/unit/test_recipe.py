"""What the machinery of recipes does line by line."""

import io
import json
from types import SimpleNamespace

import pytest

from seqapps.bundle.folder import write_config, write_data_record
from seqapps.commands.evaluate import _compare
from seqapps.commands.predict import _portions
from seqapps.config import Given, Settings, to_json
from seqapps.data.fingerprint import DataRecord, fingerprint
from seqapps.recipe import began_in, resolved, stored_config
from seqapps.recipes.sentiment.data import LabelledData
from seqapps.recipes.sentiment.recipe import RECIPE
from seqapps.recipes.sentiment.settings import Config


class Pipe(io.BytesIO):
    """Gives a few bytes at a time."""

    def __init__(self, content, step):
        super().__init__(content)
        self.step = step

    def read1(self, size=-1):
        return self.read(min(size, self.step))


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"\n", [b""]),
        (b"\n\na", [b"", b"", b"a"]),
        (b"a\r\n\r\nlong line\r\nb\r", [b"a", b"", b"long line", b"b"]),
    ],
)
def test_lines_come_whole_and_numbered_however_they_arrive(content, lines, step):
    found = [numbered for portion in _portions(Pipe(content, step)) for numbered in portion]
    assert found == list(enumerate(lines, 1))


def test_lines_that_are_there_are_given_before_more_is_read():
    portions = _portions(Pipe(b"one\ntwo\nthr" + b"ee\n", 11))
    assert next(portions) == [(1, b"one"), (2, b"two")]
    assert next(portions) == [(3, b"three")]


def stored_in(folder, data, record=None):
    """A bundle as far as its settings go."""
    folder.mkdir(exist_ok=True)
    config = Config(data=data)
    write_config(
        folder, recipe="sentiment", interface=RECIPE.interface(config), settings=to_json(config)
    )
    if record:
        write_data_record(folder, record)
    return folder


def over(bundle, **given):
    typed = {f"data.{name}": Given(value, f"--data.{name}") for name, value in given.items()}
    return resolved(RECIPE, bundle, Settings(Config, typed)).data


def test_the_data_of_a_bundle_is_where_it_was_wherever_a_command_is_typed(tmp_path, monkeypatch):
    home = tmp_path / "home"
    data = LabelledData(train="a.csv", test="/data/b.csv")
    bundle = stored_in(tmp_path / "b", data, DataRecord(str(home), {}))
    monkeypatch.chdir(tmp_path)
    found = over(bundle)
    assert (found.train, found.test, found.folder) == (f"{home}/a.csv", "/data/b.csv", ".")
    # What is named now is where it is named.
    found = over(bundle, test="new.csv")
    assert (found.train, found.test, found.folder) == (f"{home}/a.csv", "new.csv", ".")
    # Data that was moved.
    found = over(bundle, folder="moved")
    assert (found.train, found.folder) == ("a.csv", "moved")
    home.mkdir()
    monkeypatch.chdir(home)
    assert over(bundle) == data
    monkeypatch.chdir(tmp_path)
    assert over(stored_in(tmp_path / "earlier", data)) == data


def test_a_training_remembers_the_folder_from_which_it_names_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert began_in(Config(data=LabelledData(train="a.csv"))) == str(tmp_path)
    assert began_in(Config(data=LabelledData(train="/a.csv"))) == ""
    assert began_in(Config()) == ""


def test_bundles_that_say_nothing_of_it_keep_the_rule_of_holding_out(tmp_path):
    bundle = stored_in(tmp_path / "b", LabelledData(train="a.csv"))
    assert stored_config(RECIPE, bundle).data.held_out_by == "hash"
    table = json.loads((bundle / "config.json").read_text())
    del table["settings"]["data"]["held_out_by"]
    (bundle / "config.json").write_text(json.dumps(table))
    assert stored_config(RECIPE, bundle).data.held_out_by == "count"


def test_evaluate_says_what_differs_from_the_training(tmp_path):
    then = {"train": [("a", "x"), ("b", "y")], "test": [("c", "x")]}
    record = DataRecord("", fingerprint(then))
    bundle = stored_in(tmp_path / "b", LabelledData(), record)
    log = []
    told = SimpleNamespace(log=log.append)
    for rows in (then, {"test": [("c", "x")], "train": []}):
        _compare(bundle, SimpleNamespace(rows=rows), told)
        assert log == []
    _compare(bundle, SimpleNamespace(rows={**then, "train": [*then["train"], ("d", "x")]}), told)
    assert log == ["This is not the data of the training: train had 2 rows and has 3"]
