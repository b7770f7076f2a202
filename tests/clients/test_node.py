"""``docs/protocol.md`` is enough to write a client from: one that was, in JavaScript, ends with what REST says."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.clients.node_process import CODECS, NodeClient, agree, node_client, rest

from tickcast.gateway.config import Config
from tickcast.model.record import State
from tickcast.testing.gateway import RunningGateway, running_gateway

NOT_IN_STREAM = {"server_timestamp", "symbol", "epoch", "seq", "state", "currency"}


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as running:
        running.trade("XNAS:AAPL", "185.40")
        running.quote("XNAS:AAPL", ("185.30", "10"), ("185.50", "20"))
        yield running


def as_streamed(price: dict[str, Any]) -> dict[str, Any]:
    shared = {key: value for key, value in price.items() if key not in NOT_IN_STREAM}
    return {"timestamp": trimmed(shared.pop("exchange_timestamp")), **shared}


def trimmed(time: str | None) -> str | None:
    """Binary codecs tell ns, not how many digits of them the text had."""
    return re.sub(r"(\.\d*?)0+Z$", r"\1Z", time).replace(".Z", "Z") if time else time


def strings(value: Any) -> Any:
    """Numbers as REST's parser above makes them: prices are texts on both sides, counts become texts."""
    if isinstance(value, dict):
        return {key: strings(each) for key, each in value.items()}
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


async def ends_as_rest(client: NodeClient, url: str, *symbols: str) -> None:
    report = await client.report()
    for symbol in symbols:
        expected, known = await rest(url, f"/prices/{symbol}"), report.topic(symbol)
        values = {**known["values"], "timestamp": trimmed(known["values"]["timestamp"])}
        assert strings(values) == as_streamed(expected)
        assert (known["state"], str(known["seq"])) == (expected["state"], expected["seq"])


