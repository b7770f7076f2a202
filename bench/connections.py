"""Memory of idle connections: N WebSocket clients with five subscriptions each, over loopback.

    .venv/bin/python bench/connections.py [--clients 10000] [--json FILE]

The gateway with the real hub runs in a process of its own; its resident memory is read before, with all clients
connected, with all subscribed, and after all have left. The clients are bare sockets in this process.
"""

import argparse
import asyncio
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

import machine
from tickcast.gateway.config import Config
from tickcast.testing.gateway import running_gateway
from tickcast.testing.rude import HANDSHAKE, frame

SYMBOLS = 500
SUBSCRIPTIONS = 5
PER_ADDRESS = 10_000
AT_ONCE = 200
TIMEOUT_S = 60.0


async def serve() -> None:
    names = [f"XNAS:S{number:05d}" for number in range(SYMBOLS)]
    async with running_gateway(Config(port=0), names=names) as gateway:
        for name in names:
            gateway.trade(name, "100.00")
        print(gateway.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        address = ""
        while process.stdout is not None and not address.startswith("http://"):
            address = process.stdout.readline().strip()
            if not address and process.poll() is not None:
                raise SystemExit("the gateway did not start")
        host, _, port = address.removeprefix("http://").rpartition(":")
        try:
            yield process, (host, int(port))
        finally:
            process.terminate()


def resident_kib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def kernel_kib() -> int:
    """Slab memory of the whole machine and TCP's buffers: both ends of each connection, and all that others do."""
    slab = next(line for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if "Slab:" in line)
    sockets = Path("/proc/net/sockstat").read_text(encoding="ascii").partition("TCP: ")[2].split("\n", 1)[0].split()
    return int(slab.split()[1]) + int(sockets[sockets.index("mem") + 1]) * resource.getpagesize() // 1024


class Clients:
    """Bare sockets; what comes back is counted and thrown away."""

    def __init__(self, server_address: tuple[str, int]) -> None:
        self._address = server_address
        self._selector = selectors.DefaultSelector()
        self.sockets: list[socket.socket] = []
        self._received: dict[socket.socket, int] = {}

    def connect(self, count: int) -> None:
        """Connect and upgrade ``count`` more."""
        fresh = []
        for _ in range(count):
            client = socket.socket()
            client.bind((f"127.0.0.{2 + len(self.sockets) // PER_ADDRESS}", 0))
            client.connect(self._address)
            client.sendall(HANDSHAKE)
            self.sockets.append(client)
            self._selector.register(client, selectors.EVENT_READ)
            fresh.append(client)
        self._wait(fresh, 100)

    def subscribe(self, start: int, count: int) -> None:
        """Subscribe ``count`` clients to five symbols each."""
        group = self.sockets[start : start + count]
        for place, client in enumerate(group, start):
            symbols = [f"XNAS:S{(place * 7 + step * 31) % SYMBOLS:05d}" for step in range(SUBSCRIPTIONS)]
            client.sendall(frame(json.dumps({"action": "subscribe", "symbols": symbols}).encode()))
        self._wait(group, 1000)

    def _wait(self, group: list[socket.socket], least: int) -> None:
        """Read until each of a group got at least so many bytes since it was last waited for."""
        waiting = set(group)
        for client in group:
            self._received[client] = 0
        deadline = time.monotonic() + TIMEOUT_S
        while waiting:
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(waiting)} clients got no answer within {TIMEOUT_S:g} s")
            for key, _ in self._selector.select(1.0):
                client = cast("socket.socket", key.fileobj)
                data = client.recv(65_536)
                if not data:
                    raise SystemExit("the gateway closed a connection")
                self._received[client] = self._received.get(client, 0) + len(data)
                if self._received[client] >= least:
                    waiting.discard(client)

    def close(self) -> None:
        for client in self.sockets:
            client.close()
        self.sockets.clear()
        self._selector.close()


def measure(count: int) -> dict[str, object]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count + 100 > hard:
        raise SystemExit(f"{count} clients need {count + 100} descriptors, allowed are {hard}: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 1000)), hard))
    with server() as (process, address):
        warm = Clients(address)
        warm.connect(50)
        warm.subscribe(0, 50)
        warm.close()
        time.sleep(1.5)
        before, kernel_before = resident_kib(process.pid), kernel_kib()
        clients = Clients(address)
        started = time.monotonic()
        for start in range(0, count, AT_ONCE):
            clients.connect(min(AT_ONCE, count - start))
        connected_s = time.monotonic() - started
        connected = resident_kib(process.pid)
        for start in range(0, count, AT_ONCE):
            clients.subscribe(start, min(AT_ONCE, count - start))
        time.sleep(1.5)
        subscribed, kernel_after = resident_kib(process.pid), kernel_kib()
        clients.close()
        time.sleep(3)
        after = resident_kib(process.pid)
    return {
        "benchmark": "connections",
        "machine": machine.facts(),
        "clients": count,
        "subscriptions_each": SUBSCRIPTIONS,
        "before_kib": before,
        "connected_kib": connected,
        "subscribed_kib": subscribed,
        "after_kib": after,
        "kib_per_connection": round((connected - before) / count, 2),
        "kib_per_subscribed_connection": round((subscribed - before) / count, 2),
        "kernel_kib_per_connection_both_ends": round((kernel_after - kernel_before) / count, 2),
        "handshakes_per_s": round(count / connected_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if soft != hard else (soft, hard))
        uvloop.run(serve())
        return
    result = measure(options.clients)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, value in result.items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
