"""``tickcast instruments`` against a server on loopback that answers as OKX does."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from threading import Event, Thread

import pytest
from aiohttp import web

SPOT = {
    "instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "tickSz": "0.1", "lotSz": "0.00001",
    "state": "live",
}  # fmt: skip
SWAP = {
    "instType": "SWAP", "instId": "ETH-USD-SWAP", "uly": "ETH-USD", "instFamily": "ETH-USD", "settleCcy": "ETH",
    "ctVal": "10", "ctMult": "1", "ctType": "inverse", "ctValCcy": "USD", "tickSz": "0.01", "lotSz": "1",
    "state": "suspend",
}  # fmt: skip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    found: list[str] = []
    is_up, is_over = Event(), Event()

    async def answer(request: web.Request) -> web.Response:
        kind = request.query.get("instType", "")
        if kind == "FUTURES":
            return web.Response(text="<html>we are busy</html>")
        return web.json_response({"code": "0", "msg": "", "data": {"SPOT": [SPOT], "SWAP": [SWAP]}.get(kind, [])})

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        is_up.set()
        while not is_over.is_set():
            await asyncio.sleep(0.02)
        await runner.cleanup()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(10)
    yield found[0]
    is_over.set()
    thread.join()


def tickcast(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tickcast", "instruments", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_lists_are_joined_and_told_exactly(address: str) -> None:
    done = tickcast("okx", "--json", "--set", f"rest_url={address}", "--set", 'markets=["spot","swap"]')
    assert done.returncode == 0, done.stderr
    listed = {one["symbol"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert {"BTC-USDT", "ETH-USD-PERP"} <= listed.keys()
    assert (listed["BTC-USDT"]["tick_size"], listed["BTC-USDT"]["lot_size"]) == ("0.1", "0.00001")
    swap = listed["ETH-USD-PERP"]
    assert (swap["asset_class"], swap["contract_size"], swap["state"]) == ("perpetual", "10", "halted")


def test_filters_and_the_table(address: str) -> None:
    common = ("okx", "--set", f"rest_url={address}", "--set", 'markets=["spot","swap"]')
    shown = tickcast(*common, "--quote", "usdt", "--class", "crypto", "--match", "btc").stdout
    assert "BTC-USDT" in shown
    assert "ETH-USD-PERP" not in shown
    assert "1 instruments" in shown
    none = tickcast(*common, "--quote", "ZZZ")
    assert none.returncode == 2
    assert "found none" in none.stderr


def test_what_is_no_list_is_said(address: str) -> None:
    program = (
        "import asyncio; from tickcast.direct.listing import instruments;"
        f"asyncio.run(instruments('OKX', timeout_s=1, settings={{'rest_url': '{address}', 'markets': ['futures']}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert "FeedError: expected the list of OKX within 1 s, found: instruments FUTURES: expected a list" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("NOWHERE",), "expected one of"),
        (("XNAS",), "which tells them in its feed"),
        (("OKX", "--set", "nonsense=1"), "nonsense"),
        (("OKX", "--set", "nonsense"), "expected KEY=VALUE"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...], says: str) -> None:
    done = tickcast(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
