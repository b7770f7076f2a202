"""The memory bus: shards, groups and acknowledgements in the core's own process."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Final

from tickcast.bus.attention import Attention
from tickcast.bus.config import Config
from tickcast.bus.log import Entry, ShardLog
from tickcast.bus.outbox import Outbox
from tickcast.bus.sharding import Sharder
from tickcast.bus.wire import Watched
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.ports import WATCHED_MAX, Clock, Delivery, FeedListener
from tickcast.runtime.metrics import watch_queue


class MemoryDelivery:
    """One batch in a member's hands."""

    __slots__ = ("_entry", "_member", "attempts", "batch", "offset", "shard")

    def __init__(self, member: "MemorySubscription", shard: int, entry: Entry, attempts: int) -> None:
        self._member = member
        self._entry = entry
        self.batch = entry.batch
        self.shard = shard
        self.offset = entry.offset
        self.attempts = attempts

    def ack(self) -> None:
        """Done with it; without effect if the shard went to another member meanwhile."""
        self._member.bus.done(self._member, self.shard, self.offset)

    def reject(self, reason: str) -> None:
        """To the dead letters, with the reason; then done."""
        self._member.bus.bury(self.batch, reason)
        self.ack()


class MemorySubscription:
    """A member of a group."""

    def __init__(self, bus: "MemoryBus", group: str, member: int) -> None:
        self.bus: Final = bus
        self.group: Final = group
        self.member: Final = member
        self.wake = asyncio.Event()
        self.closed = False

    async def take(self, batches_max: int = 64) -> list[Delivery]:
        """All that has arrived, oldest first in each shard; empty only after ``close``."""
        while not self.closed:
            taken = self.bus.take(self, batches_max)
            if taken:
                return taken
            self.wake.clear()
            await self.wake.wait()
        return []

    async def close(self) -> None:
        """Leave the group."""
        self.closed = True
        self.wake.set()
        self.bus.leave(self)


class MemoryPublisher:
    """A producer in the same process, with the same bound and policy as one behind the socket."""

    def __init__(self, bus: "MemoryBus", feed: str, config: Config) -> None:
        self._bus = bus
        self._feed = feed
        self._config = config
        self._outbox = Outbox(capacity_records=config.publisher_records)
        self._changed = asyncio.Event()
        self._attention = Attention()
        self._closed = False

    @property
    def conflated(self) -> int:
        """Quotes merged away because the bus was full, so far."""
        return self._outbox.conflated

    async def publish(self, batch: TickBatch) -> None:
        """Hand a batch over; waits while there is no room, conflating unsent quotes after ``block_max_s``."""
        await wait_for_room(self._outbox, self._changed, self._config.block_max_s)
        self._outbox.push(batch)
        self.pump()

    def pump(self) -> None:
        """Move what fits into the bus."""
        for number, batch in self._outbox.unsent():
            if self._bus.full:
                self._bus.when_room(self.pump)
                return
            self._outbox.mark_sent(number)
            self._bus.put(batch, lambda number=number: self._acked(number))  # type: ignore[misc]  # mypy cannot type a lambda's default

    def _acked(self, number: int) -> None:
        self._outbox.acknowledge(number)
        self._changed.set()

    async def report(self, health: FeedHealth) -> None:
        """Tell the listeners."""
        self._bus.feed_health(health)

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """Never needed: a bus in this process has no other past than ours."""
        del refresh

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Call ``watched`` with what is watched of the feed."""
        self._attention.on_watched(watched)
        self._bus.on_watched(self._feed, self._attention.take)

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Call ``books`` with the instruments whose book is watched."""
        self._attention.on_books(books)
        self._bus.on_watched(self._feed, self._attention.take)

    async def close(self) -> None:
        """Wait for the acknowledgements, up to the limit."""
        try:
            async with asyncio.timeout(self._config.block_max_s):
                while len(self._outbox):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass


async def wait_for_room(outbox: Outbox, changed: asyncio.Event, block_max_s: float) -> None:
    """The declared policy of a full producer: wait up to the limit, then conflate quotes; trades wait on."""
    while not outbox.room:
        changed.clear()
        try:
            async with asyncio.timeout(block_max_s):
                await changed.wait()
        except TimeoutError:
            outbox.conflate()


