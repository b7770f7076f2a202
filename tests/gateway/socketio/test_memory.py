"""The mode ``memory``, with clients that nobody here wrote."""

import asyncio
import json
from typing import Any

import pytest
import socketio
from tests.gateway.socketio.event_clients import event_client, events_config, until, witnessed

from tickcast.testing.gateway import running_gateway


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], []])
async def test_a_client_subscribes_gets_prices_and_counters_that_add_up(transports: list[str]) -> None:
    async with running_gateway(events_config()) as gateway, event_client(gateway.url, *transports) as client:
        reply = await client.ask("subscribe", {"symbols": ["AAPL", "NOPE"], "id": "mine"})
        assert (reply["type"], reply["id"], reply["symbols"]["NOPE"]) == (
            "subscribed", "mine", {"state": "no_such_symbol"},
        )  # fmt: skip
        for cents in range(10):
            gateway.trade("XNAS:AAPL", f"100.{cents}0")
        await client.price("100.90")
        synced = await client.ask("sync")
        counts = synced["channels"]["price"]["AAPL"]
        assert counts["published"] == counts["delivered"] + counts["merged"] + counts["lost"] >= 10
        assert ("subscribed", reply) in client.events
        own = reply["symbols"]["AAPL"]["seq"]
        updates = [frame for frame in client.frames("update", "snapshot") if frame["seq"] > own]
        assert len(updates) == counts["delivered"]
        gone = await client.ask("unsubscribe", {"symbols": ["AAPL"]})
        assert gone == {"type": "unsubscribed", "channel": "price", "symbols": ["AAPL"]}


async def test_every_channel_and_every_request_has_its_event() -> None:
    async with running_gateway(events_config()) as gateway, event_client(gateway.url) as client:
        for channel in ("trades", "bars", "book"):
            assert (await client.ask("subscribe", {"symbols": ["XNAS:AAPL"], "channel": channel}))["channel"] == channel
        await client.ask("subscribe", {"symbols": ["*"], "channel": "status"})
        gateway.trade("XNAS:AAPL", "101.50")
        gateway.book("XNAS:AAPL", [("101.00", "5")], [("102.00", "7")])
        trade = await client.until(lambda event, _: event == "trade")
        assert (trade["symbol"], trade["price"]) == ("XNAS:AAPL", 101.5)
        await client.until(lambda event, body: event == "bar" or (event == "snapshot" and body.get("bars")))
        await client.until(lambda event, body: event in {"snapshot", "update"} and body.get("bids"))
        assert (await client.ask("set", {"channel": "book", "rate": 2}))["rate"] == 2
        assert (await client.ask("visibility", {"hidden": True})) == {"type": "visibility", "hidden": True}
        assert (await client.ask("ping"))["type"] == "pong"
        await client.until(lambda event, body: event == "snapshot" and body.get("channel") == "status")


async def test_what_is_refused_is_an_event_and_an_acknowledgement() -> None:
    async with running_gateway(events_config(symbols_max=2)) as gateway, event_client(gateway.url) as client:
        for event, body, code in (
            ("fly", {}, 4002),
            ("subscribe", {"symbols": ["A", "B", "C"]}, 4102),
            ("subscribe", {"symbols": 5}, 4003),
            ("subscribe", [1], 4001),
            ("set", {"rate": -1}, 4007),
        ):
            refused = await client.ask(event, body)
            assert (refused["type"], refused["code"]) == ("error", code)
            await until(lambda refused=refused: ("error_message", refused) in client.events)  # type: ignore[misc]


async def test_a_resumed_client_gets_the_trades_it_missed() -> None:
    async with running_gateway(events_config()) as gateway:
        async with event_client(gateway.url) as client:
            reply = await client.ask("subscribe", {"symbols": ["XNAS:AAPL"], "channel": "trades"})
            place = reply["symbols"]["XNAS:AAPL"]
        for cents in range(3):
            gateway.trade("XNAS:AAPL", f"90.{cents}0")
        async with event_client(gateway.url) as client:
            mark = {"epoch": place["epoch"], "seq": place["seq"]}
            resumed = await client.ask("reconnect_stream", {"channel": "trades", "resume": {"XNAS:AAPL": mark}})
            assert resumed["symbols"]["XNAS:AAPL"]["recovered"] is True
            await until(lambda: len(client.frames("trade")) == 3)
            assert [trade["seq"] for trade in client.frames("trade")] == [place["seq"] + n for n in (1, 2, 3)]


async def test_the_client_comes_back_by_itself_after_a_restart() -> None:
    async with running_gateway(events_config(drain_jitter_s=0.0)) as first:
        port = int(first.url.rpartition(":")[2])
        client_context = event_client(first.url)
        client = await client_context.__aenter__()
        await client.ask("subscribe", {"symbols": ["AAPL"]})
    try:
        told = await client.until(lambda event, _: event == "close")
        assert told["code"] == 4702
        config = events_config()
        async with running_gateway(type(config)(port=port, socketio=config.socketio)) as second:
            await until(lambda: len(second.stage.clients.streams) == 1 and client.sio.connected)
            await client.ask("subscribe", {"symbols": ["AAPL"]})
            second.trade("XNAS:AAPL", "77.25")
            await client.price("77.25")
            await client.sio.shutdown()
    finally:
        await client_context.__aexit__(None, None, None)


async def test_a_client_that_does_not_read_is_conflated_and_then_closed() -> None:
    config = events_config()
    async with witnessed(config, undrained_max_ns=1_500_000_000, buffer_max=4096) as (gateway, check):
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        try:
            await upgrade(reader, writer, host)
            send_text(writer, "40")
            send_text(writer, '42["subscribe",{"symbols":["XNAS:AAPL"],"rate":0,"mode":"all"}]')
            await until(lambda: len(gateway.stage.clients.streams) == 2)
            slow = max(gateway.stage.clients.streams)
            stream: Any = gateway.stage.clients.streams[slow]
            most = 0
            async with asyncio.timeout(30):
                while slow in gateway.stage.clients.streams:
                    for cents in range(100):
                        gateway.trade("XNAS:AAPL", f"100.{cents:02}")
                    most = max(most, stream._outbox.held)
                    await asyncio.sleep(0.001)
            assert 0 < most < 100_000  # newer states took the place of older ones long before
            assert stream.closing
            await check()
        finally:
            writer.close()
        await until(lambda: gateway.hub.memory()["clients"] == 1)


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
    writer.write(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: " + host.encode() + b"\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    assert b'"sid"' in await reader.readuntil(b"}")


def send_text(writer: asyncio.StreamWriter, text: str) -> None:
    data = text.encode()
    assert len(data) < 126
    writer.write(bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data)


async def test_the_synchronous_client_works_too() -> None:
    async with running_gateway(events_config()) as gateway:
        told: list[Any] = []

        def watch() -> Any:
            client = socketio.Client()
            client.on("snapshot", told.append)
            client.connect(gateway.url, transports=["polling"])
            try:
                return client.call("subscribe", {"symbols": ["AAPL"], "numbers": "string"})
            finally:
                client.disconnect()

        reply = await asyncio.to_thread(watch)
        assert json.loads(json.dumps(reply))["type"] == "subscribed"
