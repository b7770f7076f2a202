"""Many books of one venue at once, within its quota of requests: how soon the busiest are live, and all.

    python bench/quota.py [--pairs 500] [--within 60] [--json FILE]

A simulated Binance that counts request weights as the real one does, whole feeds over real sockets; once with one feed,
once with two that share the quota. Simulator and feeds share one process here: times are an upper bound.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

import machine
from tickcast.testing.many_books import as_json, bring_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--within", type=float, default=60.0, help="seconds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = []
    print("| books | feeds | busiest 20 live, s | all live, s | missing | 429 | most requests in a second |")
    print("|---|---|---|---|---|---|---|")
    for feeds in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(
                bring_up(pairs=options.pairs, feeds=feeds, folder=Path(folder), within_s=options.within)
            )
        found.append(as_json(figures))
        most = max(figures.requests.values(), default=0)
        print(
            f"| {figures.pairs} | {feeds} | {figures.busiest_s:.2f} | {figures.all_s:.2f} | {figures.missing} "
            f"| {figures.throttled} | {most} |",
            flush=True,
        )
    if options.json is not None:
        result = {"benchmark": "quota", "machine": machine.facts(), "runs": found}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
