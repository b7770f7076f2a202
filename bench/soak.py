"""Thirty minutes with clients coming and going: memory flat, sampled clients balanced at barriers.

    .venv/bin/python bench/soak.py [--minutes 30] [--clients 2000] [--churn 50] [--gateways 2] [--json FILE]

``tickcast load`` makes the crowd; some clients of this process watch prices, trades, books and bars, and at every
barrier (``sync``) compare the gateway's counters with what they counted themselves: published = delivered + merged +
lost, and delivered = what came. Ends with status 1 if a counter was wrong, an error came, or memory of a server in the
last third is above the second third's by more than ``--growth-mib``.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import websockets

import machine
from census import Census, difference, sockets_memory
from tickcast.testing.instance import DemoInstance

WATCHED = (
    {"channel": "price", "rate": 5},
    {"channel": "trades"},
    {"channel": "book", "depth": 10},
    {"channel": "bars"},
)
SAMPLED = 4
"""Clients of this process for each of these."""
BARRIER_S = 10.0
STAY_S = 60.0


class Counted:
    """What came on one connection, counted as the protocol says: from the ack's ``seq`` on, anew with each epoch."""

    def __init__(self) -> None:
        self.delivered: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def take(self, message: dict[str, Any]) -> str:
        """Count a frame; what is returned is a fault."""
        kind, symbol = message.get("type"), message.get("symbol", "")
        if kind == "subscribed":
            for name, standing in message["symbols"].items():
                self._epochs[name], self._last[name] = standing["epoch"], standing["seq"]
        elif kind == "error":
            return json.dumps(message)[:200]
        elif kind == "synced":
            return self._compare(message)
        elif "seq" in message and symbol in self._epochs:
            if kind == "snapshot" and message["epoch"] != self._epochs[symbol]:
                self._epochs[symbol], self._last[symbol], self.delivered[symbol] = message["epoch"], 0, 0
            if message["seq"] > self._last[symbol]:
                self.delivered[symbol] = self.delivered.get(symbol, 0) + (kind != "lost")
                self._last[symbol] = message["seq"]
        return ""

    def _compare(self, synced: dict[str, Any]) -> str:
        for channel, symbols in synced["channels"].items():
            for symbol, one in symbols.items():
                whole = one["delivered"] + one["merged"] + one["lost"]
                if one["published"] != whole or one["delivered"] != self.delivered.get(symbol, 0):
                    return f"{channel} {symbol}: {one}, counted {self.delivered.get(symbol, 0)}"
        return ""


class Sampled:
    """One client that counts for itself."""

    def __init__(self, url: str, terms: dict[str, Any], symbols: list[str]) -> None:
        self._url = url
        self._terms = terms
        self._symbols = symbols
        self.barriers = 0
        self.faults: list[str] = []

    async def run(self, until: float) -> None:
        """Connect, count, leave, and come back until it is time."""
        while time.monotonic() < until:
            try:
                async with websockets.connect(
                    self._url, subprotocols=[websockets.Subprotocol("tickcast.json")]
                ) as wire:
                    await self._converse(wire, min(until, time.monotonic() + STAY_S))
            except (OSError, websockets.WebSocketException) as ended:
                self.faults.append(repr(ended)[:200])
                await asyncio.sleep(0.5)

    async def _converse(self, wire: websockets.ClientConnection, until: float) -> None:
        counted = Counted()
        await wire.send(json.dumps({"action": "subscribe", "symbols": self._symbols, **self._terms}))
        asked_at = time.monotonic()
        while time.monotonic() < until:
            if time.monotonic() - asked_at > BARRIER_S:
                asked_at = time.monotonic()
                await wire.send('{"action":"sync"}')
            with contextlib.suppress(TimeoutError):
                message = json.loads(await asyncio.wait_for(wire.recv(), 1.0))
                self.barriers += message.get("type") == "synced"
                if fault := counted.take(message):
                    self.faults.append(fault)


async def sample(url: str, symbols: list[str], until: float) -> list[Sampled]:
    """Sampled clients of every channel."""
    clients = [Sampled(url, terms, symbols) for terms in WATCHED for _ in range(SAMPLED)]
    await asyncio.gather(*(client.run(until) for client in clients))
    return clients


async def memory(census: Census, until: float, out: list[dict[str, int]]) -> None:
    """Resident memory of the servers, every two seconds."""
    while time.monotonic() < until:
        await asyncio.sleep(2.0)
        out.append(census.memory() | {"kernel": sockets_memory()})


def growth_mib(samples: list[dict[str, int]]) -> float:
    """Median of the servers' memory in the last third, above that of the second third."""
    third = len(samples) // 3
    of = [difference(sample, {}) for sample in samples]
    return (statistics.median(of[2 * third :]) - statistics.median(of[third : 2 * third])) / 2**20


async def soak(instance: DemoInstance, options: argparse.Namespace) -> dict[str, Any]:
    """Crowd, sampled clients and memory, side by side."""
    seconds = options.minutes * 60
    command = [sys.executable, "-m", "tickcast", "load", "--data", str(instance.data), "--json", "--symbols", "10"]
    command += ["--clients", str(options.clients), "--churn", str(options.churn), "--duration", str(seconds)]
    command += ["--rate", "5", "--spread", "zipf"]
    listed = instance.get("/symbols?limit=20&venue=XBOS")["symbols"]
    names = [one["symbol"] for one in listed][:10]
    census = Census(instance.ps())
    samples: list[dict[str, int]] = []
    crowd = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    until = time.monotonic() + seconds
    clients, _ = await asyncio.gather(sample(instance.stream_url, names, until), memory(census, until, samples))
    out, _ = await asyncio.wait_for(crowd.communicate(), 180)
    faults = [fault for client in clients for fault in client.faults]
    return {
        "minutes": options.minutes,
        "barriers": sum(client.barriers for client in clients),
        "faults": faults[:20],
        "faults_count": len(faults),
        "growth_mib": round(growth_mib(samples), 2),
        "server_mib": [round(difference(sample, {}) / 2**20, 1) for sample in samples[:: max(1, len(samples) // 12)]],
        "load": json.loads(out),
    }


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--clients", type=int, default=2000)
    arguments.add_argument("--churn", type=float, default=50.0)
    arguments.add_argument("--gateways", type=int, default=2)
    arguments.add_argument("--growth-mib", type=float, default=16.0)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = ("--gateways", str(options.gateways))
        instance = DemoInstance(Path(folder), *settings, rate=1000, symbols=100, exchanges=("XBOS",))
        with instance:
            instance.wait_ready(deadline_s=60)
            found = asyncio.run(soak(instance, options))
    result = {"benchmark": "soak", "machine": machine.facts(), **found}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if found["faults_count"] or found["load"]["errors"] or found["growth_mib"] > options.growth_mib:
        raise SystemExit("expected balanced counters, no errors and flat memory; found what stands above")


if __name__ == "__main__":
    main()
