"""The examples for Python do what they say, against a gateway whose market moves."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tickcast.testing.gateway import running_gateway

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.timeout(120)


class Market:
    """A gateway in a thread: the price of XNAS:MSFT goes up and down by turns, and alerts can be posted to it."""

    def __init__(self) -> None:
        self.url = ""
        self.posts = ""
        self.alerts: list[str] = []
        self.is_up = threading.Event()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async def take(request: web.Request) -> web.Response:
            self.alerts.append((await request.json())["text"])
            return web.Response()

        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        self.posts = f"http://{host}:{port}/"
        async with running_gateway() as gateway:
            gateway.trade("XNAS:AAPL", "185.40")
            self.url = gateway.url
            step = 0
            while not self.is_over.is_set():
                step += 1
                gateway.trade("XNAS:MSFT", "410.10" if step % 2 else "411.10")
                gateway.quote("XNAS:MSFT", ("410.00", f"{step}"), ("411.50", "2"))
                gateway.trade("BINANCE:BTC-USDT", f"{60_000 + step}")
                self.is_up.set()
                await asyncio.sleep(0.05)
        await runner.cleanup()


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    market = Market()
    market.thread.start()
    assert market.is_up.wait(30)
    yield market
    market.is_over.set()
    market.thread.join(30)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_ticker_draws_every_symbol(market: Market) -> None:
    done = run("ticker.py", "XNAS:MSFT", "AAPL", "NOPE", "--url", market.url, "--count", "6")
    assert done.returncode == 0, done.stderr
    for text in ("XNAS:MSFT", "185.40", "no_such_symbol", "live"):
        assert text in done.stdout


def test_the_alert_bot_tells_each_crossing_once(market: Market) -> None:
    rules = ("XNAS:MSFT > 411", "AAPL < 100")
    done = run("alert.py", *rules, "--url", market.url, "--count", "2", "--post", market.posts)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" (")[0] for line in lines] == ["XNAS:MSFT is 411.10, > 411"] * 2
    assert market.alerts == lines


@pytest.mark.parametrize(
    ("program", "arguments", "text"),
    [
        ("alert.py", ("AAPL is 3",), "expected SYMBOL > PRICE"),
        ("alert.py", ("AAPL > 3", "--url", "nonsense"), "alert: expected an address"),
        ("ticker.py", ("AAPL", "--url", "nonsense"), "ticker: expected an address"),
    ],
)
def test_what_goes_wrong_is_said(program: str, arguments: tuple[str, ...], text: str) -> None:
    done = run(program, *arguments)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_every_cell_of_the_notebook_runs(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKCAST_URL", market.url)
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"cell {number}", "exec"), names)  # noqa: S102  our own page
    assert len(cells) == 4
    assert "BTC-USDT" in names["symbols"]
    assert names["prices"].height == len(names["symbols"])
    assert names["spread"]["updates"].sum() >= 15
    assert set(names["merged"]) == set(names["symbols"])
    assert len(names["bars"]) >= 1
    assert not os.environ.get("TICKCAST_TOKEN")
