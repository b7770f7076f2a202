"""The whole system at a steady rate: everything sent is accepted, final books are the truth, memory stays flat.

    python bench/spine.py [--rate 1000000] [--seconds 20] [--stocks 500] [--json FILE]
    make bench-spine                        # ten minutes of it

::

    source ──SoupBinTCP or MoldUDP64──▶ feed process ──bus──▶ core ──WebSocket──▶ clients

Each is a process of its own, on real sockets; the source is native (native/crates/core/examples/source.rs: a valid
ITCH order flow, with its own books as truth), since the simulated exchanges of `tickcast sim` cannot make a million
messages a second beside the system that takes them. ``--clients`` conflated clients and one unfiltered probe watch 20
symbols each.

While it runs, messages made and taken, CPU and resident memory of every process are sampled. At the end the source
stops, and what the core serves of every instrument (bid, ask, both sizes, last price, volume) is compared with the
truth. Taken from the steady part: the highest memory of the last third less the highest of the middle third.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import flow
import machine

WARM_S = 3
EACH = 20
PAGE = 100
FIELDS = ("bid", "bid_size", "ask", "ask_size", "price", "volume")


def sample(running: flow.Flow, began: float) -> dict[str, Any]:
    """Counts, CPU and memory of this moment."""
    counts, row = running.counts(), running.feed()
    return {
        "at_s": round(time.monotonic() - began, 2),
        "made": counts["made"],
        "behind_ms": counts["behind_ms"],
        "behind_most_ms": counts["behind_most_ms"],
        "taken": row["messages"],
        "records": row["records"],
        "lag_ms": row["lag_ms"],
        "cpu_s": {name: sum(used) for name, used in running.usage().items()},
        "memory_kib": running.memory_kib(),
        "busy_s": machine.busy_s(),
    }


def watch(running: flow.Flow, load: subprocess.Popen[str], seconds: int, every_s: float) -> list[dict[str, Any]]:
    """Sample for ``seconds``, printing each row."""
    began = time.monotonic()
    samples = [sample(running, began)]
    names = list(samples[0]["memory_kib"])
    print("| s | made/s | behind ms | lag ms | " + " | ".join(f"{name} CPU, MiB" for name in names) + " | others CPU |")
    print("|---" * (5 + len(names)) + "|", flush=True)
    while samples[-1]["at_s"] < seconds:
        time.sleep(min(every_s, max(0.1, seconds - samples[-1]["at_s"])))
        if load.poll():
            raise SystemExit(f"the clients ended: {running.log('clients')}")
        samples.append(sample(running, began))
        show(samples[-2], samples[-1])
    return samples


def show(before: dict[str, Any], now: dict[str, Any]) -> None:
    took = now["at_s"] - before["at_s"]
    cpu = {name: used - before["cpu_s"][name] for name, used in now["cpu_s"].items()}
    cells = [f"{cpu[name] / took:.2f}, {kib / 1024:.0f}" for name, kib in now["memory_kib"].items()]
    others = (now["busy_s"] - before["busy_s"] - sum(cpu.values())) / took
    rate = (now["made"] - before["made"]) / took
    print(
        f"| {now['at_s']:.0f} | {rate:,.0f} | {now['behind_most_ms']:.0f} | {now['lag_ms']:.0f} | "
        + " | ".join(cells)
        + f" | {others:.2f} |",
        flush=True,
    )


def compare(running: flow.Flow, truth: dict[str, Any]) -> dict[str, Any]:
    """What the core serves beside the truth; the first few differences."""
    wrong: list[str] = []
    symbols = running.symbols
    for start in range(0, len(symbols), PAGE):
        names = ",".join(symbols[start : start + PAGE])
        for row in flow.get(f"{running.url}/prices?symbols={names}&numbers=string")["prices"]:
            bid, bid_size, ask, ask_size, price, volume, _ = truth["stocks"][row["symbol"].partition(":")[2]]
            money = [Decimal(part).scaleb(-4) or None for part in (bid, ask, price)]
            expected = (money[0], bid_size or None, money[1], ask_size or None, money[2], volume or None)
            found = tuple(Decimal(row[name]) if row.get(name) is not None else None for name in FIELDS)
            if row["state"] != "live" or any((a or None) != b for a, b in zip(found, expected, strict=True)):
                wrong.append(f"{row['symbol']} ({row['state']}): expected {expected}, found {found}")
    return {"instruments": len(symbols), "wrong": len(wrong), "first": wrong[:5]}


def growth_kib(samples: list[dict[str, Any]]) -> dict[str, int]:
    """Highest memory of the last third less the highest of the middle third, for each process."""
    third = max(1, len(samples) // 3)
    middle, last = samples[third : 2 * third], samples[2 * third :]
    return {
        name: max(one["memory_kib"][name] for one in last) - max(one["memory_kib"][name] for one in middle or last)
        for name in samples[0]["memory_kib"]
        if name != "clients"  # keeps every age it took
    }


def settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("slice_us", "nice", "transport")}


def run(options: argparse.Namespace) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="tickcast-bench-") as place,
        flow.Flow(Path(place), stocks=options.stocks, **settings(options)) as running,
    ):
        running.rate(options.rate)
        wanted = (running.port, options.clients, EACH, EACH, WARM_S, options.seconds, running.symbols_file())
        load = running.spawn("clients", [machine.example("latency"), *map(str, wanted)])
        machine.prefer([load.pid], options.nice)
        if running.hear(load) != "measuring\n":
            raise SystemExit(f"the clients failed: {running.log('clients')}")
        samples = watch(running, load, options.seconds, options.every)
        running.hear(load)
        clients = json.loads(running.hear(load))
        hops = flow.get(f"{running.url}/latency")["hops"]
        truth = running.truth()
        taken = running.settle(truth["messages"])
        books, feed = compare(running, truth), running.feed()
    first, last = samples[0], samples[-1]
    took = last["at_s"] - first["at_s"]
    return {
        "transport": options.transport,
        "rate": options.rate,
        "seconds": took,
        "stocks": options.stocks,
        "sent_per_s": round((last["made"] - first["made"]) / took),
        "records_per_s": round((last["records"] - first["records"]) / took),
        "behind_most_ms": max(one["behind_most_ms"] for one in samples[1:]),
        "sent": truth["messages"],
        "accepted": taken,
        "dropped": feed["dropped"],
        "gaps": feed["gaps"],
        "dead_letters": feed["dead_letters"],
        "books": books,
        "memory_growth_kib": growth_kib(samples),
        "cpus": {name: round((used - first["cpu_s"][name]) / took, 3) for name, used in last["cpu_s"].items()},
        "clients": clients,
        "hops": hops,
        "samples": samples,
    }


def conclude(result: dict[str, Any]) -> bool:
    """Print what came of it; whether all of it held."""
    books, probe = result["books"], result["clients"]["probe"]
    is_whole = result["accepted"] == result["sent"]
    print(
        f"\nSent {result['sent_per_s']:,}/s for {result['seconds']:.0f} s ({result['records_per_s']:,} records/s), at"
        f" worst {result['behind_most_ms']:.0f} ms behind. Sent {result['sent']:,}, accepted {result['accepted']:,}:"
        f" {'equal' if is_whole else 'NOT EQUAL'}. Gaps {result['gaps']}, dead letters {result['dead_letters']},"
        f" quotes conflated before the bus {result['dropped']:,}.\n"
        f"Final books: {books['instruments']:,} instruments, {books['wrong']} differ from the truth.\n"
        f"Growth of memory, last third beside the middle one, KiB: {json.dumps(result['memory_growth_kib'])}.\n"
        f"Probe: p50 {probe['p50_ms']:.2f} ms, p99 {probe['p99_ms']:.2f} ms, max {probe['max_ms']:.2f} ms."
    )
    for line in books["first"]:
        print(line)
    return is_whole and not books["wrong"] and not result["gaps"] and not result["dead_letters"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1_000_000, help="messages a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--stocks", type=int, default=500)
    parser.add_argument("--clients", type=int, default=5, help="conflated clients beside the probe")
    parser.add_argument("--transport", choices=("soup", "mold"), default="soup", help="mold: MoldUDP64, lines A and B")
    parser.add_argument("--slice-us", type=int, default=500, help="the source sends so often")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--nice", type=int, default=0, help="below 0: put the measured processes above all others")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    facts = machine.facts()
    load = f"load average {facts['load_average']}"
    print(f"{options.rate:,.0f} messages/s over {options.stocks:,} stocks, {options.transport} ({load})\n")
    result = run(options)
    is_right = conclude(result)
    if options.json:
        whole = {"benchmark": "spine", "machine": facts, "is_right": is_right, **result}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    if not is_right:
        sys.exit("what was sent is not what is served")


if __name__ == "__main__":
    main()
