import string
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from seqapps.automatic import auto
from seqapps.config import Settings, read_toml, settings_of
from seqapps.tuning.toml import to_toml


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    names: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    inner: Inner = field(default_factory=Inner)
    text: str = "a"
    path: Path = Path("x")
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Config:
    section: Section = field(default_factory=Section)
    on: bool = False
    seed: int = 0


# What UTF-8 can hold.
texts = st.text(st.characters(codec="utf-8"))
numbers = st.floats(allow_nan=False)
words = st.text(string.printable)
configs = st.builds(
    Config,
    section=st.builds(
        Section,
        inner=st.builds(
            Inner,
            rate=numbers,
            names=st.lists(words).map(tuple),
            limit=st.none() | st.integers(),
        ),
        text=texts,
        path=st.text(string.ascii_letters + "/. ", min_size=1).map(Path),
        weights=st.dictionaries(texts, numbers),
    ),
    on=st.booleans(),
    seed=st.integers(),
)


def plain(config):
    """What a TOML reader should find, by the settings' paths."""
    return {path: leaf.default for path, leaf in settings_of_instance(config).items()}


def settings_of_instance(config):
    from seqapps.config import leaves

    return {leaf.path: leaf for leaf in leaves(type(config), instance=config)}


def found(table, path):
    for name in path.split("."):
        table = table[name]
    return table


@given(configs)
def test_any_reader_finds_the_values_and_nothing_else(config):
    text = to_toml(config, base=Config())
    table = tomllib.loads(text)
    default, wanted = plain(Config()), plain(config)
    changed = {path: value for path, value in wanted.items() if value != default[path]}
    for path, value in changed.items():
        if value is None:
            value = "null"
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Path):
            value = str(value)
        assert found(table, path) == value
    # One line each, and the headers of tables.
    assert text.count(" = ") >= len(changed)
    for path in default.keys() - changed.keys():
        try:
            found(table, path)
        except KeyError:
            continue
        raise AssertionError(f"{path} has its default and is written")


def test_read_toml_gives_the_settings_back(tmp_path):
    config = Config(
        section=Section(
            inner=Inner(rate=1e-05, names=("no", 'q"\\'), limit=None),
            text="ä\n\t",
            path=Path("a b"),
        ),
        on=True,
        seed=-4,
    )
    file = tmp_path / "x.toml"
    file.write_text(to_toml(config, base=Config()), "utf-8")
    given_ = read_toml(file, settings_of(Config))
    assert Settings(Config, given_).resolve() == config
    # What differs from another base is written, null too.
    base = replace(config, section=replace(config.section, inner=Inner(limit=3)))
    assert 'limit = "null"' in to_toml(config, base=base)


def test_top_settings_come_before_tables():
    config = Config(section=Section(text="b", inner=Inner(rate=1.0)), seed=2)
    assert to_toml(config, base=Config()) == (
        'seed = 2\n\n[section.inner]\nrate = 1.0\n\n[section]\ntext = "b"\n'
    )
    assert to_toml(config, base=config) == ""


def test_what_a_rule_would_decide_is_written_though_it_equals_the_fallback():
    @dataclass(frozen=True, kw_only=True)
    class Size:
        units: int = auto(256)
        depth: int = auto(2)
        width: int = 64

    text = to_toml(replace(Size(), units=256), base=Size())
    assert tomllib.loads(text) == {"units": 256}
