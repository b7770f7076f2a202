"""The demo as a user starts it: ages on arrival and CPU with every simulated exchange, the simulator included.

    python bench/demo.py [--rates 50000] [--seconds 20] [--json FILE]

Runs `tickcast sim` and `tickcast up` (supervisor, feeds, core) as processes of their own with the files that
`tickcast demo` writes; nothing is set otherwise but the length of XNAS's slices (``--slice-ms``): the simulated
exchange stamps events evenly over a slice and sends them at its end, so a slice adds up to its length to every age.

A tick is one order event of a simulated exchange, or a changed entry of XSIM. ``--rates`` is
what the simulator is asked for over all of them; the table says what the feeds took (messages), what the core got of it
(records: best bids and offers that moved, trades), and how much of the asked flow the simulator had to give up.

200 clients watch 20 symbols of XNAS each at rate 20, and one probe watches ``--probed`` symbols unfiltered (rate 0).
They run in one native process (native/crates/core/examples/latency.rs). Age = client's clock right after the ``recv``
that completed a frame, less the frame's ``timestamp`` (the exchange's time of its newest trade, ns): both clocks are
this machine's. A frame that changes only the quote carries none and has no age. The conflated clients' age contains the
50 ms that their rate may hold an update back; what is beyond is shown beside it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from tickcast.cli.demo import DemoOptions, free_ports, write
from tickcast.sim import config as sim_config
from tickcast.sim import universe

TICKCAST = [sys.executable, "-m", "tickcast"]
CLIENTS, EACH, WARM_S, SYMBOLS = 200, 20, 3, 500
READY_S = 60.0


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own loopback address
        return json.load(answer)


@contextmanager
def process(command: list[str], output: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended by SIGTERM, with what it logs in a file."""
    with output.open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()


@dataclass
class Instance:
    """A running instance and the exchanges it reads."""

    url: str
    admin: str
    data: Path
    sim_pid: int

    def pids(self) -> dict[str, int]:
        done = subprocess.run(
            [*TICKCAST, "ps", "--json", "--data", str(self.data)], capture_output=True, text=True, check=True
        )
        return {row["name"]: row["pid"] for row in json.loads(done.stdout)} | {"sim": self.sim_pid}

    def counts(self) -> dict[str, Any]:
        """What was sent and taken so far, and the CPU time of it."""
        venues = get(f"{self.admin}/state")["venues"]
        feeds = get(f"{self.url}/feeds")["feeds"]
        return {
            "at_s": time.monotonic(),
            "busy_s": machine.busy_s(),
            "events": sum(one["events"] for one in venues.values()),
            "skipped_s": sum(one["skipped_ns"] for one in venues.values()) / 1e9,
            "messages": {one["name"]: one["messages"] for one in feeds},
            "records": sum(one["records"] for one in feeds),
            "conflated_at_bus": sum(one["dropped"] for one in feeds),
        }


@contextmanager
def instance(folder: Path, rate: float, slice_ms: float) -> Iterator[Instance]:
    (port,) = free_ports(1)
    files = write(DemoOptions(folder=folder, port=port, rate=rate, symbols=SYMBOLS))
    venue = '[venues.XNAS]\ndialect = "soup_itch"\n'
    text = files.sim.read_text(encoding="utf-8")
    files.sim.write_text(text.replace(venue, f"{venue}quantum_ms = {slice_ms}\n"), encoding="utf-8")
    url, data = f"http://127.0.0.1:{port}", folder / "data"
    up = [*TICKCAST, "up", "--config", str(files.instance), "--data", str(data)]
    with process([*TICKCAST, "sim", "--config", str(files.sim)], folder / "sim.log") as sim:
        if sim.stdout is None or not (line := sim.stdout.readline()):
            raise SystemExit(f"the simulated exchanges did not start: {(folder / 'sim.log').read_text()[-2000:]}")
        with process(up, folder / "up.log") as supervisor:
            deadline = time.monotonic() + READY_S
            while not is_ready(url):
                if supervisor.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the instance did not start: {(folder / 'up.log').read_text()[-2000:]}")
                time.sleep(0.2)
            yield Instance(url, json.loads(line)["admin"], data, sim.pid)


def is_ready(url: str) -> bool:
    try:
        found = get(f"{url}/health/ready")
    except (urllib.error.HTTPError, OSError):
        return False
    return 0 < int(found["feeds"]) == int(found["feeds_live"])


