"""Cost of a delivered update by codec: server CPU, bytes and latency, the codecs in turn on one running instance.

    python bench/codec_cost.py [--clients 500] [--seconds 10] [--rounds 3] [--channel price] [--json FILE]

A whole instance with a simulated exchange; ``tickcast load`` watches 20 symbols a client, at 20 a second, one message
an update, which is the dearest way. The first row is the ratio's base: JSON, what every other server speaks.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine
from census import Census, difference
from tickcast.testing.instance import DemoInstance

CODECS = ("json", "msgpack", "compact", "proto")


def measure(instance: DemoInstance, census: Census, codec: str, options: argparse.Namespace) -> dict[str, float]:
    """One crowd of one codec."""
    command = [sys.executable, "-m", "tickcast", "load", "--data", str(instance.data), "--json", "--codec", codec]
    command += ["--clients", str(options.clients), "--symbols", "20", "--rate", str(options.rate)]
    command += ["--channel", options.channel, "--duration", str(options.seconds), "--connect-rate", "5000"]
    before = census.cpu()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    spent_s = difference(census.cpu(), before)
    if not done.stdout.strip():
        raise SystemExit("expected a result of tickcast load, found none; its reason is above")
    found = json.loads(done.stdout)
    if found["errors"] or found["troubles"] or found["counts"]["lost"]:
        raise SystemExit(f"expected a clean run, found {found['errors']} {found['troubles']} {found['counts']}")
    frames = sum(found["counts"][name] for name in ("updates", "trades", "bars", "snapshots"))
    return {
        "frames": frames,
        "server_us_each": spent_s * 1e6 / frames,
        "tool_us_each": found["cpu_s"] * 1e6 / frames,
        "bytes_each": found["counts"]["bytes"] / frames,
        "p99_ms": found["latency_ms"]["server"]["p99"] or 0.0,
    }


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--clients", type=int, default=500)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--rate", type=int, default=20)
    arguments.add_argument("--channel", default="price")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    rounds: dict[str, list[dict[str, float]]] = {codec: [] for codec in CODECS}
    with tempfile.TemporaryDirectory() as folder:
        instance = DemoInstance(Path(folder), rate=3000, symbols=100, exchanges=("XBOS",))
        with instance:
            instance.wait_ready(deadline_s=60)
            census = Census(instance.ps())
            for number in range(options.rounds):
                order = CODECS if number % 2 == 0 else CODECS[::-1]
                for codec in order:
                    rounds[codec].append(measure(instance, census, codec, options))
    base = [one["server_us_each"] for one in rounds["json"]]
    print("| codec | server us each | ratio to JSON | bytes each | reader us each | p99 ms |\n" + "|---" * 6 + "|")
    result: dict[str, Any] = {"benchmark": "codecs", "channel": options.channel, "machine": machine.facts()}
    for codec, found in rounds.items():
        ratios = sorted(one["server_us_each"] / of for one, of in zip(found, base, strict=True))
        median = {key: round(statistics.median(one[key] for one in found), 3) for key in found[0]}
        ratio = statistics.median(ratios)
        result[codec] = median | {"ratio": round(ratio, 3), "ratios": [round(one, 3) for one in ratios]}
        print(
            f"| {codec} | {median['server_us_each']:.2f} | {ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |"
            f" {median['bytes_each']:.0f} | {median['tool_us_each']:.2f} | {median['p99_ms']:.1f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
