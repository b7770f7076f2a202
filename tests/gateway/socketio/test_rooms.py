"""The mode ``rooms``: whoever listens in a room knows what it would know on its own."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tests.gateway.socketio.event_clients import EventClient, event_client, events_config, until

from tickcast.gateway.socketio.outbox import HELD
from tickcast.testing.gateway import RunningGateway, running_gateway

SEED = 10


def rooms_of(gateway: RunningGateway) -> Any:
    events: Any = gateway.stage._events
    return events.mode


def moved(gateway: RunningGateway, price: str) -> bool:
    """Move the market, for a condition that needs it."""
    gateway.trade("XNAS:AAPL", price)
    return False


class Picture:
    """What a client knows of a symbol, and whether its counters made sense."""

    def __init__(self, client: EventClient) -> None:
        self.price: dict[str, dict[str, Any]] = {}
        self.trades: dict[str, list[int]] = {}
        client.taps.append(self.tap)

    def tap(self, event: str, frame: Any) -> None:
        if event == "trade":
            self.trades.setdefault(frame["symbol"], []).append(frame["seq"])
        elif event in {"snapshot", "update"}:
            self.take(frame)

    def take(self, frame: dict[str, Any]) -> None:
        if "channel" in frame:
            return
        known = {} if frame["type"] == "snapshot" else self.price.get(frame["symbol"], {})
        assert frame["type"] == "snapshot" or known, "an update before a snapshot"
        assert frame["seq"] >= known.get("seq", 0), "an older state after a newer one"
        self.price[frame["symbol"]] = known | frame

    def shows(self, symbol: str, expected: dict[str, Any]) -> bool:
        known = self.price.get(symbol, {})
        keys = ("price", "size", "bid", "ask", "volume", "high", "low", "seq")
        return bool(known) and all(known[key] == expected[key] for key in keys)


@asynccontextmanager
async def listening(
    gateway: RunningGateway, count: int, **terms: Any
) -> AsyncIterator[list[tuple[EventClient, Picture]]]:
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await stack.enter_async_context(event_client(gateway.url, "websocket"))
            clients.append((client, Picture(client)))
            await client.ask("subscribe", {"symbols": ["AAPL"], **terms})
        yield clients


async def test_clients_with_the_same_terms_share_a_room() -> None:
    async with running_gateway(events_config("rooms")) as gateway, listening(gateway, 3, rate=0) as clients:
        mode = rooms_of(gateway)
        for cents in range(5):
            gateway.trade("XNAS:AAPL", f"100.1{cents}")
        room = next(iter(mode.rooms.values()))
        await until(lambda: (len(room.listeners) == 3 and not room.waiting) or moved(gateway, "100.20"))
        assert [room.name for room in mode.rooms.values()] == ["price|AAPL|0|0|0|0"]
        assert len(list(mode.manager.get_participants("/", room.name))) == 3
        assert sum(count for _, count in gateway.hub.watched()) == 1, "one interest for all"
        gateway.trade("XNAS:AAPL", "123.45")
        for client, _ in clients:
            await client.price("123.45")
        await clients[0][0].ask("set", {"rate": 1})
        await until(lambda: len(room.listeners) == 2)
        await clients[1][0].ask("unsubscribe", {"symbols": ["AAPL"]})
        await clients[2][0].sio.disconnect()
        await until(lambda: room.name not in mode.rooms)
        await clients[0][0].sio.disconnect()
        await until(lambda: not mode.rooms and gateway.hub.memory()["clients"] == 1)  # who unsubscribed


async def act(rng: random.Random, client: EventClient, symbol: str, mode: Any) -> None:
    """Something that a client might do, or that might happen to it."""
    match rng.randrange(8):
        case 0:
            await client.ask("unsubscribe", {"symbols": [symbol]})
            await client.ask("subscribe", {"symbols": [symbol], "rate": rng.choice([0, 20])})
        case 1:
            await client.ask("set", {"rate": rng.choice([0, 10, 20])})
        case 2:
            await client.ask("visibility", {"hidden": rng.random() < 0.5})
        case 3:
            mode.leave(rng.choice(list(mode.members())), "slow")
        case 4:
            await asyncio.sleep(0.01)
        case _:
            pass


async def test_whatever_clients_do_they_end_with_what_is_true() -> None:
    rng = random.Random(SEED)
    symbols = ["AAPL", "XNAS:MSFT", "BINANCE:BTC-USDT"]
    async with (
        running_gateway(events_config("rooms", requests_per_second=10_000)) as gateway,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(event_client(gateway.url, "websocket")) for _ in range(4)]
        pictures = [Picture(client) for client in clients]
        for client in clients:
            await client.ask("subscribe", {"symbols": symbols, "rate": 0})
            await client.ask("subscribe", {"symbols": ["XNAS:MSFT"], "channel": "trades"})
        for step in range(150):
            for _ in range(rng.randrange(4)):
                gateway.trade(
                    rng.choice(["XNAS:AAPL", "XNAS:MSFT", "BINANCE:BTC-USDT"]), f"{100 + step}.{rng.randrange(100):02}"
                )
            client = rng.choice(clients)
            symbol = rng.choice(symbols)
            await act(rng, client, symbol, rooms_of(gateway))
        for client in clients:
            await client.ask("visibility", {"hidden": False})
        for picture in pictures:
            for symbol in symbols:
                name = symbol if ":" in symbol else "AAPL"
                await until(lambda p=picture, s=symbol, n=name: p.shows(s, true(gateway, n)))  # type: ignore[misc]
            seqs = picture.trades["XNAS:MSFT"]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "each trade once, in order"
            position = gateway.hub.position("XNAS:MSFT", 1)
            assert position is not None
            assert seqs[-1] == position.seq


def true(gateway: RunningGateway, symbol: str) -> dict[str, Any]:

    body = gateway.hub.price(symbol)
    assert body is not None
    found: dict[str, Any] = json.loads(body)
    return found


async def test_a_listener_that_is_slow_goes_on_alone_and_comes_back() -> None:
    async with running_gateway(events_config("rooms")) as gateway, listening(gateway, 2, rate=0) as clients:
        mode = rooms_of(gateway)
        room = next(iter(mode.rooms.values()))
        await until(lambda: len(room.listeners) == 2 or moved(gateway, "100.20"))
        slow, quick = (room.listeners[client.sio.get_sid()] for client, _ in clients)
        filler = "x" * (HELD + 1)
        slow._outbox.held += len(filler)  # as if so much waited
        gateway.trade("XNAS:AAPL", "100.30")
        await until(lambda: not slow.joined and bool(quick.joined))
        slow._outbox.held -= len(filler)
        await until(lambda: bool(slow.joined) or moved(gateway, "100.40"))
        gateway.trade("XNAS:AAPL", "100.50")
        for client, _ in clients:
            await client.price("100.50")


@pytest.mark.parametrize(("channel", "symbol"), [("trades", "XNAS:AAPL"), ("book", "XNAS:AAPL"), ("bars", "XNAS:AAPL")])
async def test_every_channel_has_rooms(channel: str, symbol: str) -> None:
    async with running_gateway(events_config("rooms")) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(event_client(gateway.url)) for _ in range(2)]
        for client in clients:
            reply = await client.ask("subscribe", {"symbols": [symbol], "channel": channel})
            assert reply["channel"] == channel
        mode, cents = rooms_of(gateway), 0

        def all_joined() -> bool:
            nonlocal cents
            cents += 1
            gateway.trade("XNAS:AAPL", f"100.{cents % 100:02}")
            gateway.book("XNAS:AAPL", [(f"99.{cents % 100:02}", "5")], [("101.00", "7")])
            return all(len(room.listeners) == 2 for room in mode.rooms.values())

        await until(all_joined)
        assert len(mode.rooms) == 1
        before = [len(client.events) for client in clients]
        assert all_joined()
        await until(lambda: all(len(client.events) > count for client, count in zip(clients, before, strict=True)))


async def test_a_resume_is_the_clients_own_and_counters_are_refused() -> None:
    async with running_gateway(events_config("rooms")) as gateway:
        async with event_client(gateway.url) as client:
            place = (await client.ask("subscribe", {"symbols": ["XNAS:AAPL"], "channel": "trades"}))["symbols"][
                "XNAS:AAPL"
            ]
        for cents in range(3):
            gateway.trade("XNAS:AAPL", f"90.{cents}0")
        async with event_client(gateway.url) as client:
            mark = {"epoch": place["epoch"], "seq": place["seq"]}
            resumed = await client.ask("reconnect_stream", {"channel": "trades", "resume": {"XNAS:AAPL": mark}})
            assert resumed["symbols"]["XNAS:AAPL"]["recovered"] is True
            gateway.trade("XNAS:AAPL", "91.00")
            await until(lambda: [trade["seq"] - place["seq"] for trade in client.frames("trade")] == [1, 2, 3, 4])
            refused = await client.ask("sync")
            assert (refused["type"], refused["code"]) == ("error", 4003)
