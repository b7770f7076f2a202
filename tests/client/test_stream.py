import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest
from websockets.asyncio.server import ServerConnection, serve

import tickcast
from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 10.0


async def test_ticks_arrive_whole_and_exact(gateway: RunningGateway) -> None:
    async with asyncio.timeout(DEADLINE_S), aclosing(tickcast.stream(gateway.stream_url, "AAPL", rate=0)) as ticks:
        first = await anext(ticks)
        assert (first.symbol, first.state, str(first.price)) == ("AAPL", "live", "185.40")
        gateway.trade("XNAS:AAPL", "185.50", "7")
        second = await anext(ticks)
        assert (str(second.price), second.bid, second.size) == ("185.50", Decimal("185.30"), Decimal(7))
        assert (second.epoch, second.seq, second.merged) == (first.epoch, first.seq + 1, 0)
        assert second.ts_ns is not None
        assert second.ts_ns > (first.ts_ns or 0)


async def test_the_stream_survives_a_restart_and_says_what_it_knew_is_stale(gateway: RunningGateway) -> None:
    port = int(gateway.url.rpartition(":")[2])
    states: list[str] = []
    async with asyncio.timeout(DEADLINE_S), aclosing(tickcast.stream(gateway.stream_url, "AAPL", rate=0)) as ticks:
        states.append((await anext(ticks)).state)
        await gateway.stop()
        states.append((await anext(ticks)).state)
        async with running_gateway(Config(port=port)) as second:
            second.trade("XNAS:AAPL", "190.00")
            while True:
                tick = await anext(ticks)
                states.append(tick.state)
                if tick.price == 190:
                    break
    assert states[:2] == ["live", "stale"]
    assert states[-1] == "live"


async def test_a_cut_connection_is_resumed_by_epoch_and_seq(gateway: RunningGateway) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(tickcast.stream(gateway.stream_url, "AAPL", rate=0, jitter=lambda: 0.0)) as ticks,
    ):
        first = await anext(ticks)
        for stream in gateway.stage.clients.streams.values():
            stream.abort()
        assert (await anext(ticks)).state == "stale"
        again = await anext(ticks)
        assert (again.state, again.epoch, again.seq, again.price) == ("live", first.epoch, first.seq, first.price)


async def test_an_unknown_symbol_is_told(gateway: RunningGateway) -> None:
    async with asyncio.timeout(DEADLINE_S), aclosing(tickcast.stream(gateway.stream_url, "NOPE")) as ticks:
        assert (await anext(ticks)).state == "no_such_symbol"


async def test_nobody_there_is_an_error_in_time() -> None:
    with pytest.raises(tickcast.StreamError, match="none within"):
        await anext(tickcast.stream("ws://127.0.0.1:9/stream", "AAPL", connect_timeout_s=0.2))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
async def test_a_wrong_address_is_an_error_at_once(url: str) -> None:
    with pytest.raises(tickcast.StreamError, match="expected an address"):
        await anext(tickcast.stream(url, "AAPL"))


async def test_refusals_are_errors(gateway: RunningGateway) -> None:
    with pytest.raises(tickcast.StreamError, match="4006"):
        await anext(tickcast.stream(gateway.stream_url, "AAPL", fields=["colour"]))
    with pytest.raises(tickcast.StreamError, match="404"):
        await anext(tickcast.stream(gateway.stream_url.replace("/stream", "/elsewhere"), "AAPL"))
    with pytest.raises(tickcast.StreamError, match="at least one symbol"):
        await anext(tickcast.stream(gateway.stream_url))


async def test_a_close_that_says_do_not_come_back_is_obeyed() -> None:
    connections = 0

    async def turn_away(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await connection.close(4801, "no token")

    async with serve(turn_away, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(tickcast.StreamClosedError) as closed:
            await anext(tickcast.stream(f"ws://127.0.0.1:{port}/stream", "AAPL"))
    assert (closed.value.code, connections) == (4801, 1)


async def test_a_silent_connection_is_given_up() -> None:
    connections = 0

    async def say_nothing(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            await connection.send('{"type":"snapshot","symbol":"AAPL","epoch":1,"seq":1,"state":"live","price":"2"}')
        await connection.wait_closed()

    async with serve(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/stream"
        async with (
            asyncio.timeout(DEADLINE_S),
            aclosing(tickcast.stream(url, "AAPL", silence_s=0.2, jitter=lambda: 0.0)) as ticks,
        ):
            assert (await anext(ticks)).price == 2
    assert connections == 2
