"""The producing side of the Unix socket: one in each feed process."""

import asyncio
import os
import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, cast

from tickcast.bus import wire
from tickcast.bus.attention import Attention
from tickcast.bus.config import Config
from tickcast.bus.memory import wait_for_room
from tickcast.bus.outbox import Outbox
from tickcast.model.batch import TickBatch
from tickcast.model.errors import BusError
from tickcast.model.health import FeedHealth
from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.runtime.metrics import watch_queue
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("bus")

_RETRY_FIRST_S: Final = 0.05
_RETRY_MAX_S: Final = 1.0
_WRITE_HIGH: Final = 1 << 20
SETTLE_S: Final = 5.0
"""A process that hands over waits so long for the bus to take everything in."""


class SocketPublisher:
    """Implements :class:`tickcast.ports.Publisher` over the bus's Unix socket; outlives any number of links."""

    def __init__(self, feed: str, path: Path, config: Config, *, clock: Clock) -> None:
        self.feed: Final = feed
        self._path = path
        self._config = config
        self._clock = clock
        self._producer: Final = secrets.token_hex(8)
        self._outbox = Outbox(capacity_records=config.publisher_records)
        self._changed = asyncio.Event()
        self._tasks = TaskGroupOwner(f"bus.publisher.{feed}")
        self._link: _PublisherLink | None = None
        self._bus = ""
        self._health: FeedHealth | None = None
        """The newest one that waits for room on the link."""
        self._refresh: Callable[[], TickBatch | None] = lambda: None
        self._attention = Attention()
        watch_queue(
            f"bus.publisher.{feed}",
            bound=config.publisher_records,
            depth=lambda: self._outbox.records,
            drops=lambda: self._outbox.conflated,
        )

    @property
    def conflated(self) -> int:
        """Rows merged away because the bus was full, so far."""
        return self._outbox.conflated

    async def start(self) -> None:
        """Begin to dial; publishing is possible at once."""
        self._tasks.spawn(self._stay_connected(), "link")

    async def publish(self, batch: TickBatch) -> None:
        """Hand a batch over; waits while there is no room, conflating unsent quotes after ``block_max_s``."""
        if not self._outbox.room:
            await wait_for_room(self._outbox, self._changed, self._config.block_max_s)
        self._outbox.push(batch)
        self._pump()

    async def report(self, health: FeedHealth) -> None:
        """Send the newest health; without a link it is dropped, the next one follows within a second.

        While the link is full it waits, and goes before the next batch: a feed under load must not look silent.
        """
        if self._link is not None and self._link.welcomed:
            self._health = health
            self._tell_health(self._link)

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """Call ``refresh`` when a bus without our past appears."""
        self._refresh = refresh

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Call ``watched`` with what is watched of the feed."""
        self._attention.on_watched(watched)

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Call ``books`` with the instruments whose book is watched."""
        self._attention.on_books(books)

    def watched(self, message: wire.Watched) -> None:
        """The bus says what is watched."""
        self._attention.take(message)

    async def settled(self) -> bool:
        """Wait until everything is acknowledged; False: it is not within :data:`SETTLE_S`."""
        try:
            async with asyncio.timeout(SETTLE_S):
                while len(self._outbox):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Wait for acknowledgements up to ``block_max_s``, then let go."""
        try:
            async with asyncio.timeout(self._config.block_max_s):
                while len(self._outbox):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("closed with batches unacknowledged", feed=self.feed, batches=len(self._outbox))
        await self._tasks.stop()
        if self._link is not None:
            self._link.close()

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = _RETRY_FIRST_S
        while True:
            try:
                _, link = await loop.create_unix_connection(lambda: _PublisherLink(self), str(self._path))
                self._link = link
                link.send(wire.hello(self._hello()))
                await link.lost.wait()
                if link.welcomed:
                    delay_s = _RETRY_FIRST_S
            except OSError:
                pass  # no bus there yet; the supervisor and the feed's health say so
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _RETRY_MAX_S)

    def _hello(self) -> wire.Hello:
        return wire.Hello(
            version=wire.VERSION,
            feed=self.feed,
            producer=self._producer,
            pid=os.getpid(),
            base=self._outbox.acked,
        )

    def welcome(self, message: wire.Welcome) -> None:
        """The bus answered: bring it up to date."""
        known, self._bus = self._bus, message.bus
        refresh = self._refresh() if known and known != message.bus else None
        link = self._link
        if link is None:
            return
        if refresh is not None:
            definitions = TickBatch(self.feed, refresh.session, definitions=refresh.definitions)
            link.send(wire.batch(0, definitions, self._clock()))
        self._outbox.rewind(message.accepted)
        link.welcomed = True
        self._pump()
        if refresh is not None:
            # behind what is sent again, since it is newer
            state = TickBatch(
                self.feed, refresh.session, refresh.records, (), refresh.texts, refresh.hops, refresh.ledger
            )
            link.send(wire.batch(0, state, self._clock()))

    def acknowledged(self, number: int) -> None:
        """The bus is done with everything up to ``number``."""
        self._outbox.acknowledge(number)
        self._changed.set()

    def pump(self) -> None:
        """Send what the link takes."""
        self._pump()

    def _tell_health(self, link: "_PublisherLink") -> None:
        if self._health is not None and link.ready():
            link.send(wire.health(self._health))
            self._health = None

    def _pump(self) -> None:
        link = self._link
        if link is None or not link.ready():
            return
        self._tell_health(link)
        for number, batch in self._outbox.unsent():
            if not link.ready():
                return
            self._outbox.mark_sent(number)
            link.send(wire.batch(number, batch, self._clock()))


class _PublisherLink(asyncio.Protocol):
    """One connection to the bus."""

    def __init__(self, publisher: SocketPublisher) -> None:
        self._publisher = publisher
        self._reader = wire.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.welcomed = False
        self.lost = asyncio.Event()

    def ready(self) -> bool:
        """Welcomed, open, and its buffer not full."""
        return self.welcomed and not self._paused and not self.lost.is_set()

    def send(self, buffers: wire.Buffers) -> None:
        """Write a frame."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(buffers)

    def close(self) -> None:
        """End the link."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by type, only by what they can do
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._publisher.pump()

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._reader.feed(data):
                if kind is wire.FrameType.ACK:
                    self._publisher.acknowledged(wire.read_ack(body))
                elif kind is wire.FrameType.WELCOME:
                    self._publisher.welcome(wire.read_welcome(body))
                elif kind is wire.FrameType.WATCHED:
                    self._publisher.watched(wire.read_watched(body))
                elif kind is wire.FrameType.REFUSE:
                    raise BusError(f"the bus refused this feed: {bytes(body).decode(errors='replace')}")
                else:
                    raise BusError(f"expected WELCOME, ACK, REFUSE or WATCHED of the bus, found {kind.name}")
        except BusError as wrong:
            log.exception("bus link closed", feed=self._publisher.feed, error=str(wrong))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.welcomed = False
        self.lost.set()
