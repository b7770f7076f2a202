"""The mode ``redis``: two gateways and a real Redis."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.socketio.event_clients import EventClient, event_client, events_config, until
from tests.gateway.socketio.test_rooms import Picture, moved, rooms_of, true

from tickcast.testing.gateway import RunningGateway, running_gateway

pytest.importorskip("redis", reason="the Python package redis is not installed")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own on loopback, that writes nothing down."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server")
    with redis_server(program, free_port(), tmp_path_factory.mktemp("redis")) as url:
        yield url


@contextlib.contextmanager
def redis_server(program: str, port: int, folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(1_000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


_prefixes = iter(range(1_000))


class Nodes:
    """Two gateways whose hubs see the same market, as workers of one instance do."""

    def __init__(self, *nodes: RunningGateway) -> None:
        self.nodes = nodes

    def trade(self, name: str, price: str) -> None:
        for node in self.nodes:
            node.trade(name, price)

    def room(self, node: int) -> Any:
        return next(iter(rooms_of(self.nodes[node]).rooms.values()))


@asynccontextmanager
async def two_nodes(redis_url: str, *, epochs: tuple[int, int] = (1, 1), **settings: Any) -> AsyncIterator[Nodes]:
    settings = {"redis_url": redis_url, "redis_prefix": f"test{next(_prefixes)}", **settings}
    config = events_config("redis", socketio_settings=settings, drain_jitter_s=0.0)
    async with running_gateway(config, epoch=epochs[0]) as one, running_gateway(config, epoch=epochs[1]) as two:
        yield Nodes(one, two)


async def all_listen(nodes: Nodes, count: int) -> None:
    """Until every client listens in the one room, of which each node has one half."""
    cents = 0

    def listen() -> bool:
        nonlocal cents
        cents += 1
        nodes.trade("XNAS:AAPL", f"100.{cents % 100:02}")
        return sum(len(room.listeners) for node in nodes.nodes for room in rooms_of(node).rooms.values()) == count

    await until(listen)


async def test_one_node_feeds_the_room_of_all(redis_url: str) -> None:
    async with two_nodes(redis_url) as nodes, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(event_client(node.url, "websocket")) for node in nodes.nodes]
        pictures = [Picture(client) for client in clients]
        for client in clients:
            await client.ask("subscribe", {"symbols": ["AAPL"], "rate": 0})
        await all_listen(nodes, 2)
        assert sorted(nodes.room(node).is_ours for node in (0, 1)) == [False, True]
        other = 0 if nodes.room(1).is_ours else 1
        assert nodes.nodes[other].hub.watched() == [], "the other node has no interest of its own"
        for cents in range(20):
            nodes.trade("XNAS:AAPL", f"200.{cents:02}")
        for picture in pictures:
            await until(lambda picture=picture: picture.shows("AAPL", true(nodes.nodes[0], "AAPL")))  # type: ignore[misc]


async def test_trades_come_once_and_in_order_whoever_feeds_them(redis_url: str) -> None:
    async with two_nodes(redis_url) as nodes, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(event_client(node.url, "websocket")) for node in nodes.nodes]
        pictures = [Picture(client) for client in clients]
        for client in clients:
            await client.ask("subscribe", {"symbols": ["XNAS:AAPL"], "channel": "trades"})
        await all_listen(nodes, 2)
        feeder = 0 if nodes.room(0).is_ours else 1
        mode = rooms_of(nodes.nodes[feeder])
        await mode._give_up(mode._lease(nodes.room(feeder)))  # as if it had been away for too long
        await until(lambda: nodes.room(feeder).is_ours != nodes.room(1 - feeder).is_ours)
        await all_listen(nodes, 2)
        for cents in range(50):
            nodes.trade("XNAS:AAPL", f"300.{cents:02}")
        last = nodes.nodes[0].hub.position("XNAS:AAPL", 1)
        assert last is not None
        for picture in pictures:
            await until(lambda seqs=picture.trades["XNAS:AAPL"]: seqs[-1] == last.seq)  # type: ignore[misc]
            seqs = picture.trades["XNAS:AAPL"]
            assert seqs == list(range(seqs[0], last.seq + 1))


async def test_a_client_of_a_lost_node_finds_its_subscriptions_on_the_next(redis_url: str) -> None:
    async with two_nodes(redis_url) as nodes:
        async with event_client(nodes.nodes[0].url) as client:
            told = await client.until(lambda event, _: event == "session")
            assert (told["recalled"], told["symbols"]) == (False, 0)
            await client.ask("subscribe", {"symbols": ["AAPL"], "rate": 5, "fields": ["price", "bid"]})
            await client.ask("subscribe", {"symbols": ["XNAS:MSFT"], "channel": "trades"})
            await client.ask("subscribe", {"symbols": ["XNAS:MSFT"], "channel": "bars", "interval": "1m"})
            mode = rooms_of(nodes.nodes[0])
            await until(lambda: any(b"1m" in data for _, data in mode._remembered_ns.values()))
            stop = asyncio.ensure_future(nodes.nodes[0].stage.stop())
        await stop
        async with event_client(nodes.nodes[1].url, auth={"session": told["session"]}) as client:
            again = await client.until(lambda event, _: event == "session")
            assert again == {"type": "session", "session": told["session"], "recalled": True, "symbols": 3}
            acks = {ack["channel"]: ack for ack in client.frames("subscribed")}
            assert (acks["price"]["rate"], acks["price"]["fields"]) == (5, ["price", "bid"])
            assert acks["bars"]["interval"] == "1m"
            nodes.nodes[1].trade("XNAS:MSFT", "77.50")
            await client.until(lambda event, body: event == "trade" and body["price"] == 77.5)


async def test_a_token_that_is_none_or_long_gone_begins_anew(redis_url: str) -> None:
    async with two_nodes(redis_url, remember_s=1.0) as nodes:
        for shown in ("nobody", 5, "x" * 500):
            async with event_client(nodes.nodes[0].url, auth={"session": shown}) as client:
                told = await client.until(lambda event, _: event == "session")
                assert told["recalled"] is False
                assert told["session"] != shown
                await client.ask("subscribe", {"symbols": ["AAPL"]})
                await until(lambda: bool(rooms_of(nodes.nodes[0])._remembered_ns))
        mode = rooms_of(nodes.nodes[1])

        async def is_forgotten() -> bool:
            return await mode._load(told["session"]) is None

        async with asyncio.timeout(15):
            while not await is_forgotten():
                await asyncio.sleep(0.05)


async def test_nodes_that_count_otherwise_have_rooms_of_their_own(redis_url: str) -> None:
    async with two_nodes(redis_url, epochs=(1, 50)) as nodes, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(event_client(node.url)) for node in nodes.nodes]
        for client in clients:
            await client.ask("subscribe", {"symbols": ["AAPL"], "rate": 0})
        await all_listen(nodes, 2)
        assert [nodes.room(node).is_ours for node in (0, 1)] == [True, True]
        assert nodes.room(0).name != nodes.room(1).name


async def test_while_redis_is_away_clients_go_on(tmp_path: Path) -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server")
    port = free_port()
    with redis_server(program, port, tmp_path) as url:
        stack = AsyncExitStack()
        nodes = await stack.enter_async_context(two_nodes(url))
        clients: list[EventClient] = [
            await stack.enter_async_context(event_client(node.url, "websocket")) for node in nodes.nodes
        ]
        for client in clients:
            await client.ask("subscribe", {"symbols": ["AAPL"], "rate": 0})
        await all_listen(nodes, 2)
    try:
        nodes.trade("XNAS:AAPL", "400.25")
        for client in clients:
            await client.price("400.25")
        with redis_server(program, port, tmp_path):
            await all_listen(nodes, 2)
            # who noticed late that Redis was away finds at its next look that the room is another's
            await until(lambda: sorted(nodes.room(node).is_ours for node in (0, 1)) == [False, True])
    finally:
        await stack.aclose()


NODE = """
import asyncio, sys
from tickcast.gateway.config import Config, SocketIoConfig
from tickcast.testing.gateway import running_gateway

