"""XSIM over real sockets: cursors, ETags, limits; and a poller that ends with the venue's truth."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig, XsimConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.truth import venue_truth
from tickcast.sim.xsim.dialect import RequestLimit, XsimDialect, create

START = 1_774_879_200_000_000_000
HALTING = MarketConfig(open_after_ms=50.0, halt_every_s=0.6, halt_min_s=0.1, halt_max_s=0.2)


class Venue:
    """XSIM on a clock that the test moves."""

    def __init__(self, http: aiohttp.ClientSession, market: MarketConfig, **options: Any) -> None:
        config = Config(seed=4, symbols=30, rate=20_000, market=market)
        self.http = http
        self.now = START
        settings = XsimConfig(**{"requests_per_s": 1e6, "burst": 1_000_000, "stocks": 10, "pairs": 3, **options})
        universe = listing.build(config)
        self.dialect: XsimDialect = create("XSIM", settings, config, universe, START, time.time_ns)
        self.engine = VenueEngine(self.dialect, rate=1000.0, quantum_ms=50.0, start_ns=START)
        self.url = ""

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.now += 50_000_000
            self.engine.advance(self.now)

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        async with self.http.get(self.url + path, headers=headers) as answer:
            body = await answer.json() if answer.status != 304 else await answer.read()
            return answer.status, body, answer.headers


@asynccontextmanager
async def serving(*, market: MarketConfig = HALTING, **options: Any) -> AsyncIterator[Venue]:
    async with aiohttp.ClientSession() as http:
        venue = Venue(http, market, **options)
        venue.url = (await venue.dialect.start())["rest_url"]
        try:
            yield venue
        finally:
            await venue.dialect.stop()


async def test_instruments_have_exact_texts() -> None:
    async with serving() as venue:
        _, body, _ = await venue.get("/v1/instruments")
        assert len(body["instruments"]) == 13
        first = body["instruments"][0]
        assert set(first) == {"symbol", "class", "currency", "tick", "lot", "prev_close"}
        assert (first["symbol"], first["class"], first["currency"], first["tick"]) == ("AAPL", "equity", "USD", "0.01")
        assert first["prev_close"] == venue_truth(venue.dialect)["AAPL"]["prev_close"]
        assert body["instruments"][10]["symbol"] == "BTC-USDT"
        assert body["instruments"][10]["currency"] == "USDT"


@pytest.mark.parametrize("limit", [7, 1000])
async def test_poller_ends_with_the_truth_whatever_the_limit(limit: int) -> None:
    async with serving() as venue:
        tickers: dict[str, Any] = {}
        trades: dict[str, Any] = {}
        statuses: Counter[str] = Counter()
        _, body, _ = await venue.get("/v1/market")
        assert body["trades"] == []
        assert {one["status"] for one in body["tickers"]} == {"closed"}
        cursor = body["cursor"]
        for _ in range(30):
            venue.run(0.1)
            more = True
            while more:
                _, body, _ = await venue.get(f"/v1/market?since={cursor}&limit={limit}")
                assert len(body["tickers"]) + len(body["trades"]) <= limit
                for one in body["tickers"]:
                    tickers[one["symbol"]] = one
                    statuses[one["status"]] += 1
                for one in body["trades"]:
                    assert one["id"] not in trades, "no trade comes twice"
                    trades[one["id"]] = one
                assert int(body["cursor"]) >= int(cursor)
                cursor, more = body["cursor"], body["more"]
        assert statuses["halted"] > 0
        for symbol, is_true in venue_truth(venue.dialect).items():
            for name in ("bid", "bid_size", "ask", "ask_size", "status"):
                if is_true["bid"]:
                    assert tickers[symbol][name] == is_true[name]
            mine = [one for one in trades.values() if one["symbol"] == symbol]
            assert len(mine) == is_true["trades"]
            assert sum(float(one["size"]) for one in mine) == pytest.approx(float(is_true["volume"]))
            if mine:
                assert (mine[-1]["id"], mine[-1]["price"]) == (is_true["last_id"], is_true["last"])
        assert {one["side"] for one in trades.values()} == {"buy", "sell", None}


async def test_etag_gives_304_until_something_changes() -> None:
    async with serving() as venue:
        venue.run(0.5)
        for path in ("/v1/market", "/v1/instruments", f"/v1/market?since={venue.dialect.market.base}"):
            status, _, headers = await venue.get(path)
            tag = headers["ETag"]
            assert status == 200
            status, body, headers = await venue.get(path, **{"If-None-Match": f'"other", {tag}'})
            assert (status, body, headers["ETag"]) == (304, b"", tag)
        venue.run(0.1)
        status, _, headers = await venue.get(path, **{"If-None-Match": tag})
        assert status == 200
        assert headers["ETag"] != tag


async def test_cursor_too_old_or_of_another_run_is_gone() -> None:
    async with serving(trades_max=20) as venue:
        _, body, _ = await venue.get("/v1/market")
        old = body["cursor"]
        venue.run(3.0)
        for cursor in (old, "5", str(10**17)):
            status, body, _ = await venue.get(f"/v1/market?since={cursor}")
            assert status == 410
            assert body["error"]
        status, _, _ = await venue.get(f"/v1/market?since={body['oldest']}")
        assert status == 200


@pytest.mark.parametrize("query", ["since=x", "since=-1", "limit=0", "limit=99999", "limit=a", "since=" + "9" * 30])
async def test_wrong_queries_are_400(query: str) -> None:
    async with serving() as venue:
        status, body, _ = await venue.get(f"/v1/market?{query}")
        assert status == 400
        assert "expected" in body["error"]


async def test_over_the_limit_is_429_with_retry_after() -> None:
    async with serving(requests_per_s=0.5, burst=2) as venue:
        assert [(await venue.get("/v1/market"))[0] for _ in range(2)] == [200, 200]
        status, _, headers = await venue.get("/v1/market")
        assert status == 429
        assert headers["Retry-After"] == "2"
        assert venue.dialect.state()["limited"] == 1


def test_bucket_fills_with_time() -> None:
    limit = RequestLimit(2.0, 1)
    assert limit.wait_s("a", 0) == 0
    assert limit.wait_s("a", 0) == 1
    assert limit.wait_s("b", 0) == 0
    assert limit.wait_s("a", 500_000_000) == 0
    assert RequestLimit(0.0, 0).wait_s("a", 0) == 3600
