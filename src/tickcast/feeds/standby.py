"""Two processes of one feed: the one that runs hands over to the one that is to take its place.

Theory. The new process connects, subscribes and builds its books while the old one still tells; what it would tell is
held back (:class:`StandbyPublisher`). When it is whole, the old one is asked to end: it lets go of its links, tells
what it has, waits until the core is done with it, and leaves what it told, by the keys of its dedup, in a file
(:class:`HandoverFile`). The new one then tells the newest state of everything, and of the trades that it held those
that the old one did not tell. Each heard everything from its subscriptions on until it let go, so between them nothing
is missing; what both heard is told once.

Where the old one left nothing (it was killed meanwhile), nobody knows which of the held trades it told. None of them is
told then, and the loss is: an entry of the ledger for every instrument.
"""

import os
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np

from tickcast.feeds.kept import header
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Flag, Kind, Records, record_bytes, records_from
from tickcast.ports import Clock, Publisher
from tickcast.runtime.log import get_logger

HELD_MAX: Final = 262_144
"""Rows that are held; beyond it the oldest go: the process that runs told them long ago."""
LEDGER_MAX: Final = 256
TELLING: Final = (Kind.TRADE, Kind.BUST, Kind.CORRECTION, Kind.LIQUIDATION)
"""Told once each; everything else is a state, of which the newest counts."""

log = get_logger("feeds")


class HandoverNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the old process leaves besides what it told."""

    pid: int
    at_ns: int


class HandoverFile:
    """``feeds/NAME.handover``: a line of format, length and CRC-32, then the note's length, the note, what was told."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def write(self, note: HandoverNote, told: bytes) -> None:
        """Leave what was told; written beside and renamed.

        Raises:
            OSError: it cannot be written.
        """
        text = msgspec.json.encode(note)
        body = len(text).to_bytes(4, "little") + text + told
        beside = self.path.with_suffix(".handover.new")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_bytes(header(body) + b"\n" + body)
        beside.replace(self.path)

    def take(self) -> tuple[HandoverNote, bytes] | None:
        """Read and remove it; None = there is none, or it is damaged, which is logged."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as wrong:
            log.warning("what the process before told cannot be read", path=str(self.path), error=str(wrong))
            return None
        self.clear()
        head, _, body = data.partition(b"\n")
        size = int.from_bytes(body[:4], "little")
        try:
            if head != header(body):
                raise ValueError("expected another length or checksum")
            return msgspec.json.decode(body[4 : 4 + size], type=HandoverNote), body[4 + size :]
        except ValueError as wrong:
            log.warning("what the process before told is damaged", path=str(self.path), error=str(wrong))
            return None

    def clear(self) -> None:
        """Remove what was left for nobody."""
        self.path.unlink(missing_ok=True)


class StartingPublisher(Publisher, Protocol):
    """A publisher that connects when it is told to."""

    async def start(self) -> None: ...


class Told(Protocol):
    """What the process before told; ``tickcast._native.Told`` is one."""

    def untold(self, records: bytes) -> list[int]: ...


class StandbyPublisher:
    """Implements :class:`tickcast.ports.Publisher`: holds back until it goes live, then passes on."""

    def __init__(
        self,
        publisher: StartingPublisher,
        feed: str,
        *,
        clock: Clock,
        read: Callable[[bytes], Told],
        held_max: int = HELD_MAX,
    ) -> None:
        """``publisher`` is connected when this goes live; ``read`` reads what the process before told."""
        self._read = read
        self._publisher = publisher
        self._feed = feed
        self._clock = clock
        self._held_max = held_max
        self._held: deque[TickBatch] = deque()
        self._held_rows = 0
        self._state: dict[tuple[int, int], np.void] = {}
        """Newest row of each instrument and measure."""
        self._definitions: dict[int, Definition] = {}
        self._ledger: dict[str, LedgerEntry] = {}
        self._session = 0
        self.is_live = False
        self._on_live: list[Callable[[], Awaitable[None]]] = []
        self.takes_over = 0
        """Process that handed over to this one in order; 0 = none."""

    @property
    def conflated(self) -> int:
        """Rows merged away because the bus was full, so far."""
        return self._publisher.conflated

    async def publish(self, batch: TickBatch) -> None:
        """Hand a batch over, or hold what of it must be told."""
        if self.is_live:
            await self._publisher.publish(batch)
        else:
            self._hold(batch)

    async def report(self, health: FeedHealth) -> None:
        """Tell the health, once live; nobody is to hear of two processes."""
        if self.is_live:
            await self._publisher.report(msgspec.structs.replace(health, takes_over=self.takes_over))

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """See the port."""
        self._publisher.on_refresh(refresh)

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """See the port."""
        self._publisher.on_watched(watched)

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """See the port."""
        self._publisher.on_books(books)

    async def close(self) -> None:
        """Wait for acknowledgements, if there can be any."""
        if self.is_live:
            await self._publisher.close()

    def on_live(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call when this goes live: what only one of two processes may do."""
        self._on_live.append(call)

    # ------------------------------------------------------------------ what is held

    def _hold(self, batch: TickBatch) -> None:
        self._session = batch.session
        self._definitions.update((one.instrument, one) for one in batch.definitions)
        self._ledger.update((one.id, one) for one in batch.ledger)
        while len(self._ledger) > LEDGER_MAX:
            self._ledger.pop(next(iter(self._ledger)))
        kinds = batch.records["kind"]
        for row in batch.records[(kinds >= Kind.MARK) & (kinds != Kind.LIQUIDATION)]:
            self._state[int(row["instrument"]), int(row["kind"])] = row.copy()
        telling = np.flatnonzero(np.isin(kinds, TELLING))
        if not len(telling):
            return
        texts = None if batch.texts is None else tuple(batch.texts[place] for place in telling.tolist())
        held = TickBatch(self._feed, batch.session, batch.records[telling].copy(), (), texts, batch.hops)
        self._held.append(held)
        self._held_rows += len(held.records)
        while self._held_rows > self._held_max and len(self._held) > 1:
            self._held_rows -= len(self._held.popleft().records)

    # ------------------------------------------------------------------ going live

    async def go_live(self, left: tuple[HandoverNote, bytes] | None, state: TickBatch | None) -> int:
        """Connect, tell the newest state and what the process before did not tell; returns how many rows that were.

        ``left``: what it left (None: nothing). ``state``: the pipeline's newest state.
        """
        batches = [self._newest(state)]
        told = None if left is None else self._read_told(left[1])
        if left is not None and told is not None:
            self.takes_over = left[0].pid
            batches += [found for held in self._held if (found := self._untold(held, told)) is not None]
        else:
            batches[0].ledger = (*batches[0].ledger, self._loss())
        untold = sum(len(batch.records) for batch in batches[1:])
        self._held.clear()
        self._held_rows = 0
        self._state.clear()
        await self._publisher.start()
        for batch in batches:
            await self._publisher.publish(batch)
        self.is_live = True
        for call in self._on_live:
            await call()
        return untold

    def _newest(self, state: TickBatch | None) -> TickBatch:
        rows = [] if state is None else [state.records[state.records["kind"] != Kind.TRADE]]
        if self._state:
            measures = np.array(list(self._state.values()))
            measures["flags"] |= np.uint16(Flag.LAST_OF_EVENT)
            rows.append(measures)
        records = np.concatenate(rows) if rows else records_from(b"")
        definitions = tuple(self._definitions.values()) if state is None else state.definitions
        return TickBatch(self._feed, self._session, records, definitions, ledger=tuple(self._ledger.values()))

    def _read_told(self, told: bytes) -> Told | None:
        try:
            return self._read(told)
        except ValueError as wrong:
            log.warning("what the process before told cannot be read", error=str(wrong))
            return None

    def _untold(self, held: TickBatch, told: Told) -> TickBatch | None:
        places = told.untold(bytes(record_bytes(held.records)))
        if not places:
            return None
        records: Records = held.records[places].copy()
        records["flags"] |= np.uint16(Flag.LAST_OF_EVENT)
        texts = None if held.texts is None else tuple(held.texts[place] for place in places)
        return TickBatch(self._feed, held.session, records, (), texts, held.hops)

    def _loss(self) -> LedgerEntry:
        now_ns = self._clock()
        names = tuple(one.name for one in self._definitions.values())
        return LedgerEntry(
            id=f"{self._feed}-{self._session}-takeover",
            feed=self._feed,
            venue=next(iter(self._definitions.values())).venue if self._definitions else "",
            kind="gap",
            scope="venue",
            reason="the process before ended without saying what it had told: trades of that moment may be missing",
            began_ns=now_ns,
            ended_ns=now_ns,
            instruments=names[:100],
            instruments_count=len(names),
        )


def leave(path: Path, told: bytes, *, now_ns: int) -> bool:
    """Leave what this process told for the one that takes over; False: it cannot be written, which is logged."""
    try:
        HandoverFile(path).write(HandoverNote(pid=os.getpid(), at_ns=now_ns), told)
    except OSError as wrong:
        log.exception("cannot leave what was told for the process that takes over", path=str(path), error=str(wrong))
        return False
    return True
