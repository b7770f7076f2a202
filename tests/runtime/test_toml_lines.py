import random
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.runtime.toml_lines import key_lines

DOCUMENT = '''\
# [not.a.table]
top = 1
quoted."a.b".'c d' = "x # y = [z]"
[feeds . xnas]   # a comment
venue = "XNAS"
text = """
inner = 1
[inner]
\\""" still ""\\
"""""
raw = \'\'\'
raw_inner = 2\'\'\'
list = [
  1, # one
  [2, "]"],
  { deep = true, other.one = 1 },
]
when = 1979-05-27 07:32:00
[[legs]]
name = "a"
[legs.more]
depth = 1
[[legs]]
name = "b"
'''


def paths(value: Any, where: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {p for key, item in items for p in ({(*where, key)} | paths(item, (*where, key)))}


def test_finds_every_key_and_is_not_fooled() -> None:
    lines = key_lines(DOCUMENT)
    assert set(lines) == paths(tomllib.loads(DOCUMENT))
    texts = DOCUMENT.splitlines()
    found: dict[tuple[str | int, ...], str] = {
        ("top",): "top", ("quoted", "a.b", "c d"): "quoted", ("feeds", "xnas"): "[feeds",
        ("feeds", "xnas", "raw"): "raw",
        ("feeds", "xnas", "list", 1): "  [2", ("feeds", "xnas", "list", 2, "other", "one"): "  { deep",
        ("feeds", "xnas", "when"): "when", ("legs", 0, "more", "depth"): "depth", ("legs", 1, "name"): 'name = "b"',
    }  # fmt: skip
    for path, start in found.items():
        assert texts[lines[path] - 1].startswith(start), path


NAMES = st.one_of(
    st.from_regex(r"[a-z0-9_-]{1,4}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4),
)
SCALARS = st.one_of(st.integers(-99, 99), st.booleans(), st.text(st.sampled_from("ab\"'\\#[]{}=.,\n "), max_size=8))
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3))
)


def write_key(name: str) -> str:
    escaped = "".join(f"\\u{ord(c):04x}" if c in '"\\' else c for c in name)
    return name if name and name.isascii() and name.replace("-", "_").isidentifier() else f'"{escaped}"'


def write_value(value: Any, chance: random.Random) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, str):
        if "'" not in value and "\n" not in value and chance.random() < 0.5:
            return f"'{value}'"
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"""{escaped}"""' if chance.random() < 0.5 else '"' + escaped.replace("\n", "\\n") + '"'
    if isinstance(value, list):
        gap = chance.choice([" ", "\n", " # x = [\n"])
        return "[" + "".join(f"{gap}{write_value(item, chance)}{gap}," for item in value) + gap + "]"
    return "{" + ", ".join(f"{write_key(key)} = {write_value(item, chance)}" for key, item in value.items()) + "}"


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4), st.integers(0, 2**32))
def test_every_key_of_any_document_is_found_where_it_stands(tables: dict[str, dict[str, Any]], seed: int) -> None:
    chance = random.Random(seed)
    text = ""
    expected: dict[tuple[str | int, ...], int] = {}
    for table, pairs in tables.items():
        text += "\n" * chance.randrange(3)
        expected[(table,)] = text.count("\n") + 1
        text += f"[ {write_key(table)} ] # c = 1\n"
        for key, value in pairs.items():
            text += "# no = 1\n" * chance.randrange(2)
            expected[(table, key)] = text.count("\n") + 1
            text += f"  {write_key(key)} = {write_value(value, chance)}\n"
    document = tomllib.loads(text)
    lines = key_lines(text)
    assert set(lines) == paths(document)
    assert {path: lines[path] for path in expected} == expected


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n", "a = 1", "a.b.c = 1\r\nd = 2\r\n"])
def test_small_documents(text: str) -> None:
    assert set(key_lines(text)) == paths(tomllib.loads(text))
