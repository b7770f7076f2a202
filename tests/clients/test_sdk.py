"""The SDK for TypeScript against the real gateway: exact, counted, and whole again after every fault of the network."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest
from tests.clients.sdk_process import SdkClient, sdk_client

from tickcast.gateway.config import Config
from tickcast.model.record import State
from tickcast.testing.fault_proxy import FaultProxy
from tickcast.testing.gateway import RunningGateway, running_gateway

CODECS = ("json", "msgpack", "proto")


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(Config(port=0, heartbeat_s=0.2)) as running:
        running.trade("XNAS:AAPL", "185.40")
        running.quote("XNAS:AAPL", ("185.30", "10"), ("185.50", "20"))
        yield running


@pytest.fixture
async def proxy(gateway: RunningGateway) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", int(gateway.url.rpartition(":")[2])) as between:
        yield between


async def agrees(client: SdkClient) -> int:
    """Both sides count alike; returns how much was counted."""
    synced = await client.synced()
    assert synced["agrees"], synced
    return sum(one["published"] for symbols in synced["gateway"].values() for one in symbols.values())


@pytest.mark.parametrize("codec", CODECS)
async def test_prices_trades_books_and_bars_are_exact_and_counted(gateway: RunningGateway, codec: str) -> None:
    async with sdk_client(gateway.url, codec=codec) as client:
        await client.watch("prices", "AAPL", "XNAS:AAPL", "BINANCE:BTC-USDT")
        await client.watch("trades", "XNAS:AAPL")
        await client.watch("books", "XNAS:AAPL", depth=5)
        await client.watch("bars", "XNAS:AAPL")
        await agrees(client)
        for number in range(120):
            gateway.trade("XNAS:AAPL", f"185.{number:03}0", "7")
            gateway.trade("BINANCE:BTC-USDT", f"67412.0000000{number:03}", "0.00000001")
            if number % 40 == 0:
                await asyncio.sleep(0.06)
        gateway.quote("XNAS:AAPL", ("185.10", "300"), ("185.60", "400"))
        assert await agrees(client) > 500
        told = await client.told()
        assert (told["codec"], told["errors"], told["lost"]) == (codec, [], [])
        assert told["trades"]["XNAS:AAPL"] == [f"185.{number:03}0" for number in range(120)]
        tick = told["ticks"]["BINANCE:BTC-USDT"]
        assert (tick["price"], tick["size"], tick["state"]) == ("67412.0000000119", "0.00000001", "live")
        assert [told["ticks"]["AAPL"][field] for field in ("bid", "bid_size", "ask")] == ["185.10", "300", "185.60"]
        assert told["counters"]["merged"] > 0
        assert (told["counters"]["lost"], told["counters"]["ignored"], told["counters"]["failed"]) == (0, 0, 0)
        assert told["counters"]["verified"] > 0
        bars = told["bars"]["XNAS:AAPL"].values()
        assert sum(Decimal(bar["volume"]) for bar in bars) == 100 + 120 * 7
        assert await client.close() == 0


OF_ONE_CONNECTION = {"receivedAtMs", "merged", "server_timestamp", "verified"}
"""What two clients of the same market may be told differently."""


def trimmed(value: object) -> object:
    """A time without the zeros at its end: binary codecs tell ns, not how many digits of them the text had."""
    return re.sub(r"(:\d\d\.\d*?)0+Z$", r"\1Z", value).replace(".Z", "Z") if isinstance(value, str) else value


def market_of(told: dict[str, Any]) -> dict[str, Any]:
    """What a client knows of the market in the end, without what belongs to its own connection."""
    found = {what: told[what] for what in ("trades", "bars", "lost", "errors")}
    for what in ("ticks", "books"):
        found[what] = {
            symbol: {key: trimmed(value) for key, value in one.items() if key not in OF_ONE_CONNECTION}
            for symbol, one in told[what].items()
        }
    return found


async def test_every_codec_tells_the_same_market(gateway: RunningGateway) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(sdk_client(gateway.url, codec=codec)) for codec in CODECS]
        for client in clients:
            await client.watch("prices", "AAPL", "BINANCE:BTC-USDT", "NOBODY")
            await client.watch("trades", "BINANCE:BTC-USDT")
            await client.watch("books", "XNAS:AAPL", depth=5)
            await client.watch("bars", "XNAS:AAPL", interval="1m")
            await agrees(client)
        gateway.quote("XNAS:AAPL", ("185.305", "10"), ("185.50", "20"))
        for number in range(40):
            # numbers that leave no room for their scale in 64 bits are written in another way
            gateway.trade("BINANCE:BTC-USDT", "1234567890.000000001", f"87654321.{number:010}")
            gateway.trade("XNAS:AAPL", f"185.{number:02}", "3")
        gateway.hub.set_feed_state("xnas", State.STALE, "quiet", 0)
        markets = []
        for client in clients:
            await agrees(client)
            told = await client.becomes(lambda told: told["ticks"]["AAPL"]["state"] == "stale")
            assert told["counters"]["verified"] > 0
            markets.append(market_of(told))
        for codec, market in zip(CODECS, markets, strict=True):
            for what, known in market.items():
                assert known == markets[0][what], (codec, what)
        assert markets[0]["trades"]["BINANCE:BTC-USDT"] == ["1234567890.000000001"] * 40
        assert markets[0]["ticks"]["BINANCE:BTC-USDT"]["size"] == "87654321.0000000039"
        assert markets[0]["ticks"]["NOBODY"]["state"] == "no_such_symbol"


@pytest.mark.parametrize("codec", CODECS)
async def test_only_the_fields_that_were_asked_for(gateway: RunningGateway, codec: str) -> None:
    async with sdk_client(gateway.url, codec=codec) as client:
        await client.watch("prices", "XNAS:AAPL", rate=0, fields=["price", "volume"])
        told = await client.becomes(lambda told: "XNAS:AAPL" in told["ticks"])
        gateway.trade("XNAS:AAPL", "186.01", "5")
        told = await client.becomes(lambda told: told["ticks"]["XNAS:AAPL"].get("price") == "186.01")
        assert "bid" not in told["ticks"]["XNAS:AAPL"]
        await client.watch("prices", "XNAS:AAPL", fields=["bid"])
        await client.becomes(lambda told: told["ticks"]["XNAS:AAPL"].get("bid") == "185.30")
        await client.tell("end", which=1)
        await client.becomes(lambda told: "bid" not in told["ticks"]["XNAS:AAPL"])


@pytest.mark.parametrize("codec", CODECS)
async def test_a_pattern_brings_what_it_stands_for(gateway: RunningGateway, codec: str) -> None:
    async with sdk_client(gateway.url, codec=codec) as client:
        await client.watch("prices", "XNAS:*")
        told = await client.becomes(lambda told: len(told["ticks"]) >= 2)
        assert set(told["ticks"]) <= {entry.name for entry in gateway.definitions if entry.venue == "XNAS"}
        gateway.trade("XNAS:MSFT", "421.07")
        await client.becomes(lambda told: told["ticks"]["XNAS:MSFT"].get("price") == "421.07")


@pytest.mark.parametrize(
    ("fault", "codec"),
    [("drop", "json"), ("reset", "json"), ("reset", "msgpack"), ("reset", "proto"), ("half_open", "json")],
)
async def test_after_a_fault_nothing_is_missing_and_nothing_comes_twice(
    gateway: RunningGateway, proxy: FaultProxy, fault: str, codec: str
) -> None:
    silence_ms = 1_000 if fault == "half_open" else 30_000
    async with sdk_client(f"http://127.0.0.1:{proxy.port}", codec=codec, silenceMs=silence_ms) as client:
        await client.watch("prices", "AAPL", "XNAS:MSFT")
        await client.watch("trades", "XNAS:AAPL")
        await client.watch("books", "XNAS:AAPL")
        await client.until("live")
        await agrees(client)
        for number in range(30):
            gateway.trade("XNAS:AAPL", f"185.{number:02}")
        await agrees(client)
        getattr(proxy, fault)()
        for number in range(30, 60):
            gateway.trade("XNAS:AAPL", f"185.{number:02}")
        lost = await client.until("offline")
        assert lost["retryAtMs"] is not None
        await client.until("live")
        gateway.trade("XNAS:AAPL", "185.99")
        await agrees(client)
        told = await client.told()
        assert told["trades"]["XNAS:AAPL"] == [f"185.{number:02}" for number in range(60)] + ["185.99"]
        assert (told["lost"], told["counters"]["failed"]) == ([], 0)
        assert told["counters"]["connections"] >= 2
        assert "stale" in told["states"]["AAPL"], "nothing is current while the connection is away"
        assert (told["ticks"]["AAPL"]["price"], told["ticks"]["AAPL"]["state"]) == ("185.99", "live")
        assert told["ticks"]["XNAS:MSFT"]["state"] != "stale", "nothing changed, and still it is current again"
        assert told["books"]["XNAS:AAPL"]["isWhole"]
        assert await client.close() == 0


async def test_what_comes_late_is_whole(gateway: RunningGateway, proxy: FaultProxy) -> None:
    proxy.delay(150)
    async with sdk_client(f"http://127.0.0.1:{proxy.port}") as client:
        await client.watch("prices", "AAPL")
        await client.until("live")
        for number in range(20):
            gateway.trade("XNAS:AAPL", f"186.{number:02}")
        assert await agrees(client) == 20
        assert (await client.told())["counters"]["connections"] == 1


async def test_refused_again_and_again_it_waits_longer_and_comes_back(
    gateway: RunningGateway, proxy: FaultProxy
) -> None:
    async with sdk_client(f"http://127.0.0.1:{proxy.port}") as client:
        await client.watch("prices", "AAPL")
        await client.until("live")
        proxy.refuse()
        proxy.reset()
        attempts: list[int] = []
        while not attempts or attempts[-1] < 4:
            attempts.append((await client.until("offline"))["attempt"])
        assert set(attempts) == {1, 2, 3, 4}
        gateway.trade("XNAS:AAPL", "187.00")
        proxy.accept()
        await client.until("live")
        await client.becomes(lambda told: told["ticks"]["AAPL"]["price"] == "187.00")


@pytest.mark.parametrize("codec", CODECS)
async def test_another_core_is_another_epoch_and_trades_say_that_some_are_missing(
    gateway: RunningGateway, codec: str
) -> None:
    port = int(gateway.url.rpartition(":")[2])
    async with sdk_client(gateway.url, codec=codec) as client:
        await client.watch("prices", "AAPL")
        await client.watch("trades", "XNAS:AAPL")
        await client.until("live")
        await gateway.stop()
        assert "retry" in (await client.until("offline"))["reason"]
        async with running_gateway(Config(port=port), epoch=1 << 52) as second:
            second.trade("XNAS:AAPL", "190.00")
            await client.until("live")
            await client.synced()
            second.trade("XNAS:AAPL", "190.50")
            await agrees(client)
            told = await client.told()
            assert told["ticks"]["AAPL"]["price"] == "190.50"
            assert told["ticks"]["AAPL"]["epoch"] >= 1 << 52
            assert [hole["count"] for hole in told["lost"]] == [None]
            assert told["trades"]["XNAS:AAPL"][-1] == "190.50"


@pytest.mark.parametrize("codec", CODECS)
async def test_an_epoch_that_begins_on_the_way_is_told_to_the_tape(gateway: RunningGateway, codec: str) -> None:
    async with sdk_client(gateway.url, codec=codec) as client:
        await client.watch("trades", "XNAS:AAPL")
        await client.until("live")
        gateway.trade("XNAS:AAPL", "185.50")
        await agrees(client)
        gateway.hub.renew("XNAS:AAPL")
        for price in ("185.51", "185.52"):
            gateway.trade("XNAS:AAPL", price)
        await agrees(client)
        told = await client.told()
        assert told["trades"]["XNAS:AAPL"] == ["185.50", "185.51", "185.52"]
        assert [(hole["count"], hole["reason"]) for hole in told["lost"]] == [(None, "epoch_changed")]


async def test_a_state_is_told_at_once(gateway: RunningGateway) -> None:
    async with sdk_client(gateway.url) as client:
        await client.watch("prices", "XNAS:AAPL", "NOBODY")
        await client.until("live")
        gateway.hub.set_feed_state("xnas", State.STALE, "quiet", 0)
        told = await client.becomes(lambda told: told["ticks"]["XNAS:AAPL"]["state"] == "stale")
        assert told["ticks"]["XNAS:AAPL"]["reason"] == "quiet"
        assert told["ticks"]["NOBODY"]["state"] == "no_such_symbol"


async def test_a_handshake_that_would_be_refused_again_ends_it_with_the_reason(gateway: RunningGateway) -> None:
    async with sdk_client(gateway.url, headers={"Origin": "https://elsewhere.example"}) as client:
        await client.watch("prices", "AAPL")
        stopped = await client.until("stopped")
        assert stopped["code"] == 403
        told = await client.becomes(lambda told: told["closed"] is not None)
        assert "refused with 403: " in told["closed"]["message"]
        assert await client.close() == 0
