"""Peers for the shell's tests: loopback servers that are scripted, a session of our own, a publisher that remembers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.ledger import Incident
from tickcast.model.record import records_from
from tickcast.runtime.clock import now_ns
from tickcast.venues import rows
from tickcast.venues.base import Answer, Link, Request, Step

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WAIT_S = 30.0


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Poll with a deadline."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


@contextlib.asynccontextmanager
async def serving(handler: Handler, port: int = 0) -> AsyncIterator[int]:
    """A TCP server on loopback; gives its port, and closes every connection at the end."""
    writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()
        writers.discard(writer)

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await asyncio.sleep(0)


class LineSession:
    """A venue of numbered lines: ``7`` is trade 7; ``drop``, ``refuse`` and ``junk`` do what they say."""

    def __init__(self, links: Sequence[Link] = (), requests: Sequence[Request] = ()) -> None:
        self._links = list(links)
        self._requests = list(requests)
        self._tails: dict[str, bytes] = {}
        self.events: list[str] = []
        self.answers: list[Answer] = []
        self.wake_ns = 0
        self.beats = 0

    def start(self, now: int) -> Step:
        del now
        return Step(links=self._links, requests=self._requests)

    def opened(self, link: str, now: int) -> Step:
        self.events.append(f"opened {link}")
        self._tails[link] = b""
        if self.beats:
            self.wake_ns = now
        return Step(send=[(link, b"hello")], new_session=self.events.count(f"opened {link}") > 1)

    def closed(self, link: str, now: int) -> Step:
        del now
        self.events.append(f"closed {link}")
        self.wake_ns = 0
        return Step()

    def wake(self, now: int) -> Step:
        self.beats -= 1
        self.wake_ns = now + 20_000_000 if self.beats > 0 else 0
        return Step(send=[("tape", b"beat")])

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        step = Step()
        for chunk, ts_recv in zip(chunks, times, strict=True):
            *lines, self._tails[link] = (self._tails[link] + chunk).split(b"\n")
            for line in lines:
                step.messages += 1
                if line == b"drop":
                    step.drop[link] = "asked to"
                elif line.startswith(b"unlisted "):
                    step.unlisted.extend(line.decode().split()[1:])
                elif line == b"refuse":
                    step.refused[link] = "refused for good"
                elif line.isdigit():
                    step.records.append(trade(int(line), ts_recv))
                else:
                    step.bury("no number", line)
        return step

    def answered(self, request: Request, answer: Answer) -> Step:
        self.answers.append(answer)
        if answer.body.startswith(b"<"):
            step = Step(repeat=[request])
            step.bury("no number", answer.body)
            return step
        return Step(messages=1, records=[trade(int(answer.body), answer.received_ns)])


def trade(number: int, ts_recv: int) -> bytes:
    """A trade whose id is the number."""
    return rows.trade(1, (1, 0), (1, 0), ident=number, side=0, seq=0, ts_event=ts_recv, ts_recv=ts_recv)


class Through:
    """A normaliser that passes everything on."""

    gaps = 0
    dead_letters = 0
    duplicates = 0

    def __init__(self) -> None:
        self.session = 1
        self.incidents: list[Incident] = []
        self.told: list[str] = []

    def unlinked(self, link: str, reason: str, now_ns: int) -> None:
        assert now_ns
        self.told.append(f"-{link}: {reason}")

    def linked(self, link: str, now_ns: int) -> None:
        assert now_ns
        self.told.append(f"+{link}")

    def take_lead(self) -> int | None:
        return None

    def settle(self, now_ns: int) -> list[TickBatch]:
        assert now_ns
        return []

    def state(self) -> TickBatch:
        return TickBatch(feed="f", session=self.session)

    def keys(self) -> bytes:
        return b""

    def accept(
        self,
        records: bytes,
        *,
        received_ns: int,
        decoded_ns: int,
        definitions: Sequence[Definition] = (),
        texts: Mapping[int, str] | None = None,
        new_session: bool = False,
        incidents: Sequence[Incident] = (),
    ) -> list[TickBatch]:
        self.incidents.extend(incidents)
        assert not texts
        assert received_ns <= decoded_ns
        self.session += new_session
        batch = TickBatch(feed="f", session=self.session, records=records_from(records), definitions=tuple(definitions))
        return [batch] if records else []

    def refresh(self) -> TickBatch | None:
        return None


class Remembering:
    """A publisher that keeps what it got; ``gate`` closed = the bus has no room."""

    conflated = 0

    def __init__(self) -> None:
        self.batches: list[TickBatch] = []
        self.health: list[FeedHealth] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refresh: Callable[[], TickBatch | None] | None = None
        self.watched: Callable[[Mapping[int, int]], None] | None = None
        self.books: Callable[[Collection[int]], None] | None = None
        self.books_at_first: Collection[int] = ()
        """Whose book is watched when the feed asks."""

    async def publish(self, batch: TickBatch) -> None:
        await self.gate.wait()
        self.batches.append(batch)

    async def report(self, health: FeedHealth) -> None:
        self.health.append(health)

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        self.refresh = refresh

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        self.watched = watched

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        self.books = books
        books(self.books_at_first)

    async def close(self) -> None:
        return

    @property
    def numbers(self) -> list[int]:
        """Ids of the trades, in order."""
        return [int(number) for batch in self.batches for number in batch.records["id"]]


__all__ = ["LineSession", "Remembering", "Through", "now_ns", "serving", "trade", "until"]
