"""The protocol on a real socket, by a library that nobody here wrote: what a well-behaved client sees, in order."""

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 10.0


async def ask(client: ClientConnection, **request: Any) -> None:
    await client.send(json.dumps(request))


async def receive(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S), parse_float=str)


async def until_type(client: ClientConnection, kind: str) -> tuple[list[Any], Any]:
    """Frames up to one of a type, and that one."""
    before: list[Any] = []
    while True:
        frame = await receive(client)
        if frame["type"] == kind:
            return before, frame
        before.append(frame)


async def test_subscribe_snapshot_updates(gateway: RunningGateway) -> None:
    gateway.trade("XNAS:AAPL", "185.40")
    async with connect(gateway.stream_url, subprotocols=["tickcast.json"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "tickcast.json"
        await ask(client, action="subscribe", symbols=["XNAS:AAPL"], rate=0)
        ack, snapshot = await receive(client), await receive(client)
        place = ack["symbols"]["XNAS:AAPL"]
        assert (snapshot["type"], snapshot["price"], snapshot["state"]) == ("snapshot", "185.40", "live")
        assert (snapshot["epoch"], snapshot["seq"]) == (place["epoch"], place["seq"])
        gateway.quote("XNAS:AAPL", ("185.30", "10"), ("185.50", "20"))
        update = await receive(client)
        assert (update["type"], update["seq"], update["bid"], update["ask"]) == (
            "update",
            snapshot["seq"] + 1,
            "185.30",
            "185.50",
        )
        assert "price" not in update


async def test_conflated_updates_say_how_many_were_merged_and_sync_adds_up(gateway: RunningGateway) -> None:
    async with connect(gateway.stream_url) as client:
        await ask(client, action="subscribe", symbols=["XNAS:MSFT"], rate=20)
        _, snapshot = await until_type(client, "snapshot")
        for number in range(50):
            gateway.trade("XNAS:MSFT", f"410.{number:02d}")
        await ask(client, action="sync", id="barrier")
        frames, synced = await until_type(client, "synced")
        updates = [frame for frame in frames if frame["type"] == "update"]
        counters = synced["channels"]["price"]["XNAS:MSFT"]
        assert updates[-1]["price"] == "410.49"
        assert updates[-1]["seq"] == snapshot["seq"] + 50 == counters["seq"]
        assert counters["published"] == 50
        assert counters["delivered"] == len(updates)
        assert counters["merged"] == 50 - len(updates)
        assert counters["lost"] == 0


async def test_the_last_value_of_a_burst_arrives_within_the_interval(gateway: RunningGateway) -> None:
    async with connect(gateway.stream_url) as client:
        await ask(client, action="subscribe", symbols=["XNAS:MSFT"], rate=5)
        await until_type(client, "snapshot")
        for number in range(20):
            gateway.trade("XNAS:MSFT", f"410.{number:02d}")
        while (await until_type(client, "update"))[1].get("price") != "410.19":
            pass


async def test_trades_come_one_by_one_and_are_made_up_for_after_a_break(gateway: RunningGateway) -> None:
    async with connect(gateway.stream_url) as client:
        await ask(client, action="subscribe", symbols=["XNAS:AAPL"], channel="trades")
        place = (await receive(client))["symbols"]["XNAS:AAPL"]
        for number in range(3):
            gateway.trade("XNAS:AAPL", f"185.4{number}")
        told = await receive(client)
        assert (told["type"], told["state"]) == ("status", "live")
        trades = [await receive(client) for _ in range(3)]
    assert [(trade["type"], trade["channel"], trade["price"]) for trade in trades] == [
        ("trade", "trades", f"185.4{number}") for number in range(3)
    ]
    assert [trade["seq"] for trade in trades] == [place["seq"] + 1 + number for number in range(3)]
    assert isinstance(trades[0]["id"], str)
    assert trades[0]["side"] == "buy"
    gateway.trade("XNAS:AAPL", "185.43")
    async with connect(gateway.stream_url) as client:
        resume = {"XNAS:AAPL": {"epoch": place["epoch"], "seq": trades[1]["seq"]}}
        await ask(client, action="reconnect", channel="trades", resume=resume)
        resumed = await receive(client)
        assert (resumed["type"], resumed["channel"]) == ("resumed", "trades")
        assert resumed["symbols"]["XNAS:AAPL"]["recovered"] is True
        assert [(await receive(client))["price"] for _ in range(2)] == ["185.42", "185.43"]


async def test_last_seen_sends_a_snapshot_only_where_something_changed(gateway: RunningGateway) -> None:
    # The first trade of all proves nothing by its time: an earlier epoch may have ended with it. So two of each.
    for price in ("185.39", "185.40"):
        gateway.trade("XNAS:AAPL", price)
        gateway.trade("XNAS:MSFT", price)
    async with connect(gateway.stream_url) as client:
        await ask(client, action="subscribe", symbols=["XNAS:AAPL", "XNAS:MSFT"])
        await receive(client)
        seen = {frame["symbol"]: frame["timestamp"] for frame in (await receive(client), await receive(client))}
    gateway.trade("XNAS:MSFT", "410.01")
    async with connect(gateway.stream_url) as client:
        await ask(client, action="reconnect", last_seen=seen, id=1)
        resumed, snapshot = await receive(client), await receive(client)
        assert {symbol: entry["recovered"] for symbol, entry in resumed["symbols"].items()} == {
            "XNAS:AAPL": True,
            "XNAS:MSFT": True,
        }
        assert (snapshot["type"], snapshot["symbol"], snapshot["price"]) == ("snapshot", "XNAS:MSFT", "410.01")
        await ask(client, action="ping", id=2)
        assert (await receive(client))["type"] == "pong"


async def test_strings_and_arrays_from_the_address(gateway: RunningGateway) -> None:
    gateway.trade("XNAS:AAPL", "185.40")
    async with connect(gateway.stream_url + "?numbers=string&batch=1") as client:
        await ask(client, action="subscribe", symbols=["XNAS:AAPL", "XNAS:MSFT"])
        frames: list[Any] = []
        while len(frames) < 3:
            message = await receive(client)
            assert isinstance(message, list)
            frames += message
        assert json.dumps(frames).count('"price": "185.40"') == 1
        assert frames[1]["size"] == "100"


async def test_an_unsubscribed_symbol_is_silent(gateway: RunningGateway) -> None:
    async with connect(gateway.stream_url) as client:
        await ask(client, action="subscribe", symbols=["XNAS:AAPL", "XNAS:MSFT"], rate=0)
        await receive(client)
        await until_type(client, "snapshot")
        await until_type(client, "snapshot")
        await ask(client, action="unsubscribe", symbols=["XNAS:AAPL"])
        await until_type(client, "unsubscribed")
        gateway.trade("XNAS:AAPL", "1.00")
        gateway.trade("XNAS:MSFT", "2.00")
        frames, _ = await until_type(client, "update")
        assert {frame["symbol"] for frame in frames} <= {"XNAS:MSFT"}


async def test_two_clients_with_the_same_terms_get_the_same_bytes(gateway: RunningGateway) -> None:
    async with connect(gateway.stream_url) as one, connect(gateway.stream_url) as other:
        for client in (one, other):
            await ask(client, action="subscribe", symbols=["XNAS:AAPL"], rate=0)
            await until_type(client, "snapshot")
        gateway.trade("XNAS:AAPL", "185.40")
        while True:
            first, second = await one.recv(), await other.recv()
            assert first == second
            if json.loads(first)["type"] == "update":
                break


async def test_a_restarted_gateway_has_another_epoch_and_says_so() -> None:
    async with running_gateway() as gateway, connect(gateway.stream_url) as client:
        resume = {"XNAS:AAPL": {"epoch": 999, "seq": 5}}
        await ask(client, action="subscribe", symbols=["XNAS:AAPL"], resume=resume, id="again")
        subscribed, resumed, snapshot = [await receive(client) for _ in range(3)]
        assert [subscribed["id"], resumed["id"]] == ["again", "again"]
        assert resumed["symbols"]["XNAS:AAPL"]["reason"] == "epoch_changed"
        assert snapshot["type"] == "snapshot"
