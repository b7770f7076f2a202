"""The JavaScript client beside a whole instance whose core is killed: it ends with what REST says, in every codec."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.clients.node_process import CODECS, NodeClient, Report, agree, node_client, rest

from tickcast.testing.instance import DemoInstance, eventually

SYMBOLS = ("XNAS:AAPL", "BINANCE:BTC-USDT")


async def watch(client: NodeClient) -> None:
    await client.subscribe(*SYMBOLS, "AAPL", channel="price")
    await client.subscribe(*SYMBOLS, channel="trades")
    await client.subscribe(*SYMBOLS, channel="book", depth=10)
    await client.subscribe(*SYMBOLS, channel="bars", interval="1s")
    await client.subscribe("*", channel="status")


async def check(url: str, client: NodeClient, before: Report) -> None:
    """What the client holds now is what REST says, in new epochs."""
    assert agree(await client.sync()) > 0
    after = await client.report()
    for symbol in SYMBOLS:
        assert after.topic(symbol)["epoch"] != before.topic(symbol)["epoch"]
        assert after.topic(symbol, "trades")["received"] > before.topic(symbol, "trades")["received"]
        book = after.topic(symbol, "book")
        assert (book["wrong_digests"], len(book["bids"]) > 0) == (0, True)
        assert book["digests"] > 1
        bars = {bar["start"]: bar for bar in after.topic(symbol, "bars", "1s")["bars"] if bar["final"]}
        told = await rest(url, f"/bars/{symbol}?interval=1s&limit=1000&numbers=string")
        same = [bar["volume"] for bar in told["bars"] if bars.get(bar["start"], bar)["volume"] == bar["volume"]]
        assert len(same) == len(told["bars"]) > 0
    assert set(after["feeds"]) == {"xnas", "binance"}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_core_is_killed(tmp_path: Path) -> None:
    """A client of each codec at once."""
    instance = DemoInstance(tmp_path, rate=200, symbols=5, exchanges=("XNAS", "BINANCE"))
    await asyncio.to_thread(instance.__enter__)
    try:
        await asyncio.to_thread(instance.wait_ready, deadline_s=90)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(node_client(instance.stream_url, codec)) for codec in CODECS]
            for client in clients:
                await watch(client)
            await asyncio.sleep(3)
            for client in clients:
                assert agree(await client.sync()) > 0
            before = [await client.report() for client in clients]
            await asyncio.to_thread(instance.kill, "core", signal.SIGKILL)
            for client in clients:
                await client.until("close")
            for client in clients:
                await client.until("open", deadline_s=60)
            await asyncio.to_thread(eventually, lambda: instance.get("/health/ready"), deadline_s=90)
            await asyncio.sleep(3)
            for client, was in zip(clients, before, strict=True):
                await check(instance.url, client, was)
    finally:
        await asyncio.to_thread(instance.__exit__, None, None, None)
