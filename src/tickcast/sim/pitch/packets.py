"""Sequenced units: packets, sequence numbers and requests of Multicast PITCH, without I/O.

Edition: version 2.41.66 (1 April 2026). A packet is the sequenced unit header - length of it all (u16), number of
messages (u8), unit (u8), sequence number of the first message (u32), little-endian - and the messages. Count 0 is a
heartbeat with the next sequence number. Sequence 0 marks messages without a number: all that goes over TCP.
"""

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from tickcast.sim.pitch.encode import Block
from tickcast.sim.udp.history import PacketHistory, cut_block, pitch_step

HEADER: Final = struct.Struct("<HBBI")
COUNT_MAX: Final = 255
PACKET_MAX: Final = 1024
"""Clients of the TCP servers send single small messages: a longer packet is an error."""

LOGIN: Final = 0x01
LOGIN_RESPONSE: Final = struct.Struct("<BBc")
GAP_REQUEST: Final = 0x03
GAP_RESPONSE: Final = struct.Struct("<BBBIHc")
SPIN_IMAGE_AVAILABLE: Final = struct.Struct("<BBI")
SPIN_REQUEST: Final = 0x81
SPIN_RESPONSE: Final = struct.Struct("<BBIIc")
SPIN_FINISHED: Final = struct.Struct("<BBI")
_LOGIN_BODY: Final = struct.Struct("<4s4s2s10s")
_GAP_BODY: Final = struct.Struct("<BIH")
_SPIN_BODY: Final = struct.Struct("<I")
_BODY_LENGTHS: Final = {LOGIN: _LOGIN_BODY.size, GAP_REQUEST: _GAP_BODY.size, SPIN_REQUEST: _SPIN_BODY.size}


class PitchError(ValueError):
    """The peer broke the protocol."""


class UnitSequence:
    """One unit: cuts blocks of messages into packets, numbers them and keeps the newest for requests."""

    def __init__(self, unit: int, *, packet_bytes_max: int, history_bytes_max: int) -> None:
        self.unit: Final = unit
        self._body_max: Final = packet_bytes_max - HEADER.size
        self._history_bytes_max: Final = history_bytes_max
        self.begin()

    def begin(self) -> None:
        """Begin at sequence number 1, with an empty history."""
        self.history = PacketHistory(header=HEADER.size, step=pitch_step, bytes_max=self._history_bytes_max)

    @property
    def next(self) -> int:
        """Sequence number of the next message."""
        return self.history.next

    def packets(self, block: Block) -> list[bytes]:
        """Return the packets of a block of messages."""
        made: list[bytes] = []
        begin = 0
        for end, count in cut_block(block.ends, self._body_max, count_max=COUNT_MAX):
            packet = _packet(block.messages[begin:end], count, self.unit, self.history.next)
            self.history.append(packet, count)
            made.append(packet)
            begin = end
        return made

    def heartbeat(self) -> bytes:
        """Return a packet without messages: the next number."""
        return HEADER.pack(HEADER.size, 0, self.unit, self.next)

    def again(self, first: int, count: int) -> list[bytes]:
        """Return packets with these messages.

        Raises:
            LookupError: they are not all there, or no longer.
        """
        if not count or first + count > self.next:
            raise LookupError(first)
        made: list[bytes] = []
        while count:
            part = self.history.read(first, count=min(count, COUNT_MAX), bytes_max=self._body_max)
            made.append(_packet(part.messages, part.count, self.unit, part.first))
            first, count = first + part.count, count - part.count
        return made


def _packet(messages: bytes, count: int, unit: int, sequence: int) -> bytes:
    return HEADER.pack(HEADER.size + len(messages), count, unit, sequence) + messages


def unsequenced(block: Block, bytes_max: int) -> list[bytes]:
    """Return the packets of messages that have no number."""
    made: list[bytes] = []
    begin = 0
    for end, count in cut_block(block.ends, bytes_max - HEADER.size, count_max=COUNT_MAX):
        made.append(_packet(block.messages[begin:end], count, block.unit, 0))
        begin = end
    return made


