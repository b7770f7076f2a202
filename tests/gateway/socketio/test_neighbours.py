"""Two workers with a session at one of them, and each request at the other."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.socketio.event_clients import events_config
from websockets.asyncio.client import connect

from tickcast import _native
from tickcast.gateway.socketio.neighbours import Neighbours
from tickcast.gateway.worker import GatewayWorker
from tickcast.runtime.clock import now_ns

pytest.importorskip("socketio", reason="python-socketio is not installed")

DEADLINE_S = 15.0


@asynccontextmanager
async def worker(folder: Path, number: int) -> AsyncIterator[GatewayWorker]:
    """A worker on a port of its own, so that a test chooses who gets a request."""
    neighbours = Neighbours(number, lambda other: folder / f"{other}.sock", connections_max=8)
    running = GatewayWorker(
        events_config(), hub=_native.Hub(epoch=1), rest=folder / "core.sock", clock=now_ns, wake=lambda: None,
        listener=None, neighbours=neighbours,
    )  # fmt: skip
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncIterator[tuple[GatewayWorker, GatewayWorker, httpx.AsyncClient]]:
    async with (
        worker(folder, 1) as first,
        worker(folder, 2) as second,
        httpx.AsyncClient(timeout=DEADLINE_S, params={"EIO": "4", "transport": "polling"}) as http,
    ):
        yield first, second, http


def address(of: GatewayWorker) -> str:
    return f"{of.stage.address}/socket.io/"


async def opened(http: httpx.AsyncClient, at: GatewayWorker) -> dict[str, Any]:
    answer = await http.get(address(at))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = json.loads(answer.text[1:])
    return told


async def until(socket: Any, begins: str) -> str:
    async with asyncio.timeout(DEADLINE_S):
        while not (text := str(await socket.recv())).startswith(begins):
            pass
    return text


async def test_polls_come_to_the_worker_that_has_the_session(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (first, second, http):
        session = {"sid": (await opened(http, first))["sid"]}
        assert session["sid"].startswith("1.")
        for packet in ("40", '420["ping"]'):
            answer = await http.post(address(second), params=session, content=packet)
            assert (answer.status_code, answer.text) == (200, "OK")
        got = ""
        while "43" not in got:
            got += (await http.get(address(second), params=session)).text
        assert got.startswith('40{"sid"')
        assert '"type":"pong"' in got
        # the answer of the one that has it, also to what is none of Engine.IO
        answer = await http.post(address(second), params=session, content="x")
        assert (answer.status_code, "session is ended" in answer.text) == (400, True)


async def test_an_upgrade_is_carried_to_the_worker_that_has_the_session(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (first, second, http):
        session = (await opened(http, first))["sid"]
        await http.post(address(second), params={"sid": session}, content="40")
        url = address(second).replace("http", "ws", 1) + f"?EIO=4&transport=websocket&sid={session}"
        async with connect(url) as socket:
            await socket.send("2probe")
            assert await socket.recv() == "3probe"
            await socket.send("5")
            await until(socket, "40")
            await socket.send('421["ping"]')
            assert '"type":"pong"' in await until(socket, "431")
            # a long one there and back
            await socket.send('422["subscribe",{"symbols":["' + "x" * 60_000 + '"]}]')
            assert "no_such_symbol" in await until(socket, "432")
            assert not second.stage.clients.streams
            await first.stop()
            async with asyncio.timeout(DEADLINE_S):
                await socket.wait_closed()


async def test_a_session_of_a_worker_that_is_gone_is_over(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (first, second, http):
        session = {"sid": (await opened(http, first))["sid"]}
        await first.stop()
        answer = await http.get(address(second), params=session)
        assert (answer.status_code, "connect again" in answer.text) == (503, True)
        url = address(second).replace("http", "ws", 1) + f"?EIO=4&transport=websocket&sid={session['sid']}"
        with pytest.raises(Exception, match="503"):
            await connect(url)
        for unknown in ("2.nobody", "7.nobody", "nobody", "0.x", "99999999.x", "1", "²." + session["sid"]):
            answer = await http.get(address(second), params={"sid": unknown})
            assert answer.status_code in {400, 503}, unknown
        assert (await opened(http, second))["sid"].startswith("2.")


@pytest.mark.parametrize(
    ("name", "holder"),
    [("2.abc", 2), ("1.abc", None), ("abc", None), ("0.abc", None), ("-3.abc", None), ("", None), ("../x.y", None)],
)
def test_a_name_says_its_worker(name: str, holder: int | None, tmp_path: Path) -> None:
    neighbours = Neighbours(1, lambda other: tmp_path / f"{other}", connections_max=1)
    assert neighbours.holder(name) == holder
    assert neighbours.mark("abc") == "1.abc"
