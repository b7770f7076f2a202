"""socket.io-client from npm, unchanged, at the nodes of mode ``redis`` with a real Redis, one of which is killed."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from tests.clients.test_socketio import NpmClient, npm_client
from tests.gateway.socketio.event_clients import events_config
from tests.gateway.socketio.test_nodes import NODE, all_listen, free_port, redis_server, two_nodes, url_of
from tests.gateway.socketio.test_rooms import rooms_of

from tickcast.testing.fault_proxy import FaultProxy
from tickcast.testing.gateway import RunningGateway, running_gateway

pytest.importorskip("redis", reason="the Python package redis is not installed")

DEADLINE_S = 30.0
TRANSPORTS = ("websocket", "polling", "polling,websocket")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server")
    with redis_server(program, free_port(), tmp_path_factory.mktemp("redis")) as url:
        yield url


async def test_clients_at_both_nodes_are_told_the_same(redis_url: str) -> None:
    async with two_nodes(redis_url) as nodes, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(npm_client(nodes.nodes[place % 2].url, transports))
            for place, transports in enumerate((*TRANSPORTS, "websocket"))
        ]
        for client in clients:
            assert (await client.until("session"))["recalled"] is False
            ack = await client.ask("subscribe", symbols=["AAPL"], rate=0, numbers="string")
            assert ack["type"] == "subscribed"
        await all_listen(nodes, len(clients))
        assert sorted(nodes.room(node).is_ours for node in (0, 1)) == [False, True]
        nodes.trade("XNAS:AAPL", "321.05")
        for client in clients:
            told = await client.until("update", price="321.05")
            assert told["symbol"] == "AAPL"


async def test_clients_of_a_killed_node_find_their_subscriptions_at_the_next(redis_url: str) -> None:
    settings = {"redis_url": redis_url, "redis_prefix": "killed"}
    with subprocess.Popen(  # noqa: ASYNC220  returns at once
        [sys.executable, "-c", NODE, redis_url, "killed"], stdout=subprocess.PIPE, text=True
    ) as first:
        try:
            url = await url_of(first)
            async with (
                running_gateway(events_config("redis", socketio_settings=settings)) as second,
                FaultProxy("127.0.0.1", port_of(url)) as balancer,
                AsyncExitStack() as stack,
            ):
                address = f"http://127.0.0.1:{balancer.port}"
                clients = [await stack.enter_async_context(npm_client(address, each)) for each in TRANSPORTS]
                for client in clients:
                    told = await client.until("session")
                    assert told["recalled"] is False
                    await client.ask("subscribe", symbols=["AAPL"], rate=0, numbers="string")
                    await client.until_any("snapshot", "update")
                    await remembered(second, told["session"])
                balancer.turn(port_of(second.url))
                first.kill()
                for place, client in enumerate(clients):
                    await client.until("disconnect")
                    await goes_on_at(second, client, f"654.{place + 10}")
        finally:
            first.kill()


async def goes_on_at(node: RunningGateway, client: NpmClient, price: str) -> None:
    """The client comes back by itself, is told what it watched, and gets it, in the terms that it had asked for."""
    again = await client.until("session")
    assert (again["recalled"], again["symbols"]) == (True, 1)
    node.trade("XNAS:AAPL", price)
    while (await client.until_any("snapshot", "update")).get("price") != price:
        pass


async def remembered(node: RunningGateway, session: str) -> None:
    """Until Redis knows what the client of a session watches."""
    mode = rooms_of(node)
    async with asyncio.timeout(DEADLINE_S):
        while (kept := await mode._load(session)) is None or not kept.requests:
            await asyncio.sleep(0.02)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
