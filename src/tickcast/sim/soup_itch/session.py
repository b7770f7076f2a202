"""SoupBinTCP 3.00, the server's side, without I/O: packets, login, and the bounded history of a session.

A packet is its length (u16, type included), a type letter and the payload. The server sends ``+`` debug,
``A`` accepted, ``J`` rejected, ``S`` sequenced data, ``H`` heartbeat, ``Z`` end of session; the client ``L`` login,
``U`` unsequenced data, ``R`` heartbeat, ``O`` logout. Sequence numbers are never sent: both sides count ``S`` packets.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Final

HEARTBEAT: Final = b"\x00\x01H"
END_OF_SESSION: Final = b"\x00\x01Z"
LOGIN_LENGTH: Final = 46
_CLIENT_LENGTHS: Final = {b"L": LOGIN_LENGTH, b"R": 0, b"O": 0}
PACKET_MAX: Final = 4096
"""Clients send small packets: a longer one is an error."""


class SoupError(ValueError):
    """The peer broke SoupBinTCP."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login request; ``session`` empty means the current one, ``sequence`` 0 the newest message."""

    username: str
    password: str
    session: str
    sequence: int


def parse_login(payload: bytes) -> Login:
    """Read the payload of an ``L`` packet.

    Raises:
        SoupError: wrong length, or a sequence number that is no number.
    """
    if len(payload) != LOGIN_LENGTH:
        raise SoupError(f"expected a login of {LOGIN_LENGTH} bytes, found {len(payload)}; closing")
    text = payload.decode("latin-1")
    number = text[26:46].strip()
    if number and not (number.isascii() and number.isdigit()):
        raise SoupError(f"expected a sequence number, found {number!r}; closing")
    return Login(text[:6].strip(), text[6:16].strip(), text[16:26].strip(), int(number or "0"))


def accepted(session: str, sequence: int) -> bytes:
    """``A``: the session and the number of the next sequenced packet."""
    return b"\x00\x1fA" + session.rjust(10).encode() + str(sequence).rjust(20).encode()


def rejected(code: str) -> bytes:
    """``J``: ``A`` not authorised, ``S`` session or sequence not available."""
    return b"\x00\x02J" + code.encode()


class PacketReader:
    """Cuts a client's stream into packets."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return (type, payload) of every complete packet.

        Raises:
            SoupError: an empty or overlong packet, or one of a type or length no client sends.
        """
        held = self._held + data
        found = []
        position = 0
        while len(held) - position >= 2:
            length = int.from_bytes(held[position : position + 2], "big")
            if not 1 <= length <= PACKET_MAX:
                raise SoupError(f"expected a packet of 1 to {PACKET_MAX} bytes, found {length}; closing")
            if len(held) - position < 2 + length:
                break
            kind, payload = held[position + 2 : position + 3], held[position + 3 : position + 2 + length]
            if kind not in {b"L", b"U", b"R", b"O", b"+"} or _CLIENT_LENGTHS.get(kind, len(payload)) != len(payload):
                raise SoupError(f"expected a client's packet, found type {kind!r} of {len(payload)} bytes; closing")
            found.append((kind, payload))
            position += 2 + length
        self._held = held[position:]
        return found


def split_packets(block: bytes) -> list[bytes]:
    """Cut a block of whole packets into them."""
    found = []
    position = 0
    while position < len(block):
        end = position + 2 + int.from_bytes(block[position : position + 2], "big")
        found.append(block[position:end])
        position = end
    return found


class History:
    """The newest packets of one stream, in blocks, bounded in bytes; positions count packets from 1."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._blocks: deque[bytes] = deque()
        self._firsts: deque[int] = deque()
        self.bytes = 0
        self.next = 1
        self.dropped = 0

    @property
    def oldest(self) -> int:
        """Position of the oldest packet kept; ``next`` when nothing is kept."""
        return self._firsts[0] if self._firsts else self.next

    def append(self, block: bytes, count: int) -> None:
        """Add whole packets; the oldest blocks go when there are too many bytes (the newest always stays)."""
        if not count:
            return
        self._blocks.append(block)
        self._firsts.append(self.next)
        self.next += count
        self.bytes += len(block)
        while self.bytes > self._bytes_max and len(self._blocks) > 1:
            self.bytes -= len(self._blocks.popleft())
            self._firsts.popleft()
            self.dropped += 1

    def read(self, position: int) -> tuple[bytes, int]:
        """Packets from a position to the end of its block, and the position after them.

        Raises:
            LookupError: the position is no longer kept.
        """
        if position >= self.next:
            return b"", position
        if position < self.oldest:
            raise LookupError(position)
        number = bisect_right(self._firsts, position) - 1
        block, first = self._blocks[number], self._firsts[number]
        after = self._firsts[number + 1] if number + 1 < len(self._firsts) else self.next
        offset = 0
        for _ in range(position - first):
            offset += 2 + int.from_bytes(block[offset : offset + 2], "big")
        return block[offset:] if offset else block, after


@dataclass(slots=True)
class Session:
    """A numbering of the stream: first ``head`` packets of its own, then the stream from position ``base`` on."""

    name: str
    head: History
    base: int

    @property
    def head_count(self) -> int:
        """Packets before the stream joins in."""
        return self.head.next - 1

    def sequence(self, position: int) -> int:
        """Sequence number, in this session, of a position of the stream."""
        return self.head_count + position - self.base + 1
