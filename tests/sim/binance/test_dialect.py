"""BINANCE over real sockets: requests, streams against the venue's truth, the depth chain against its snapshots."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import websockets

from tickcast.sim import universe as listing
from tickcast.sim.binance.dialect import BinanceDialect, create
from tickcast.sim.binance.payloads import text
from tickcast.sim.binance.streams import text_frame
from tickcast.sim.config import BinanceConfig, Config, MarketConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.truth import venue_truth

START = 1_774_879_200_000_000_000
Update = dict[str, Any]


class Venue:
    """BINANCE on a clock that the test moves."""

    def __init__(self, **options: Any) -> None:
        config = Config(seed=9, symbols=30, rate=20_000, market=MarketConfig(open_after_ms=20.0, tokenised=2))
        universe = listing.build(config)
        self.now = START
        settings = BinanceConfig(**{"requests_per_s": 100, **options})
        self.dialect: BinanceDialect = create("BINANCE", settings, config, universe, START, time.time_ns)
        self.engine = VenueEngine(self.dialect, rate=1000.0, quantum_ms=20.0, start_ns=START)
        self.url = self.rest_url = ""

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.now += 20_000_000
            self.engine.advance(self.now)


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Venue]:
    venue = Venue(**options)
    addresses = await venue.dialect.start()
    venue.url, venue.rest_url = addresses["url"], addresses["rest_url"]
    try:
        yield venue
    finally:
        await venue.dialect.stop()


async def get(url: str) -> tuple[int, Any, Any]:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.json(), answer.headers


async def ask(socket: Any, **request: Any) -> Any:
    """Send a request and return its answer; there is no other traffic."""
    await socket.send(json.dumps(request))
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


async def received(socket: Any) -> list[Any]:
    """Everything that is on its way: a request marks the end."""
    await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":"mark"}')
    found: list[Any] = []
    async with asyncio.timeout(10):
        while True:
            message = json.loads(await socket.recv())
            if message.get("id") == "mark":
                return found
            found.append(message)


async def drain(socket: Any) -> None:
    async with asyncio.timeout(10):
        while True:
            await socket.recv()


def apply(book: dict[str, dict[str, str]], update: Update) -> None:
    for side, levels in (("bids", update["b"]), ("asks", update["a"])):
        for price, size in levels:
            if float(size):
                book[side][price] = size
            else:
                assert book[side].pop(price, None) is not None, "only levels that exist are deleted"


async def test_requests_are_answered_as_documented() -> None:
    async with serving() as venue, websockets.connect(venue.url + "/ws") as socket:
        assert await ask(socket, method="SUBSCRIBE", params=["btcusdt@trade", "x@y"], id=1) == {"result": None, "id": 1}
        listed = await ask(socket, method="LIST_SUBSCRIPTIONS", id="two")
        assert listed == {"result": ["btcusdt@trade", "x@y"], "id": "two"}
        assert await ask(socket, method="UNSUBSCRIBE", params=["x@y"], id=3) == {"result": None, "id": 3}
        assert (await ask(socket, method="LIST_SUBSCRIPTIONS", id=4))["result"] == ["btcusdt@trade"]
        assert (await ask(socket, method="GET_PROPERTY", params=["combined"], id=5))["result"] is False
        assert await ask(socket, method="SET_PROPERTY", params=["combined", True], id=6) == {"result": None, "id": 6}
        assert (await ask(socket, method="GET_PROPERTY", params=["combined"], id=7))["result"] is True


@pytest.mark.parametrize(
    ("request_text", "code", "says"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "missing field `method`"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"SUB","id":1}', 2, "unknown variant `SUB`"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "params"),
        ('{"method":"SUBSCRIBE","params":"a","id":1}', 2, "params"),
        ('{"method":"SUBSCRIBE","params":[],"id":1.5}', 2, "request ID"),
        ('{"method":"GET_PROPERTY","params":["x"],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "expected Boolean"),
        ('{"method":"SET_PROPERTY","params":[],"id":1}', 2, "property name"),
    ],
)
async def test_wrong_requests_get_the_documented_errors(request_text: str, code: int, says: str) -> None:
    async with serving() as venue, websockets.connect(venue.url + "/ws") as socket:
        await socket.send(request_text)
        answer = json.loads(await socket.recv())
        assert answer["code"] == code
        assert says in answer["msg"]
        assert (await ask(socket, method="LIST_SUBSCRIPTIONS", id=1))["result"] == []


async def test_too_many_requests_close_the_connection_and_no_other() -> None:
    async with serving(requests_per_s=3) as venue:
        async with websockets.connect(venue.url + "/ws") as other, websockets.connect(venue.url + "/ws") as socket:
            for number in range(10):
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await drain(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert (await ask(other, method="LIST_SUBSCRIPTIONS", id=1))["result"] == []
        assert venue.dialect.state()["over_limit"] == 1


async def test_streams_say_what_is_true() -> None:
    async with serving() as venue:
        names = venue.dialect.names()
        streams = [f"{name.lower()}@{kind}" for name in names for kind in ("trade", "aggTrade", "bookTicker", "ticker")]
        async with websockets.connect(f"{venue.url}/stream?streams={'/'.join(streams)}", max_size=None) as socket:
            venue.run(3.0)
            messages = await received(socket)
        trades: defaultdict[str, list[Any]] = defaultdict(list)
        aggregates: defaultdict[str, list[Any]] = defaultdict(list)
        best: dict[str, Any] = {}
        tickers: dict[str, Any] = {}
        for message in messages:
            name, _, kind = message["stream"].partition("@")
            data = message["data"]
            assert data["s"].lower() == name
            if kind == "bookTicker":
                assert data["u"] >= best.get(data["s"], data)["u"]
                best[data["s"]] = data
            elif kind == "ticker":
                tickers[data["s"]] = data
            else:
                (trades if kind == "trade" else aggregates)[data["s"]].append(data)
        assert len(trades) > 5
        for name, is_true in venue_truth(venue.dialect).items():
            if name in best:
                assert float(best[name]["b"]) == float(is_true["bid"] or 0)
                assert float(best[name]["A"]) == float(is_true["ask_size"])
            mine = trades[name]
            assert len(mine) == is_true["trades"]
            assert [one["t"] for one in mine] == sorted({one["t"] for one in mine}), "ids count up"
            assert sum(float(one["q"]) for one in mine) == pytest.approx(float(is_true["volume"]))
            if mine:
                assert (str(mine[-1]["t"]), float(mine[-1]["p"])) == (is_true["last_id"], float(is_true["last"]))
            grouped = aggregates[name]
            assert [n for one in grouped for n in range(one["f"], one["l"] + 1)] == [one["t"] for one in mine]
            assert sum(float(one["q"]) for one in grouped) == pytest.approx(float(is_true["volume"]))
        for name, ticker in tickers.items():
            assert ticker["e"] == "24hrTicker"
            assert float(ticker["l"]) <= float(ticker["c"]) <= float(ticker["h"])
            assert ticker["n"] <= len(trades[name])


@pytest.mark.parametrize("suffix", ["@depth@100ms", "@depth"])
async def test_depth_updates_chain_and_fit_a_snapshot_of_any_moment(suffix: str) -> None:
    async with serving() as venue:
        names = venue.dialect.names()[:6]
        streams = "/".join(name.lower() + suffix for name in names)
        async with websockets.connect(f"{venue.url}/stream?streams={streams}", max_size=None) as socket:
            venue.run(1.13)
            books, last = {}, {}
            for name in names:
                status, snapshot, _ = await get(f"{venue.rest_url}/api/v3/depth?symbol={name}&limit=5000")
                assert status == 200
                books[name] = {side: dict(map(tuple, snapshot[side])) for side in ("bids", "asks")}
                last[name] = snapshot["lastUpdateId"]
            venue.run(3.0)
            messages = await received(socket)
            # nothing changes any more: a last flush of each speed
            venue.engine.rate = 0.0
            venue.engine.dialect.flow.trading[:] = False
            venue.run(1.2)
            messages += await received(socket)
        chain: dict[str, int] = {}
        applied: Counter[str] = Counter()
        for message in messages:
            update = message["data"]
            name = update["s"]
            assert update["U"] == chain.get(name, update["U"] - 1) + 1, "unbroken"
            chain[name] = update["u"]
            if update["u"] <= last[name]:
                continue
            if not applied[name]:
                assert update["U"] <= last[name] + 1 <= update["u"]
            applied[name] += 1
            if applied[name] == 1:
                # overlaps with the snapshot: absolute sizes, so levels may be gone already
                for side, levels in (("bids", update["b"]), ("asks", update["a"])):
                    books[name][side].update(map(tuple, levels))
                    books[name][side] = {p: s for p, s in books[name][side].items() if float(s)}
            else:
                apply(books[name], update)
        for name in names:
            assert applied[name] > 1
            _, now, _ = await get(f"{venue.rest_url}/api/v3/depth?symbol={name}&limit=5000")
            assert books[name] == {side: dict(map(tuple, now[side])) for side in ("bids", "asks")}
            assert now["bids"] == sorted(now["bids"], key=lambda level: -float(level[0]))


async def test_raw_streams_are_not_wrapped_and_partial_depth_is_sorted() -> None:
    async with serving() as venue, websockets.connect(venue.url + "/ws/btcusdt@depth5@100ms") as socket:
        venue.run(1.0)
        first = (await received(socket))[0]
        assert set(first) == {"lastUpdateId", "bids", "asks"}
        assert 0 < len(first["bids"]) <= 5
        assert float(first["bids"][0][0]) < float(first["asks"][0][0])


async def test_rest_says_what_is_listed() -> None:
    async with serving() as venue:
        status, info, headers = await get(venue.rest_url + "/api/v3/exchangeInfo")
        assert status == 200
        assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
        assert [one["symbol"] for one in info["symbols"]] == venue.dialect.names()
        entry = next(one for one in info["symbols"] if one["symbol"] == "BTCUSDT")
        assert (entry["baseAsset"], entry["quoteAsset"], entry["status"]) == ("BTC", "USDT", "TRADING")
        filters = {one["filterType"]: one for one in entry["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
        _, one, _ = await get(venue.rest_url + "/api/v3/exchangeInfo?symbols=%5B%22AAPLUSD%22%5D")
        assert [entry["quoteAsset"] for entry in one["symbols"]] == ["USD"]
        _, now, _ = await get(venue.rest_url + "/api/v3/time")
        assert abs(now["serverTime"] - time.time() * 1000) < 60_000


async def test_rest_aggregate_trades() -> None:
    async with serving() as venue:
        venue.run(2.0)
        _, newest, _ = await get(venue.rest_url + "/api/v3/aggTrades?symbol=BTCUSDT&limit=3")
        assert len(newest) == 3
        first = newest[0]["a"]
        _, again, _ = await get(f"{venue.rest_url}/api/v3/aggTrades?symbol=BTCUSDT&fromId={first}&limit=3")
        assert again == newest
        assert set(newest[0]) == {"a", "p", "q", "f", "l", "T", "m", "M"}
        _, older, _ = await get(venue.rest_url + "/api/v3/historicalTrades?symbol=BTCUSDT&limit=3")
        ids = [one["id"] for one in older]
        assert ids == list(range(ids[0], ids[0] + 3))
        _, later, _ = await get(f"{venue.rest_url}/api/v3/historicalTrades?symbol=BTCUSDT&fromId={ids[1]}&limit=2")
        assert [one["id"] for one in later] == ids[1:]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("depth", -1102),
        ("depth?symbol=NOPE", -1121),
        ("depth?symbol=BTCUSDT&limit=x", -1100),
        ("aggTrades?symbol=BTCUSDT&fromId=x", -1100),
        ("historicalTrades?symbol=BTCUSDT&fromId=x", -1100),
        ("exchangeInfo?symbol=NOPE", -1121),
        ("exchangeInfo?symbols=NOPE", -1100),
    ],
)
async def test_rest_errors_have_the_venues_codes(path: str, code: int) -> None:
    async with serving() as venue:
        status, body, _ = await get(f"{venue.rest_url}/api/v3/{path}")
        assert (status, body["code"]) == (400, code)


async def test_weight_over_the_limit_is_429_with_retry_after() -> None:
    async with serving(weight_per_minute=60) as venue:
        # three of twenty fit into one minute; a minute may turn between them, so ask until the limit answers
        for _ in range(10):
            status, body, headers = await get(venue.rest_url + "/api/v3/exchangeInfo")
            if status == 429:
                break
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60


async def test_slow_client_is_closed() -> None:
    async with serving(unsent_bytes_max=20_000) as venue:
        names = venue.dialect.names()
        streams = "/".join(
            f"{name.lower()}@{kind}" for name in names for kind in ("trade", "bookTicker", "depth@100ms")
        )
        host, _, port = venue.url.removeprefix("ws://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"GET /stream?streams={streams} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        venue.engine.rate = 20_000.0
        async with asyncio.timeout(30):
            while not venue.dialect.state()["slow"]:
                venue.run(0.2)
                await asyncio.sleep(0)
        writer.close()


def test_frames_have_the_three_lengths() -> None:
    large = b"\x81\x7f" + (65_536).to_bytes(8, "big")
    for length, head in ((125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65_536, large)):
        assert text_frame(b"x" * length) == head + b"x" * length


def test_numbers_have_eight_decimals() -> None:
    assert [text(value) for value in (0, 1, 123_456_789_012, -5_000_000)] == [
        "0.00000000",
        "0.00000001",
        "1234.56789012",
        "-0.05000000",
    ]
