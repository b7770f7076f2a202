"""The commands against a real supervisor with small children and a small HTTP server for the core's REST."""

import http.server
import io
import json
import re
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from tickcast.cli.main import cli
from tickcast.cli.ops import age, follow_file, last_lines, process_table
from tickcast.model.errors import StateError, UsageError
from tickcast.ops.datadir import DataDir

FEEDS: list[dict[str, Any]] = [
    {"name": "bats", "venue": "BATS", "rate": 1.0, "clock": None},
    {
        "name": "okx",
        "venue": "OKX",
        "rate": 5.0,
        "clock": {
            "offset_ms": 31.5,
            "uncertainty_ms": 1.25,
            "certain_ms": 30.25,
            "error_ms": 2.5,
            "round_trips": 7,
            "steps": 1,
        },
    },
    {
        "name": "xnas",
        "venue": "XNAS",
        "rate": 1234.5,
        "clock": {
            "offset_ms": -0.2,
            "uncertainty_ms": None,
            "certain_ms": 0.0,
            "error_ms": None,
            "round_trips": 0,
            "steps": 0,
        },
    },
]
SNAPSHOT = {
    "hops": [
        {
            "hop": "bus_read",
            "count": 3,
            "p50_ms": 0.5,
            "p95_ms": 2.5,
            "p99_ms": 3.0,
            "budget_ms": [0.8, 2, 5],
            "ok": False,
        },
        {
            "hop": "end_to_end",
            "count": 0,
            "p50_ms": None,
            "p95_ms": None,
            "p99_ms": None,
            "budget_ms": [18, 38, 70],
            "ok": True,
        },
    ],
    "window_s": 60.0,
}
CHILD = """
import json, signal, sys, threading
from tickcast.runtime.lifeline import bind_to_parent
bind_to_parent()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print(json.dumps({"ready": True, "http": sys.argv[1]}), flush=True)
print("a line", flush=True)
stop.wait()
"""
MAIN = """
import asyncio, sys
from tickcast.ops.config import SupervisorConfig
from tickcast.ops.datadir import DataDir
from tickcast.ops.process import ProcessSpec
from tickcast.ops.supervisor import Supervisor
from tickcast.runtime.log import configure
argv = [sys.executable, "-c", sys.argv[2], sys.argv[3]]
specs = [ProcessSpec(name="core", role="core", argv=argv)]
specs += [ProcessSpec(name="xnas", role="feed", venue="XNAS", argv=argv)]
configure()
async def main():
    return await Supervisor(DataDir(sys.argv[1]), specs, SupervisorConfig()).run()
sys.exit(asyncio.run(main()))
"""


class Rest(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body: Any = {"/latency": SNAPSHOT, "/feeds": {"feeds": FEEDS}}.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDir]:
    """A running instance."""
    data = DataDir(tmp_path_factory.mktemp("ops") / "data")
    data.create()
    server = socketserver.ThreadingUnixStreamServer(str(data.socket("rest")), Rest)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = "http://127.0.0.1:9"
    process = subprocess.Popen([sys.executable, "-c", MAIN, str(data), CHILD, address], stderr=subprocess.DEVNULL)
    try:
        until_running(data)
        yield data
    finally:
        process.terminate()
        process.wait(timeout=20)
        server.shutdown()
        server.server_close()


def run(data: DataDir, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--data", str(data)])


def until_running(data: DataDir) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        result = run(data, "ps", "--json")
        if result.exit_code == 0:
            rows: list[dict[str, Any]] = json.loads(result.output)
            if all(row["state"] == "running" for row in rows):
                return rows
        time.sleep(0.05)
    pytest.fail("the instance does not run")


def test_ps(data: DataDir) -> None:
    rows = until_running(data)
    assert [(row["name"], row["role"], row["venue"]) for row in rows] == [
        ("supervisor", "supervisor", None), ("core", "core", None), ("xnas", "feed", "XNAS"),
    ]  # fmt: skip
    assert rows[2]["rate"] == 1234.5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[1]["since"])
    assert {"name", "role", "venue", "pid", "state", "since", "restarts", "rate"} <= set(rows[0])
    table = run(data, "ps").output
    assert "XNAS" in table
    assert "running" in table


def test_ps_cuts_no_name_and_no_process_id_short() -> None:
    row = {"name": "binance-futures", "role": "feed", "venue": "BINANCE_FUTURES", "pid": 4194304, "state": "running"}
    row |= {"since": "2026-11-21T10:00:00.000Z", "restarts": 0, "rate": 12_345.6}
    for width in (200, 80, 70, 45):
        terminal = Console(width=width, file=io.StringIO())
        with terminal.capture() as captured:
            terminal.print(process_table([row], width=width))
        shown = captured.get()
        assert {"binance-futures", "4194304", "running", "12,346"} <= set(shown.split()), shown
        assert ("BINANCE_FUTURES" in shown) is (width >= 70)
        assert max(map(len, shown.splitlines())) <= width
    assert process_table([], width=80).row_count == 0


