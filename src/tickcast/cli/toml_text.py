"""Write the few shapes of TOML that the demo's files need."""

import json
from collections.abc import Mapping
from typing import Any


def value(of: Any) -> str:
    """A string, number, boolean or list of them; JSON's are a subset of TOML's."""
    return json.dumps(of, ensure_ascii=False)


def key(name: str) -> str:
    """A key, quoted if it must be."""
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isalnum() and bare.isascii() else value(name)


def table(path: str, entries: Mapping[str, Any]) -> str:
    """A table with a heading of the dotted ``path``, empty for the top level, and an empty line behind it."""
    heading = [f"[{path}]"] if path else []
    return "\n".join([*heading, *(f"{key(name)} = {value(entry)}" for name, entry in entries.items()), "", ""])


def tables(content: Mapping[str, Any], path: str = "") -> str:
    """A whole file: the values of a level first, then its tables, each with its dotted path."""
    values = {name: entry for name, entry in content.items() if not isinstance(entry, Mapping)}
    parts = [table(path, values)] if values else []
    for name, entry in content.items():
        if isinstance(entry, Mapping):
            parts.append(tables(entry, f"{path}.{key(name)}" if path else key(name)))
    return "".join(parts)
