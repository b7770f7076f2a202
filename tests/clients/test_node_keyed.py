"""Books and bars of the JavaScript client end as REST has them, digit by digit, and every digest agrees."""

import asyncio
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from tests.clients.node_process import CODECS, agree, node_client, rest

from tickcast.model.record import State
from tickcast.testing.gateway import RunningGateway, running_gateway

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
STEPS = 400


class Market:
    """Books that change at random, of two venues that write their prices with different digits."""

    def __init__(self, gateway: RunningGateway, seed: int) -> None:
        self._gateway = gateway
        self._random = random.Random(seed)
        self._books: dict[str, tuple[dict[int, int], dict[int, int]]] = {
            name: ({}, {}) for name in ("XNAS:AAPL", "XSIM:AAPL")
        }
        self._middle = 1000
        for name in self._books:
            gateway.trade(name, "10.00")  # one that nobody quotes or trades is empty, and so is its book

    def step(self) -> None:
        draw = self._random
        self._middle += draw.choice((-1, 0, 0, 1))
        name = draw.choice(tuple(self._books))
        digits = 2 if name == "XNAS:AAPL" else 3
        told: list[list[tuple[str, str]]] = []
        for side, sign in zip(self._books[name], (-1, 1), strict=True):
            for _ in range(draw.randint(1, 8)):
                price = self._middle + sign * draw.randint(1, 30)
                side[price] = draw.choice((0, draw.randint(1, 900)))
            kept = {price: size for price, size in side.items() if size and (price - self._middle) * sign > 0}
            side.clear()
            side.update(kept)
            best = sorted(kept, reverse=sign < 0)
            told.append([(f"{price / 100:.{digits}f}", str(kept[price])) for price in best])
        self._gateway.book(name, *told)


def levels(book: dict[str, Any]) -> tuple[object, object]:
    return book["bids"], book["asks"]


def test_the_digest_of_the_document_is_that_of_its_book() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    example = next(line for line in text.splitlines() if line.startswith('{"type":"snapshot"') and '"digest":' in line)
    book = json.loads(example, parse_float=str, parse_int=str)
    levels_text = ",".join(f"{price}:{size}" for price, size in (*book["bids"], *book["asks"]))
    assert f"`{levels_text}`" in text
    assert book["digest"] == str(zlib.crc32(levels_text.encode()))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("depth", [5, 10, 50])
async def test_books_are_whole_after_every_digest(codec: str, depth: int) -> None:
    async with running_gateway() as gateway, node_client(gateway.stream_url, codec) as client:
        market = Market(gateway, 100 + depth)
        symbols = ("AAPL", "XNAS:AAPL")
        await client.subscribe("AAPL", channel="book", depth=depth, rate=0)
        await client.subscribe("XNAS:AAPL", channel="book", depth=depth, rate=20)
        for number in range(STEPS):
            market.step()
            if number % 20 == 0:
                await asyncio.sleep(0.06)
        counted = await client.sync()
        assert agree(counted) > STEPS
        report = await client.report()
        for symbol in symbols:
            book, known = await rest(gateway.url, f"/books/{symbol}?depth={depth}"), report.topic(symbol, "book")
            assert levels(known) == levels(book)
            assert len(known["bids"]) > 0
            assert (known["state"], str(known["seq"]), known["wrong_digests"]) == (book["state"], book["seq"], 0)
        assert report.topic("AAPL", "book")["digests"] >= 3
        assert counted["own"]["book"]["XNAS:AAPL"]["merged"] > 0


@pytest.mark.parametrize("codec", CODECS)
async def test_a_book_changes_its_depth_and_is_empty_where_it_is_not_whole(codec: str) -> None:
    async with running_gateway() as gateway, node_client(gateway.stream_url, codec) as client:
        market = Market(gateway, 3)
        await client.subscribe("AAPL", channel="book", depth=50)
        for _ in range(50):
            market.step()
        await client.request("subscribe", channel="book", symbols=["AAPL"], depth=5)
        market.step()
        agree(await client.sync())
        known = (await client.report()).topic("AAPL", "book")
        assert levels(known) == levels(await rest(gateway.url, "/books/AAPL?depth=5"))
        assert (len(known["bids"]), len(known["asks"])) == (5, 5)
        for feed in ("xnas", "xsim"):
            gateway.hub.set_feed_state(feed, State.STALE, "quiet", time.time_ns())
        gateway.flush()
        agree(await client.sync())
        known = (await client.report()).topic("AAPL", "book")
        assert (known["state"], known["bids"], known["asks"], known["wrong_digests"]) == ("stale", [], [], 0)


@pytest.mark.parametrize("codec", CODECS)
async def test_a_book_begins_anew_after_a_break(codec: str) -> None:
    async with running_gateway() as gateway, node_client(gateway.stream_url, codec) as client:
        market = Market(gateway, 4)
        await client.subscribe("AAPL", channel="book")
        market.step()
        agree(await client.sync())
        for stream in list(gateway.stage.clients.streams.values()):
            stream.abort()
        await client.until("close")
        for _ in range(100):
            market.step()
        await client.until("open")
        market.step()
        agree(await client.sync())
        known = (await client.report()).topic("AAPL", "book")
        assert levels(known) == levels(await rest(gateway.url, "/books/AAPL"))
        assert len(known["bids"]) == 10


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("interval", ["1s", "1m"])
async def test_bars_end_as_rest_has_them(codec: str, interval: str) -> None:
    ahead_ns = 0

    def clock() -> int:
        return time.time_ns() + ahead_ns

    async with running_gateway(clock=clock) as gateway, node_client(gateway.stream_url, codec) as client:
        await client.subscribe("AAPL", "XNAS:AAPL", channel="bars", interval=interval, rate=20)
        for number in range(300):
            gateway.trade("XNAS:AAPL", f"185.{number % 70:02}", str(1 + number % 9))
            gateway.trade("XSIM:AAPL", f"185.{number % 50:02}5", "3")
            ahead_ns += 150_000_000 if interval == "1s" else 7_000_000_000
            gateway.hub.tick(clock())
            gateway.flush()
            if number % 25 == 0:
                await asyncio.sleep(0.03)
        agree(await client.sync())
        report = await client.report()
        for symbol in ("AAPL", "XNAS:AAPL"):
            found = await rest(gateway.url, f"/bars/{symbol}?interval={interval}&limit=1000&numbers=string")
            known = report.topic(symbol, "bars", interval)
            assert [{**bar, "trades": str(bar["trades"])} for bar in known["bars"]] == found["bars"]
            assert sum(bar["final"] for bar in known["bars"]) > 20
