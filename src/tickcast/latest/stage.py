"""The shell of ``latest``: takes batches off the bus, applies them to the newest state, and tells the fan-out.

It also keeps the clock side of that state: session rolls, and feeds that fall silent or die.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from tickcast.latest.board import FeedBoard
from tickcast.latest.calendar import session_starts
from tickcast.latest.ledger import CoreLedger
from tickcast.latest.registry import InstrumentRegistry
from tickcast.latest.watched import WatchedBoard
from tickcast.model.batch import TickBatch
from tickcast.model.errors import TickcastError
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.record import record_bytes
from tickcast.ports import Bus, Clock, Delivery
from tickcast.runtime.log import get_logger
from tickcast.runtime.metrics import counter
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("latest")

_records = counter("latest_records", "Records applied to the newest state.")
_late = counter("latest_late_trades", "Trades older than the current one by event time.")
_unknown = counter("latest_unknown_records", "Records of instruments that no definition went before: dead letters.")
_TICK_S = 0.25
_WATCHED_NS = 250_000_000
"""Feeds are told so often at most what is watched of them."""
_SETTLED_NS = 10_000_000_000
"""Clients of a core before this one are back after so long: what nobody watches then is nobody's."""


class _Applied(Protocol):
    @property
    def unknown(self) -> int: ...
    @property
    def late(self) -> int: ...


class NewestState(Protocol):
    """What this stage needs of the state behind the fan-out; ``tickcast._native.Hub`` is one."""

    def define(self, definitions: Sequence[object], now_ns: int) -> int: ...
    def set_calendar(self, name: str, starts: Sequence[int], wall_clock: bool) -> None: ...  # noqa: FBT001  native signature
    def apply(self, records: memoryview, now_ns: int, texts: Sequence[str | None] | None = None) -> _Applied: ...
    def set_feed_state(self, feed: str, state: int, reason: str, now_ns: int) -> int: ...
    def set_feed_clock(self, feed: str, ahead_ns: int) -> None: ...
    def tick(self, now_ns: int) -> None: ...
    def watched(self) -> list[tuple[str, int]]: ...
    def watched_books(self) -> list[str]: ...


class LatestStage:
    """Consumes the bus as group ``latest``."""

    def __init__(
        self,
        *,
        bus: Bus,
        state: NewestState,
        registry: InstrumentRegistry,
        board: FeedBoard,
        clock: Clock,
        applied: Callable[[TickBatch], None],
        ledger: CoreLedger | None = None,
        steady: Clock | None = None,
    ) -> None:
        """``applied`` is called once for each batch, right after it changed the state.

        ``steady`` is what state and board are told as now: a clock that is never set (default: ``clock``).
        """
        self._bus = bus
        self._state = state
        self._registry = registry
        self._board = board
        self._clock = clock
        self._steady = steady or clock
        self._applied = applied
        self._ledger = ledger
        self._watched = WatchedBoard(registry)
        self._watched_ns = 0
        self._started_ns = clock()
        self._calendars: dict[str, int] = {}
        self._tasks = TaskGroupOwner("latest")

    def adopt(self, definitions: Sequence[Definition]) -> None:
        """Know instruments that the state knows already: those of the core whose place this one takes."""
        self._define(definitions, self._clock())

    async def start(self) -> None:
        """Join the bus and begin to consume."""
        if self._ledger is not None:
            self._ledger.start(self._clock())
        self._bus.listen(self)
        subscription = self._bus.subscribe("latest")

        async def consume() -> None:
            while batch := await subscription.take():
                await self._work_off(batch)

        self._tasks.spawn(consume(), "consume")
        self._tasks.spawn(self._watch_the_clock(), "clock")

    async def freeze(self) -> None:
        """Let nothing change any more: neither batches nor the clock."""
        await self._tasks.stop()

    async def stop(self) -> None:
        """Stop consuming; what was not acknowledged stays on the bus."""
        await self._tasks.stop()
        if self._ledger is not None:
            self._ledger.stop(self._clock())

    @property
    def failure(self) -> BaseException | None:
        """Why a task of this stage ended, if one did."""
        return self._tasks.failure

    def feed_health(self, health: FeedHealth) -> None:
        """A feed reported."""
        self._board.report(health, self._steady())
        if health.clock is not None:
            self._state.set_feed_clock(health.name, round(health.clock.certain_ms * 1e6))
        if self._ledger is not None:
            self._ledger.feed_health(health, self._clock())
        self._judge_feeds()

    def feed_lost(self, feed: str, reason: str) -> None:
        """A feed's process is gone."""
        self._board.lost(feed, reason, self._steady())
        self._judge_feeds()

    async def _work_off(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            try:
                self.apply(delivery.batch)
            except (ValueError, TickcastError) as wrong:
                log.warning("batch rejected", feed=delivery.batch.feed, error=str(wrong))
                delivery.reject(str(wrong))
            else:
                delivery.ack()
        # let sockets and timers have their turn even when the bus never runs dry
        await asyncio.sleep(0)

    def apply(self, batch: TickBatch) -> None:
        """Apply one batch to the state."""
        now = self._clock()
        self._board.heard(batch.feed, self._steady(), batch.hops.bus_out - batch.hops.bus_in)
        if batch.definitions:
            self._define(batch.definitions, now)
        if len(batch.records):
            result = self._state.apply(record_bytes(batch.records), self._steady(), batch.texts)
            _records.inc(len(batch.records))
            if result.late:
                _late.inc(result.late)
            if result.unknown:
                # the feeds hold records back until they are defined, so this is a fault, not a race
                _unknown.inc(result.unknown)
                log.error("records without a definition", feed=batch.feed, records=result.unknown)
        if self._ledger is not None:
            self._ledger.batch(batch, now)
        self._applied(batch)

    def _define(self, definitions: Sequence[Definition], now: int) -> None:
        news = self._registry.add(definitions)
        if not news:
            return
        for definition in news:
            self._learn_calendar(definition.calendar, now)
        self._state.define(news, self._steady())

    def _learn_calendar(self, name: str, now: int) -> None:
        """A calendar around a fixed day, for replays, rolls by event time only."""
        day = now // 86_400_000_000_000
        if self._calendars.get(name) == day:
            return
        self._calendars[name] = day
        self._state.set_calendar(name, session_starts(name, now), "@" not in name)

    async def _watch_the_clock(self) -> None:
        while True:
            now = self._clock()
            for name in list(self._calendars):
                self._learn_calendar(name, now)
            self._state.tick(self._steady())
            self._judge_feeds()
            if self._ledger is not None:
                self._ledger.tick(now)
            if not 0 <= now - self._watched_ns < _WATCHED_NS:
                self._watched_ns = now
                changes = self._watched.changes(
                    self._state.watched(), self._state.watched_books(), everyone=now - self._started_ns >= _SETTLED_NS
                )
                for feed, watch in changes.items():
                    self._bus.watch(feed, watch.counts, watch.books)
            await asyncio.sleep(_TICK_S)

    def _judge_feeds(self) -> None:
        now = self._clock()
        changed = False
        for verdict in self._board.verdicts(self._steady()):
            topics = self._state.set_feed_state(verdict.feed, verdict.state, verdict.reason, self._steady())
            log.info("feed state", feed=verdict.feed, state=verdict.state.name, reason=verdict.reason, topics=topics)
            if self._ledger is not None:
                is_gone = self._board.is_gone(verdict.feed)
                self._ledger.feed_state(verdict.feed, verdict.state, verdict.reason, now, is_gone=is_gone)
            changed = True
        if changed:
            self._applied(TickBatch("", 0))
