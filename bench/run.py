"""Every figure of the project in one go: runs the benchmarks in turn, prints their tables, keeps one JSON.

    python bench/run.py [--quick] [--only latency,fanout] [--nice -15] [--json FILE]

About four minutes, or two with ``--quick`` (shorter, fewer rounds, 2,000 connections instead of 10,000: for a look, not
for the record). The JSON has the machine's facts, the load average before each part, and each part's own result.
Nothing here is a gate: on a shared machine trust ratios, medians and CPU seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import machine

HERE = Path(__file__).resolve().parent
LIMIT_S = 300.0
PARTS: dict[str, tuple[list[str], list[str]]] = {
    "decode": (["--messages", "500000"], ["--messages", "100000", "--rounds", "2"]),
    "venues": (["--seconds", "2"], ["--seconds", "0.5"]),
    "sim": (["--seconds", "1"], ["--seconds", "0.2"]),
    "fanout": (["--seconds", "2", "--rounds", "3"], ["--seconds", "1"]),
    "connections": (["--clients", "10000"], ["--clients", "2000"]),
    "spine": (["--seconds", "20"], ["--seconds", "8"]),
    "latency": (["--seconds", "10", "--rounds", "2"], ["--seconds", "5"]),
    "instruments": (["--seconds", "8"], ["--seconds", "4", "--rounds", "1"]),
    "demo": (["--seconds", "10"], ["--seconds", "5"]),
}
"""Options in full and in quick."""


NICE = frozenset({"spine", "latency", "instruments", "demo"})
"""Parts that can be put above the other users of the machine."""


def run(name: str, options: list[str]) -> dict[str, Any]:
    """One part, in a process of its own."""
    load_average, began = machine.load_average(), time.monotonic()
    print(f"\n## {name} (load average {load_average})\n", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as kept:
        command = [sys.executable, str(HERE / f"{name}.py"), *options, "--json", kept.name]
        try:
            status: int | str = subprocess.run(command, check=False, timeout=LIMIT_S).returncode
        except subprocess.TimeoutExpired:
            status = f"not done within {LIMIT_S:g} s"
        text = Path(kept.name).read_text(encoding="utf-8")
    if status:
        print(f"{name} failed: {status}", file=sys.stderr)
    return {
        "options": options,
        "load_average": load_average,
        "took_s": round(time.monotonic() - began, 1),
        "status": status,
        "result": json.loads(text) if text else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma")
    parser.add_argument("--nice", type=int, default=0, help="priority of whole systems under test")
    parser.add_argument("--json", type=Path, help="by default bench/results/ and the time")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"expected parts out of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}")
    facts = machine.facts()
    print("# Benchmarks\n\n" + ", ".join(f"{name} {value}" for name, value in facts.items()))
    parts = {}
    for name in names:
        more = ["--nice", str(options.nice)] if name in NICE and options.nice else []
        parts[name] = run(name, [*PARTS[name][options.quick], *more])
    began = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    target = options.json or HERE / "results" / f"{began}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = {"schema": 1, "at": began, "quick": options.quick, "machine": facts, "parts": parts}
    target.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(f"\nkept in {target}")
    if failed := [name for name, part in parts.items() if part["status"]]:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
