"""What TLS costs a gateway: memory for each connection and CPU for each update, beside plain TCP and nginx in front.

    .venv/bin/python bench/tls.py [--clients 1000] [--seconds 5] [--json FILE]

Four servers one after the other, each a process of its own with the real hub: plain, TLS on the loop that the gateway
runs on (uvloop), TLS on asyncio's own loop, and plain behind nginx with the site of ``deploy/nginx`` (CPU and memory
of both processes). The clients are bare sockets in this process, each with five symbols at ten trades a second.
"""

import argparse
import asyncio
import json
import re
import resource
import selectors
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import trustme
import uvloop

import machine
from census import rss
from tickcast.gateway.config import Config
from tickcast.testing.gateway import running_gateway
from tickcast.testing.rude import HANDSHAKE, frame

SYMBOLS: Final = 500
EACH: Final = 5
RATE_HZ: Final = 10
TIMEOUT_S: Final = 60.0
SITE: Final = Path(__file__).parents[1] / "deploy/nginx/tickcast.conf"
WAYS: Final = ("plain", "tls", "tls on asyncio", "nginx in front")


async def serve(folder: Path, *, encrypted: bool) -> None:
    """Serve; each line of standard input is a number of seconds to trade for, answered with a line."""
    names = [f"XNAS:S{number:05d}" for number in range(SYMBOLS)]
    files = {"tls_certificate": str(folder / "certificate.pem"), "tls_key": str(folder / "key.pem")}
    config = Config(port=0, **(files if encrypted else {}))  # type: ignore[arg-type]
    async with running_gateway(config, names=names) as gateway:
        for name in names:
            gateway.trade(name, "100.00")
        print(gateway.url, flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            rounds = int(float(line) * RATE_HZ)
            begun = loop.time()
            for number in range(1, rounds + 1):
                for name in names:
                    gateway.trade(name, f"{100 + number / 100:.2f}")
                await asyncio.sleep(max(0.0, begun + number / RATE_HZ - loop.time()))
            print("done", flush=True)


class Clients:
    """Bare sockets, encrypted or not; what comes is counted."""

    def __init__(self, address: tuple[str, int], trust: ssl.SSLContext | None) -> None:
        self._address = address
        self._trust = trust
        self._selector = selectors.DefaultSelector()
        self.sockets: list[socket.socket] = []
        self.frames = 0

    def connect(self, count: int) -> None:
        """Connect, subscribe and wait for the snapshots."""
        for place in range(count):
            client: socket.socket = socket.create_connection(self._address, TIMEOUT_S)
            if self._trust is not None:
                client = self._trust.wrap_socket(client, server_hostname="127.0.0.1")
            symbols = [f"XNAS:S{(place * 7 + step * 31) % SYMBOLS:05d}" for step in range(EACH)]
            client.sendall(HANDSHAKE)
            request = {"action": "subscribe", "symbols": symbols, "rate": 0}
            client.sendall(frame(json.dumps(request).encode()))
            client.settimeout(0)
            self.sockets.append(client)
            self._selector.register(client, selectors.EVENT_READ)
        wanted, deadline = count * EACH, time.monotonic() + TIMEOUT_S
        while self.frames < wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.frames} of {wanted} snapshots came within {TIMEOUT_S:g} s")
            self.read(0.5, b'"type":"snapshot"')

    def read(self, wait_s: float, mark: bytes = b'"seq":') -> None:
        """Read what is there; ``mark`` stands once in each message that counts."""
        for key, _ in self._selector.select(wait_s):
            client: Any = key.fileobj
            while True:
                try:
                    data = client.recv(262_144)
                except (BlockingIOError, ssl.SSLWantReadError):
                    break
                if not data:
                    raise SystemExit("the gateway closed a connection")
                self.frames += data.count(mark)

    def close(self) -> None:
        """Close all."""
        self._selector.close()
        for client in self.sockets:
            client.close()


