"""Frames between a feed process and the bus: pure bytes in, messages out.

A frame is length (u32, of what follows), type (u8), body; little-endian. Producer to bus: HELLO, BATCH, HEALTH. Bus to
producer: WELCOME, ACK, REFUSE, WATCHED. Both sides run the same release of tickcast; HELLO carries the version and a
different one is refused.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, TypeVar

import msgspec

from tickcast.model.batch import Hops, TickBatch
from tickcast.model.errors import BusError
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import RECORD, record_bytes, records_from

T = TypeVar("T")
VERSION: Final = 4
FRAME_MAX: Final = 64 * 1024 * 1024
_HEAD: Final = struct.Struct("<IB")
HEAD_SIZE: Final = _HEAD.size
"""Bytes of a frame in front of its body."""
# number, feed session, received, decoded, bus_in; then lengths of records, definitions, texts, ledger
_BATCH: Final = struct.Struct("<QQqqqIIII")


class FrameType(IntEnum):
    """Type byte of a frame."""

    HELLO = 1
    WELCOME = 2
    BATCH = 3
    ACK = 4
    HEALTH = 5
    REFUSE = 6
    WATCHED = 7


_TYPES: Final = frozenset(FrameType)


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First frame of a producer."""

    version: int
    feed: str
    producer: str
    """Random for each process: numbers count within it."""
    pid: int
    base: int
    """Number of the newest batch that was ever acknowledged to this producer."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to HELLO."""

    bus: str
    """Random for each start of the bus: a new one has no past."""
    accepted: int
    """Number of the newest batch that the bus has from this producer."""


class Watched(msgspec.Struct, frozen=True, array_like=True):
    """What is watched of a feed."""

    counts: dict[int, int] = {}
    """Instruments, and the number of their watchers."""
    books: frozenset[int] = frozenset()
    """Instruments whose book is watched."""


_encode = msgspec.msgpack.Encoder().encode
_definitions = msgspec.msgpack.Decoder(tuple[Definition, ...])
_texts = msgspec.msgpack.Decoder(tuple[str | None, ...])
_ledger = msgspec.msgpack.Decoder(tuple[LedgerEntry, ...])
_health = msgspec.msgpack.Decoder(FeedHealth)
_watched = msgspec.msgpack.Decoder(Watched)
_hello = msgspec.msgpack.Decoder(Hello)
_welcome = msgspec.msgpack.Decoder(Welcome)
Buffers = tuple[bytes | memoryview, ...]


def _frame(kind: FrameType, *parts: bytes | memoryview) -> Buffers:
    length = 1 + sum(len(part) for part in parts)
    if length > FRAME_MAX:
        raise BusError(f"expected a frame of at most {FRAME_MAX} bytes, found {length}; the batch is too large")
    return (_HEAD.pack(length, kind), *parts)


def hello(message: Hello) -> Buffers:
    """Frame of a HELLO."""
    return _frame(FrameType.HELLO, _encode(message))


def welcome(message: Welcome) -> Buffers:
    """Frame of a WELCOME."""
    return _frame(FrameType.WELCOME, _encode(message))


def refuse(reason: str) -> Buffers:
    """Frame that says why the bus does not talk to this producer."""
    return _frame(FrameType.REFUSE, reason.encode())


def ack(number: int) -> Buffers:
    """Frame that acknowledges every batch up to ``number``."""
    return _frame(FrameType.ACK, struct.pack("<Q", number))


def watched(message: Watched) -> Buffers:
    """Frame of what is watched of a feed."""
    return _frame(FrameType.WATCHED, _encode(message))


def health(report: FeedHealth) -> Buffers:
    """Frame of a health report."""
    return _frame(FrameType.HEALTH, _encode(report))


def batch(number: int, value: TickBatch, bus_in_ns: int) -> Buffers:
    """Frame of a batch; its records are not copied."""
    records = record_bytes(value.records)
    definitions = _encode(value.definitions) if value.definitions else b""
    texts = _encode(value.texts) if value.texts is not None else b""
    ledger = _encode(value.ledger) if value.ledger else b""
    hops = value.hops
    lengths = (len(records), len(definitions), len(texts), len(ledger))
    head = _BATCH.pack(number, value.session, hops.received, hops.decoded, bus_in_ns, *lengths)
    return _frame(FrameType.BATCH, head, records, definitions, texts, ledger)


def read_batch(body: memoryview, feed: str) -> tuple[int, TickBatch]:
    """Number and batch of a BATCH body; the records view ``body``.

    Raises:
        BusError: the body contradicts itself.
    """
    try:
        number, session, received, decoded, bus_in, *lengths = _BATCH.unpack_from(body)
        n_records, n_definitions, n_texts, n_ledger = lengths
        expected = _BATCH.size + sum(lengths)
        if expected != len(body) or n_records % RECORD.itemsize:
            raise BusError(f"expected a batch of {expected} bytes in whole records, found {len(body)} bytes")
        start = _BATCH.size
        records = records_from(body[start : start + n_records])
        start += n_records
        definitions = _definitions.decode(body[start : start + n_definitions]) if n_definitions else ()
        start += n_definitions
        texts = _texts.decode(body[start : start + n_texts]) if n_texts else None
        ledger = _ledger.decode(body[start + n_texts :]) if n_ledger else ()
    except (struct.error, msgspec.DecodeError) as wrong:
        raise BusError(f"expected a batch, found {len(body)} bytes that are none: {wrong}") from wrong
    if texts is not None and len(texts) != len(records):
        raise BusError(f"expected {len(records)} texts, one for each record, found {len(texts)}")
    hops = Hops(received=received, decoded=decoded, bus_in=bus_in)
    return number, TickBatch(feed, session, records, definitions, texts, hops, ledger)


def _decoded(decoder: "msgspec.msgpack.Decoder[T]", body: memoryview, what: str) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as wrong:
        raise BusError(f"expected {what}, found {len(body)} bytes that are none: {wrong}") from wrong


def read_hello(body: memoryview) -> Hello:
    """HELLO of a body, or BusError."""
    return _decoded(_hello, body, "a HELLO")


def read_welcome(body: memoryview) -> Welcome:
    """WELCOME of a body, or BusError."""
    return _decoded(_welcome, body, "a WELCOME")


def read_health(body: memoryview) -> FeedHealth:
    """Report of a body, or BusError."""
    return _decoded(_health, body, "a health report")


def read_watched(body: memoryview) -> Watched:
    """What a WATCHED body says, or BusError."""
    return _decoded(_watched, body, "what is watched")


def read_ack(body: memoryview) -> int:
    """Number of an ACK body, or BusError."""
    if len(body) != 8:
        raise BusError(f"expected an ACK of 8 bytes, found {len(body)}")
    return int.from_bytes(body, "little")


class FrameReader:
    """Cuts a byte stream into frames; holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._need = 0

    def feed(self, data: bytes) -> Iterator[tuple[FrameType, memoryview]]:
        """Complete frames, as type and body.

        Raises:
            BusError: a length or type that no frame has; the stream cannot be trusted any more.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data = bytes(self._rest)
            self._rest.clear()
        view, start = memoryview(data), 0
        self._need = _HEAD.size
        while len(data) - start >= _HEAD.size:
            length, kind = _HEAD.unpack_from(data, start)
            if not 1 <= length <= FRAME_MAX or kind not in _TYPES:
                raise BusError(f"expected a frame, found length {length} and type {kind}; the link is closed")
            if len(data) - start < 4 + length:
                self._need = 4 + length
                break
            yield FrameType(kind), view[start + _HEAD.size : start + 4 + length]
            start += 4 + length
        self._rest += view[start:]
