"""Every figure of the project in one go: runs the benchmarks in turn, prints their tables, keeps one JSON.

    python bench/run.py [--quick] [--only latency,fanout] [--nice -15] [--json FILE]

About ten minutes, or four with ``--quick`` (shorter, fewer rounds, 2,000 connections instead of 10,000: for a look,
not for the record), and five more where there is a harness for ``peers``. The JSON (result.py) has the machine's facts,
the load average before each part, and each part's own result.
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

import msgspec

import machine
from result import SCHEMA, Machine, Part, Run

HERE = Path(__file__).resolve().parent
LIMIT_S = 900.0
PARTS: dict[str, tuple[list[str], list[str]]] = {
    "decode": (["--messages", "500000"], ["--messages", "100000", "--rounds", "2"]),
    "venues": (["--seconds", "2"], ["--seconds", "0.5"]),
    "crypto": (["--seconds", "3"], ["--seconds", "0.6", "--rounds", "1"]),
    "websocket": (["--frames", "600000"], ["--frames", "200000", "--rounds", "1"]),
    "books": ([], ["--updates", "20"]),
    "burst": ([], ["--before", "1", "--seconds", "4"]),
    "sim": (["--seconds", "1"], ["--seconds", "0.2"]),
    "fanout": (["--seconds", "2", "--rounds", "3"], ["--seconds", "1"]),
    "peers": (["--reps", "1", "--window", "3", "--paced", "2"], ["--reps", "1", "--window", "1", "--paced", "1"]),
    "auth_storm": (["--clients", "4000"], ["--clients", "1000", "--kinds", "key", "HS256"]),
    "socketio_modes": (
        ["--clients", "40", "--seconds", "3", "--rounds", "1"],
        ["--clients", "20", "--symbols", "3", "--seconds", "2", "--rounds", "1"],
    ),
    "connections": (["--clients", "10000"], ["--clients", "2000"]),
    "spine": (["--seconds", "20"], ["--seconds", "8"]),
    "latency": (["--seconds", "10", "--rounds", "2"], ["--seconds", "5"]),
    "quota": (["--within", "60"], ["--pairs", "200", "--within", "30"]),
    "instruments": (["--seconds", "8"], ["--seconds", "4", "--rounds", "1"]),
    "demo": (["--seconds", "10"], ["--seconds", "5"]),
}
"""Options in full and in quick."""


NICE = frozenset({"spine", "latency", "instruments", "demo"})
"""Parts that can be put above the other users of the machine."""


def run(name: str, options: list[str]) -> Part:
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
    return Part(
        options=options,
        load_average=load_average,
        took_s=round(time.monotonic() - began, 1),
        status=status,
        result=json.loads(text) if text else None,
    )


def commit() -> str:
    """Commit of the checkout, marked if it was changed since."""
    git = ["git", "-C", str(HERE)]
    try:
        done = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip() + ("+" if changed.stdout else "")


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
    whole = Run(
        schema=SCHEMA,
        at=began,
        commit=commit(),
        quick=options.quick,
        machine=msgspec.convert(facts, Machine),
        parts=parts,
    )
    target.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")
    print(f"\nkept in {target}")
    if failed := [name for name, part in parts.items() if part.status]:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
