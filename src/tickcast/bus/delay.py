"""A bus that hands over everything a fixed time after it got it: the same stream, late.

What goes in is written to files one behind the other and read again when its time has come, so the memory is that of
one chunk in each direction, however long the delay. The files are bounded; nothing may leave the line early, so where
they are full it is the newest that finds no room. A feed that lost something this way is given up until the line is
made anew: its consumers are told that it is gone, and never see a book with a hole in it.

Files outlive the process only where it hands them over (:meth:`DelayLine.hand_over`), to one that takes up its
consumer's state as well. Else a line that begins is empty, and its consumers know nothing for one delay.
"""

import asyncio
import contextlib
import shutil
import struct
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import msgspec

from tickcast.bus import wire
from tickcast.model.batch import TickBatch
from tickcast.model.errors import BusError, StateError
from tickcast.model.health import FeedHealth
from tickcast.ports import Clock, Delivery, FeedListener, Publisher
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("bus")

SEGMENT: Final = 64 << 20
"""Bytes of a file, at most and one entry more."""
PENDING_MAX: Final = 64 << 20
"""Bytes that wait to be written."""
CHUNK: Final = 1 << 20
WRITE_S: Final = 0.1
"""Time between two writes."""
LOOK_S: Final = 0.05
FULL: Final = "the line of delayed prices was full: make gateway.auth.delay_bytes_max larger, and restart"

_HEAD: Final = struct.Struct("<IQBB")
"""Bytes behind it, when it came, what it is, bytes of the feed's name."""
BATCH: Final = 0
HEALTH: Final = 1
LOST: Final = 2

_bytes: Final = metrics.gauge("delay_bytes", "Bytes in the line of delayed prices.")
_dropped: Final = metrics.counter("delay_dropped", "Batches that found no room in the line of delayed prices.")


class LinePast(msgspec.Struct, frozen=True, kw_only=True):
    """What a line leaves for the one that takes its place: where it stands in its files."""

    first: int
    """Number of the oldest file."""
    sizes: tuple[int, ...]
    """Bytes of the files, oldest first."""
    read: int
    """Bytes of the oldest that were handed over."""
    given_up: tuple[str, ...]


class _Entry(NamedTuple):
    kind: int
    feed: str
    body: bytes


class LateDelivery:
    """A batch whose time has come."""

    __slots__ = ("attempts", "batch", "offset", "shard")

    def __init__(self, batch: TickBatch, offset: int) -> None:
        self.batch = batch
        self.shard = 0
        self.offset = offset
        self.attempts = 1

    def ack(self) -> None:
        """Done: it was forgotten when it was handed over."""

    def reject(self, reason: str) -> None:
        """It cannot be applied; whoever took it says so in the log."""
        del reason


