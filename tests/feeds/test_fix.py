"""The FIX feed against the simulated exchange: books equal to its truth, also after every fault it can make."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.feeds.levels import every_other, wrong_levels
from tests.feeds.peers import Remembering, now_ns, until
from tests.venues.decoding import Row, rows

from tickcast.feeds.config import FeedConfig
from tickcast.feeds.kept import KeptFile
from tickcast.feeds.stage import Feed
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, State
from tickcast.normalise.pipeline import Pipeline
from tickcast.sim import config as sim
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import Fault, Verb
from tickcast.sim.fix.dialect import FixDialect, create
from tickcast.sim.truth import venue_truth
from tickcast.sim.universe import build
from tickcast.venues.registry import open_session
from tickcast.venues.xnys.session import XnysSession

RIGHT = {"username": "reader", "password": "right"}


class Exchange:
    """The simulated XNYS on the real clock, whose flow the test may stop."""

    def __init__(self, **options: Any) -> None:
        market = sim.MarketConfig(halt_every_s=options.pop("halt_every_s", 0.0))
        config = sim.Config(seed=11, symbols=20, rate=20_000, market=market)
        settings = sim.FixConfig(**{"break_every_s": 0.3, **options})
        self._settings, self._config = settings, config
        start = now_ns()
        self.dialect: FixDialect = create("XNYS", settings, config, build(config), start, now_ns)
        self.engine = VenueEngine(self.dialect, rate=800.0, quantum_ms=10.0, start_ns=start)
        self.address = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.address = (await self.dialect.start())["address"]
        self.run()

    def run(self) -> None:
        self._task = asyncio.create_task(self._flow())

    async def halt(self) -> None:
        """No event any more: what is true stays true."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def stop(self) -> None:
        await self.halt()
        await self.dialect.stop()

    async def _flow(self) -> None:
        while True:
            self.engine.advance(now_ns())
            await asyncio.sleep(0.01)


class Following:
    """The feed, what it published, and the books it ended with."""

    def __init__(self, address: str, folder: Path, **settings: Any) -> None:
        self.config = FeedConfig(
            venue="XNYS", address=address, backoff_min_ms=5, backoff_max_ms=50, gap_timeout_ms=300, **settings
        )
        session = open_session("nyse", self.config, {})
        assert isinstance(session, XnysSession)
        self.session = session
        kept = KeptFile(folder / "feeds" / "nyse.kept")
        if (state := kept.read()) is not None:
            session.restore(state)
        self.publisher = Remembering()
        self.watched: set[int] = set()
        """Instruments whose book is watched."""
        self.pipeline = Pipeline("nyse")
        self.feed = Feed(
            "nyse",
            config=self.config,
            session=session,
            normaliser=self.pipeline,
            publisher=self.publisher,
            clock=now_ns,
            jitter=random.Random(1).random,
            kept=kept,
        )

    @property
    def rows(self) -> list[Row]:
        return rows(b"".join(batch.records.tobytes() for batch in self.publisher.batches))

    def definitions(self) -> dict[int, Definition]:
        return {one.instrument: one for batch in self.publisher.batches for one in batch.definitions}

    def names(self) -> dict[int, str]:
        return {key: one.symbol for key, one in self.definitions().items()}

    def states(self) -> dict[int, State]:
        return {row.instrument: State(row.detail) for row in self.rows if row.kind == Kind.STATUS}

    def is_live(self) -> bool:
        states = set(self.states().values())
        return self.feed.health.state == "connected" and states == {State.LIVE}

    def trades(self) -> dict[str, list[int]]:
        """Ids of the trades told as news, by symbol."""
        names = self.names()
        told: dict[str, list[int]] = defaultdict(list)
        for row in self.rows:
            if row.kind == Kind.TRADE and not row.flags & Flag.SNAPSHOT:
                told[names[row.instrument]].append(row.ident)
        return told

    def quotes(self) -> dict[tuple[str, Kind], tuple[Decimal | None, Decimal | None] | None]:
        names = self.names()
        found: dict[tuple[str, Kind], tuple[Decimal | None, Decimal | None] | None] = {}
        for row in self.rows:
            if row.kind in {Kind.BID, Kind.ASK}:
                level = None if row.flags & Flag.NO_PRICE else (row.price, row.size)
                found[names[row.instrument], Kind(row.kind)] = level
        return found


