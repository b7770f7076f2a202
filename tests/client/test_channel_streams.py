"""Trades, books and bars against the real gateway, in each codec."""

import asyncio
from decimal import Decimal

import pytest

import tickcast
from tickcast.client import DeliveryStatus, Lost, RequestError, Trade
from tickcast.client.client import CodecName
from tickcast.testing.gateway import RunningGateway

DEADLINE_S = 15.0
CODECS: tuple[CodecName, ...] = ("json", "msgpack", "compact", "proto")


@pytest.mark.parametrize("codec", CODECS)
async def test_trades_go_on_over_a_cut_and_none_comes_twice(gateway: RunningGateway, codec: CodecName) -> None:
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url, codec=codec) as client:
        told = client.trades("AAPL", "NOPE")
        assert await anext(told) == Lost(symbol="NOPE", count=None, reason="no_such_symbol")
        gateway.trade("XNAS:AAPL", "185.50", "7")
        first = await anext(told)
        assert isinstance(first, Trade)
        assert (str(first.price), first.size, first.side) == ("185.50", Decimal(7), "buy")
        for stream in gateway.stage.clients.streams.values():
            stream.abort()
        for price in ("185.60", "185.70"):
            gateway.trade("XNAS:AAPL", price)
        after = [await anext(told), await anext(told)]
        assert [str(one.price) for one in after if isinstance(one, Trade)] == ["185.60", "185.70"]
        assert [one.seq for one in after if isinstance(one, Trade)] == [first.seq + 1, first.seq + 2]


@pytest.mark.parametrize("codec", CODECS)
async def test_books_are_exact(gateway: RunningGateway, codec: CodecName) -> None:
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url, codec=codec) as client:
        told = client.books("XNAS:AAPL", depth=5, rate=0)
        first = await anext(told)
        assert (first.bids, first.asks) == ((), ())
        gateway.book("XNAS:AAPL", bids=[("185.40", "7"), ("185.30", "2")], asks=[("185.50", "1")])
        while True:
            book = await anext(told)
            if book.bids:
                break
        assert [(str(price), str(size)) for price, size in book.bids] == [("185.40", "7"), ("185.30", "2")]
        assert [(str(price), str(size)) for price, size in book.asks] == [("185.50", "1")]
        assert book.state == "live"


@pytest.mark.parametrize("codec", CODECS)
async def test_bars_begin_with_those_that_were(gateway: RunningGateway, codec: CodecName) -> None:
    gateway.trade("XNAS:AAPL", "185.50", "7")
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url, codec=codec) as client:
        told = client.bars("AAPL")
        bar = await anext(told)
        assert (bar.symbol, bar.interval) == ("AAPL", "1s")
        assert bar.close is not None
        assert bar.trades >= 1


@pytest.mark.parametrize("codec", CODECS)
async def test_the_gateway_s_own_news(gateway: RunningGateway, codec: CodecName) -> None:
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url, codec=codec) as client:
        assert await anext(client.status()) == DeliveryStatus(rung=0, word="normal")


def test_no_symbol_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one symbol"):
        tickcast.connect("ws://127.0.0.1:1/stream").books()
