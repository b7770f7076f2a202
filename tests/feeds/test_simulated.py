"""Whole feeds against the shipped simulator: the market, and recorded sessions through real sockets."""

import asyncio
import contextlib
import gzip
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from tests.feeds.peers import Remembering, now_ns, until
from tests.venues.captures import capture
from tests.venues.captures import session as recorded
from tests.venues.decoding import Row, rows
from tests.venues.xnas import itch

from tickcast import _native
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, State
from tickcast.normalise.pipeline import Pipeline
from tickcast.sim import config as sim
from tickcast.sim.server import Simulator
from tickcast.venues.registry import open_session

RECORDED_BINANCE = "cryptofeed/BINANCE/BINANCE_20210405T183323Z.jsonl.xz"
RECORDED_ITCH = "itch/nasdaq_20200130_AAPL_first5000.itch50.gz"


@contextlib.asynccontextmanager
async def simulated(**settings: Any) -> AsyncIterator[dict[str, Any]]:
    """The simulator; gives the addresses by venue."""
    simulator = Simulator(sim.from_mapping(settings))
    ready = await simulator.start()
    try:
        yield ready["venues"]
    finally:
        await simulator.stop()


class Running:
    """A feed under test, and what it published."""

    def __init__(self, venue: str, **settings: Any) -> None:
        config = FeedConfig(venue=venue, backoff_min_ms=5, backoff_max_ms=50, **settings)
        self.publisher = Remembering()
        self.pipeline = Pipeline(venue.lower())
        self.feed = Feed(
            venue.lower(),
            config=config,
            session=open_session(venue.lower(), config, {}),
            normaliser=self.pipeline,
            publisher=self.publisher,
            clock=now_ns,
            jitter=random.Random(1).random,
        )

    @property
    def definitions(self) -> dict[int, Definition]:
        return {one.instrument: one for batch in self.publisher.batches for one in batch.definitions}

    @property
    def rows(self) -> list[Row]:
        return rows(b"".join(batch.records.tobytes() for batch in self.publisher.batches))

    @property
    def trade_count(self) -> int:
        return sum(int(np.count_nonzero(batch.records["kind"] == Kind.TRADE)) for batch in self.publisher.batches)

    def is_up(self) -> bool:
        live = {State.LIVE}
        return self.trade_count > 3 and self.feed.health.state == "connected" and set(self.states().values()) == live

    async def more_messages(self, count: int) -> None:
        target = self.feed.health.messages + count
        await until(lambda: self.feed.health.messages >= target)

    async def break_link(self, link: str) -> None:
        before = self.feed.health.reconnects
        self.feed._links._connections[link].abort("the test breaks it")
        await until(lambda: self.feed.health.reconnects > before)

    def trades(self) -> dict[int, list[Row]]:
        told: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.kind == Kind.TRADE:
                told[row.instrument].append(row)
        return told

    def states(self) -> dict[int, State]:
        """Newest state of each instrument."""
        return {row.instrument: State(row.detail) for row in self.rows if row.kind == Kind.STATUS}


@contextlib.asynccontextmanager
async def running(*feeds: Running) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(one.feed.run(stop)) for one in feeds]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def test_three_venues_come_up_live_without_a_dead_letter() -> None:
    async with simulated(symbols=30, rate=2000.0, market={"halt_every_s": 0}) as venues:
        feeds = [Running(name, **addresses) for name, addresses in venues.items()]
        async with running(*feeds):
            for one in feeds:
                await until(one.is_up)
        for one in feeds:
            assert one.feed.health.dead_letters == one.pipeline.dead_letters == one.pipeline.gaps == 0
            assert one.publisher.batches[0].definitions
            seen: set[int] = set()
            for batch in one.publisher.batches:  # a definition goes before its first record
                seen |= {definition.instrument for definition in batch.definitions}
                assert set(batch.records["instrument"].tolist()) <= seen | {0}
                assert batch.records["flags"][-1] & Flag.LAST_OF_EVENT if len(batch.records) else batch.definitions
                assert 0 < batch.hops.received <= batch.hops.decoded
        texts = [text for batch in feeds[2].publisher.batches if batch.texts for text in batch.texts if text]
        assert texts
        assert texts[0].startswith("T-")


