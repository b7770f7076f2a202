"""Everything once more, late: the line that keeps batches back, and the hub that they come to.

The hub is a hub like the other one, applied by the same stage from the same batches, on a clock that is as far behind
as they are; so sessions roll, feeds fall silent and books are proved when that is seen, and not before. What an
instrument is (its definition) is no price and is known at once.

Which books a feed tells depends on who watches them now; late, there are those that were watched then.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from tickcast import _native
from tickcast.bus.delay import DelayLine, LinePast
from tickcast.config import Config
from tickcast.fanout.link import LinkServer
from tickcast.fanout.stage import FanoutStage
from tickcast.gateway.owner import OwnerClient
from tickcast.gateway.stage import LateHub
from tickcast.gateway.timestamps import timestamp
from tickcast.latest.board import FeedBoard
from tickcast.latest.registry import InstrumentRegistry
from tickcast.latest.stage import LatestStage
from tickcast.model.batch import TickBatch
from tickcast.model.errors import StateError
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.record import State
from tickcast.ports import Clock, Flush
from tickcast.runtime.clock import monotonic_ns, now_ns, steady_ns
from tickcast.runtime.log import get_logger

NS: Final = 1_000_000_000

log = get_logger("app")


def late_clock(config: Config) -> Clock:
    """Return the clock of those who see everything late; it is never set."""
    delay_ns = int(config.gateway.auth.delay_s * NS)
    return lambda: steady_ns() - delay_ns


def late_reason(config: Config) -> str:
    """Say why nothing is live to those who see everything late."""
    return f"everything is {config.gateway.auth.delay_s:g} s late"


def begin_reason(config: Config, began_ns: int) -> str:
    """Say why nothing is shown to them until one delay after the core began."""
    delay_s = config.gateway.auth.delay_s
    first = timestamp(began_ns + int(delay_s * NS))
    return f"everything is {delay_s:g} s late, and what this core has begins to show at {first}"


class LatePast(msgspec.Struct, frozen=True, kw_only=True):
    """What a late half leaves for the one that takes its place: without it a book would go on without its beginning."""

    hub: bytes
    """As ``_native.Hub.save`` writes it."""
    definitions: tuple[Definition, ...]
    feeds: tuple[FeedHealth, ...]
    line: LinePast
    ahead_ns: int
    """How far its clock was ahead of the machine's, which all processes have in common."""
    delay_s: float


