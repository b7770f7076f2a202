"""Where a client stands, as one text: the id of server-sent events, and the cursor of long polls. Pure.

The core writes it (``native/crates/core/src/hub/events.rs``): behind a prefix that is made here come, for each symbol
of ``price`` and of ``trades``, in the order in which they were asked for, the epoch and ``seq`` the client stands at.
Names are not in it. The client sends
the same request again, and the prefix holds a checksum of what was asked: a text that belongs to another request, or is
broken, or says nothing of a symbol, proves nothing, so that symbol begins with a snapshot.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tickcast.gateway.messages import Place

VERSION: Final = "1"
NOWHERE: Final = b"0."
"""A prefix that is never understood."""
KEPT: Final = ("price", "trades")
"""Channels of which it is known where a client stands."""
ENTRY: Final = 7
"""Characters that one symbol needs, and hardly ever more."""
_CHECK: Final = 6
"""Characters of the checksum."""
_COUNTER_MAX: Final = 1 << 53


def prefix(asked: bytes, missing: Sequence[bool]) -> bytes:
    """Write the beginning of a place: a checksum of what was ``asked``, and which of its symbols are not watched."""
    check = _encode(zlib.crc32(asked).to_bytes(4, "big"))
    bits = sum(1 << place for place, is_missing in enumerate(missing) if is_missing)
    marks = _encode(bits.to_bytes((bits.bit_length() + 7) // 8, "little"))
    return f"{VERSION}{check}{marks}.".encode()


def read(text: str, asked: bytes, symbols: Sequence[str], channels: Sequence[str]) -> Mapping[tuple[str, str], Place]:
    """Read a place; by channel and symbol where the client stands, as far as that can be proved.

    Args:
        text: as the client sent it.
        asked: what it asks for now.
        symbols: of that, in order, each once.
        channels: of that, in order.
    """
    head, dot, body = text.partition(".")
    check = _encode(zlib.crc32(asked).to_bytes(4, "big"))
    if not dot or not head.startswith(VERSION + check):
        return {}
    try:
        missing = int.from_bytes(_decode(head[len(VERSION) + _CHECK :]), "little")
        numbers = list(_varints(_decode(body)))
    except (ValueError, binascii.Error):
        return {}
    watched = [symbol for place, symbol in enumerate(symbols) if not missing >> place & 1]
    keys = [(channel, symbol) for channel in channels if channel in KEPT for symbol in watched]
    found = zip(keys, _stands(numbers), strict=False)
    return {key: place for key, place in found if place is not None}


def _stands(numbers: Sequence[int]) -> Iterator[Place | None]:
    """Read entry by entry; None = nowhere."""
    rest = iter(numbers)
    common = next(rest, 0)
    for number in rest:
        value = number - 1
        epoch = common
        if value > 0 and value & 1:
            difference = next(rest, None)
            if difference is None:
                return
            epoch += _signed(difference)
        is_known = value >= 0 and 0 <= epoch < _COUNTER_MAX and value >> 1 < _COUNTER_MAX
        yield Place(epoch=epoch, seq=value >> 1) if is_known else None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _varints(data: bytes) -> Iterator[int]:
    """Numbers of seven bits a byte, lowest first; one that is cut off is none."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
        elif shift > 63:
            raise ValueError("expected numbers of 64 bits")


def _signed(value: int) -> int:
    return value >> 1 ^ -(value & 1)