@contextmanager
def gateway(folder: Path, *, encrypted: bool, loop: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server process; yields it and its port."""
    command = [sys.executable, __file__, "--serve", str(folder), "--loop", loop, *(["--tls"] if encrypted else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = ""
        while process.stdout is not None and not line.startswith("http"):
            line = process.stdout.readline().strip()
            if not line and process.poll() is not None:
                raise SystemExit("the gateway did not start")
        try:
            yield process, int(line.rpartition(":")[2])
        finally:
            process.terminate()


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run nginx with the documented site in front of a port; yields it and its own port."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("no nginx on this machine (apt install nginx)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        front = probe.getsockname()[1]
    site = SITE.read_text(encoding="utf-8")
    for pattern, put in {
        r"server 127\.0\.0\.1:8000;": f"server 127.0.0.1:{port};",
        r"listen 443 ssl;": f"listen 127.0.0.1:{front} ssl backlog=4096;",
        r"/etc/letsencrypt/live/prices\.example/fullchain\.pem": f"{folder}/certificate.pem",
        r"/etc/letsencrypt/live/prices\.example/privkey\.pem": f"{folder}/key.pem",
        r"access_log .*;": "access_log off;",
        r"limit_(conn|req) .*;": "",
    }.items():
        site = re.sub(pattern, put, site)
    temporary = "".join(f"{one}_temp_path {folder}/{one};\n" for one in ("client_body", "proxy", "fastcgi", "uwsgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        "worker_rlimit_nofile 19000;\n"
        f"events {{ worker_connections 18000; }}\nhttp {{\n{temporary}scgi_temp_path {folder}/scgi;\n{site}\n}}\n"
    )
    with subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")]) as process:
        time.sleep(1)
        try:
            yield process, front
        finally:
            process.terminate()


def cpu_of(pids: Sequence[int]) -> float:
    """CPU seconds that processes have used so far."""
    return sum(sum(machine.cpu_s(pid)) for pid in pids)


def measure(way: str, folder: Path, trust: ssl.SSLContext, *, count: int, seconds: float) -> dict[str, float]:
    """Return memory and CPU of one way."""
    with ExitStack() as stack:
        loop = "asyncio" if way.endswith("asyncio") else "uvloop"
        process, port = stack.enter_context(gateway(folder, encrypted=way.startswith("tls"), loop=loop))
        pids = [process.pid]
        if way.startswith("nginx"):
            front, port = stack.enter_context(nginx(folder, port))
            pids.append(front.pid)
        encrypted = None if way == "plain" else trust
        warm = Clients(("127.0.0.1", port), encrypted)
        warm.connect(20)
        warm.close()
        time.sleep(1)
        before, cpu = sum(map(rss, pids)), cpu_of(pids)
        clients = Clients(("127.0.0.1", port), encrypted)
        stack.callback(clients.close)
        clients.connect(count)
        time.sleep(1)
        memory, handshakes = sum(map(rss, pids)) - before, cpu_of(pids) - cpu
        assert process.stdin is not None  # noqa: S101  a pipe
        cpu, clients.frames = cpu_of(pids), 0
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
        wanted = int(seconds * RATE_HZ) * EACH * count
        deadline = time.monotonic() + seconds + TIMEOUT_S
        while clients.frames < wanted and time.monotonic() < deadline:
            clients.read(0.2)
        spent = cpu_of(pids) - cpu
        return {
            "kib_per_connection": memory / count / 1024,
            "handshake_cpu_us": handshakes / count * 1e6,
            "update_cpu_us": spent / max(1, clients.frames) * 1e6,
            "delivered": clients.frames / wanted,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tls", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--loop", default="uvloop", help=argparse.SUPPRESS)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))
    if options.serve:
        (uvloop.run if options.loop == "uvloop" else asyncio.run)(serve(options.serve, encrypted=options.tls))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, authority = Path(name), trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        rows = {way: measure(way, folder, trust, count=options.clients, seconds=options.seconds) for way in WAYS}
    print(f"{'':16}{'KiB each':>10}{'x plain':>9}{'handshake us':>14}{'us/update':>11}{'x plain':>9}{'delivered':>11}")
    plain = rows["plain"]
    for way, row in rows.items():
        ratios = [row[key] / plain[key] if plain[key] else 0.0 for key in ("kib_per_connection", "update_cpu_us")]
        print(
            f"{way:16}{row['kib_per_connection']:10.1f}{ratios[0]:9.1f}{row['handshake_cpu_us']:14.0f}"
            f"{row['update_cpu_us']:11.2f}{ratios[1]:9.2f}{row['delivered']:11.3f}"
        )
    if options.json is not None:
        facts = {"benchmark": "tls", "machine": machine.facts(), "clients": options.clients, "ways": rows}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
