"""The whole PITCH feed against the simulated exchange: its lines, its gap request server, its spin server."""

import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.feeds.levels import every_other, wrong_levels
from tests.feeds.peers import until
from tests.feeds.test_simulated import Running, running

from tickcast.model.record import Flag, Kind, State
from tickcast.sim import config as sim
from tickcast.sim.faults import Fault
from tickcast.sim.pitch.dialect import PitchDialect
from tickcast.sim.server import Simulator
from tickcast.sim.truth import venue_truth
from tickcast.venues.bats.session import BatsSession


def free_ports(count: int) -> list[str]:
    """UDP addresses that nobody uses now."""
    with contextlib.ExitStack() as held:
        socks = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{sock.getsockname()[1]}" for sock in socks]


class Market:
    """A simulated BATS and a feed of it."""

    def __init__(self, simulator: Simulator, feed: Running) -> None:
        self.engine = simulator.engines["BATS"]
        assert isinstance(self.engine.dialect, PitchDialect)
        self.dialect = self.engine.dialect
        self.feed = feed
        self.watched = every_other("BATS", self.dialect)
        self.watch(self.watched)

    def watch(self, instruments: set[int]) -> None:
        """Books that somebody watches from now on."""
        self.watched = instruments
        assert self.feed.publisher.books is not None
        self.feed.publisher.books(instruments)

    def wrong_levels(self) -> list[str]:
        return wrong_levels(self.dialect, self.feed.publisher.batches, self.feed.definitions, self.watched)

    @property
    def session(self) -> BatsSession:
        session = self.feed.feed._session
        assert isinstance(session, BatsSession)
        return session

    def is_live(self) -> bool:
        states = self.feed.states()
        units = [self.session.phase(unit) for unit in self.dialect.units]
        return set(units) == {"live"} and not set(states.values()) & {State.GAP, State.SYNCING, State.UNVERIFIED}

    def wrong(self) -> list[str]:
        """Symbols whose last quotes are not those of the exchange."""
        quotes: dict[tuple[int, int], tuple[Any, Any] | None] = {}
        for row in self.feed.rows:
            if row.kind in {Kind.BID, Kind.ASK}:
                quotes[row.instrument, row.kind] = None if row.flags & Flag.NO_PRICE else (row.price, row.size)
        keys = {one.symbol: key for key, one in self.feed.definitions.items()}
        found = []
        for symbol, truth in venue_truth(self.dialect).items():
            for kind, name in ((Kind.BID, "bid"), (Kind.ASK, "ask")):
                told = quotes.get((keys.get(symbol, 0), kind))
                true = truth[name], truth[f"{name}_size"]
                if (None if told is None else (float(told[0]), float(told[1]))) != (
                    None if true[0] is None else (float(true[0]), float(true[1]))
                ):
                    found.append(symbol)
        return found

    async def settle(self) -> None:
        """Stop the market, wait until the feed shows what is true."""
        self.dialect.faults.clear()
        self.engine.paused = True
        try:
            await until(lambda: self.is_live() and not self.wrong() and not self.wrong_levels())
        except TimeoutError:
            wrong = self.wrong() + self.wrong_levels()
            pytest.fail(f"wrong: {wrong}; states {self.feed.states().values()}; {self.session.arbiter.holes()}")

    def check_trades(self) -> None:
        idents = [row.ident for trades in self.feed.trades().values() for row in trades]
        assert len(idents) == len(set(idents))


@contextlib.asynccontextmanager
async def market(**settings: Any) -> AsyncIterator[Market]:
    a, b, *gap_lines = free_ports(4)
    venue = {"dialect": "pitch", "lines_a": [a], "lines_b": [b], "gap_lines": gap_lines, "units": 3}
    simulator = Simulator(
        sim.from_mapping({"symbols": 30, "market": {"halt_every_s": 0}, "venues": {"BATS": {**venue, "rate": 3000.0}}})
    )
    ready = await simulator.start()
    addresses = {key: tuple(one) if isinstance(one, list) else one for key, one in ready["venues"]["BATS"].items()}
    try:
        feed = Running("BATS", **{**addresses, **settings})
        async with running(feed):
            await until(lambda: feed.publisher.books)
            yield Market(simulator, feed)
    finally:
        await simulator.stop()


