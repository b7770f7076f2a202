"""The memory bus's Unix socket: feed processes publish through it without any server to install.

A batch is acknowledged to its feed when every group is done with it, not when it arrived: so whatever a core that is
killed had not worked off comes again from the feeds. Within one life of the bus, a batch that comes twice (its
acknowledgement was lost with the link) is taken once, by its number.
"""

import asyncio
import contextlib
import os
import secrets
from pathlib import Path
from typing import Final, cast

import msgspec

from tickcast.bus import wire
from tickcast.bus.memory import MemoryBus
from tickcast.model.errors import BusError, UsageError
from tickcast.runtime.log import get_logger

log = get_logger("bus")

WATCHED_UNSENT_MAX: Final = 65_536
"""Bytes that may wait for a feed process before it is not told any more what is watched."""


class BusPast(msgspec.Struct, frozen=True, kw_only=True):
    """What a bus leaves for the one that takes its place: feeds that were told its name go on where they were."""

    identity: str
    producers: dict[str, tuple[str, int]]
    """Of each feed: its process, and the newest batch of it that everybody is done with."""


class _Producer:
    """What the bus remembers of a producer over its links."""

    def __init__(self, producer: str, base: int) -> None:
        self.producer: Final = producer
        self.accepted = base
        self.acked = base
        self.done: set[int] = set()
        self.link: _Link | None = None

    def finish(self, number: int) -> None:
        """Every group is done with a batch; the acknowledgement goes out once for many."""
        self.done.add(number)
        moved = False
        while self.acked + 1 in self.done:
            self.acked += 1
            self.done.discard(self.acked)
            moved = True
        if moved and self.link is not None:
            self.link.acknowledge_soon()


class _Link(asyncio.Protocol):
    """One connection of a feed process."""

    def __init__(self, server: "BusServer") -> None:
        self._server = server
        self._reader = wire.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._feed = ""
        self._producer: _Producer | None = None
        self._ack_due = False
        self._watched: wire.Watched | None = None
        """What could not be told yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by type, only by what they can do
        self._transport = cast("asyncio.Transport", transport)
        self._server.links.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._reader.feed(data):
                self._handle(kind, body)
        except BusError as wrong:
            log.exception("feed link refused", feed=self._feed, error=str(wrong))
            self._send(wire.refuse(str(wrong)))
            self.close()
            return
        if self._server.bus.full and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._server.bus.when_room(self.resume)

    def resume(self) -> None:
        """Read on: there is room again."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):  # not paused
                self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.links.discard(self)
        producer = self._producer
        if producer is not None and producer.link is self:
            producer.link = None
            self._server.bus.on_watched(self._feed, None)
            self._server.bus.feed_lost(self._feed, f"feed process is gone ({exc or 'link closed'})")

    def forget(self) -> None:
        """End the link without a word of it: the feed goes on with the bus that takes over."""
        self._producer = None
        self.close()

    def close(self) -> None:
        """End the link; what was written goes out first."""
        if self._transport is not None:
            self._transport.close()

    def acknowledge_soon(self) -> None:
        """One ACK frame for all that finishes in this turn of the loop."""
        if not self._ack_due:
            self._ack_due = True
            asyncio.get_running_loop().call_soon(self._acknowledge)

    def _acknowledge(self) -> None:
        self._ack_due = False
        if self._producer is not None:
            self._send(wire.ack(self._producer.acked))
        if self._watched is not None:
            self._tell_watched(self._watched)

    def _send(self, buffers: wire.Buffers) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(buffers))

    def _tell_watched(self, news: wire.Watched) -> None:
        """Small and rare; a link that takes nothing does not pile it up: the newest goes when there is room again."""
        self._watched = news
        if self._transport is not None and self._transport.get_write_buffer_size() < WATCHED_UNSENT_MAX:
            self._watched = None
            self._send(wire.watched(news))

    def _handle(self, kind: wire.FrameType, body: memoryview) -> None:
        if kind is wire.FrameType.HELLO:
            self._hello(wire.read_hello(body))
            return
        producer = self._producer
        if producer is None:
            raise BusError(f"expected HELLO first, found {kind.name}")
        if kind is wire.FrameType.BATCH:
            self._batch(producer, body)
        elif kind is wire.FrameType.HEALTH:
            self._server.bus.feed_health(wire.read_health(body))
        else:
            raise BusError(f"expected BATCH or HEALTH of a producer, found {kind.name}")

    def _hello(self, message: wire.Hello) -> None:
        if message.version != wire.VERSION:
            raise BusError(f"expected link version {wire.VERSION}, found {message.version}; restart the feed process")
        self._feed = message.feed
        self._producer = self._server.producer(message)
        older = self._producer.link
        self._producer.link = self
        if older is not None:
            older.close()
        # what was accepted before may still be in work: it is not lost, and not taken twice
        self._send(wire.welcome(wire.Welcome(bus=self._server.identity, accepted=self._producer.accepted)))
        if self._producer.acked > message.base:
            self.acknowledge_soon()
        self._server.bus.on_watched(self._feed, self._tell_watched)
        log.info("feed joined", feed=message.feed, pid=message.pid, accepted=self._producer.accepted)

    def _batch(self, producer: _Producer, body: memoryview) -> None:
        number, batch = wire.read_batch(body, self._feed)
        bus = self._server.bus
        if number == 0:  # a refresh: newest state, repeated at every need, so never acknowledged
            bus.put(batch)
            return
        if number <= producer.accepted:
            self.acknowledge_soon()
            return
        if number != producer.accepted + 1:
            raise BusError(f"expected batch {producer.accepted + 1} of {self._feed}, found {number}")
        producer.accepted = number
        bus.put(batch, lambda: producer.finish(number))