def test_stop_start_and_restart_of_one_process(data: DataDir) -> None:
    before = until_running(data)
    assert run(data, "stop", "xnas").output == "xnas: stopped\n"
    assert [r["state"] for r in json.loads(run(data, "ps", "--json").output)] == ["running", "running", "stopped"]
    assert run(data, "start", "xnas").exit_code == 0
    started = until_running(data)
    assert run(data, "restart", "xnas").exit_code == 0
    after = until_running(data)
    assert len({rows[2]["pid"] for rows in (before, started, after)}) == 3
    assert before[1]["pid"] == after[1]["pid"]
    wrong = run(data, "restart", "nobody")
    assert isinstance(wrong.exception, UsageError)
    assert "there are: core, xnas" in str(wrong.exception)


def test_logs(data: DataDir) -> None:
    until_running(data)
    assert run(data, "logs", "core", "-n", "1").output == "a line\n"
    assert '"started"' in run(data, "logs", "supervisor").output
    wrong = run(data, "logs", "nobody")
    assert isinstance(wrong.exception, UsageError)
    assert "there are: core, supervisor, xnas" in str(wrong.exception)


def test_logs_of_a_process_that_has_said_nothing(data: DataDir) -> None:
    until_running(data)
    path = data.log("xnas")
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        found = run(data, "logs", "xnas")
    finally:
        aside.rename(path)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "nothing logged yet\n")


def test_clocks(data: DataDir) -> None:
    lines = [line.split() for line in run(data, "latency").output.splitlines() if line.startswith(("okx", "xnas"))]
    assert lines == [
        ["okx", "OKX", "+31.500", "±", "1.250", "+30.250", "7", "1"],
        ["xnas", "XNAS", "≥", "-0.200", "?", "+0.000", "0", "0"],
    ]


def test_latency(data: DataDir) -> None:
    assert json.loads(run(data, "latency", "--json").output) == SNAPSHOT
    table = run(data, "latency").output
    assert "0.500 " in table
    assert "2.500!" in table
    assert "3.000!" not in table
    assert "0.8 / 2 / 5" in table
    assert "over" in table


@pytest.mark.parametrize("command", [["ps"], ["stop"], ["start", "a"], ["restart", "a"], ["latency"], ["logs", "a"]])
def test_without_an_instance(command: list[str], tmp_path: Path) -> None:
    result = run(DataDir(tmp_path), *command)
    assert isinstance(result.exception, StateError)
    assert f"no instance runs in {tmp_path}; start one with: tickcast up" in str(result.exception)


def test_stop_ends_the_instance_with_status_0(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(data), CHILD, "http://127.0.0.1:9"], stderr=subprocess.DEVNULL
    )
    try:
        assert all(row["rate"] is None for row in until_running(data))
        latency = run(data, "latency")
        assert isinstance(latency.exception, StateError)
        assert "does not answer" in str(latency.exception)
        done = subprocess.run([sys.executable, "-m", "tickcast", "stop", "--data", str(data)], check=False)
        assert done.returncode == 0
        assert process.wait(timeout=5) == 0
        again = subprocess.run(
            [sys.executable, "-m", "tickcast", "ps", "--data", str(data)], capture_output=True, text=True, check=False
        )
        assert again.returncode == 1
        assert again.stderr.startswith("tickcast: no instance runs in")
        assert run(data, "logs", "core").output == "a line\n"
    finally:
        process.kill()
        process.wait()


def test_last_lines_reach_into_the_file_put_aside(tmp_path: Path) -> None:
    (tmp_path / "a.log.1").write_text("1\n2\n3\n")
    (tmp_path / "a.log").write_text("4\n5\n")
    assert last_lines(tmp_path / "a.log", 3) == ["3\n", "4\n", "5\n"]
    assert last_lines(tmp_path / "a.log", 0) == []


def test_follow_goes_over_to_the_new_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    texts: list[str] = []
    following = follow_file(log)

    def read() -> None:
        for text in following:
            texts.append(text)
            if "end" in text:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + 10
    while "first\n" not in "".join(texts) and time.monotonic() < deadline:
        with log.open("a") as file:  # again and again, since the reader may not have reached the end yet
            file.write("first\n")
        time.sleep(0.05)
    log.rename(tmp_path / "a.log.1")
    log.write_text("second\nend\n")
    reader.join(10)
    assert "old" not in "".join(texts)
    assert "".join(texts).endswith("second\nend\n")


def test_follow_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    timer = threading.Timer(0.3, lambda: log.write_text("first\n"))
    timer.start()
    assert next(follow_file(log)) == "first\n"
    timer.join()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_age(seconds: float, text: str) -> None:
    now_ns = 1_774_794_601_234_000_000
    assert age("2026-03-29T14:30:01.234Z", now_ns + int(seconds * 1e9)) == text