def run(rate: float, options: argparse.Namespace, client: str) -> dict[str, Any]:
    """One instance at one rate."""
    with tempfile.TemporaryDirectory(prefix="tickcast-bench-") as place:
        folder = Path(place)
        names = folder / "symbols"
        stocks = int(SYMBOLS * sim_config.MarketConfig().stock_share)
        symbols = [f"XNAS:{symbol}" for symbol, _ in universe.listed_stocks(stocks)]
        names.write_text("\n".join(symbols) + "\n", encoding="utf-8")
        with instance(folder, rate, options.slice_ms) as running:
            port = running.url.rpartition(":")[2]
            wanted = (port, CLIENTS, EACH, min(options.probed, stocks), WARM_S, options.seconds)
            pids = running.pids()
            with process([client, *map(str, wanted), str(names)], folder / "client.log") as load:
                pids["clients"] = load.pid
                machine.prefer(pids.values(), options.nice)
                if load.stdout is None or load.stdout.readline() != "measuring\n":
                    raise SystemExit(f"the clients failed: {(folder / 'client.log').read_text()[-2000:]}")
                before, cpu_before = running.counts(), {name: machine.cpu_s(pid) for name, pid in pids.items()}
                load.stdout.readline()
                cpu_after, after = {name: machine.cpu_s(pid) for name, pid in pids.items()}, running.counts()
                found = json.loads(load.stdout.readline() or "null")
                if found is None:
                    raise SystemExit(f"the clients failed: {(folder / 'client.log').read_text()[-2000:]}")
                hops = get(f"{running.url}/latency")["hops"]
    took = after["at_s"] - before["at_s"]
    synced, client_seconds = found.pop("synced"), found.pop("seconds")
    cpu = {name: sum(cpu_after[name]) - sum(cpu_before[name]) for name in pids}
    return {
        "asked_per_s": rate,
        "seconds": round(took, 2),
        "client_seconds": client_seconds,
        "load_average": machine.load_average(),
        "sent_per_s": round((after["events"] - before["events"]) / took),
        "given_up_s": round(after["skipped_s"] - before["skipped_s"], 3),
        "messages_per_s": {
            name: round((count - before["messages"][name]) / took) for name, count in after["messages"].items()
        },
        "records_per_s": round((after["records"] - before["records"]) / took),
        "quotes_conflated_at_bus": after["conflated_at_bus"] - before["conflated_at_bus"],
        **found,
        "barrier": barrier(synced, found["probe"]["updates_ever"]),
        "cpu_s": {name: round(used, 2) for name, used in cpu.items()},
        "others_cpu_s": round(after["busy_s"] - before["busy_s"] - sum(cpu.values()), 2),
        "hops": hops,
    }


def barrier(synced: Any, received: int) -> dict[str, Any]:
    """Sums of the probe's own account, at its end; every published update is delivered, merged or lost."""
    if synced is None:
        return {"answered": False}
    rows = [row for channel in synced["channels"].values() for row in channel.values()]
    sums = {name: sum(row[name] for row in rows) for name in ("published", "delivered", "merged", "lost")}
    adds_up = sums["published"] == sums["delivered"] + sums["merged"] + sums["lost"]
    return {"answered": True, **sums, "adds_up": adds_up, "update_frames_received": received}


def show(result: dict[str, Any]) -> None:
    """One run as Markdown."""
    messages = sum(result["messages_per_s"].values())
    seconds, probe, conflated = result["seconds"], result["probe"], result["conflated"]
    print(f"\n### {result['asked_per_s']:,.0f} ticks/s asked (load average {result['load_average']})\n")
    print(
        f"Sent {result['sent_per_s']:,}/s, taken {messages:,} messages/s, {result['records_per_s']:,} records/s;"
        f" given up by the simulator {result['given_up_s']:g} s, quotes conflated before the bus"
        f" {result['quotes_conflated_at_bus']:,}; barrier of the probe: {json.dumps(result['barrier'])}.\n"
    )
    print("| client | updates/s | ages taken | p50 ms | p95 ms | p99 ms | max ms |\n|---|---|---|---|---|---|---|")
    rows = (("probe, rate 0", probe, "ms"), (f"{CLIENTS} x {EACH}, rate 20", conflated, "ms"))
    for name, row, unit in (*rows, ("the same, beyond 50 ms", conflated, "beyond_ms")):
        ages = " | ".join(f"{row[f'{part}_{unit}']:.2f}" for part in ("p50", "p95", "p99", "max"))
        print(f"| {name} | {row['updates'] / result['client_seconds']:,.0f} | {row['aged']:,} | {ages} |")
    print("\n| hop | p50 ms | p95 ms | p99 ms | samples |\n|---|---|---|---|---|")
    for hop in result["hops"]:
        if hop["count"]:
            print(
                f"| {hop['hop']} | {hop['p50_ms']:.2f} | {hop['p95_ms']:.2f} | {hop['p99_ms']:.2f} | {hop['count']:,} |"
            )
    cpu = ", ".join(f"{name} {used / seconds:.2f}" for name, used in result["cpu_s"].items())
    print(f"\nCPUs in use: {cpu}; everything else on the machine {result['others_cpu_s'] / seconds:.2f}.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="50000", help="ticks a second over all exchanges, one run for each")
    parser.add_argument("--seconds", type=int, default=20, help="measured time of a run")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--probed", type=int, default=20, help="symbols that the probe watches")
    parser.add_argument("--slice-ms", type=float, default=2.0)
    parser.add_argument("--nice", type=int, default=0, help="below 0: put the measured processes above all others")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    facts, client, results = machine.facts(), machine.example("latency"), []
    for rate in map(float, options.rates.split(",")):
        for _ in range(options.rounds):
            result = run(rate, options, client)
            results.append(result)
            show(result)
        if options.rounds > 1:
            tails = [one["probe"]["p99_ms"] for one in results if one["asked_per_s"] == rate]
            print(
                f"\nProbe at {rate:,.0f}/s, p99 of {options.rounds} runs: median {statistics.median(tails):.2f} ms,"
                f" {min(tails):.2f} to {max(tails):.2f}."
            )
    if options.json:
        settings = {"slice_ms": options.slice_ms, "nice": options.nice, "probed": options.probed}
        result = {"benchmark": "demo", "machine": facts, "settings": settings, "results": results}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
