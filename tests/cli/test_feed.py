import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from rich.console import Console

from tickcast.cli.feed import _Line, table
from tickcast.direct import Measure, Quote, Status, Trade
from tickcast.sim import config as sim
from tickcast.sim.server import Simulator


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, Any]]:
    """A simulated Binance on a thread of its own, since the command is a process."""
    found: dict[str, Any] = {}
    is_up, is_over = Event(), Event()

    async def serve() -> None:
        venues = {"BINANCE": {"dialect": "binance"}}
        simulator = Simulator(sim.from_mapping({"symbols": 20, "rate": 2000, "seed": 3, "venues": venues}))
        found.update((await simulator.start())["venues"]["BINANCE"])
        is_up.set()
        while not is_over.is_set():
            await asyncio.sleep(0.02)
        await simulator.stop()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(10)
    yield found
    is_over.set()
    thread.join()


def tickcast(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tickcast", "feed", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def settings(addresses: dict[str, Any]) -> list[str]:
    return [f"--set=BINANCE.{key}={value}" for key, value in addresses.items()]


def test_lines_are_json_with_exact_numbers(addresses: dict[str, Any]) -> None:
    done = tickcast("BINANCE:BTC-USDT", "--json", "--count", "200", *settings(addresses))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 200
    assert {line["symbol"] for line in lines} == {"BINANCE:BTC-USDT"}
    kinds = {line["type"] for line in lines}
    assert {"trade", "quote", "status"} <= kinds
    assert all(Decimal(line["price"]) > 0 for line in lines if line["type"] == "trade")


def test_the_table_is_for_people(addresses: dict[str, Any]) -> None:
    done = tickcast("BINANCE:BTC-USDT", "--count", "100", *settings(addresses))
    assert done.returncode == 0, done.stderr
    assert "BINANCE:BTC-USDT" in done.stdout
    assert "live" in done.stdout


def test_settings_may_come_from_a_config_file(addresses: dict[str, Any], tmp_path: Path) -> None:
    lines = ["[feeds.binance]", 'venue = "BINANCE"', *(f'{key} = "{value}"' for key, value in addresses.items())]
    (tmp_path / "some.toml").write_text("\n".join(lines))
    done = tickcast("BINANCE:BTC-USDT", "--json", "--count", "5", "--config", str(tmp_path / "some.toml"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["BTC-USDT"], "expected a symbol with its venue, such as BINANCE:BTC-USDT"),
        (["BINANCE:BTC-USDT", "--set", "url"], "expected VENUE.KEY=VALUE"),
        (["BINANCE:BTC-USDT", "--set", "BINANCE.depth=deep"], "settings of BINANCE"),
        (["BINANCE:BTC-USDT", "--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], says: str) -> None:
    done = tickcast(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_line_shows_what_is_known() -> None:
    common: dict[str, Any] = {"symbol": "OKX:BTC-USDT-PERP", "timestamp_ns": 1, "received_ns": 1}
    line = _Line()
    for tick in (
        Trade(**common, price=Decimal("60000.10"), size=Decimal(1), side="buy", id="1"),
        Quote(**common, bid=Decimal(60000), bid_size=Decimal(3), ask=None, ask_size=None),
        Measure(**common, name="funding", value=Decimal("0.0001")),
        Status(**common, state="live"),
    ):
        line.take(tick)
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(table(width=150, lines={"OKX:BTC-USDT-PERP": line, "OKX:ETH-USDT": _Line()}))
    first, second = console.export_text().splitlines()[-2:]
    assert first.split()[:3] == ["OKX:BTC-USDT-PERP", "60000.10", "60000.00"]
    assert "0.0001" in first
    assert "live" in first
    assert "waiting" in second
