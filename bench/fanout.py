"""Updates delivered per second of server CPU: tickcast's hub beside a hub written by hand on picows, in turn.

    python bench/fanout.py [--seconds 5] [--rounds 1] [--json FILE]

500 clients watch 20 of 500 symbols each; the publisher is inside the server and keeps at most 100,000 deliveries under
way. An update is an update frame (or an item of an array) that the client received. CPU is the server's, user and
system, from /proc; over loopback it includes the receiving half of TCP. Trust the ratios: machines drift.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ROWS = {
    "picows each": "each",
    "picows array a turn": "array",
    "tickcast each": "single",
    "tickcast no hold": "hub",
    "tickcast 10 ms hold": "hold",
    "tickcast conflated, 20 Hz": "conflated",
}
CLIENTS, SYMBOLS, EACH = 500, 500, 20
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def pin(cpu: int) -> None:
    """One CPU for the server, another for the client, where there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[cpu % len(allowed)]})


@contextlib.contextmanager
def child(command: list[str], cpu: int, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says one line when it is ready and ends with its stdin."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # picows says of each write after the end that it came too late
        text=True,
        env=os.environ | env,
        preexec_fn=lambda: pin(cpu),  # noqa: PLW1509  no threads here
    )
    if not process.stdin or not process.stdout:
        raise SystemExit("no pipes")
    try:
        if not process.stdout.readline():
            raise SystemExit(f"{command[0]} ended before it was ready")
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def cpu_seconds(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S


def measure(mode: str, seconds: float, load: str) -> dict[str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile() as credit:
        credit.write(bytes(8))
        credit.flush()
        server_command = [sys.executable, str(HERE / "fanout_server.py")]
        load_command = [load, *map(str, (port, CLIENTS, SYMBOLS, EACH)), credit.name]
        with (
            child(server_command, 0, MODE=mode, PORT=str(port), CREDIT=credit.name) as server,
            child(load_command, 1),
        ):

            def received() -> int:
                return int.from_bytes(Path(credit.name).read_bytes(), "little")

            time.sleep(1.0)
            before, user_system, at = received(), cpu_seconds(server.pid), time.monotonic()
            time.sleep(seconds)
            after, now, took = received(), cpu_seconds(server.pid), time.monotonic() - at
    updates = after - before
    if not updates:
        raise SystemExit(f"{mode}: the clients received no update in {took:.1f} s")
    user, system = now[0] - user_system[0], now[1] - user_system[1]
    return {
        "updates_per_s": updates / took,
        "updates_per_cpu_s": updates / (user + system),
        "user_us": user / updates * 1e6,
        "system_us": system / updates * 1e6,
        "server_cpus": (user + system) / took,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    build = ["cargo", "build", "--quiet", "--release", "--package", "tickcast-core", "--example", "load"]
    subprocess.run(build, cwd=ROOT, check=True)
    load = str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/examples/load")
    rounds = [
        {name: measure(mode, arguments.seconds, load) for name, mode in ROWS.items()} for _ in range(arguments.rounds)
    ]
    rows = {
        name: {key: statistics.median(one[name][key] for one in rounds) for key in rounds[0][name]} for name in ROWS
    }
    for name, row in rows.items():
        per_round = (one[name]["updates_per_cpu_s"] / one["picows each"]["updates_per_cpu_s"] for one in rounds)
        ratios = sorted(per_round)
        row["ratio_to_picows_each"] = statistics.median(ratios)
        row["ratio_lowest"], row["ratio_highest"] = ratios[0], ratios[-1]
    print("| server | k updates/s | k per server CPU-s | ratio to picows each | user us | system us | CPUs |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        ratio = f"{row['ratio_to_picows_each']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})"
        print(
            f"| {name} | {row['updates_per_s'] / 1e3:,.0f} | {row['updates_per_cpu_s'] / 1e3:,.0f} | {ratio} "
            f"| {row['user_us']:.2f} | {row['system_us']:.2f} "
            f"| {row['server_cpus']:.2f} |"
        )
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    result = {"benchmark": "fanout", "machine": machine, "seconds": arguments.seconds, "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    else:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
