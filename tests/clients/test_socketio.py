"""socket.io-client from npm, unchanged, against a gateway."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.clients.node_process import DEADLINE_S, node

from tickcast.gateway.config import Config, SocketIoConfig
from tickcast.testing.gateway import running_gateway

pytest.importorskip("socketio", reason="python-socketio is not installed")

FOLDER = Path(__file__).parent / "socketio"


class NpmClient:
    """The client in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []

    async def until(self, event: str, **expected: Any) -> Any:
        """The body of the next event of that name, with these values in it."""
        return await self.until_any(event, **expected)

    async def until_any(self, *events: str, **expected: Any) -> Any:
        """The same of the next event of one of these names."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while line := await self._process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                self.told.append(told)
                body = told["body"]
                if told["event"] in events and all(body.get(key) == value for key, value in expected.items()):
                    return body
        pytest.fail(f"the client ended before {events}: {self.told[-3:]}")

    async def ask(self, event: str, **body: Any) -> Any:
        """The acknowledgement of an event."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"emit": event, "body": body}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.until("transport" if event == "upgraded" else "ack")


@asynccontextmanager
async def npm_client(url: str, transports: str) -> AsyncIterator[NpmClient]:
    if not (FOLDER / "node_modules" / "socket.io-client").is_dir():
        pytest.skip("socket.io-client is not installed: make setup")
    process = await asyncio.create_subprocess_exec(
        node(), str(FOLDER / "main.mjs"), url, transports, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield NpmClient(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("mode", "transports"),
    [("memory", "websocket"), ("memory", "polling"), ("memory", "polling,websocket"), ("rooms", "polling,websocket")],
)
async def test_the_client_of_npm_gets_prices_and_acknowledgements(mode: Any, transports: str) -> None:
    config = Config(port=0, socketio=SocketIoConfig(mode=mode))
    async with running_gateway(config) as gateway, npm_client(gateway.url, transports) as client:
        await client.until("connect")
        reply = await client.ask("subscribe", symbols=["AAPL"], numbers="string", rate=0, id="mine")
        assert (reply["type"], reply["id"]) == ("subscribed", "mine")
        gateway.trade("XNAS:AAPL", "185.40")
        assert (await client.until("update", price="185.40"))["symbol"] == "AAPL"
        refused = await client.ask("subscribe", symbols=[], channel="price")
        assert refused["code"] == 4003
        if mode == "memory":
            counts = (await client.ask("sync"))["channels"]["price"]["AAPL"]
            assert counts["published"] == counts["delivered"] + counts["merged"] + counts["lost"]
        if transports.endswith("websocket"):
            async with asyncio.timeout(DEADLINE_S):
                while await client.ask("upgraded") != "websocket":
                    await asyncio.sleep(0.02)


async def test_the_client_of_npm_comes_back_by_itself() -> None:
    config = Config(port=0, drain_jitter_s=0.0, socketio=SocketIoConfig(mode="memory"))
    async with running_gateway(config) as first:
        port = int(first.url.rpartition(":")[2])
        context = npm_client(first.url, "websocket")
        client = await context.__aenter__()
        try:
            await client.until("connect")
            await first.stage.stop()
            assert (await client.until("close"))["code"] == 4702
            async with running_gateway(Config(port=port, socketio=SocketIoConfig(mode="memory"))) as second:
                await client.until("connect")
                await client.ask("subscribe", symbols=["AAPL"])
                second.trade("XNAS:AAPL", "12.50")
                await client.until("update", price=12.5)
        finally:
            await context.__aexit__(None, None, None)
