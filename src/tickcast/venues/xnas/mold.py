"""MoldUDP64 1.00, what a receiver writes and looks at itself; packets are read by the core's arbiter.

A request is the downstream header: session (10 bytes), first sequence number (u64), count (u16), big-endian. The answer
is one downstream packet with as many of the messages as it holds; the rest is asked for again.
"""

import struct
from typing import Final

HEADER: Final = struct.Struct(">10sQH")
ASK_MAX: Final = 1_000
"""Messages of one request until an answer shows how many a packet holds."""
END_OF_SESSION: Final = 0xFFFF


def request(session: str, first: int, count: int) -> bytes:
    """Return a request packet; ``session`` is the ten characters as the venue wrote them."""
    return HEADER.pack(session.encode("latin-1"), first, count)


def numbers(packet: bytes) -> tuple[int, int] | None:
    """Return first number and count of a packet that brings messages; None for any other."""
    if len(packet) < HEADER.size:
        return None
    _, first, count = HEADER.unpack_from(packet)
    return (first, count) if first and 0 < count < END_OF_SESSION else None
