"""Settings as TOML, which the standard library reads and does not write."""

import json
import math
from collections.abc import Mapping
from typing import Any

from seqapps.automatic import is_auto
from seqapps.config import leaves, to_json


def to_toml(config: Any, *, base: Any) -> str:
    """Writes those settings that differ from a base, as `read_toml` reads them.

    Args:
        config: A dataclass of settings.
        base: What the others are when the text is read: `type(config)()`.
    """
    before = {setting.path: setting.default for setting in leaves(type(base), instance=base)}
    tables: dict[str, list[str]] = {"": []}
    for setting in leaves(type(config), instance=config):
        base_value = before[setting.path]
        # A rule would have its say on one that is not written.
        if setting.default == base_value and (is_auto(setting.default) or not is_auto(base_value)):
            continue
        table, _, name = setting.path.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {_value(to_json(setting.default))}\n")
    # Settings outside of a table come first, or they would belong to the table above them.
    blocks = ["".join(tables.pop(""))]
    blocks += [f"[{table}]\n{''.join(lines)}" for table, lines in tables.items()]
    return "\n".join(block for block in blocks if block)


def _value(value: Any) -> str:
    if value is None:
        # TOML has no null.
        return '"null"'
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_value(key)} = {_value(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)
