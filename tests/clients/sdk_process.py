"""The SDK for TypeScript, as it is published, in a process of Node."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.clients.node_process import DEADLINE_S, LINE_BYTES_MAX, NodeClient, node

SDK = Path(__file__).parents[2] / "sdk" / "typescript"
MAIN = Path(__file__).parent / "sdk" / "main.mjs"


class SdkClient(NodeClient):
    """Commands go in; events that were not asked for are kept in ``events``."""

    async def until(self, event: str, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next event of that name; of ``live`` also the one that came while something else was waited for."""
        phases = [told for told in self.events if "phase" in told]
        if event == "live" and phases and phases[-1]["event"] == "live":
            return phases[-1]
        return await super().until(event, deadline_s=deadline_s)

    async def watch(self, what: str, *symbols: str, **options: object) -> None:
        """Subscribe, with a loop that reads; it has not been answered yet."""
        await self.tell(what, symbols=symbols, options=options)
        await self.until("watching")

    async def synced(self) -> dict[str, Any]:
        """Both sides' counters; asks again where the connection ended meanwhile."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await self.sync()
                if "agrees" in found:
                    return found
                await asyncio.sleep(0.05)

    async def told(self) -> dict[str, Any]:
        """All that the client was told."""
        await self.tell("report")
        return await self.until("report")

    async def becomes(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What was told, once that is so."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not is_so(found := await self.told()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"never so; last: {found}")
        return found

    async def close(self) -> int:
        """Let it end by itself: nothing may keep the process alive."""
        await self.tell("close")
        async with asyncio.timeout(DEADLINE_S):
            return await self._process.wait()


@asynccontextmanager
async def sdk_client(url: str, **options: object) -> AsyncIterator[SdkClient]:
    """Run it against ``url``; it may not have connected when this yields."""
    if not (SDK / "dist" / "index.js").exists():
        pytest.skip("the SDK is not built: run `make sdk`")
    backoff = {"baseMs": 50, "capMs": 400}
    process = await asyncio.create_subprocess_exec(
        node(), str(MAIN), url, json.dumps({"backoff": backoff, **options}),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=LINE_BYTES_MAX,
    )  # fmt: skip
    client = SdkClient(process)
    try:
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
