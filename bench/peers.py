"""tickcast's hub in a harness made for such servers: side by side under one load client, ratios to uWebSockets.

    TICKCAST_PEERS=/path/to/harness PEERS_HOME=/path/to/its/build python bench/peers.py [--reps 3] [--json FILE]

The harness is no part of this project. $TICKCAST_PEERS names its folder (``bench.py``, ``client`` and ``servers``),
$PEERS_HOME what its own ``build.sh`` built (load client, servers, their Python). It starts one server at a time with
500 clients x 20 of 500 symbols, saturates it, then paces it at 20,000, 100,000 and 200,000 deliveries a second; its row
``uws each`` runs before and after each, and ratios are to those two. It runs here from a copy in a temporary folder.

tickcast joins by peers_server.py, on a core built with the feature ``stamp`` (see there) into ``build/stamp``.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine

HERE = Path(__file__).resolve().parent
STAMP = HERE.parent / "build/stamp"
OURS = {"tickcast each": "each", "tickcast turn": "turn", "tickcast hold": "hold"}
ROWS = (
    "limit each,uws each,picows each,websockets each,tickcast each,uws best,socketify best,picows array,tickcast turn"
)
ROWS += ",limit ten,tickcast hold"
PACED = ("20000", "100000", "200000")


def build() -> Path:
    """Build the core with the feature ``stamp``, as a package to put before the usual one."""
    wheels = STAMP / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    features = "pyo3/extension-module,stamp"
    command = [str(Path(sys.executable).with_name("maturin")), "build", "--release", "--quiet", "--features", features]
    subprocess.run([*command, "--out", str(wheels)], cwd=HERE.parent, check=True)
    (wheel,) = wheels.glob("*.whl")
    target = STAMP / "package"
    shutil.rmtree(target, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
    return target


def rows(package: Path) -> list[dict[str, Any]]:
    """Our rows, as the harness wants them."""
    path = os.pathsep.join([str(package), str(HERE)])
    return [
        {
            "name": name,
            "command": [sys.executable, str(HERE / "peers_server.py")],
            "mode": mode,
            "dialect": "tickcast",
            "env": {"PYTHONPATH": path},
        }
        for name, mode in OURS.items()
    ]


def run(harness: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the harness; its records."""
    package = build()
    environment = os.environ | {"PEERS_EXTRA": json.dumps(rows(package)), "PEERS_NICE": str(options.nice)}
    with tempfile.TemporaryDirectory(prefix="tickcast-bench-") as place:
        copy = Path(place) / "harness"
        shutil.copytree(harness, copy, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("results", "build"))
        command = [sys.executable, str(copy / "bench.py"), "run", "--rows", options.rows, "--reps", str(options.reps)]
        command += ["--window", str(options.window), "--paced-window", str(options.paced)]
        with (STAMP / "harness.log").open("w", encoding="utf-8") as log:
            subprocess.run(command, env=environment, check=False, stdout=log)
        kept = copy / "results/run.jsonl"
        if not kept.exists():
            raise SystemExit(f"the harness measured nothing; what it said is in {STAMP / 'harness.log'}")
        return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]


def summary(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Medians and ranges by row."""

    def per_cpu(record: dict[str, Any]) -> float:
        return float(record["sat"]["updates"]) / float(record["sat"]["server_cpu"])

    def ratio(record: dict[str, Any]) -> float:
        return per_cpu(record) * 2 / float(record["probe"] + record["probe_after"])

    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(record["row"] for record in records):
        those = [record for record in records if record["row"] == name]
        ratios = sorted(map(ratio, those))
        found[name] = {
            "updates_per_s": round(statistics.median(one["sat"]["updates"] / one["sat"]["seconds"] for one in those)),
            "updates_per_cpu_s": round(statistics.median(map(per_cpu, those))),
            "ratio_to_uws_each": round(statistics.median(ratios), 2),
            "ratio_lowest": round(ratios[0], 2),
            "ratio_highest": round(ratios[-1], 2),
            "lost": sum(one["sent"] - one["received"] for one in those),
            "paced": {rate: paced([one[rate] for one in those if one.get(rate)]) for rate in PACED},
        }
    return found


def paced(windows: list[dict[str, Any]]) -> dict[str, float] | None:
    """Latency and CPU at one pace; None: over what the server can do."""
    if not windows:
        return None
    return {
        "p50_ms": round(statistics.median(one["p50_us"] for one in windows) / 1e3, 2),
        "p99_ms": round(statistics.median(one["p99_us"] for one in windows) / 1e3, 2),
        "cpus": round(statistics.median(one["server_cpu"] / one["seconds"] for one in windows), 2),
    }


def show(found: dict[str, dict[str, Any]]) -> None:
    """As Markdown."""
    best = found.get("uws best", {}).get("ratio_to_uws_each")
    print("| server | k updates/s | k per server CPU-s | ratio to `uws each` | to `uws best` | lost |", end="")
    print("".join(f" {int(rate) // 1000}k/s p50, p99 ms (CPUs) |" for rate in PACED) + "\n" + "|---" * 9 + "|")
    for name, row in found.items():
        cells = [
            f"{one['p50_ms']:.2f}, {one['p99_ms']:.2f} ({one['cpus']:.2f})" if one else "over"
            for one in row["paced"].values()
        ]
        ratio = f"{row['ratio_to_uws_each']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})"
        to_best = f"{row['ratio_to_uws_each'] / best:.2f}" if best else "-"
        rates = f"{row['updates_per_s'] / 1e3:,.0f} | {row['updates_per_cpu_s'] / 1e3:,.0f}"
        print(f"| {name} | {rates} | {ratio} | {to_best} | {row['lost']} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=ROWS, help="of the harness and ours, by comma")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--window", type=float, default=4.0, help="seconds of saturation")
    parser.add_argument("--paced", type=float, default=3.0, help="seconds at each pace")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    named = os.environ.get("TICKCAST_PEERS", "")
    if not named or not Path(named, "bench.py").exists() or not os.environ.get("PEERS_HOME"):
        print(
            "Left out: the harness with other servers is no part of this project. Set TICKCAST_PEERS to its folder"
            f" (with bench.py; found {named or 'nothing'}) and PEERS_HOME to what its build.sh built."
        )
        return
    facts = machine.facts()
    found = summary(run(Path(named), options))
    show(found)
    if options.json:
        whole = {"benchmark": "peers", "machine": facts, "reps": options.reps, "rows": found}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
