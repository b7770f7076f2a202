"""How fast the simulator makes its bytes, and what it costs at a demo's pace.

    python bench/sim.py [--seconds 2] [--json PATH]

Each line runs one venue on a virtual clock, without sockets, and reports events per CPU-second of one core.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
from tickcast.sim import universe as listing
from tickcast.sim.binance.payloads import Payloads
from tickcast.sim.config import Config
from tickcast.sim.days import midnight_ns
from tickcast.sim.dialect import base_number
from tickcast.sim.itch.venue import ItchVenue
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.soup_itch.session import History
from tickcast.sim.xsim.state import XsimState

START = 1_774_879_200_000_000_000
Sink = Callable[[Slice, int], int]
"""Takes a slice, returns how many bytes it became."""


def itch_sink(flow: OrderFlow) -> Sink:
    venue = ItchVenue(flow, rare_every_s=7.0)
    venue.midnight_ns = midnight_ns(START, "America/New_York")
    history = History(64 << 20)

    def take(part: Slice, ts: int) -> int:
        block, count = venue.slice(part, ts)
        history.append(block, count)
        return len(block)

    return take


def binance_sink(flow: OrderFlow) -> Sink:
    names = [flow.universe.symbols[index].replace("-", "") for index in flow.indices.tolist()]
    payloads = Payloads(flow, names, base=1)
    payloads.begin()
    wanted = {f"{n.lower()}@{kind}" for n in names for kind in ("aggTrade", "bookTicker", "depth@100ms")}
    written = 0
    state = {"next": START}

    def send(stream: str, payload: bytes) -> None:
        nonlocal written
        written += len(stream) + len(payload)

    def take(part: Slice, ts: int) -> int:
        before = written
        payloads.slice(part.events, ts, send, wanted)
        if ts >= state["next"]:
            state["next"] += 100_000_000
            payloads.depth(ts, send, wanted, slow=False)
        return written - before

    return take


def xsim_sink(flow: OrderFlow) -> Sink:
    state = XsimState(flow, base=base_number(START), trades_max=100_000)

    def take(part: Slice, ts: int) -> int:
        state.slice(part, ts)
        return 0

    return take


def measure(name: str, *, rate: float, symbols: int, quantum_ms: float, seconds: float) -> dict[str, Any]:
    config = Config(rate=rate, symbols=symbols)
    universe = listing.build(config)
    stocks, everything = range(universe.stock_count), range(len(universe.symbols))
    rows = {"itch": stocks, "binance": everything[universe.stock_count :], "xsim": everything[:120]}[name]
    flow = OrderFlow(universe, rows, config, venue=name, base=1, auctions=name == "itch")
    take = {"itch": itch_sink, "binance": binance_sink, "xsim": xsim_sink}[name](flow)
    take(flow.begin(START), START)
    quantum = round(quantum_ms * 1e6)
    opening = round(config.market.open_after_ms * 1e6 / quantum)
    events = written = 0
    cpu = 0.0
    for number in range(1, opening + round(seconds * 1e9 / quantum) + 1):
        if number == opening + 1:
            events = written = 0
            cpu = time.process_time()
        end = START + number * quantum
        part = flow.step(start_ns=end - quantum, end_ns=end, elapsed_ns=number * quantum, events=rate * quantum / 1e9)
        written += take(part, end)
        events += len(part.events)
    cpu = time.process_time() - cpu
    return {
        "venue": name,
        "symbols": len(rows),
        "asked_per_s": rate,
        "events": events,
        "bytes": written,
        "cpu_s": round(cpu, 4),
        "events_per_cpu_s": round(events / cpu),
        "cores_at_this_rate": round(cpu / seconds, 3),
    }


CASES = (
    ("itch", 17_000, 500, 5.0),
    ("itch", 100_000, 500, 5.0),
    ("itch", 1_000_000, 500, 5.0),
    ("itch", 1_000_000, 50_000, 5.0),
    ("binance", 2_400, 500, 20.0),
    ("binance", 50_000, 500, 20.0),
    ("xsim", 600, 500, 50.0),
    ("xsim", 50_000, 500, 50.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="simulated time of each case")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    facts, results = machine.facts(), []
    print(f"{'venue':8} {'symbols':>7} {'asked/s':>10} {'events/CPU-s':>13} {'cores':>6} {'bytes/event':>11}")
    for name, rate, symbols, quantum_ms in CASES:
        one = measure(name, rate=rate, symbols=symbols, quantum_ms=quantum_ms, seconds=options.seconds)
        results.append(one)
        size = one["bytes"] / max(one["events"], 1)
        print(
            f"{name:8} {one['symbols']:7} {rate:10,} {one['events_per_cpu_s']:13,} {one['cores_at_this_rate']:6.3f}"
            f" {size:11.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps({"benchmark": "sim", "machine": facts, "results": results}, indent=1))


if __name__ == "__main__":
    main()
