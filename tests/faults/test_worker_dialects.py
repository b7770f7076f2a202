"""Events and long polls at the workers of a real instance: what one worker told is picked up at any other."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import aconnect_sse

from tickcast.testing.instance import DemoInstance

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
DEADLINE_S = 30.0
QUERY = "symbols=XNAS:AAPL,XSIM:AAPL,XNAS:NONE&channels=price,trades&rate=5"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    folder = tmp_path_factory.mktemp("dialects")
    with DemoInstance(folder, "--gateways", "2", rate=300, symbols=12, exchanges=("XNAS", "XSIM")) as started:
        started.wait_ready(deadline_s=60)
        yield started


@asynccontextmanager
async def events(instance: DemoInstance, last_id: str = "") -> AsyncIterator[AsyncIterator[tuple[str, str, Any]]]:
    """(name, id, data) of one stream."""
    headers = {"last-event-id": last_id} if last_id else {}
    async with (
        httpx.AsyncClient(timeout=DEADLINE_S) as client,
        aconnect_sse(client, "GET", f"{instance.url}/events?{QUERY}", headers=headers) as source,
    ):
        source.response.raise_for_status()
        yield ((event.event, event.id, json.loads(event.data)) async for event in source.aiter_sse())


async def test_streams_follow_one_another_without_a_trade_missed_or_told_twice(instance: DemoInstance) -> None:
    last_id, seen, recovered = "", dict[str, list[int]](), 0
    async with asyncio.timeout(DEADLINE_S * 3):
        for _ in range(5):
            told = 0
            async with events(instance, last_id) as stream:
                async for name, event_id, event in stream:
                    if name == "resumed" and event["channel"] == "trades":
                        recovered += sum(mark["recovered"] for mark in event["symbols"].values())
                    if name == "trade":
                        told += 1
                        seen.setdefault(event["symbol"], []).append(event["seq"])
                    # wherever it is cut: whether the event brought an id of its own is nothing that a client knows
                    if told >= 5 and len(seen) == 2:
                        last_id = event_id
                        break
    assert recovered == 8, "both symbols, each time"
    for symbol, numbers in seen.items():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), symbol


async def test_polls_are_answered_by_any_worker(instance: DemoInstance) -> None:
    names = "XNAS:AAPL,XSIM:AAPL,XNAS:NONE"
    since, newest = "", dict[str, int]()
    async with asyncio.timeout(DEADLINE_S * 3):
        for turn in range(8):
            async with httpx.AsyncClient(base_url=instance.url, timeout=DEADLINE_S) as client:
                answer = await client.get("/prices", params={"symbols": names, "since": since, "wait": 20})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            prices = {price["symbol"]: price for price in body["prices"]}
            if not turn:
                assert prices.pop("XNAS:NONE") == {"symbol": "XNAS:NONE", "state": "no_such_symbol"}
                assert set(prices) == {"XNAS:AAPL", "XSIM:AAPL"}
                plain = await asyncio.to_thread(instance.get, "/prices/XNAS:AAPL")
                assert set(prices["XNAS:AAPL"]) == set(plain)
                assert prices["XNAS:AAPL"]["currency"] == plain["currency"]
            assert prices, "the market moves"
            for symbol, price in prices.items():
                assert price["seq"] > newest.get(symbol, -1), "only what is newer"
                newest[symbol] = price["seq"]
            since = body["next"]
