"""Every codec of the client against a gateway: the same ticks."""

import asyncio
from contextlib import aclosing

import pytest

import tickcast
from tickcast.client.handles import CODECS
from tickcast.testing.gateway import RunningGateway

DEADLINE_S = 10.0


@pytest.mark.parametrize("codec", CODECS)
async def test_ticks_are_whole_and_exact_in_every_codec(gateway: RunningGateway, codec: str) -> None:
    stream = tickcast.stream(gateway.stream_url, "AAPL", rate=0, codec=codec)
    async with asyncio.timeout(DEADLINE_S), aclosing(stream) as ticks:
        first = await anext(ticks)
        assert (first.symbol, first.state, str(first.price), str(first.bid)) == ("AAPL", "live", "185.40", "185.30")
        assert (first.legs, first.crossed, first.prev_close) == ({"live": 1, "of": 2}, False, None)
        gateway.trade("XNAS:AAPL", "185.50", "7")
        second = await anext(ticks)
        assert (str(second.price), str(second.size), second.side, second.venue) == ("185.50", "7", "buy", "XNAS")
        assert (second.epoch, second.seq, second.merged) == (first.epoch, first.seq + 1, 0)
        assert second.ts_ns is not None
        assert second.ts_ns > (first.ts_ns or 0)


@pytest.mark.parametrize("codec", CODECS)
async def test_a_cut_connection_is_resumed_in_every_codec(gateway: RunningGateway, codec: str) -> None:
    stream = tickcast.stream(gateway.stream_url, "AAPL", rate=0, codec=codec, jitter=lambda: 0.0)
    async with asyncio.timeout(DEADLINE_S), aclosing(stream) as ticks:
        first = await anext(ticks)
        for connection in list(gateway.stage.clients.streams.values()):
            connection.abort()
        assert (await anext(ticks)).state == "stale"
        again = await anext(ticks)
        assert (again.state, again.epoch, again.seq, again.price) == ("live", first.epoch, first.seq, first.price)
        # No snapshot came on the new connection: the ack told the handle.
        gateway.trade("XNAS:AAPL", "185.60", "8")
        assert str((await anext(ticks)).price) == "185.60"


@pytest.mark.parametrize("codec", CODECS)
async def test_a_refusal_and_an_unknown_symbol_are_told_in_every_codec(gateway: RunningGateway, codec: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(tickcast.stream(gateway.stream_url, "NOPE", codec=codec)) as ticks,
    ):
        assert (await anext(ticks)).state == "no_such_symbol"
    async with aclosing(tickcast.stream(gateway.stream_url, "AAPL", codec=codec, fields=["colour"])) as ticks:
        with pytest.raises(tickcast.StreamError, match="4006"):
            await anext(ticks)


async def test_a_codec_that_nobody_speaks_is_refused() -> None:
    with pytest.raises(tickcast.StreamError, match="expected one of json, msgpack, compact, proto"):
        await anext(tickcast.stream("ws://127.0.0.1:1/stream", "AAPL", codec="cbor"))