def single(message: bytes, unit: int = 0) -> bytes:
    """Return a packet of one message without a number."""
    return _packet(message, 1, unit, 0)


def idle(unit: int) -> bytes:
    """Return a heartbeat of a line or connection that has no sequence of its own."""
    return HEADER.pack(HEADER.size, 0, unit, 0)


@dataclass(frozen=True, slots=True)
class Login:
    """A login to either server."""

    session: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class GapRequest:
    """Messages asked for again."""

    unit: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class SpinRequest:
    """A spin asked for; the unit is that of the packet's header."""

    unit: int
    sequence: int


def login_response(status: str) -> bytes:
    """``A`` accepted, ``N`` not authorised, ``B`` session in use, ``S`` invalid session."""
    return single(LOGIN_RESPONSE.pack(LOGIN_RESPONSE.size, 0x02, status.encode()))


def gap_response(request: GapRequest, status: str) -> bytes:
    """``A`` accepted, ``O`` out of range, ``D`` ``M`` ``S`` too many a day, minute, second, ``C`` too many messages.

    ``I`` is an invalid unit, ``U`` one that is not available now.
    """
    message = GAP_RESPONSE.pack(
        GAP_RESPONSE.size, 0x04, request.unit, request.first, request.count, status.encode()
    )  # fmt: skip
    return single(message)


def spin_available(unit: int, sequence: int) -> bytes:
    """Say that there is an image as of a sequence number."""
    return single(SPIN_IMAGE_AVAILABLE.pack(SPIN_IMAGE_AVAILABLE.size, 0x80, sequence), unit)


def spin_response(unit: int, sequence: int, orders: int, status: str) -> bytes:
    """``A`` accepted, ``O`` out of range, ``S`` a spin is under way already."""
    return single(SPIN_RESPONSE.pack(SPIN_RESPONSE.size, 0x82, sequence, orders, status.encode()), unit)


def spin_finished(unit: int, sequence: int) -> bytes:
    """Say that the image is complete."""
    return single(SPIN_FINISHED.pack(SPIN_FINISHED.size, 0x83, sequence), unit)


class RequestReader:
    """Cuts a client's stream into what it asks."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Login | GapRequest | SpinRequest]:
        """Return every complete request; heartbeats are nothing.

        Raises:
            PitchError: a length, type or count that no client sends.
        """
        held = self._held + data
        found: deque[Login | GapRequest | SpinRequest] = deque()
        place = 0
        while len(held) - place >= HEADER.size:
            length, count, unit, _ = HEADER.unpack_from(held, place)
            if not HEADER.size <= length <= PACKET_MAX:
                raise PitchError(f"expected a packet of {HEADER.size} to {PACKET_MAX} bytes, found {length}; closing")
            if len(held) - place < length:
                break
            found.extend(_requests(held[place + HEADER.size : place + length], count, unit))
            place += length
        self._held = held[place:]
        return list(found)


def _requests(messages: bytes, count: int, unit: int) -> list[Login | GapRequest | SpinRequest]:
    found: list[Login | GapRequest | SpinRequest] = []
    place = 0
    for _ in range(count):
        length, kind = messages[place : place + 2] if len(messages) - place >= 2 else (0, 0)
        body = messages[place + 2 : place + length]
        if _BODY_LENGTHS.get(kind) != length - 2 or len(body) != length - 2:
            raise PitchError(f"expected a request, found type 0x{kind:02x} of {length} bytes; closing")
        if kind == LOGIN:
            session, username, _, password = (part.decode("latin-1").strip() for part in _LOGIN_BODY.unpack(body))
            found.append(Login(session, username, password))
        elif kind == GAP_REQUEST:
            found.append(GapRequest(*_GAP_BODY.unpack(body)))
        else:
            found.append(SpinRequest(unit, *_SPIN_BODY.unpack(body)))
        place += length
    if place != len(messages):
        raise PitchError(f"expected {count} messages, found {len(messages) - place} bytes behind them; closing")
    return found
