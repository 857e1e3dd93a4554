import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_program import Config, Data, Schedule, Training

from seqapps.config import (
    Setting,
    Settings,
    describe,
    from_dict,
    leaves,
    nearest,
    read_toml,
    settings_of,
    to_json,
)
from seqapps.errors import UsageError, UserError


def setting(hint):
    return Setting(path="x", type=hint, default=None, help="")


@pytest.mark.parametrize(
    ("hint", "raw", "value"),
    [
        # YAML would make False, None and 5 of the first ones.
        (str, "no", "no"),
        (str, "on", "on"),
        (str, "null", "null"),
        (str, "5", "5"),
        (str, "1e-3", "1e-3"),
        (str, "a=b", "a=b"),
        (str, "", ""),
        (str, '"quoted"', '"quoted"'),
        (str | None, "no", "no"),
        (str | None, "5", "5"),
        (str | None, "null", None),
        (int, "-3", -3),
        (int, 5, 5),
        (float, "1e-3", 0.001),
        (float, "5", 5.0),
        (float, 5, 5.0),
        (float | None, "null", None),
        (float | None, "-1e-3", -0.001),
        (bool, "true", True),
        (bool, "false", False),
        (bool, True, True),
        (Path, "no", Path("no")),
        (Path | None, "null", None),
        (Literal["de", "no"], "no", "no"),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[str, ...], '["no", "de"]', ("no", "de")),
        (tuple[float, float], [1, 2], (1.0, 2.0)),
        (dict[str, int], {"no": 1}, {"no": 1}),
    ],
)
def test_values_keep_their_meaning(hint, raw, value):
    converted = setting(hint).convert(raw, where="--x")
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("hint", "raw", "message"),
    [
        (int, "abc", "--x must be an integer, got 'abc'."),
        (int, "5.0", "--x must be an integer, got '5.0'."),
        (int, True, "--x must be an integer, got true."),
        (int, {"a": 1}, '--x must be an integer, got {"a": 1}.'),
        (float, "no", "--x must be a number, got 'no'."),
        (str, 5, "--x must be text, got 5."),
        (bool, 1, "--x must be true or false, got 1."),
        (bool, "maybe", "--x must be true or false, got 'maybe'."),
        (int | None, "no", "--x must be an integer or null, got 'no'."),
        (Literal["gru", "lstm"], "rnn", "--x must be one of gru, lstm, got 'rnn'."),
        (tuple[int, ...], "1,2", "--x must be a list [N, ...] (each an integer), got '1,2'."),
        (tuple[int, ...], [1, "a"], '--x must be a list [N, ...] (each an integer), got [1, "a"].'),
    ],
)
def test_wrong_types_are_named(hint, raw, message):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        setting(hint).convert(raw, where="--x")


def test_leaves_have_paths_docstrings_and_the_defaults_of_the_outermost_class():
    found = settings_of(Config)
    assert list(found) == [
        "data.source",
        "data.share",
        "data.widths",
        "data.folder",
        "training.epochs",
        "training.average",
        "training.cell",
        "training.schedule.peak",
        "seed",
    ]
    assert found["data.source"].help == "Language code of the input."
    assert found["training.schedule.peak"].default == 0.004
    assert found["training.average"].metavar == "true|false"


def test_inherited_fields_keep_their_docstrings():
    @dataclass(frozen=True, kw_only=True)
    class Longer(Schedule):
        steps: int = 1
        """Steps of warm-up."""

    assert [leaf.help for leaf in leaves(Longer)] == ["Highest learning rate.", "Steps of warm-up."]


def test_class_paths_have_no_way_in():
    class Encoder:
        pass

    @dataclass(frozen=True, kw_only=True)
    class Model:
        encoder: Encoder | None = None

    with pytest.raises(TypeError, match="setting encoder must have a simple type"):
        settings_of(Model)
    with pytest.raises(UserError, match=r"training\.class_path is not a setting"):
        from_dict(Config, {"training": {"class_path": "os.system"}}, source="config.json")


def test_toml_over_defaults(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        "seed = 3\n[data]\nsource = 'no'\nwidths = [4]\n[training]\nschedule.peak = 1e-3\n"
    )
    given = read_toml(file, settings_of(Config))
    assert Settings(Config, given).resolve() == Config(
        seed=3,
        data=Data(source="no", widths=(4,)),
        training=Training(schedule=Schedule(peak=0.001)),
    )


