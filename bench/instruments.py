"""50,000 instruments beside 500, and 1,000 clients who subscribe at the same moment.

    python bench/instruments.py [--instruments 500,50000] [--rate 100000] [--clients 1000] [--json FILE]

For each number of instruments the native source and a whole instance (see spine.py); then, with the flow running:

* memory of feed process and core, and the time from their start until every instrument is live;
* age on arrival and CPU, as in latency.py (see ages.py);
* ``--clients`` connected clients subscribe to 20 symbols each at once, ``--rounds`` times: each one's time from its
  request to its last snapshot (native/crates/core/examples/snapshot.rs, one thread).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import ages
import flow
import machine

EACH = 20


def snapshots(running: flow.Flow, clients: int, rounds: int) -> list[dict[str, float]]:
    """Times of clients who subscribe at once."""
    wanted = (running.port, clients, EACH, rounds, running.symbols_file())
    load = running.spawn("snapshots", [machine.example("snapshot"), *map(str, wanted)])
    found: list[dict[str, float]] = json.loads(running.hear(load))
    load.wait()
    del running.pids["snapshots"]
    return found


def measure(instruments: int, options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="tickcast-bench-") as place,
        flow.Flow(Path(place), stocks=instruments, nice=options.nice) as running,
    ):
        ready_s = time.monotonic() - began
        quiet = snapshots(running, options.clients, options.rounds)
        running.rate(options.rate)
        found = ages.measure(running, options.seconds, nice=options.nice)
        loaded = snapshots(running, options.clients, options.rounds)
        return {
            "instruments": instruments,
            "ready_s": round(ready_s, 1),
            "memory_kib": running.memory_kib(),
            "latency": found,
            "snapshots_quiet": quiet,
            "snapshots_under_load": loaded,
        }


def show(result: dict[str, Any], clients: int) -> None:
    """One number of instruments, as Markdown."""
    found, memory = result["latency"], result["memory_kib"]
    print(
        f"\n### {result['instruments']:,} instruments\n\nLive {result['ready_s']:.1f} s after the start;"
        f" memory: feed {memory['xnas'] / 1024:.0f} MiB, core {memory['core'] / 1024:.0f} MiB."
    )
    ages.show(found)
    print(f"\n| {clients:,} subscribe at once: time to the last snapshot | p50 ms | p95 ms | p99 ms | max ms |")
    print("|---|---|---|---|---|")
    for name, rounds in (("no flow", result["snapshots_quiet"]), ("flow", result["snapshots_under_load"])):
        for row in rounds:
            times = " | ".join(f"{row[f'{part}_ms']:.2f}" for part in ages.PARTS)
            print(f"| {name} | {times} |")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instruments", default="500,50000")
    parser.add_argument("--rate", type=float, default=100_000)
    parser.add_argument("--seconds", type=int, default=8, help="of the latency measurement")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="how often all subscribe")
    parser.add_argument("--nice", type=int, default=0, help="below 0: put the measured processes above all others")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    facts, results = machine.facts(), []
    for instruments in map(int, options.instruments.split(",")):
        results.append(measure(instruments, options))
        show(results[-1], options.clients)
    if options.json:
        whole = {"benchmark": "instruments", "machine": facts, "rate": options.rate, "results": results}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
