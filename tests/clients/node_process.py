"""The client of ``tests/clients/node`` in a process of its own, with its two streams of JSON lines."""

import asyncio
import json
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

MAIN = Path(__file__).parent / "node" / "main.mjs"
NODE_MIN = 20
DEADLINE_S = 30.0
PROTO = Path(__file__).parents[2] / "proto" / "tickcast.proto"
CODECS = ("json", "msgpack", "compact", "proto") if PROTO.exists() else ("json",)
LINE_BYTES_MAX = 1 << 24


@cache
def node() -> str:
    """Path of a Node that knows WebSocket; skips the test where there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(told.removeprefix("v").partition(".")[0]) < NODE_MIN:
        pytest.skip(f"node is {told}, the client needs {NODE_MIN} or newer")
    return found


class NodeClient:
    """Commands go in; events that were not asked for are kept in ``events``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []

    async def until(self, event: str, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next event of that name."""
        assert self._process.stdout is not None
        async with asyncio.timeout(deadline_s):
            while line := await self._process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                self.events.append(told)
                if told["event"] == event:
                    return told
        pytest.fail(f"the client ended before {event}: {self.events[-3:]}")

    async def tell(self, what: str, **rest: object) -> None:
        """A command, without waiting."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **rest}).encode() + b"\n")
        await self._process.stdin.drain()

    async def subscribe(self, *symbols: str, **terms: object) -> dict[str, Any]:
        """The reply to a subscription."""
        await self.tell("subscribe", symbols=symbols, **terms)
        return await self.until("reply")

    async def request(self, action: str, **rest: object) -> dict[str, Any]:
        """The reply to any request."""
        await self.tell("request", action=action, **rest)
        return await self.until("reply")

    async def sync(self) -> dict[str, Any]:
        """The gateway's counters and the client's own."""
        await self.tell("sync")
        return await self.until("synced")

    async def report(self) -> "Report":
        """All that the client knows."""
        await self.tell("report")
        return Report(await self.until("report"))

    def signal(self, number: signal.Signals) -> None:
        """Stop it where it is, or let it go on."""
        self._process.send_signal(number)

    async def stop(self) -> int | None:
        """Let it end by itself."""
        await self.tell("stop")
        await self.until("end")
        async with asyncio.timeout(DEADLINE_S):
            return await self._process.wait()


class Report(dict[str, Any]):
    """What the client knows, with a look at one topic of it."""

    def topic(self, symbol: str, channel: str = "price", interval: str | None = None) -> dict[str, Any]:
        """One symbol in one channel."""
        for topic in self["topics"]:
            if (topic["symbol"], topic["channel"], topic["interval"]) == (symbol, channel, interval):
                found: dict[str, Any] = topic
                return found
        raise KeyError(symbol, channel, interval)


@asynccontextmanager
async def node_client(
    url: str, codec: str = "json", *, batch: bool = True, first_delay_ms: int = 200
) -> AsyncIterator[NodeClient]:
    """Run the client against ``url``; it has connected when this yields."""
    arguments = (url, codec, str(int(batch)), str(first_delay_ms))
    process = await asyncio.create_subprocess_exec(
        node(), "--experimental-websocket", "--no-warnings", str(MAIN), *arguments,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=LINE_BYTES_MAX,
    )  # fmt: skip
    client = NodeClient(process)
    try:
        await client.until("open")
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def rest(url: str, path: str) -> dict[str, Any]:
    """What REST says; every number is the text that came."""

    def get() -> bytes:
        with urllib.request.urlopen(url + path, timeout=DEADLINE_S) as answer:  # noqa: S310  our own loopback address
            body: bytes = answer.read()
            return body

    found: dict[str, Any] = json.loads(await asyncio.to_thread(get), parse_float=str, parse_int=str)
    return found


def agree(synced: dict[str, Any]) -> int:
    """The client's own count is the gateway's, symbol by symbol; returns how much was counted."""
    assert synced["own"] == synced["gateway"]
    return sum(counts["published"] for symbols in synced["gateway"].values() for counts in symbols.values())
