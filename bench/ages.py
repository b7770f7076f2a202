"""Age on arrival over a running flow: the clients, their account, and the table. Not to be run by itself.

200 clients watch 20 symbols each at rate 20, and one probe watches 20 symbols unfiltered (rate 0), in one native
process (native/crates/core/examples/latency.rs). Age = the client's clock right after the ``recv`` that completed a
frame, less the frame's ``timestamp``: the exchange's time of its newest trade, which the source takes right before its
write. Both clocks are this machine's. A frame that changes only the quote carries none and has no age. The conflated
clients' age contains the 50 ms that their rate may hold an update back; what is beyond is shown beside it.
"""

import json
import time
from typing import Any

import flow
import machine

WATCHING, EACH, WARM_S = 200, 20, 2
PARTS = ("p50", "p95", "p99", "max")


def measure(running: flow.Flow, seconds: int, *, watching: int = WATCHING, nice: int = 0) -> dict[str, Any]:
    """Ages, CPU and flow of some seconds; the rate has been set."""
    wanted = (running.port, watching, EACH, min(EACH, running.stocks), WARM_S, seconds, running.symbols_file())
    load = running.spawn("clients", [machine.example("latency"), *map(str, wanted)])
    machine.prefer([load.pid], nice)
    if running.hear(load) != "measuring\n":
        raise SystemExit(f"the clients failed: {running.log('clients')}")
    counts, row, cpu, busy, began = (
        running.counts(),
        running.feed(),
        running.usage(),
        machine.busy_s(),
        time.monotonic(),
    )
    running.hear(load)
    took = time.monotonic() - began
    cpu_now, busy_now, counts_now, row_now = running.usage(), machine.busy_s(), running.counts(), running.feed()
    found = json.loads(running.hear(load))
    load.wait()
    del running.pids["clients"]
    used = {name: sum(cpu_now[name]) - sum(before) for name, before in cpu.items()}
    return {
        "seconds": round(took, 2),
        "sent_per_s": round((counts_now["made"] - counts["made"]) / took),
        "records_per_s": round((row_now["records"] - row["records"]) / took),
        "behind_most_ms": counts_now["behind_most_ms"],
        "quotes_conflated_at_bus": row_now["dropped"] - row["dropped"],
        "watching": watching,
        "probe": found["probe"],
        "conflated": found["conflated"],
        "barrier": barrier(found["synced"], found["probe"]["updates_ever"]),
        "cpus": {name: round(seconds_used / took, 3) for name, seconds_used in used.items()},
        "others_cpus": round((busy_now - busy - sum(used.values())) / took, 2),
        "client_seconds": found["seconds"],
    }


def barrier(synced: Any, received: int) -> dict[str, Any]:
    """Sums of the probe's own account, at its end; every published update is delivered, merged or lost."""
    if synced is None:
        return {"answered": False}
    rows = [row for channel in synced["channels"].values() for row in channel.values()]
    sums = {name: sum(row[name] for row in rows) for name in ("published", "delivered", "merged", "lost")}
    adds_up = sums["published"] == sums["delivered"] + sums["merged"] + sums["lost"]
    return {"answered": True, **sums, "adds_up": adds_up, "update_frames_received": received}


def show(found: dict[str, Any]) -> None:
    """One run as Markdown."""
    print(
        f"Sent {found['sent_per_s']:,}/s, {found['records_per_s']:,} records/s, source at worst"
        f" {found['behind_most_ms']:.1f} ms behind; quotes conflated before the bus"
        f" {found['quotes_conflated_at_bus']:,}; barrier of the probe: {json.dumps(found['barrier'])}.\n"
    )
    print("| client | updates/s | ages taken | p50 ms | p95 ms | p99 ms | max ms |\n|---|---|---|---|---|---|---|")
    conflated, many = found["conflated"], f"{found['watching']} x {EACH}, rate 20"
    rows = (("probe, rate 0", found["probe"], "ms"), (many, conflated, "ms"))
    for name, row, unit in (*rows, ("the same, beyond 50 ms", conflated, "beyond_ms")):
        ages = " | ".join(f"{row[f'{part}_{unit}']:.2f}" for part in PARTS)
        print(f"| {name} | {row['updates'] / found['client_seconds']:,.0f} | {row['aged']:,} | {ages} |")
    cpu = ", ".join(f"{name} {used:.2f}" for name, used in found["cpus"].items())
    print(f"\nCPUs in use: {cpu}; everything else on the machine {found['others_cpus']:.2f}.", flush=True)
