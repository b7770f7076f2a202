"""Updates delivered per second of server CPU: tickcast's hub beside hubs written by hand on other servers, in turn.

    python bench/fanout.py [--seconds 5] [--rounds 1] [--only picows,tickcast] [--rows conflated] [--json FILE]

500 clients watch 20 of 500 symbols each; the publisher is inside the server and keeps at most 100,000 deliveries under
way. An update is an update frame (or an item of an array) that the client received: a native client reads every frame
(native/crates/core/examples/load.rs). CPU is the server's, user and system, of all its threads, from /proc; over
loopback it includes the receiving half of TCP. Each peer may coalesce as well as it can (fanout_peers.py): a frame for
every update, an array a turn, an array over 10 ms, its own topics where it has them. Conflating, the peers write to a
client once in 50 ms; tickcast holds 10 ms by default, so that a symbol does not wait for the others, and 50 ms in a row
of its own. Trust the ratios: machines drift; the rows take turns, round by round.

socketify is no dependency of the project: its rows need the Python of ``make bench`` (build/peers), or another one that
has it, named by $TICKCAST_BENCH_PYTHON; else they are left out.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import machine
from fanout_pace import CLIENTS, EACH, SYMBOLS

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = Path(os.environ.get("TICKCAST_BENCH_PYTHON", HERE.parent / "build/peers/bin/python"))
BASE = "picows each"
ROWS = {
    BASE: ("picows", "each"),
    "websockets each": ("websockets", "each"),
    "socketify each": ("socketify", "each"),
    "tickcast each": ("tickcast", "single"),
    "picows array a turn": ("picows", "array"),
    "websockets array a turn": ("websockets", "array"),
    "socketify publish": ("socketify", "publish"),
    "tickcast a turn": ("tickcast", "hub"),
    "picows array, 10 ms": ("picows", "hold"),
    "websockets array, 10 ms": ("websockets", "hold"),
    "socketify array, 10 ms": ("socketify", "hold"),
    "tickcast 10 ms": ("tickcast", "hold"),
    "picows conflated, 20 Hz": ("picows", "conflated"),
    "socketify conflated, 20 Hz": ("socketify", "conflated"),
    "tickcast conflated, 20 Hz": ("tickcast", "conflated"),
    "tickcast conflated, 20 Hz, 50 ms": ("tickcast", "gathered"),
}
"""Name to server and mode."""


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


def server_command(server: str) -> list[str]:
    if server == "tickcast":
        return [sys.executable, str(HERE / "fanout_server.py")]
    python = PEERS_PYTHON if server == "socketify" else sys.executable
    return [str(python), str(HERE / "fanout_peers.py"), server]


def measure(row: str, seconds: float, load: str) -> dict[str, float]:
    """One server for some seconds."""
    server_name, mode = ROWS[row]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile() as credit:
        credit.write(bytes(8))
        credit.flush()
        load_command = [load, *map(str, (port, CLIENTS, SYMBOLS, EACH)), credit.name]
        with (
            child(server_command(server_name), 0, MODE=mode, PORT=str(port), CREDIT=credit.name) as server,
            child(load_command, 1),
        ):

            def received() -> int:
                return int.from_bytes(Path(credit.name).read_bytes(), "little")

            time.sleep(1.0)
            before, user_system, at = received(), machine.cpu_s(server.pid), time.monotonic()
            time.sleep(seconds)
            after, now, took = received(), machine.cpu_s(server.pid), time.monotonic() - at
    updates = after - before
    if not updates:
        raise SystemExit(f"{row}: the clients received no update in {took:.1f} s")
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
    parser.add_argument("--only", default="picows,websockets,socketify,tickcast", help="servers, by comma")
    parser.add_argument("--rows", default="", help="only rows with this in their name, and the one that ratios are to")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(",")) | {"picows"}
    if "socketify" in wanted and not PEERS_PYTHON.exists():
        wanted.discard("socketify")
        print(
            f"socketify is left out: there is no {PEERS_PYTHON}; `make bench` installs it, or set TICKCAST_BENCH_PYTHON"
        )
    names = [
        name for name, (server, _) in ROWS.items() if name == BASE or (server in wanted and arguments.rows in name)
    ]
    facts, load = machine.facts(), machine.example("load")
    rounds = [{name: measure(name, arguments.seconds, load) for name in names} for _ in range(arguments.rounds)]
    rows = {
        name: {key: statistics.median(one[name][key] for one in rounds) for key in rounds[0][name]} for name in names
    }
    for name, row in rows.items():
        per_round = (one[name]["updates_per_cpu_s"] / one[BASE]["updates_per_cpu_s"] for one in rounds)
        ratios = sorted(per_round)
        row["ratio_to_base"] = statistics.median(ratios)
        row["ratio_lowest"], row["ratio_highest"] = ratios[0], ratios[-1]
    show(rows)
    if arguments.json:
        result = {"benchmark": "fanout", "machine": facts, "seconds": arguments.seconds, "base": BASE, "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def show(rows: dict[str, dict[str, float]]) -> None:
    """Medians as Markdown."""
    print(f"| server | k updates/s | k per server CPU-s | ratio to {BASE} | user us | system us | CPUs |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        ratio = f"{row['ratio_to_base']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})"
        print(
            f"| {name} | {row['updates_per_s'] / 1e3:,.0f} | {row['updates_per_cpu_s'] / 1e3:,.0f} | {ratio} "
            f"| {row['user_us']:.2f} | {row['system_us']:.2f} | {row['server_cpus']:.2f} |"
        )


if __name__ == "__main__":
    main()
