"""JSON frames made wrong in one certain way each, for tests and fuzzing. Numbers keep their digits."""

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

HUGE: Final = (
    "123456789012345678901234",
    "-99999999999999999999999999",
    "1e-7",
    "1E+400",
    "0.00000000000000000000000000000000000001",
    "99999999999999999999.99999999999999999999999999999999999999",
    "18446744073709551616",
    "9223372036854775808",
    "-0",
    "0",
)
"""Numbers that fit no machine word, or are no amount: 24 digits, exponents, 38 decimals, the edges of 64 bits."""
OTHER: Final[tuple[Any, ...]] = (None, True, False, "", "x", [], {}, [[]], [None], {"a": 1}, ["1", "2", "3", "4"])
"""Values of other types than those expected."""
Spoil = Callable[[bytes, random.Random], bytes]


class Number(str):
    """A number as it is written."""

    __slots__ = ()


def parse(frame: bytes) -> Any:
    """Read JSON; numbers stay text.

    Raises:
        ValueError: it is none.
    """
    return json.loads(frame, parse_float=Number, parse_int=Number, parse_constant=Number)


def write(value: Any) -> str:
    """Write it again."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{write(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


Place = tuple[Any, Any]
"""A container, and the key or index in it."""


def places(value: Any) -> Iterator[Place]:
    """Yield every place below a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(entries):
        yield value, key
        yield from places(each)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, Number):
        return True
    return isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit()


def _change(frame: bytes, chance: random.Random, wanted: Callable[[Any], bool], new: Callable[[Any], Any]) -> bytes:
    """Replace one to three values."""
    tree = parse(frame)
    found = [place for place in places(tree) if wanted(place[0][place[1]])]
    for holder, key in chance.sample(found, min(len(found), chance.choice((1, 1, 2, 3)))):
        holder[key] = new(holder[key])
    return write(tree).encode()


def wrong_types(frame: bytes, chance: random.Random) -> bytes:
    """Put values of other types in place of some."""
    return _change(frame, chance, lambda _: True, lambda _: chance.choice(OTHER))


def huge_numbers(frame: bytes, chance: random.Random) -> bytes:
    """Put numbers that fit nowhere in place of some, in quotes where there were quotes."""

    def other(old: Any) -> Any:
        return Number(chance.choice(HUGE)) if isinstance(old, Number) else chance.choice(HUGE)

    return _change(frame, chance, _is_numeric, other)


def not_numbers(frame: bytes, chance: random.Random) -> bytes:
    """Put NaN and infinities in place of numbers: the bare word (no JSON) or the text."""
    words = ("NaN", "Infinity", "-Infinity", "nan", "inf")

    def other(old: Any) -> Any:
        word = chance.choice(words)
        return Number(word) if isinstance(old, Number) else word

    return _change(frame, chance, _is_numeric, other)


def empty_lists(frame: bytes, chance: random.Random) -> bytes:
    """Empty every list."""
    del chance
    tree = parse(frame)
    for holder, key in list(places(tree)):
        if isinstance(holder[key], list):
            holder[key] = []
    return write(tree).encode()


def unknown_fields(frame: bytes, chance: random.Random) -> bytes:
    """Add a key to every object."""
    del chance
    tree = parse(frame)
    for each in [tree, *(holder[key] for holder, key in list(places(tree)))]:
        if isinstance(each, dict):
            each["zzz_unknown"] = {"of": ["a", {"kind": Number("1")}]}
    return write(tree).encode()


def not_json(frame: bytes, chance: random.Random) -> bytes:
    """Put bytes somewhere that are wrong wherever they are."""
    at = chance.randrange(len(frame))
    return frame[:at] + chance.choice((b"\x00", b"\x1f", b"\xff\xfe", b"\xc3")) + frame[at:]


def cut(frame: bytes, chance: random.Random) -> bytes:
    """End in the middle."""
    return frame[: chance.randrange(1, len(frame))]


def html(frame: bytes, chance: random.Random) -> bytes:
    """Say what a proxy says."""
    del frame, chance
    return b"<!DOCTYPE html><html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"


def compressed(frame: bytes, chance: random.Random) -> bytes:
    """Compress it, which nobody asked for, and damage that."""
    packed = bytearray(gzip.compress(frame))
    packed[chance.randrange(10, len(packed))] ^= 0x55
    return bytes(packed)


SPOILS: Final[Mapping[str, Spoil]] = {
    "no JSON": not_json,
    "cut": cut,
    "HTML": html,
    "compressed": compressed,
    "wrong types": wrong_types,
    "huge numbers": huge_numbers,
    "NaN": not_numbers,
    "empty lists": empty_lists,
    "unknown fields": unknown_fields,
}
"""All of them, by name."""
SAYS_NOTHING_WRONG: Final = frozenset({"unknown fields"})
"""Those after which everything that was said before is still right."""

NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def numbers(frame: bytes) -> Iterator[str]:
    """Yield every number of a frame, in quotes or not, alone or in a text of several, as it is written."""
    try:
        tree = parse(frame)
    except ValueError:
        return
    for holder, key in places(tree):
        if isinstance(holder[key], str):
            yield holder[key]
            yield from NUMBER.findall(holder[key])
        if isinstance(key, str) and key[:1].isdigit():
            yield key