class MemoryBus:
    """Implements :class:`tickcast.ports.Bus`; one event loop owns it."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._sharder = Sharder(config.shards)
        self._logs = [ShardLog(capacity_records=config.capacity_records) for _ in range(config.shards)]
        self._members: dict[str, list[MemorySubscription]] = {}
        self._ids = count(1)
        self._dead: deque[tuple[TickBatch, str]] = deque(maxlen=config.dead_letters_max)
        self.dead_count = 0
        self._listeners: list[FeedListener] = []
        self._waiters: list[Callable[[], None]] = []
        self._watched: dict[str, Watched] = {}
        self._watching: dict[str, Callable[[Watched], None]] = {}

    async def start(self) -> None:
        """Publish the shards' depth as metrics."""
        for shard, log in enumerate(self._logs):
            watch_queue(
                f"bus.shard.{shard}",
                bound=log.capacity_records,
                depth=lambda log=log: log.records,  # type: ignore[misc]  # mypy cannot type a lambda's default
                drops=lambda: 0,
            )

    async def stop(self) -> None:
        """Close every member."""
        for members in list(self._members.values()):
            for member in list(members):
                await member.close()

    def publisher(self, feed: str) -> MemoryPublisher:
        """Return a producer in this process."""
        return MemoryPublisher(self, feed, self._config)

    def subscribe(self, group: str) -> MemorySubscription:
        """Join a group; shards are shared out anew among its members."""
        member = MemorySubscription(self, group, next(self._ids))
        for log in self._logs:
            log.join(group)
        self._members.setdefault(group, []).append(member)
        self._share_out(group)
        return member

    def listen(self, listener: FeedListener) -> None:
        """Tell ``listener`` about the feeds from now on."""
        self._listeners.append(listener)

    def watch(self, feed: str, counts: Mapping[int, int], books: Collection[int] = ()) -> None:
        """Tell a feed what is watched of it, now or when it comes; at most the most watched of them, and all books."""
        most = heapq.nlargest(WATCHED_MAX, counts.items(), key=lambda one: one[1])
        self._watched[feed] = Watched(dict(most), frozenset(books))
        call = self._watching.get(feed)
        if call is not None:
            call(self._watched[feed])

    def on_watched(self, feed: str, call: Callable[[Watched], None] | None) -> None:
        """Call with what is watched of a feed; None: nobody is there to be told."""
        if call is None:
            self._watching.pop(feed, None)
            return
        self._watching[feed] = call
        if feed in self._watched:
            call(self._watched[feed])

    def lag(self, group: str) -> dict[int, int]:
        """Batches not yet acknowledged by the group, by shard."""
        return {shard: log.lag(group) for shard, log in enumerate(self._logs)}

    def dead_letters(self) -> Sequence[tuple[TickBatch, str]]:
        """The newest dead letters with their reasons."""
        return list(self._dead)

    # the producers' side

    @property
    def full(self) -> bool:
        """Whether any shard has no room: order over shards of one producer is kept by holding all of it."""
        return any(log.full for log in self._logs)

    def put(self, batch: TickBatch, done: Callable[[], None] | None = None) -> None:
        """Append a batch; ``done`` runs once all its parts are acknowledged by every group."""
        batch.hops.bus_in = batch.hops.bus_in or self._clock()
        parts = self._sharder.split(batch)
        left = len(parts)

        def part_done() -> None:
            nonlocal left
            left -= 1
            if not left and done is not None:
                done()

        for shard, part in parts:
            self._logs[shard].append(part, part_done)
        for members in self._members.values():
            for member in members:
                member.wake.set()

    def when_room(self, call: Callable[[], None]) -> None:
        """Call once as soon as no shard is full."""
        if call not in self._waiters:
            self._waiters.append(call)

    def feed_health(self, health: FeedHealth) -> None:
        """Pass a feed's report on."""
        for listener in self._listeners:
            listener.feed_health(health)

    def feed_lost(self, feed: str, reason: str) -> None:
        """Pass on that a feed's process is gone."""
        for listener in self._listeners:
            listener.feed_lost(feed, reason)

    # the consumers' side

    def take(self, member: MemorySubscription, batches_max: int) -> list[Delivery]:
        """Next entries for a member; a batch delivered too often is buried instead."""
        taken: list[Delivery] = []
        now = self._clock()
        for shard, log in enumerate(self._logs):
            for entry, attempts in log.take(member.group, member.member, batches_max):
                delivery = MemoryDelivery(member, shard, entry, attempts)
                if attempts > self._config.attempts_max:
                    delivery.reject(f"delivered {attempts - 1} times without an acknowledgement")
                    continue
                entry.batch.hops.bus_out = now
                taken.append(delivery)
        return taken

    def done(self, member: MemorySubscription, shard: int, offset: int) -> None:
        """Acknowledge; wakes producers that wait for room."""
        self._logs[shard].ack(member.group, member.member, offset)
        if self._waiters and not self.full:
            waiters, self._waiters = self._waiters, []
            for call in waiters:
                call()

    def bury(self, batch: TickBatch, reason: str) -> None:
        """Keep a dead letter; the oldest goes when there are too many, the count goes on."""
        self.dead_count += 1
        self._dead.append((batch, reason))

    def leave(self, member: MemorySubscription) -> None:
        """Take a member out; what it held goes to the others."""
        members = self._members.get(member.group, [])
        if member in members:
            members.remove(member)
            self._share_out(member.group)

    def _share_out(self, group: str) -> None:
        members = self._members[group]
        for shard, log in enumerate(self._logs):
            log.assign(group, members[shard % len(members)].member if members else None)
        for member in members:
            member.wake.set()
