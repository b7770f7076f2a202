"""The JavaScript client beside a whole instance whose core is killed: it ends with what REST says, in every codec."""

import asyncio
import signal
from pathlib import Path

import pytest
from tests.clients.node_process import CODECS, NodeClient, agree, node_client, rest

from tickcast.testing.instance import DemoInstance, eventually

SYMBOLS = ("XNAS:AAPL", "BINANCE:BTC-USDT")


async def watch(client: NodeClient) -> None:
    await client.subscribe(*SYMBOLS, "AAPL", channel="price")
    await client.subscribe(*SYMBOLS, channel="trades")
    await client.subscribe(*SYMBOLS, channel="book", depth=10)
    await client.subscribe(*SYMBOLS, channel="bars", interval="1s")
    await client.subscribe("*", channel="status")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("codec", CODECS)
async def test_the_core_is_killed(tmp_path: Path, codec: str) -> None:
    instance = DemoInstance(tmp_path, rate=200, symbols=5, exchanges=("XNAS", "BINANCE"))
    await asyncio.to_thread(instance.__enter__)
    try:
        await asyncio.to_thread(instance.wait_ready, deadline_s=90)
        async with node_client(instance.stream_url, codec) as client:
            await watch(client)
            await asyncio.sleep(3)
            assert agree(await client.sync()) > 0
            before = await client.report()
            await asyncio.to_thread(instance.kill, "core", signal.SIGKILL)
            await client.until("close")
            await client.until("open", deadline_s=60)
            await asyncio.to_thread(eventually, lambda: instance.get("/health/ready"), deadline_s=90)
            await asyncio.sleep(3)
            assert agree(await client.sync()) > 0
            after = await client.report()
            for symbol in SYMBOLS:
                assert after.topic(symbol)["epoch"] != before.topic(symbol)["epoch"]
                assert after.topic(symbol, "trades")["received"] > before.topic(symbol, "trades")["received"]
                book = after.topic(symbol, "book")
                assert (book["wrong_digests"], len(book["bids"]) > 0) == (0, True)
                assert book["digests"] > 1
                bars = {bar["start"]: bar for bar in after.topic(symbol, "bars", "1s")["bars"] if bar["final"]}
                told = await rest(instance.url, f"/bars/{symbol}?interval=1s&limit=1000&numbers=string")
                same = [bar["volume"] for bar in told["bars"] if bars.get(bar["start"], bar)["volume"] == bar["volume"]]
                assert len(same) == len(told["bars"]) > 0
            assert set(after["feeds"]) == {"xnas", "binance"}
    finally:
        await asyncio.to_thread(instance.__exit__, None, None, None)