class DelayLine:
    """Implements :class:`tickcast.ports.Bus` for one consumer; what it tells was :meth:`put` a while ago."""

    def __init__(self, folder: Path, *, delay_ns: int, bytes_max: int, clock: Clock) -> None:
        """``folder`` is emptied; ``clock`` is never set."""
        self._folder = folder
        self._delay_ns = delay_ns
        self._bytes_max = bytes_max
        self._clock = clock
        self._listeners: list[FeedListener] = []
        self._pending = bytearray()
        self._sizes: deque[int] = deque([0])
        """Of the files, oldest first; the last one is written."""
        self._first = 0
        """Number of the oldest file."""
        self._read_from = 0
        self._rest = b""
        self._at = 0
        """What was read, and how much of it was handed over."""
        self._handed = 0
        self._given_up: set[str] = set()
        self._kept = 0
        """Bytes that are left of what a line before this one wrote, whose clock was ``_ahead_ns`` behind ours."""
        self._ahead_ns = 0
        self._is_handed_over = False
        self._closed = False
        self._tasks = TaskGroupOwner("delay")
        _bytes.set_function(lambda: self.size)
        metrics.watch_queue(
            "bus.delay", bound=bytes_max, depth=lambda: self.size, drops=lambda: self.dropped,
        )  # fmt: skip
        self.dropped = 0

    @property
    def size(self) -> int:
        """Bytes in the line."""
        return sum(self._sizes) + len(self._pending)

    # ------------------------------------------------------------------ in

    def put(self, batch: TickBatch) -> None:
        """Take a batch in."""
        if batch.feed not in self._given_up:
            parts = wire.batch(0, batch, batch.hops.bus_in)
            if not self._write(BATCH, batch.feed, b"".join(parts)[wire.HEAD_SIZE :]):
                self.dropped += 1
                _dropped.inc()

    def feed_health(self, health: FeedHealth) -> None:
        """Take a feed's report in."""
        if health.name not in self._given_up:
            self._write(HEALTH, health.name, msgspec.msgpack.encode(health))

    def feed_lost(self, feed: str, reason: str) -> None:
        """Take in that a feed is gone."""
        if feed not in self._given_up:
            self._write(LOST, feed, reason.encode())

    def _write(self, kind: int, feed: str, body: bytes) -> bool:
        if self.size + len(body) > self._bytes_max or len(self._pending) > PENDING_MAX:
            self._given_up.add(feed)
            log.error("delayed prices of a feed end: the line is full", feed=feed, bytes=self.size)
            # so little that there is always room for it
            self._append(LOST, feed, FULL.encode())
            return False
        self._append(kind, feed, body)
        return True

    def _append(self, kind: int, feed: str, body: bytes) -> None:
        name = feed.encode()
        self._pending += _HEAD.pack(len(name) + len(body), self._clock(), kind, len(name))
        self._pending += name
        self._pending += body

    # ------------------------------------------------------------------ the files

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.delay"

    async def start(self) -> None:
        """Begin with an empty folder, or with what :meth:`take_over` found."""
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700, parents=True)
        self._tasks.spawn(self._write_pending(), "write")

    def take_over(self, past: LinePast, *, ahead_ns: int) -> None:
        """Go on where another line stopped; ``ahead_ns`` is how much further our clock is than its was.

        Raises:
            StateError: its files are not there as it said; this line is empty, as before.
        """
        for number, size in enumerate(past.sizes, past.first):
            try:
                found = self._path(number).stat().st_size
            except OSError:
                found = -1
            # what lies behind the end was written half, and is written over
            if size and found < size:
                raise StateError(f"expected {size} bytes of delayed prices in {self._path(number).name}, found {found}")
        if not past.sizes or not 0 <= past.read <= past.sizes[0]:
            raise StateError("expected a place in the line of delayed prices, found none")
        self._given_up = set(past.given_up)
        if kept := sum(past.sizes) - past.read:
            self._first, self._sizes, self._read_from = past.first, deque(past.sizes), past.read
            self._kept, self._ahead_ns = kept, ahead_ns

    def forget(self) -> None:
        """Be empty again, before the start."""
        self._first, self._sizes, self._read_from = 0, deque([0]), 0
        self._kept = self._ahead_ns = 0
        self._given_up.clear()

    async def hand_over(self) -> LinePast | None:
        """Write what is pending, and leave the files to the line that takes over; None: they cannot be written.

        Nothing may be :meth:`put` any more, nor taken.
        """
        self._closed = True
        await self._tasks.stop()
        if self._pending:
            path = self._path(self._first + len(self._sizes) - 1)
            try:
                await asyncio.to_thread(_write_at, path, self._sizes[-1], bytes(self._pending))
            except OSError as wrong:
                log.warning("delayed prices cannot be written, and end here", reason=wrong.strerror)
                return None
            self._sizes[-1] += len(self._pending)
            self._pending.clear()
        self._is_handed_over = True
        return LinePast(
            first=self._first,
            sizes=tuple(self._sizes),
            read=self._read_from - (len(self._rest) - self._at),
            given_up=tuple(sorted(self._given_up)),
        )

    async def stop(self) -> None:
        """Let go of everything."""
        self._closed = True
        await self._tasks.stop()
        if not self._is_handed_over:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _write_pending(self) -> None:
        while True:
            await asyncio.sleep(WRITE_S)
            if not self._pending:
                continue
            data = bytes(self._pending)
            path = self._path(self._first + len(self._sizes) - 1)
            try:
                await asyncio.to_thread(_write_at, path, self._sizes[-1], data)
            except OSError as wrong:
                # what is pending grows until it is full, and then the feeds are given up
                log.warning("delayed prices cannot be written", reason=wrong.strerror)
                continue
            del self._pending[: len(data)]
            self._sizes[-1] += len(data)
            if self._sizes[-1] >= SEGMENT:
                self._sizes.append(0)

    async def _read_more(self) -> bool:
        """Read on; False: there is nothing more yet."""
        while self._read_from >= self._sizes[0] and len(self._sizes) > 1:
            self._path(self._first).unlink(missing_ok=True)
            self._sizes.popleft()
            self._first += 1
            self._read_from = 0
        left = self._sizes[0] - self._read_from
        if not left:
            return False
        data = await asyncio.to_thread(_read_at, self._path(self._first), self._read_from, min(left, CHUNK))
        self._read_from += len(data)
        self._rest, self._at = self._rest[self._at :] + data, 0
        return bool(data)

    def _next(self) -> _Entry | None:
        """The oldest entry, if it is read and its time has come."""
        if not self._is_whole:
            return None
        length, came_ns, kind, name_length = _HEAD.unpack_from(self._rest, self._at)
        if self._kept:
            came_ns += self._ahead_ns
        if came_ns + self._delay_ns > self._clock():
            return None
        name_at = self._at + _HEAD.size
        body_at, end = name_at + name_length, name_at + length
        self._kept = max(0, self._kept - (end - self._at))
        self._at = end
        return _Entry(kind, self._rest[name_at:body_at].decode(), self._rest[body_at:end])

    @property
    def _is_whole(self) -> bool:
        """Whether the oldest entry is read as a whole."""
        left = len(self._rest) - self._at
        return left >= _HEAD.size and left >= _HEAD.size + _HEAD.unpack_from(self._rest, self._at)[0]

    # ------------------------------------------------------------------ out

    def subscribe(self, group: str) -> "DelayLine":
        """Return the one consumer's end."""
        del group
        return self

    def listen(self, listener: FeedListener) -> None:
        """Tell ``listener`` of the feeds, late."""
        self._listeners.append(listener)

    async def take(self, batches_max: int = 64) -> list[Delivery]:
        """Wait for batches whose time has come; reports in front of them are told on the way."""
        taken: list[Delivery] = []
        while not self._closed:
            entry = self._next()
            if entry is None:
                if taken:
                    return taken
                if self._is_whole or not await self._read_more():
                    await asyncio.sleep(LOOK_S)
                continue
            if entry.kind != BATCH:
                self._tell(entry)
                continue
            _, batch = wire.read_batch(memoryview(entry.body), entry.feed)
            self._handed += 1
            taken.append(LateDelivery(batch, self._handed))
            # a report behind a batch is told after it was applied
            if len(taken) >= batches_max or self._is_report_next:
                return taken
        return []

    @property
    def _is_report_next(self) -> bool:
        return self._is_whole and _HEAD.unpack_from(self._rest, self._at)[2] != BATCH

    def _tell(self, entry: _Entry) -> None:
        for listener in self._listeners:
            if entry.kind == LOST:
                listener.feed_lost(entry.feed, entry.body.decode())
            else:
                with contextlib.suppress(BusError):  # of our own making: it is one
                    listener.feed_health(wire.read_health(memoryview(entry.body)))

    async def close(self) -> None:
        """Take no more."""
        self._closed = True

    # ------------------------------------------------------------------ what a line does not do

    def publisher(self, feed: str) -> Publisher:
        """Nobody publishes to a line; it is :meth:`put` what another bus had."""
        return _no_publisher(feed)

    def watch(self, feed: str, counts: Mapping[int, int], books: Collection[int] = ()) -> None:
        """Tell nobody: what a feed streams is decided by those who watch it now."""
        del feed, counts, books

    def lag(self, group: str) -> dict[int, int]:
        """Nothing waits to be acknowledged."""
        del group
        return {0: 0}

    def dead_letters(self) -> Sequence[tuple[TickBatch, str]]:
        """None."""
        return ()


def _no_publisher(feed: str) -> NoReturn:
    raise StateError(f"nothing can be published to the line of delayed prices, found the feed {feed}")


def _write_at(path: Path, end: int, data: bytes) -> None:
    """Write behind what is known to be good: a write before this one may have failed half way."""
    with path.open("ab") as file:
        file.truncate(end)
        file.write(data)


def _read_at(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)
