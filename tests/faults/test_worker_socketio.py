"""Socket.IO at the workers of a real instance: every transport works, and a killed worker costs a moment."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.clients.test_socketio import NpmClient, npm_client
from tests.gateway.socketio.event_clients import EventClient, Transports, event_client

from tickcast.ops.datadir import DataDir
from tickcast.testing.instance import ConfiguredInstance, eventually

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
pytest.importorskip("socketio", reason="python-socketio is not installed")
CLIENTS = 6
CLIENTS_MAX = 40


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredInstance]:
    folder: Path = tmp_path_factory.mktemp("socketio")
    tables = {"gateway": "workers = 2", "gateway.socketio": 'mode = "memory"'}
    with ConfiguredInstance(folder, tables, rate=300, symbols=12, exchanges=("XNAS",)) as started:
        started.wait_ready(deadline_s=60)
        logs = [DataDir(started.data).log(worker) for worker in ("gateway1", "gateway2")]
        eventually(lambda: all("listening" in log.read_text() for log in logs), what="both accept")
        yield started


def holders(clients: list[EventClient]) -> set[str]:
    """The workers that have sessions of these clients."""
    return {client.sio.eio.sid.partition(".")[0] for client in clients}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_whichever_worker_gets_a_request_the_client_is_served(
    instance: ConfiguredInstance, transport: Transports
) -> None:
    async with AsyncExitStack() as stack:
        clients: list[EventClient] = []
        while len(clients) < CLIENTS or (len(holders(clients)) < 2 and len(clients) < CLIENTS_MAX):
            clients.append(await stack.enter_async_context(event_client(instance.url, transport)))
        assert holders(clients) == {"1", "2"}, "both workers have sessions"
        for client in clients:
            ack = await client.ask("subscribe", {"symbols": ["XNAS:AAPL"], "channel": "trades"})
            assert ack["symbols"]["XNAS:AAPL"]["state"] == "live"
        for client in clients:
            await client.until(lambda event, _: event == "trade")
            counts = (await client.ask("sync"))["channels"]["trades"]["XNAS:AAPL"]
            told = client.frames("trade")
            assert counts["published"] == counts["delivered"] + counts["lost"]
            seqs = [trade["seq"] for trade in told]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "each once and in order"


async def test_the_client_of_npm_polls_and_then_upgrades(instance: ConfiguredInstance) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(npm_client(instance.url, transports))
            for transports in ("polling,websocket", "polling,websocket", "polling", "websocket")
        ]
        for client in clients:
            await client.until("connect")
            reply = await client.ask("subscribe", symbols=["XNAS:AAPL"], rate=0)
            assert reply["type"] == "subscribed"
            await client.until("update")
        for client in clients[:2]:
            async with asyncio.timeout(30):
                while await client.ask("upgraded") != "websocket":
                    await asyncio.sleep(0.05)
            await client.until("update")
        assert await clients[2].ask("upgraded") == "polling"
        assert not [told for client in clients for told in client.told if told["event"] == "disconnect"]


async def test_clients_of_a_killed_worker_come_back_by_themselves(instance: ConfiguredInstance) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(npm_client(instance.url, transports))
            for transports in ("polling", "polling,websocket", "websocket")
        ]
        for client in clients:
            await client.until("connect")
            await client.ask("subscribe", symbols=["XNAS:AAPL"], rate=0)
            await client.until("update")
        for name in ("gateway1", "gateway2"):
            instance.kill(name, signal.SIGKILL)
        for client in clients:
            await client.until("disconnect")
            # a client may have come to the other worker just before that was killed too
            async with asyncio.timeout(60):
                while not await is_served(client):
                    pass


async def is_served(client: NpmClient) -> bool:
    """Whether a subscription is answered by the worker that the client has now; the library sends it when connected."""
    try:
        async with asyncio.timeout(3):
            await client.ask("subscribe", symbols=["XNAS:AAPL"], rate=0)
            await client.until("update")
    except TimeoutError:
        return False
    return True
