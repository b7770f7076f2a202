"""The machine's clock is set while clients watch: times that are told follow it, nothing that is measured does."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tickcast.gateway.config import Config
from tickcast.runtime.clock import now_ns, steady_ns
from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 10.0
HOUR_NS = 3_600_000_000_000


class Wall:
    """A clock on the wall that the test sets."""

    def __init__(self) -> None:
        self.set_ns = 0

    def __call__(self) -> int:
        return steady_ns() + self.set_ns


async def message(client: ClientConnection, *types: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while (found := json.loads(await client.recv()))["type"] not in types:
            continue
    return dict(found)


async def prices(gateway: RunningGateway, client: ClientConnection, prices: list[int]) -> list[float]:
    """Trade at each price at once; returns what is told up to the last of them."""
    for price in prices:
        gateway.trade("XNAS:AAPL", str(price))
    told: list[float] = []
    while not told or told[-1] != prices[-1]:
        told.append((await message(client, "update"))["price"])
    return told


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


@pytest.mark.parametrize("set_ns", [-HOUR_NS, HOUR_NS])
async def test_nothing_is_lost_late_or_closed_when_the_clock_is_set(set_ns: int) -> None:
    wall = Wall()
    config = Config(port=0, ping_interval_s=0.3, heartbeat_s=0.2, request_timeout_s=0.5, handshake_timeout_s=0.5)
    async with running_gateway(config, clock=steady_ns, wall=wall) as gateway, connect(gateway.stream_url) as client:
        fields = ["price", "server_timestamp"]
        await client.send(json.dumps({"action": "subscribe", "symbols": ["AAPL"], "rate": 20, "fields": fields}))
        await message(client, "snapshot")
        assert await prices(gateway, client, [1, 2, 3]) == [1, 3]
        wall.set_ns = set_ns
        assert (await prices(gateway, client, [4, 5, 6]))[-1] == 6, "the last value comes within the interval"
        gateway.trade("XNAS:AAPL", "7")
        told = await message(client, "update")
        assert abs(seconds(told["server_timestamp"]) - wall() / 1e9) < 60, "frames tell the time of the wall"
        for _ in range(5):
            heartbeat = await message(client, "hb")
        assert abs(seconds(heartbeat["server_timestamp"]) - wall() / 1e9) < 60
        wall.set_ns = 0
        assert (await prices(gateway, client, [8, 9]))[-1] == 9
        for number in range(15):
            await client.send(json.dumps({"action": "ping", "id": number}))
            assert (await message(client, "pong", "error"))["id"] == number
        await client.send('{"action":"sync"}')
        row = (await message(client, "synced"))["channels"]["price"]["AAPL"]
        assert row["published"] == row["delivered"] + row["merged"] + row["lost"] == 9


def test_the_steady_clock_begins_as_the_wall_shows() -> None:
    assert abs(steady_ns() - now_ns()) < HOUR_NS
    first = steady_ns()
    assert steady_ns() >= first


async def test_the_time_of_sending_is_told_where_it_is_named_among_all_fields() -> None:
    async with running_gateway() as gateway, connect(gateway.stream_url) as client:
        await client.send(json.dumps({"action": "subscribe", "symbols": ["AAPL"], "rate": 0}))
        names = [key for key in await message(client, "snapshot") if key not in {"type", "symbol", "epoch", "seq"}]
        await prices(gateway, client, [1])
        assert "server_timestamp" in names
        await client.send(json.dumps({"action": "subscribe", "symbols": ["AAPL"], "rate": 0, "fields": names}))
        assert sorted((await message(client, "subscribed"))["fields"]) == sorted(names)
        await message(client, "snapshot")
        gateway.trade("XNAS:AAPL", "2")
        assert "server_timestamp" in await message(client, "update")
        await client.send('{"action":"set","rate":20}')
        assert sorted((await message(client, "ok"))["fields"]) == sorted(names)
        await client.send(json.dumps({"action": "set", "fields": None}))
        assert (await message(client, "ok"))["fields"] is None
        gateway.trade("XNAS:AAPL", "3")
        assert "server_timestamp" not in await message(client, "update")