async def test_broken_links_lose_no_trade() -> None:
    async with simulated(symbols=10, rate=3000.0, market={"halt_every_s": 0}) as venues:
        steady, shaken = Running("XNAS", **venues["XNAS"]), Running("XNAS", **venues["XNAS"])
        async with running(steady, shaken):
            for _ in range(5):
                await shaken.more_messages(300)
                await shaken.break_link("tape")
            newest = {key: trades[-1].ident for key, trades in steady.trades().items()}
            await until(
                lambda: newest.items() <= {(key, row.ident) for key, told in shaken.trades().items() for row in told}
            )
        for key, ident in newest.items():
            mine = [(row.seq, row.ident, row.price, row.size) for row in shaken.trades()[key]]
            theirs = [(row.seq, row.ident, row.price, row.size) for row in steady.trades()[key]]
            upto = [row[1] for row in theirs].index(ident) + 1
            assert mine[:upto] == theirs[:upto]
        assert shaken.pipeline.gaps == 0


async def test_books_are_whole_again_after_a_broken_link() -> None:
    async with simulated(symbols=20, rate=3000.0, market={"halt_every_s": 0}) as venues:
        feed = Running("BINANCE", **venues["BINANCE"])
        async with running(feed):
            await until(lambda: feed.states() and set(feed.states().values()) == {State.LIVE})
            await feed.break_link("streams-1")
            await feed.more_messages(100)
            await until(lambda: set(feed.states().values()) == {State.LIVE})
        assert feed.feed.health.dead_letters == 0


@pytest.mark.captures
async def test_recorded_itch_through_a_socket_equals_an_independent_count() -> None:
    path = capture(RECORDED_ITCH)
    count = itch.Count()
    for message in itch.split(gzip.decompress(path.read_bytes())):
        count.take(message)
    async with simulated(recorded={"path": str(path), "speed": 0.0, "loop": False}) as venues:
        feed = Running("XNAS", date="2020-01-30", **venues["XNAS"])
        async with running(feed):
            await until(lambda: feed.feed.health.messages >= 5000)
            await until(lambda: feed.trade_count >= len(count.trades))
        instrument = _native.instrument_id("XNAS:AAPL")
        assert feed.feed.health.dead_letters == 0
        mine = [row for row in feed.rows if row.instrument == instrument]
        trades = [(row.ident, row.price, row.size) for row in mine if row.kind == Kind.TRADE]
        assert trades == count.trades
        quotes = {row.kind: (row.price, row.size) for row in mine if row.kind in (Kind.BID, Kind.ASK)}
        assert (quotes[Kind.BID], quotes[Kind.ASK]) == (count.best("B"), count.best("S"))


@pytest.mark.captures
async def test_a_recorded_binance_session_through_sockets_equals_an_independent_count() -> None:
    trades: dict[str, list[tuple[int, Decimal, Decimal]]] = defaultdict(list)
    tickers: dict[str, tuple[Decimal, Decimal]] = {}
    for line in recorded(RECORDED_BINANCE):
        if line["t"] != "recv":
            continue
        message = json.loads(line["data"])
        data = message["data"]
        if data.get("e") == "aggTrade":
            trades[data["s"]].append((data["a"], Decimal(data["p"]), Decimal(data["q"])))
        elif "B" in data and "A" in data:
            tickers[data["s"]] = (Decimal(data["b"]), Decimal(data["a"]))
    total = sum(map(len, trades.values()))
    async with simulated(recorded={"path": str(capture(RECORDED_BINANCE)), "speed": 0.0, "loop": False}) as venues:
        feed = Running("BINANCE", aggregate_trades=True, **venues["BINANCE"])
        async with running(feed):
            await until(lambda: feed.trade_count >= total)
            await until(lambda: set(feed.states().values()) == {State.LIVE})
        assert feed.feed.health.dead_letters == 0
        names = {key: one.native_symbol for key, one in feed.definitions.items()}
        told, rows_told = feed.trades(), feed.rows
        for key, name in names.items():
            assert [(row.ident, row.price, row.size) for row in told[key]] == trades[name]
            quotes = {row.kind: row.price for row in rows_told if row.instrument == key}
            assert (quotes[Kind.BID], quotes[Kind.ASK]) == tickers[name]