class BusServer:
    """Listens on a Unix socket that only this user may open."""

    def __init__(self, bus: MemoryBus, path: Path, *, past: BusPast | None = None) -> None:
        """``past``: of the bus whose place this one takes."""
        self.bus: Final = bus
        self.path: Final = path
        self.identity: Final = secrets.token_hex(8) if past is None else past.identity
        self.links: set[_Link] = set()
        self._producers: dict[str, _Producer] = {
            feed: _Producer(producer, acked) for feed, (producer, acked) in (past.producers if past else {}).items()
        }
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket file left by a dead process is replaced.

        Raises:
            UsageError: the path cannot be used.
        """
        loop = asyncio.get_running_loop()
        try:
            self.path.unlink(missing_ok=True)
            mask = os.umask(0o177)
            try:
                self._server = await loop.create_unix_server(lambda: _Link(self), str(self.path))
            finally:
                os.umask(mask)
        except OSError as wrong:
            raise UsageError(f"cannot listen on the bus socket {self.path}: {wrong.strerror or wrong}") from wrong

    async def stop(self) -> None:
        """Close the links and the socket."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.close()
        self.path.unlink(missing_ok=True)

    def hand_over(self) -> None:
        """Take nothing in any more; the feeds keep what comes, for the bus that takes over."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.forget()
        self.path.unlink(missing_ok=True)

    @property
    def is_settled(self) -> bool:
        """Whether everything that was taken in is worked off."""
        return all(producer.acked == producer.accepted for producer in self._producers.values())

    def past(self) -> BusPast:
        """Say where the feeds are."""
        return BusPast(
            identity=self.identity,
            producers={feed: (one.producer, one.acked) for feed, one in self._producers.items()},
        )

    def producer(self, message: wire.Hello) -> _Producer:
        """Return the memory of a producer; a new process of a feed begins anew."""
        known = self._producers.get(message.feed)
        if known is None or known.producer != message.producer:
            if known is not None and known.link is not None:
                known.link.close()
            known = self._producers[message.feed] = _Producer(message.producer, message.base)
        return known
