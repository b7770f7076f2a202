"""Age of a tick on arrival: from the source's socket to the client's, through a whole instance.

    python bench/latency.py [--rates 10000,100000,300000] [--seconds 10] [--rounds 2] [--json FILE]

A tick is one ITCH message. The native source sends them, every ``--slice-us`` what is due (see spine.py: ``tickcast
sim`` makes the slices of all its exchanges in one event loop, and would be measured too); the time in a message is
taken right before the write that sends it. Each run has an instance of its own, the rates take turns. What the clients
do: ages.py. The hop table is the instance's own (``/latency``).
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import ages
import flow
import machine


def run(rate: float, options: argparse.Namespace) -> dict[str, Any]:
    """One instance at one rate."""
    with (
        tempfile.TemporaryDirectory(prefix="tickcast-bench-") as place,
        flow.Flow(Path(place), stocks=options.stocks, slice_us=options.slice_us, nice=options.nice) as running,
    ):
        running.rate(rate)
        load_average = machine.load_average()
        found = ages.measure(running, options.seconds, watching=options.clients, nice=options.nice)
        hops = flow.get(f"{running.url}/latency")["hops"]
        return {"asked_per_s": rate, "load_average": load_average, **found, "hops": hops}


def show(result: dict[str, Any]) -> None:
    """One run as Markdown."""
    print(f"\n### {result['asked_per_s']:,.0f} ticks/s (load average {result['load_average']})\n")
    ages.show(result)
    print("\n| hop | p50 ms | p95 ms | p99 ms | samples |\n|---|---|---|---|---|")
    for hop in result["hops"]:
        if hop["count"]:
            times = " | ".join(f"{hop[f'{part}_ms']:.2f}" for part in ("p50", "p95", "p99"))
            print(f"| {hop['hop']} | {times} | {hop['count']:,} |")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="10000,100000,300000", help="messages a second")
    parser.add_argument("--seconds", type=int, default=10, help="measured time of a run")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stocks", type=int, default=500)
    parser.add_argument("--clients", type=int, default=ages.WATCHING, help="conflated clients beside the probe")
    parser.add_argument("--slice-us", type=int, default=500, help="the source sends so often")
    parser.add_argument("--nice", type=int, default=0, help="below 0: put the measured processes above all others")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    facts, results = machine.facts(), list[dict[str, Any]]()
    rates = [float(rate) for rate in options.rates.split(",")]
    for _ in range(options.rounds):
        for rate in rates:
            results.append(run(rate, options))
            show(results[-1])
    print(f"\n| ticks/s | probe p50 ms, {options.rounds} runs: median (lowest, highest) | p99 ms |\n|---|---|---|")
    for rate in rates:
        cells = []
        for part in ("p50_ms", "p99_ms"):
            found = [one["probe"][part] for one in results if one["asked_per_s"] == rate]
            cells.append(f"{statistics.median(found):.2f} ({min(found):.2f}, {max(found):.2f})")
        print(f"| {rate:,.0f} | " + " | ".join(cells) + " |")
    if options.json:
        settings = {name: getattr(options, name) for name in ("stocks", "clients", "slice_us", "nice")}
        whole = {"benchmark": "latency", "machine": facts, "settings": settings, "results": results}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