@pytest.mark.parametrize("codec", CODECS)
async def test_prices_are_exact_and_counted(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("AAPL", "XNAS:AAPL", "BINANCE:BTC-USDT", channel="price", rate=20)
        for number in range(200):
            gateway.trade("XNAS:AAPL", f"185.{number:03}0", "7")
            gateway.trade("BINANCE:BTC-USDT", f"67412.0000000{number:03}", "0.00000001")
            if number % 40 == 0:
                await asyncio.sleep(0.06)
        gateway.quote("XNAS:AAPL", ("185.10", "300"), ("185.60", "400"))
        synced = await client.sync()
        assert agree(synced) == 602
        counted = synced["gateway"]["price"]["AAPL"]
        assert counted["merged"] > 0
        assert counted["delivered"] > 1
        await ends_as_rest(client, gateway.url, "AAPL", "XNAS:AAPL", "BINANCE:BTC-USDT")
        assert (await client.report())["errors"] == []
        assert await client.stop() == 0


@pytest.mark.parametrize("codec", CODECS)
async def test_unfiltered_prices_with_some_fields(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("XNAS:AAPL", channel="price", mode="all", fields=["price", "volume"])
        for number in range(50):
            gateway.trade("XNAS:AAPL", f"186.{number:02}", "1")
        counted = await client.sync()
        assert agree(counted) == counted["own"]["price"]["XNAS:AAPL"]["delivered"] == 50
        values = (await client.report()).topic("XNAS:AAPL")["values"]
        assert values == {"price": "186.49", "volume": "150"}


@pytest.mark.parametrize("codec", CODECS)
async def test_a_change_of_terms_goes_on_counting(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("AAPL", channel="price", rate=1)
        gateway.trade("XNAS:AAPL", "185.41")
        gateway.trade("XNAS:AAPL", "185.42")
        await client.request("subscribe", channel="price", symbols=["AAPL"], rate=5)
        gateway.trade("XNAS:AAPL", "185.43")
        assert agree(await client.sync()) == 3
        await ends_as_rest(client, gateway.url, "AAPL")
        assert (await client.report()).topic("AAPL")["snapshots"] == 2


@pytest.mark.parametrize("codec", CODECS)
async def test_trades_and_prices_are_picked_up_after_a_break(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("AAPL", "XNAS:MSFT", channel="price")
        await client.subscribe("XNAS:AAPL", channel="trades")
        for number in range(10):
            gateway.trade("XNAS:AAPL", f"185.{number:02}")
        assert agree(await client.sync()) == 20
        before = (await client.report()).topic("XNAS:AAPL", "trades")
        for stream in list(gateway.stage.clients.streams.values()):
            stream.abort()
        await client.until("close")
        for number in range(10, 20):
            gateway.trade("XNAS:AAPL", f"185.{number:02}")
        await client.until("open")
        gateway.trade("XNAS:AAPL", "185.99")
        agree(await client.sync())
        report = await client.report()
        trades = report.topic("XNAS:AAPL", "trades")
        assert (trades["recovered"], trades["epoch"], report["connections"]) == (True, before["epoch"], 2)
        assert report.topic("XNAS:MSFT")["snapshots"] == 1, "nothing changed, so nothing is sent"
        prices = [trade["price"] for trade in trades["trades"]]
        assert prices == [f"185.{number:02}" for number in range(20)] + ["185.99"]
        assert [trade["seq"] for trade in trades["trades"]] == list(range(before["seq"] - 9, before["seq"] + 12))
        await ends_as_rest(client, gateway.url, "AAPL", "XNAS:MSFT")


@pytest.mark.parametrize("codec", CODECS)
async def test_another_core_begins_another_epoch(gateway: RunningGateway, codec: str) -> None:
    port = int(gateway.url.rpartition(":")[2])
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("AAPL", channel="price")
        await client.subscribe("XNAS:AAPL", channel="trades")
        assert agree(await client.sync()) == 0
        await gateway.stop()
        closed = await client.until("close")
        assert closed["code"] == 4702
        async with running_gateway(Config(port=port), epoch=1 << 52) as second:
            second.trade("XNAS:AAPL", "190.00")
            await client.until("open")
            await client.sync()
            second.trade("XNAS:AAPL", "190.50")
            agree(await client.sync())
            await ends_as_rest(client, second.url, "AAPL")
            report = await client.report()
            assert report.topic("AAPL")["epoch"] >= 1 << 52
            trades = report.topic("XNAS:AAPL", "trades")
            assert (trades["recovered"], trades["trades"][-1]["price"]) == (False, "190.50")


@pytest.mark.parametrize("codec", CODECS)
async def test_an_epoch_that_begins_on_the_way(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("XNAS:AAPL", "AAPL", channel="price", rate=1)
        await client.subscribe("XNAS:AAPL", channel="trades")
        gateway.trade("XNAS:AAPL", "185.50")
        agree(await client.sync())
        gateway.hub.renew("XNAS:AAPL")
        for price in ("185.51", "185.52", "185.53"):
            gateway.trade("XNAS:AAPL", price)
        synced = await client.sync()
        agree(synced)
        assert {channel: synced["own"][channel]["XNAS:AAPL"]["epoch"] for channel in ("price", "trades")} == {
            "price": 2,
            "trades": 2,
        }
        await ends_as_rest(client, gateway.url, "AAPL", "XNAS:AAPL")


@pytest.mark.parametrize("codec", CODECS)
async def test_lost_trades_are_counted(codec: str) -> None:
    async with running_gateway(buffer_max=65_536) as gateway, node_client(gateway.stream_url, codec) as client:
        await client.subscribe("XNAS:AAPL", channel="trades")
        client.signal(signal.SIGSTOP)
        try:
            for number in range(60_000):
                gateway.trade("XNAS:AAPL", f"185.{number % 1000:04}")
        finally:
            client.signal(signal.SIGCONT)
        synced = await client.sync()
        assert agree(synced) == 60_000
        assert synced["own"]["trades"]["XNAS:AAPL"]["lost"] > 0


@pytest.mark.parametrize("codec", CODECS)
async def test_each_frame_may_be_a_message(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec, batch=False) as client:
        await client.subscribe("AAPL", channel="price", rate=0)
        await client.subscribe("XNAS:AAPL", channel="trades")
        for number in range(20):
            gateway.trade("XNAS:AAPL", f"185.{number:02}")
        assert agree(await client.sync()) == 40
        await ends_as_rest(client, gateway.url, "AAPL")


async def test_the_client_comes_back_when_it_is_told_to(gateway: RunningGateway) -> None:
    async with node_client(gateway.stream_url, first_delay_ms=600_000) as client:
        await gateway.stop()
        closed = await client.until("close")
        told = re.search(r"retry in (\d+) ms", closed["reason"])
        assert told is not None
        assert (closed["code"], closed["delay_ms"]) == (4702, int(told[1]))


@pytest.mark.parametrize("codec", CODECS)
async def test_status_of_feeds_and_of_symbols(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        await client.subscribe("*", channel="status")
        await client.subscribe("XNAS:AAPL", channel="price")
        await client.subscribe("XNAS:AAPL", channel="trades")
        gateway.hub.set_feed_state("xnas", State.STALE, "quiet", 0)
        agree(await client.sync())
        report = await client.report()
        assert report["delivery"] == {"rung": 0, "word": "normal"}
        assert [report.topic("XNAS:AAPL", channel)["state"] for channel in ("price", "trades")] == ["stale", "stale"]


@pytest.mark.parametrize("codec", CODECS)
async def test_an_unknown_symbol_is_asked_for_again(gateway: RunningGateway, codec: str) -> None:
    async with node_client(gateway.stream_url, codec) as client:
        reply = await client.subscribe("XNAS:NEW", channel="price")
        assert reply["symbols"]["XNAS:NEW"]["state"] == "no_such_symbol"
        assert (await client.report()).topic("XNAS:NEW")["state"] == "no_such_symbol"
