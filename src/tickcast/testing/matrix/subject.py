"""The instance under test: simulated exchanges in a process of their own and ``tickcast up``, with every lever."""

import contextlib
import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tickcast.cli.demo import DemoFiles
from tickcast.ops.control import ask
from tickcast.ops.datadir import DataDir
from tickcast.runtime.clock import pause
from tickcast.testing.cut import cut_links
from tickcast.testing.instance import ConfiguredInstance, eventually

FEED: Final = "refused_retry_s = 3.0\nbackoff_max_ms = 4000"
"""A cell is not to wait a minute: feeds come back sooner than they would by default."""
MARKET: Final = "\n[market]\nhalt_every_s = 0\n"
QUOTE: Final = ("bid", "bid_size", "ask", "ask_size")


class Subject(ConfiguredInstance):
    """Six venues (or as many as the demo has), their feeds, the core, and the simulator."""

    def configure(self) -> DemoFiles:
        """Write both files; feeds retry quickly, nothing is halted."""
        files = super().configure()
        text = files.instance.read_text()
        files.instance.write_text(re.sub(r"^(\[feeds\.[^]]+\])$", rf"\1\n{FEED}", text, flags=re.MULTILINE))
        files.sim.write_text(files.sim.read_text() + MARKET)
        return files

    # ------------------------------------------------------------------ exchanges

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the exchanges' control endpoint."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.sim_admin() + path, data=data, method=method)  # noqa: S310  loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  loopback
            return json.load(answer)

    def faults(self) -> dict[str, Any]:
        """What each venue's gate says."""
        found: dict[str, Any] = self.admin("GET", "/faults")["venues"]
        return found

    def quotes(self, venue: str) -> dict[str, dict[str, str | None]]:
        """True best prices and sizes, by the symbol a client asks for."""
        listed = set(self.symbols(venue))
        found = {}
        for row in self.truth(venue)["symbols"].values():
            names = (f"{venue}:{row['symbol']}", f"{venue}:{row['symbol']}-USD")
            name = next((one for one in names if one in listed), None)
            if name is not None:
                found[name] = {key: row[key] for key in QUOTE}
        return found

    def symbols(self, venue: str = "") -> list[str]:
        """Instruments, of one venue or all."""
        found: list[str] = []
        cursor = ""
        while True:
            page = self.get(f"/symbols?limit=1000{cursor}")
            found += [row["symbol"] for row in page["symbols"] if row["venue"] and venue in {"", row["venue"]}]
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"

    # ------------------------------------------------------------------ processes

    def processes(self) -> dict[str, dict[str, Any]]:
        """Rows of ``ps`` by name, with the simulator's own."""
        rows = {row["name"]: row for row in ask(DataDir(self.data), {"do": "ps"})}
        if self._exchanges is not None and self._exchanges.poll() is None:
            rows["sim"] = {"name": "sim", "role": "sim", "venue": None, "pid": self._exchanges.pid, "restarts": 0}
        return rows

    def memory_kb(self) -> dict[str, tuple[int, int]]:
        """Process id and resident memory of each process."""
        found = {}
        for name, row in self.processes().items():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{row['pid']}/status").read_text()
                if match := re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE):
                    found[name] = (row["pid"], int(match[1]))
        return found

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process by its name; returns its id."""
        pid = int(self.processes()[name]["pid"])
        os.kill(pid, number)
        return pid

    def cut_worker_links(self) -> None:
        """Cut what links the gateway's workers to the owner of their state; both sides notice, and link again."""
        path = DataDir(self.data).socket("fanout")
        count = cut_links(int(self.processes()["core"]["pid"]), path)
        if not count:
            raise AssertionError(f"expected workers that are linked to {path}, found none")

    @staticmethod
    def resume_processes(pids: Sequence[int]) -> None:
        """Let stopped processes go on; one that was killed meanwhile has gone."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def restart_exchanges(self) -> None:
        """Start the simulator again after it was killed, on its ports."""
        assert self._exchanges is not None
        self._exchanges.wait(15)
        self._exchanges = self._spawn("sim", "--config", str(self.data / "demo" / "sim.toml"))
        eventually(lambda: bool(self.faults()), what="the exchanges serve again")

    def restart_instance(self) -> None:
        """Start the instance again in its data folder after its supervisor was killed."""
        assert self.process is not None
        self.process.wait(15)
        config = str(self.data / "demo" / "tickcast.toml")

        def started() -> bool:
            # its processes end by themselves within seconds; until then the folder and the port are theirs
            if self.process is None or self.process.poll() is not None:
                self.process = self._spawn("up", "--config", config, "--data", str(self.data))
                pause(1.0)
            with contextlib.suppress(urllib.error.URLError):
                return bool(self.get("/health/live"))
            return False

        eventually(started, what="the instance runs again")

    def gaps(self) -> dict[str, tuple[int | None, int]]:
        """Process id and gap records of each feed, by venue."""
        return {row["venue"]: (row["pid"], row["gaps"]) for row in self.get("/feeds")["feeds"]}

    def feed_names(self) -> dict[str, str]:
        """Venue to process name."""
        return {row["venue"]: row["name"] for row in self.get("/feeds")["feeds"]}


def same(shown: Mapping[str, Any], true: Mapping[str, str | None]) -> bool:
    """Whether best prices and sizes are equal as numbers; the size of an empty side says nothing."""
    for side in ("bid", "ask"):
        if (shown[side] is None) != (true[side] is None):
            return False
        for key in (side, f"{side}_size") if true[side] is not None else ():
            if shown[key] is None or Decimal(str(shown[key])) != Decimal(str(true[key])):
                return False
    return True