@contextlib.asynccontextmanager
async def exchange(**options: Any) -> AsyncIterator[Exchange]:
    venue = Exchange(**options)
    await venue.start()
    try:
        yield venue
    finally:
        await venue.stop()


@contextlib.asynccontextmanager
async def following(venue: Exchange, folder: Path, **settings: Any) -> AsyncIterator[Following]:
    feed = Following(venue.address, folder, **settings)
    stop = asyncio.Event()
    feed.watched = every_other("XNYS", venue.dialect)
    feed.publisher.books_at_first = feed.watched
    task = asyncio.create_task(feed.feed.run(stop))
    try:
        yield feed
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def check_books(venue: Exchange, feed: Following) -> None:
    """Stop the flow: what was published last is what is true."""
    await venue.halt()

    def wrong() -> list[str]:
        truth, quotes, found = venue_truth(venue.dialect), feed.quotes(), []
        for symbol, one in truth.items():
            for kind, price, size in ((Kind.BID, "bid", "bid_size"), (Kind.ASK, "ask", "ask_size")):
                level = None if one[price] is None else (Decimal(one[price]), Decimal(one[size]))
                if quotes.get((symbol, kind)) != level:
                    found.append(f"{symbol} {price}: {quotes.get((symbol, kind))} is not {level}")
        return found + wrong_levels(venue.dialect, feed.publisher.batches, feed.definitions(), feed.watched)

    with contextlib.suppress(TimeoutError):
        await until(lambda: not wrong() and feed.is_live())
    assert not wrong()
    assert feed.is_live(), feed.states()


async def settled(feed: Following) -> None:
    target = feed.feed.health.messages + 20
    await until(lambda: feed.feed.health.messages >= target)


async def test_books_and_trades_are_the_exchanges(tmp_path: Path) -> None:
    async with exchange() as venue, following(venue, tmp_path) as feed:
        await until(lambda: feed.is_live() and sum(map(len, feed.trades().values())) > 200)
        await check_books(venue, feed)
        told, truth = feed.trades(), venue_truth(venue.dialect)
        assert set(told) <= set(truth)
        for symbol, ids in told.items():
            assert len(set(ids)) == len(ids)
            assert str(ids[-1]) == truth[symbol]["last_id"]
        assert feed.feed.health.dead_letters == feed.pipeline.gaps == feed.pipeline.dead_letters == 0
        assert set(feed.names().values()) == set(truth)
        assert any(row.kind == Kind.BUST for row in feed.rows)


async def volumes_match(venue: Exchange, feed: Following) -> bool:
    names = feed.names()
    volume: dict[str, Decimal] = defaultdict(Decimal)
    for row in feed.rows:
        if row.kind == Kind.VOLUME:
            volume[names[row.instrument]] = row.size or Decimal(0)
        elif row.kind == Kind.TRADE and not row.flags & Flag.SNAPSHOT:
            volume[names[row.instrument]] += row.size or Decimal(0)
    truth = venue_truth(venue.dialect)
    return all(volume[symbol] == Decimal(one["volume"]) for symbol, one in truth.items())


async def test_the_volume_of_a_refresh_makes_later_volumes_exact(tmp_path: Path) -> None:
    async with exchange(break_every_s=0.0) as venue:
        await until(lambda: sum(one["trades"] for one in venue_truth(venue.dialect).values()) > 50)
        async with following(venue, tmp_path) as feed:
            await until(feed.is_live)
            await settled(feed)
            await check_books(venue, feed)
            assert await volumes_match(venue, feed)