async def test_a_feed_that_comes_late_begins_with_images_and_shows_what_is_true() -> None:
    async with market() as one:
        await until(one.is_live)
        await one.feed.more_messages(2000)
        await one.settle()
        one.check_trades()
        assert one.feed.feed.health.dead_letters == one.feed.pipeline.dead_letters == one.feed.pipeline.gaps == 0
        assert len(one.feed.definitions) == len(venue_truth(one.dialect))


async def test_books_may_be_watched_and_left_alone_while_an_image_is_awaited() -> None:
    async with market(gap_timeout_ms=50, gap_attempts=1) as one:
        await until(one.is_live)
        every, some = set(one.feed.definitions), one.watched
        for turn in range(4):
            for line in ("A", "B", "gap_A", "gap_B"):
                one.dialect.faults.arm(Fault(fault="drop", line=f"{line}/1", count=5))
            await until(lambda: one.session.phase(1) != "live")
            one.watch(every - some if turn % 2 else some)
            await until(one.is_live)
        await one.settle()
        one.watch(every)
        await one.settle()
        one.watch(set())
        await one.settle()


async def test_what_both_lines_lose_comes_from_the_gap_server() -> None:
    async with market() as one:
        await until(one.is_live)
        for _ in range(5):
            for line in "AB":
                one.dialect.faults.arm(Fault(fault="drop", line=f"{line}/2", count=3))
            await one.feed.more_messages(500)
        await one.settle()
        one.check_trades()
        assert one.dialect.gap.statuses.get("A", 0) >= 1
        ledger = [row for row in one.feed.rows if row.kind == Kind.GAP]
        assert {row.instrument for row in ledger} == {0}, "the unit's entries; no instrument lost anything"
        assert 2 * sum(bool(row.flags & Flag.BACKFILLED) for row in ledger) == len(ledger)
        marked = {row.instrument for row in one.feed.rows if row.kind == Kind.STATUS and row.detail == State.GAP}
        units = {one.session._defined[one.feed.definitions[key].symbol][1] for key in marked}
        assert units == {2}


async def test_what_the_gap_server_does_not_bring_comes_from_an_image() -> None:
    async with market(gap_timeout_ms=50, gap_attempts=2) as one:
        await until(one.is_live)
        for line in ("gap_A", "gap_B"):
            one.dialect.faults.arm(Fault(fault="drop", line=f"{line}/1", for_s=5.0))
        for line in "AB":
            one.dialect.faults.arm(Fault(fault="drop", line=f"{line}/1", count=5))
        await until(lambda: one.feed.pipeline.gaps > 0)
        await until(one.is_live)
        await one.settle()
        one.check_trades()


@pytest.mark.parametrize("verb", ["duplicate", "reorder", "corrupt", "truncate"])
async def test_trouble_on_the_lines_is_repaired(verb: str) -> None:
    async with market() as one:
        await until(one.is_live)
        one.dialect.faults.arm(Fault(fault=verb, every=7, count=60))  # type: ignore[arg-type]
        await one.feed.more_messages(2500)
        await one.settle()


async def test_units_that_begin_anew_are_a_new_session() -> None:
    async with market() as one:
        await until(one.is_live)
        await one.feed.more_messages(6000)  # so that the new numbers stay below the old ones for a while
        before = one.feed.pipeline.session
        one.dialect.faults.arm(Fault(fault="restart"))
        await until(lambda: one.feed.pipeline.session > before)
        await until(one.is_live)
        await one.settle()


async def test_servers_that_cut_their_connections_are_reached_again() -> None:
    async with market() as one:
        await until(one.is_live)
        for _ in range(3):
            one.dialect.faults.arm(Fault(fault="disconnect"))
            for line in "AB":
                one.dialect.faults.arm(Fault(fault="drop", line=f"{line}/3", count=2))
            await one.feed.more_messages(300)
        await one.settle()
        one.check_trades()
