"""Late over the edge dialects, with clients that know nothing of tickcast: httpx-sse, curl, python-socketio."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import aconnect_sse
from tests.gateway.socketio.event_clients import EventClient, event_client
from tests.gateway.socketio.test_nodes import free_port, redis_server
from tests.late_world import AAPL, DEADLINE_S, by, late_world, token_of

import tickcast
from tickcast.gateway.config import SocketIoConfig
from tickcast.testing.gateway import RunningGateway

CURL = shutil.which("curl") or ""
HALF_S = 0.5


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with late_world(tmp_path, delay_s=HALF_S) as gateway:
        yield gateway


def market(world: RunningGateway, price: str = "100") -> float:
    """A trade and a quote, now; returns when that was."""
    world.trade(AAPL, price)
    world.quote(AAPL, ("99", "1"), ("101", "1"))
    return time.monotonic()


async def test_events_come_late_and_are_taken_up_by_their_id(world: RunningGateway) -> None:
    url = f"{world.url}/events?symbols={AAPL}&rate=0"
    async with asyncio.timeout(DEADLINE_S), httpx.AsyncClient(headers=by(), timeout=DEADLINE_S) as http:
        async with aconnect_sse(http, "GET", url) as source:
            events = source.aiter_sse()
            told = json.loads((await anext(events)).data)
            assert (told["type"], told["delay_s"]) == ("subscribed", HALF_S)
            began_s, last_id = market(world), ""
            known: dict[str, Any] = {}
            while (known.get("state"), known.get("bid")) != ("delayed", 99):
                event = await anext(events)
                last_id = event.id or last_id
                known |= json.loads(event.data)
            assert time.monotonic() - began_s >= HALF_S
        market(world, "102")
        async with aconnect_sse(http, "GET", url, headers={"last-event-id": last_id}) as source:
            async for event in source.aiter_sse():
                frame = json.loads(event.data)
                if frame["type"] == "resumed":
                    assert (frame["symbols"][AAPL]["recovered"], frame["delay_s"]) == (True, HALF_S)
                elif frame.get("price") == 102:
                    break


async def test_polls_wait_for_what_is_late(world: RunningGateway) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        httpx.AsyncClient(base_url=world.url, headers=by(), timeout=DEADLINE_S) as http,
    ):
        first = (await http.get("/prices", params={"symbols": AAPL, "wait": 0})).json()
        assert first["prices"][0]["delay_s"] == HALF_S
        began_s = market(world)
        since = first["next"]
        while True:
            shown = (await http.get("/prices", params={"symbols": AAPL, "since": since, "wait": 25})).json()
            since = shown["next"]
            if shown["prices"] and shown["prices"][0]["price"] == 100 and shown["prices"][0]["state"] == "delayed":
                break
        assert time.monotonic() - began_s >= HALF_S
        assert shown["prices"][0]["delay_s"] == HALF_S


@pytest.mark.skipif(not CURL, reason="curl is missing: on Debian `apt install curl`")
async def test_curl_sees_late_events(world: RunningGateway) -> None:
    running = await asyncio.create_subprocess_exec(
        CURL, "--silent", "--show-error", "--no-buffer", "--header", f"authorization: {by()['authorization']}",
        f"{world.url}/events?symbols={AAPL}&rate=0&fields=price,state", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        assert b'"delay_s":0.5' in await running.stdout.readuntil(b"event: subscribed\n\n")
        market(world)
        while b'"state":"delayed"' not in await running.stdout.readuntil(b"\n\n"):
            pass
    running.terminate()
    await running.communicate()


async def test_the_python_client_says_how_late_it_is(world: RunningGateway) -> None:
    began_s = market(world)
    async with (
        asyncio.timeout(DEADLINE_S),
        tickcast.connect(world.url, token=token_of()) as client,
        client.ticks(AAPL, rate=0) as ticks,
    ):
        states = []
        async for tick in ticks:
            states.append(tick.state)
            if tick.state == "delayed" and tick.bid is not None:
                break
        assert time.monotonic() - began_s >= HALF_S
        assert (ticks.delay_s, tick.delay_s) == (HALF_S, HALF_S)
        assert "live" not in states
        (shown,) = await client.fetch_prices(AAPL)
        assert (shown.state, shown.delay_s, str(shown.price)) == ("delayed", HALF_S, "100")


async def seen(client: EventClient, **wanted: Any) -> Any:
    """The first price that is as wanted."""
    return await client.until(
        lambda event, body: (
            event in {"snapshot", "update"} and all(body.get(key) == value for key, value in wanted.items())
        )
    )


def settings_of(mode: Any, folder: Path, stack: ExitStack) -> SocketIoConfig:
    if mode != "redis":
        return SocketIoConfig(mode=mode)
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server")
    url = stack.enter_context(redis_server(program, free_port(), folder))
    return SocketIoConfig(mode=mode, redis_url=url)


@pytest.mark.parametrize("mode", ["memory", "rooms", "redis"])
async def test_socket_io_serves_both_from_hubs_of_their_own(tmp_path: Path, mode: Any) -> None:
    with ExitStack() as stack:
        await both_are_served(tmp_path, settings_of(mode, tmp_path, stack))


async def both_are_served(tmp_path: Path, settings: SocketIoConfig) -> None:
    async with (
        late_world(tmp_path, delay_s=HALF_S, socketio=settings) as world,
        event_client(world.url, auth={"token": token_of(delayed=False)}) as now,
        event_client(world.url, auth={"token": token_of()}) as late,
        event_client(world.url, auth={"token": token_of()}) as too,
    ):
        request = {"symbols": [AAPL], "rate": 0, "fields": ["price", "bid", "state"]}
        assert "delay_s" not in await now.ask("subscribe", request)
        for client in (late, too):
            answer = await client.ask("subscribe", request)
            assert answer["delay_s"] == HALF_S
        for price in range(100, 105):
            began_s = market(world, str(price))
            await seen(now, price=price)
            assert time.monotonic() - began_s < DEADLINE_S
            for client in (late, too):
                await seen(client, price=price)
            assert time.monotonic() - began_s >= HALF_S
        for client, state in ((now, "live"), (late, "delayed"), (too, "delayed")):
            states = {
                body["state"] for event, body in client.events if event in {"snapshot", "update"} and "state" in body
            }
            assert state in states
            assert states <= {state, "empty", "syncing"}