class Late:
    """The late half of a core; it listens to the same bus."""

    def __init__(self, config: Config, hub: _native.Hub, folder: Path) -> None:
        """``folder`` takes what is kept back."""
        auth = config.gateway.auth
        self.delay_s: Final = auth.delay_s
        self.hub: Final = hub
        self.clock: Final = late_clock(config)
        self.registry: Final = InstrumentRegistry()
        delay_ns = int(auth.delay_s * NS)
        self._board = FeedBoard(
            {name: feed.venue for name, feed in config.feeds.items()},
            silent_ns=int(config.latest.feed_silent_s * NS),
            now_ns=self.clock(),
            unheard=(State.SYNCING, begin_reason(config, now_ns())),
        )
        self._line = DelayLine(folder, delay_ns=delay_ns, bytes_max=auth.delay_bytes_max, clock=steady_ns)
        self._latest = LatestStage(
            bus=self._line,
            state=hub,
            registry=self.registry,
            board=self._board,
            clock=lambda: now_ns() - delay_ns,
            applied=lambda batch: self._fanout.applied(batch),  # noqa: PLW0108  made below
            steady=self.clock,
        )
        self.deliver: Callable[[Flush], None] = lambda _flushed: None
        """What a flush left to do; set by who holds the clients."""
        self._fanout = FanoutStage(
            hub,
            clock=self.clock,
            wall=now_ns,
            deliver=lambda flushed: self.deliver(flushed),  # noqa: PLW0108  set later
            measure=lambda _hop, _ns: None,
            config=config.fanout,
        )
        self.links: LinkServer | None = None

    def link(self, path: Path) -> None:
        """Serve gateway workers instead of clients."""
        self.links = LinkServer(self.hub, path, clock=self.clock, wake=self.wake, directory=self.registry)
        self.deliver = self.links.deliver

    def take_over(self, past: LatePast) -> bool:
        """Go on where another late half stopped, before the start; False: it knows nothing, and the log says why."""
        try:
            if past.delay_s != self.delay_s:
                raise StateError(f"expected a delay of {self.delay_s:g} s, found {past.delay_s:g}")
            self._line.take_over(past.line, ahead_ns=steady_ns() - monotonic_ns() - past.ahead_ns)
            self.hub.restore(past.hub)
        except (StateError, ValueError) as wrong:
            log.warning("late prices begin anew: what the core before kept back is of no use", error=str(wrong))
            self._line.forget()
            return False
        self._latest.adopt(past.definitions)
        for health in past.feeds:
            self._board.report(health, self.clock())
        return True

    async def hand_over(self) -> LatePast | None:
        """Stop, and leave what is known and kept back for the core that takes over; None: it must begin anew."""
        await self._latest.freeze()
        line = await self._line.hand_over()
        if line is None:
            return None
        return LatePast(
            hub=self.hub.save(),
            definitions=self.registry.definitions,
            feeds=self._board.reports(),
            line=line,
            ahead_ns=steady_ns() - monotonic_ns(),
            delay_s=self.delay_s,
        )

    @property
    def shown(self) -> LateHub:
        """What a gateway in this process serves."""
        return LateHub(self.hub, self.clock, self.wake, self.delay_s, self.registry)

    def put(self, batch: TickBatch) -> None:
        """Take in a batch that is applied to the newest state."""
        if not batch.feed:
            return
        if batch.definitions:
            self._latest.adopt(batch.definitions)
        self._line.put(batch)

    def feed_health(self, health: FeedHealth) -> None:
        """Take in what a feed reports."""
        self._line.feed_health(health)

    def feed_lost(self, feed: str, reason: str) -> None:
        """Take in that a feed is gone."""
        self._line.feed_lost(feed, reason)

    def wake(self) -> None:
        """Flush soon."""
        self._fanout.flush()

    @property
    def failure(self) -> BaseException | None:
        """Why it broke, if it did."""
        return self._latest.failure

    async def start(self) -> None:
        """Begin, with an empty line or what was taken over."""
        await self._line.start()
        await self._latest.start()
        if self.links is not None:
            await self.links.start()

    async def stop(self) -> None:
        """End, and forget what was kept back."""
        await self._latest.stop()
        await self._line.stop()
        self._fanout.stop()
        if self.links is not None:
            await self.links.stop()


class WorkerLate:
    """What a gateway worker serves those from who see everything late: a hub of its own, linked to the core's."""

    def __init__(self, config: Config, hub: _native.WorkerHub, path: Path, name: str, *, symbols_max: int) -> None:
        """``path`` is where the core's late hub is linked to, ``name`` the worker's."""
        clock = late_clock(config)
        self._deliver: Callable[[Flush], None] = lambda _flushed: None
        self._owner = OwnerClient(
            hub,
            path,
            name=name,
            clock=clock,
            wake=lambda: self._fanout.flush(),  # noqa: PLW0108  made below
            notes=lambda _texts, _is_whole: None,
            lost=lambda _reason: None,
            symbols_max=symbols_max,
        )
        self._fanout = FanoutStage(
            hub,
            clock=clock,
            wall=now_ns,
            deliver=lambda flushed: self._deliver(flushed),  # noqa: PLW0108  set later
            measure=lambda _hop, _ns: None,
            config=config.fanout,
        )
        delay_s = config.gateway.auth.delay_s
        self.shown: Final = LateHub(hub, clock, self._fanout.flush, delay_s, self._owner, self._owner)

    async def start(self, deliver: Callable[[Flush], None]) -> None:
        """Link to the core; ``deliver`` gets what a flush left to do."""
        self._deliver = deliver
        await self._owner.start()

    async def stop(self) -> None:
        """Let go of the link."""
        await self._owner.stop()
        self._fanout.stop()
