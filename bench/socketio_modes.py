"""The three modes of Socket.IO side by side: CPU of all server processes, Redis too, and latency.

    python bench/socketio_modes.py [--clients 60] [--symbols 5] [--seconds 4] [--rounds 2] [--json FILE]

Two nodes for each mode, each a gateway with a hub of its own that sees the same market; half of the clients at each.
Clients are python-socketio's, over WebSocket, in processes of their own; all watch the same symbols, unfiltered. The
modes take turns, round by round. Counting begins once every client of `rooms` and `redis` listens in its rooms. Latency
is from the trade's time to the client's handler; clocks are the machine's. A `share` of the frames below 1 says that
the machine was too busy for so many clients, and the rest of the row is worth little. Without redis-server `redis` is
left out.
"""

import argparse
import asyncio
import calendar
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import socketio

import machine
from tickcast.gateway.config import Config, SocketIoConfig
from tickcast.testing.gateway import running_gateway

MODES = ("memory", "rooms", "redis")
TRADES_PER_S = 10
"""Of each symbol."""


async def node(mode: str, redis_url: str, prefix: str, symbols: int, listeners: int) -> None:
    """A gateway whose market moves, until it is told to end; says when there are so many listeners in its rooms."""
    settings = SocketIoConfig(mode=mode, redis_url=redis_url, redis_prefix=prefix)  # type: ignore[arg-type]
    config = Config(port=0, socketio=settings, drain_jitter_s=0.0, connections_max=10_000)
    names = [f"XNAS:S{number}" for number in range(symbols)]
    async with running_gateway(config, names=names) as gateway:
        print(gateway.url, flush=True)
        rooms: dict[str, Any] = getattr(gateway.stage._events.mode, "rooms", {})  # type: ignore[union-attr]  # noqa: SLF001
        n, is_told = 0, False
        while True:
            # on a grid of the wall clock, so that the nodes count alike
            due = (time.time_ns() // 100_000_000 + 1) / TRADES_PER_S
            await asyncio.sleep(due - time.time())
            n += 1
            for name in names:
                gateway.trade(name, f"100.{n % 100:02}")
            if not is_told and sum(len(room.listeners) for room in rooms.values()) >= listeners:
                is_told = True
                print("listening", flush=True)


async def clients(urls: list[str], count: int, symbols: int, seconds: float) -> None:
    """Clients; prints their latencies, ms."""
    latencies: list[float] = []
    is_counting = False
    crowd = []

    def take(frame: dict[str, Any]) -> None:
        if is_counting and frame.get("timestamp"):
            whole, _, fraction = frame["timestamp"].removesuffix("Z").partition(".")
            began_ns = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1_000_000_000
            latencies.append((time.time_ns() - began_ns - int((fraction or "0").ljust(9, "0"))) / 1e6)

    for number in range(count):
        client = socketio.AsyncClient(reconnection=False)
        client.on("update", take)
        await client.connect(urls[number % len(urls)], transports=["websocket"])
        await client.call("subscribe", {"symbols": [f"XNAS:S{n}" for n in range(symbols)], "rate": 0})
        crowd.append(client)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    is_counting = True
    await asyncio.sleep(seconds)
    is_counting = False
    print(json.dumps(latencies), flush=True)
    for client in crowd:
        await client.disconnect()


def start(*arguments: str) -> "subprocess.Popen[str]":
    """This program again, in another part."""
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def line_of(process: "subprocess.Popen[str]", begins: str) -> str:
    """The next line that begins so; log lines may come before."""
    for line in process.stdout or ():
        if line.startswith(begins):
            return line.strip()
    raise SystemExit(f"expected {begins!r} from a part of the benchmark; it ended")


def measure(
    mode: str, redis: "subprocess.Popen[bytes] | None", redis_url: str, options: argparse.Namespace
) -> dict[str, float]:
    """One mode, once."""
    prefix = f"bench{time.time_ns()}"
    listeners = 0 if mode == "memory" else options.clients // 2 * options.symbols
    settings = ("--symbols", str(options.symbols), "--listeners", str(listeners))
    nodes = [start("--part", "node", mode, redis_url, prefix, *settings) for _ in range(2)]
    servers = nodes if redis is None else [*nodes, redis]
    crowd = None
    try:
        urls = [line_of(each, "http") for each in nodes]
        crowd = start(
            "--part", "clients", *urls, "--clients", str(options.clients), "--symbols", str(options.symbols),
            "--seconds", str(options.seconds),
        )  # fmt: skip
        line_of(crowd, "ready")
        for each in nodes:
            line_of(each, "listening")
        print("go", file=crowd.stdin, flush=True)
        before = [sum(machine.cpu_s(each.pid)) for each in servers]
        latencies = json.loads(line_of(crowd, "["))
        spent = [sum(machine.cpu_s(each.pid)) - was for each, was in zip(servers, before, strict=True)]
        crowd.wait(20)
    finally:
        for each in (*nodes, *([] if crowd is None else [crowd])):
            each.kill()
            each.wait()
    if len(latencies) < options.clients:
        raise SystemExit(f"expected frames at {options.clients} clients, found {len(latencies)} in all")
    cuts = statistics.quantiles(latencies, n=100)
    asked = options.clients * options.symbols * TRADES_PER_S * options.seconds
    return {
        "frames": len(latencies), "share": len(latencies) / asked, "gateways_cpu_s": spent[0] + spent[1],
        "redis_cpu_s": sum(spent[2:]), "server_us_each": sum(spent) * 1e6 / len(latencies), "p50_ms": cuts[49],
        "p99_ms": cuts[98],
    }  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """All modes, in turn."""
    program = shutil.which("redis-server")
    if program is None:
        print("no redis-server on the path: the mode redis is left out\n")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    modes = [mode for mode in MODES if program is not None or mode != "redis"]
    rounds: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory() as folder:
        redis = None
        if program is not None:
            own = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder)
            redis = subprocess.Popen([program, *own], stdout=subprocess.DEVNULL)
        try:
            for _ in range(options.rounds):
                for mode in modes:
                    rounds[mode].append(measure(mode, redis, f"redis://127.0.0.1:{port}/0", options))
        finally:
            if redis is not None:
                redis.kill()
                redis.wait()
    medians = {
        mode: {key: statistics.median(one[key] for one in some) for key in some[0]} for mode, some in rounds.items()
    }
    print("| mode | frames | share | gateways, CPU s | Redis, CPU s | server µs a frame | p50 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for mode, row in medians.items():
        print(
            f"| `{mode}` | {row['frames']:.0f} | {row['share']:.2f} | {row['gateways_cpu_s']:.2f} "
            f"| {row['redis_cpu_s']:.2f} | {row['server_us_each']:.0f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} |"
        )
    if options.json:
        settings = {"clients": options.clients, "symbols": options.symbols, "seconds": options.seconds}
        told = {
            "benchmark": "socketio_modes",
            "machine": machine.facts(),
            **settings,
            "rounds": rounds,
            "medians": medians,
        }
        Path(options.json).write_text(json.dumps(told, indent=2))


def main() -> None:
    """Run it, or a part of it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--clients", type=int, default=60)
    arguments.add_argument("--symbols", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--json")
    arguments.add_argument("--listeners", type=int, default=0, help=argparse.SUPPRESS)
    arguments.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    match options.part:
        case ["node", mode, redis_url, prefix]:
            asyncio.run(node(mode, redis_url, prefix, options.symbols, options.listeners))
        case ["clients", *urls]:
            asyncio.run(clients(urls, options.clients, options.symbols, options.seconds))
        case _:
            run(options)


if __name__ == "__main__":
    main()
