"""What is said over TCP to Cboe's gap request proxy and spin server: packets, logins, heartbeats.

Both speak Multicast PITCH's own framing: a Sequenced Unit Header (length u16, count u8, unit u8, sequence u32, all
little-endian), then messages that begin with length and type. A header alone is a heartbeat: each side sends one when
it has sent nothing for a second. Specification: *Cboe Titanium US Equities/Options Multicast PITCH* 2.41, the sections
on the Gap Request Proxy and on Spin Servers.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tickcast.venues.base import Step

HEADER: Final = struct.Struct("<HBBI")
HEARTBEAT: Final = HEADER.pack(HEADER.size, 0, 0, 0)
HEARTBEAT_NS: Final = 1_000_000_000
TAIL_MAX: Final = 65_535
"""Bytes of an unfinished packet; a header cannot announce more."""

TIME: Final = 0x20
LOGIN_RESPONSE: Final = 0x02
GAP_RESPONSE: Final = 0x04
SPIN_AVAILABLE: Final = 0x80
SPIN_RESPONSE: Final = 0x82
SPIN_FINISHED: Final = 0x83
UNIT_CLEAR: Final = 0x97

LOGIN: Final = struct.Struct("<BB4s4s2s10s")
GAP_REQUEST: Final = struct.Struct("<BBBIH")
GAP_RESPONSE_LAYOUT: Final = struct.Struct("<BBBIHc")
ADDS: Final = frozenset({0x21, 0x22, 0x2F})
"""Types that add an order."""
SEQUENCE: Final = struct.Struct("<BBI")
SPIN_RESPONSE_LAYOUT: Final = struct.Struct("<BBIIc")
SMALLEST: Final = 2
"""Bytes that every message has: its length and type."""
LOGIN_RESPONSE_SIZE: Final = 3
COUNT_MAX: Final = 65_535
"""Most messages that one gap request can name."""

LOGIN_REJECTED: Final[Mapping[str, str]] = {
    "N": "not authorised: user or password is wrong",
    "B": "the session is in use",
    "S": "there is no such session",
}
GAP_REFUSED: Final[Mapping[str, str]] = {
    "O": "out of range",
    "D": "the day's requests are used up",
    "M": "the minute's requests are used up",
    "S": "the second's requests are used up",
    "C": "too many messages in one request",
    "I": "there is no such unit",
    "U": "the unit is not available now",
}
SPIN_REFUSED: Final[Mapping[str, str]] = {"O": "out of range", "S": "another image is being sent"}

LoginState = Literal["closed", "asking", "open"]


def packet(message: bytes, unit: int = 0) -> bytes:
    """Put one message behind an unsequenced header."""
    return HEADER.pack(HEADER.size + len(message), 1, unit, 0) + message


def login(*, session: str, username: str, password: str) -> bytes:
    """Build the first packet of a connection.

    Raises:
        ValueError: a value does not fit or is not ASCII.
    """
    fields = []
    for name, value, width in (("session", session, 4), ("username", username, 4), ("password", password, 10)):
        if len(value) > width or not value.isascii():
            raise ValueError(f"{name}: expected at most {width} ASCII characters, found {value!r}")
        fields.append(value.encode("ascii").ljust(width))
    return packet(LOGIN.pack(LOGIN.size, 0x01, fields[0], fields[1], b"  ", fields[2]))


def gap_request(unit: int, first: int, count: int) -> bytes:
    """Ask for messages of a unit."""
    return packet(GAP_REQUEST.pack(GAP_REQUEST.size, 0x03, unit, first, count), unit)


def spin_request(unit: int, sequence: int) -> bytes:
    """Ask for the image of a unit that is current through a sequence number."""
    return packet(SEQUENCE.pack(SEQUENCE.size, 0x81, sequence), unit)


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a TCP stream."""

    unit: int
    sequence: int
    messages: bytes


