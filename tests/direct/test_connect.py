"""The library against simulated exchanges, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

import tickcast
from tickcast.direct import Quote, Status, Tick, Trade, connect
from tickcast.direct.connect import plan
from tickcast.model.errors import FeedError, UsageError
from tickcast.sim import config as sim
from tickcast.sim.server import Simulator

QUICK = {"backoff_min_ms": 5, "backoff_max_ms": 50}


@asynccontextmanager
async def exchanges(*dialects: str) -> AsyncIterator[Mapping[str, Any]]:
    """Settings of the library for simulated exchanges, by venue."""
    names = {"binance": "BINANCE", "soup_itch": "XNAS"}
    venues = {names[dialect]: {"dialect": dialect} for dialect in dialects}
    simulator = Simulator(sim.from_mapping({"symbols": 20, "rate": 2000, "seed": 3, "venues": venues}))
    ready = await simulator.start()
    try:
        yield {venue: {**QUICK, **addresses} for venue, addresses in ready["venues"].items()}
    finally:
        await simulator.stop()


async def first(ticks: Any, wanted: Any, *, within_s: float = 20) -> list[Tick]:
    """Take ticks until one is ``wanted``."""
    taken: list[Tick] = []
    async with asyncio.timeout(within_s), aclosing(ticks):
        async for tick in ticks:
            taken.append(tick)
            if wanted(taken):
                return taken
    return taken


async def test_two_venues_at_once() -> None:
    async with exchanges("binance", "soup_itch") as settings:

        def complete(taken: list[Tick]) -> bool:
            return all(
                any(isinstance(tick, kind) and tick.symbol.startswith(venue) for tick in taken[-4000:])
                for kind in (Trade, Quote)
                for venue in ("BINANCE:", "XNAS:")
            )

        ticks = tickcast.feed("BINANCE:BTC-USDT", "XNAS:AAPL", settings=settings)
        taken = await first(ticks, complete)
    assert {tick.symbol for tick in taken} == {"BINANCE:BTC-USDT", "XNAS:AAPL"}
    live = [tick for tick in taken if isinstance(tick, Status) and tick.state == "live"]
    assert {tick.symbol for tick in live} == {"BINANCE:BTC-USDT", "XNAS:AAPL"}
    quotes = [tick for tick in taken if isinstance(tick, Quote) and tick.bid and tick.ask]
    assert all(quote.bid < quote.ask for quote in quotes if quote.bid is not None and quote.ask is not None)


async def test_a_book_is_whole_sorted_and_not_crossed() -> None:
    async with exchanges("binance") as settings:
        found = await tickcast.book("BINANCE:BTC-USDT", depth=5, settings=settings["BINANCE"])
    assert found.state == "live"
    assert 1 <= len(found.bids) <= 5
    assert 1 <= len(found.asks) <= 5
    bids, asks = [price for price, _ in found.bids], [price for price, _ in found.asks]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert found.seq


async def test_a_venue_that_is_not_there_is_said_after_the_time() -> None:
    unreachable = {**QUICK, "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}
    with pytest.raises(FeedError, match=r"expected a whole book of BINANCE:BTC-USDT within 0.3 s, found it empty"):
        await tickcast.book("BINANCE:BTC-USDT", timeout_s=0.3, settings=unreachable)


async def test_an_unknown_venue_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected one of"):
        await first(tickcast.feed("NOWHERE:BTC-USDT"), bool)


@pytest.mark.parametrize(
    ("names", "settings", "says"),
    [
        ((), {}, "at least one symbol"),
        (("BTC-USDT",), {}, "with its venue, such as BINANCE:BTC-USDT"),
        (("BINANCE:btc",), {}, "expected a symbol"),
        (("BINANCE:BTC-USDT",), {"BINANCE": {"nonsense": 1}}, "nonsense"),
        (("BINANCE:BTC-USDT",), {"BINANCE": {"depth": "deep"}}, "settings of BINANCE"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(names: tuple[str, ...], settings: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plan(names, settings)


def test_one_feed_for_each_venue() -> None:
    feeds = plan(("BINANCE:BTC-USDT", "XNAS:AAPL", "BINANCE:ETH-USDT", "BINANCE:BTC-USDT"), {"XNAS": {"depth": 3}})
    assert {name: feed.symbols for name, feed in feeds.items()} == {
        "binance": ("BTC-USDT", "ETH-USDT"),
        "xnas": ("AAPL",),
    }
    assert feeds["xnas"].depth == 3


async def test_a_caller_who_fell_behind_may_still_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BATCHES_MAX", 1)
    async with exchanges("binance") as settings:
        ticks = tickcast.feed("BINANCE:BTC-USDT", settings=settings)
        async with asyncio.timeout(20), aclosing(ticks):
            async for _ in ticks:
                await asyncio.sleep(0.3)  # the one batch that may wait does so now, and the feed waits behind it
                break
