"""Every codec of the client against a gateway: the same ticks."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

import tickcast
from tickcast.client import RequestError
from tickcast.client.client import CodecName
from tickcast.testing.gateway import RunningGateway

DEADLINE_S = 10.0
CODECS: tuple[CodecName, ...] = ("json", "msgpack", "compact", "proto")


@pytest.mark.parametrize("codec", CODECS)
async def test_ticks_are_whole_and_exact_in_every_codec(gateway: RunningGateway, codec: CodecName) -> None:
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url, codec=codec) as client:
        ticks = client.ticks("AAPL", rate=0)
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
async def test_a_cut_connection_is_resumed_in_every_codec(gateway: RunningGateway, codec: CodecName) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        tickcast.connect(gateway.url, codec=codec, jitter=lambda: 0.0) as client,
        client.ticks("AAPL", rate=0) as ticks,
    ):
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
async def test_a_refusal_and_an_unknown_symbol_are_told_in_every_codec(
    gateway: RunningGateway, codec: CodecName
) -> None:
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url, codec=codec) as client:
        assert (await anext(client.ticks("NOPE"))).state == "no_such_symbol"
        with pytest.raises(RequestError, match="4006"):
            await anext(client.ticks("AAPL", fields=["colour"]))


def test_a_codec_that_nobody_speaks_is_refused() -> None:
    with pytest.raises(RequestError, match="expected one of auto, json, msgpack, compact, proto"):
        tickcast.connect("ws://127.0.0.1:1/stream", codec="cbor")  # type: ignore[arg-type]


async def test_the_best_codec_is_chosen_and_json_is_the_last_resort(gateway: RunningGateway) -> None:
    """A gateway that knows no subprotocol answers with none, and speaks JSON."""

    async def old(connection: ServerConnection) -> None:
        request = json.loads(await connection.recv())
        assert request["symbols"] == ["AAPL"]
        await connection.send('{"type":"snapshot","symbol":"AAPL","epoch":1,"seq":1,"state":"live","price":"2"}')
        await connection.wait_closed()

    async with asyncio.timeout(DEADLINE_S), serve(old, "127.0.0.1", 0) as server:
        async with tickcast.connect(gateway.url) as client, client.ticks("AAPL") as ticks:
            assert (ticks.codec, (await anext(ticks)).state, ticks.codec) == ("", "live", "compact")
        port = server.sockets[0].getsockname()[1]
        async with tickcast.connect(f"http://127.0.0.1:{port}") as client, client.ticks("AAPL") as ticks:
            assert (str((await anext(ticks)).price), ticks.codec) == ("2", "json")