def walk(messages: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and bytes of each message.

    Raises:
        ValueError: a length does not fit.
    """
    place = 0
    while place < len(messages):
        length = messages[place]
        if length < 2 or place + length > len(messages):
            raise ValueError(f"PITCH message: expected a length that fits, found {length} at offset {place}")
        yield messages[place + 1], messages[place : place + length]
        place += length


class Channel:
    """One TCP connection to a server: framing, login, heartbeats. What comes is left to the caller."""

    def __init__(self, name: str, request: bytes) -> None:
        """``request`` is the login."""
        self.name = name
        self.state: LoginState = "closed"
        self._request = request
        self._tail = b""
        self._sent_ns = 0

    @property
    def wake_ns(self) -> int:
        """When a heartbeat is due; 0 = not at all."""
        return self._sent_ns + HEARTBEAT_NS if self._sent_ns else 0

    def opened(self, step: Step, now_ns: int) -> None:
        """Log in."""
        self._tail = b""
        self.state = "asking"
        self.send(step, self._request, now_ns)

    def closed(self) -> None:
        """Forget what was not finished."""
        self.state = "closed"
        self._tail = b""
        self._sent_ns = 0

    def send(self, step: Step, data: bytes, now_ns: int) -> None:
        """Send a packet."""
        step.send.append((self.name, data))
        self._sent_ns = now_ns

    def beat(self, step: Step, now_ns: int) -> None:
        """Send a heartbeat if nothing was sent for a second."""
        if self._sent_ns and now_ns >= self.wake_ns:
            self.send(step, HEARTBEAT, now_ns)

    def read(self, step: Step, chunk: bytes) -> list[Packet]:
        """Cut a read into packets that are whole to the byte; the login's answer is taken care of.

        A stream that cannot be read any more is dropped, after what came before the damage.
        """
        data = self._tail + chunk if self._tail else chunk
        found: list[Packet] = []
        place = 0
        while len(data) - place >= HEADER.size:
            length, count, unit, sequence = HEADER.unpack_from(data, place)
            if length < HEADER.size:
                self._give_up(step, f"expected a packet of at least {HEADER.size} bytes, found {length}", data[place:])
                return found
            if len(data) - place < length:
                break
            body = data[place + HEADER.size : place + length]
            try:
                messages = list(walk(body))
                if len(messages) != count:
                    raise ValueError(f"PITCH packet: expected {count} messages, found {len(messages)}")
            except ValueError as wrong:
                self._give_up(step, str(wrong), data[place : place + length])
                return found
            place += length
            if any(kind == LOGIN_RESPONSE for kind, _ in messages):
                if not self._answer(step, body):
                    return found
            elif body:
                found.append(Packet(unit, sequence, body))
        self._tail = data[place:]
        return found

    def _answer(self, step: Step, body: bytes) -> bool:
        """Take the answer to the login; False: the link is given up.

        Only what is a rejection to the letter is one: anything else is a damaged stream, and another may be whole.
        """
        status = body[2:].decode("latin-1")
        if self.state != "asking" or body[0] != LOGIN_RESPONSE_SIZE or status not in {"A", *LOGIN_REJECTED}:
            state = "an answer to the login" if self.state == "asking" else "no second answer to the login"
            self._give_up(step, f"expected {state}, found {body[:16].hex(' ')}", body)
            return False
        if status == "A":
            self.state = "open"
            return True
        self.state = "closed"
        reason = f"login rejected: {LOGIN_REJECTED[status]}"
        if status == "B":  # our own connection of before, which the server has not given up yet
            step.drop[self.name] = reason
        else:
            step.refused[self.name] = reason
        return False

    def give_up(self, step: Step, reason: str, raw: bytes) -> None:
        """Drop a stream that says what cannot be."""
        self._give_up(step, reason, raw)

    def _give_up(self, step: Step, reason: str, raw: bytes) -> None:
        self._tail = b""
        step.bury(f"{self.name}: {reason}", raw[:256])
        step.drop[self.name] = f"the stream cannot be read any more: {reason}"
