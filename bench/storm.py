"""A reconnect storm: 10,000 clients come at once, beside a crowd that is served as before.

    .venv/bin/python bench/storm.py [--clients 10000] [--gateways 2] [--rounds 2] [--json FILE]

Rounds without and with the storm alternate in one instance. The crowd's latencies stand side by side; of the storm: how
long its clients took to their acknowledgement (connection, handshake, request, answer), and whether each had its
snapshots. The aim: all back within 5 s, all with snapshots within 5 s more.
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
from tickcast.testing.instance import DemoInstance

CROWD = 200
CROWD_S = 14.0
SYMBOLS = 5


def load(instance: DemoInstance, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tickcast", "load", "--data", str(instance.data), "--json", "--batch", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    if not out.strip():
        raise SystemExit("expected a result of tickcast load, found none; its reason is above")
    found: dict[str, Any] = json.loads(out)
    return found


def one_round(instance: DemoInstance, options: argparse.Namespace, *, storm: bool) -> dict[str, Any]:
    crowd = load(instance, "--clients", str(CROWD), "--symbols", "10", "--rate", "20", "--duration", str(CROWD_S))
    time.sleep(2.0)
    found: dict[str, Any] = {}
    if storm:
        everybody = ("--clients", str(options.clients), "--connect-rate", "100000", "--symbols", str(SYMBOLS))
        came = result(load(instance, *everybody, "--rate", "1", "--spread", "round-robin", "--duration", "6"))
        found["storm"] = {
            "open": came["connections"]["open"],
            "failed": came["connections"]["failed"],
            "acknowledged": came["connections"]["acknowledged"],
            "open_ms": came["latency_ms"]["open"],
            "snapshots_of": [came["counts"]["snapshots"], options.clients * SYMBOLS],
            "errors": came["errors"],
            "troubles": came["troubles"],
        }
    told = result(crowd)
    found["crowd_ms"] = told["latency_ms"]["server"]
    found["crowd_errors"] = told["errors"]
    return found


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--clients", type=int, default=10_000)
    arguments.add_argument("--gateways", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = ("--gateways", str(options.gateways))
        instance = DemoInstance(Path(folder), *settings, rate=1000, symbols=500, exchanges=("XBOS",))
        with instance:
            instance.wait_ready(deadline_s=60)
            for number in range(2 * options.rounds):
                found = one_round(instance, options, storm=number % 2 == 1)
                rounds.append(found)
                print(json.dumps(found), flush=True)
    whole = {"benchmark": "storm", "machine": machine.facts(), "clients": options.clients, "rounds": rounds}
    if options.json:
        options.json.write_text(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
