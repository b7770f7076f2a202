"""Events and polls with clients that know nothing of tickcast: curl."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 20.0
CURL = shutil.which("curl") or ""
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CURL, reason="curl is missing: on Debian `apt install curl`"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as running:
        running.trade("XNAS:AAPL", "185.40")
        yield running


async def curl(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        CURL, "--silent", "--show-error", *arguments, stdout=asyncio.subprocess.PIPE
    )


async def test_curl_shows_events_as_they_come(gateway: RunningGateway) -> None:
    running = await curl("--no-buffer", f"{gateway.url}/events?symbols=XNAS:AAPL&fields=price&rate=0")
    assert running.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        shown = await running.stdout.readuntil(b"event: snapshot\n\n")
        lines = shown.decode().splitlines()
        assert lines[0].startswith("retry: ")
        assert [line for line in lines if line.startswith("event: ")] == ["event: subscribed", "event: snapshot"]
        gateway.trade("XNAS:AAPL", "186.40")
        update = await running.stdout.readuntil(b"event: update\n\n")
        data = next(line for line in update.decode().splitlines() if line.startswith("data: "))
        assert json.loads(data.removeprefix("data: "))["price"] == 186.40
    running.terminate()
    await running.communicate()


async def test_curl_that_offers_http2_is_answered_and_let_go(gateway: RunningGateway) -> None:
    for path in ("/prices?symbols=XNAS:AAPL&wait=1", "/health/live"):
        shown, _ = await (await curl("--http2", "--include", f"{gateway.url}{path}")).communicate()
        assert shown.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in shown.lower()


async def test_curl_polls(gateway: RunningGateway) -> None:
    first = json.loads((await (await curl(f"{gateway.url}/prices?symbols=XNAS:AAPL&wait=25")).communicate())[0])
    assert len(first["prices"]) == 1
    waiting = await curl(f"{gateway.url}/prices?symbols=XNAS:AAPL&since={first['next']}&wait=25")
    async with asyncio.timeout(DEADLINE_S):
        while not gateway.stage.clients.streams:
            await asyncio.sleep(0.01)
        gateway.trade("XNAS:AAPL", "187.40")
        second = json.loads((await waiting.communicate())[0])
    assert [price["price"] for price in second["prices"]] == [187.40]
    assert second["next"] != first["next"]
