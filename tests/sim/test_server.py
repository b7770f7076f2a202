"""``tickcast sim`` as a process: the ready line, the control endpoint, restart on the same ports, orderly end."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.sim.soup_client import SoupClient

from tickcast.model.errors import UsageError
from tickcast.sim.config import Config, SoupItchConfig
from tickcast.sim.server import Simulator


@asynccontextmanager
async def process(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tickcast",
        "sim",
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(30):
            ready = json.loads(await running.stdout.readline())
        yield running, ready
    finally:
        if running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
        await running.communicate()


async def get(url: str, method: str = "GET") -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
        return answer.status, await answer.json()


async def test_ready_line_names_every_address_and_sigterm_ends_in_time() -> None:
    async with process("--rate", "2000", "--symbols", "50") as (running, ready):
        assert ready["ready"] is True
        assert set(ready["venues"]) == {"XNAS", "BINANCE", "XSIM"}
        client = await SoupClient.connect(ready["venues"]["XNAS"]["address"])
        assert await client.login() == b"A"
        await client.read_until(lambda one: any(message[:1] == b"Q" for message in one.messages))
        _, truth = await get(ready["admin"] + "/truth/BINANCE")
        assert truth["symbols"]["BTCUSDT"]["symbol"] == "BTC-USDT"
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0
        assert time.monotonic() - began < 2.0
        await client.close()


async def test_after_kill_it_comes_back_on_the_same_ports_with_a_new_session(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "sim.toml"
    closes = tmp_path / "closes.csv"
    config.write_text(
        f'symbols = 20\nrate = 500\nprevious_close = "{closes}"\n'
        f'[venues.XNAS]\ndialect = "soup_itch"\naddress = "127.0.0.1:{port}"\n'
    )
    sessions = []
    for _ in range(2):
        async with process("--config", str(config)) as (running, ready):
            assert ready["venues"] == {"XNAS": {"address": f"127.0.0.1:{port}"}}
            client = await SoupClient.connect(f"127.0.0.1:{port}")
            assert await client.login() == b"A"
            sessions.append(client.session)
            await asyncio.sleep(1.0 if len(sessions) == 1 else 0)  # session names count seconds
            running.kill()
            await running.wait()
            await client.close()
    assert sessions[0] != sessions[1]
    assert closes.read_text().startswith("symbol,prev_close\nAAPL,")


async def test_pause_stops_every_venue_until_resume() -> None:
    async with process("--rate", "5000", "--symbols", "50") as (_, ready):
        admin = ready["admin"]
        async with asyncio.timeout(10):
            while not (await get(admin + "/state"))[1]["venues"]["XNAS"]["events"]:
                await asyncio.sleep(0.05)
        assert await get(admin + "/pause", "POST") == (200, {"paused": True})
        before = [(await get(f"{admin}/truth/{venue}"))[1]["symbols"] for venue in ready["venues"]]
        await asyncio.sleep(0.3)
        assert before == [(await get(f"{admin}/truth/{venue}"))[1]["symbols"] for venue in ready["venues"]]
        assert await get(admin + "/resume", "POST") == (200, {"paused": False})
        async with asyncio.timeout(10):
            while before[0] == (await get(f"{admin}/truth/XNAS"))[1]["symbols"]:
                await asyncio.sleep(0.05)
        status, body = await get(admin + "/truth/NONE")
        assert status == 404
        assert "XNAS" in body["error"]


async def test_taken_port_and_unwritable_path_are_usage_errors(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = Config(symbols=10, venues={"XNAS": SoupItchConfig(address=f"127.0.0.1:{taken.getsockname()[1]}")})
        with pytest.raises(UsageError, match=r"venues\.XNAS: expected a free address"):
            await Simulator(config).start()
    with pytest.raises(UsageError, match="previous_close"):
        await Simulator(Config(symbols=10, previous_close=str(tmp_path / "no" / "x.csv"))).start()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--speed", "fast"], "--speed: expected a positive number or max, found 'fast'"),
        (["--symbols", "0"], "Invalid value for '--symbols'"),
        (["--config", "none.toml"], "none.toml"),
        (["--recorded", "no-such-folder"], "no-such-folder"),
    ],
)
def test_wrong_options_exit_with_two(options: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tickcast", "sim", *options], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
