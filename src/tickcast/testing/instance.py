"""A whole instance for a test: ``tickcast demo`` in a process of its own, with its addresses and its processes.

::

    with DemoInstance(folder, rate=500, symbols=20) as instance:
        instance.wait_ready()
        instance.get("/prices/AAPL")["price"]
        instance.kill("xnas", signal.SIGKILL)
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from tickcast.cli.demo import DemoFiles, DemoOptions, free_ports, write
from tickcast.runtime.clock import monotonic_ns, pause

DEADLINE_S: Final = 30.0
READY_S: Final = 90.0
"""A machine that is busy with something else takes long to start thirty processes."""
EXCHANGES: Final = ("XNAS", "BINANCE", "XSIM")
"""Simulated by default: one stream with sequence numbers, one WebSocket, one that is polled."""
T = TypeVar("T")


def eventually(attempt: Callable[[], T], *, deadline_s: float = DEADLINE_S, what: str = "") -> T:
    """Call until the result is true, and return it; the last result or error is in the failure's text."""
    end_ns = monotonic_ns() + int(deadline_s * 1e9)
    while True:
        last: object
        try:
            last = found = attempt()
            if found:
                return found
        except (OSError, AssertionError, KeyError, ValueError, IndexError) as wrong:
            last = wrong
        if monotonic_ns() > end_ns:
            raise AssertionError(f"not within {deadline_s:g} s: {what or attempt}; last: {last!r}")
        pause(0.05)


class DemoInstance:
    """Starts at ``with``, stops at its end; what the processes printed is in ``folder``."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        rate: float = 500,
        symbols: int = 20,
        exchanges: Sequence[str] = EXCHANGES,
    ) -> None:
        self.folder: Final = folder
        self.data: Final = folder / "data"
        (self.port,) = free_ports(1)
        self.exchanges: Final = tuple(exchanges)
        names = ("--exchanges", ",".join(exchanges)) if "--recorded" not in options else ()
        self._options = ("--rate", str(rate), "--symbols", str(symbols), *names, *options)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """REST address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        """WebSocket address."""
        return f"ws://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> Self:
        """Start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        output = (self.folder / "output.txt").open("ab")
        command = (sys.executable, "-m", "tickcast", "demo", "--port", str(self.port), "--data", str(self.data))
        self.process = subprocess.Popen((*command, *self._options), stdout=output, stderr=output)  # noqa: S603
        output.close()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, by force if need be."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def output(self) -> str:
        """What the supervisor printed so far."""
        return (self.folder / "output.txt").read_text(errors="replace")

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310  our own loopback address
            return json.load(answer)

    def metric(self, name: str) -> float:
        """Value of a sample of ``/metrics``, labels and all; 0 if it is not there yet."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=5) as answer:  # noqa: S310  our own loopback address
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_ready(self, *, deadline_s: float = READY_S) -> None:
        """Wait until every feed is live and prices are served."""

        def ready() -> bool:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the instance ended with {self.process.returncode}: {self.output()[-3000:]}")
            try:
                found = self.get("/health/ready")
            except urllib.error.HTTPError:
                return False
            feeds: int = found["feeds"]
            live: int = found["feeds_live"]
            return 0 < feeds == live

        eventually(ready, deadline_s=deadline_s, what="ready")

    def cli(self, *arguments: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run ``tickcast`` against this instance."""
        command: Sequence[str] = (sys.executable, "-m", "tickcast", *arguments, "--data", str(self.data))
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)  # noqa: S603

    def ps(self) -> dict[str, dict[str, Any]]:
        """Rows of ``tickcast ps --json`` by name."""
        done = self.cli("ps", "--json")
        if done.returncode:
            raise OSError(done.stderr)
        return {row["name"]: row for row in json.loads(done.stdout)}

    def pid(self, name: str) -> int:
        """Process id of a process of the instance."""
        pid: int = self.ps()[name]["pid"]
        return pid

    def kill(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process by its name; returns its id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def sim_admin(self) -> str:
        """Address of the simulated exchanges' control endpoint."""
        for line in (self.data / "demo" / "sim.toml").read_text().splitlines():
            if line.startswith("admin = "):
                return "http://" + str(json.loads(line.removeprefix("admin = ")))
        raise KeyError("admin")

    def truth(self, venue: str) -> dict[str, Any]:
        """What a simulated exchange knows to be true, by symbol."""
        with urllib.request.urlopen(f"{self.sim_admin()}/truth/{venue}", timeout=5) as answer:  # noqa: S310  loopback
            found: dict[str, Any] = json.load(answer)
        return found


class ConfiguredInstance(DemoInstance):
    """``tickcast sim`` and ``tickcast up`` as a user starts them, with settings of the test's own.

    ``tables`` is TOML by table, such as ``{"gateway": "frame_max = 1000"}``.
    """

    def __init__(
        self,
        folder: Path,
        tables: Mapping[str, str] | None = None,
        *,
        rate: float = 500,
        symbols: int = 20,
        exchanges: Sequence[str] = EXCHANGES,
    ) -> None:
        super().__init__(folder, rate=rate, symbols=symbols, exchanges=exchanges)
        self._tables = dict(tables or {})
        self._market = DemoOptions(
            folder=self.data / "demo", port=self.port, rate=rate, symbols=symbols, exchanges=exchanges
        )
        self._exchanges: subprocess.Popen[bytes] | None = None

    def configure(self) -> DemoFiles:
        """Write ``sim.toml`` and ``tickcast.toml``."""
        files = write(self._market)
        text = files.instance.read_text()
        for table, settings in self._tables.items():
            head = f"[{table}]\n"
            text = text.replace(head, f"{head}{settings}\n") if head in text else f"{text}\n{head}{settings}\n"
        files.instance.write_text(text)
        return files

    def __enter__(self) -> Self:
        """Start both."""
        files = self.configure()
        self._exchanges = self._spawn("sim", "--config", str(files.sim))
        self.process = self._spawn("up", "--config", str(files.instance), "--data", str(self.data))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both."""
        super().__exit__()
        if self._exchanges is not None:
            self._exchanges.terminate()
            self._exchanges.wait(15)

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen((sys.executable, "-m", "tickcast", *arguments), stdout=output, stderr=output)  # noqa: S603
