"""FIX 4.4 tag=value messages, the exchange's side: cutting a client's stream, reading fields, framing what is sent.

Source: FIX 4.4 with errata 20030618, volume 1, "FIX message format" and appendix B (checksum), volume 2 "Garbled
messages". A message is ``8``, ``9`` (bytes from behind its SOH up to and with the SOH before ``10``), ``35``, the rest,
``10`` (sum of all bytes before it, modulo 256). One that is garbled is left out and takes no sequence number; what
follows it is found by the next ``8=FIX``.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zlib import adler32

SOH: Final = "\x01"
BEGIN: Final = "FIX.4.4"
MESSAGE_MAX: Final = 1 << 20
"""Bytes of one message of a client: a request for 50,000 symbols fits."""

Fields = list[tuple[int, str]]
"""Tag and value of each field, in order; without 8, 9 and 10."""

_HEAD: Final = re.compile(rb"8=([^\x01]{1,16})\x019=0*(\d{1,8})\x01")
_SUM_STEP: Final = 256
"""255 times this is below the modulus of Adler-32, whose low half is then 1 + the plain sum."""


class GarbledStreamError(ValueError):
    """The peer's stream cannot be cut into messages."""


def checksum(data: bytes) -> int:
    """Sum of all bytes modulo 256; as the low half of Adler-32, a piece at a time, 40 times as fast as ``sum``."""
    total = 0
    for start in range(0, len(data), _SUM_STEP):
        total += (adler32(data[start : start + _SUM_STEP]) & 0xFFFF) - 1
    return total & 0xFF


def frame(text: str) -> bytes:
    """Return a whole message around ``35=...`` to the SOH of its last field."""
    body = text.encode("latin-1", "replace")
    data = b"8=FIX.4.4\x019=%d\x01%b" % (len(body), body)
    return b"%b10=%03d\x01" % (data, checksum(data))


def joined(fields: Sequence[tuple[int, object]]) -> str:
    """Return fields as text, each ended by SOH."""
    return "".join(f"{tag}={value}\x01" for tag, value in fields)


class MessageReader:
    """Cuts a client's stream into messages; garbled ones are counted and skipped."""

    def __init__(self) -> None:
        self._held = b""
        self.garbled = 0

    def feed(self, data: bytes) -> list[Fields]:
        """Return the fields of every whole message.

        Raises:
            GarbledStreamError: a message without end, or bytes that are no FIX.
        """
        held = self._held + data
        found: list[Fields] = []
        position = 0
        while position < len(held):
            end, fields = self._one(held, position)
            if end < 0:
                break
            if fields is None:
                self.garbled += 1
            else:
                found.append(fields)
            position = end
        self._held = held[position:]
        if len(self._held) > MESSAGE_MAX:
            raise GarbledStreamError(f"expected messages of up to {MESSAGE_MAX} bytes, found a longer one; closing")
        return found

    @staticmethod
    def _one(held: bytes, position: int) -> tuple[int, Fields | None]:
        """End of the message that begins here (-1 = more has to come) and its fields (None = garbled)."""
        head = _HEAD.match(held, position)
        if head is None:
            return _no_head(held, position), None
        body, length = head.end(), int(head[2])
        trailer = body + length
        end = trailer + 7
        if length <= MESSAGE_MAX and len(held) < end:
            # a BodyLength that is too long shows when another message begins inside it
            early = held.find(b"\x0110=", body)
            if early < 0 or held.find(b"\x018=FIX", early) < 0:
                return -1, None
        tail = held[trailer:end]
        if len(tail) < 7 or tail[:3] != b"10=" or tail[6:] != b"\x01" or held[trailer - 1 : trailer] != b"\x01":
            return _resume(held, position), None
        if head[1] != BEGIN.encode() or tail[3:6] != b"%03d" % checksum(held[position:trailer]):
            return end, None
        return end, read_fields(held[body:trailer])


def _no_head(held: bytes, position: int) -> int:
    """Where to go on when no message begins here; -1 = too little to tell."""
    following = held.find(b"8=FIX", position + 1)
    if following >= 0:
        return following
    start = held[position : position + 5]
    if not b"8=FIX".startswith(start):
        raise GarbledStreamError(f"expected 8=FIX, found {held[position : position + 16]!r}; closing")
    return -1 if len(held) - position < 64 else len(held)


def _resume(held: bytes, position: int) -> int:
    following = held.find(b"\x018=FIX", position + 1)
    return following + 1 if following >= 0 else len(held)


def read_fields(body: bytes) -> Fields | None:
    """Return the fields of a body; None if it is garbled: no ``35`` first, or a field that is no ``tag=value``."""
    fields: Fields = []
    for part in body.decode("latin-1").split(SOH)[:-1]:
        tag, equals, value = part.partition("=")
        if not equals or not tag.isascii() or not tag.isdigit() or len(tag) > 9:
            return None
        fields.append((int(tag), value))
    return fields if fields and fields[0][0] == 35 else None


class TimeText:
    """Times as FIX writes them; day and second are kept, since most messages share them with the one before."""

    def __init__(self, digits: int) -> None:
        """Write so many digits of the second: 3, 6 or 9."""
        self._digits = digits
        self._divisor = 10 ** (9 - digits)
        self._second = -1
        self._day = self._clock = ""

    def _split(self, ts_ns: int) -> str:
        second, fraction = divmod(ts_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            moment = datetime.fromtimestamp(second, UTC)
            self._day, self._clock = f"{moment:%Y%m%d}", f"{moment:%H:%M:%S}"
        return f"{fraction // self._divisor:0{self._digits}d}"

    def timestamp(self, ts_ns: int) -> str:
        """UTCTimestamp: ``20260330-14:00:00.123456789``."""
        fraction = self._split(ts_ns)
        return f"{self._day}-{self._clock}.{fraction}"

    def date(self, ts_ns: int) -> str:
        """UTCDateOnly: ``20260330``."""
        self._split(ts_ns)
        return self._day

    def clock(self, ts_ns: int) -> str:
        """UTCTimeOnly: ``14:00:00.123456789``."""
        fraction = self._split(ts_ns)
        return f"{self._clock}.{fraction}"


def parse_timestamp(text: str) -> int:
    """Return a UTCTimestamp as ns since 1970.

    Raises:
        ValueError: it is none.
    """
    whole, _, fraction = text.partition(".")
    # fractions of more than nine digits are cut; strptime takes no more than six
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        raise ValueError(text)
    moment = datetime.strptime(whole, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
