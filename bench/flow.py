"""A native source of ITCH and an instance that reads it, for the benchmarks of the whole. Not to be run by itself.

::

    with Flow(folder, stocks=500) as flow:
        flow.rate(100_000)
        ...
        flow.counts(), flow.usage()

The source (native/crates/core/examples/source.rs) sends to ``tickcast up``: supervisor, feed process,
bus, core. Everything is a process of its own, and every one of them is watched: CPU seconds and resident memory.
"""

import json
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import machine
from tickcast.cli.demo import free_ports
from tickcast.runtime.clock import now_ns
from tickcast.venues.xnas.day import midnight_ns, new_york_day

READY_S = 90.0
PAGE_KIB = resource.getpagesize() // 1024
TICKCAST = [sys.executable, "-m", "tickcast"]
CONFIG = """[gateway]
port = {port}

[feeds.xnas]
venue = "XNAS"
{place}
"""
LINES = 2
"""Of MoldUDP64: A and B, which carry the same."""


def get(url: str) -> Any:
    """GET a JSON document."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  our own loopback address
        return json.load(answer)


def resident_kib(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_KIB


class Flow:
    """Started at ``with``, ready when it returns; stopped at its end, by pid."""

    def __init__(
        self, folder: Path, *, stocks: int, slice_us: int = 500, nice: int = 0, transport: str = "soup"
    ) -> None:
        """``transport``: ``soup`` (SoupBinTCP) or ``mold`` (MoldUDP64, two lines, no re-request server)."""
        self.folder = folder
        self.stocks = stocks
        self._slice_us = slice_us
        self._nice = nice
        self._transport = transport
        self._stack = ExitStack()
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.pids: dict[str, int] = {}
        """Every process that takes part, by name."""
        self._used: dict[str, tuple[float, float]] = {}

    @property
    def symbols(self) -> list[str]:
        """Names of the instruments."""
        return [f"XNAS:B{number:05}" for number in range(self.stocks)]

    def symbols_file(self) -> Path:
        """A file with the names, one a line."""
        file = self.folder / "symbols"
        file.write_text("\n".join(self.symbols) + "\n", encoding="utf-8")
        return file

    def __enter__(self) -> Self:
        """Start source and instance, and wait until every instrument is live."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        self._stack.close()

    def _start(self) -> None:
        midnight = midnight_ns(new_york_day(now_ns()))
        truth = self.folder / "truth.json"
        lines = [f"127.0.0.1:{port}" for port in free_ports(LINES)] if self._transport == "mold" else []
        command = [machine.example("source"), str(self.stocks), str(self._slice_us), str(midnight), str(truth), *lines]
        self._source = self.spawn("source", command)
        port = json.loads(self.hear(self._source))["port"]
        config = self.folder / "tickcast.toml"
        place = f"lines = {json.dumps(lines)}" if lines else f'address = "127.0.0.1:{port}"'
        config.write_text(CONFIG.format(port=self.port, place=place), encoding="utf-8")
        up = self.spawn("supervisor", [*TICKCAST, "up", "--config", str(config), "--data", str(self.folder / "data")])
        if lines:
            self._await(lambda: int(self.feed()["connections"]) == LINES, up)
            self._tell("begin")
        self._await(self._is_ready, up)
        listed = subprocess.run(
            [*TICKCAST, "ps", "--json", "--data", str(self.folder / "data")], capture_output=True, text=True, check=True
        )
        self.pids |= {row["name"]: row["pid"] for row in json.loads(listed.stdout)}
        machine.prefer(self.pids.values(), self._nice)

    def _await(self, condition: Callable[[], bool], up: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + READY_S
        while not self._holds(condition):
            if up.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the instance did not start: {self.log('supervisor')}")
            time.sleep(0.2)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:  # nobody listens yet, or it is not ready
            return False

    def _is_ready(self) -> bool:
        ready = get(f"{self.url}/health/ready")
        return 0 < int(ready["feeds"]) == int(ready["feeds_live"]) and self.taken() >= self.counts()["made"]

    def spawn(self, name: str, command: list[str]) -> subprocess.Popen[str]:
        """Start a process that ends with the rest."""
        log = self._stack.enter_context((self.folder / f"{name}.log").open("w"))
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self._stack.callback(end, child)
        self.pids[name] = child.pid
        return child

    def log(self, name: str) -> str:
        """End of what a process logged."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def hear(self, child: subprocess.Popen[str]) -> str:
        """Return the next line that a process prints."""
        line = child.stdout.readline() if child.stdout else ""
        if not line:
            name = next(name for name, pid in self.pids.items() if pid == child.pid)
            raise SystemExit(f"{name} ended: {self.log(name)}")
        return line

    def _tell(self, command: str) -> None:
        if self._source.stdin is None:
            raise SystemExit("the source has no input")
        self._source.stdin.write(f"{command}\n")
        self._source.stdin.flush()

    def _ask(self, command: str) -> dict[str, float]:
        self._tell(command)
        answer: dict[str, float] = json.loads(self.hear(self._source))
        return answer

    def rate(self, per_s: float) -> None:
        """Messages a second from now on."""
        self._ask(f"rate {per_s}")

    def counts(self) -> dict[str, float]:
        """Messages made so far, and how far the source is behind (and was at worst since the last call), in ms."""
        return self._ask("counts")

    def truth(self) -> dict[str, Any]:
        """Stop the source, and tell what it knows to be true."""
        self._ask("truth")
        found: dict[str, Any] = json.loads((self.folder / "truth.json").read_text(encoding="ascii"))
        return found

    def feed(self) -> dict[str, Any]:
        """What the instance says of the feed, up to a second old."""
        row: dict[str, Any] = get(f"{self.url}/feeds")["feeds"][0]
        return row

    def taken(self) -> int:
        """Messages that the feed took."""
        return int(self.feed()["messages"])

    def settle(self, sent: float, within_s: float = 30.0) -> int:
        """Wait until the feed has reported so many messages; what it has in the end."""
        deadline = time.monotonic() + within_s
        while (taken := self.taken()) < sent and time.monotonic() < deadline:
            time.sleep(0.2)
        return taken

    def usage(self) -> dict[str, tuple[float, float]]:
        """User and system CPU seconds of each process so far; of one that has ended, what it had when last asked."""
        for name, pid in self.pids.items():
            with suppress(FileNotFoundError, ProcessLookupError):
                self._used[name] = machine.cpu_s(pid)
        return {name: self._used[name] for name in self.pids}

    def memory_kib(self) -> dict[str, int]:
        """Resident memory of each process; 0 of one that has ended."""
        found = dict.fromkeys(self.pids, 0)
        for name, pid in self.pids.items():
            with suppress(FileNotFoundError, ProcessLookupError):
                found[name] = resident_kib(pid)
        return found


def end(child: subprocess.Popen[str]) -> None:
    """By closing its input, then by SIGTERM, then by force."""
    if child.stdin is not None:
        child.stdin.close()
    child.terminate()
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