def test_given_values_go_over_a_base_and_leave_the_rest_alone(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("[training]\nepochs = 2\n")
    base = Config(seed=9, training=Training(epochs=5, cell="lstm"))
    given = read_toml(file, settings_of(Config))
    assert Settings(Config, given).resolve(base) == Config(
        seed=9, training=Training(epochs=2, cell="lstm")
    )


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("seed = 1\n[trainig]\nepochs = 3", "{file}:2, trainig is not a setting; did you mean tra"),
        ("[training]\n\nepoch = 3", "{file}:3, training.epoch is not a setting; did you mean "),
        ("training.epoch = 3", "{file}:1, training.epoch is not a setting; did you mean train"),
        ("training = {epoch = 3}", "{file}:1, training.epoch is not a setting; did you mean t"),
        ("[training.shedule]\npeak = 1", "{file}:1, training.shedule is not a setting; did you"),
        ("epochs = 3", "{file}:1, epochs is not a setting; did you mean training.epochs?"),
        ("zzzz = 3", "{file}:1, zzzz is not a setting; there are data.source, "),
        ("training = 3", "{file}:1, training is a section of settings, got 3; write [training]"),
        ("[training]\nepochs = 'abc'", "{file}:2, training.epochs must be an integer, got 'abc'"),
        ("[training]\nepochs = 0", "{file}:2, training.epochs: epochs must be at least 1, got 0"),
        ("[data]\nsource = 5", "{file}:2, data.source must be text, got 5."),
        ("[data]\nsource = no", "{file} is not valid TOML: Invalid value (at line 2, column 10)"),
        ("[data]\nsource: en", "{file} is not valid TOML: "),
        ("seed = 1\nseed = 2", "{file} is not valid TOML: Cannot overwrite a value (at "),
        ("[data]\nshare = 2024-01-01", "{file}:2, data.share must be a number or null, got "),
    ],
)
def test_mistakes_in_a_file_are_named_by_file_line_and_setting(tmp_path, toml, message):
    file = tmp_path / "run.toml"
    file.write_text(toml)
    with pytest.raises(UsageError) as caught:
        Settings(Config, read_toml(file, settings_of(Config))).resolve()
    assert str(caught.value).startswith(message.format(file=file))


def test_files_that_cannot_be_read(tmp_path):
    known = settings_of(Config)
    (tmp_path / "multi30k.toml").write_text("")
    with pytest.raises(UsageError, match=r"no configuration file .*; did you mean .*multi30k.toml"):
        read_toml(tmp_path / "mutli30k.toml", known)
    with pytest.raises(UsageError, match="cannot read the configuration file .*: Is a directory"):
        read_toml(tmp_path, known)
    (tmp_path / "latin.toml").write_bytes("# Gr\u00fc\u00dfe".encode("latin-1"))
    with pytest.raises(UsageError, match="latin.toml must be UTF-8"):
        read_toml(tmp_path / "latin.toml", known)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    (tmp_path / "run.toml").write_text("seed = 4", encoding="utf-8-sig")
    assert read_toml(tmp_path / "run.toml", settings_of(Config))["seed"].value == 4


def test_refusals_blame_what_was_given(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("seed = 1\ndata.source = 'xx'")
    given = read_toml(file, settings_of(Config))
    with pytest.raises(UsageError, match=rf"^{file}:1, seed: language xx cannot have seed 1\.$"):
        Settings(Config, given).resolve()


@given(
    st.builds(
        Config,
        data=st.builds(
            Data,
            source=st.text(),
            share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            widths=st.lists(st.integers()).map(tuple),
            folder=st.sampled_from([Path("no"), Path("/a b/c")]),
        ),
        training=st.builds(
            Training,
            epochs=st.integers(min_value=1),
            average=st.booleans(),
            cell=st.sampled_from(["gru", "lstm"]),
        ),
        seed=st.integers(min_value=2),
    )
)
def test_json_round_trip(config):
    stored = json.loads(json.dumps(to_json(config)))
    assert from_dict(Config, stored, source="config.json") == config


def test_stored_settings_that_do_not_fit_are_not_a_wrong_command():
    with pytest.raises(UserError, match=r"config.json, sead is not a setting; did you mean seed"):
        from_dict(Config, {"sead": 1}, source="config.json")
    with pytest.raises(UserError, match=r"config.json, seed must be an integer") as caught:
        from_dict(Config, {"seed": "x"}, source="config.json")
    assert not isinstance(caught.value, UsageError)


def test_settings_that_an_older_version_did_not_store_get_their_defaults():
    assert from_dict(Config, {"training": {"epochs": 3}}, source="config.json") == Config(
        training=Training(epochs=3)
    )


def test_describe():
    text = describe(Config(data=Data(source="no", share=0.5), seed=7))
    assert text.splitlines()[:3] == ["data.source = no", "data.share = 0.5", "data.widths = [1, 2]"]
    assert text.splitlines()[-1] == "seed = 7"


def test_nearest():
    names = ["--training.epochs", "--training.average", "--n-best"]
    assert nearest("--trainig.epochs", names) == "--training.epochs"
    assert nearest("--average", names) == "--training.average"
    assert nearest("--n_best", names) == "--n-best"
    assert nearest("--zzz", names) is None
