"""Capture: what a feed received and sent, kept as it came, in segments of bounded number and size.

Written in a thread (:mod:`tickcast.feeds.segments`); what waits for it is bounded. Policy when full, and when the disk
is: records are dropped, counted, and a ``lost`` line says how many, since a feed never waits for its capture.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from tickcast.feeds.config import FeedConfig
from tickcast.feeds.secrets import Hider
from tickcast.feeds.segments import Item, SegmentWriter
from tickcast.model.errors import UsageError
from tickcast.ports import Clock
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.venues.base import Answer, Link, Request, VenueConfig

WRITE_EVERY_S: Final = 0.25
WRITE_BYTES: Final = 1 << 20
"""A write takes at most about so much, so that frames stay small enough to seek by."""
QUEUE_MAX: Final = 32 << 20
"""Bytes that may wait for the disk."""
RETRY_NS: Final = 10_000_000_000
"""After a failed write nothing is tried for so long."""

log = get_logger("feeds")


class Capture:
    """The waiting room in front of the disk; every method returns at once."""

    def __init__(self, writer: SegmentWriter, *, feed: str, clock: Clock, secrets: Iterable[str] = ()) -> None:
        """``secrets`` are overwritten wherever they stand in what we send."""
        self._writer = writer
        self._feed = feed
        self._clock = clock
        self._redact = Hider(secrets)
        self._items: deque[Item] = deque()
        self._size = 0
        self._numbers: dict[str, int] = {}
        self._failed_ns = 0
        self._unsaid = 0
        """Lost lines that no line tells of yet."""
        self.lost = 0
        """Lines that were not written, so far."""
        self.written = 0
        """Bytes on disk, so far."""

    def watch(self) -> None:
        """Publish the waiting room as a metric; once per process and feed."""
        metrics.watch_queue(
            f"feeds.{self._feed}.capture", bound=QUEUE_MAX, depth=lambda: self._size, drops=lambda: self.lost
        )

    def opened(self, link: Link, now_ns: int) -> None:
        """A link is open."""
        self._numbers[link.name] = self._numbers.get(link.name, 0) + 1
        address = self._redact(link.target.encode()).decode()
        parts = {"conn": self._conn(link.name), "addr": address, "link": link.name, "transport": link.transport}
        self._put(now_ns, "connect", _head(**parts))

    def closed(self, link: str, now_ns: int, reason: str) -> None:
        """A link is closed."""
        self._put(now_ns, "close", _head(conn=self._conn(link), reason=reason))

    def received(self, link: str, chunks: list[bytes], now_ns: int, *, text: bool) -> None:
        """What a read of a link brought."""
        head = _head(conn=self._conn(link))
        for chunk in chunks:
            self._put(now_ns, "recv", head, chunk, text=text)

    def sent(self, link: str, data: bytes, now_ns: int, *, text: bool) -> None:
        """What is sent over a link."""
        self._put(now_ns, "send", _head(conn=self._conn(link)), self._redact(data), text=text)

    def answered(self, request: Request, answer: Answer) -> None:
        """A REST answer."""
        parts: dict[str, object] = {"url": self._redact(request.url.encode()).decode(), "status": answer.status}
        if answer.etag is not None:
            parts["etag"] = answer.etag
        head = _head(conn=f"{self._feed}.http", **parts, purpose=request.purpose)
        self._put(answer.received_ns, "http", head, answer.body, text=True)

    async def run(self) -> None:
        """Write what waits, again and again, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits."""
        while self._items:
            await self._write(self._take())

    def _take(self) -> list[Item]:
        items: list[Item] = []
        size = 0
        if self._unsaid:
            head = _head(conn=self._feed, count=self._unsaid)
            items.append((self._items[0][0], "lost", (head, b"", False)))
        while self._items and size < WRITE_BYTES:
            item = self._items.popleft()
            size += _weight(item)
            items.append(item)
        self._size -= size
        return items

    async def _write(self, items: list[Item]) -> None:
        now_ns = self._clock()
        count = sum(kind != "lost" for _, kind, _ in items)
        if self._failed_ns and now_ns - self._failed_ns < RETRY_NS:
            self._lose(count)
            return
        try:
            self.written += await asyncio.to_thread(self._writer.write, items)
        except OSError as wrong:
            self._failed_ns = now_ns
            self._lose(count)
            log.error(  # noqa: TRY400  the text says all
                "capture cannot be written",
                feed=self._feed,
                error=str(wrong),
                lost=self.lost,
                next=f"tried again after {RETRY_NS // 1_000_000_000} s; the feed goes on",
            )
        else:
            self._failed_ns = 0
            if items[0][1] == "lost":
                self._unsaid = 0

    def _lose(self, count: int) -> None:
        self.lost += count
        self._unsaid += count

    def _put(self, ts_ns: int, kind: str, head: str, payload: bytes = b"", *, text: bool = False) -> None:
        item = (ts_ns, kind, (head, payload, text))
        weight = _weight(item)
        if self._size + weight > QUEUE_MAX:
            self._lose(1)
            return
        self._items.append(item)
        self._size += weight

    def _conn(self, link: str) -> str:
        return f"{self._feed}.{link}.{self._numbers.get(link, 0)}"


def open_capture(feed: str, config: FeedConfig, folder: Path, *, clock: Clock) -> Capture:
    """Make ready to capture a feed: into the folder of its config, else into ``folder``.

    Raises:
        UsageError: nothing can be written there.
    """
    place = Path(config.capture_folder) if config.capture_folder else folder
    writer = SegmentWriter(
        place,
        feed=feed,
        venue=config.venue,
        segment_max=config.capture_segment_max,
        disk_max=config.capture_max,
        settings=told_settings(config),
    )
    try:
        writer.prepare()
    except OSError as wrong:
        raise UsageError(
            f"feeds.{feed}.capture: cannot write to {place}: {wrong.strerror or wrong}; the feed does not start"
        ) from wrong
    return Capture(writer, feed=feed, clock=clock, secrets=(config.password,))


def told_settings(config: VenueConfig) -> dict[str, object]:
    """What the venue's part of a feed's table says beyond the defaults; never the password."""
    fields = msgspec.structs.fields(VenueConfig)
    told = {each.name: getattr(config, each.name) for each in fields if each.name != "password"}
    return {each.name: told[each.name] for each in fields if each.name in told and told[each.name] != each.default}


def _head(**parts: object) -> str:
    return "".join(f',"{name}":{msgspec.json.encode(value).decode()}' for name, value in parts.items())


def _weight(item: Item) -> int:
    """Bytes that a line takes while it waits, about."""
    return len(item[2][1]) + 200
