"""Many clients on one machine: 50,000 connections, five symbols of 500 each, conflated to one update a second.

    .venv/bin/python bench/many.py [--clients 50000] [--gateways 3] [--seconds 300] [--json FILE]

A whole instance runs as a user starts it: a simulated exchange, its feed, the core, gateway workers. ``tickcast load``
makes the clients, in processes of its own, on the same cores. Printed: errors, memory of the servers for each
connection (before, connected) and the kernel's for both ends of each, CPU of servers and of the tool, latencies.
The idle half: the same clients on an exchange that is silent (``--idle-seconds``, 0 leaves it out).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
from census import Census, difference, sockets_memory
from tickcast.testing.instance import DemoInstance

SETTLE_S = 5.0


def load(instance: DemoInstance, options: argparse.Namespace, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tickcast", "load", "--data", str(instance.data), "--json", "--batch"]
    command += ["--clients", str(options.clients), "--symbols", "5", "--spread", "round-robin", "--rate", "1"]
    command += ["--duration", str(seconds), "--connect-rate", str(options.connect_rate)]
    for name in ("price", "bid", "ask", "server_timestamp"):
        command += ["--field", name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def connections(instance: DemoInstance, gateways: int) -> int:
    """Clients of all gateways; -1 while nobody has time to say it."""
    labels = [f'{{process="gateway{number}"}}' for number in range(1, gateways + 1)] or [""]
    try:
        return int(sum(instance.metric(f"tickcast_gateway_connections{label}") for label in labels))
    except OSError:
        return -1


def measure(options: argparse.Namespace, *, rate: float, seconds: float) -> dict[str, Any]:
    """One instance, one crowd."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ("--gateways", str(options.gateways))
        instance = DemoInstance(Path(folder), *settings, rate=rate, symbols=500, exchanges=("XBOS",))
        with instance:
            instance.wait_ready(deadline_s=60)
            time.sleep(SETTLE_S)
            census = Census(instance.ps())
            empty, kernel = census.memory(), sockets_memory()
            began = time.monotonic()
            tool = load(instance, options, seconds)
            try:
                connected = 0
                while tool.poll() is None and connected < options.clients:
                    time.sleep(1)
                    connected = connections(instance, options.gateways)
                opened_s = time.monotonic() - began
                time.sleep(SETTLE_S)
                cpu, at = census.cpu(), time.monotonic()
                samples: list[dict[str, int]] = []
                while tool.poll() is None and time.monotonic() - at < seconds - SETTLE_S:
                    time.sleep(min(5.0, seconds / 4))
                    samples.append(census.memory() | {"kernel": sockets_memory()})
                spent_s, took_s = difference(census.cpu(), cpu), time.monotonic() - at
                out, _ = tool.communicate(timeout=seconds + 120)
            finally:
                if tool.poll() is None:
                    tool.kill()
    if not out.strip():
        raise SystemExit("expected a result of tickcast load, found none; its reason is above")
    found = json.loads(out)
    most = max(samples, key=lambda sample: difference(sample, empty)) if samples else empty
    each = max(1, found["connections"]["open"])
    return {
        "clients": options.clients,
        "open": found["connections"]["open"],
        "failed": found["connections"]["failed"],
        "closed": found["connections"]["closed"],
        "errors": found["errors"],
        "troubles": found["troubles"],
        "opened_s": round(opened_s, 1),
        "held_s": round(took_s, 1),
        "server_kib_each": round(difference(most, empty) / each / 1024, 2),
        "server_mib_empty": round(sum(empty.get(role, 0) for role in ("core", "gateway")) / 2**20, 1),
        "kernel_kib_each_both_ends": round((most.get("kernel", kernel) - kernel) / each / 1024, 2),
        "server_cpus": round(spent_s / took_s, 3),
        "tool_cpus": round(found["cpu_s"] / (opened_s + took_s), 3),
        "updates_per_s": found["per_s"]["updates"],
        "latency_ms": found["latency_ms"],
        "lost": found["counts"]["lost"],
    }


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--clients", type=int, default=50_000)
    arguments.add_argument("--gateways", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=300.0)
    arguments.add_argument("--idle-seconds", type=float, default=30.0)
    arguments.add_argument("--rate", type=float, default=1000.0, help="events a second of the exchange")
    arguments.add_argument("--connect-rate", type=float, default=2000.0)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    result: dict[str, Any] = {"benchmark": "many", "machine": machine.facts()}
    if options.idle_seconds:
        result["idle"] = measure(options, rate=1, seconds=options.idle_seconds)
        print(json.dumps({"idle": result["idle"]}, indent=1), flush=True)
    result["active"] = measure(options, rate=options.rate, seconds=options.seconds)
    print(json.dumps({"active": result["active"]}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
