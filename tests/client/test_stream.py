"""Streams of a client against the real gateway: loops, functions, breaks, refusals, the end."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

import tickcast
from tickcast.client import ClosedError, NotAllowedError, RequestError, Stream, Tick, TokenError, UnreachableError
from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 15.0
SNAPSHOT = '{"type":"snapshot","symbol":"AAPL","epoch":1,"seq":1,"state":"live","price":"2"}'


@asynccontextmanager
async def ticks_of(gateway: RunningGateway, *symbols: str) -> AsyncIterator[Stream[Tick]]:
    async with (
        asyncio.timeout(DEADLINE_S),
        tickcast.connect(gateway.url, jitter=lambda: 0.0) as client,
        client.ticks(*symbols, rate=0) as ticks,
    ):
        yield ticks


async def test_ticks_arrive_whole_and_exact(gateway: RunningGateway) -> None:
    async with ticks_of(gateway, "AAPL") as ticks:
        first = await anext(ticks)
        assert (first.symbol, first.state, str(first.price)) == ("AAPL", "live", "185.40")
        gateway.trade("XNAS:AAPL", "185.50", "7")
        second = await anext(ticks)
        assert (str(second.price), second.bid, second.size) == ("185.50", Decimal("185.30"), Decimal(7))
        assert (second.epoch, second.seq, second.merged) == (first.epoch, first.seq + 1, 0)
        assert second.ts_ns is not None
        assert second.ts_ns > (first.ts_ns or 0)
        assert ticks.counters["AAPL"].published == 1


async def test_the_stream_survives_a_restart_and_says_what_it_knew_is_stale(gateway: RunningGateway) -> None:
    port = int(gateway.url.rpartition(":")[2])
    states: list[str] = []
    async with ticks_of(gateway, "AAPL") as ticks:
        states.append((await anext(ticks)).state)
        await gateway.stop()
        states.append((await anext(ticks)).state)
        async with running_gateway(Config(port=port), epoch=9) as second:
            second.trade("XNAS:AAPL", "190.00")
            while True:
                tick = await anext(ticks)
                states.append(tick.state)
                if tick.price == 190:
                    break
            assert (ticks.connects, ticks.counters["AAPL"].breaks, ticks.counters["AAPL"].epoch) == (2, 1, 9)
    assert states[:2] == ["live", "stale"]
    assert states[-1] == "live"


async def test_a_cut_connection_is_resumed_by_epoch_and_seq(gateway: RunningGateway) -> None:
    async with ticks_of(gateway, "AAPL") as ticks:
        first = await anext(ticks)
        for stream in gateway.stage.clients.streams.values():
            stream.abort()
        assert (await anext(ticks)).state == "stale"
        again = await anext(ticks)
        assert (again.state, again.epoch, again.seq, again.price) == ("live", first.epoch, first.seq, first.price)


async def test_functions_are_called_in_order_and_what_they_raise_is_raised(gateway: RunningGateway) -> None:
    heard: list[str] = []
    async with ticks_of(gateway, "AAPL", "XNAS:MSFT", "NOPE") as ticks:
        with pytest.raises(RequestError, match="a function to call"):
            await ticks.run()

        @ticks.on("AAPL")
        async def later(tick: Tick) -> None:
            await asyncio.sleep(0)
            heard.append(f"later {tick.symbol}")

        @ticks.on()
        def everything(tick: Tick) -> None:
            heard.append(tick.symbol)
            if tick.price == 410:
                raise LookupError("seen enough")

        gateway.trade("XNAS:MSFT", "410")
        with pytest.raises(LookupError, match="seen enough"):
            await ticks.run()
    assert heard.index("later AAPL") + 1 == heard.index("AAPL")
    assert set(heard) == {"later AAPL", "AAPL", "NOPE", "XNAS:MSFT"}


async def test_symbols_are_added_and_dropped_while_it_runs(gateway: RunningGateway) -> None:
    async with ticks_of(gateway, "AAPL") as ticks:
        assert (await anext(ticks)).symbol == "AAPL"
        await ticks.add("XNAS:MSFT")
        assert (await anext(ticks)).symbol == "XNAS:MSFT"
        await ticks.drop("AAPL")
        assert ticks.symbols == ("XNAS:MSFT",)
        gateway.trade("XNAS:AAPL", "185.60")
        gateway.trade("XNAS:MSFT", "410.20")
        while (tick := await anext(ticks)).price is None:
            assert tick.symbol == "XNAS:MSFT"
        assert tick.price == Decimal("410.20")


async def test_a_pattern_brings_what_it_stands_for(gateway: RunningGateway) -> None:
    async with ticks_of(gateway, "XNAS:*") as ticks:
        assert {(await anext(ticks)).symbol, (await anext(ticks)).symbol} == {"XNAS:AAPL", "XNAS:MSFT"}
        for stream in list(gateway.stage.clients.streams.values()):
            stream.abort()
        after = [await anext(ticks) for _ in range(4)]
        assert [tick.state for tick in after[:2]] == ["stale", "stale"]
        assert {tick.symbol for tick in after[2:]} == {"XNAS:AAPL", "XNAS:MSFT"}


async def test_a_closed_stream_ends_its_loop_wherever_it_waits(gateway: RunningGateway) -> None:
    async with tickcast.connect(gateway.url, verify_s=0.0) as client, asyncio.timeout(DEADLINE_S):
        quiet = client.ticks("AAPL", rate=0)
        seen: list[Tick] = []

        async def follow(stream: Stream[Tick]) -> None:
            seen.extend([tick async for tick in stream])

        async with asyncio.TaskGroup() as group:
            group.create_task(follow(quiet))
            while not seen and not quiet.is_connected:
                await asyncio.sleep(0.005)
            await quiet.close()
        assert await quiet.batch() == []
        backing_off = tickcast.connect("http://127.0.0.1:9", connect_timeout_s=60).ticks("AAPL")
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(backing_off))
            await asyncio.sleep(0.1)
            await backing_off.close()


async def test_who_waits_no_longer_loses_nothing(gateway: RunningGateway) -> None:
    async with ticks_of(gateway, "AAPL") as ticks:
        await anext(ticks)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(ticks)
        gateway.trade("XNAS:AAPL", "185.50")
        assert (await anext(ticks)).price == Decimal("185.50")


async def test_a_loop_that_is_left_is_ended_with_its_client(gateway: RunningGateway) -> None:
    async with asyncio.timeout(DEADLINE_S), tickcast.connect(gateway.url) as client:
        async for tick in client.ticks("AAPL"):
            assert tick.state == "live"
            break
        gc.collect()
        assert len(gateway.stage.clients.streams) == 1
        await client.close()
        while gateway.stage.clients.streams:
            await asyncio.sleep(0.005)
        gc.collect()  # a transport that was forgotten would warn here


async def test_nobody_there_is_an_error_in_time() -> None:
    client = tickcast.connect("ws://127.0.0.1:9/stream", connect_timeout_s=0.2)
    with pytest.raises(UnreachableError, match=r"at http://127.0.0.1:9, found none within 0.2 s.*check address"):
        await anext(client.ticks("AAPL"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "nonsense", "http://", "http://user:secret@127.0.0.1:1"])
def test_a_wrong_address_is_an_error_at_once(url: str) -> None:
    with pytest.raises(RequestError, match="expected an address") as refused:
        tickcast.connect(url)
    assert "secret" not in str(refused.value)


async def test_refusals_are_errors(gateway: RunningGateway) -> None:
    async with tickcast.connect(gateway.url) as client:
        with pytest.raises(RequestError, match="4006") as refused:
            await anext(client.ticks("AAPL", fields=["colour"]))
        assert refused.value.code == 4006
        with pytest.raises(RequestError, match="at least one symbol"):
            client.ticks()
    async with tickcast.connect(f"{gateway.url}/elsewhere") as client:
        with pytest.raises(RequestError, match="404"):
            await anext(client.ticks("AAPL"))


async def closing(code: int, reason: str, tokens: Callable[[], str] | str | None) -> tuple[Exception, list[str]]:
    """What a client makes of a gateway that closes, and what it showed."""
    shown: list[str] = []

    async def turn_away(connection: ServerConnection) -> None:
        assert connection.request is not None
        shown.append(connection.request.headers.get("Authorization", ""))
        await connection.close(code, reason)

    async with asyncio.timeout(DEADLINE_S), serve(turn_away, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = tickcast.connect(f"http://127.0.0.1:{port}", token=tokens, jitter=lambda: 0.0, connect_timeout_s=1)
        with pytest.raises(tickcast.ClientError) as raised:
            await anext(client.ticks("AAPL"))
    return raised.value, shown


async def test_a_close_that_says_do_not_come_back_is_obeyed() -> None:
    for code in (4800, 1009):
        error, shown = await closing(code, "go", None)
        assert isinstance(error, ClosedError)
        assert (error.code, shown) == (code, [""])


async def test_a_token_that_is_missing_or_wrong_is_said() -> None:
    error, shown = await closing(4801, "no token", None)
    assert isinstance(error, TokenError)
    assert ("token=..." in str(error), "no token" in str(error), shown) == (True, True, [""])
    error, shown = await closing(4801, "over", "s3cret")
    assert isinstance(error, TokenError)
    assert ("s3cret" in str(error), shown) == (False, ["Bearer s3cret"])


async def test_a_token_that_ended_is_followed_by_another_one() -> None:
    tokens = iter(("first", "second", "second"))
    error, shown = await closing(4801, "over", lambda: next(tokens))
    assert isinstance(error, TokenError)
    assert shown == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [(401, TokenError, "token"), (403, NotAllowedError, "operator"), (421, RequestError, "421: why")],
)
async def test_a_refused_handshake_is_an_error(status: int, error: type[Exception], text: str) -> None:
    async def refuse(_connection: ServerConnection, _request: Request) -> Response:
        return Response(status, "No", Headers(), b'{"detail":"why"}')

    async def nobody(_connection: ServerConnection) -> None:
        raise AssertionError

    async with serve(nobody, "127.0.0.1", 0, process_request=refuse) as server:
        client = tickcast.connect(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(error, match=text):
            await anext(client.ticks("AAPL"))


async def test_a_gateway_that_says_when_to_come_back_is_obeyed() -> None:
    times: list[float] = []

    async def go(connection: ServerConnection) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            await connection.close(4702, "retry in 30 ms")
            return
        await connection.send(SNAPSHOT)
        await connection.wait_closed()

    async with asyncio.timeout(DEADLINE_S), serve(go, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with tickcast.connect(url) as client:
            assert (await anext(client.ticks("AAPL"))).price == 2
    assert times[1] - times[0] >= 0.03


async def test_a_silent_connection_is_given_up() -> None:
    connections = 0

    async def say_nothing(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            await connection.send(SNAPSHOT)
        await connection.wait_closed()

    async with asyncio.timeout(DEADLINE_S), serve(say_nothing, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
        async with tickcast.connect(url, silence_s=0.2, jitter=lambda: 0.0) as client:
            assert (await anext(client.ticks("AAPL"))).price == 2
    assert connections == 2