async def main():
    settings = SocketIoConfig(mode="redis", redis_url=sys.argv[1], redis_prefix=sys.argv[2])
    async with running_gateway(Config(port=0, socketio=settings)) as gateway:
        print(gateway.url, flush=True)
        while True:
            gateway.trade("XNAS:AAPL", "10.00")
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


async def test_a_killed_node_leaves_its_room_and_its_clients_to_the_next(redis_url: str) -> None:
    prefix = f"test{next(_prefixes)}"
    with subprocess.Popen(  # noqa: ASYNC220  returns at once
        [sys.executable, "-c", NODE, redis_url, prefix], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            await leave_and_come_back(process, redis_url, prefix)
        finally:
            process.kill()


async def url_of(process: "subprocess.Popen[str]") -> str:
    """The address of a node in a process of its own."""
    assert process.stdout is not None
    while not (line := await asyncio.to_thread(process.stdout.readline)).startswith("http"):
        assert line, "the node ended"  # log lines may come first
    return line.strip()


async def leave_and_come_back(process: "subprocess.Popen[str]", redis_url: str, prefix: str) -> None:
    client = EventClient(await url_of(process))
    await client.connect(["websocket"])
    told = await client.until(lambda event, _: event == "session")
    await client.ask("subscribe", {"symbols": ["AAPL"], "rate": 0})
    config = events_config("redis", socketio_settings={"redis_url": redis_url, "redis_prefix": prefix})
    async with running_gateway(config) as next_node:
        mode = rooms_of(next_node)

        async def remembered() -> bool:
            kept = await mode._load(told["session"])
            return kept is not None and bool(kept.requests)

        async with asyncio.timeout(15):
            while not await remembered():
                await asyncio.sleep(0.02)
        process.kill()
        await client.sio.shutdown()
        async with event_client(next_node.url, auth={"session": told["session"]}) as again:
            found = await again.until(lambda event, _: event == "session")
            assert (found["recalled"], found["symbols"]) == (True, 1)
            next_node.trade("XNAS:AAPL", "20.25")
            await again.price("20.25")
            # the lease of the dead ends, and the room is this node's
            await until(lambda: any(room.is_ours for room in mode.rooms.values()))
            await until(lambda: any(room.listeners for room in mode.rooms.values()) or moved(next_node, "20.30"))