@pytest.mark.parametrize("verb", ["drop", "duplicate", "reorder", "corrupt", "truncate", "disconnect"])
async def test_faults_of_the_wire_are_made_good(tmp_path: Path, verb: Verb) -> None:
    async with exchange() as venue, following(venue, tmp_path) as feed:
        await until(feed.is_live)
        venue.dialect.faults.arm(Fault(fault=verb, count=None if verb == "disconnect" else 3))
        before = len(feed.rows)
        await until(lambda: venue.dialect.faults.fired[verb] >= 1)
        await settled(feed)
        await until(feed.is_live)
        await check_books(venue, feed)
        ids = [one for told in feed.trades().values() for one in told]
        assert len(set(ids)) == len(ids)
        states = {State(row.detail) for row in feed.rows[before:] if row.kind == Kind.STATUS}
        assert verb == "duplicate" or State.GAP in states


async def test_what_the_exchange_fills_is_lost_and_every_book_is_fetched_again(tmp_path: Path) -> None:
    async with exchange(resend="gap_fill") as venue, following(venue, tmp_path) as feed:
        await until(feed.is_live)
        venue.dialect.faults.arm(Fault(fault="drop", count=2))
        await until(lambda: feed.pipeline.gaps)
        await check_books(venue, feed)
        assert await volumes_match(venue, feed)
        hit = {row.instrument for row in feed.rows if row.kind == Kind.GAP and row.instrument}
        assert hit == set(feed.names())


async def test_an_exchange_that_begins_anew_is_logged_on_to_with_a_reset(tmp_path: Path) -> None:
    async with exchange() as venue, following(venue, tmp_path) as feed:
        await until(feed.is_live)
        await settled(feed)
        before = feed.pipeline.session
        venue.dialect.faults.arm(Fault(fault="restart"))
        await until(lambda: feed.pipeline.session != before)
        await settled(feed)
        await until(feed.is_live)
        await check_books(venue, feed)


async def test_requests_are_repeated_when_the_exchange_throttles(tmp_path: Path) -> None:
    async with exchange() as venue:
        venue.dialect.faults.arm(Fault(fault="throttle", count=1, delay_ms=200.0))
        async with following(venue, tmp_path) as feed:
            await until(feed.is_live)
            await check_books(venue, feed)
            assert feed.feed.health.dead_letters == 0


async def test_a_clock_that_is_wrong_is_no_reason_to_stop(tmp_path: Path) -> None:
    async with exchange() as venue:
        venue.dialect.faults.arm(Fault(fault="clock", offset_s=3600.0, for_s=60.0))
        async with following(venue, tmp_path) as feed:
            await until(feed.is_live)
            await settled(feed)
            await check_books(venue, feed)
            assert feed.pipeline.skewed


async def test_a_wrong_password_is_a_refusal(tmp_path: Path) -> None:
    async with exchange(**RIGHT) as venue:
        async with following(venue, tmp_path, **{**RIGHT, "password": "wrong"}) as feed:
            await until(lambda: feed.feed.health.state == "failed")
            assert "refused" in str(feed.feed.health.last_error)
        async with following(venue, tmp_path, **RIGHT) as feed:
            await until(feed.is_live)


async def test_a_new_process_goes_on_with_the_numbers_of_the_last(tmp_path: Path) -> None:
    async with exchange() as venue:
        async with following(venue, tmp_path) as first:
            await until(first.is_live)
            await settled(first)
        kept = KeptFile(tmp_path / "feeds" / "nyse.kept").read()
        assert kept is not None
        async with following(venue, tmp_path) as second:
            assert second.session.fix.next_out == first.session.fix.next_out
            await until(second.is_live)
            await check_books(venue, second)
            assert second.feed.health.reconnects == 0
            assert second.feed.health.dead_letters == 0


async def test_a_lost_file_is_made_good_by_what_the_exchange_expects(tmp_path: Path) -> None:
    async with exchange() as venue:
        async with following(venue, tmp_path) as first:
            await until(first.is_live)
        (tmp_path / "feeds" / "nyse.kept").write_bytes(b"tickcast-kept 1 3 00000000\nxyz")
        async with following(venue, tmp_path) as second:
            await until(second.is_live)
            await check_books(venue, second)
            told_again = [row for row in second.rows if row.kind == Kind.TRADE and row.flags & Flag.REPLAYED]
            assert all(row.flags & Flag.BACKFILLED for row in told_again)
