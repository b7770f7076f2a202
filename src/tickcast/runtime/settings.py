"""Read settings from a TOML file into frozen structs; what is wrong is said with file, line, key and what may stand."""

import difflib
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from tickcast.model.errors import UsageError
from tickcast.runtime.toml_lines import Path as KeyPath
from tickcast.runtime.toml_lines import key_lines

Settings = TypeVar("Settings", bound=msgspec.Struct)
Problem = tuple[KeyPath, str]
"""Where, and what is wrong there."""

PROBLEMS_SHOWN: Final = 10
FOUND_MAX: Final = 60
_SYNTAX_PLACE: Final = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$"
)
_AT: Final = re.compile(r" - at `\$[^`]*`$")
_FIELD: Final = re.compile(r"^(?P<field>[a-z][a-z0-9_]*): ")


def read_settings(
    path: Path | str, settings: type[Settings], *, check: Callable[[Settings], Iterable[Problem]] | None = None
) -> Settings:
    """Read and check a TOML file.

    Args:
        path: the file.
        settings: a frozen struct that nests others.
        check: finds what is wrong between fields that are each right.

    Raises:
        UsageError: one line for each thing wrong, ``FILE:LINE: key.path: what was expected and found``.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as wrong:
        raise UsageError(f"the config file {path} cannot be read: {wrong.strerror or wrong}") from wrong
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path}: expected UTF-8 text, found the byte {wrong.object[wrong.start]:#04x}") from wrong
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise UsageError(_syntax_error(path, text, str(wrong))) from wrong
    problems = list(_problems(document, settings, ()))
    if not problems:
        value = msgspec.convert(document, settings)
        problems = list(check(value)) if check else []
        if not problems:
            return value
    raise UsageError(_describe(path, key_lines(text), problems))


def _describe(path: Path | str, lines: Mapping[KeyPath, int], problems: list[Problem]) -> str:
    placed = sorted((_line(lines, where), key_name(where), what) for where, what in problems)
    shown = [f"{path}:{line}: {key + ': ' if key else ''}{what}" for line, key, what in placed[:PROBLEMS_SHOWN]]
    if len(placed) > PROBLEMS_SHOWN:
        shown.append(f"and {len(placed) - PROBLEMS_SHOWN} more")
    return "\n".join(shown)


def _line(lines: Mapping[KeyPath, int], where: KeyPath) -> int:
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


def _syntax_error(path: Path | str, text: str, message: str) -> str:
    place = _SYNTAX_PLACE.match(message)
    if place is None:
        return f"{path}: not valid TOML: {message}"
    line = place["line"] or str(len(text.splitlines()) or 1)
    column = f" (column {place['column']})" if place["column"] else " (end of the file)"
    return f"{path}:{line}: not valid TOML: {place['what']}{column}"


def key_name(where: KeyPath) -> str:
    """``feeds.xnas.symbols[0]`` of a path."""
    name = ""
    for part in where:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            bare = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            name += f".{bare}" if name else bare
    return name


def _problems(value: Any, kind: Any, where: KeyPath) -> Iterator[Problem]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _struct_problems(value, kind, where)
    elif origin in {dict, Mapping} and isinstance(value, dict):
        for key, item in value.items():
            yield from _problems(item, arguments[1], (*where, key))
    elif origin is tuple and arguments[-1] is Ellipsis and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, arguments[0], (*where, index))
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            yield where, f"expected {describe_type(kind)}, found {_found(value)}"


def _struct_problems(value: Any, kind: type[msgspec.Struct], where: KeyPath) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield where, f"expected a table, found {_found(value)}"
        return
    hints = typing.get_type_hints(kind)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    wrong: list[Problem] = []
    for key, item in value.items():
        if key in fields:
            wrong.extend(_problems(item, hints[fields[key].name], (*where, key)))
        else:
            close = difflib.get_close_matches(key, fields, n=1)
            meant = f", did you mean {close[0]}?" if close else ";"
            wrong.append(((*where, key), f"unknown key{meant} allowed here: {', '.join(fields)}"))
    wrong.extend(
        (where, f"the key {key} is missing: expected {describe_type(hints[field.name])}")
        for key, field in fields.items()
        if field.required and key not in value
    )
    if not wrong:
        wrong.extend(_own_problems(value, kind, where))
    yield from wrong


def _own_problems(value: Any, kind: type[msgspec.Struct], where: KeyPath) -> Iterator[Problem]:
    """What the struct itself refuses; a message that begins with ``field:`` is placed at that key."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as refused:
        what = _AT.sub("", str(refused))
        field = _FIELD.match(what)
        if field is not None and field["field"] in value:
            yield (*where, field["field"]), what[field.end() :]
        else:
            yield where, what


def describe_type(kind: Any) -> str:  # noqa: PLR0911  a table of types
    """What a person calls the type in a config file."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    simple = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}
    if kind in simple:
        return simple[kind]
    if origin is Literal:
        return f"one of {', '.join(_found(value) for value in arguments)}"
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(describe_type(argument) for argument in arguments if argument is not type(None))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a list, each entry {describe_type(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)} entries, each {describe_type(arguments[0])}"
    if origin in {dict, Mapping}:
        return f"a table, each entry {describe_type(arguments[1])}"
    return "a table" if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else str(kind)


def _found(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | list):
        try:
            text = msgspec.json.encode(value).decode()
        except (TypeError, OverflowError):
            text = str(value)
    else:
        text = str(value)
    return text if len(text) <= FOUND_MAX else f"{text[:FOUND_MAX]}..."
